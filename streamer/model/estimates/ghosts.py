"""`Ghost`: an earlier run of the same pipeline, asked when it was where this run is now, and how long it then took.

The idea: no model of a phase is needed, as slow starts, silent phases and wrong weights are all in the earlier run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.model.estimates.timeline import Array, PhaseTimeline, Timeline

#: The weight of a ghost whose phase was over in the time that this run's silent phase has taken already.
OUTLIVED: Final = 0.15


@dataclass
class Found:
    """Where a ghost was at the positions of this run; an array for each, one value a position.

    `at`: seconds since its running, standstills left out. `stay`: how long it stayed at the position. `weight`: 0 where
    it was never there. `lost`: the seconds of standstills that were still to come. `tenth`: seconds for the last tenth
    of the phase. `total`: the total known then. NaN: not known.
    """

    at: Array
    stay: Array
    weight: Array
    lost: Array
    tenth: Array
    total: Array


class Ghost:
    """An earlier run that completed.

    Args:
        timeline: The whole run.

    """

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.seconds = float(timeline.active(np.array([timeline.seconds]))[0])
        begins, lengths = timeline.standstills
        self._stood_at = timeline.active(begins)
        self._still_lost = np.concatenate((np.cumsum(lengths[::-1])[::-1], [0.0]))
        self._curves: dict[tuple[str, str], tuple[Array, Array, Array]] = {}

    def at_start(self, elapsed: Array) -> Found:
        """Return where it was before its first phase began, so long after its running."""
        begun = [phase.started for phase in self.timeline.phases.values() if phase.started is not None]
        first = min(begun, default=0.0)
        return self._at_times(np.minimum(elapsed, first), np.maximum(first - elapsed, 0.0))

    def after(self, name: str, since: Array) -> Found:
        """Return where it was so long after the end of a phase.

        Args:
            name: The phase.
            since: Seconds since its end.

        """
        phase = self.timeline.phases.get(name)
        if phase is None or phase.ended is None:
            return self._nowhere(since)
        ended = phase.ended
        later = [
            other.started
            for other in self.timeline.phases.values()
            if other.started is not None and other.started >= ended and other is not phase
        ]
        gap = min(later, default=self.timeline.seconds) - ended
        return self._at_times(np.full_like(since, ended), np.full_like(since, max(gap, 0.0)))

    def in_silence(self, name: str, since: Array) -> Found:
        """Return where it was so long after the begin of a phase that tells nothing.

        Args:
            name: The phase.
            since: Seconds since its begin.

        """
        phase = self.timeline.phases.get(name)
        if phase is None or phase.started is None or phase.ended is None:
            return self._nowhere(since)
        length = phase.ended - phase.started
        found = self._at_times(phase.started + np.minimum(since, length), np.zeros_like(since))
        found.weight = np.where(since < length, 1.0, OUTLIVED)
        return found

    def at_position(self, name: str, kind: str, positions: Array, tenths: Array) -> Found:
        """Return when it was at positions of a phase.

        Args:
            name: The phase.
            kind: "fraction" or "count".
            positions: Fractions from 0 to 1, or counts.
            tenths: The positions one tenth of the phase before.
        """
        phase = self.timeline.phases.get(name)
        if phase is None or phase.started is None or phase.ended is None:
            return self._nowhere(positions)
        places, times, totals = self._curve(phase, kind)
        at = np.interp(positions, places, times)
        before = np.interp(tenths, places, times)
        index = np.clip(np.searchsorted(places, positions, "right") - 1, 0, len(places) - 1)
        following = np.minimum(index + 1, len(places) - 1)
        found = self._at_times(at, np.maximum(times[following] - times[index], 0.0), is_active=True)
        found.tenth = np.maximum(at - before, 0.0)
        found.total = totals[index]
        if kind == "count":
            found.weight = np.where(positions <= places[-1], 1.0, OUTLIVED)
        return found

    def spent_in(self, names: list[str]) -> float:
        """Return the seconds that it spent in phases, standstills left out."""
        seconds = 0.0
        for name in names:
            phase = self.timeline.phases.get(name)
            if phase is not None and phase.started is not None and phase.ended is not None:
                begin, end = self.timeline.active(np.array([phase.started, phase.ended]))
                seconds += float(end - begin)
        return seconds

    def total_of(self, name: str) -> float:
        """Return the last total of a phase; NaN: it had none."""
        phase = self.timeline.phases.get(name)
        totals = np.zeros(0) if phase is None else phase.reports[:, 2][~np.isnan(phase.reports[:, 2])]
        return float(totals[-1]) if len(totals) else np.nan

    def _curve(self, phase: PhaseTimeline, kind: str) -> tuple[Array, Array, Array]:
        """Return the places of a phase, each once, when it was reached, and the total known then."""
        key = phase.name, kind
        if key not in self._curves:
            assert phase.started is not None
            assert phase.ended is not None
            rows = phase.reports
            values = phase.fractions if kind == "fraction" else rows[:, 1]
            known = ~np.isnan(values)
            places = np.maximum.accumulate(np.concatenate(([0.0], values[known])))
            times = self.timeline.active(np.concatenate(([phase.started], rows[known, 0])))
            first = rows[0, 2] if len(rows) else np.nan
            totals = np.concatenate(([first], rows[known, 2]))
            _, kept = np.unique(places, return_index=True)
            places, times, totals = places[kept], times[kept], totals[kept]
            if kind == "fraction" and places[-1] < 1.0:
                ended = self.timeline.active(np.array([phase.ended]))
                places, times = np.append(places, 1.0), np.append(times, ended)
                totals = np.append(totals, totals[-1])
            self._curves[key] = places, times, totals
        return self._curves[key]

    def _at_times(self, times: Array, stay: Array, *, is_active: bool = False) -> Found:
        nothing = np.full_like(times, np.nan)
        times = times if is_active else self.timeline.active(times)
        # The standstills lie at places of the active time as well.
        after = np.searchsorted(self._stood_at, times, "left")
        return Found(times, stay, np.ones_like(times), self._still_lost[after], nothing, nothing.copy())

    def _nowhere(self, like: Array) -> Found:
        nothing = np.full_like(like, np.nan)
        zeros = np.zeros_like(like)
        return Found(zeros, zeros, zeros, zeros, nothing, nothing.copy())
