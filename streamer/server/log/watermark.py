"""`Witness`: a small file beside the log that says how far the log had come, so that a log cut short is recognised."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

logger = logging.getLogger(__name__)

#: `open`: somebody writes, or was killed; `closed`: all was stored; `damaged`: the file was found not to be sound.
Word = Literal["open", "closed", "damaged"]
_WORDS: Final[dict[str, Word]] = {"open": "open", "closed": "closed", "damaged": "damaged"}
#: Bytes of the file: what is written is always as long, in one call, within one block.
_LENGTH: Final = 80


class Testimony(Struct, frozen=True):
    """What a witness says: the log's epoch, the offset of its last entry, and how it was left."""

    epoch: str
    head: int
    word: Word


class Witness:
    """Writes after every commit, before anybody is told of it. Not synced: it has to outlive a process only.

    After a power cut it may say less than the log holds, never more: commits are synced before it is written.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises `OSError`."""
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._failed = False

    def read(self) -> Testimony | None:
        """Return what was written last; None when there is nothing, or nothing that can be understood."""
        parts = os.pread(self._file, _LENGTH, 0).decode("ascii", "replace").split()
        if len(parts) != 3 or not parts[1].isdigit() or parts[2] not in _WORDS:
            return None
        return Testimony(parts[0], int(parts[1]), _WORDS[parts[2]])

    def write(self, epoch: str, head: int, word: Word = "open") -> None:
        """Say how far the log has come. A disk that refuses it costs the log nothing: what is stored is stored."""
        line = f"{epoch} {head} {word}".ljust(_LENGTH - 1) + "\n"
        try:
            os.pwrite(self._file, line.encode(), 0)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning("cannot write %s: %s", self._path, error)
            self._failed = True

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = -1
