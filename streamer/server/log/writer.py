"""`Writer`: the one thread that writes the log. It joins waiting jobs in one commit, and tells a listener afterwards.

Between commits it removes entries that need not be kept.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final

from msgspec import Struct

from streamer.protocol.frames import Removed
from streamer.server.log.base import Appended, Listener, LogError, LogUnavailable
from streamer.server.log.retention import Retention, tend
from streamer.server.log.run_states import RunStates
from streamer.server.log.watermark import Watermark

logger = logging.getLogger(__name__)

#: Bytes for which `check` must find room: as much as a batch may take, since a free page or two is no room.
_CHECKED_BYTES: Final = 65_536
#: Seconds between two slices of a removal.
_BETWEEN_SLICES: Final = 0.05
#: At most this many events share a commit, so that the first of them does not wait for ever.
_EVENTS_PER_COMMIT: Final = 20_000


class _Job(Struct):
    work: Callable[[], Any]
    future: Future[Any]
    events: int
    run_id: str


class Writer:
    """See the module. Any thread may call the public methods; the work is done in the writer's thread.

    `commit_seconds` is how long it gathers jobs before it commits again, until as many came as the last time. It stores
    a job after a pause at once. `keep` says which entries stay; `tend_seconds` is the time between two looks.
    `clock` is monotonic, `now` the wall clock in POSIX seconds. `suspect(error)` is called for SQLite's errors.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        states: RunStates,
        watermark: Watermark,
        *,
        epoch: str,
        gap: int,
        commit_seconds: float,
        keep: Retention,
        tend_seconds: float,
        clock: Callable[[], float],
        now: Callable[[], float],
        suspect: Callable[[sqlite3.Error], None],
    ) -> None:
        self._db = db
        self._states = states
        self._watermark = watermark
        self._epoch = epoch
        self._commit_seconds = commit_seconds
        self._keep = keep
        self._tend_seconds = tend_seconds
        self._clock = clock
        self._now = now
        self._suspect = suspect
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        #: Called after each commit, in the writer's thread.
        self.listener: Listener | None = None
        #: Offset of the last committed entry.
        self.head = states.head
        #: Offset of the last entry that was removed or lost, of any run.
        self.gap = gap
        #: Why the last commit failed; None when it did not.
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._write, name="streamer-log", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, work: Callable[[], Any], *, events: int, run_id: str) -> Future[Any]:
        """Have a job done in the next commit.

        Args:
            work: Changes `RunStates` within the open transaction.
            events: How many events it appends.
            run_id: Id of the run that it changes; empty for no run.

        Returns:
            A future that resolves after the commit, in the writer's thread. It fails with the job's `LogError`, or
            `LogUnavailable` when nothing was stored.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._gate:
            if self._closed:
                future.set_exception(LogUnavailable("the log is closed"))
            else:
                self._jobs.put(_Job(work, future, events, run_id))
        return future

    def check(self) -> Future[None]:
        """Write as much as a batch may take, to no effect. The future fails with `LogUnavailable`."""
        return self.submit(self._touch, events=1, run_id="")

    def close(self) -> bool:
        """Store the waiting jobs and end the thread; return False when that was done already."""
        with self._gate:
            if self._closed:
                return False
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        return True

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Take the waiting jobs, store them in one commit, then tell. No other thread writes."""
        last = self._clock() - self._commit_seconds
        tend_at = self._clock() + self._tend_seconds
        closing, expected = False, 1
        while not closing:
            if self._clock() >= tend_at:
                # Slices leave most of the time to new events.
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
                    # Producers wait for their answers: when all have sent again, no more jobs will come.
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
        before = self._states.before(job.run_id for job in jobs)
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                try:
                    outcomes.append((job, job.work(), None))
                except LogError as error:
                    outcomes.append((job, None, error))
            self._states.store(self._now())
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread's outermost line: every job gets an answer
            # Nothing of this commit was stored, so nothing of it may be remembered.
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            self._states.roll_back(before)
            if not isinstance(error, sqlite3.Error) and len(jobs) > 1:
                # One batch that cannot be stored must not take its neighbours with it.
                for job in jobs:
                    self._commit([job])
                return
            refused = LogUnavailable if isinstance(error, sqlite3.Error) else LogError
            outcomes = [(job, None, refused(f"cannot write the log: {error}")) for job in jobs]
            if isinstance(error, sqlite3.Error):
                self.trouble = f"cannot write the log: {error}"
                self._suspect(error)
        else:
            self.trouble = None
        self.head = self._states.head
        if self.head != before.head:
            # Before any reader is told: the watermark must know every entry that a reader knows.
            self._watermark.write(self._epoch, self.head)
        self._tell([result for _, result, _ in outcomes if isinstance(result, Appended) and result.entries])
        for job, result, failure in outcomes:
            if failure is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(failure)
        self._states.committed()

    def _tend(self) -> bool:
        """Remove a slice of the entries that need not be kept; return whether there is more."""
        try:
            with transaction(self._db):
                done = tend(self._db, self._keep, self._now(), self._states.head)
                # Before the commit: see `Queries.read`.
                self.gap = max(self.gap, done.gap)
        except sqlite3.Error as error:
            logger.warning("cannot remove from the log what need not be kept: %s", error)
            return False
        if done.removed is not None:
            self._states.removed(done.removed.run_id, done.removed.offset)
            self.head = self._states.head
            self._watermark.write(self._epoch, self.head)
            self._tell((done.removed,))
        return done.more

    def _tell(self, stored: Sequence[Appended | Removed]) -> None:
        # Read once: another thread may take the listener away meanwhile.
        listener = self.listener
        if stored and listener is not None:
            listener(stored)

    def _touch(self) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('check', hex(zeroblob(?)))", (_CHECKED_BYTES // 2,)
        )


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit the changes of the block, or none of them when it raises.

    Args:
        db: The connection of the log's one writer.

    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
