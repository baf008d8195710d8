"""`EventLog`: the interface of a log of events, and its errors. Its implementation is `sqlite`.

Errors::

    LogError
    ├── UnknownRun        no run of that id
    ├── RunEnded          the run has its terminal event; nothing is appended after it
    ├── EntriesGone       entries after the reader's place were removed or lost: the reader must begin again
    ├── SequenceGap       a producer's batch begins behind the next number
    └── LogUnavailable    the store cannot write now (disk full, locked, read-only): nothing was stored, try again
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Protocol

from msgspec import Struct

from streamer.model.events import Entry, Event
from streamer.model.state import RunState
from streamer.protocol.frames import Removed
from streamer.protocol.paging import FAILURES_PER_PAGE, LINES_PER_PAGE, RUNS_PER_PAGE
from streamer.protocol.run_filter import EVERY_RUN, NEWEST_FIRST, RunFilter

#: How many entries one read of `moves` returns.
MOVES_PER_PAGE: Final = 5_000


class LogError(Exception):
    """Base of a log's errors."""


class UnknownRun(LogError):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run {run_id[:60]!r}")
        self.run_id = run_id


class RunEnded(LogError):
    """The run has ended; its terminal event is its last."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id} has ended ({status}); it takes no more events")
        self.run_id = run_id
        self.status = status


class SequenceGap(LogError):
    """Events before a producer's batch are missing; `expected` is the next number."""

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(f"expected seq {expected}, received {received}")
        self.expected = expected
        self.received = received


class EntriesGone(LogError):
    """Entries after `after` were removed or lost; the rest would pass for the whole."""

    def __init__(self, after: int) -> None:
        super().__init__(f"entries after {after} are not in the log any more")
        self.after = after


class LogUnavailable(LogError):
    """The store cannot be used now. Nothing of the batch was stored."""


class Draft(Struct, frozen=True, gc=False):
    """An event to append, and its time (POSIX seconds, UTC, whole milliseconds)."""

    event: Event
    time: float


class Appended(Struct, frozen=True):
    """The result of an append: the entries that it stored, without earlier ones, and the run's state after them.

    `frames` are the entries in the form of the wire, one each. `acknowledged` is the producer's last stored number.
    """

    run_id: str
    entries: tuple[Entry, ...]
    frames: tuple[bytes, ...]
    state: RunState
    acknowledged: int


class Stored(Struct, frozen=True):
    """An entry that was read: its offset, and its frame in the form of the wire."""

    offset: int
    run_id: str
    kind: str
    frame: bytes


class Found(Struct, frozen=True):
    """Lines that were found, oldest first. `reached` is where the search stopped; None when it looked at all lines."""

    lines: list[Entry]
    reached: int | None


class RunRecord(Struct, frozen=True):
    """A stored run: its state, the producer's last stored number, and the streamer's note about it (JSON)."""

    state: RunState
    acknowledged: int
    note: bytes


#: Called after each commit with the appends and removals in it, in order, from the log's own thread.
Listener = Callable[[Sequence[Appended | Removed]], None]


class EventLog(Protocol):
    """An append-only log of the events of runs. Offsets only grow; `epoch` names this one log.

    Any thread may call every method. The methods that return futures do not block: the futures resolve after the
    commit, in the log's own thread. The reading methods block: an event loop calls them in an executor. They raise
    `LogUnavailable` when the store cannot be read.
    """

    @property
    def epoch(self) -> str:
        """The log's name; no other log has it, and it stays as long as the log holds all its entries."""

    def set_listener(self, listener: Listener | None) -> None:
        """Set the function that is called after each commit.

        Args:
            listener: The function, in the place of any other one; None for no function.
        """

    def create(self, run_id: str, drafts: Sequence[Draft], *, note: bytes) -> Future[Appended]:
        """Make a run with its first events. The state of a run that it repeats names it from then on.

        Args:
            run_id: Id of the run.
            drafts: Its first events.
            note: The streamer's note about it, as JSON.

        Returns:
            A future. It fails with `LogError` when the id exists, or `LogUnavailable`.
        """

    def append(
        self, run_id: str, drafts: Sequence[Draft], *, first_seq: int | None = None
    ) -> Future[Appended]:
        """Append events of a run, all or none.

        Args:
            run_id: Id of the run.
            drafts: The events.
            first_seq: The producer's number of the first event. Events that are stored already are skipped, so a
                producer may send a batch twice. None for events of the streamer, which the producer does not count.

        Returns:
            A future. It fails with `UnknownRun`, `RunEnded` when new events come after the end, `SequenceGap` or
            `LogUnavailable`.
        """

    def set_share(self, run_id: str, share: float | None) -> None:
        """Set the progress that the run's next events say.

        Args:
            run_id: Id of the run.
            share: The share of its time that the run has behind it, 0 to 1; None: progress is by the declared weights.
        """

    def annotate(self, run_id: str, note: bytes) -> Future[None]:
        """Replace the streamer's note about a run.

        Args:
            run_id: Id of the run.
            note: The note, as JSON.

        Returns:
            A future. It fails with `UnknownRun` or `LogUnavailable`.
        """

    def head(self) -> int:
        """Return the offset of the last entry; 0 when the log is empty."""

    def damage(self) -> str:
        """Say how much of the log was met that cannot be read; empty when all could be."""

    def trouble(self) -> str | None:
        """Return why the last attempt to write failed; None when it did not."""

    def check(self) -> Future[None]:
        """Write as much as a batch may take, to no effect. The future fails with `LogUnavailable`."""

    def holds(self, run_id: str | None, after: int) -> bool:
        """Return whether the log holds all entries after an offset.

        Args:
            run_id: The entries of this run; None for those of all runs.
            after: The offset.
        """

    def read(self, after: int, *, limit: int, run_id: str | None = None) -> list[Stored]:
        """Return entries after an offset, oldest first.

        Args:
            after: The offset.
            limit: At most so many entries.
            run_id: The entries of this run. None for those of all runs; among them are entries of kind ``removed``,
                which say that a run was removed.

        Raises:
            EntriesGone: Entries after the offset were removed or lost.
        """

    def run(self, run_id: str) -> RunRecord | None:
        """Return a run; None when there is no run of that id."""

    def runs(
        self,
        wanted: RunFilter = EVERY_RUN,
        *,
        sort: str = NEWEST_FIRST,
        before: str | None = None,
        limit: int = RUNS_PER_PAGE,
    ) -> list[RunState]:
        """Return states of runs.

        Args:
            wanted: Which runs.
            sort: One of `SORTS`.
            before: Runs after this one in that order; None for the first ones.
            limit: At most so many.

        Raises:
            UnknownRun: There is no run `before`.
        """

    def total(self, wanted: RunFilter = EVERY_RUN) -> int:
        """Return how many runs a filter lets through."""

    def moves(self, run_id: str, *, after: int = 0, limit: int = MOVES_PER_PAGE) -> list[Entry]:
        """Return the entries that tell how far a run is, all but its log lines, oldest first.

        Args:
            run_id: Id of the run.
            after: Entries after this offset; 0 for the first ones.
            limit: At most so many.
        """

    def counts(self) -> dict[str, int]:
        """Return how many runs there are of each status."""

    def lines(
        self,
        run_id: str,
        *,
        level: int = 0,
        before: int | None = None,
        after: int | None = None,
        limit: int = LINES_PER_PAGE,
    ) -> list[Entry]:
        """Return log lines, oldest first.

        Args:
            run_id: Id of the run.
            level: The least level, as a number of `logging`; 0 for all.
            before: The last lines before this offset; None for the newest lines.
            after: The first lines after this offset, unless `before` is given; None for the newest lines.
            limit: At most so many.
        """

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
        """Return the log lines whose message contains a text. One search looks at a bounded number of lines.

        Args:
            run_id: Id of the run.
            text: The text, in upper or lower case.
            level: As in `lines`.
            before: As in `lines`.
            after: As in `lines`.
            limit: At most so many.

        Returns:
            The lines. `reached` is where the search stopped with lines left to look at: go on from there.
        """

    def failures(self, run_id: str, *, after: int = 0, limit: int = FAILURES_PER_PAGE) -> list[Entry]:
        """Return failed items, oldest first.

        Args:
            run_id: Id of the run.
            after: Items after this offset; 0 for the first ones.
            limit: At most so many.
        """

    def close(self) -> None:
        """Store the waiting events and close. Idempotent; blocks."""
