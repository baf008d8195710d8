"""`apply`, the one reducer: a run's state after one more entry. Pure: no I/O, no clock, no randomness.

The streamer's snapshot, the dashboards, the notebooks and the terminal fold the same entries with `apply`, so they
cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from streamer.model.bars import ended_bar, with_bars
from streamer.model.bounds import (
    COUNT_LIMIT,
    ERRORS_LISTED,
    PHASES_LIMIT,
    brief,
    whole_count,
)
from streamer.model.events import (
    STREAMER_LOGGER,
    Completed,
    Entry,
    Event,
    FailedItem,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    Results,
    RunCancelled,
    RunFailed,
    StatusChanged,
)
from streamer.model.percentages import ALMOST, overall, percent, rated
from streamer.model.state import CancelState, PhaseState, RunState

#: How many of the runs that repeat a run its state names.
RETRIES_LISTED: Final = 20


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
        return apply_lines(state, (entry,))
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
    """Return the state of a run that another one repeats. Idempotent.

    Args:
        state: The state of the earlier run.
        run_id: The run that repeats it.

    """
    if run_id in state.retried_by:
        return state
    return replace(state, retried_by=(*state.retried_by, run_id)[-RETRIES_LISTED:])


def fold(state: RunState, entries: Iterable[Entry]) -> RunState:
    """Apply entries one after another.

    Args:
        state: The state to begin with.
        entries: The entries of one run, in their order.

    """
    for entry in entries:
        state = apply(state, entry)
    return state


def apply_lines(state: RunState, lines: Sequence[Entry]) -> RunState:
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
    done = whole_count(event.done)
    if done is not None:
        return done == known.done and whole_count(event.total) == known.total
    if isinstance(known, PhaseState):
        said = percent(None, None, event.phase_progress)
        return said is None or said <= (known.progress or 0.0)
    said = percent(None, None, event.overall_progress)
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
        # A producer's later events cannot make another run of it.
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
        state = with_bars(state, event.bars, name)
    if name is None:
        return _overall(_progressed_alone(replace(state, **headline), event, time))
    phase, phases = state.find_phase(name), state.phases
    if phase is None:
        if len(phases) >= PHASES_LIMIT:
            return replace(state, **headline)
        phase = PhaseState(name, joined=True)
        phases = (*phases, phase)
    had_total = phase.total is not None
    phase = _moved_on(phase, event, time)
    if had_total and phase.total is None and event.phase_progress is None:
        # Its work goes on, and nobody knows how far.
        phase = replace(phase, progress=None)
    # A late sample of a phase that is over must not take the run's headline back to it.
    if phase.status == "started" or name == state.phase:
        headline.update(phase=name, done=phase.done, total=phase.total, unit=phase.unit, rate=phase.rate)
    phases = _put(phases, phase)
    return replace(state, phases=phases, **overall(phases, state.overall_progress), **headline)


def _moved_on(phase: PhaseState, event: Progressed, time: float) -> PhaseState:
    """Return the phase after progress of it."""
    changes: dict[str, Any] = {}
    started = phase.started
    if phase.status in ("waiting", "failed"):
        started = time if started is None else started
        changes.update(status="started", started=started, ended=None)
    done, total = whole_count(event.done), whole_count(event.total)
    if done is not None:
        changes.update(rated(phase, started, done, time))
        if started is not None:
            changes["curve"] = phase.curve.add(max(time - started, 0.0), done)
        changes.update(done=done, total=total, unit=event.unit or phase.unit)
    progress = percent(done, total, event.phase_progress)
    if progress is not None:
        changes["progress"] = max(progress, phase.progress or 0.0)
    if event.message:
        changes["message"] = event.message
    return replace(phase, **changes)


def _progressed_alone(state: RunState, event: Progressed, time: float) -> RunState:
    """Progress of a run without phases: of `done` and `total`, or else as its producer says."""
    # `settle` may have written a phase's progress. No phase is meant here.
    counted = replace(event, phase_progress=None)
    outside = _moved_on(state.outside or PhaseState("", started=state.started), counted, time)
    done, total = whole_count(event.done), whole_count(event.total)
    progress = percent(done, total, event.overall_progress)
    if progress is None and event.progress:
        progress = percent(None, None, float(event.progress))
    reached = max(state.overall_progress, min(progress or 0.0, ALMOST))
    if done is not None:
        state = replace(state, done=done, total=total, unit=event.unit or state.unit)
    rate = event.rate if event.rate is not None and math.isfinite(event.rate) else outside.rate
    return replace(state, overall_progress=reached, rate=rate, outside=outside)


def _ended(state: RunState, event: Completed | RunFailed | RunCancelled, time: float) -> RunState:
    state = replace(
        state,
        results=replace(state.results, success=max(state.results.success, event.results.success)),
        ended=time,
        rate=None,
        message=event.message,
        bars=tuple(ended_bar(bar) for bar in state.bars),
        estimate=None,
        # Nobody looks after it any more.
        process=None if state.process is None else replace(state.process, alive=None, doing=""),
    )
    if isinstance(event, Completed):
        phases = tuple(
            replace(p, ended=time, status="finished", progress=100.0)
            if p.status == "started"
            # A run that is complete waits for nothing.
            else replace(p, status="skipped")
            if p.status == "waiting"
            else p
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
    state = replace(state, phases=phases, unreached=event.unreached)
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
    return replace(state, **overall(state.phases, state.overall_progress))


def _with_phase(state: RunState, name: str, weight: float | None) -> RunState:
    """Return the state with that phase in it; a phase that was never declared joins at the end, within the bound."""
    if state.find_phase(name) is not None or len(state.phases) >= PHASES_LIMIT:
        return state
    return replace(state, phases=(*state.phases, PhaseState(name, _weight(weight), joined=True)))


def _put(phases: tuple[PhaseState, ...], phase: PhaseState) -> tuple[PhaseState, ...]:
    return tuple([phase if p.name == phase.name else p for p in phases])


def _weight(weight: float | None) -> float:
    return float(min(weight, COUNT_LIMIT)) if weight is not None and weight >= 0 else 1.0
