"""`Following`: the estimates of one run while it goes on: its timeline, its ghosts, and what was said. One thread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from streamer.model.estimate import Duration, Estimated
from streamer.model.estimates.calibration import factor_of, miss_of
from streamer.model.estimates.estimator import MOST_GHOSTS, UPPER, Estimator
from streamer.model.estimates.shown import Shown, basis_of
from streamer.model.estimates.timeline import Timeline
from streamer.model.state import RunState
from streamer.server.estimates.moves import take, thin
from streamer.server.estimates.past import SAID_KEPT, Past, Said, evenly
from streamer.server.log.base import MOVES_PER_PAGE, EventLog

#: A phase with more rows than this is thinned to half of them.
_ROWS: Final = 4_000
#: A remaining time of over a hundred years is no estimate.
LONGEST_SECONDS: Final = 3e9
#: A run is said to take longer than earlier ones when there are so many, and this share of them was shorter.
_FEWEST: Final = 3
_NEARLY_ALL: Final = 0.9


class Following:
    """A run that goes on.

    Args:
        state: The run's state, from which come its name and parameters.
        earlier: The ids of earlier runs like it and what is kept of them, oldest first.
        before: What was kept of this run by an earlier streamer; None: nothing.

    """

    def __init__(
        self, state: RunState, earlier: Sequence[tuple[str, Past]], before: Past | None = None
    ) -> None:
        self.timeline = new_timeline(state)
        fitting = [
            (run_id, past)
            for run_id, past in earlier
            if (past.retry_of is None) == (state.retry_of is None) and past.end == "complete"
        ]
        self._factor = factor_of([past.miss for _, past in fitting if past.miss is not None][-MOST_GHOSTS:])
        self._estimator = Estimator(self.timeline, [past.timeline(run_id) for run_id, past in fitting])
        self.said: list[Said] = [] if before is None else list(before.said)
        shares = [one.fraction for one in self.said if one.fraction is not None]
        # The percentage that was shown before never falls.
        self._shown = Shown(max([state.progress / 100, *shares[-1:]]) if self.ghosts else 0.0)
        self._weights = _usual_seconds([ghost.timeline for ghost in self._estimator.ghosts])
        self._offset = 0

    @property
    def ghosts(self) -> int:
        """How many earlier runs it knows."""
        return len(self._estimator.ghosts)

    def read(self, log: EventLog) -> None:
        """Read what the log has of the run since the last time. Raises `LogError`."""
        while entries := log.moves(self.timeline.run, after=self._offset):
            for entry in entries:
                take(self.timeline, entry)
            self._offset = entries[-1].offset
            for phase in self.timeline.phases.values():
                if len(phase.rows) > _ROWS:
                    phase.rows = thin(phase.rows, _ROWS // 2)
                    phase.changed()
            if len(entries) < MOVES_PER_PAGE:
                return

    def say(self, now: float) -> Estimated | None:
        """Return what is said now, and keep it; None before the run is running.

        Args:
            now: POSIX seconds.

        """
        timeline = self.timeline
        if timeline.running is None:
            return None
        since = max(now - timeline.running, 0.0)
        raw = self._estimator.estimate(np.array([since]), self._factor)
        p10, p50, p90, runs = (float(part[0]) for part in raw)
        basis = self._overrun(since) or basis_of(int(runs))
        if p90 > LONGEST_SECONDS:
            p50 = math.nan
        said = self._shown.say(since, p10, p50, p90, basis)
        if said is None:
            estimated = Estimated(now)
            self.said.append(Said(since, None, None, None, None))
        else:
            remaining = Duration(round(said.p10, 3), round(said.p50, 3), round(said.p90, 3))
            estimated = Estimated(
                now, remaining, round(said.fraction, 5), basis, int(runs), self._weights if runs else {}
            )
            upper = p50 * (p90 / p50) ** (1.0 / (self._factor * UPPER)) if p50 > 0 else p90
            self.said.append(
                Said(
                    since,
                    remaining.p10,
                    remaining.p50,
                    remaining.p90,
                    estimated.fraction,
                    int(runs),
                    p50,
                    upper,
                )
            )
        if len(self.said) > 2 * SAID_KEPT:
            self.said = evenly(self.said)
        return estimated

    def _overrun(self, since: float) -> str:
        """Say that the run has taken longer than nearly all earlier ones; empty when it has not."""
        seconds = [ghost.timeline.seconds for ghost in self._estimator.ghosts]
        shorter = sum(one < since for one in seconds)
        if len(seconds) < _FEWEST or shorter < _NEARLY_ALL * len(seconds):
            return ""
        return f"longer than {shorter} of {len(seconds)} earlier runs"

    def past(self) -> Past:
        """Return the run, as far as it has come, in the form that is kept."""
        return Past.of(self.timeline, evenly(self.said), self._miss())

    def _miss(self) -> float | None:
        timeline = self.timeline
        told = [one for one in self.said if one.runs and one.middle is not None and one.upper is not None]
        if timeline.end != "complete" or not told:
            return None
        times, middle, upper = (
            np.array([getattr(one, name) for one in told]) for name in ("since", "middle", "upper")
        )
        return miss_of(times, middle, upper, timeline.seconds)

    def spacing(self) -> float:
        """Return the seconds until something is to be said again though nobody listens: sixty times over its length."""
        last = next((one for one in reversed(self.said) if one.p50 is not None), None)
        since = self.said[-1].since if self.said else 0.0
        length = since if last is None or last.p50 is None else last.since + last.p50
        return max(length / 60.0, since / 60.0, 1.0) if math.isfinite(length) else 1.0


def _usual_seconds(ghosts: Sequence[Timeline]) -> dict[str, float]:
    """Return the median of the seconds that each phase took, without phases that one of the runs left out."""
    names = [name for name in ghosts[-1].phases if name] if ghosts else []
    found = {}
    for name in names:
        phases = [ghost.phases.get(name) for ghost in ghosts]
        spans = [
            phase.ended - phase.started
            for phase in phases
            if phase is not None and phase.started is not None and phase.ended is not None
        ]
        if len(spans) == len(ghosts):
            found[name] = round(max(float(np.median(spans)), 0.001), 3)
    return found


def new_timeline(state: RunState) -> Timeline:
    """Return the timeline of a run of which nothing but its first event is known."""
    return Timeline(
        state.run, state.pipeline or state.title, state.parameters, state.retry_of, state.created or 0.0
    )


def read_past(state: RunState, log: EventLog, before: Past | None = None) -> Past:
    """Return a run that is over, read from the log. Raises `LogError`.

    Args:
        state: Its state.
        log: The log.
        before: What was kept of it while it went on: what was said of it stays; None: nothing.

    """
    following = Following(state, (), before)
    following.read(log)
    return following.past()
