"""`SqliteLog`: the event log in one SQLite file. One thread writes, joining what waits in a commit; any reads."""

from __future__ import annotations

import contextlib
import logging
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec

from streamer.model.bounds import NAME_LIMIT, bounded
from streamer.model.events import (
    LEVELS,
    STREAMER_LOGGER,
    TERMINAL,
    Entry,
    Event,
    Logged,
    decode_event,
    encode_event,
    kind,
)
from streamer.model.reducer import with_retry
from streamer.model.settling import advance
from streamer.model.state import RunState, decode_state, encode_state
from streamer.protocol.frames import REMOVED, Removed, Row, framer, removed_frame
from streamer.protocol.pages import FAILURES_PER_PAGE, LINES_PER_PAGE, RUNS_PER_PAGE
from streamer.server.log.base import (
    Appended,
    Draft,
    EntriesGone,
    Found,
    Listener,
    LogError,
    LogUnavailable,
    RunEnded,
    RunRecord,
    SequenceGap,
    Stored,
    UnknownRun,
)
from streamer.server.log.retention import KEEP_ALL, Retention, tend
from streamer.server.log.salvage import find_damage, is_damage, salvage
from streamer.server.log.tables import connect, prepare
from streamer.server.log.watermark import Testimony, Witness, Word

logger = logging.getLogger(__name__)

#: Lines that one search looks at, some tenths of a second; who wants more goes on from there.
_LINES_PER_SEARCH: Final = 100_000
_LAST_OFFSET: Final = 2**63 - 1
#: Bytes that must find room when it is looked whether the log can be written again.
_CHECKED_BYTES: Final = 65_536
#: Seconds between two slices of what is removed.
_BETWEEN_SLICES: Final = 0.05
#: States of runs that are over stay in memory up to this number; those under way always do.
_STATES_KEPT: Final = 500
#: At most this many events share a commit, so that the first of them does not wait for ever.
_EVENTS_PER_COMMIT: Final = 20_000
#: Statements by how many rows they insert: for each the writer gives up the interpreter and may have to wait for it.
_INSERTS: Final = {
    rows: "INSERT INTO entries VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * rows)  # noqa: S608 - constants
    for rows in (100, 30, 10, 3, 1)
}


class _Run(msgspec.Struct):
    key: int
    state: RunState
    acknowledged: int
    bytes: int
    lost: bool = False


class _Job(msgspec.Struct):
    work: Callable[[], Any]
    future: Future[Any]
    events: int
    run_id: str


class SqliteLog:
    """See `EventLog`. The file is in WAL mode; every commit reaches the disk before it is acknowledged.

    A witness beside it (`log.head`) knows how far it had come: a log that has come back shorter gets a new epoch. One
    that is damaged is kept under another name, and what can be read of it goes on in a fresh one.

    `commit_seconds` is how long the writer gathers what comes in before it commits again, until as much has come as the
    last time; what arrives after a pause is stored at once. `keep`: what is removed, looked at every `tend_seconds`.
    `now` is the wall clock, in POSIX seconds.
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
        """Open or make the log. Raises `LogVersionError`, or `LogUnavailable` when the file cannot be opened."""
        self._path = path
        self._commit_seconds = commit_seconds
        self._keep = keep
        self._tend_seconds = tend_seconds
        self._clock = clock
        self._now = now
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._listener: Listener | None = None
        self._closed = False
        self._gate = threading.Lock()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._runs: dict[str, _Run] = {}
        self._touched: dict[str, _Run] = {}
        # Runs that other ones repeat, of this commit: their states changed without an entry of their own.
        self._linked: set[str] = set()
        self._rows: list[Row] = []
        self._trouble: str | None = None
        self._word: Word = "open"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._witness = Witness(path.with_suffix(".head"))
            try:
                self._db = self._open(epoch)
            except BaseException:
                self._witness.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise LogUnavailable(f"cannot open the log {path}: {error}") from error
        self._thread = threading.Thread(target=self._write, name="streamer-log", daemon=True)
        self._thread.start()

    def _open(self, epoch: Callable[[], str]) -> sqlite3.Connection:
        seen = self._witness.read()
        salvaged = self._mend(seen)
        db = connect(self._path)
        try:
            prepare(db, self._path)
            # Its own statement: a crash after the schema leaves a log without a name, which gets one now.
            db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (epoch(),))
            (self._epoch,) = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
            head = row[0] if row else 0
            if salvaged or self._is_shorter(seen, head):
                head = max(head, 0 if seen is None else seen.head)
                self._begin_anew(db, epoch(), head)
            self._committed_head = self._head = head
            self._gap = int(db.execute("SELECT value FROM meta WHERE key = 'gap'").fetchone()[0])
            self._witness.write(self._epoch, self._head)
        except BaseException:
            db.close()
            raise
        return db

    def _mend(self, seen: Testimony | None) -> bool:
        """Look whether the file is damaged; if so, go on with what can be read of it, and say so."""
        word = "open" if seen is None else seen.word
        damage = find_damage(
            self._path, known=seen is not None, clean=word == "closed", suspect=word == "damaged"
        )
        if damage is None:
            return False
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
        found = salvage(self._path, head=seen.head if seen is not None else 0, stamp=stamp)
        logger.warning(
            "%s was damaged (%s); it is kept as %s. Taken over: %d runs, %d entries",
            self._path, damage, found.kept, found.runs, found.entries,
        )  # fmt: skip
        return True

    def _is_shorter(self, seen: Testimony | None, head: int) -> bool:
        """Say whether entries may be missing that somebody knows of, in the log that is open and ends at `head`."""
        if seen is None or seen.epoch != self._epoch:
            # A copy, or one that was put in the place of another. An empty one has its own name already.
            return head > 0
        if head < seen.head:
            logger.warning("%s ends at %d and had come to %d: its end was lost", self._path, head, seen.head)
        return head < seen.head

    def _begin_anew(self, db: sqlite3.Connection, epoch: str, head: int) -> None:
        """Give the log another name: entries that readers may know are not in it any more."""
        over = ", ".join(f"'{status}'" for status in sorted(TERMINAL))
        with _transaction(db):
            db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
            db.execute("DELETE FROM sqlite_sequence WHERE name = 'entries'")
            db.execute("INSERT INTO sqlite_sequence VALUES ('entries', ?)", (head,))
            db.execute(f"UPDATE runs SET lost = 1 WHERE status NOT IN ({over})")  # noqa: S608 - constants
        self._epoch = epoch

    # -- what may be called from any thread ----------------------------------------------------------------------------

    @property
    def epoch(self) -> str:
        return str(self._epoch)

    def set_listener(self, listener: Listener | None) -> None:
        self._listener = listener

    def create(self, run_id: str, drafts: Sequence[Draft], *, note: bytes) -> Future[Appended]:
        return self._submit(lambda: self._create(run_id, drafts, note), len(drafts), run_id)

    def append(
        self, run_id: str, drafts: Sequence[Draft], *, first_seq: int | None = None
    ) -> Future[Appended]:
        return self._submit(lambda: self._append(run_id, drafts, first_seq), len(drafts), run_id)

    def annotate(self, run_id: str, note: bytes) -> Future[None]:
        return self._submit(lambda: self._annotate(run_id, note), 1, run_id)

    def head(self) -> int:
        return self._committed_head

    def trouble(self) -> str | None:
        return self._trouble

    def check(self) -> Future[None]:
        return self._submit(self._touch, 1, "")

    def holds(self, run_id: str | None, after: int) -> bool:
        if after >= self._gap:
            return True
        with self._reading() as db:
            return _holds(db, run_id, after)

    def read(self, after: int, *, limit: int, run_id: str | None = None) -> list[Stored]:
        with self._reading() as db:
            if run_id is None:
                rows = db.execute(
                    "SELECT e.*, r.id FROM entries e LEFT JOIN runs r ON r.key = e.run"
                    ' WHERE e."offset" > ? AND (r.id IS NOT NULL OR e.kind = ?) ORDER BY e."offset" LIMIT ?',
                    (after, REMOVED, limit),
                ).fetchall()
            else:
                rows = db.execute(
                    "SELECT *, ? FROM entries"
                    ' WHERE run = (SELECT key FROM runs WHERE id = ?) AND "offset" > ? ORDER BY "offset" LIMIT ?',
                    (run_id, run_id, after, limit),
                ).fetchall()
            # Only now: what these rows do not show any more was said to be gone before it went.
            if after < self._gap and not _holds(db, run_id, after):
                raise EntriesGone(after)
        found: list[Stored] = []
        for run, group in groupby(rows, itemgetter(-1)):
            of_run: list[Row] = [row[:-1] for row in group]
            if run is None:
                found += [self._word_of(row) for row in of_run]
                continue
            frames = framer(self.epoch, run)(of_run)
            found += [Stored(row[0], run, row[4], frame) for row, frame in zip(of_run, frames, strict=True)]
        return found

    def _word_of(self, row: Row) -> Stored:
        """Return an entry of no run: that the run which it names was removed."""
        offset, _, _, when, name, _, body = row
        removed = Removed(offset, body.decode(), when)
        return Stored(offset, removed.run_id, name, removed_frame(removed, self.epoch))

    def run(self, run_id: str) -> RunRecord | None:
        with self._reading() as db:
            row = db.execute("SELECT state, acknowledged, note FROM runs WHERE id = ?", (run_id,)).fetchone()
        return None if row is None else RunRecord(decode_state(row[0]), row[1], row[2])

    def runs(
        self,
        *,
        status: Sequence[str] = (),
        pipeline: str | None = None,
        search: str = "",
        before: str | None = None,
        limit: int = RUNS_PER_PAGE,
    ) -> list[RunState]:
        where: list[str] = ["1"]
        values: list[Any] = []
        with self._reading() as db:
            if before is not None:
                row = db.execute("SELECT key FROM runs WHERE id = ?", (before,)).fetchone()
                if row is None:
                    raise UnknownRun(before)
                where.append("key < ?")
                values.append(row[0])
            if status:
                where.append(f"status IN ({','.join('?' * len(status))})")
                values.extend(status)
            if pipeline is not None:
                where.append("pipeline = ?")
                values.append(pipeline)
            for word in search.casefold().split():
                where.append("instr(words, ?)")
                values.append(word)
            rows = db.execute(
                f"SELECT state FROM runs WHERE {' AND '.join(where)} ORDER BY key DESC LIMIT ?",  # noqa: S608 - constants
                (*values, limit),
            ).fetchall()
        return [decode_state(row[0]) for row in rows]

    def counts(self) -> dict[str, int]:
        with self._reading() as db:
            return dict(db.execute("SELECT status, count(*) FROM runs GROUP BY status"))

    def lines(
        self,
        run_id: str,
        *,
        level: int = 0,
        before: int | None = None,
        after: int | None = None,
        limit: int = LINES_PER_PAGE,
    ) -> list[Entry]:
        forward = before is None and after is not None
        where, values, order = _lines_asked(run_id, level, before, after)
        with self._reading() as db:
            rows = db.execute(
                f'SELECT "offset", seq, time, body FROM entries WHERE {where} {order} LIMIT ?',  # noqa: S608 - constants
                (*values, limit),
            ).fetchall()
        found = [Entry(offset, run_id, seq, when, decode_event(body)) for offset, seq, when, body in rows]
        return found if forward else found[::-1]

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
        forward = before is None and after is not None
        where, values, order = _lines_asked(run_id, level, before, after)
        found: list[Entry] = []
        with self._reading() as db:
            # The index alone says where so many lines end.
            row = db.execute(
                f'SELECT "offset" FROM entries WHERE {where} {order} LIMIT 1 OFFSET ?',  # noqa: S608 - constants
                (*values, _LINES_PER_SEARCH - 1),
            ).fetchone()
            reached: int | None = None if row is None else row[0]
            rows = db.execute(
                f'SELECT "offset", seq, time, body FROM entries WHERE {where}'  # noqa: S608 - constants
                # A quick look into the JSON; what it finds elsewhere than in the message is passed over below.
                f' AND "offset" {"<=" if forward else ">="} ? AND instr(lower(CAST(body AS TEXT)), lower(?)) {order}',
                (
                    *values,
                    reached if reached is not None else _LAST_OFFSET if forward else 0,
                    msgspec.json.encode(text)[1:-1].decode(),
                ),
            )
            for offset, seq, when, body in rows:
                event = decode_event(body)
                if isinstance(event, Logged) and _ascii_lower(text) in _ascii_lower(event.message):
                    found.append(Entry(offset, run_id, seq, when, event))
                    if len(found) == limit:
                        reached = None
                        break
        return Found(found if forward else found[::-1], reached)

    def failures(self, run_id: str, *, after: int = 0, limit: int = FAILURES_PER_PAGE) -> list[Entry]:
        with self._reading() as db:
            rows = db.execute(
                'SELECT "offset", seq, time, body FROM entries WHERE run = (SELECT key FROM runs WHERE id = ?)'
                ' AND kind = \'failure\' AND "offset" > ? ORDER BY "offset" LIMIT ?',
                (run_id, after, limit),
            ).fetchall()
        return [Entry(offset, run_id, seq, when, decode_event(body)) for offset, seq, when, body in rows]

    def close(self) -> None:
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        for reader in self._readers:
            reader.close()
        self._db.close()
        self._witness.write(self._epoch, self._head, "damaged" if self._word == "damaged" else "closed")
        self._witness.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's own connection for reading, within one consistent view of the file."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            with self._gate:
                if self._closed:
                    raise LogUnavailable("the log is closed")
                db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5.0)
                db.execute("PRAGMA query_only = ON")
                self._readers.append(db)
            self._local.db = db
        try:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._suspect(error)
            raise LogUnavailable(f"cannot read the log: {error}") from error

    def _suspect(self, error: BaseException) -> None:
        """Note that the file was found to be damaged: opened again, it is looked through and mended."""
        if is_damage(error) and self._word != "damaged":
            self._word = "damaged"
            logger.error(
                "%s is damaged: %s. Start again to go on with what can be read of it", self._path, error
            )
            self._witness.write(self._epoch, self._committed_head, self._word)

    def _submit(self, work: Callable[[], Any], events: int, run_id: str) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._gate:
            if self._closed:
                future.set_exception(LogUnavailable("the log is closed"))
            else:
                self._jobs.put(_Job(work, future, events, run_id))
        return future

    # -- the writer thread ---------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Take what waits, store it in one commit, then tell. Nothing else writes, in no other thread."""
        last = self._clock() - self._commit_seconds
        tend_at = self._clock() + self._tend_seconds
        closing, expected = False, 1
        while not closing:
            if self._clock() >= tend_at:
                # Slices leave the most of the time to what comes in.
                tend_at = self._clock() + (_BETWEEN_SLICES if self._tend() else self._tend_seconds)
            try:
                job = self._jobs.get(timeout=max(tend_at - self._clock(), 0))
            except queue.Empty:
                continue
            if job is None:
                break
            jobs, events = [job], job.events
            until = last + self._commit_seconds
            while events < _EVENTS_PER_COMMIT:
                try:
                    # Producers wait for their answers: when all have sent again, nothing more will come.
                    wait = until - self._clock() if len(jobs) < expected else 0.0
                    job = self._jobs.get(timeout=wait) if wait > 0 else self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    closing = True
                    break
                jobs.append(job)
                events += job.events
            self._commit(jobs)
            last, expected = self._clock(), len(jobs)

    def _commit(self, jobs: Sequence[_Job]) -> None:
        before_head, before_runs = self._head, self._states_of(jobs)
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                try:
                    outcomes.append((job, job.work(), None))
                except LogError as error:
                    outcomes.append((job, None, error))
            self._store()
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread's outermost line: every job gets an answer
            # Nothing of this commit was stored, so nothing of it may be remembered.
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            self._head = before_head
            self._touched.clear()
            self._rows.clear()
            for run_id, run in before_runs.items():
                if run is None:
                    self._runs.pop(run_id, None)
                else:
                    self._runs[run_id] = run
            for run_id in self._linked:
                self._runs.pop(run_id, None)
            self._linked.clear()
            if not isinstance(error, sqlite3.Error) and len(jobs) > 1:
                # One batch that cannot be stored must not take its neighbours with it.
                for job in jobs:
                    self._commit([job])
                return
            refused = LogUnavailable if isinstance(error, sqlite3.Error) else LogError
            outcomes = [(job, None, refused(f"cannot write the log: {error}")) for job in jobs]
            if isinstance(error, sqlite3.Error):
                self._trouble = f"cannot write the log: {error}"
                self._suspect(error)
        else:
            self._trouble = None
        self._committed_head = self._head
        self._linked.clear()
        if self._head != before_head:
            # Before anybody is told: what somebody knows of, the witness knows of.
            self._witness.write(self._epoch, self._head, self._word)
        self._tell([result for _, result, _ in outcomes if isinstance(result, Appended) and result.entries])
        for job, result, failure in outcomes:
            if failure is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(failure)
        self._forget()

    def _store(self) -> None:
        """Write the entries of this commit, and beside them, once, the state of every run that it appends to."""
        rows, stored = self._rows, 0
        for number, statement in _INSERTS.items():
            while len(rows) - stored >= number:
                values = tuple(chain.from_iterable(rows[stored : stored + number]))
                self._db.execute(statement, values)
                stored += number
        rows.clear()
        now = self._now()
        self._db.executemany(
            "UPDATE runs SET status = ?, pipeline = ?, acknowledged = ?, state = ?,"
            " ended = CASE WHEN ? THEN coalesce(ended, ?) END, bytes = ?, lost = ? WHERE key = ?",
            [
                (
                    run.state.status,
                    run.state.pipeline,
                    run.acknowledged,
                    encode_state(run.state),
                    run.state.is_over,
                    now,
                    run.bytes,
                    run.lost,
                    run.key,
                )
                for run in self._touched.values()
            ],
        )
        self._touched.clear()

    def _tend(self) -> bool:
        """Remove a slice of what need not be kept; say whether there is more."""
        try:
            with _transaction(self._db):
                done = tend(self._db, self._keep, self._now(), self._head)
                # Before the commit: see `read`.
                self._gap = max(self._gap, done.gap)
        except sqlite3.Error as error:
            logger.warning("cannot remove from the log what need not be kept: %s", error)
            return False
        if done.removed is not None:
            self._runs.pop(done.removed.run_id, None)
            self._committed_head = self._head = done.removed.offset
            self._witness.write(self._epoch, self._head, self._word)
            self._tell((done.removed,))
        return done.more

    def _tell(self, stored: Sequence[Appended | Removed]) -> None:
        # Looked at once: another thread may take it away meanwhile.
        listener = self._listener
        if stored and listener is not None:
            listener(stored)

    def _touch(self) -> None:
        # As much as a batch may be: room for a page or two is no room.
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('check', hex(zeroblob(?)))", (_CHECKED_BYTES // 2,)
        )

    def _states_of(self, jobs: Sequence[_Job]) -> dict[str, _Run | None]:
        states: dict[str, _Run | None] = {}
        for job in jobs:
            run = self._runs.get(job.run_id)
            states[job.run_id] = None if run is None else msgspec.structs.replace(run)
        return states

    def _forget(self) -> None:
        """Keep memory bounded: runs that are over go first in, first out."""
        excess = len(self._runs) - _STATES_KEPT
        if excess > 0:
            over = [run_id for run_id, run in self._runs.items() if run.state.is_over]
            for run_id in over[:excess]:
                del self._runs[run_id]

    def _load(self, run_id: str) -> _Run:
        run = self._runs.get(run_id)
        if run is None:
            row = self._db.execute(
                "SELECT key, state, acknowledged, bytes, lost FROM runs WHERE id = ?", (run_id,)
            ).fetchone()
            if row is None:
                raise UnknownRun(run_id)
            run = self._runs[run_id] = _Run(row[0], decode_state(row[1]), row[2], row[3], bool(row[4]))
        return run

    def _create(self, run_id: str, drafts: Sequence[Draft], note: bytes) -> Appended:
        state = RunState(run=run_id)
        if self._db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone():
            raise LogError(f"run {run_id} exists")
        cursor = self._db.execute(
            "INSERT INTO runs (id, status, words, acknowledged, note, state) VALUES (?, ?, '', 0, ?, ?)",
            (run_id, state.status, note, encode_state(state)),
        )
        assert cursor.lastrowid is not None
        run = self._runs[run_id] = _Run(cursor.lastrowid, state, 0, 0)
        appended = self._append(run_id, drafts, None)
        if run.state.retry_of is not None:
            self._link(run.state.retry_of, run_id)
        self._db.execute("UPDATE runs SET words = ? WHERE key = ?", (_words(run.state), run.key))
        return appended

    def _link(self, run_id: str, retry: str) -> None:
        """Note in a run's state that another one repeats it; nothing when it is not there any more."""
        with contextlib.suppress(UnknownRun):
            run = self._load(run_id)
            run.state = with_retry(run.state, retry)
            self._touched[run_id] = run
            self._linked.add(run_id)

    def _append(self, run_id: str, drafts: Sequence[Draft], first_seq: int | None) -> Appended:
        run = self._load(run_id)
        acknowledged = run.acknowledged
        if first_seq is not None:
            expected = acknowledged + 1
            if drafts and first_seq > expected:
                if not run.lost:
                    raise SequenceGap(expected, first_seq)
                # They were acknowledged, so their producer does not have them any more: the run goes on without them.
                acknowledged = first_seq - 1 + len(drafts)
                drafts = (_lost(first_seq - expected, drafts[0].time), *drafts)
            else:
                drafts = drafts[expected - first_seq :]
                acknowledged += len(drafts)
        if not drafts:
            return Appended(run_id, (), (), run.state, run.acknowledged)
        if run.state.is_over:
            raise RunEnded(run_id, run.state.status)
        first, seq = self._head + 1, run.state.seq + 1 - (self._head + 1)
        state, entries = advance(
            run.state,
            [
                Entry(offset, run_id, seq + offset, draft.time, bounded(draft.event))
                for offset, draft in enumerate(drafts, first)
            ],
        )
        rows: list[Row] = [
            (e.offset, run.key, e.seq, e.time, kind(e.event), _level(e.event), encode_event(e.event))
            for e in entries
        ]
        frames = framer(self.epoch, run_id)(rows)
        self._rows += rows
        size = run.bytes + sum([len(row[-1]) for row in rows])
        self._head += len(entries)
        run.state, run.acknowledged, run.bytes = state, acknowledged, size
        if first_seq is not None:
            run.lost = False
        self._touched[run_id] = run
        return Appended(run_id, tuple(entries), tuple(frames), state, acknowledged)

    def _annotate(self, run_id: str, note: bytes) -> None:
        run = self._load(run_id)
        self._db.execute("UPDATE runs SET note = ? WHERE key = ?", (note, run.key))


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _lines_asked(
    run_id: str, level: int, before: int | None, after: int | None
) -> tuple[str, list[Any], str]:
    """Return condition, its values, and order of the log lines that are asked for."""
    where = ["run = (SELECT key FROM runs WHERE id = ?)", "kind = 'log'"]
    values: list[Any] = [run_id]
    for condition, value in (
        ('"offset" < ?', before),
        ('"offset" > ?', after),
        ("level >= ?", level or None),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    if level >= LEVELS["WARNING"]:
        # In words of an index that has these few alone.
        where.append("level >= 30")
    forward = before is None and after is not None
    return " AND ".join(where), values, f'ORDER BY "offset" {"ASC" if forward else "DESC"}'


def _holds(db: sqlite3.Connection, run_id: str | None, after: int) -> bool:
    if run_id is None:
        row = db.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'gap'").fetchone()
    else:
        row = db.execute("SELECT gap FROM runs WHERE id = ?", (run_id,)).fetchone()
    # Without a row the run was removed, or is none, and the place lies before what went.
    return row is not None and after >= row[0]


def _lost(number: int, time: float) -> Draft:
    message = f"{number:,} events before this were lost with the end of the streamer's log"
    return Draft(Logged(type="warning", level="WARNING", logger=STREAMER_LOGGER, message=message), time)


def _level(event: Event) -> int | None:
    return LEVELS.get(event.level, LEVELS["INFO"]) if isinstance(event, Logged) else None


def _words(state: RunState) -> str:
    """Return what a search over runs looks into: id, title, pipeline, owner, host, program and parameters."""
    parameters = msgspec.json.encode(state.parameters).decode()[: 10 * NAME_LIMIT]
    return " ".join(
        (state.run, state.title, state.pipeline or "", state.owner, state.host, state.program, parameters)
    ).casefold()


def _ascii_lower(text: str) -> str:
    # As SQLite's lower() does it, so that both looks agree.
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
