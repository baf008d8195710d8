"""`RunState`, what is known of a run, and `apply`, the one reducer. Pure: no I/O, no clock, no randomness.

The streamer's snapshot, the dashboards, the notebooks and the terminal all fold the same entries with `apply`, so they
cannot disagree. Every value is immutable: a state can be shared between threads and kept for a rollback at no cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from streamer.model.events import (
    BARS_LIMIT,
    COUNT_LIMIT,
    ERRORS_LISTED,
    PHASES_LIMIT,
    STREAMER_LOGGER,
    TERMINAL,
    Bar,
    CancelOutcome,
    Completed,
    Entry,
    ErrorInfo,
    Event,
    FailedItem,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseChanged,
    PhaseSpec,
    PhaseStatus,
    ProcessInfo,
    Progressed,
    Results,
    RunCancelled,
    RunFailed,
    RunStatus,
    StatusChanged,
    brief,
    counted,
    format_time,
)

#: How many of the runs that repeat a run its state names.
RETRIES_LISTED: Final = 20
#: A throughput curve holds at most this many points; when it is full its step doubles.
CURVE_POINTS: Final = 120
CURVE_STEP_SECONDS: Final = 0.25
#: The rate is an exponential mean over about this long.
RATE_SECONDS: Final = 3.0
#: Until a run has completed its progress stays below this, in percent.
ALMOST: Final = 99.99


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
    """A phase: `progress` in percent (None: not known), `done` of `total` in `unit`, `rate` in units per second."""

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
    """What is known of a run after its entry number `seq`, at `offset` in the log.

    Times are POSIX seconds, UTC. `overall_progress` is in percent, never falls, and is 100 only when the run is
    complete; `progress` is its whole part. `log_counts` counts log lines by their level. `errors` are the first
    `ERRORS_LISTED` failed items, without their tracebacks. `outside` is what was counted in no phase. `bars` are in the
    order in which they began; `bars_folded` counts those that gave way to newer ones.

    `last_time` is when its producer last had something new to say, and `longest_gap` the longest time, in seconds,
    without that while the run was under way. `last_sign` is its last sign of life: also a progress event that says the
    same again. What the streamer says about a run that is silent counts for neither.

    `managed`: the streamer executes it. `retry_of` is the run that this one repeats, `retried_by` are those that repeat
    it: the newest `RETRIES_LISTED`; these alone are no fact of this run's own entries.
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
    retry_of: str | None = None
    retry_items: str = ""
    retried_by: tuple[str, ...] = ()

    @property
    def program_beside(self) -> str:
        """The program, where it says more than the title does."""
        return "" if self.program == self.title else self.program

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


def apply(state: RunState, entry: Entry) -> RunState:
    """Return the state after `entry`. Idempotent: an entry that was applied already changes nothing.

    Entries after a terminal one change nothing but `seq` and `offset` (the log does not take them in the first place).
    """
    if entry.seq <= state.seq:
        return state
    if state.is_over:
        return replace(state, seq=entry.seq, offset=entry.offset)
    event, time = entry.event, entry.time
    if isinstance(event, Logged):
        return _logged(state, (entry,))
    moved = {"seq": entry.seq, "offset": entry.offset, **_timed(state, event, time)}
    if isinstance(event, Progressed):
        return _progressed(state, event, time, moved)
    state = replace(state, **moved)
    match event:
        case StatusChanged():
            return _status_changed(state, event, time)
        case PhaseChanged():
            return _overall(_phase_changed(state, event, time))
        case ItemFailed():
            errors = state.errors
            if len(errors) < ERRORS_LISTED:
                errors = (*errors, brief(FailedItem(event.item, event.phase or state.phase, event.error)))
            failed = replace(state.results, failed=state.results.failed + 1)
            return replace(state, results=failed, errors=errors)
        case Completed() | RunFailed() | RunCancelled():
            return _ended(state, event, time)


def with_retry(state: RunState, run_id: str) -> RunState:
    """Return the state of a run that another one repeats. Idempotent."""
    if run_id in state.retried_by:
        return state
    return replace(state, retried_by=(*state.retried_by, run_id)[-RETRIES_LISTED:])


def fold(state: RunState, entries: Iterable[Entry]) -> RunState:
    """Apply entries one after another."""
    for entry in entries:
        state = apply(state, entry)
    return state


def advance(state: RunState, entries: Iterable[Entry]) -> tuple[RunState, list[Entry]]:
    """Apply new entries of a run that is under way; return its state, and the entries with their events settled.

    A terminal event is the last: what stands behind it is passed over.
    """
    settled: list[Entry] = []
    for are_lines, group in groupby(entries, _is_line):
        if are_lines:
            # By far the most frequent ones, and nothing that one of them is settled from changes with another.
            lines = tuple(group)
            state = _logged(state, lines)
            settled += _settled_lines(lines, state.phase)
            continue
        for entry in group:
            state = apply(state, entry)
            settled.append(_settled(state, entry))
            if state.is_over:
                return state, settled
    return state, settled


def _is_line(entry: Entry) -> bool:
    return isinstance(entry.event, Logged)


def _settled(state: RunState, entry: Entry) -> Entry:
    event = settle(state, entry)
    if event is entry.event:
        return entry
    return Entry(entry.offset, entry.run_id, entry.seq, entry.time, event)


def _settled_lines(lines: Sequence[Entry], phase: str | None) -> Iterator[Entry]:
    """Yield log lines with their times, and in `phase` where they say none."""
    for line in lines:
        event: Any = line.event
        where, when = event.phase, event.timestamp
        if when and (where is not None or phase is None):
            yield line
            continue
        settled = replace(
            event, phase=phase if where is None else where, timestamp=when or format_time(line.time)
        )
        yield Entry(line.offset, line.run_id, line.seq, line.time, settled)


def settle(state: RunState, entry: Entry) -> Event:
    """Fill in what an event says beyond its own facts, from the state *after* it: percentages, rate, results, duration.

    So every reader sees the same numbers, whoever produced the event and however little it said.
    `apply` does not depend on what is filled in here: folding settled and bare events gives the same state.
    """
    event = entry.event
    match event:
        case Progressed():
            phase = state.find_phase(event.phase or state.phase)
            progress = (
                phase.progress if phase else (state.overall_progress if state.total else event.phase_progress)
            )
            return replace(
                event,
                progress=state.progress,
                overall_progress=state.overall_progress,
                phase=event.phase if event.phase is not None else state.phase,
                phase_progress=progress,
                rate=phase.rate if phase else state.rate,
                results=state.results,
                bars=_settled_bars(state, event.bars),
            )
        case PhaseChanged():
            phase = state.find_phase(event.phase)
            return replace(
                event,
                weight=phase.weight if phase else event.weight,
                phase_progress=(phase.progress or 0.0) if phase else event.phase_progress,
                overall_progress=state.overall_progress,
            )
        case Logged():
            (line,) = _settled_lines((entry,), state.phase)
            return line.event
        case ItemFailed() if event.phase is None:
            return replace(event, phase=state.phase)
        case Completed():
            return replace(
                event, results=_final(state, event.results), duration=_duration(state), message=state.message
            )
        case RunFailed():
            return replace(
                event,
                progress=state.progress,
                results=_final(state, event.results),
                duration=_duration(state),
            )
        case RunCancelled():
            cancel = state.cancel or CancelState()
            return replace(
                event,
                progress=state.progress,
                message=state.message,
                how=cancel.how,
                reason=cancel.reason,
                results=_final(state, event.results),
                duration=_duration(state),
            )
        case _:
            return event


# -- one kind each -----------------------------------------------------------------------------------------------------


def _logged(state: RunState, lines: Sequence[Entry]) -> RunState:
    """Return the state after log lines that follow each other: one copy of it for all."""
    counts = dict(state.log_counts)
    created, last, sign, gap = state.created, state.last_time, state.last_sign, state.longest_gap
    if created is None or last is None or sign is None:
        created = last = sign = lines[0].time
    for entry in lines:
        event: Any = entry.event
        time, level = entry.time, event.level
        # Levels are free text: the counts stay bounded, the odd ones together.
        if level not in counts and len(counts) >= 20:
            level = "OTHER"
        counts[level] = counts.get(level, 0) + 1
        if event.logger == STREAMER_LOGGER:
            continue
        if time - last > gap and state.started is not None:
            gap = max(gap, round(time - last, 3))
        if time > last:
            last = time
        if time > sign:
            sign = time
    newest = lines[-1]
    return replace(
        state,
        seq=newest.seq,
        offset=newest.offset,
        log_counts=counts,
        created=created,
        last_time=last,
        last_sign=sign,
        longest_gap=gap,
    )


def _timed(state: RunState, event: Event, time: float) -> dict[str, Any]:
    """Return what an event at `time` changes of the state's times."""
    last, sign = state.last_time, state.last_sign
    if state.created is None or last is None or sign is None:
        return {"created": time, "last_time": time, "last_sign": time}
    if _is_about_silence(event):
        return {}
    if _says_the_same(state, event):
        return {"last_sign": max(time, sign)}
    changes: dict[str, Any] = {"last_time": max(time, last), "last_sign": max(time, sign)}
    if state.started is not None and time - last > state.longest_gap:
        changes["longest_gap"] = max(state.longest_gap, round(time - last, 3))
    return changes


def _is_about_silence(event: Event) -> bool:
    """Tell whether the streamer says this of a run, whether or not its producer lives; of log lines see `_logged`."""
    return isinstance(event, StatusChanged) and (
        event.status == "stalled" or event.step in ("asked", "terminated", "killed")
    )


def _says_the_same(state: RunState, event: Event) -> bool:
    """Tell whether a progress event repeats what is known: a sign of life, and nothing else."""
    if not isinstance(event, Progressed) or event.message or event.bars:
        return False
    if event.results.success > state.results.success:
        return False
    name = event.phase if event.phase is not None else state.phase
    known = state if name is None else state.find_phase(name)
    if known is None or (isinstance(known, PhaseState) and known.status != "started"):
        return False
    done = _count(event.done)
    if done is not None:
        return done == known.done and _count(event.total) == known.total
    if isinstance(known, PhaseState):
        said = _percent(None, None, event.phase_progress)
        return said is None or said <= (known.progress or 0.0)
    said = _percent(None, None, event.overall_progress)
    if said is None and event.progress:
        said = float(event.progress)
    return said is None or min(said, ALMOST) <= known.overall_progress


def _status_changed(state: RunState, event: StatusChanged, time: float) -> RunState:
    changes: dict[str, Any] = {"status": event.status, "message": event.message}
    for field in ("pipeline", "title", "parameters", "owner", "host", "program"):
        value = getattr(event, field)
        if value is not UNSET:
            changes[field] = value
    if event.phases is not UNSET and not state.phases:
        names: dict[str, PhaseSpec] = {}
        for spec in event.phases:
            names.setdefault(spec.name, spec)
        changes["phases"] = tuple(PhaseState(s.name, _weight(s.weight)) for s in names.values())
    if state.seq == 1:
        # What a producer says later cannot make another run of it.
        for field in ("managed", "retry_of", "retry_items"):
            value = getattr(event, field)
            if value is not UNSET:
                changes[field] = value
        if event.time_limit_seconds is not UNSET and 0 < event.time_limit_seconds <= COUNT_LIMIT:
            changes["time_limit_seconds"] = event.time_limit_seconds
    if event.status == "running" and state.started is None:
        changes["started"] = time
    process = state.process if event.process is UNSET else event.process
    if process is not None:
        if not process.host:
            process = replace(process, host=state.host)
        if event.process is UNSET and event.status == "running":
            process = replace(process, alive=True, doing="")
        changes["process"] = process
    if event.status == "cancelling":
        changes["cancel"] = _cancelling(state.cancel or CancelState(), event, time)
    if state.status == "cancelling" and event.status in ("running", "stalled"):
        # Asked to cancel stays visible until the run ends, whether or not its producer pauses meanwhile.
        changes["status"] = "cancelling"
    return replace(state, **changes)


def _cancelling(cancel: CancelState, event: StatusChanged, time: float) -> CancelState:
    step = "acknowledged" if event.step is UNSET else event.step
    changes: dict[str, Any] = {}
    if getattr(cancel, step) is None:
        changes[step] = time
        for field in ("by", "reason", "phase", "item"):
            value = getattr(event, field)
            if value is not UNSET:
                changes[field] = value
    return replace(cancel, **changes)


def _phase_changed(state: RunState, event: PhaseChanged, time: float) -> RunState:
    state = _with_phase(state, event.phase, event.weight)
    phase = state.find_phase(event.phase)
    if phase is None:
        return state
    current = state.phase
    if event.phase_status == "started":
        current = phase.name
        phase = replace(
            phase, status="started", started=time if phase.started is None else phase.started, ended=None
        )
    elif event.phase_status == "finished":
        phase = replace(phase, status="finished", ended=time, progress=100.0)
    elif event.phase_status == "skipped":
        phase = replace(phase, status="skipped", ended=time)
    else:
        phase = replace(phase, status="failed", ended=time)
    if event.message:
        phase = replace(phase, message=event.message)
    return replace(state, phase=current, phases=_put(state.phases, phase))


def _progressed(state: RunState, event: Progressed, time: float, headline: dict[str, Any]) -> RunState:
    """Return the state after progress, with `headline` in it: one copy of it, mostly."""
    if event.results.success > state.results.success:
        headline["results"] = Results(success=event.results.success, failed=state.results.failed)
    if event.message:
        headline["message"] = event.message
    name = event.phase if event.phase is not None else state.phase
    if event.bars:
        state = _with_bars(state, event.bars, name)
    if name is None:
        return _overall(_progressed_alone(replace(state, **headline), event, time))
    phase, phases = state.find_phase(name), state.phases
    if phase is None:
        if len(phases) >= PHASES_LIMIT:
            return replace(state, **headline)
        phase = PhaseState(name)
        phases = (*phases, phase)
    phase = _moved_on(phase, event, time)
    # A late sample of a phase that is over must not take the run's headline back to it.
    if phase.status == "started" or name == state.phase:
        headline.update(phase=name, done=phase.done, total=phase.total, unit=phase.unit, rate=phase.rate)
    phases = _put(phases, phase)
    return replace(state, phases=phases, **_summed(phases, state.overall_progress), **headline)


def _moved_on(phase: PhaseState, event: Progressed, time: float) -> PhaseState:
    """Return the phase after progress of it."""
    changes: dict[str, Any] = {}
    started = phase.started
    if phase.status in ("waiting", "failed"):
        started = time if started is None else started
        changes.update(status="started", started=started, ended=None)
    done, total = _count(event.done), _count(event.total)
    if done is not None:
        changes.update(_rated(phase, started, done, time))
        if started is not None:
            changes["curve"] = phase.curve.add(max(time - started, 0.0), done)
        changes.update(done=done, total=total, unit=event.unit or phase.unit)
    progress = _percent(done, total, event.phase_progress)
    if progress is not None:
        changes["progress"] = max(progress, phase.progress or 0.0)
    if event.message:
        changes["message"] = event.message
    return replace(phase, **changes)


def _progressed_alone(state: RunState, event: Progressed, time: float) -> RunState:
    """Progress of a run without phases: of `done` and `total`, or else as its producer says."""
    # What `settle` wrote of a phase is of none here.
    counted = replace(event, phase_progress=None)
    outside = _moved_on(state.outside or PhaseState("", started=state.started), counted, time)
    done, total = _count(event.done), _count(event.total)
    progress = _percent(done, total, event.overall_progress)
    if progress is None and event.progress:
        progress = _percent(None, None, float(event.progress))
    overall = max(state.overall_progress, min(progress or 0.0, ALMOST))
    if done is not None:
        state = replace(state, done=done, total=total, unit=event.unit or state.unit)
    rate = event.rate if event.rate is not None and math.isfinite(event.rate) else outside.rate
    return replace(state, overall_progress=overall, rate=rate, outside=outside)


def _ended(state: RunState, event: Completed | RunFailed | RunCancelled, time: float) -> RunState:
    state = replace(
        state,
        results=replace(state.results, success=max(state.results.success, event.results.success)),
        ended=time,
        rate=None,
        message=event.message,
        bars=tuple(_ended_bar(bar) for bar in state.bars),
        # Nobody looks after it any more.
        process=None if state.process is None else replace(state.process, alive=None, doing=""),
    )
    if isinstance(event, Completed):
        phases = tuple(
            replace(p, ended=time, status="finished", progress=100.0) if p.status == "started" else p
            for p in state.phases
        )
        return replace(
            state,
            status="complete",
            phases=phases,
            progress=100,
            overall_progress=100.0,
            result=event.result,
            message=event.message or outcome(state.results),
        )
    phases = tuple(
        replace(p, ended=time, status="failed") if p.status == "started" else p for p in state.phases
    )
    state = replace(state, phases=phases)
    if isinstance(event, RunFailed):
        return replace(state, status="failed", error=event.error)
    return _cancelled(state, event)


def _cancelled(state: RunState, event: RunCancelled) -> RunState:
    cancel, message = state.cancel, event.message
    if event.how or event.reason:
        cancel = cancel or CancelState()
        cancel = replace(cancel, how=event.how, reason=event.reason or cancel.reason)
    elif cancel is not None:
        # Its producer says so itself, and knows only that it was asked.
        cancel = replace(cancel, how="cooperative")
        message = cancel.reason or message
    return replace(state, status="cancelled", message=message, cancel=cancel)


def outcome(results: Results | FinalResults) -> str:
    """Say in words how a completed run's items went: ``complete, 3 of 4,812 failed``."""
    if results.failed:
        return f"complete, {results.failed:,} of {results.success + results.failed:,} failed"
    return "complete"


# -- parts -------------------------------------------------------------------------------------------------------------


def _overall(state: RunState) -> RunState:
    """Return the state with the overall progress that its phases add up to."""
    return replace(state, **_summed(state.phases, state.overall_progress))


def _summed(phases: Iterable[PhaseState], overall: float) -> dict[str, Any]:
    """Return the progress that phases add up to, where it is beyond `overall`."""
    weight = reached = 0.0
    for phase in phases:
        weight += phase.weight
        reached += phase.weight * phase.fraction
    if weight > 0:
        overall = max(overall, min(round(reached / weight * 100, 2), ALMOST))
    return {"overall_progress": overall, "progress": min(int(overall), 99)}


def _with_phase(state: RunState, name: str, weight: float | None) -> RunState:
    """Return the state with that phase in it; a phase that was never declared joins at the end, within the bound."""
    if state.find_phase(name) is not None or len(state.phases) >= PHASES_LIMIT:
        return state
    return replace(state, phases=(*state.phases, PhaseState(name, _weight(weight))))


def _put(phases: tuple[PhaseState, ...], phase: PhaseState) -> tuple[PhaseState, ...]:
    return tuple([phase if p.name == phase.name else p for p in phases])


def _with_bars(state: RunState, changed: Iterable[Bar], phase: str | None) -> RunState:
    """Return the state with those bars in it, `phase` theirs where neither they nor an earlier event said another."""
    bars = {bar.id: bar for bar in state.bars}
    for bar in changed:
        known = bars.get(bar.id)
        where = bar.phase if bar.phase is not None else known.phase if known is not None else phase
        bars[bar.id] = replace(bar, phase=where, done=_count(bar.done), total=_count(bar.total))
    surplus = len(bars) - BARS_LIMIT
    for gone in sorted(bars.values(), key=_staying)[: max(surplus, 0)]:
        del bars[gone.id]
    return replace(state, bars=tuple(bars.values()), bars_folded=state.bars_folded + max(surplus, 0))


def _staying(bar: Bar) -> tuple[bool, bool]:
    """Sort what may be folded away first: nested bars that are over, then other ones that are; the older the sooner."""
    return bar.status == "started", bar.parent is None


def _ended_bar(bar: Bar) -> Bar:
    if bar.status != "started":
        return bar
    whole = bar.done is not None and bar.total is not None and bar.done >= bar.total
    return replace(bar, status="finished" if whole else "stopped")


def _settled_bars(state: RunState, changed: tuple[Bar, ...]) -> tuple[Bar, ...]:
    if not changed:
        return changed
    known = {bar.id: bar.phase for bar in state.bars}
    return tuple(bar if bar.phase is not None else replace(bar, phase=known.get(bar.id)) for bar in changed)


def _rated(phase: PhaseState, started: float | None, done: float, time: float) -> dict[str, Any]:
    """Return what changes in a phase that was `started` then as its rate moves on to `done` at `time`."""
    since, before = phase.rate_time, phase.rate_done
    if since is None or done < before:
        # Nothing to compare with yet, or a new count began in the same phase.
        since = started if since is None and started is not None else time
        if since >= time or done < before:
            return {"rate_time": time, "rate_done": done}
        before = 0
    seconds = time - since
    if seconds < 0.05:
        return {"rate_time": since, "rate_done": before}
    now = (done - before) / seconds
    if phase.rate is None:
        rate = now
    else:
        rate = phase.rate + (now - phase.rate) * (1 - math.exp(-seconds / RATE_SECONDS))
    return {"rate": float(f"{rate:.6g}"), "rate_time": time, "rate_done": done}


def _percent(done: float | None, total: float | None, said: float | None) -> float | None:
    if done is not None and total is not None:
        return min(round(done / total * 100, 2), 100.0) if total > 0 else 100.0
    if said is not None and math.isfinite(said):
        return min(max(round(said, 2), 0.0), 100.0)
    return None


def _count(value: float | None) -> float | None:
    value = counted(value)
    return value if value is None or isinstance(value, int) or not value.is_integer() else int(value)


def _weight(weight: float | None) -> float:
    return float(min(weight, COUNT_LIMIT)) if weight is not None and weight >= 0 else 1.0


def _final(state: RunState, given: FinalResults) -> FinalResults:
    return FinalResults(state.results.success, state.results.failed, given.errors or state.errors)


def _duration(state: RunState) -> float | None:
    seconds = state.duration(state.last_time or 0.0)
    return None if seconds is None else round(seconds, 3)


_decoder = msgspec.json.Decoder(RunState)


def encode_state(state: RunState) -> bytes:
    """Return the state as JSON (UTF-8)."""
    return msgspec.json.encode(state)


def decode_state(data: bytes | str) -> RunState:
    """Read a state from JSON. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return _decoder.decode(data)
