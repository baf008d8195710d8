"""`Timeline`: a run as arrays of times, phase by phase. It knows no other run and computes no estimate.

Times are seconds since the run came to be running. The rows before a moment are all that was known at that moment.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: A gap between two reports is a standstill beyond so many of the phase's usual gaps, and so many seconds.
STANDSTILL_GAPS: Final = 10.0
STANDSTILL_SECONDS: Final = 10.0
#: The names of what a phase computes of its reports once.
_COMPUTED: Final = ("reports", "_changed", "steps", "moved", "grows", "fractions")
#: A total grows when the last one is so much more than the first.
_GROWTH: Final = 1.2


@dataclass
class PhaseTimeline:
    """A phase: when it began and ended, and its reports.

    `rows` has a row for each report: its time, done, total, and percent of the phase; NaN where it is not known.
    """

    name: str
    weight: float
    started: float | None = None
    ended: float | None = None
    skipped: float | None = None
    declared: bool = False
    rows: list[tuple[float, float, float, float]] = field(default_factory=list)

    def add(self, row: tuple[float, float, float, float]) -> None:
        """Add a report to a phase that is under way; what was computed of the earlier ones is void."""
        self.rows.append(row)
        self.changed()

    def changed(self) -> None:
        """Forget what was computed of the reports."""
        for name in _COMPUTED:
            vars(self).pop(name, None)

    @functools.cached_property
    def reports(self) -> Array:
        """The rows as an array, shape (reports, 4)."""
        return np.array(self.rows, dtype=np.float64).reshape(-1, 4)

    @functools.cached_property
    def _changed(self) -> npt.NDArray[np.bool_]:
        """Whether each report says another count or percent than the one before; others are signs of life."""
        rows = self.reports
        value = np.nan_to_num(np.where(np.isnan(rows[:, 1]), rows[:, 3], rows[:, 1]))
        changed: npt.NDArray[np.bool_] = np.diff(value, prepend=-1.0) != 0
        return changed

    @functools.cached_property
    def steps(self) -> Array:
        """The times of the reports that say something new."""
        steps: Array = self.reports[self._changed, 0]
        return steps

    @functools.cached_property
    def moved(self) -> Array:
        """The time of the last step up to each report."""
        rows = self.reports
        if not len(rows):
            return np.zeros(0)
        places = np.maximum.accumulate(np.where(self._changed, np.arange(len(rows)), 0))
        moved: Array = rows[places, 0]
        return moved

    @functools.cached_property
    def grows(self) -> bool:
        """Whether the total grew while the phase ran."""
        totals = self.reports[:, 2][~np.isnan(self.reports[:, 2])]
        return len(totals) > 1 and totals[-1] > _GROWTH * totals[0] > 0

    @functools.cached_property
    def fractions(self) -> Array:
        """The fraction that each report says, 0 to 1, never falling; NaN where none is known."""
        rows = self.reports
        with np.errstate(divide="ignore", invalid="ignore"):
            said = np.where(rows[:, 2] > 0, rows[:, 1] / rows[:, 2], rows[:, 3] / 100.0)
        known = ~np.isnan(said)
        highest = np.maximum.accumulate(np.where(known, np.clip(said, 0.0, 1.0), 0.0))
        fractions: Array = np.where(known, highest, np.nan)
        return fractions


@dataclass
class Timeline:
    """A run. `phases` are in the order in which they were declared or came up.

    `created`, `running` and `over` are POSIX seconds; None: not yet. `end` is the name of the terminal event, or empty.
    """

    run: str
    pipeline: str
    parameters: Mapping[str, Any]
    retry_of: str | None
    created: float
    running: float | None = None
    over: float | None = None
    end: str = ""
    phases: dict[str, PhaseTimeline] = field(default_factory=dict)
    #: Begin, end or skip of a phase: time, name, status.
    marks: list[tuple[float, str, str]] = field(default_factory=list)
    #: The failed items so far.
    failed: int = 0

    def phase(self, name: str, weight: float | None = None) -> PhaseTimeline:
        """Return a phase, and make it when it is new.

        Args:
            name: Its name; empty: the progress outside all phases.
            weight: Its declared weight; None: 1, or what it is already.
        """
        found = self.phases.get(name)
        if found is None:
            found = self.phases[name] = PhaseTimeline(name, weight or 1.0)
        return found

    def mark(self, time: float, name: str, status: str) -> None:
        """Take note that a phase was started, finished, skipped or failed, at a time since running.

        Args:
            time: Seconds since running.
            name: The phase.
            status: "started", "finished", "skipped" or "failed".

        """
        phase = self.phase(name)
        if status == "started":
            phase.started = time if phase.started is None else phase.started
            phase.ended = None
        elif status == "skipped":
            phase.skipped = time
        elif phase.started is not None:
            phase.ended = time
        self.marks.append((time, name, status))

    @property
    def seconds(self) -> float:
        """How long the run took, from running to its end; 0 while it goes on."""
        return 0.0 if self.over is None or self.running is None else max(self.over - self.running, 0.0)

    @functools.cached_property
    def standstills(self) -> tuple[Array, Array]:
        """The standstills of a run that is over: when each began, and how long it was beyond the usual gap."""
        begins: list[float] = []
        lengths: list[float] = []
        for phase in self.phases.values():
            times = phase.steps
            if len(times) < 4 or phase.started is None:
                continue
            gaps = np.diff(times)
            usual = max(float(np.median(gaps)), 1e-3)
            long = gaps > max(STANDSTILL_GAPS * usual, STANDSTILL_SECONDS)
            begins += [float(time) for time in times[:-1][long]]
            lengths += [float(gap - usual) for gap in gaps[long]]
        order = np.argsort(begins)
        return np.array(begins)[order], np.array(lengths)[order]

    def active(self, times: Array) -> Array:
        """Return times without the standstills before them.

        Args:
            times: Seconds since running.
        """
        begins, lengths = self.standstills
        if not len(begins):
            return times
        passed: Array = np.concatenate(([0.0], np.cumsum(lengths)))
        before = np.searchsorted(begins, times, "left")
        # Within a standstill time stands still as well.
        inside = np.where(before > 0, begins[np.maximum(before - 1, 0)], -np.inf)
        spent = np.minimum(times - inside, lengths[np.maximum(before - 1, 0)])
        partial = np.where(before > 0, passed[np.maximum(before - 1, 0)] + np.maximum(spent, 0.0), 0.0)
        active: Array = times - partial
        return active
