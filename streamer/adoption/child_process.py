"""`Child`: a command in a process group of its own, whose output we read. Knows nothing of runs.

Where we have a terminal, the command gets a terminal of its own: colours, bars and keys work as without us. Used in the
main thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import sys
import termios
import tty
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

#: Bytes of one read.
CHUNK: Final = 65_536
#: Bytes of typed input that wait for the command. While so many wait, we read no more.
_TYPED: Final = 65_536
_NAMES: Final = {1: "stdout", 2: "stderr"}


class Child:
    """A running command. As a context manager it restores our terminal at the end.

    `outputs` maps a descriptor that we read to its name and to our descriptor (1 or 2) that gets its bytes. On a
    terminal of its own, the command's two outputs are one.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.outputs: dict[int, tuple[str, int]] = {}
        self.returncode: int | None = None
        self._master: int | None = None
        self._saved: list[Any] | None = None
        self._pending = bytearray()
        self._ours = [fd for fd in (0, 1, 2) if _is_terminal(fd)]
        self.pid = self._start(command, environment)

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Start the command; return its process id. Raises `OSError` when it cannot be started."""
        actions: list[Any] = []
        theirs: list[int] = []
        try:
            slave = ""
            if self._ours:
                self._master, opened = os.openpty()
                theirs.append(opened)
                slave = os.ttyname(opened)
                self._copy_size(opened)
                # The first terminal that the leader of a session opens becomes its controlling terminal.
                first, *others = self._ours
                actions.append((os.POSIX_SPAWN_OPEN, first, slave, os.O_RDWR, 0))
                actions += [(os.POSIX_SPAWN_DUP2, first, fd) for fd in others]
            for fd in (1, 2):
                if fd in self._ours:
                    assert self._master is not None
                    both = {1, 2} <= set(self._ours)
                    self.outputs[self._master] = ("output" if both else _NAMES[fd], 1 if both else fd)
                else:
                    reading, writing = os.pipe()
                    theirs.append(writing)
                    actions.append((os.POSIX_SPAWN_DUP2, writing, fd))
                    self.outputs[reading] = (_NAMES[fd], fd)
            if self._master is not None:
                # Echoes and job control may come here, even where neither output does.
                self.outputs.setdefault(self._master, ("terminal", self._ours[-1]))
                os.set_blocking(self._master, False)
            return os.posix_spawnp(
                command[0],
                list(command),
                dict(environment),
                file_actions=actions,
                setsid=True,
                # Python ignores these signals. The command must not inherit that.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
                setsigmask=[],
            )
        except BaseException:
            for fd in tuple(self.outputs):
                self.shut(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)

    def __enter__(self) -> Self:
        """Make our terminal pass keys unchanged, if this process is in its foreground."""
        if 0 in self._ours and os.tcgetpgrp(0) == os.getpgrp():
            self._saved = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSADRAIN)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore our terminal, and close all outputs."""
        if self._saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
            self._saved = None
        for fd in tuple(self.outputs):
            self.shut(fd)

    # -- its end -------------------------------------------------------------------------------------------------------

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the command runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self, number: int) -> None:
        """Send a signal to the process group, if it still exists."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    # -- its output ----------------------------------------------------------------------------------------------------

    def read(self, fd: int) -> bytes | None:
        """Return new bytes of an output; empty at its end, which also closes it; None when there is nothing to read."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            data = b""  # a terminal whose last user has gone
        if not data:
            self.shut(fd)
        return data

    def shut(self, fd: int) -> None:
        """Close an output. A process that goes on writing to it gets an error from the system."""
        if self.outputs.pop(fd, None) is not None:
            os.close(fd)
            if fd == self._master:
                self._master = None

    # -- its input -----------------------------------------------------------------------------------------------------

    @property
    def takes_keys(self) -> bool:
        """Whether our typed input should be read for the command."""
        return self._saved is not None and self._master is not None and len(self._pending) < _TYPED

    @property
    def waiting(self) -> int | None:
        """The descriptor that typed input waits for; None when no input waits."""
        return self._master if self._pending else None

    def type(self, data: bytes) -> None:
        """Pass typed input to the command."""
        self._pending += data
        self.write()

    def write(self) -> None:
        """Write as much typed input as the command's terminal takes now."""
        if self._master is None:
            self._pending.clear()
            return
        with contextlib.suppress(BlockingIOError):
            while self._pending:
                try:
                    written = os.write(self._master, self._pending[:CHUNK])
                except BlockingIOError:
                    raise
                except OSError:
                    written = len(self._pending)
                del self._pending[:written]

    def resize(self) -> None:
        """Give the command's terminal the size of ours; the system sends it SIGWINCH."""
        if self._master is not None:
            self._copy_size(self._master)

    def _copy_size(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self._ours[-1], termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
            fcntl.ioctl(fd, termios.TIOCSWINSZ, size)


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes, however long that takes. Raises `OSError`, such as `BrokenPipeError`."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            # Another program made our terminal non-blocking.
            os.set_blocking(fd, True)


def flush_ours() -> None:
    """Flush our own outputs before the command writes to them."""
    for output in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            output.flush()
