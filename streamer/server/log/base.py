"""`EventLog`: what a log of events is, and its errors. Implementations stand beside it.

Errors::

    LogError
    ├── UnknownRun        no run of that id
    ├── RunEnded          the run has its terminal event; nothing is appended after it
    ├── EntriesGone       entries after the reader's place were removed or lost: it cannot go on from there
    ├── SequenceGap       a producer's numbers do not follow on what is stored
    └── LogUnavailable    the store cannot write now (disk full, locked, read-only): nothing was stored, try again
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from msgspec import Struct

from streamer.model.events import Entry, Event
from streamer.model.state import RunState
from streamer.protocol.frames import Removed
from streamer.protocol.pages import FAILURES_PER_PAGE, LINES_PER_PAGE, RUNS_PER_PAGE


class LogError(Exception):
    """Base of what a log raises."""


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
    """A producer's batch begins beyond what is stored; `expected` is the number that comes next."""

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(f"expected seq {expected}, received {received}")
        self.expected = expected
        self.received = received


class EntriesGone(LogError):
    """Entries after `after` are not there any more; what is left would be a part presented as the whole."""

    def __init__(self, after: int) -> None:
        super().__init__(f"entries after {after} are not in the log any more")
        self.after = after


class LogUnavailable(LogError):
    """The store cannot be written to now. Nothing of the batch was stored."""


class Draft(Struct, frozen=True, gc=False):
    """An event that is to be appended, and when it happened (POSIX seconds, UTC, whole milliseconds)."""

    event: Event
    time: float


class Appended(Struct, frozen=True):
    """What an append did: the entries it stored (without those stored before), and the run's state after them.

    `frames` are the entries as they go over the wire, one each. `acknowledged` is the producer's last stored number.
    """

    run_id: str
    entries: tuple[Entry, ...]
    frames: tuple[bytes, ...]
    state: RunState
    acknowledged: int


class Stored(Struct, frozen=True):
    """An entry as it is read back: its place, and its frame as it goes over the wire."""

    offset: int
    run_id: str
    kind: str
    frame: bytes


class Found(Struct, frozen=True):
    """Lines that were found, oldest first. `reached`: the last offset looked at when there is more to look at."""

    lines: list[Entry]
    reached: int | None


class RunRecord(Struct, frozen=True):
    """A run as stored: its state, the producer's last stored number, and what its keeper noted about it (JSON)."""

    state: RunState
    acknowledged: int
    note: bytes


#: Called after each commit with what it stored or removed, in order, from the log's own thread.
Listener = Callable[[Sequence[Appended | Removed]], None]


class EventLog(Protocol):
    """An append-only log of the events of runs; offsets only grow, and `epoch` names this very log.

    Every method may be called from any thread. `append` and its like return at once: their futures resolve after the
    commit, in the log's own thread. What reads blocks, and belongs in an executor when called beside an event loop.
    """

    @property
    def epoch(self) -> str:
        """A name that no other log has, and this one from its creation to its end."""

    def set_listener(self, listener: Listener | None) -> None:
        """Set who is told after each commit; there is one, and None takes it away."""

    def create(self, run_id: str, drafts: Sequence[Draft], *, note: bytes) -> Future[Appended]:
        """Make a new run with its first events; the run that it repeats, if it says so, knows of it from then on.

        Fails with `LogError` when the id exists, or `LogUnavailable`.
        """

    def append(
        self, run_id: str, drafts: Sequence[Draft], *, first_seq: int | None = None
    ) -> Future[Appended]:
        """Append events of a run, all or none.

        `first_seq` is the producer's number of the first one; those that are stored already are passed over, so a batch
        may be sent twice. None: events of the streamer itself, which the producer does not count.
        Fails with `UnknownRun`, `RunEnded` (something is left to store, but the run is over), `SequenceGap` or
        `LogUnavailable`.
        """

    def annotate(self, run_id: str, note: bytes) -> Future[None]:
        """Replace the note of a run's keeper. Fails with `UnknownRun` or `LogUnavailable`."""

    def head(self) -> int:
        """Return the offset of the last entry, 0 when there is none."""

    def trouble(self) -> str | None:
        """Return why the last attempt to write failed; None when it did not."""

    def check(self) -> Future[None]:
        """Write something that says nothing, as long as a batch may be. Fails with `LogUnavailable`."""

    def holds(self, run_id: str | None, after: int) -> bool:
        """Say whether all entries after an offset are there, of one run or of all: none was removed or lost."""

    def read(self, after: int, *, limit: int, run_id: str | None = None) -> list[Stored]:
        """Return entries after an offset, oldest first, of one run or of all. Raises `EntriesGone`.

        Among those of all runs are the words that a run was removed; their `kind` is ``removed``.
        """

    def run(self, run_id: str) -> RunRecord | None:
        """Return a run as stored, or None."""

    def runs(
        self,
        *,
        status: Sequence[str] = (),
        pipeline: str | None = None,
        search: str = "",
        before: str | None = None,
        limit: int = RUNS_PER_PAGE,
    ) -> list[RunState]:
        """Return states of runs, newest first. `before`: only those older than that run. Raises `UnknownRun` for it."""

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
        """Return log lines, oldest first: the last ones before `before`, or the first ones after `after`, or the last.

        `level`: the least level, as a number of `logging`.
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
        """Return log lines as `lines` does, of those whose message contains a text, in any case. Looks at so many only.

        Where it stopped before it had `limit` and before the end, `reached` says from where to go on.
        """

    def failures(self, run_id: str, *, after: int = 0, limit: int = FAILURES_PER_PAGE) -> list[Entry]:
        """Return failed items after an offset, oldest first."""

    def close(self) -> None:
        """Store what is waiting and close. Idempotent; blocks."""
