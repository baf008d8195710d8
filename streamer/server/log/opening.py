"""`open_file`: opens the log's file for its writer: mends a damaged one, and notices one that was cut short.

It reads and writes no events.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from streamer.model.events import TERMINAL
from streamer.server.log.salvage import find_damage, salvage
from streamer.server.log.tables import connect, prepare
from streamer.server.log.watermark import Mark, Watermark
from streamer.server.log.writer import transaction

logger = logging.getLogger(__name__)


class Opened(Struct, frozen=True):
    """An open log: its connection for writing, its epoch, and the offsets of its last entry and last gap."""

    db: sqlite3.Connection
    epoch: str
    head: int
    gap: int


def open_file(
    path: Path, watermark: Watermark, *, now: Callable[[], float], epoch: Callable[[], str]
) -> Opened:
    """Open or make the log's file.

    A log that lost its end, or was salvaged, gets a new epoch: readers may know entries that it does not hold.

    Args:
        path: The file.
        watermark: The file beside it.
        now: The wall clock, POSIX seconds.
        epoch: Makes a new epoch.

    Returns:
        The open log.

    Raises:
        LogVersionError: A newer version wrote the file, or it is no log.
        sqlite3.Error: SQLite cannot open it.
        OSError: The files cannot be used.
    """
    seen = watermark.read()
    salvaged = _mend(path, seen, now())
    db = connect(path)
    try:
        prepare(db, path)
        # Its own statement: after a crash behind the schema the log has no epoch, and gets one now.
        db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (epoch(),))
        name = str(db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
        head = row[0] if row else 0
        if salvaged or _is_shorter(path, seen, name, head):
            head = max(head, 0 if seen is None else seen.head)
            name = epoch()
            _rename(db, name, head)
        gap = int(db.execute("SELECT value FROM meta WHERE key = 'gap'").fetchone()[0])
        watermark.write(name, head)
    except BaseException:
        db.close()
        raise
    return Opened(db, name, head, gap)


def _mend(path: Path, seen: Mark | None, now: float) -> bool:
    """Look whether the file is damaged; if so, put the readable part in its place. Return whether that was done."""
    condition = "open" if seen is None else seen.condition
    damage = find_damage(
        path, known=seen is not None, clean=condition == "closed", suspect=condition == "damaged"
    )
    if damage is None:
        return False
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    found = salvage(path, head=seen.head if seen is not None else 0, stamp=stamp)
    logger.warning(
        "%s was damaged (%s); it is kept as %s. Taken over: %d runs, %d entries",
        path, damage, found.kept, found.runs, found.entries,
    )  # fmt: skip
    return True


def _is_shorter(path: Path, seen: Mark | None, epoch: str, head: int) -> bool:
    """Return whether readers may know entries that a log, which ends at `head`, does not hold."""
    if seen is None or seen.epoch != epoch:
        # A copy, or a file in the place of another one. An empty log has just got its own epoch.
        return head > 0
    if head < seen.head:
        logger.warning("%s ends at %d and had come to %d: its end was lost", path, head, seen.head)
    return head < seen.head


def _rename(db: sqlite3.Connection, epoch: str, head: int) -> None:
    """Give the log another epoch, and offsets beyond all that readers may know."""
    over = ", ".join(f"'{status}'" for status in sorted(TERMINAL))
    with transaction(db):
        db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
        db.execute("DELETE FROM sqlite_sequence WHERE name = 'entries'")
        db.execute("INSERT INTO sqlite_sequence VALUES ('entries', ?)", (head,))
        db.execute(f"UPDATE runs SET lost = 1 WHERE status NOT IN ({over})")  # noqa: S608 - constants
