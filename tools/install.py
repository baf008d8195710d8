"""Make `.venv` beside this folder and install the project in it, once. Needs Python 3.11, and nothing installed.

    python3 tools/install.py [--folder=NAME] [EXTRA ...]

Installs the extras of `make run`, and those that are named. Prints progress while pip works, and nothing when all is
there. Installs again when pyproject.toml, the extras, the Python or the folder changed. The log of pip is
`.venv/install.log`. Starts no server. With `--folder=.venv-newer` the environment is that folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
NEEDED = (3, 11)
#: The extras that `make run` needs. Every installation has them.
RUN = frozenset(("dashboards", "examples"))
#: Names another folder for the environment.
FOLDER_OPTION = "--folder="
#: Seconds between two lines of progress where there is no terminal to rewrite one.
REPORT_SECONDS = 10.0


class InstallError(Exception):
    """The installation failed. The message is a sentence for the person who typed `make`."""


def main(arguments: list[str]) -> int:
    """Install the project with the extras named in `arguments`; return the exit code."""
    extras = {argument for argument in arguments if not argument.startswith(FOLDER_OPTION)}
    named = [argument.removeprefix(FOLDER_OPTION) for argument in arguments if argument not in extras]
    name = named[-1] if named else ".venv"
    if sys.version_info < NEEDED:
        print(
            f"panel-streamer needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. "
            "Name another one: make PYTHON=python3.12",
            file=sys.stderr,
        )
        return 1
    try:
        with locked(ROOT / f"{name}.lock"):
            install(ROOT, extras, name)
    except InstallError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the next make goes on from here", file=sys.stderr)
        return 130
    return 0


def install(root: Path, extras: set[str], name: str = ".venv") -> None:
    """Bring an environment in step with ``root/pyproject.toml``.

    Args:
        root: The folder of the project.
        extras: The extras to install beside those of `RUN`.
        name: The environment's folder in ``root``.

    Raises:
        InstallError: There is no environment, or pip failed. The message is for the person who typed `make`.
    """
    extras = extras | RUN
    folder = root / name
    stamp = folder / "installed.json"
    found = read_stamp(stamp)
    wanted = {
        "root": str(root),
        "pyproject": hashlib.sha256((root / "pyproject.toml").read_bytes()).hexdigest(),
    }
    works = found.get("root") == wanted["root"] and is_usable(folder)
    installed = set(found.get("extras", [])) if works else set()
    if works and extras <= installed and all(found.get(name) == value for name, value in wanted.items()):
        stamp.touch()  # the Makefile asks no more until pyproject.toml is newer
        return
    extras |= installed  # make run removes nothing that make test installed
    if not works:
        print(f"Making the environment {folder} with Python {sys.version.split()[0]}", flush=True)
        make_environment(folder)
    stamp.unlink(missing_ok=True)
    patience = "" if works else "; the first time takes a minute"
    names = ", ".join(sorted(extras))
    print(f"Installing panel-streamer with its packages ({names}){patience}", flush=True)
    # Compiling all modules takes a third of the time. The first page imports few of them, and Python compiles those.
    lazily = [] if extras > RUN or sys.dont_write_bytecode else ["--no-compile"]
    seconds = pip_install(folder, [*lazily, "--editable", f"{root}[{','.join(sorted(extras))}]"])
    stamp.write_text(json.dumps({**wanted, "extras": sorted(extras)}))
    print(f"Installed in {seconds:.0f} s", flush=True)


def read_stamp(path: Path) -> dict[str, list[str] | str]:
    """Return what the last installation wrote when it was done; empty when there was none, or it was cut short."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def python_of(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return folder / "bin" / "python"


def is_usable(folder: Path) -> bool:
    """Say whether an environment's interpreter still runs: a Python that was updated away leaves a dangling link."""
    try:
        check = f"import sys; sys.exit(sys.version_info < {NEEDED})"
        return subprocess.run([python_of(folder), "-c", check], timeout=60, check=False).returncode == 0
    except OSError:
        return False


def make_environment(folder: Path) -> None:
    """Make a new, empty environment with pip. Raises `InstallError` when this Python has no way to get pip there."""
    has_ensurepip = importlib.util.find_spec("ensurepip") is not None
    try:
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=has_ensurepip).create(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InstallError(f"Could not make {folder}: {error}") from None
    if has_ensurepip:
        return
    # Debian ships ensurepip in a package of its own (python3-venv); an outside pip, from 22.3, can do its work.
    command = [sys.executable, "-m", "pip", "--python", str(python_of(folder)), "install", "--quiet", "pip"]
    if subprocess.run(command, env=pip_environment(), check=False).returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise InstallError(
            "This Python can make no virtual environment with pip in it. On Debian and Ubuntu: "
            "apt-get install python3-venv; then the same make again."
        )


def pip_environment() -> dict[str, str]:
    """Return the environment for pip: never ask, never look for a newer pip, never install outside of `.venv`."""
    return {**os.environ, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"}


def pip_install(folder: Path, arguments: list[str]) -> float:
    """Run pip, say what it does, and return the seconds it took. Raises `InstallError` with the end of its output."""
    command = [
        str(python_of(folder)),
        "-m",
        "pip",
        "install",
        "--progress-bar",
        "off",
        "--no-color",
        *arguments,
    ]
    log = folder / "install.log"
    started = time.monotonic()
    with (
        log.open("w") as copy,
        subprocess.Popen(
            command,
            env=pip_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        show(lines_of(process.stdout), copy, started)
        process.wait()
    if process.returncode != 0:
        end = "".join(log.read_text().splitlines(keepends=True)[-25:])
        raise InstallError(f"{end}\npip could not install the project; all it said is in {log}")
    return time.monotonic() - started


def lines_of(stream: IO[str]) -> queue.Queue[str | None]:
    """Read lines in a thread of its own, so that the clock on the screen goes on while pip is silent; None ends."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def show(lines: queue.Queue[str | None], copy: IO[str], started: float) -> None:
    """Copy pip's lines to the log, and show one short line of what it does."""
    terminal = sys.stdout.isatty()
    pause = 0.5 if terminal else REPORT_SECONDS
    doing, count, due = "starting", 0, started + pause
    while True:
        line: str | None = ""
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=max(0.0, due - time.monotonic()))
        if line is None:
            break
        copy.write(line)
        words = line.split()
        if line.startswith("Collecting "):
            count += 1
            doing = f"{count} packages found, {words[1]}"
        elif line.startswith("Installing collected packages"):
            doing = f"unpacking {len(words) - 3} packages"
        if time.monotonic() >= due:
            due = time.monotonic() + pause
            text = f"  {time.monotonic() - started:3.0f} s  {doing}"
            print(f"\r{text[:76]:<76}" if terminal else text, end="" if terminal else "\n", flush=True)
    if terminal:
        print("\r" + " " * 76, end="\r", flush=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one installation at a time work in this folder (`make run` and `make test` typed in two terminals)."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another make that installs in this folder", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
