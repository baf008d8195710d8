"""The tables of the log in SQLite. It makes them, or brings those of an older version to this one and keeps a copy."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Final

from streamer.model.events import TERMINAL
from streamer.protocol.private_files import create_private
from streamer.server.log.base import LogError

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 2
#: `ended`: when the streamer stored the end (POSIX seconds), NULL before. `bytes`: the size of the run's entries.
#: `gap`: the offset of its last removed entry; all later ones are there. `compact`: progress is removed up to this
#: offset, NULL when that is done. `lost`: the log lost its end before the run was over.
_RUNS_MORE: Final = (
    "ended REAL",
    "bytes INTEGER NOT NULL DEFAULT 0",
    "gap INTEGER NOT NULL DEFAULT 0",
    "compact INTEGER DEFAULT 0",
    "lost INTEGER NOT NULL DEFAULT 0",
)
_MORE: Final = """
CREATE INDEX runs_ended ON runs (ended) WHERE ended IS NOT NULL;
CREATE INDEX runs_compact ON runs (ended) WHERE ended IS NOT NULL AND compact IS NOT NULL;
CREATE INDEX entries_severe ON entries (run, "offset", level) WHERE kind = 'log' AND level >= 30;
CREATE TABLE doomed (run INTEGER PRIMARY KEY);
INSERT INTO meta VALUES ('gap', '0');
"""
_SCHEMA: Final = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    pipeline TEXT,
    status TEXT NOT NULL,
    words TEXT NOT NULL,
    acknowledged INTEGER NOT NULL,
    note BLOB NOT NULL,
    state BLOB NOT NULL,
    {", ".join(_RUNS_MORE)}
);
CREATE INDEX runs_status ON runs (status, key);
CREATE TABLE entries (
    "offset" INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    level INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX entries_run ON entries (run, "offset");
CREATE INDEX entries_lines ON entries (run, "offset", level) WHERE kind = 'log';
CREATE INDEX entries_failures ON entries (run, "offset") WHERE kind = 'failure';
{_MORE}"""


class LogVersionError(LogError):
    """A newer version wrote the file, or it is no log of ours."""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to the file for its one writer. Raises `sqlite3.Error`.

    Args:
        path: The file; it is made where there is none.

    Raises:
        sqlite3.Error: If the file cannot be opened, or is no database.
        OSError: If it cannot be made.

    """
    # The files that SQLite makes beside it have its mode.
    create_private(path)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # FULL: an acknowledged batch outlives a power cut. Requests share a commit, so few pay for it.
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or bring them to this version.

    Args:
        db: The writer's connection.
        path: The file, for messages and the copy of an older version.

    Raises:
        LogVersionError: A newer version wrote the file.
        sqlite3.Error: The file cannot be written.
        OSError: The copy cannot be made.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == 0 and tables == 0:
        _execute(db, _SCHEMA)
    elif version == 1:
        copy = _keep_copy(db, path, version)
        _execute(db, _from_version_1())
        logger.warning(
            "%s was brought to schema version %d; the old one is kept as %s", path, SCHEMA_VERSION, copy
        )
    elif version != SCHEMA_VERSION:
        raise _unknown(path, version)


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Check that no newer version wrote the file.

    Args:
        db: A connection to the file.
        path: The file, for messages.

    Raises:
        LogVersionError: A newer version wrote it.
        sqlite3.Error: The version cannot be read.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise _unknown(path, version)


def _unknown(path: Path, version: int) -> LogVersionError:
    return LogVersionError(
        f"{path} has schema version {version}; this version of panel-streamer reads {SCHEMA_VERSION}. "
        "Use the version that wrote it, or another folder (STREAMER_DATA)."
    )


def _execute(db: sqlite3.Connection, script: str) -> None:
    try:
        db.executescript(f"BEGIN IMMEDIATE;{script}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _keep_copy(db: sqlite3.Connection, path: Path, version: int) -> Path:
    copy = path.with_name(f"{path.stem}.v{version}{path.suffix}")
    part = copy.with_suffix(".part")
    part.unlink(missing_ok=True)
    target = sqlite3.connect(part)
    try:
        db.backup(target)
    except BaseException:
        target.close()
        part.unlink(missing_ok=True)
        raise
    target.close()
    part.replace(copy)
    return copy


def _from_version_1() -> str:
    over = ", ".join(f"'{status}'" for status in sorted(TERMINAL))
    columns = "".join(f"ALTER TABLE runs ADD COLUMN {column};" for column in _RUNS_MORE)
    return f"""{columns}{_MORE}
UPDATE runs SET ended = coalesce(json_extract(CAST(state AS TEXT), '$.ended'), 0) WHERE status IN ({over});
UPDATE runs SET bytes = coalesce((SELECT sum(length(body)) FROM entries WHERE run = runs.key), 0);
"""  # noqa: S608 - constants
