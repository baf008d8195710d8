"""`Store`: a file beside the log with what estimates learn from: one `Past` for each run. One thread uses it.

Why not the log: all of it can be made again from the log, but for what was said. A damaged file is removed and begun
again, and no reader or writer of the log waits for it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from streamer.protocol.private_files import create_private
from streamer.server.estimates.past import Past, decode, encode

logger = logging.getLogger(__name__)

_SCHEMA = "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID"


class Store:
    """See the module. It opens the file at the first use. Where the disk refuses it keeps nothing, and says so once.

    Args:
        path: The file; it is made where there is none.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._said = False

    def get(self, run_id: str) -> Past | None:
        """Return what is kept of a run; None: nothing that can be read."""
        try:
            row = self._open().execute("SELECT body FROM runs WHERE id = ?", (run_id,)).fetchone()
            return None if row is None else decode(row[0])
        except msgspec.DecodeError:
            return None
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return None

    def put(self, run_id: str, past: Past) -> None:
        """Keep a run, in the place of what is kept of it.

        Args:
            run_id: Its id.
            past: What to keep.

        """
        try:
            self._open().execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (run_id, encode(past)))
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def remove(self, run_ids: Iterable[str]) -> None:
        """Forget runs."""
        try:
            self._open().executemany("DELETE FROM runs WHERE id = ?", [(run_id,) for run_id in run_ids])
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            create_private(self._path)
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5.0)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                # A power cut may take the newest rows; they are made again.
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute(_SCHEMA)
            except sqlite3.Error:
                db.close()
                raise
            self._db = db
        return self._db

    def _failed(self, error: Exception) -> None:
        self.close()
        if isinstance(error, sqlite3.OperationalError | OSError):
            if not self._said:
                self._said = True
                logger.warning("%s cannot be used: %s. Estimates do without", self._path, error)
            return
        logger.warning("%s was damaged (%s); it is begun again", self._path, error)
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
