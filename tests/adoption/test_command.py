"""`streamer exec`: the command does not notice, and its run says what became of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.exec_support import PYTHON, environment, exec_command, executed, find_run, fresh_title
from tests.support import ROOT, ServerProcess, free_port, wait_until

#: Waits until it is told by a signal; what it says first shows that it is ready.
WAITING = """
import signal, sys, time
def told(number, frame):
    print("told", signal.Signals(number).name, flush=True)
    sys.exit({code})
signal.signal(signal.SIGINT, {on_interrupt})
signal.signal(signal.SIGTERM, {on_terminate})
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    graces = {"STREAMER_CANCEL_GRACE_SECONDS": "0.3", "STREAMER_KILL_GRACE_SECONDS": "0.3"}
    with ServerProcess.streamer(tmp_path_factory.mktemp("exec"), environment=graces) as running:
        yield running


def started(
    server: ServerProcess, *words: str, graces: tuple[str, str] = ("30", "30")
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a command; `graces` are the seconds after a cancel, and after SIGTERM."""
    title = fresh_title()
    cancel, kill = graces
    process = subprocess.Popen(
        exec_command(*words, title=title),
        env=environment(server, STREAMER_CANCEL_GRACE_SECONDS=cancel, STREAMER_KILL_GRACE_SECONDS=kill),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return process, title


def state_of(server: ServerProcess, title: str) -> dict[str, Any]:
    """Return the run's state once it is known: the command does not wait for that."""
    return wait_until(lambda: find_run(server, title))


# -- what comes out ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_output_goes_where_it_went_and_is_the_log(server: ServerProcess) -> None:
    code = r"import os; os.write(1, b'out \xff\x00\x1b[31mred\x1b[0m\r\n'); os.write(2, b' 1%\r99%\nno line end')"
    ran = executed(server, "--", *PYTHON, code)
    assert (0, b"out \xff\x00\x1b[31mred\x1b[0m\r\n") == (ran.code, ran.out)
    assert b" 1%\r99%\nno line end" in ran.err
    assert {("stdout", "out \\xffred"), ("stderr", "99%"), ("stderr", "no line end")} == {
        (line["logger"], line["message"]) for line in ran.lines
    }
    assert ("complete", ran.state["parameters"]["command"]) == (ran.state["status"], ran.state["program"])


@pytest.mark.slow
def test_an_exit_code_is_passed_back_and_fails_the_run(server: ServerProcess) -> None:
    ran = executed(server, "--", "sh", "-c", "echo the last words; exit 3")
    assert (3, "failed", "exited with code 3") == (ran.code, ran.state["status"], ran.state["message"])
    assert ("CommandFailed", "the last words") == tuple(
        ran.state["error"][key] for key in ("type", "traceback")
    )


@pytest.mark.slow
def test_a_command_that_is_killed_fails_the_run(server: ServerProcess) -> None:
    ran = executed(server, "--", "sh", "-c", "kill -KILL $$")
    assert (137, "failed", "killed by signal 9 (SIGKILL)") == (
        ran.code,
        ran.state["status"],
        ran.state["message"],
    )


@pytest.mark.slow
def test_a_command_that_is_not_there_is_no_run(server: ServerProcess, tmp_path: Path) -> None:
    script = tmp_path / "no-program"
    script.touch()
    for words, code in ((["no-such-command"], 127), ([str(script)], 126), ([], 2)):
        ended = subprocess.run(
            exec_command("--", *words), env=environment(server), capture_output=True, text=True, check=False
        )
        assert (code, 1) == (ended.returncode, ended.stderr.count("streamer:"))


@pytest.mark.slow
def test_without_a_streamer_the_command_runs_all_the_same(server: ServerProcess) -> None:
    nowhere = environment(server, STREAMER_URL=f"http://127.0.0.1:{free_port()}")
    command = exec_command("--", "sh", "-c", "cat; echo done; exit 5")
    ended = subprocess.run(command, env=nowhere, input=b"given\n", capture_output=True, check=False)
    assert (5, b"given\ndone\n") == (ended.returncode, ended.stdout)


@pytest.mark.slow
def test_a_flood_of_lines_is_whole_in_the_log(server: ServerProcess) -> None:
    ran = executed(server, "--", *PYTHON, "for i in range(60_000): print('line', i)")
    assert 60_000 == ran.out.count(b"\n")
    assert 60_000 == ran.state["logCounts"]["INFO"]


@pytest.mark.slow
def test_phases_begin_where_the_output_says_so(server: ServerProcess) -> None:
    script = "echo start; echo Downloading 1; echo Downloading 2; echo done building; exit ${1:-0}"
    phases = "prepare,download*3=^downloading,check=^checking,build*2=BUILD"
    ran = executed(server, "--phases", phases, "--", "sh", "-c", script)
    assert [
        ("prepare", 1.0, "finished"),
        ("download", 3.0, "finished"),
        ("check", 1.0, "skipped"),
        ("build", 2.0, "finished"),
    ] == [(phase["name"], phase["weight"], phase["status"]) for phase in ran.state["phases"]]
    assert ["prepare", "download", "download", "build"] == [line["phase"] for line in ran.lines]


@pytest.mark.slow
def test_a_sitecustomize_that_was_there_is_imported_and_the_path_is_as_it_was(
    server: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    code = (
        "import sys, sitecustomize; print(sitecustomize.__file__, [p for p in sys.path if 'adoption' in p])"
    )
    ran = executed(server, "--", *PYTHON, code, env={"PYTHONPATH": str(tmp_path)})
    assert ["mine", f"{tmp_path}/sitecustomize.py []"] == ran.messages


# -- signals -----------------------------------------------------------------------------------------------------------


def waiting(code: int = 7, on_interrupt: str = "told", on_terminate: str = "told") -> list[str]:
    return [*PYTHON, WAITING.format(code=code, on_interrupt=on_interrupt, on_terminate=on_terminate)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on(server: ServerProcess, number: signal.Signals) -> None:
    process, title = started(server, "--", *waiting())
    assert process.stdout is not None
    assert b"ready\n" == process.stdout.readline()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert (7, f"told {number.name}\n".encode()) == (process.returncode, out)
    state = state_of(server, title)
    assert ("cancelled", "interrupted: exited with code 7") == (state["status"], state["message"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "graces", "code", "said"),
    [
        (waiting(), ("30", "30"), 7, b"told SIGINT\n"),
        (waiting(on_interrupt="signal.SIG_IGN"), ("0.3", "30"), 7, b"told SIGTERM\n"),
        (waiting(on_interrupt="signal.SIG_IGN", on_terminate="signal.SIG_IGN"), ("0.3", "0.3"), 137, b""),
        (["sh", "-c", 'trap "" INT TERM; echo ready; sleep 1000 & wait; wait'], ("0.3", "0.3"), 137, b""),
    ],
    ids=["interrupt", "terminate", "kill", "the whole group"],
)
def test_a_cancel_interrupts_then_terminates_then_kills(
    server: ServerProcess, command: list[str], graces: tuple[str, str], code: int, said: bytes
) -> None:
    process, title = started(server, "--", *command, graces=graces)
    assert process.stdout is not None
    assert b"ready\n" == process.stdout.readline()
    httpx.post(f"{server.url}/api/runs/{state_of(server, title)['run']}/cancel", json={}, timeout=60)
    out, _ = process.communicate(timeout=60)
    assert (code, said) == (process.returncode, out)
    state = state_of(server, title)
    assert "cancelled" == state["status"]
    assert state["message"].startswith("cancelled on request: ")


@pytest.mark.slow
def test_a_phase_that_begins_after_a_cancel_ends_no_command(server: ServerProcess) -> None:
    script = (
        'trap "echo Cleaning up; sleep 1; echo clean; exit 8" INT; echo ready; while :; do sleep 0.1; done'
    )
    process, title = started(server, "--phases", "work,clean=^Cleaning", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert b"ready\n" == process.stdout.readline()
    httpx.post(f"{server.url}/api/runs/{state_of(server, title)['run']}/cancel", json={}, timeout=60)
    out, _ = process.communicate(timeout=60)
    assert (8, b"Cleaning up\nclean\n") == (process.returncode, out)
    assert "cancelled" == state_of(server, title)["status"]


# -- on a terminal -----------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal of 30 rows and 100 columns on which `streamer exec` runs."""

    def __init__(self, server: ServerProcess, *words: str) -> None:
        self.title = fresh_title()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                os.chdir(ROOT)
                os.read(0, 1)  # until the terminal has its size
                command = exec_command(*words, title=self.title)
                os.execve(command[0], command, environment(server))
            os._exit(99)
        self.resize(30, 100)
        self.write(b"\n")
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def write(self, data: bytes) -> None:
        os.write(self.master, data)

    def read_until(self, wanted: bytes) -> None:
        while wanted not in self.seen:
            data = os.read(self.master, 4096)
            assert data, self.seen
            self.seen += data

    def end(self) -> int:
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 4096):
                self.seen += data
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)


ON_TERMINAL = """
import os, signal, sys, termios
signal.signal(signal.SIGWINCH, lambda *_: print("size", tuple(os.get_terminal_size()), flush=True))
print([os.isatty(fd) for fd in (0, 1, 2)], tuple(os.get_terminal_size()), os.tcgetpgrp(0) == os.getpgrp(), flush=True)
try:
    print("typed", ascii(input()), flush=True)
    while True:
        signal.pause()
except KeyboardInterrupt:
    print("\\x1b[1minterrupted\\x1b[0m")
    sys.exit(4)
"""


@pytest.mark.slow
def test_on_a_terminal_the_command_has_one_with_its_keys_its_size_and_its_colours(
    server: ServerProcess,
) -> None:
    terminal = Terminal(server, "--", *PYTHON, ON_TERMINAL)
    terminal.read_until(b"[True, True, True] (100, 30) True")
    terminal.write(b"hello\n")
    terminal.read_until(b"typed 'hello'\r\n")
    terminal.resize(40, 60)
    terminal.read_until(b"size (60, 40)\r\n")
    terminal.write(b"\x03")
    assert 4 == terminal.end()
    assert b"\x1b[1minterrupted\x1b[0m" in terminal.seen
    state = state_of(server, terminal.title)
    assert ("failed", "exited with code 4") == (state["status"], state["message"])
    lines = httpx.get(f"{server.url}/api/runs/{state['run']}/log", timeout=60).json()["lines"]
    assert ("output", "^Cinterrupted") == (lines[-1]["logger"], lines[-1]["message"])


@pytest.mark.slow
def test_a_bar_on_a_terminal_is_drawn_as_it_was_and_is_one_line_of_the_log(server: ServerProcess) -> None:
    code = (
        "from rich.progress import track\n"
        "import threading\n"
        "for i in track(range(4), 'Working'): threading.Event().wait(0.15)\n"
        "print('end')"
    )
    terminal = Terminal(server, "--", *PYTHON, code)
    assert 0 == terminal.end()
    assert terminal.seen.count(b"Working") > 3
    assert b"\x1b[?25l" in terminal.seen
    state = state_of(server, terminal.title)
    lines = httpx.get(f"{server.url}/api/runs/{state['run']}/log", timeout=60).json()["lines"]
    assert ["Working", "end"] == [line["message"].split()[0] for line in lines]
    assert [("Working", 4, 4, "finished")] == [
        (bar["name"], bar["done"], bar["total"], bar["status"]) for bar in state["bars"]
    ]


@pytest.mark.slow
def test_the_terminal_is_given_back_as_it_was(server: ServerProcess, tmp_path: Path) -> None:
    script = tmp_path / "both.sh"
    quoted = " ".join(f"'{word}'" for word in exec_command("--", "sh", "-c", "exit 9"))
    script.write_text(f"stty -a > before; {quoted}; echo $?; stty -a > after; cmp before after && echo same")
    pid, master = pty.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.chdir(tmp_path)
            os.execve("/bin/sh", ["sh", str(script)], environment(server, PYTHONPATH=str(ROOT)))
        os._exit(99)
    seen = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 4096):
            seen += data
    os.waitpid(pid, 0)
    os.close(master)
    assert [b"9", b"same"] == seen.split()[-2:]


@pytest.mark.slow
def test_a_secret_of_the_command_is_in_nothing_that_the_streamer_keeps(server: ServerProcess) -> None:
    code = "import sys; print('connecting with', sys.argv[2]); sys.exit('refused: ' + sys.argv[2])"
    ended = subprocess.run(
        exec_command("--", *PYTHON, code, "--password", "hunter2-of-ada"),
        env=environment(server),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert b"connecting with hunter2-of-ada" in ended.stdout
    state = wait_until(lambda: find_run(server, "connecting with"))
    run = httpx.get(f"{server.url}/api/runs/{state['run']}", timeout=60)
    log = httpx.get(f"{server.url}/api/runs/{state['run']}/log", timeout=60)
    assert "hunter2" not in run.text + log.text
    assert ["connecting with …", "refused: …"] == [line["message"] for line in log.json()["lines"]]
    assert "refused: …" in run.json()["error"]["traceback"]


@pytest.mark.slow
def test_a_notice_stands_on_a_line_of_its_own_in_a_terminal(server: ServerProcess) -> None:
    pid, master = pty.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            words = exec_command("--", "sh", "-c", "printf begun; sleep 1; echo ' and done'")
            os.execve(words[0], words, environment(server, PYTHONPATH=str(ROOT)))
        os._exit(99)
    seen = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 4096):
            seen += data
    os.waitpid(pid, 0)
    os.close(master)
    lines = seen.split(b"\r\n")
    (notice,) = [line for line in lines if b"streamer:" in line]
    assert notice.startswith(b"streamer: http")
    assert b"\n" not in seen.replace(b"\r\n", b"")


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_is_in_the_help() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "streamer", "exec", "--help"], capture_output=True, text=True, check=True
    )
    assert "COMMAND" in ended.stdout
