"""`Estimator`: the remaining time of one run at any time, from its ghosts where there are any, else from its pace.

Each ghost has been where the run is now, and then took so many seconds more. The logarithm of those is regressed on how
this run differs from the ghosts at that very place: its time so far, its recent pace, its total, its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.model.estimates.ghosts import Found, Ghost
from streamer.model.estimates.pace import from_pace
from streamer.model.estimates.parameters import columns_of, select
from streamer.model.estimates.positions import Positions, positions_of
from streamer.model.estimates.regression import fit
from streamer.model.estimates.timeline import Array, Timeline

#: The most ghosts: older ones are forgotten.
MOST_GHOSTS: Final = 25
#: The prior variance of the logarithm of what remains, with few ghosts and with more.
_FEW: Final = 4
_VARIANCE_FEW: Final = 0.12
_VARIANCE: Final = 0.04
#: How far the slopes of time so far, recent pace, total and parameters may be from what is expected.
_SLOPES: Final = (0.4, 0.3, 0.3)
_PARAMETER_SLOPE: Final = 1.0
#: The expected slope of what is left of a total that grows.
_LEFT_SLOPE: Final = 0.9
#: This share of a ghost's time is added to its remaining time, as the logarithm of 0 has no bound.
_FLOOR: Final = 0.002
#: Seconds that remain at least, where the times of a ghost make no sense.
_LEAST: Final = 1e-9
#: Differences are bounded: a run ten times as slow is as far as one can learn from.
_FARTHEST: Final = 3.0
#: The bound of a logarithm of seconds, far beyond any run.
_FARTHEST_LOG: Final = 60.0
#: The share of a ghost's later standstills that this run is expected to have as well.
_STANDING: Final = 0.5
#: Times that are computed together.
_CHUNK: Final = 32
#: The upper half of a band is longer, also in logarithms: much can go wrong, little can go faster.
UPPER: Final = 1.1


class Raw(NamedTuple):
    """The computed estimates, one for each time.

    `p10`, `p50`, `p90` are the remaining seconds, NaN where they are not known; `ghosts` how many runs they rest on.
    """

    p10: Array
    p50: Array
    p90: Array
    ghosts: np.ndarray


class Estimator:
    """Estimates of one run.

    Args:
        timeline: The run, as far as it is known. It may grow.
        earlier: Runs of the same pipeline that had ended when this one was created, oldest first, of any outcome.

    """

    def __init__(self, timeline: Timeline, earlier: Sequence[Timeline]) -> None:
        self.timeline = timeline
        fitting = [
            one
            for one in earlier
            if one.end == "complete"
            and one.seconds > 0
            and (one.retry_of is None) == (timeline.retry_of is None)
        ]
        self.ghosts = [Ghost(one) for one in fitting[-MOST_GHOSTS:]]
        runs = [ghost.timeline.parameters for ghost in self.ghosts]
        self._counted = _growing(self.ghosts)
        selected = select(runs, [ghost.seconds for ghost in self.ghosts])
        self._columns = columns_of(selected, runs, timeline.parameters)
        self._strange = _strangeness(timeline, runs) if len(self.ghosts) < _FEW else 0.0

    def estimate(self, times: Array, factor: float = 1.0) -> Raw:
        """Return the estimates at times.

        Args:
            times: Seconds since running, in order.
            factor: By how much half a band from ghosts is stretched; see `calibration`.
        """
        p10, p50, p90 = (np.full(len(times), np.nan) for _ in range(3))
        used = np.zeros(len(times), dtype=int)
        for whole in positions_of(self.timeline, times, self._counted):
            for at, kept in _in_chunks(whole):
                middle, half, count = (part[:kept] for part in self._at(at))
                at.index = at.index[:kept]
                half = np.where(count > 0, factor * half, half)
                p50[at.index] = _seconds(middle)
                p10[at.index], p90[at.index] = _seconds(middle - half), _seconds(middle + UPPER * half)
                used[at.index] = count
        return Raw(p10, p50, p90, used)

    def _at(self, at: Positions) -> tuple[Array, Array, np.ndarray]:
        """Return the middle and half the band of the logarithm of what remains, and the number of ghosts."""
        pace, spread = from_pace(self.timeline, at)
        half = 1.2816 * spread
        none = np.zeros(len(at.times), dtype=int)
        if not self.ghosts:
            return pace, half, none
        found = [self._find(ghost, at) for ghost in self.ghosts]
        weights = np.stack([one.weight for one in found], axis=1)
        count = (weights > 0).sum(axis=1)
        has = count > 0
        if not has.any():
            return pace, half, none
        middle, band = self._regress(at, found, weights)
        return np.where(has, middle, pace), np.where(has, band, half), np.where(has, count, 0)

    def _find(self, ghost: Ghost, at: Positions) -> Found:
        if at.kind == "start":
            return ghost.at_start(at.since)
        if at.kind == "between":
            return ghost.after(at.phase, at.since)
        if at.kind == "silent":
            return ghost.in_silence(at.phase, at.since)
        return ghost.at_position(at.phase, at.kind, at.place, at.before)

    def _regress(self, at: Positions, found: list[Found], weights: Array) -> tuple[Array, Array]:
        stay = np.stack([np.minimum(at.since, one.stay) for one in found], axis=1)
        if at.kind == "silent":
            stay = np.zeros_like(stay)
        then = np.stack([one.at for one in found], axis=1) + stay
        whole = np.array([ghost.seconds for ghost in self.ghosts])[None, :]
        skipped = [name for name in at.over if self.timeline.phases[name].started is None]
        whole = whole - np.array([ghost.spent_in(skipped) for ghost in self.ghosts])[None, :]
        floor = _FLOOR * whole
        remaining = np.maximum(whole - then, 0.0) + floor + _STANDING * _stack(found, "lost")
        weights = np.where(whole > 0, weights, 0.0)
        share = (weights * np.clip(then / np.maximum(whole, 1e-9), 0.0, 1.0)).sum(axis=1) / np.maximum(
            weights.sum(axis=1), 1e-9
        )
        # The run's own time, with the time in its place as far as the ghosts stayed there.
        own = at.active[:, None]
        features = [_difference(then, own), _difference(_stack(found, "tenth"), at.tenth[:, None])]
        totals = self._totals(at, found)
        features.append(totals)
        stacked = np.stack(features, axis=2)
        columns = np.broadcast_to(self._columns[None], (len(at.times), *self._columns.shape))
        stacked = np.concatenate([stacked, columns], axis=2)
        time_slope = 1.0 - np.exp(-3.0 * share)
        pace_slope = np.where(np.isnan(at.tenth), 0.0, 0.15)
        # Of a growing total, what is left of it tells; of a fixed one, how large it is.
        total_slope = _LEFT_SLOPE if at.kind == "count" else np.clip(1.0 - time_slope - pace_slope, 0.0, 1.0)
        prior = np.zeros((len(at.times), stacked.shape[2]))
        prior[:, 0], prior[:, 1], prior[:, 2] = time_slope, pace_slope, total_slope
        sd = np.array([*_SLOPES, *[_PARAMETER_SLOPE] * self._columns.shape[1]])
        few = weights.sum(axis=1) < _FEW
        variance = np.where(few, _VARIANCE_FEW, _VARIANCE) + self._strange
        result = fit(np.log(np.maximum(remaining, _LEAST)), stacked, weights, prior, sd, variance)
        middle = result.middle
        typical = (weights * floor).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
        seconds = np.maximum(np.exp(np.clip(middle, -20.0, 30.0)) - typical, 1e-3)
        return np.log(seconds), result.half

    def _totals(self, at: Positions, found: list[Found]) -> Array:
        """Return how the totals differ: of the phase under way, else of the last one that had any."""
        theirs, ours = _stack(found, "total"), at.total[:, None]
        if at.kind == "count":
            place = at.place[:, None]
            theirs, ours = np.maximum(theirs - place, 0.5), np.maximum(ours - place, 0.5)
        difference = _difference(theirs, ours)
        unknown = np.isnan(at.total)
        if unknown.any():
            name = next(
                (one for one in reversed(at.over) if not np.isnan(_last_total(self.timeline, one))),
                None,
            )
            if name is not None:
                known = np.array([ghost.total_of(name) for ghost in self.ghosts])[None, :]
                earlier = _difference(known, np.array([[_last_total(self.timeline, name)]]))
                difference = np.where(unknown[:, None], earlier, difference)
        return difference


def _seconds(logarithm: Array) -> Array:
    """Return the seconds of their logarithm, within what a number holds."""
    seconds: Array = np.exp(np.clip(logarithm, -_FARTHEST_LOG, _FARTHEST_LOG))
    return seconds


def _in_chunks(at: Positions) -> Iterator[tuple[Positions, int]]:
    """Yield positions in chunks of one size, the last one filled up, and how many of each count.

    So the same additions are made in the same order, whatever comes later, and an estimate is the same to the last bit.
    """
    size = len(at.times)
    for begin in range(0, size, _CHUNK):
        rows = np.minimum(np.arange(begin, begin + _CHUNK), size - 1)
        yield at.rows(rows), min(_CHUNK, size - begin)


def _growing(ghosts: Sequence[Ghost]) -> frozenset[str]:
    """Return the phases whose total grew in half of the ghosts or more."""
    names = {name for ghost in ghosts for name in ghost.timeline.phases}
    return frozenset(
        name
        for name in names
        if 2 * sum(name in ghost.timeline.phases and ghost.timeline.phases[name].grows for ghost in ghosts)
        >= len(ghosts)
    )


def _last_total(timeline: Timeline, name: str) -> float:
    totals = timeline.phases[name].reports[:, 2]
    known = totals[~np.isnan(totals)]
    return float(known[-1]) if len(known) else np.nan


def _stack(found: list[Found], name: str) -> Array:
    return np.stack([getattr(one, name) for one in found], axis=1)


def _difference(theirs: Array, ours: Array) -> Array:
    """Return the difference of logarithms, 0 where one of them is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.log(theirs) - np.log(ours)
    found: Array = np.clip(np.nan_to_num(difference, nan=0.0, posinf=0.0, neginf=0.0), -_FARTHEST, _FARTHEST)
    return found


def _strangeness(timeline: Timeline, runs: Sequence[object]) -> float:
    """Return the variance to add where this run's numbers are unlike those of the few runs before."""
    unlike = 0.0
    for name, value in timeline.parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
            continue
        others = [run.get(name) for run in runs if hasattr(run, "get")]
        numbers = [
            one
            for one in others
            if isinstance(one, int | float) and not isinstance(one, bool) and 0 < one < np.inf
        ]
        if numbers:
            unlike = max(unlike, min(abs(float(np.log(value) - np.log(one))) for one in numbers))
    return 0.25 * min(unlike, _FARTHEST) ** 2
