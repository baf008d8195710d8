"""`RunStates`: the runs as the writer knows them, and the changes of its open transaction. It commits nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

import msgspec
from msgspec import Struct

from streamer.model.bounds import bounded
from streamer.model.events import (
    LEVELS,
    STREAMER_LOGGER,
    Entry,
    Event,
    ItemFailed,
    Logged,
    encode_event,
    kind,
)
from streamer.model.reducer import with_retry
from streamer.model.settling import advance
from streamer.model.state import RunState, encode_state
from streamer.producer.error_text import brief_error
from streamer.protocol.frames import Row, framer
from streamer.protocol.run_filter import searched_text
from streamer.server.log.base import Appended, Draft, LogError, RunEnded, SequenceGap, UnknownRun
from streamer.server.log.batch_numbers import without_duplicates
from streamer.server.log.damage import Damage

#: States of runs that are over stay in memory up to this number; those of the others always do.
_STATES_KEPT: Final = 500
#: Statements by how many rows they insert. Fewer statements are faster: each one gives up the interpreter's lock.
_INSERTS: Final = {
    rows: "INSERT INTO entries VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * rows)  # noqa: S608 - constants
    for rows in (100, 30, 10, 3, 1)
}


class _Run(Struct):
    key: int
    state: RunState
    acknowledged: int
    bytes: int
    lost: bool = False


class Before(Struct, frozen=True):
    """The head and some runs before a transaction; a run is None when it was not in memory."""

    head: int
    runs: dict[str, _Run | None]


class RunStates:
    """See the module. The writer's thread alone calls it.

    `head` is the offset of the last entry, also of the open transaction.
    """

    def __init__(self, db: sqlite3.Connection, epoch: str, head: int, damage: Damage) -> None:
        self._db = db
        self._damage = damage
        self._epoch = epoch
        self.head = head
        self._runs: dict[str, _Run] = {}
        self._touched: dict[str, _Run] = {}
        # Runs that got a retry in this transaction: their states changed without an entry of their own.
        self._linked: set[str] = set()
        self._rows: list[Row] = []
        self._shares: dict[str, float] = {}

    def set_share(self, run_id: str, share: float | None) -> None:
        """Set the progress that the run's next events say; see `EventLog.set_share`. Any thread may call it.

        Args:
            run_id: The run.
            share: The share of its time, 0 to 1; None: progress is by the declared weights.

        """
        if share is None:
            self._shares.pop(run_id, None)
        else:
            self._shares[run_id] = share

    def __len__(self) -> int:
        return len(self._runs)

    # -- a transaction -------------------------------------------------------------------------------------------------

    def before(self, run_ids: Iterable[str]) -> Before:
        """Return the runs that a transaction may change, for `roll_back`.

        Args:
            run_ids: Ids of the runs; unknown ones may be among them.
        """
        runs: dict[str, _Run | None] = {}
        for run_id in run_ids:
            run = self._runs.get(run_id)
            runs[run_id] = None if run is None else msgspec.structs.replace(run)
        return Before(self.head, runs)

    def roll_back(self, before: Before) -> None:
        """Forget a transaction that was not committed.

        Args:
            before: The runs before it.
        """
        self.head = before.head
        self._touched.clear()
        self._rows.clear()
        for run_id, run in before.runs.items():
            if run is None:
                self._runs.pop(run_id, None)
            else:
                self._runs[run_id] = run
        for run_id in self._linked:
            self._runs.pop(run_id, None)
        self._linked.clear()

    def committed(self) -> None:
        """Take note that the transaction was committed, and keep memory bounded: old runs that are over go first."""
        self._linked.clear()
        excess = len(self._runs) - _STATES_KEPT
        if excess > 0:
            over = [run_id for run_id, run in self._runs.items() if run.state.is_over]
            for run_id in over[:excess]:
                del self._runs[run_id]

    def removed(self, run_id: str, offset: int) -> None:
        """Forget a run that was removed from the log.

        Args:
            run_id: Id of the run.
            offset: Offset of the entry that says so; it is the new head.
        """
        self._runs.pop(run_id, None)
        self.head = offset

    def store(self, now: float) -> None:
        """Write the entries of the transaction, and once the state of every run that they belong to.

        Args:
            now: The time, POSIX seconds.
        """
        rows, stored = self._rows, 0
        for number, statement in _INSERTS.items():
            while len(rows) - stored >= number:
                values = tuple(chain.from_iterable(rows[stored : stored + number]))
                self._db.execute(statement, values)
                stored += number
        rows.clear()
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

    # -- changes -------------------------------------------------------------------------------------------------------

    def create(self, run_id: str, drafts: Sequence[Draft], note: bytes) -> Appended:
        """Make a run; see `EventLog.create`. Raises `LogError` when the id exists.

        Args:
            run_id: The new run.
            drafts: Its first events.
            note: The streamer's note about it.

        Raises:
            LogError: If the id exists.

        """
        state = RunState(run=run_id)
        if self._db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone():
            raise LogError(f"run {run_id} exists")
        cursor = self._db.execute(
            "INSERT INTO runs (id, status, words, acknowledged, note, state) VALUES (?, ?, '', 0, ?, ?)",
            (run_id, state.status, note, encode_state(state)),
        )
        assert cursor.lastrowid is not None
        run = self._runs[run_id] = _Run(cursor.lastrowid, state, 0, 0)
        appended = self.append(run_id, drafts, None)
        if run.state.retry_of is not None:
            self._link(run.state.retry_of, run_id)
        self._db.execute("UPDATE runs SET words = ? WHERE key = ?", (searched_text(run.state), run.key))
        return appended

    def _link(self, run_id: str, retry: str) -> None:
        """Record in a run's state that another run repeats it; nothing happens when the run was removed."""
        with contextlib.suppress(UnknownRun):
            run = self._load(run_id)
            run.state = with_retry(run.state, retry)
            self._touched[run_id] = run
            self._linked.add(run_id)

    def append(self, run_id: str, drafts: Sequence[Draft], first_seq: int | None) -> Appended:
        """Append events of a run; see `EventLog.append`. Raises `UnknownRun`, `RunEnded` or `SequenceGap`.

        Args:
            run_id: The run.
            drafts: The events.
            first_seq: The producer's number of the first one; None: the streamer's own events.

        Raises:
            UnknownRun: If there is no such run.
            RunEnded: If the run is over.
            SequenceGap: If events before these are missing.

        """
        run = self._load(run_id)
        acknowledged = run.acknowledged
        if first_seq is not None:
            expected = acknowledged + 1
            if drafts and first_seq > expected:
                if not run.lost:
                    raise SequenceGap(expected, first_seq)
                # The producer deleted them when they were acknowledged: the run goes on without them.
                acknowledged = first_seq - 1 + len(drafts)
                drafts = (_lost(first_seq - expected, drafts[0].time), *drafts)
            else:
                drafts = without_duplicates(drafts, first_seq, acknowledged)
                acknowledged += len(drafts)
            if any(isinstance(draft.event, ItemFailed) for draft in drafts):
                drafts = [*chain.from_iterable(_with_line(draft, run.state) for draft in drafts)]
        if not drafts:
            return Appended(run_id, (), (), run.state, run.acknowledged)
        if run.state.is_over:
            raise RunEnded(run_id, run.state.status)
        first, seq = self.head + 1, run.state.seq + 1 - (self.head + 1)
        state, entries = advance(
            run.state,
            [
                Entry(offset, run_id, seq + offset, draft.time, bounded(draft.event))
                for offset, draft in enumerate(drafts, first)
            ],
            self._shares.get(run_id),
        )
        rows: list[Row] = [
            (e.offset, run.key, e.seq, e.time, kind(e.event), _level(e.event), encode_event(e.event))
            for e in entries
        ]
        frames = framer(self._epoch, run_id)(rows)
        self._rows += rows
        size = run.bytes + sum([len(row[-1]) for row in rows])
        self.head += len(entries)
        run.state, run.acknowledged, run.bytes = state, acknowledged, size
        if first_seq is not None:
            run.lost = False
        self._touched[run_id] = run
        return Appended(run_id, tuple(entries), tuple(frames), state, acknowledged)

    def annotate(self, run_id: str, note: bytes) -> None:
        """Replace the note of a run; see `EventLog.annotate`. Raises `UnknownRun`.

        Args:
            run_id: The run.
            note: The note; it replaces the earlier one.

        Raises:
            UnknownRun: If there is no such run.

        """
        run = self._load(run_id)
        self._db.execute("UPDATE runs SET note = ? WHERE key = ?", (note, run.key))

    def _load(self, run_id: str) -> _Run:
        run = self._runs.get(run_id)
        if run is None:
            row = self._db.execute(
                "SELECT key, state, acknowledged, bytes, lost FROM runs WHERE id = ?", (run_id,)
            ).fetchone()
            if row is None:
                raise UnknownRun(run_id)
            run = self._runs[run_id] = _Run(
                row[0], self._damage.state(self._db, run_id, row[1]), row[2], row[3], bool(row[4])
            )
        return run


def _with_line(draft: Draft, state: RunState) -> tuple[Draft, ...]:
    """Return a draft; a failed item's with the line that its reader looks for in the log."""
    event = draft.event
    if not isinstance(event, ItemFailed):
        return (draft,)
    line = Logged(
        type="error",
        level="ERROR",
        logger=state.pipeline or state.title,
        message=f"{event.item}: {brief_error(event.error)}",
        phase=event.phase or state.phase,
        item=event.item,
    )
    return draft, Draft(line, draft.time)


def _lost(number: int, time: float) -> Draft:
    message = f"{number:,} events before this were lost with the end of the streamer's log"
    return Draft(Logged(type="warning", level="WARNING", logger=STREAMER_LOGGER, message=message), time)


def _level(event: Event) -> int | None:
    return LEVELS.get(event.level, LEVELS["INFO"]) if isinstance(event, Logged) else None
