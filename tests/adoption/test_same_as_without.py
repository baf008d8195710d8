"""A command does not notice `streamer exec`: its order, descriptors, keys, terminal, daemons, arguments."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.exec_support import PYTHON, environment, exec_command, executed, find_run, fresh_title
from tests.support import ROOT, ServerProcess, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path_factory.mktemp("same")) as running:
        yield running


def messages(server: ServerProcess, title: str) -> list[str]:
    run = wait_until(lambda: find_run(server, title))["run"]
    lines = httpx.get(f"{server.url}/api/runs/{run}/log", timeout=60).json()["lines"]
    return [line["message"] for line in lines]


def ended(server: ServerProcess, title: str) -> dict[str, Any]:
    return wait_until(
        lambda: (
            (run := find_run(server, title)) and run["status"] in ("complete", "failed", "cancelled") and run
        )
    )


def test_both_outputs_keep_their_order_where_they_go_to_one_file(
    server: ServerProcess, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "for n in range(50): print('out', n, flush=True); print('err', n, file=sys.stderr, flush=True)"
    )
    title = fresh_title()
    with (tmp_path / "both").open("wb") as both:
        subprocess.run(
            exec_command("--", *PYTHON, code, title=title),
            env=environment(server),
            cwd=ROOT,
            stdout=both,
            stderr=both,
            check=True,
            timeout=60,
        )
    ended(server, title)
    expected = [f"{name} {n}" for n in range(50) for name in ("out", "err")]
    written = [
        line for line in (tmp_path / "both").read_text().splitlines() if not line.startswith("streamer:")
    ]
    assert expected == written
    assert expected == messages(server, title)


def test_a_script_without_a_first_line_is_run_by_the_shell(server: ServerProcess, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0" "$1"\nexit 3\n')
    script.chmod(0o755)
    ran = executed(server, "--", str(script), "a word")
    assert (3, f"{script} a word\n".encode()) == (ran.code, ran.out)


@pytest.mark.parametrize("closed", ["0", "1", "2"])
def test_a_closed_descriptor_is_closed_for_the_command(
    server: ServerProcess, tmp_path: Path, closed: str
) -> None:
    code = (
        "import os\n"
        "def is_open(fd):\n"
        "    try: os.fstat(fd)\n"
        "    except OSError: return False\n"
        "    return True\n"
        "found = [fd for fd in (0, 1, 2) if is_open(fd)]\n"
        f"open({str(tmp_path / 'found')!r}, 'w').write(repr(found))"
    )
    plain = f'{sys.executable} -c "$CODE" {closed}>&-'
    under = f'"$@" {closed}>&-'
    found = []
    for words in (["-c", plain], ["-c", under, "sh", *exec_command("--", sys.executable, "-c", code)]):
        subprocess.run(["sh", *words], env=environment(server, CODE=code), cwd=ROOT, check=True, timeout=60)
        found.append((tmp_path / "found").read_text())
    assert found[0] == found[1] == repr([fd for fd in (0, 1, 2) if str(fd) != closed])


def test_an_argument_that_is_no_text_arrives_as_it_was_and_is_shown(server: ServerProcess) -> None:
    title = fresh_title()
    ran = subprocess.run(
        [*map(os.fsencode, exec_command("--", "printf", "%s\n", title=title)), b"caf\xe9"],
        env=environment(server, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert b"caf\xe9\n" == ran.stdout
    assert ended(server, title)["parameters"]["command"].endswith(r"'caf\xe9'")


def test_a_daemon_lives_on_and_nobody_waits_for_it(server: ServerProcess, tmp_path: Path) -> None:
    survived = tmp_path / "survived"
    work = f"sleep 2; echo late; echo $? > {survived}"
    title = fresh_title()
    process = subprocess.Popen(
        exec_command("--", "sh", "-c", f"(setsid sh -c '{work}' &); echo started; exit 3", title=title),
        env=environment(server),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert 3 == process.wait(60)
    assert not survived.exists()
    assert process.stdout is not None
    # The reader of our output gets the daemon's text, as without us.
    assert b"started\nlate\n" == process.stdout.read()
    process.stdout.close()
    assert "0\n" == wait_until(lambda: survived.exists() and survived.read_text())
    assert ["started"] == messages(server, title)


@pytest.mark.parametrize(
    "detached",
    [
        "setsid sleep 600",
        "nohup setsid sh -c 'trap : TERM INT; while :; do sleep 0.1; done'",
        "env -i setsid sleep 600",
        "python3 -c 'import os, time; os.fork() or (os.setsid(), os.fork() or time.sleep(600))'",
    ],
    ids=["a session of its own", "one that ignores signals", "an empty environment", "a daemon"],
)
def test_a_cancel_leaves_no_process_behind(server: ServerProcess, tmp_path: Path, detached: str) -> None:
    title, begun = fresh_title(), tmp_path / "begun"
    os.mkfifo(begun)
    # Every process of the command holds the pipe open. It ends with the last of them.
    process = subprocess.Popen(
        exec_command(
            "--", "sh", "-c", f"({detached}) 9> {begun} & echo >&2 ready; exec sleep 600", title=title
        ),
        env=environment(server, STREAMER_CANCEL_GRACE_SECONDS="0.5", STREAMER_KILL_GRACE_SECONDS="0.5"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    reading = os.open(begun, os.O_RDONLY)
    wait_until(lambda: "ready" in messages(server, title))
    run = find_run(server, title)
    assert run is not None

    httpx.post(f"{server.url}/api/runs/{run['run']}/cancel", json={}, timeout=60)

    process.wait(60)
    os.set_blocking(reading, False)
    assert b"" == os.read(reading, 1)
    os.close(reading)
    assert "cancelled" == ended(server, title)["status"]


def test_an_empty_part_of_the_python_path_stays(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "job.py").write_text(
        "import beside, os; print(os.environ['PYTHONPATH'].partition(':')[2])"
    )
    ran = subprocess.run(
        exec_command("--", sys.executable, "scripts/job.py"),
        env=environment(server, PYTHONPATH=f":{ROOT}:/opt/nothing:"),
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert f":{ROOT}:/opt/nothing:\n".encode() == ran.stdout


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                os.chdir(folder)
                os.execvpe(
                    "bash",
                    ["bash", "--norc", "--noprofile", "-i"],
                    environment(server, PS1="PROMPT> ", PYTHONPATH=str(ROOT)),
                )
            os._exit(99)
        self.seen = b""
        self.read_until(b"PROMPT> ")

    def read_until(self, wanted: bytes, seconds: float = 60.0) -> None:
        while wanted not in self.seen:
            assert select.select([self.master], [], [], seconds)[0], self.seen
            self.seen += os.read(self.master, 65_536)
        self.seen = self.seen.partition(wanted)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> None:
        self.type("exit\n")
        self.type("exit\n")
        with contextlib.suppress(OSError):
            while os.read(self.master, 65_536):
                pass
        os.waitpid(self.pid, 0)
        os.close(self.master)


@pytest.fixture
def shell(server: ServerProcess, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(server, tmp_path)
    try:
        yield shell
    finally:
        shell.end()


TICKS = """
import sys, threading
for n in range(3):
    print("tick", n, flush=True)
    if n < 2:
        input()
print("done", flush=True)
"""


@pytest.mark.parametrize("output", ["", " | cat"])
def test_ctrl_z_suspends_the_job_and_fg_goes_on(shell: Shell, server: ServerProcess, output: str) -> None:
    title = fresh_title()
    Path(f"/proc/{shell.pid}/cwd").joinpath("job.py").write_text(TICKS)
    words = " ".join(f"'{word}'" for word in exec_command("--", sys.executable, "job.py", title=title))
    shell.type(f"{words}{output}\n")
    shell.read_until(b"tick 0")
    shell.type("\x1a")
    shell.read_until(b"Stopped")
    shell.read_until(b"PROMPT> ")
    shell.type("echo back-$((40+2))\n")
    shell.read_until(b"back-42")
    shell.type("fg\n")
    shell.read_until(b"job.py")
    shell.type("\n")
    shell.read_until(b"tick 1")
    shell.type("\n")
    shell.read_until(b"done")
    assert "complete" == ended(server, title)["status"]


def test_the_terminal_can_be_asked_when_all_descriptors_are_redirected(
    shell: Shell, server: ServerProcess
) -> None:
    title = fresh_title()
    ask = "printf wh%s o: > /dev/tty; read answer < /dev/tty; echo got $answer"
    words = " ".join(f"'{word}'" for word in exec_command("--", "sh", "-c", ask, title=title))
    shell.type(f"{words} < /dev/null > out 2>&1; cat out; echo code $?\n")
    shell.read_until(b"who:")
    shell.type("me\n")
    shell.read_until(b"got me")
    shell.read_until(b"code 0")
    shell.read_until(b"PROMPT> ")


def test_ctrl_z_works_when_all_descriptors_are_redirected(shell: Shell, server: ServerProcess) -> None:
    title = fresh_title()
    ask = "printf wh%s o: > /dev/tty; read answer < /dev/tty; echo got $answer"
    words = " ".join(f"'{word}'" for word in exec_command("--", "sh", "-c", ask, title=title))
    shell.type(f"{words} < /dev/null > out 2>&1\n")
    shell.read_until(b"who:")
    shell.type("\x1a")
    shell.read_until(b"Stopped")
    shell.read_until(b"PROMPT> ")
    shell.type("fg\n")
    shell.read_until(b"/dev/null")
    shell.type("me\n")
    shell.read_until(b"PROMPT> ")
    shell.type("cat out\n")
    shell.read_until(b"got me")


def test_a_locale_that_python_sets_for_itself_is_not_the_commands(server: ServerProcess) -> None:
    given = {
        name: value for name, value in environment(server).items() if not name.startswith(("LC_", "LANG"))
    }
    title = fresh_title()
    ended_command = subprocess.run(
        exec_command("--", "env", title=title),
        env=given,
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert b"LC_CTYPE" not in ended_command.stdout


@pytest.mark.parametrize("name", ["ALRM", "RTMIN"])
def test_a_signal_that_somebody_sends_reaches_the_command(server: ServerProcess, name: str) -> None:
    script = f"trap 'echo got it; exit 5' {name}; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        exec_command("--", "bash", "-c", script, title=fresh_title()),
        env=environment(server),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"ready\n" == process.stdout.readline()
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, _ = process.communicate(timeout=60)
    assert (5, b"got it\n") == (process.returncode, out)
