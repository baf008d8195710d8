"""`SqliteLog`: the event log in one SQLite file. One thread writes, joining what waits in a commit; any reads."""

from __future__ import annotations

import contextlib
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import msgspec

from streamer.events import (
    LEVELS,
    NAME_LIMIT,
    Entry,
    Event,
    Logged,
    bounded,
    decode_event,
    encode_event,
    kind,
)
from streamer.log.base import (
    Appended,
    Draft,
    Listener,
    LogError,
    LogUnavailable,
    RunEnded,
    RunRecord,
    SequenceGap,
    Stored,
    UnknownRun,
)
from streamer.state import RunState, apply, decode_state, encode_state, settle, with_retry
from streamer.wire import entry_data, entry_frame

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    pipeline TEXT,
    status TEXT NOT NULL,
    words TEXT NOT NULL,
    acknowledged INTEGER NOT NULL,
    note BLOB NOT NULL,
    state BLOB NOT NULL
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
"""
#: States of runs that are over stay in memory up to this number; those under way always do.
_STATES_KEPT: Final = 500
#: At most this many events share a commit, so that the first of them does not wait for ever.
_EVENTS_PER_COMMIT: Final = 20_000


class LogVersionError(LogError):
    """The file was written by a newer version, or is not a log of ours."""


class _Run(msgspec.Struct):
    key: int
    state: RunState
    acknowledged: int


class _Job(msgspec.Struct):
    work: Callable[[], Any]
    future: Future[Any]
    events: int
    run_id: str


class SqliteLog:
    """See `EventLog`. The file is in WAL mode; every commit reaches the disk before it is acknowledged.

    `commit_seconds` is how long the writer gathers what comes in before it commits again, until as much has come as the
    last time; what arrives after a pause is stored at once. Close it where it was made.
    """

    def __init__(
        self,
        path: Path,
        *,
        commit_seconds: float = 0.01,
        clock: Callable[[], float] = time.monotonic,
        epoch: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> None:
        """Open or make the log. Raises `LogVersionError`, or `LogUnavailable` when the file cannot be opened."""
        self._path = path
        self._commit_seconds = commit_seconds
        self._clock = clock
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._open(epoch)
        except (OSError, sqlite3.Error) as error:
            raise LogUnavailable(f"cannot open the log {path}: {error}") from error
        self._thread = threading.Thread(target=self._write, name="streamer-log", daemon=True)
        self._thread.start()

    def _open(self, epoch: Callable[[], str]) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # FULL: an acknowledged batch outlives a power cut. Requests share a commit, so few pay for it.
            db.execute("PRAGMA synchronous = FULL")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version == 0 and tables == 0:
                db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
            elif version != SCHEMA_VERSION:
                raise _unknown_version(self._path, version)  # noqa: TRY301 - the connection is closed below
            # Its own statement: a crash after the schema leaves a log without a name, which gets one now.
            db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (epoch(),))
            (self._epoch,) = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
            self._committed_head = self._head = row[0] if row else 0
        except BaseException:
            db.close()
            raise
        return db

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

    def read(self, after: int, *, limit: int, run_id: str | None = None) -> list[Stored]:
        with self._reading() as db:
            if run_id is None:
                rows = db.execute(
                    'SELECT e."offset", r.id, e.seq, e.time, e.kind, e.body FROM entries e JOIN runs r ON r.key = e.run'
                    ' WHERE e."offset" > ? ORDER BY e."offset" LIMIT ?',
                    (after, limit),
                )
            else:
                rows = db.execute(
                    'SELECT "offset", ?, seq, time, kind, body FROM entries'
                    ' WHERE run = (SELECT key FROM runs WHERE id = ?) AND "offset" > ? ORDER BY "offset" LIMIT ?',
                    (run_id, run_id, after, limit),
                )
            return [
                Stored(
                    offset,
                    run,
                    name,
                    entry_frame(self.epoch, offset, name, entry_data(run, seq, when, body)),
                )
                for offset, run, seq, when, name, body in rows
            ]

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
        limit: int = 50,
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
        search: str = "",
        before: int | None = None,
        after: int | None = None,
        limit: int = 200,
    ) -> list[Entry]:
        forward = before is None and after is not None
        where = ["run = (SELECT key FROM runs WHERE id = ?)", "kind = 'log'"]
        values: list[Any] = [run_id]
        if before is not None:
            where.append('"offset" < ?')
            values.append(before)
        if after is not None:
            where.append('"offset" > ?')
            values.append(after)
        if level > 0:
            where.append("level >= ?")
            values.append(level)
        if search:
            # A quick look into the JSON; what it finds elsewhere than in the message is passed over below.
            where.append("instr(lower(CAST(body AS TEXT)), lower(?))")
            values.append(msgspec.json.encode(search)[1:-1].decode())
        found: list[Entry] = []
        with self._reading() as db:
            rows = db.execute(
                f'SELECT "offset", seq, time, body FROM entries WHERE {" AND ".join(where)}'  # noqa: S608 - constants
                f' ORDER BY "offset" {"ASC" if forward else "DESC"}',
                values,
            )
            for offset, seq, when, body in rows:
                event = decode_event(body)
                if search and not (
                    isinstance(event, Logged) and _ascii_lower(search) in _ascii_lower(event.message)
                ):
                    continue
                found.append(Entry(offset, run_id, seq, when, event))
                if len(found) == limit:
                    break
        return found if forward else found[::-1]

    def failures(self, run_id: str, *, after: int = 0, limit: int = 100) -> list[Entry]:
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
            raise LogUnavailable(f"cannot read the log: {error}") from error

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
        closing, expected = False, 1
        while not closing:
            job = self._jobs.get()
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
            self._store_states()
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread's outermost line: every job gets an answer
            # Nothing of this commit was stored, so nothing of it may be remembered.
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            self._head = before_head
            self._touched.clear()
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
        self._committed_head = self._head
        self._linked.clear()
        stored = [result for _, result, _ in outcomes if isinstance(result, Appended) and result.entries]
        if stored and self._listener is not None:
            self._listener(stored)
        for job, result, failure in outcomes:
            if failure is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(failure)
        self._forget()

    def _store_states(self) -> None:
        """Write the state of every run that this commit appends to, once, beside its entries."""
        self._db.executemany(
            "UPDATE runs SET status = ?, pipeline = ?, acknowledged = ?, state = ? WHERE key = ?",
            [
                (run.state.status, run.state.pipeline, run.acknowledged, encode_state(run.state), run.key)
                for run in self._touched.values()
            ],
        )
        self._touched.clear()

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
                "SELECT key, state, acknowledged FROM runs WHERE id = ?", (run_id,)
            ).fetchone()
            if row is None:
                raise UnknownRun(run_id)
            run = self._runs[run_id] = _Run(row[0], decode_state(row[1]), row[2])
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
        run = self._runs[run_id] = _Run(cursor.lastrowid, state, 0)
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
        if first_seq is not None:
            expected = run.acknowledged + 1
            if drafts and first_seq > expected:
                raise SequenceGap(expected, first_seq)
            drafts = drafts[expected - first_seq :]
        if not drafts:
            return Appended(run_id, (), (), run.state, run.acknowledged)
        if run.state.is_over:
            raise RunEnded(run_id, run.state.status)
        state, offset = run.state, self._head
        entries: list[Entry] = []
        rows = []
        frames = []
        for draft in drafts:
            offset += 1
            seq = state.seq + 1
            entry = Entry(offset, run_id, seq, draft.time, bounded(draft.event))
            state = apply(state, entry)
            event = settle(state, entry)
            body = encode_event(event)
            entries.append(Entry(offset, run_id, seq, draft.time, event))
            rows.append((offset, run.key, seq, draft.time, kind(event), _level(event), body))
            frames.append(
                entry_frame(self.epoch, offset, kind(event), entry_data(run_id, seq, draft.time, body))
            )
            if state.is_over:
                # A terminal event is the last: what a producer sent behind it is passed over.
                break
        self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        acknowledged = run.acknowledged if first_seq is None else run.acknowledged + len(drafts)
        self._head = offset
        run.state, run.acknowledged = state, acknowledged
        self._touched[run_id] = run
        return Appended(run_id, tuple(entries), tuple(frames), state, acknowledged)

    def _annotate(self, run_id: str, note: bytes) -> None:
        run = self._load(run_id)
        self._db.execute("UPDATE runs SET note = ? WHERE key = ?", (note, run.key))


def _unknown_version(path: Path, version: int) -> LogVersionError:
    return LogVersionError(
        f"{path} has schema version {version}; this version of panel-streamer reads {SCHEMA_VERSION}. "
        "Use the version that wrote it, or another folder (STREAMER_DATA)."
    )


def _level(event: Event) -> int | None:
    return LEVELS.get(event.level, LEVELS["INFO"]) if isinstance(event, Logged) else None


def _words(state: RunState) -> str:
    """Return what a search over runs looks into: id, title, pipeline, owner, host and parameters."""
    parameters = msgspec.json.encode(state.parameters).decode()[: 10 * NAME_LIMIT]
    return " ".join(
        (state.run, state.title, state.pipeline or "", state.owner, state.host, parameters)
    ).casefold()


def _ascii_lower(text: str) -> str:
    # As SQLite's lower() does it, so that both looks agree.
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
