"""The helpers themselves: a bounded wait that never ends, or a process that stays, would make other tests lie."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import psutil
import pytest

from tests.support import (
    FakeClock,
    ServerProcess,
    free_port,
    marked_processes,
    wait_until,
    wait_until_async,
)

#: Answers every request, and has started a process that ignores SIGTERM in a session of its own.
SERVER = """
import http.server, subprocess, sys, os
child = subprocess.Popen(
    [sys.executable, "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"],
    start_new_session=True,
)
print("data in", os.environ["STREAMER_DATA"], flush=True)
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


def server(folder, *, script=SERVER, timeout=20.0):
    port = free_port()
    return ServerProcess(
        [sys.executable, "-c", script, str(port)],
        port=port,
        data=folder / "data",
        ready_path="/",
        timeout=timeout,
    )


def test_wait_until_returns_the_first_true_value():
    values = iter([0, None, "", 7, 8])
    assert 7 == wait_until(lambda: next(values), interval=0)


def test_wait_until_says_what_it_waited_for_and_what_it_saw_last():
    with pytest.raises(AssertionError, match=r"not within 0 s: the cat is home; last seen: \[\]"):
        wait_until(list, timeout=0, message="the cat is home")


def test_wait_until_counts_ignored_exceptions_as_not_yet():
    outcomes = iter([OSError("refused"), None])

    def once_refused():
        if error := next(outcomes):
            raise error
        return True

    assert wait_until(once_refused, interval=0, ignore=(OSError,))


async def test_wait_until_async_lets_the_loop_run_and_awaits_coroutines():
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)

    async def happened():
        return event.is_set()

    assert await wait_until_async(happened) is True
    assert await wait_until_async(event.is_set) is True


async def test_wait_until_async_ends_a_condition_that_hangs():
    with pytest.raises(TimeoutError):
        await wait_until_async(asyncio.Event().wait, timeout=0.01)


def test_the_fake_clock_moves_only_when_told():
    clock = FakeClock(100.0)
    assert [100.0, 101.5, 101.5] == [clock(), clock.advance(1.5), clock()]


def test_free_ports_are_never_given_twice():
    ports = [free_port() for _ in range(50)]
    assert sorted(set(ports)) == sorted(ports)


@pytest.mark.slow
def test_a_server_process_answers_and_leaves_nothing(tmp_path):
    with server(tmp_path) as running:
        (grandchild,) = running.processes()
        assert psutil.pid_exists(grandchild.pid)
        assert f"data in {tmp_path / 'data'}" in running.output()
    assert not grandchild.is_running()
    assert running.process.poll() is not None


@pytest.mark.slow
def test_a_killed_server_leaves_its_processes_and_starts_again(tmp_path):
    with server(tmp_path) as running:
        (before,) = running.processes()
        running.kill()
        assert before.is_running()
        running.restart()
        assert 2 == len(running.processes())
    assert [] == running.processes()


@pytest.mark.slow
def test_a_server_that_ends_at_once_shows_its_output(tmp_path):
    with pytest.raises(AssertionError, match=r"(?s)ended with 3.*no luck"):
        server(tmp_path, script="print('no luck'); raise SystemExit(3)").start()


@pytest.mark.slow
def test_a_failing_test_gets_the_servers_output_as_a_note(tmp_path):
    with pytest.raises(ValueError, match="the test's own") as caught, server(tmp_path):
        raise ValueError("the test's own")
    assert "data in" in "\n".join(caught.value.__notes__)


SESSION = """
import subprocess, sys, threading, socket

def test_starts_something_and_forgets_it():
    {line}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)", "process"),
        (
            "threading.Thread(target=threading.Event().wait, name='left', daemon=True).start()",
            "thread left, first seen",
        ),
        ("sys.left = socket.create_server(('127.0.0.1', 0))", "listening port"),
    ],
)
def test_the_session_fails_for_what_a_test_leaves_behind(tmp_path, line, said):
    ended = _session(tmp_path, SESSION.format(line=line))
    assert 1 == ended.returncode
    assert "the tests left behind" in ended.stdout
    assert said in ended.stdout


@pytest.mark.slow
def test_a_session_that_leaves_nothing_passes(tmp_path):
    ended = _session(tmp_path, SESSION.format(line="assert threading.active_count() == 1"))
    assert 0 == ended.returncode, ended.stdout


def _session(folder, text):
    path = folder / "test_inner.py"
    path.write_text(text)
    plugin = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", "/dev/null"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-q", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_server_runs_outside_its_block():
    assert [] == marked_processes()
