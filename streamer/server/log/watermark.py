"""`Watermark`: a small file beside the log that records how far the log had come. It reveals a log cut short."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

logger = logging.getLogger(__name__)

#: `open`: a streamer writes the log, or was killed; `closed`: all was stored; `damaged`: SQLite found the file damaged.
Condition = Literal["open", "closed", "damaged"]
_CONDITIONS: Final[dict[str, Condition]] = {"open": "open", "closed": "closed", "damaged": "damaged"}
#: Bytes of the file. Every line has this length and is written in one call, within one block of the disk.
_LENGTH: Final = 80


class Mark(Struct, frozen=True):
    """The content of a watermark: the log's epoch, the offset of its last entry, and its condition."""

    epoch: str
    head: int
    condition: Condition


class Watermark:
    """The writer calls `write` after every commit, before any reader is told of it. Any thread may call it.

    The file is not synced: it outlives the process only. After a power cut it may name an earlier entry than the log
    holds, never a later one: commits are synced before it is written.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Args:
            path: The file.

        Raises:
            OSError: It cannot be opened.
        """
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._failed = False
        self._condition: Condition = "open"

    @property
    def is_damaged(self) -> bool:
        """Whether the log was found damaged since it was opened."""
        return self._condition == "damaged"

    def read(self) -> Mark | None:
        """Return the last mark; None when there is none, or it cannot be read."""
        parts = os.pread(self._file, _LENGTH, 0).decode("ascii", "replace").split()
        if len(parts) != 3 or not parts[1].isdigit() or parts[2] not in _CONDITIONS:
            return None
        return Mark(parts[0], int(parts[1]), _CONDITIONS[parts[2]])

    def write(self, epoch: str, head: int, condition: Condition = "open") -> None:
        """Record how far the log has come. A disk that refuses it costs the log nothing: it has stored its entries.

        Args:
            epoch: The log's epoch.
            head: Offset of its last entry.
            condition: Its condition; a log that was damaged once stays damaged.
        """
        if not self.is_damaged:
            self._condition = condition
        line = f"{epoch} {head} {self._condition}".ljust(_LENGTH - 1) + "\n"
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
