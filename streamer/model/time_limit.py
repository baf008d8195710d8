"""Time limits of runs: how much is left, and whether the work will be done by then. Pure: the time is an argument.

The estimate is the plain one: what was done so far took so long, so the rest takes as much for as much. It is made from
the overall progress, over the whole run, so that a fast or slow minute does not turn it about; and only once enough is
known: after `SURE_SECONDS` (a quarter of a short limit), `SURE_SHARE` of the limit, and `SURE_PERCENT` of the work.
Where the progress is not known, nothing is estimated.
"""

from __future__ import annotations

from typing import Final

from streamer.model.formatting import duration
from streamer.model.state import RunState

#: Nothing is estimated before so many seconds of work, this share of the limit, and this much progress, in percent.
SURE_SECONDS: Final = 2.0
SURE_SHARE: Final = 0.05
SURE_PERCENT: Final = 2.0
#: A run is expected to miss its limit when its estimate is beyond it by this factor.
MARGIN: Final = 1.1


def seconds_left(state: RunState, now: float) -> float | None:
    """Return the seconds until the limit, 0 at least; None for a run without one, not started, or over.

    Args:
        state: The run's state.
        now: POSIX seconds.

    """
    if state.time_limit_seconds is None or state.started is None or state.is_over:
        return None
    return max(state.started + state.time_limit_seconds - now, 0.0)


def expected_seconds(state: RunState, now: float) -> float | None:
    """Return how long the run is expected to take in all, at its pace so far; None while that cannot be said.

    Args:
        state: The run's state.
        now: POSIX seconds.

    """
    limit, started = state.time_limit_seconds, state.started
    if limit is None or started is None or state.is_over or state.overall_progress < SURE_PERCENT:
        return None
    # The pace is that of the work, not of the start of its process.
    began = min((phase.started for phase in state.phases if phase.started is not None), default=started)
    if now - began < max(min(SURE_SECONDS, limit / 4), SURE_SHARE * limit):
        return None
    return began - started + (now - began) / state.overall_progress * 100


def will_miss(state: RunState, now: float) -> bool:
    """Tell whether the estimate says that the limit will not be met.

    Args:
        state: The run's state.
        now: POSIX seconds.

    """
    expected = expected_seconds(state, now)
    return (
        expected is not None
        and state.time_limit_seconds is not None
        and (expected > MARGIN * state.time_limit_seconds)
    )


def warning(state: RunState, now: float) -> str:
    """Say that the limit will not be met, and by how much.

    Args:
        state: The run's state.
        now: POSIX seconds.

    """
    expected, limit = expected_seconds(state, now), state.time_limit_seconds
    assert expected is not None
    assert limit is not None
    reached = min(int(limit / expected * 100), 99)
    return (
        f"the time limit of {duration(limit)} will not be met at this pace: the run would take about "
        f"{duration(expected)}, and will be at about {reached} % when it is cancelled"
    )


def reason(limit_seconds: float) -> str:
    """Say why a run was cancelled at its limit."""
    return f"time limit of {limit_seconds:g} s reached"
