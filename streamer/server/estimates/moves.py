"""`take`: an entry of a run as part of its `Timeline`; `thin`: fewer rows that tell the same. Computes no estimate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from streamer.model.estimates.timeline import Timeline
from streamer.model.events import (
    Completed,
    Entry,
    ItemFailed,
    PhaseChanged,
    Progressed,
    RunCancelled,
    RunFailed,
    StatusChanged,
    kind,
)

#: A row of a phase: seconds since running, done, total, percent.
Row = tuple[float, float, float, float]
#: The largest gaps between rows, both ends of which stay: a standstill is told by them.
_GAPS: Final = 10


def take(timeline: Timeline, entry: Entry) -> None:
    """Let a run's timeline learn from its next entry.

    Args:
        timeline: The run's.
        entry: An entry after those that it knows.

    """
    event = entry.event
    if isinstance(event, StatusChanged):
        if event.status == "running" and timeline.running is None:
            timeline.running = entry.time
        for spec in event.phases or ():
            timeline.phase(spec.name, spec.weight).declared = True
    if timeline.running is None:
        return
    since = max(entry.time - timeline.running, 0.0)
    match event:
        case PhaseChanged():
            timeline.phase(event.phase, event.weight)
            timeline.mark(since, event.phase, event.phase_status)
        case Progressed():
            name = event.phase or ""
            said = event.phase_progress if name else event.overall_progress
            phase = timeline.phase(name)
            if not name and phase.started is None:
                phase.started = 0.0
            done, total, percent = (
                np.nan if one is None else float(one) for one in (event.done, event.total, said)
            )
            phase.add((since, done, total, percent))
        case ItemFailed():
            timeline.failed += 1
        case Completed() | RunFailed() | RunCancelled():
            timeline.over, timeline.end = entry.time, {"error": "failed"}.get(kind(event), kind(event))
            for phase in timeline.phases.values():
                # Its end ends what is open, also the progress outside of phases.
                if phase.started is not None and phase.ended is None:
                    phase.ended = since
        case _:
            pass


def thin(rows: Sequence[Row], most: int) -> list[Row]:
    """Return at most so many rows: evenly over their time, and both ends of the largest gaps.

    Args:
        rows: The rows, in order.
        most: How many to keep, more than 22.

    """
    if len(rows) <= most:
        return list(rows)
    times = np.array([row[0] for row in rows])
    even = np.searchsorted(times, np.linspace(times[0], times[-1], most - 2 * _GAPS - 1), "right") - 1
    wide = np.argsort(np.diff(times))[-_GAPS:]
    kept = np.unique(np.concatenate((even, wide, wide + 1, [0, len(rows) - 1])))[:most]
    kept[-1] = len(rows) - 1
    return [rows[int(at)] for at in kept]
