"""`back_up` and `look_through`: a copy of a log that is in use, and how much of one can be read. They change no log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from streamer.protocol.private_files import create_private
from streamer.server.log.damage import Damage
from streamer.server.log.tables import check_version

#: Entries that are looked at between two words about how far it is.
_ROWS: Final = 10_000


class Looked(Struct, frozen=True):
    """How many runs and entries a log has, and the damage in words; empty: all can be read."""

    runs: int
    entries: int
    damage: str


def back_up(log: Path, target: Path) -> None:
    """Write a copy of a log as it is at this moment, with all that was acknowledged. Its streamer goes on meanwhile.

    Args:
        log: The log's file.
        target: The new file, for its owner alone. It appears when it is whole.

    Raises:
        FileExistsError: There is such a file.
        FileNotFoundError: There is no log.
        LogVersionError: A newer version wrote the log.
        sqlite3.Error: It cannot be read, or the copy cannot be written.
        OSError: The copy cannot be made.

    """
    if target.exists():
        raise FileExistsError(f"{target} exists already; name another file")
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    db = _opened(log)
    try:
        check_version(db, log)
        create_private(part)
        # One read of one moment: with the write-ahead log it keeps no writer waiting, however long it takes.
        db.execute("VACUUM INTO ?", (str(part),))
        part.rename(target)
    finally:
        db.close()
        part.unlink(missing_ok=True)


def look_through(log: Path, tell: Callable[[int, int], object]) -> Looked:
    """Read all entries and states of a log.

    Args:
        log: The log's file.
        tell: Called from time to time with the entries that were read, and with all there are.

    Returns:
        How many there are, and the damage.

    Raises:
        FileNotFoundError: There is no log.
        LogVersionError: A newer version wrote the log.
        sqlite3.Error: The file itself is damaged, or cannot be read now.

    """
    db = _opened(log)
    damage = Damage()
    try:
        check_version(db, log)
        runs = db.execute("SELECT id, state FROM runs").fetchall()
        for run_id, state in runs:
            damage.state(db, run_id, state)
        total = db.execute("SELECT count(*) FROM entries WHERE kind <> 'removed'").fetchone()[0]
        rows = db.execute("SELECT \"offset\", body FROM entries WHERE kind <> 'removed'")
        for read, (offset, body) in enumerate(rows, 1):
            damage.event(offset, body)
            if read % _ROWS == 0:
                tell(read, total)
        return Looked(len(runs), total, str(damage))
    finally:
        db.close()


def _opened(log: Path) -> sqlite3.Connection:
    if not log.is_file():
        raise FileNotFoundError(f"{log}: there is no log")
    return sqlite3.connect(log, isolation_level=None, timeout=30.0)
