"""`Child`: a command in a process group of its own, its output at hand. On a terminal of its own where ours is one.

So colours and bars stay as they were, and keys go where they went. Used in the main thread; knows nothing of runs.
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

#: Bytes that are read at once.
CHUNK: Final = 65_536
#: Bytes of typed input that wait for the command; beyond them no more is read.
_TYPED: Final = 65_536
_NAMES: Final = {1: "stdout", 2: "stderr"}


class Child:
    """A command that runs. As a context manager it gives our terminal back at the end.

    `outputs` are what it writes: our end's descriptor, what it is called, and to which of ours (1, 2) it goes. With a
    terminal of its own both may be one.
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
        """Start the command. Raises `OSError` when it cannot be."""
        actions: list[Any] = []
        theirs: list[int] = []
        try:
            slave = ""
            if self._ours:
                self._master, opened = os.openpty()
                theirs.append(opened)
                slave = os.ttyname(opened)
                self._copy_size(opened)
                # The first terminal that the leader of a session opens is the one it is controlled by.
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
                # Echoes and job control may come here even when neither output does.
                self.outputs.setdefault(self._master, ("terminal", self._ours[-1]))
                os.set_blocking(self._master, False)
            return os.posix_spawnp(
                command[0],
                list(command),
                dict(environment),
                file_actions=actions,
                setsid=True,
                # Python ignores these; who is started should not have to.
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
        """Let what is typed through as it is, where our terminal is ours to use."""
        if 0 in self._ours and os.tcgetpgrp(0) == os.getpgrp():
            self._saved = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSADRAIN)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back."""
        if self._saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
            self._saved = None
        for fd in tuple(self.outputs):
            self.shut(fd)

    # -- its end -------------------------------------------------------------------------------------------------------

    def poll(self) -> int | None:
        """Return its exit code, below 0 for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self, number: int) -> None:
        """Send a signal to all of its process group; nothing when there is none any more."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    # -- its output ----------------------------------------------------------------------------------------------------

    def read(self, fd: int) -> bytes | None:
        """Return what it wrote; empty at the end, which is closed here; None when there is nothing after all."""
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
        """Read no more of an output: who goes on writing to it is told so by the system."""
        if self.outputs.pop(fd, None) is not None:
            os.close(fd)
            if fd == self._master:
                self._master = None

    # -- its input -----------------------------------------------------------------------------------------------------

    @property
    def takes_keys(self) -> bool:
        """Whether what is typed here is to be read and handed on."""
        return self._saved is not None and self._master is not None and len(self._pending) < _TYPED

    @property
    def waiting(self) -> int | None:
        """The descriptor to which typed input is still to be written; None: nothing waits."""
        return self._master if self._pending else None

    def type(self, data: bytes) -> None:
        """Hand on what was typed."""
        self._pending += data
        self.write()

    def write(self) -> None:
        """Write what of it can be written at once."""
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
        """Give its terminal the size of ours; it is told by SIGWINCH."""
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
    """Write all of it, however long that takes. Raises `OSError`, such as `BrokenPipeError`."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            # Somebody made our terminal non-blocking for themselves.
            os.set_blocking(fd, True)


def flush_ours() -> None:
    """Write out what Python still holds for our own outputs, before anybody else writes to them."""
    for output in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            output.flush()
