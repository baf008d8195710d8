"""`from_pace`: the remaining time of a run without earlier ones, from its own pace and its declared weights."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamer.model.estimates.positions import Positions
from streamer.model.estimates.timeline import Array, Timeline

#: Below this share of the run its pace tells nothing.
_FIRST_SHARE: Final = 0.02
#: The spread of the error in logarithms, at shares of the run.
_SHARES: Final = np.array([0.02, 0.1, 0.2, 1.0])
_SPREADS: Final = np.array([1.0, 0.75, 0.55, 0.5])


def from_pace(timeline: Timeline, at: Positions) -> tuple[Array, Array]:
    """Return the logarithm of the remaining seconds, and the spread of its error; NaN where it is not known.

    Args:
        timeline: The run.
        at: Where it was.
    """
    weights = {
        name: phase.weight
        for name, phase in timeline.phases.items()
        if name and (phase.declared or name in at.over or name == at.phase)
    }
    whole = sum(weights.values())
    behind = sum(weight for name, weight in weights.items() if name in at.over and _ran(timeline, name))
    gone = sum(weight for name, weight in weights.items() if name in at.over and not _ran(timeline, name))
    current = weights.get(at.phase, 0.0) if at.kind not in ("start", "between") else 0.0
    nothing = np.full_like(at.times, np.nan)
    spent = _spent_before(timeline, at)
    inside = np.maximum(at.active - spent, 1e-6)
    if at.kind == "fraction":
        share = np.clip(at.place, 1e-6, 1.0)
        steady = inside * (1.0 - share) / share
        span = np.maximum(share - at.before, 1e-6)
        recent = np.where(at.tenth > 0, at.tenth * (1.0 - share) / span, steady)
        rest = np.sqrt(np.maximum(steady, 1e-9) * np.maximum(recent, 1e-9))
        done = behind + current * share
        if not at.phase:
            done, whole, current = share, 1.0, 1.0
    elif behind > 0 and at.kind in ("silent", "count"):
        per_weight = spent / behind
        rest = np.maximum(current * per_weight - inside, 0.3 * inside)
        done = behind + current * inside / (inside + rest)
    elif behind > 0 and at.kind == "between":
        rest, done = np.zeros_like(at.times), np.full_like(at.times, behind)
    else:
        return nothing, nothing
    waiting = max(whole - behind - gone - current, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        remaining = rest + waiting * (spent + inside) / np.maximum(done, 1e-9)
        passed = at.active / (at.active + remaining)
        logarithm = np.where(passed >= _FIRST_SHARE, np.log(np.maximum(remaining, 1e-3)), np.nan)
    return logarithm, np.interp(passed, _SHARES, _SPREADS)


def _ran(timeline: Timeline, name: str) -> bool:
    return timeline.phases[name].started is not None


def _spent_before(timeline: Timeline, at: Positions) -> Array:
    """Return the seconds before the phase under way began."""
    phase = timeline.phases.get(at.phase)
    if at.kind == "between":
        return at.active - 1e-6
    if at.kind == "start" or phase is None or phase.started is None:
        return np.zeros_like(at.times)
    # Standstills before the phase are left out of the run's time as well.
    return np.minimum(np.full_like(at.times, phase.started), at.active)
