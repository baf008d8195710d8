"""`Spool`: the file in which a producer keeps what no streamer has taken; `Left`: reads it when the producer is gone.

One file a run, append-only: a line of JSON that says whose it is, then the numbered events, one a line. Knows neither
HTTP nor runs. A producer holds a lock on its file; one that nobody holds was left behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import heapq
import os
import re
import secrets
import stat
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct

from streamer.protocol.registration import Registration

#: The folder of spools in the data folder, and how their names end.
FOLDER: Final = "spool"
SUFFIX: Final = ".spool"
REFUSED_SUFFIX: Final = ".refused"
#: Letters and digits that are not mistaken for one another when a run's id is read aloud.
_ID_LETTERS: Final = "23456789abcdefghjkmnpqrstvwxyz"
RUN_ID: Final = re.compile(r"[a-z0-9]{10}", re.ASCII)
#: More than any line of ours has.
_LONGEST_LINE: Final = 2_000_000
#: The most spools that are looked at in one pass.
MOST_FILES: Final = 1_000
#: Why a file cannot be opened when nothing is wrong with it: this process has too many open, say.
_NOT_ITS_FAULT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)


def new_run_id() -> str:
    """Return a new id: ten characters, unguessable enough not to collide, short enough to read aloud."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(10))


class SpoolRefused(ValueError):
    """A file is no spool, or holds what no producer writes; the message says where and what was expected."""


class Header(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first line: whose events these are.

    `to` is the URL of the streamer they are for; empty: the one of this data folder. `registration` is there when the
    run may not be known to it yet.
    """

    run: str
    token: str
    to: str = ""
    registration: Registration | None = None

    def __repr__(self) -> str:
        return f"Header(run={self.run!r}, to={self.to!r})"


class Spool:
    """A producer's side: appends lines, reads them back in order. One thread at a time.

    The file is made with the first line, for this user alone, and goes away with `clear`. `limit_bytes` is how large it
    may become, `total_bytes` how large all files of the folder together may be for a new one to be made.
    """

    def __init__(self, folder: Path, header: Header, *, limit_bytes: int, total_bytes: int = 2**63) -> None:
        self.path: Final = folder / f"{header.run}{SUFFIX}"
        self.header: Final = header
        self._limit_bytes = limit_bytes
        self._total_bytes = total_bytes
        self._file: int | None = None
        self._size = 0
        self._position = 0
        #: The number of the last event in the file; 0 when there is none.
        self.last = 0

    @property
    def room(self) -> int:
        """How many bytes more the file may take."""
        return max(self._limit_bytes - self._size, 0)

    def append(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """Write numbered lines, all or none. Raises `OSError`."""
        if not lines:
            return
        if self._file is None:
            self._file = self._create()
        data = b"".join(line for _, line in lines)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._size + written)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self.last = lines[-1][0]

    def read(self, after: int, *, max_events: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Return the next lines, those numbered `after` and below passed over; empty at the end. Raises `OSError`.

        Args:
            after: The number of the last line that is not wanted.
            max_events: Most lines.
            max_bytes: Most bytes; one line is returned whatever its size.

        Raises:
            OSError: If the file cannot be read.

        """
        lines: list[tuple[int, bytes]] = []
        size = 0
        while self._file is not None and len(lines) < max_events and self._position < self._size:
            line = _line_at(self._file, self._position)
            if lines and size + len(line) > max_bytes:
                break
            self._position += len(line)
            number = int(line[line.rindex(b":") + 1 : -2])
            if number > after:
                lines.append((number, line))
                size += len(line)
        return lines

    def clear(self) -> None:
        """Remove the file: all of it was taken."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
            self.close()
        self._size = self._position = self.last = 0

    def close(self) -> None:
        """Leave the file to whoever picks it up."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            _open.discard(self)
            os.close(self._file)
            self._file = None

    def _create(self) -> int:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sum(_size_of(path) for path in spools(folder)) >= self._total_bytes:
            raise OSError(
                errno.ENOSPC, f"the spools of {folder} have the {self._total_bytes:,} bytes they may"
            )
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        head = msgspec.json.encode(self.header) + b"\n"
        try:
            os.pwrite(file, head, 0)
        except OSError:
            os.close(file)
            self.path.unlink(missing_ok=True)
            raise
        self._size = self._position = len(head)
        _open.add(self)
        return file


_open: Final[weakref.WeakSet[Spool]] = weakref.WeakSet()


def _in_child() -> None:
    """Close a forked child's copies: the lock is the producer's, and must end with it."""
    for spool in list(_open):
        if spool._file is not None:
            os.close(spool._file)
            spool._file = None


os.register_at_fork(after_in_child=_in_child)


class Left:
    """A spool that was left: untrusted, read in bounded steps. Holds its lock from `open` to `close`."""

    def __init__(self, path: Path, file: int, header: Header, position: int) -> None:
        self.path: Final = path
        self.header: Final = header
        self._file = file
        self._position = position

    @classmethod
    def open(cls, path: Path, *, force: bool = False) -> Self | None:
        """Open a spool; None when there is none, or its producer holds it (`force`: it is known to be gone).

        Raises `SpoolRefused` when it is none, or `OSError` when it cannot be read now.

        Args:
            path: The spool's file.
            force: Whether its producer is known to be gone, so that its lock does not count.

        """
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NOT_ITS_FAULT:
                raise
            raise SpoolRefused(f"expected a readable file: {error.strerror}") from error
        try:
            header, position = _checked(file, path.name, force=force)
        except BaseException:
            os.close(file)
            raise
        if header is None:
            os.close(file)
            return None
        return cls(path, file, header, position)

    def lines(self, *, max_events: int, max_bytes: int) -> list[bytes]:
        """Return the next lines; empty at the end. An unfinished last line is passed over.

        Raises `SpoolRefused` for a line that is longer than any.

        Args:
            max_events: Most lines.
            max_bytes: Most bytes; one line is returned whatever its size.

        """
        lines: list[bytes] = []
        size = 0
        while len(lines) < max_events:
            line = _line_at(self._file, self._position)
            if not line.endswith(b"\n") or (lines and size + len(line) > max_bytes):
                break
            lines.append(line)
            size += len(line)
            self._position += len(line)
        return lines

    def remove(self) -> None:
        """Remove the file, all of which was taken, and close it. Where it cannot be removed it is found again."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Leave the file as it is."""
        os.close(self._file)


def _checked(file: int, name: str, *, force: bool) -> tuple[Header | None, int]:
    """Lock a spool and read whose it is, and where its events begin; None when it is its producer's."""
    seen = os.fstat(file)
    if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid():
        raise SpoolRefused("expected a regular file of this user's")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not force:
            return None, 0
    if os.fstat(file).st_nlink == 0:
        return None, 0  # its producer has just delivered it
    line = _line_at(file, 0)
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as error:
        raise SpoolRefused(f"line 1: expected whose events these are: {error}") from error
    if f"{header.run}{SUFFIX}" != name:
        raise SpoolRefused(
            f"expected {header.run[:60]!r} to be in the file of its name, found it in {name[:60]!r}"
        )
    return header, len(line)


def refuse(path: Path) -> None:
    """Put a file that cannot be used out of the way, and keep it for whoever wants to look into it."""
    with contextlib.suppress(OSError):
        path.rename(path.with_suffix(REFUSED_SUFFIX))


def spools(folder: Path, *, after: str = "") -> list[Path]:
    """Return the spools of a folder whose names come after that one, in their order, `MOST_FILES` of them at most."""
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        named = (entry.name for entry in found if entry.name.endswith(SUFFIX) and entry.name > after)
        return [folder / name for name in heapq.nsmallest(MOST_FILES, named)]
    return []


def _size_of(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _line_at(file: int, position: int) -> bytes:
    """Return the line at a position with its end; without one where the file ends before. Raises `SpoolRefused`."""
    parts = bytearray()
    step = 4_096
    while len(parts) <= _LONGEST_LINE:
        part = os.pread(file, step, position + len(parts))
        end = part.find(b"\n")
        if end >= 0:
            return bytes(parts + part[: end + 1])
        if not part:
            return bytes(parts)
        parts += part
        step = 65_536
    raise SpoolRefused(f"expected lines of at most {_LONGEST_LINE:,} bytes")
