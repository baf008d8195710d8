"""`Child`: a command in a process group of its own, whose output we read. Knows nothing of runs.

Where we have a terminal, the command gets a terminal of its own: colours, bars and keys work as without us. Used in the
main thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import struct
import sys
import termios
import tty
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

#: Bytes of one read.
CHUNK: Final = 65_536
#: Bytes of typed input that wait for the command. While so many wait, we read no more.
_TYPED: Final = 65_536
_NAMES: Final = {1: "stdout", 2: "stderr"}
#: The values of `LC_CTYPE` that Python sets by itself (PEP 538).
_COERCED: Final = ("C.UTF-8", "C.utf8", "UTF-8")


class Child:
    """A running command. As a context manager it restores our terminal at the end.

    `outputs` maps a descriptor that we read to its name and to our descriptor (1 or 2) that gets its bytes. On a
    terminal of its own, the command's two outputs are one, as they are where ours are the same file or pipe.

    Where none of our three descriptors is a terminal, the command stays in our session, so that it can open our
    controlling terminal; its process group has our place in the foreground.

    Args:
        command: The words of the command.
        environment: Its environment.

    Raises:
        OSError: If it cannot be started.

    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.outputs: dict[int, tuple[str, int]] = {}
        self.returncode: int | None = None
        #: Whether the terminal has stopped the command, and nobody told it to go on.
        self.is_stopped = False
        self._master: int | None = None
        self._saved: list[Any] | None = None
        self._pending = bytearray()
        self._closed = [fd for fd in (0, 1, 2) if not _is_open(fd)]
        self._ours = [fd for fd in (0, 1, 2) if _is_terminal(fd)]
        self._controlling = None if self._ours else _controlling_terminal()
        try:
            self.pid = self._start(command, environment)
        except OSError as error:
            path = shutil.which(command[0])
            if error.errno != errno.ENOEXEC or path is None:
                self._close()
                raise
            # A script without a first line that names its interpreter. A shell runs it itself (POSIX, 2.9.1.4).
            try:
                self.pid = self._start(("/bin/sh", path, *command[1:]), environment)
            except BaseException:
                self._close()
                raise

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
            are_one = not {1, 2} & {*self._ours, *self._closed} and os.path.sameopenfile(1, 2)
            for fd in (1, 2):
                if fd in self._closed:
                    continue
                if fd in self._ours:
                    assert self._master is not None
                    both = {1, 2} <= set(self._ours)
                    self.outputs[self._master] = ("output" if both else _NAMES[fd], 1 if both else fd)
                elif fd == 2 and are_one:
                    actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
                else:
                    reading, writing = os.pipe()
                    theirs.append(writing)
                    actions.append((os.POSIX_SPAWN_DUP2, writing, fd))
                    self.outputs[reading] = ("output" if are_one else _NAMES[fd], fd)
            actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in self._closed if _is_open(fd)]
            if self._master is not None:
                # Echoes and job control may come here, even where neither output does.
                self.outputs.setdefault(self._master, ("terminal", self._ours[-1]))
                os.set_blocking(self._master, False)
            group: dict[str, Any] = {"setsid": True} if self._controlling is None else {"setpgroup": 0}
            pid = os.posix_spawnp(
                command[0],
                list(command),
                dict(environment),
                file_actions=actions,
                # Python ignores these signals. The command must not inherit that.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
                setsigmask=[],
                **group,
            )
        except BaseException:
            for fd in tuple(self.outputs):
                self.shut(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        return pid

    def __enter__(self) -> Self:
        """Give the command our terminal, if this process is in its foreground."""
        self.take_terminal()
        return self

    def __exit__(self, *_: object) -> None:
        """Restore our terminal, and close all outputs."""
        self.give_back_terminal()
        self._close()

    def _close(self) -> None:
        for fd in tuple(self.outputs):
            self.shut(fd)
        if self._controlling is not None:
            os.close(self._controlling)
            self._controlling = None

    # -- our terminal --------------------------------------------------------------------------------------------------

    def take_terminal(self) -> None:
        """Make our terminal the command's, if this process is in its foreground: keys pass unchanged. Idempotent."""
        if self._controlling is not None:
            if _foreground(self._controlling) == os.getpgrp():
                _set_foreground(self._controlling, self.pid)
        elif 0 in self._ours and self._saved is None and _foreground(0) == os.getpgrp():
            self._saved = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSADRAIN)

    def give_back_terminal(self) -> None:
        """Restore our terminal. Idempotent."""
        if self._controlling is not None:
            if _foreground(self._controlling) == self.pid:
                _set_foreground(self._controlling, os.getpgrp())
        elif self._saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
            self._saved = None

    def suspends(self, data: bytes) -> bool:
        """Tell whether typed input has the key that suspends a job (Ctrl-Z), and the command's terminal heeds it.

        Args:
            data: The input.

        """
        if self._master is None:
            return False
        try:
            attributes = termios.tcgetattr(self._master)
        except termios.error:
            return False
        key = attributes[6][termios.VSUSP]
        return bool(attributes[3] & termios.ISIG) and key != b"\0" and key in data

    def suspend(self) -> None:
        """Stop the command, give our terminal back, and stop our own job. Returns when somebody continues it.

        The system lets no key stop a command on a terminal of its own, as there is no shell in its session. So we do.
        """
        self.kill(signal.SIGSTOP)
        self.give_back_terminal()
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            os.killpg(os.getpgrp(), signal.SIGTSTP)
        finally:
            signal.signal(signal.SIGTSTP, before)

    def resume(self) -> None:
        """Go on after a stop, in the foreground or in the background."""
        self.is_stopped = False
        self.take_terminal()
        self.resize()
        self.kill(signal.SIGCONT)

    # -- its end -------------------------------------------------------------------------------------------------------

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the command runs."""
        if self.returncode is None:
            # On our own terminal, a key may stop it.
            pid, status = os.waitpid(
                self.pid, os.WNOHANG | (os.WUNTRACED if self._controlling is not None else 0)
            )
            if pid and os.WIFSTOPPED(status):
                self._stopped(os.WSTOPSIG(status))
            elif pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def _stopped(self, number: int) -> None:
        assert self._controlling is not None
        asked_early = number in (signal.SIGTTIN, signal.SIGTTOU)
        if asked_early and _foreground(self._controlling) in (os.getpgrp(), self.pid):
            # It asked the terminal before it had our place in the foreground.
            self.resume()
        else:
            self.is_stopped = True

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

    def leave_outputs(self) -> None:
        """Let another process pass on the outputs that a daemon of the command still holds open.

        The daemon writes where it would have written without us. It lives on, and nobody waits for it.
        """
        for fd, (_, ours) in tuple(self.outputs.items()):
            actions = [
                (os.POSIX_SPAWN_DUP2, fd, 0),
                (os.POSIX_SPAWN_DUP2, ours, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            os.set_blocking(fd, True)
            with contextlib.suppress(OSError):
                os.posix_spawnp("cat", ["cat"], os.environ, file_actions=actions, setsid=True)
            self.shut(fd)

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


def environment_given() -> dict[str, str]:
    """Return our environment as it was given to us.

    In the C locale, Python sets `LC_CTYPE` for itself and its children (PEP 538). Only Linux tells what there was.
    """
    environment = dict(os.environ)
    if environment.get("LC_CTYPE") in _COERCED:
        with contextlib.suppress(OSError):
            names = {part.partition(b"=")[0] for part in Path("/proc/self/environ").read_bytes().split(b"\0")}
            if b"LC_CTYPE" not in names:
                del environment["LC_CTYPE"]
    return environment


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    # A file that we opened since our start may have the number of a descriptor that was closed.
    return (sys.__stdin__, sys.__stdout__, sys.__stderr__)[fd] is not None


def _controlling_terminal() -> int | None:
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def _foreground(terminal: int) -> int | None:
    """Return the process group in a terminal's foreground; None when it is not our controlling terminal."""
    try:
        return os.tcgetpgrp(terminal)
    except OSError:
        return None


def _set_foreground(terminal: int, group: int) -> None:
    # From the background this is refused with a signal that would stop us.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes, however long that takes. Raises `OSError`, such as `BrokenPipeError`.

    Args:
        fd: The descriptor.
        data: The bytes.

    Raises:
        OSError: If they cannot be written, such as `BrokenPipeError`.

    """
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
        with contextlib.suppress(AttributeError, OSError, ValueError):
            output.flush()
