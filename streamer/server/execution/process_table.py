"""The operating system's processes: their starts, their ends, the members of a run, and signals to them.

It knows neither workers nor backends. A process may end at any time, so every function accepts an id that is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HAS_PROC: Final = Path("/proc/self/stat").exists()
#: The variable that holds a run's id, in the environment of its worker and of all processes that the worker starts.
RUN_VARIABLE: Final = "PANEL_STREAMER_RUN"


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None where there is no descriptor."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def is_ready(descriptor: int) -> bool:
    """Return whether a descriptor is readable."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a child has ended. It stays unreaped where the system allows it: no other process gets its id."""
    if process.returncode is not None:
        return True
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def ended_badly(process: subprocess.Popen[bytes]) -> bool:
    """Return whether an ended child was killed by a signal, or had an exit code other than 0."""
    if process.returncode is None and hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):
            found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return found is not None and (found.si_code != os.CLD_EXITED or found.si_status != 0)
    return process.poll() != 0


def started_at(pid: int) -> str | None:
    """Return the start of a process as a text that no later process of that id has; None when there is no process."""
    fields = stat_fields(pid)
    if fields is not None:
        # Field 22, in clock ticks since the machine started: it is unique until the next start of the machine.
        return f"{boot_id()}:{fields[19]}"
    if HAS_PROC:
        return None
    try:
        found = subprocess.run(  # noqa: S603 - a number is all that is put in
            ("/bin/ps", "-o", "lstart=", "-p", str(pid)),
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended and waits for its parent."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] in ("Z", "X")


def stat_fields(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the third on; None when there is no such file."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets. The name may contain brackets and spaces.
    return text.rpartition(")")[2].split()


def boot_id() -> str:
    """Return the id of this start of the machine; empty where it is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the group that a process leads; nothing happens when it is gone.

    Args:
        pid: The id of the process that leads the group.
        number: The signal's number.

    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process; nothing happens when it is gone.

    Args:
        pid: The process.
        number: The signal's number.

    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def group_of(pid: int) -> int | None:
    """Return the group of a process; None when it is gone."""
    fields = stat_fields(pid)
    return None if fields is None else int(fields[2])


def members_of(leader: int, started: str | None, run_id: str) -> Iterator[int]:
    """Give the live processes of a run: those of its leader's session, and those with its mark in their environment.

    Args:
        leader: Process id of the worker.
        started: Its start, as `started_at` returned it. Older processes are not the run's.
        run_id: Id of the run.
    """
    since = int((started or ":0").rpartition(":")[2])
    mark = f"{RUN_VARIABLE}={run_id}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        fields = stat_fields(pid)
        if fields is None or fields[0] in ("Z", "X") or int(fields[19]) < since:
            continue
        if int(fields[3]) == leader or mark in _environment(pid):
            yield pid


def _environment(pid: int) -> list[bytes]:
    """Return the environment with which a process was started; empty where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def count_oom_kills() -> int:
    """Return how many processes the machine's out-of-memory killer has ended; 0 where it is not known."""
    try:
        text = Path("/proc/vmstat").read_text()
    except OSError:
        return 0
    found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0
