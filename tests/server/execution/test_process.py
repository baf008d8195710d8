"""The process backend: real processes, how they end, what they leave behind, and how a later streamer finds them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from streamer.protocol.worker_spec import WorkerSpec, decode_spec, encode_spec
from streamer.server.execution import process as module
from streamer.server.execution.base import OUTPUT_TAIL, Exit
from streamer.server.execution.process import ProcessBackend, ProcessHandle
from tests.support import wait_until_async

READY = "import os, sys, time, pathlib; here = pathlib.Path(sys.argv[1]); "
SLEEP = "(here / 'ready').touch(); time.sleep(60)"
Make = Callable[[str], ProcessBackend]


#: A run's processes are found on the whole machine by its id.
RUN = f"r2-{os.getpid()}"


def spec(run_id: str = RUN) -> WorkerSpec:
    return WorkerSpec(run_id=run_id, url="http://127.0.0.1:9", token="secret", data="d", pipeline="m:P")


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Make backends whose workers run a piece of Python that knows the test's folder as `here`."""
    backends: list[ProcessBackend] = []
    started: list[ProcessHandle] = []

    def made(code: str) -> ProcessBackend:
        backend = ProcessBackend(tmp_path, [sys.executable, "-c", READY + code, str(tmp_path)])
        start = backend.start

        async def remembered(spec: WorkerSpec) -> ProcessHandle:
            started.append(await start(spec))
            return started[-1]

        backend.start = remembered  # type: ignore[method-assign]  # so that every process is ended at the end
        backends.append(backend)
        return backend

    yield made
    for handle in started:
        handle._end_all()
    for backend in backends:
        await backend.close()
    for handle in started:
        await wait_until_async(lambda handle=handle: _reaped(handle.pid))


def _reaped(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


async def ready(folder: Path) -> None:
    await wait_until_async((folder / "ready").exists)


async def gone(pid: int) -> None:
    def is_gone() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await wait_until_async(is_gone)


async def test_the_worker_reads_its_spec_and_nothing_else_of_ours(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_TOKEN", "operators")
    backend = make(
        "(here / 'spec').write_bytes(sys.stdin.buffer.read());"
        "(here / 'env').write_text(os.environ.get('STREAMER_TOKEN', 'none'));"
        "(here / 'session').write_text(str(os.getsid(0)))"
    )
    handle = await backend.start(spec())
    await handle.wait()
    assert decode_spec((tmp_path / "spec").read_bytes()) == spec()
    assert (tmp_path / "env").read_text() == "none"
    assert (tmp_path / "session").read_text() == str(handle.pid)


async def test_a_clean_end_leaves_no_file(make: Make, tmp_path: Path) -> None:
    handle = await make("print('said')").start(spec())
    assert await handle.wait() == Exit(code=0, output_tail="said")
    assert list((tmp_path / "output").iterdir()) == []


async def test_an_exit_code_is_told_with_the_output(make: Make, tmp_path: Path) -> None:
    handle = await make("print('said', file=sys.stderr); sys.stderr.flush(); os._exit(3)").start(spec())
    assert await handle.wait() == Exit(code=3, output_tail="said")
    assert (tmp_path / "output" / f"{RUN}.txt").read_text() == "said\n"


async def test_the_tail_of_the_output_is_bounded(make: Make) -> None:
    handle = await make("print('x' * 1_000_000); print('end'); sys.exit(1)").start(spec())
    exit_ = await handle.wait()
    assert len(exit_.output_tail) <= OUTPUT_TAIL + 100
    assert exit_.output_tail.endswith("end")
    assert "1,000,005 bytes in all" in exit_.output_tail


async def test_a_signal_is_told(make: Make) -> None:
    handle = await make("import signal; os.kill(os.getpid(), signal.SIGSEGV)").start(spec())
    exit_ = await handle.wait()
    assert (None, 11) == (exit_.code, exit_.signal)
    assert exit_.describe() == "killed by signal 11 (SIGSEGV)"


async def test_terminate_and_kill_end_it(make: Make, tmp_path: Path) -> None:
    handle = await make(
        "import signal; signal.signal(signal.SIGTERM, lambda *_: (here / 'told').touch());" + SLEEP
    ).start(spec())
    await ready(tmp_path)
    handle.terminate()
    await wait_until_async((tmp_path / "told").exists)
    handle.kill()
    assert (await asyncio.wait_for(handle.wait(), 30)).signal == 9
    handle.kill()
    handle.terminate()


async def test_a_killed_workers_children_are_ended_in_whatever_group(make: Make, tmp_path: Path) -> None:
    code = (
        "import subprocess; sleep = [sys.executable, '-c', 'import time; time.sleep(60)'];"
        "a = subprocess.Popen(sleep); b = subprocess.Popen(sleep, process_group=0);"
        "(here / 'pids').write_text(f'[{a.pid}, {b.pid}]');" + SLEEP
    )
    handle = await make(code).start(spec())
    await ready(tmp_path)
    os.kill(handle.pid, signal.SIGKILL)
    assert (await handle.wait()).signal == 9
    for pid in json.loads((tmp_path / "pids").read_text()):
        await gone(pid)


async def test_what_a_clean_worker_left_running_is_left(make: Make, tmp_path: Path) -> None:
    code = (
        "import subprocess; a = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "(here / 'pid').write_text(str(a.pid))"
    )
    handle = await make(code).start(spec())
    assert (await handle.wait()).code == 0
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    assert child.is_running()
    child.kill()


async def test_many_wait_and_one_may_give_up(make: Make, tmp_path: Path) -> None:
    handle = await make(SLEEP).start(spec())
    waiting = [asyncio.ensure_future(handle.wait()) for _ in range(3)]
    await ready(tmp_path)
    waiting[0].cancel()
    handle.kill()
    assert [9, 9] == [(await task).signal for task in waiting[1:]]


async def test_a_later_streamer_finds_it_and_sees_its_end(make: Make, tmp_path: Path) -> None:
    first = make(SLEEP)
    handle = await first.start(spec())
    await ready(tmp_path)
    waiting = asyncio.ensure_future(handle.wait())
    await asyncio.sleep(0)
    await first.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    identity = json.loads(json.dumps(handle.identity))
    found = make("").attach(identity)
    assert found is not None
    assert (found.pid, found.identity) == (handle.pid, identity)
    found.kill()
    exit_ = await asyncio.wait_for(found.wait(), 30)
    assert (None, None) == (exit_.code, exit_.signal)
    assert "without finishing" in exit_.describe()


async def test_a_process_is_watched_where_the_system_gives_no_descriptors(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "open_pidfd", lambda pid: None)
    first = make(SLEEP)
    handle = await first.start(spec())
    await ready(tmp_path)
    found = make("").attach(handle.identity)
    assert found is not None
    handle.kill()
    assert (await asyncio.wait_for(handle.wait(), 30)).signal == 9
    assert (await asyncio.wait_for(found.wait(), 30)).signal is None


async def test_a_recycled_process_id_is_not_taken_for_the_worker(make: Make) -> None:
    handle = await make("").start(spec())
    await handle.wait()
    identity = {**handle.identity, "pid": os.getpid()}
    assert make("").attach(identity) is None
    assert make("").attach(handle.identity) is None


@pytest.mark.parametrize(
    "identity",
    [
        {},
        {"run": RUN},
        {"run": "../etc", "pid": 1, "started": "x"},
        {"run": RUN, "pid": "1", "started": "x"},
        {"run": RUN, "pid": -1, "started": "x"},
        {"run": RUN, "pid": 2**40, "started": None},
        {"run": None, "pid": 1, "started": None},
    ],
)
async def test_an_identity_that_is_none_of_ours_finds_nothing(
    identity: dict[str, object], make: Make
) -> None:
    backend = make("")
    assert backend.attach(identity) is None
    assert backend.examine(identity).output_tail == ""


async def test_the_output_of_one_that_is_gone_can_be_examined(make: Make) -> None:
    backend = make("print('last words'); sys.exit(1)")
    handle = await backend.start(spec())
    await handle.wait()
    assert backend.examine(handle.identity) == Exit(output_tail="last words")


async def test_a_run_id_that_is_no_file_name_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="run id"):
        await make("").start(spec("../x"))


async def test_a_command_that_does_not_exist_is_an_os_error(tmp_path: Path) -> None:
    backend = ProcessBackend(tmp_path, ["/nonexistent/python"])
    with pytest.raises(OSError, match="nonexistent"):
        await backend.start(spec())


async def test_the_out_of_memory_killer_is_named_when_it_was_active(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([4, 5])
    monkeypatch.setattr(module, "count_oom_kills", lambda: next(counts))
    handle = await make(SLEEP).start(spec())
    await ready(tmp_path)
    os.kill(handle.pid, signal.SIGKILL)
    exit_ = await handle.wait()
    assert exit_.describe() == "killed by signal 9 (SIGKILL); the machine's out-of-memory killer was active"


async def test_a_kill_of_ours_is_not_put_down_to_memory(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([4, 5])
    monkeypatch.setattr(module, "count_oom_kills", lambda: next(counts))
    handle = await make(SLEEP).start(spec())
    await ready(tmp_path)
    handle.kill()
    assert (await handle.wait()).out_of_memory is False


def test_how_it_ended_is_said_in_words() -> None:
    assert Exit(code=3).describe() == "exited with code 3 without finishing"
    assert Exit(signal=99).describe() == "killed by signal 99"
    assert "could not see why" in Exit().describe()


def test_a_spec_keeps_its_token_out_of_texts_and_survives_json() -> None:
    assert "secret" not in repr(spec())
    assert decode_spec(encode_spec(spec())) == spec()
