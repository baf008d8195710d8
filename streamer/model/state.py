"""`RunState`: everything that is known of a run, and its JSON, both ways. It changes only in `model.reducer`.

Every value is immutable: threads can share a state, and a state can be kept for a rollback at no cost.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streamer.model.estimate import Estimated
from streamer.model.events import (
    TERMINAL,
    Bar,
    CancelOutcome,
    ErrorInfo,
    FailedItem,
    Outcome,
    PhaseStatus,
    ProcessInfo,
    Results,
    RunStatus,
    Unreached,
)

#: A throughput curve holds at most this many points; when it is full its step doubles.
CURVE_POINTS: Final = 120
CURVE_STEP_SECONDS: Final = 0.25


class Curve(Struct, frozen=True, rename="camel"):
    """Throughput over time: points `(seconds since the phase's start, units per second)`, `step_seconds` apart or more.

    A point is the mean since the one before it. `seconds` and `done` are where the next one begins.
    """

    step_seconds: float = CURVE_STEP_SECONDS
    points: tuple[tuple[float, float], ...] = ()
    seconds: float = 0.0
    done: int | float = 0

    def add(self, seconds: float, done: float) -> Curve:
        """Return the curve when `done` units are done `seconds` after the phase's start; a point comes a step apart."""
        elapsed = seconds - self.seconds
        if done < self.done:
            # A new count began in the same phase.
            return replace(self, seconds=seconds, done=done)
        if elapsed < self.step_seconds:
            return self
        rate = float(f"{(done - self.done) / elapsed:.6g}")
        points = (*self.points, (round(seconds, 3), rate))
        step = self.step_seconds
        if len(points) > CURVE_POINTS:
            step *= 2
            points = _halved(points)
        return Curve(step, points, seconds, done)


def _halved(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Join points in pairs: each pair's mean over the time it spans."""
    joined = []
    start = 0.0
    for first, second in zip(points[::2], points[1::2], strict=False):
        span = second[0] - start
        units = first[1] * (first[0] - start) + second[1] * (second[0] - first[0])
        joined.append((second[0], float(f"{units / span:.6g}") if span > 0 else second[1]))
        start = second[0]
    return (*joined, points[-1]) if len(points) % 2 else tuple(joined)


class PhaseState(Struct, frozen=True, rename="camel"):
    """A phase: `progress` in percent (None: not known), `done` of `total` in `unit`, `rate` in units per second.

    `joined`: the run did not declare it at its start, so the other phases were a larger share of the run before.
    """

    name: str
    weight: float = 1.0
    status: PhaseStatus = "waiting"
    progress: float | None = None
    done: int | float | None = None
    total: int | float | None = None
    unit: str = ""
    rate: float | None = None
    started: float | None = None
    ended: float | None = None
    message: str = ""
    rate_time: float | None = None
    rate_done: int | float = 0
    curve: Curve = Curve()
    joined: bool = False

    @property
    def fraction(self) -> float:
        """How much of the phase is done, 0 to 1; what is not known counts as 0."""
        if self.status in ("finished", "skipped"):
            return 1.0
        return (self.progress or 0.0) / 100


class CancelState(Struct, frozen=True, rename="camel"):
    """A cancel: `by` whom or for what `reason`, when it was asked, acknowledged and enforced, and `how` it ended.

    `phase` and `item` are where the producer was when it acknowledged. `how` is empty until the run has ended; its
    words are those of `RunCancelled`.
    """

    by: str = ""
    reason: str = ""
    asked: float | None = None
    acknowledged: float | None = None
    phase: str | None = None
    item: str | None = None
    terminated: float | None = None
    killed: float | None = None
    how: CancelOutcome = ""


class RunState(Struct, frozen=True, rename="camel"):
    """The facts of a run after its entry number `seq`, at `offset` in the log.

    Times are POSIX seconds, UTC. `overall_progress` is in percent, never falls, and is 100 only when the run is
    complete; `progress` is its whole part. `log_counts` counts log lines by their level. `errors` are the first
    `ERRORS_LISTED` failed items, without their tracebacks. `outside` is what was counted in no phase. `bars` are in the
    order in which they began; `bars_folded` counts those that gave way to newer ones.

    `last_time` is when its producer last had something new to say, and `longest_gap` the longest time, in seconds,
    without that while the run was under way. `last_sign` is its last sign of life: also a progress event that says the
    same again. The streamer's own events about a silent run count for neither.

    `unreached` are the phases of which a run that was cancelled or failed left items.

    `managed`: the streamer executes it. `retry_of` is the run that this one repeats, `retried_by` are those that repeat
    it: the newest `RETRIES_LISTED`. `estimate` is what the streamer last said of the remaining time. These two alone
    are no facts of this run's own entries; the log keeps no estimate.
    """

    run: str
    seq: int = msgspec.field(default=0, name="lastSeq")
    offset: int = 0
    pipeline: str | None = None
    title: str = ""
    parameters: dict[str, Any] = {}
    owner: str = ""
    host: str = ""
    program: str = ""
    status: RunStatus = "queued"
    message: str = ""
    progress: int = 0
    overall_progress: float = 0.0
    phase: str | None = None
    phases: tuple[PhaseState, ...] = ()
    outside: PhaseState | None = None
    done: int | float | None = None
    total: int | float | None = None
    unit: str = ""
    rate: float | None = None
    bars: tuple[Bar, ...] = ()
    bars_folded: int = 0
    results: Results = Results()
    errors: tuple[FailedItem, ...] = ()
    log_counts: dict[str, int] = {}
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    last_time: float | None = None
    last_sign: float | None = None
    longest_gap: float = 0.0
    result: Any = None
    error: ErrorInfo | None = None
    managed: bool = False
    process: ProcessInfo | None = None
    time_limit_seconds: float | None = None
    cancel: CancelState | None = None
    unreached: tuple[Unreached, ...] = ()
    retry_of: str | None = None
    retry_items: str = ""
    retried_by: tuple[str, ...] = ()
    estimate: Estimated | None = None

    @property
    def program_beside(self) -> str:
        """The program, where it says more than the title does."""
        return "" if self.program == self.title else self.program

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None while it goes on."""
        if self.status == "complete":
            return "partial" if self.results.failed else "complete"
        return self.status if self.status in ("failed", "cancelled") else None

    @property
    def never_reached(self) -> int:
        """How many items were never reached, as far as it is known."""
        return sum(max(one.total - one.reached, 0) for one in self.unreached if one.total is not None)

    @property
    def is_over(self) -> bool:
        """Whether a terminal event was applied."""
        return self.status in TERMINAL

    @property
    def log_lines(self) -> int:
        """How many log lines there are, of any level."""
        return sum(self.log_counts.values())

    @property
    def warnings(self) -> int:
        """How many log lines are warnings."""
        return self.log_counts.get("WARNING", 0)

    @property
    def indeterminate(self) -> bool:
        """Whether the run is under way in a phase of which nobody knows how much there is to do."""
        if self.status not in ("running", "stalled", "cancelling"):
            return False
        phase = self.find_phase(self.phase)
        if phase is None:
            return self.total is None and not self.overall_progress
        return phase.status == "started" and phase.progress is None

    def find_phase(self, name: str | None) -> PhaseState | None:
        """Return the phase of that name, or None."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        return None

    def inner_bars(self) -> dict[str | None, list[Bar]]:
        """Return the bars by the id of the bar they are inside of; None: of none that is known."""
        known = {bar.id for bar in self.bars}
        found: dict[str | None, list[Bar]] = {}
        for bar in self.bars:
            found.setdefault(bar.parent if bar.parent in known else None, []).append(bar)
        return found

    def duration(self, now: float) -> float | None:
        """Return the seconds from the start to the end, or to `now`; None when it has not started."""
        if self.started is None:
            return None
        return max((now if self.ended is None else self.ended) - self.started, 0.0)


_decoder = msgspec.json.Decoder(RunState)


def encode_state(state: RunState) -> bytes:
    """Return the state as JSON (UTF-8)."""
    return msgspec.json.encode(state)


def decode_state(data: bytes | str) -> RunState:
    """Read a state from JSON. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return _decoder.decode(data)
