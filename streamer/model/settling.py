"""`settle`: fills in the percentages, rates and counts of an event from the run's state. Pure.

The streamer stores settled events, so every reader sees the same numbers, however little the producer said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from streamer.model.bars import settled_bars
from streamer.model.events import (
    Completed,
    Entry,
    Event,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseChanged,
    Progressed,
    RunCancelled,
    RunFailed,
)
from streamer.model.reducer import apply, apply_lines
from streamer.model.state import CancelState, RunState
from streamer.model.timestamps import format_time


def advance(
    state: RunState, entries: Iterable[Entry], share: float | None = None
) -> tuple[RunState, list[Entry]]:
    """Apply new entries of a run that is under way.

    A terminal event is the last: what stands behind it is passed over.

    Args:
        state: The run's state before them.
        entries: The entries, in order.
        share: The share of its time that the run has behind it, 0 to 1, which is its progress then; None: its progress
            is by the declared weights.

    Returns:
        The state, and the entries with their events settled.

    """
    settled: list[Entry] = []
    for are_lines, group in groupby(entries, _is_line):
        if are_lines:
            # By far the most frequent ones, and nothing that one of them is settled from changes with another.
            lines = tuple(group)
            state = apply_lines(state, lines)
            settled += _settled_lines(lines, state.phase)
            continue
        for entry in group:
            reached = state.progress
            state = apply(state, entry)
            if share is not None and not state.is_over:
                state = replace(state, progress=max(reached, min(int(share * 100), 99)))
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

    Args:
        state: The run's state after the event.
        entry: The entry whose event is filled in.

    Returns:
        An entry with the whole event.

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
                bars=settled_bars(state, event.bars),
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


def _final(state: RunState, given: FinalResults) -> FinalResults:
    return FinalResults(state.results.success, state.results.failed, given.errors or state.errors)


def _duration(state: RunState) -> float | None:
    seconds = state.duration(state.last_time or 0.0)
    return None if seconds is None else round(seconds, 3)
