"""`positions_of`: where a run was at given times, as it was known then. It looks at nothing that came later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamer.model.estimates.timeline import (
    STANDSTILL_GAPS,
    STANDSTILL_SECONDS,
    Array,
    PhaseTimeline,
    Timeline,
)

Kind = Literal["start", "between", "silent", "fraction", "count"]


@dataclass
class Positions:
    """Positions of one kind at successive times; arrays have a value for each time.

    `index` are the places of the times among all that were asked for; `times` are seconds since running. `phase` is
    under way; for "between" it ended last. `over` are the phases that ended or were skipped. `place` is the fraction or
    the count, `before` the place a tenth of the phase earlier, `since` the seconds in this place or phase. `total` is
    the phase's total as it was known, `tenth` the seconds that its last tenth took; NaN: not known. `active` is the
    time without standstills.
    """

    kind: Kind
    phase: str
    over: list[str]
    index: np.ndarray
    times: Array
    since: Array
    place: Array
    before: Array
    total: Array
    tenth: Array
    active: Array

    def rows(self, rows: np.ndarray) -> Positions:
        """Return some of the positions.

        Args:
            rows: Their places here.
        """
        return Positions(
            self.kind,
            self.phase,
            self.over,
            self.index[rows],
            self.times[rows],
            self.since[rows],
            self.place[rows],
            self.before[rows],
            self.total[rows],
            self.tenth[rows],
            self.active[rows],
        )


def positions_of(
    timeline: Timeline, times: Array, counted: frozenset[str] = frozenset()
) -> Iterator[Positions]:
    """Yield the positions at times, in groups of one kind.

    Args:
        timeline: The run.
        times: Seconds since running, in order.
        counted: Phases whose place is a count, although they have a total: it grows while they run.
    """
    marks = timeline.marks
    begins = np.array([time for time, _, _ in marks])
    groups = np.searchsorted(begins, times, "right")
    for group in np.unique(groups):
        index = np.flatnonzero(groups == group)
        yield from _in_group(timeline, marks[:group], index, times[index], counted)


def _in_group(
    timeline: Timeline,
    marks: list[tuple[float, str, str]],
    index: np.ndarray,
    times: Array,
    counted: frozenset[str],
) -> Iterator[Positions]:
    """Yield the positions between two marks."""
    over: list[str] = []
    current: str | None = None
    last: tuple[float, str] | None = None
    for time, name, status in marks:
        if status == "started":
            current = name
        else:
            if current == name:
                current = None
            if name not in over:
                over.append(name)
            if status == "finished":
                last = time, name
    bare = timeline.phases.get("")
    if current is None and not over and bare is not None and bare.rows:
        # Progress outside all phases began with the run, and is known of from its first report on.
        tells = times >= bare.rows[0][0]
        if tells.any():
            yield from _in_phase(timeline, bare, over, index[tells], times[tells], marks, counted)
        index, times = index[~tells], times[~tells]
        if not len(times):
            return
    if current is not None:
        yield from _in_phase(timeline, timeline.phases[current], over, index, times, marks, counted)
        return
    nothing = np.full_like(times, np.nan)
    kind: Kind = "start" if last is None else "between"
    since = times if last is None else times - last[0]
    name = "" if last is None else last[1]
    zeros = np.zeros_like(times)
    active = _active(timeline, times)
    yield Positions(kind, name, over, index, times, since, zeros, zeros, nothing, nothing, active)


def _in_phase(
    timeline: Timeline,
    phase: PhaseTimeline,
    over: list[str],
    index: np.ndarray,
    times: Array,
    marks: list[tuple[float, str, str]],
    counted: frozenset[str],
) -> Iterator[Positions]:
    began = next(
        (time for time, name, status in reversed(marks) if name == phase.name and status == "started"), 0.0
    )
    rows = phase.reports
    last = np.searchsorted(rows[:, 0], times, "right") - 1
    seen = np.maximum(last, 0)
    if len(rows):
        done = np.where(last >= 0, rows[seen, 1], np.nan)
        total = np.where(last >= 0, rows[seen, 2], np.nan)
        fraction = np.where(last >= 0, phase.fractions[seen], np.nan)
        moved = np.where(last >= 0, phase.moved[seen], began)
    else:
        done = total = fraction = np.full_like(times, np.nan)
        moved = np.full_like(times, began)
    active = _active(timeline, times)
    is_fraction = (np.nan_to_num(fraction) > 0) & (phase.name not in counted)
    is_count = ~is_fraction & (np.nan_to_num(done) > 0)
    kinds: list[tuple[Kind, np.ndarray]] = [
        ("fraction", is_fraction),
        ("count", is_count),
        ("silent", ~is_fraction & ~is_count),
    ]
    for kind, chosen in kinds:
        if not chosen.any():
            continue
        place = {"fraction": fraction, "count": done, "silent": np.zeros_like(times)}[kind][chosen]
        place = np.nan_to_num(place)
        before = np.maximum(place - 0.1, 0.0) if kind == "fraction" else 0.9 * place
        tenth = np.full_like(place, np.nan)
        if kind != "silent":
            values = phase.fractions if kind == "fraction" else rows[:, 1]
            tenth = _tenth(_without_standstills(phase), values, began, place, before)
        yield Positions(
            kind,
            phase.name,
            over,
            index[chosen],
            times[chosen],
            times[chosen] - (began if kind == "silent" else moved[chosen]),
            place,
            before,
            total[chosen],
            tenth,
            active[chosen],
        )


def _tenth(times: Array, values: Array, began: float, place: Array, before: Array) -> Array:
    """Return the seconds from the earlier place to each place. The curve between is in the past of its time."""
    known = ~np.isnan(values)
    places = np.maximum.accumulate(np.concatenate(([0.0], values[known])))
    reached = np.concatenate(([began], times[known]))
    _, kept = np.unique(places, return_index=True)
    tenth: Array = np.interp(place, places[kept], reached[kept]) - np.interp(
        before, places[kept], reached[kept]
    )
    return np.maximum(tenth, 0.0)


def _active(timeline: Timeline, times: Array) -> Array:
    """Return times without the standstills up to each, as far as they were known then."""
    lost = np.zeros_like(times)
    for phase in timeline.phases.values():
        reported = phase.steps
        if len(reported) < 4:
            continue
        passed, usual = _lost(reported)
        last = np.searchsorted(reported, times, "right") - 1
        lost += np.where(last >= 0, passed[np.maximum(last, 0)], 0.0)
        # A gap that goes on, in the phase that is under way.
        open_gap = times - reported[np.maximum(last, 0)]
        now = np.clip(last - 1, 0, len(usual) - 1)
        goes_on = (last >= 3) & (open_gap > _bound(usual)[now])
        if phase.ended is not None:
            goes_on &= times < phase.ended
        lost += np.where(goes_on, np.maximum(open_gap - usual[now], 0.0), 0.0)
    active: Array = np.maximum(times - lost, 1e-3)
    return active


def _lost(reported: Array) -> tuple[Array, Array]:
    """Return the seconds of standstills before each report, and the usual gap as it was known at each gap."""
    gaps = np.diff(reported)
    if len(gaps) < 3:
        return np.zeros_like(reported), np.full(len(gaps), np.inf)
    usual = _medians(gaps)
    extra = np.where(gaps > _bound(usual), gaps - usual, 0.0)
    return np.concatenate(([0.0], np.cumsum(extra))), usual


def _without_standstills(phase: PhaseTimeline) -> Array:
    """Return the times of a phase's reports without the standstills before each."""
    times = phase.reports[:, 0]
    if not len(phase.steps):
        return times
    passed, _ = _lost(phase.steps)
    last = np.searchsorted(phase.steps, times, "right") - 1
    found: Array = times - np.where(last >= 0, passed[np.maximum(last, 0)], 0.0)
    return found


def _bound(usual: Array) -> Array:
    bound: Array = np.maximum(STANDSTILL_GAPS * usual, STANDSTILL_SECONDS)
    return bound


def _medians(gaps: Array) -> Array:
    """Return the median of the gaps up to each one, renewed each time their number has grown by a tenth."""
    medians = np.empty_like(gaps)
    renew, value = 1, 0.0
    for count in range(1, len(gaps) + 1):
        if count >= renew:
            value = max(float(np.median(gaps[:count])), 1e-3)
            renew = count + 1 + count // 10
        medians[count - 1] = value
    return medians
