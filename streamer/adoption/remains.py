"""`Remains`: the processes that a command has started, in any session, and their end after a cancel.

They are found by a mark in the environment with which they were started, and as children of such processes. Only Linux
tells both; elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Remains:
    """The processes of a command that was cancelled. The caller keeps the time.

    Args:
        mark: A variable and its value that the command has in its environment, and no other program.
    """

    def __init__(self, mark: str) -> None:
        self._mark = os.fsencode(mark)
        self._known: set[tuple[int, str]] = set()
        self._told: set[tuple[int, tuple[int, str]]] = set()

    def look(self) -> set[int]:
        """Return the ids of the command's processes that are alive.

        A process that was found once stays one of them, also when its parent has ended since.
        """
        found = {pid: stat for pid, stat in _processes() if pid != os.getpid()}
        ours = {
            pid
            for pid, (_, started) in found.items()
            if (pid, started) in self._known or self._mark in _environment(pid)
        }
        more = ours
        while more:
            more = {pid for pid, (parent, _) in found.items() if parent in ours} - ours
            ours |= more
        self._known = {(pid, found[pid][1]) for pid in ours}
        return ours

    def kill(self, number: int, *, group: int | None = None) -> None:
        """Send a signal to each of them that has not got it yet: to many programs, a second one means something else.

        Args:
            number: The signal.
            group: A process group that was sent the signal as a whole; None: no group was.

        """
        self.look()
        for one in self._known:
            pid = one[0]
            if (number, one) in self._told:
                continue
            self._told.add((number, one))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != group:
                    os.kill(pid, number)


def _processes() -> list[tuple[int, tuple[int, str]]]:
    """Return each live process with its parent and its start, in clock ticks since the machine's."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # The second field is the program's name in brackets, which may contain brackets and spaces.
            fields = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in ("Z", "X"):
            found.append((int(path.name), (int(fields[1]), fields[19])))
    return found


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
