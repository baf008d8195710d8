"""`SqliteLog`: the event log in one SQLite file. It joins the parts of this package: one thread writes, any reads.

`opening` opens the file, `writer` commits what `run_states` changes, `queries` reads, `retention` removes.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from streamer.model.events import Entry
from streamer.model.state import RunState
from streamer.protocol.paging import FAILURES_PER_PAGE, LINES_PER_PAGE, RUNS_PER_PAGE
from streamer.protocol.run_filter import EVERY_RUN, NEWEST_FIRST, RunFilter
from streamer.server.log.base import (
    MOVES_PER_PAGE,
    Appended,
    Draft,
    Found,
    Listener,
    LogUnavailable,
    RunRecord,
    Stored,
)
from streamer.server.log.damage import Damage
from streamer.server.log.opening import open_file
from streamer.server.log.queries import Queries
from streamer.server.log.retention import KEEP_ALL, Retention
from streamer.server.log.run_states import RunStates
from streamer.server.log.salvage import is_damage
from streamer.server.log.watermark import Watermark
from streamer.server.log.writer import Writer

logger = logging.getLogger(__name__)


class SqliteLog:
    """See `EventLog`. The file is in WAL mode; every commit reaches the disk before it is acknowledged.

    A watermark beside it (`log.head`) records how far it had come: a log that comes back shorter gets a new epoch. A
    damaged log is kept under another name, and its readable part goes on in a fresh file.

    Close it where it was made.
    """

    def __init__(
        self,
        path: Path,
        *,
        commit_seconds: float = 0.01,
        keep: Retention = KEEP_ALL,
        tend_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        epoch: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> None:
        """Open or make the log.

        Args:
            path: The file.
            commit_seconds: How long the writer gathers events before it commits again; the first events after a pause
                are stored at once.
            keep: The runs and entries that stay.
            tend_seconds: Seconds between two looks for what need not be kept.
            clock: Monotonic clock, in seconds.
            now: Wall clock, in POSIX seconds.
            epoch: Makes a new epoch.

        Raises:
            LogVersionError: A newer version wrote the file, or it is no log.
            LogUnavailable: The file cannot be opened.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._watermark = Watermark(path.with_suffix(".head"))
            try:
                opened = open_file(path, self._watermark, now=now, epoch=epoch)
            except BaseException:
                self._watermark.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise LogUnavailable(f"cannot open the log {path}: {error}") from error
        self._db, self._epoch = opened.db, opened.epoch
        self._damage = Damage()
        self._states = RunStates(opened.db, opened.epoch, opened.head, self._damage)
        self._writer = Writer(
            opened.db,
            self._states,
            self._watermark,
            epoch=opened.epoch,
            gap=opened.gap,
            commit_seconds=commit_seconds,
            keep=keep,
            tend_seconds=tend_seconds,
            clock=clock,
            now=now,
            suspect=self._suspect,
        )
        self._queries = Queries(
            path,
            opened.epoch,
            gap=lambda: self._writer.gap,
            suspect=self._suspect,
            damage=self._damage,
        )
        self._writer.start()

    def close(self) -> None:
        self._queries.stop()
        if not self._writer.close():
            return
        self._queries.close()
        self._db.close()
        self._watermark.write(self._epoch, self._states.head, "closed")
        self._watermark.close()

    def _suspect(self, error: sqlite3.Error) -> None:
        """Record that SQLite found the file damaged: when it is opened again, it is checked and mended."""
        if is_damage(error) and not self._watermark.is_damaged:
            logger.error(
                "%s is damaged: %s. Start again to go on with what can be read of it", self._path, error
            )
            self._watermark.write(self._epoch, self._writer.head, "damaged")

    # -- writing -------------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> str:
        return self._epoch

    def set_listener(self, listener: Listener | None) -> None:
        self._writer.listener = listener

    def create(self, run_id: str, drafts: Sequence[Draft], *, note: bytes) -> Future[Appended]:
        states = self._states
        return self._writer.submit(
            lambda: states.create(run_id, drafts, note), events=len(drafts), run_id=run_id
        )

    def append(
        self, run_id: str, drafts: Sequence[Draft], *, first_seq: int | None = None
    ) -> Future[Appended]:
        states = self._states
        return self._writer.submit(
            lambda: states.append(run_id, drafts, first_seq), events=len(drafts), run_id=run_id
        )

    def set_share(self, run_id: str, share: float | None) -> None:
        self._states.set_share(run_id, share)

    def annotate(self, run_id: str, note: bytes) -> Future[None]:
        states = self._states
        return self._writer.submit(lambda: states.annotate(run_id, note), events=1, run_id=run_id)

    def head(self) -> int:
        return self._writer.head

    def damage(self) -> str:
        return str(self._damage)

    def trouble(self) -> str | None:
        return self._writer.trouble

    def check(self) -> Future[None]:
        return self._writer.check()

    # -- reading -------------------------------------------------------------------------------------------------------

    def holds(self, run_id: str | None, after: int) -> bool:
        return self._queries.holds(run_id, after)

    def read(self, after: int, *, limit: int, run_id: str | None = None) -> list[Stored]:
        return self._queries.read(after, limit=limit, run_id=run_id)

    def run(self, run_id: str) -> RunRecord | None:
        return self._queries.run(run_id)

    def runs(
        self,
        wanted: RunFilter = EVERY_RUN,
        *,
        sort: str = NEWEST_FIRST,
        before: str | None = None,
        limit: int = RUNS_PER_PAGE,
    ) -> list[RunState]:
        return self._queries.runs(wanted, sort=sort, before=before, limit=limit)

    def total(self, wanted: RunFilter = EVERY_RUN) -> int:
        return self._queries.total(wanted)

    def moves(self, run_id: str, *, after: int = 0, limit: int = MOVES_PER_PAGE) -> list[Entry]:
        return self._queries.moves(run_id, after=after, limit=limit)

    def counts(self) -> dict[str, int]:
        return self._queries.counts()

    def lines(
        self,
        run_id: str,
        *,
        level: int = 0,
        before: int | None = None,
        after: int | None = None,
        limit: int = LINES_PER_PAGE,
    ) -> list[Entry]:
        return self._queries.lines(run_id, level=level, before=before, after=after, limit=limit)

    def search(
        self,
        run_id: str,
        text: str,
        *,
        level: int = 0,
        before: int | None = None,
        after: int | None = None,
        limit: int = LINES_PER_PAGE,
    ) -> Found:
        return self._queries.search(run_id, text, level=level, before=before, after=after, limit=limit)

    def failures(self, run_id: str, *, after: int = 0, limit: int = FAILURES_PER_PAGE) -> list[Entry]:
        return self._queries.failures(run_id, after=after, limit=limit)
