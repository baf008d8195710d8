"""The arithmetic of progress: the percentage and rate of a phase, and of a run by its phases' weights. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from streamer.model.state import PhaseState, RunState

#: The rate is an exponential mean over about this long.
RATE_SECONDS: Final = 3.0
#: A percentage that was reached is shown while it is at most so many points above the count that it stands beside.
AGREES: Final = 5.0
#: Until a run has completed its progress stays below this, in percent.
ALMOST: Final = 99.99


def rated(phase: PhaseState, started: float | None, done: float, time: float) -> dict[str, Any]:
    """Return the fields of a phase that change when its count is `done` at `time`.

    Args:
        phase: The phase before the change.
        started: When the phase was started, in POSIX seconds; None when it was not.
        done: The new count, in the phase's unit.
        time: When that count was reached, in POSIX seconds.

    Returns:
        New values of `rate`, `rate_time` and `rate_done`, as far as they change.
    """
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
    if not phase.rate:
        # Nothing was done before: a mean with that would creep up for seconds.
        rate = now
    else:
        share = 1 - math.exp(-seconds / RATE_SECONDS)
        if started is not None and time > started:
            # In the first seconds the plain mean says more.
            share = max(share, min(seconds / (time - started), 1.0))
        rate = phase.rate + (now - phase.rate) * share
    return {"rate": float(f"{rate:.6g}"), "rate_time": time, "rate_done": done}


def percent(done: float | None, total: float | None, said: float | None) -> float | None:
    """Return a progress in percent, 0 to 100: from the counts where both are known, else what the producer `said`.

    A total of 0 is 100 percent. A total that was passed is not known. The result is None when nothing is known.

    Args:
        done: The count so far; None: not known.
        total: The count at the end; None: not known.
        said: Percent, as the producer says it.

    """
    if done is not None and total is not None and done <= total:
        return round(done / total * 100, 2) if total > 0 else 100.0
    if said is not None and math.isfinite(said):
        return min(max(round(said, 2), 0.0), 100.0)
    return None


def overall(phases: Iterable[PhaseState], reached: float) -> dict[str, Any]:
    """Return a run's percentage by the declared weights of its phases.

    Args:
        phases: The phases, each with its weight and the fraction that is done.
        reached: The percentage so far; the new one is never below it.

    Returns:
        New values of `overall_progress`, below 100, and of `progress`, its whole percent.
    """
    weight = done = 0.0
    for phase in phases:
        weight += phase.weight
        done += phase.weight * phase.fraction
    if weight > 0:
        reached = max(reached, min(round(done / weight * 100, 2), ALMOST))
    return {"overall_progress": reached, "progress": min(int(reached), 99)}


def has_outgrown(phase: PhaseState) -> bool:
    """Tell whether so much work came up in a phase that its count contradicts the percentage that it had reached.

    Args:
        phase: The phase.
    """
    if phase.progress is None or phase.done is None or phase.status in ("finished", "skipped"):
        return False
    now = percent(phase.done, phase.total, None)
    return phase.total is not None and (now is None or phase.progress - now > AGREES)


def is_outgrown(state: RunState) -> bool:
    """Tell whether so much work came up in a run that its counts contradict the percentage that it had reached.

    The percentage never falls, so until the counts have caught up it is not shown: it is not known.

    Args:
        state: The run's state.
    """
    if not state.phases:
        count = state.outside
        if count is None or count.progress is None or count.done is None:
            return False
        now = percent(count.done, count.total, None)
        return now is None or state.overall_progress - now > AGREES
    weight = done = 0.0
    is_changed = False
    for phase in state.phases:
        weight += phase.weight
        fraction = phase.fraction
        is_changed = is_changed or phase.joined or has_outgrown(phase)
        if has_outgrown(phase):
            fraction = (percent(phase.done, phase.total, None) or 0.0) / 100
        done += phase.weight * fraction
    return is_changed and weight > 0 and state.overall_progress - min(done / weight * 100, ALMOST) > AGREES
