"""`usual_duration`: how long a run of a pipeline takes, before it starts, from earlier ones. It reads no log entries.

Why states are enough: before the start no position, pace or total is known. Only times and parameters can differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from streamer.model.estimate import NOT_KNOWN_YET, Duration, Usual
from streamer.model.estimates.calibration import factor_of
from streamer.model.estimates.estimator import MOST_GHOSTS, Estimator
from streamer.model.estimates.shown import basis_of
from streamer.model.estimates.timeline import Timeline
from streamer.model.state import RunState

#: Earlier runs that are looked at: some of them are retries, which are shorter than whole runs.
LOOKED_AT: Final = 4 * MOST_GHOSTS
#: A band whose ends differ by more than this factor says nothing. It comes from few runs, with other numbers than now.
_WIDEST: Final = 100.0


def usual_duration(earlier: Iterable[RunState], parameters: Mapping[str, Any]) -> Usual:
    """Return how long a run takes from its first moment to its end.

    Args:
        earlier: Runs of the same pipeline, in any order and of any outcome. Failed runs and retries teach nothing.
        parameters: All parameters of the run that is to start.

    Returns:
        The quantiles in seconds; None where no earlier run tells, or where these tell next to nothing.
    """
    whole = [run for run in map(_timeline_of, earlier) if run is not None]
    whole.sort(key=lambda run: (run.over or 0.0, run.run))
    asked = Timeline("", "", parameters, None, 0.0, running=0.0)
    # The bands that were said of these runs are not kept: the factor is the one for pipelines in general.
    raw = Estimator(asked, whole).estimate(np.zeros(1), factor_of([]))
    count = int(raw.ghosts[0])
    p10, p50, p90 = (float(part[0]) for part in (raw.p10, raw.p50, raw.p90))
    if not count or not np.isfinite([p10, p50, p90]).all() or p90 > _WIDEST * p10:
        return Usual(None, count, NOT_KNOWN_YET)
    return Usual(Duration(round(p10, 3), round(p50, 3), round(p90, 3)), count, basis_of(count))


def _timeline_of(run: RunState) -> Timeline | None:
    """Return a run without its phases; None unless it is a whole one that has completed."""
    if run.status != "complete" or run.retry_of is not None or run.started is None or run.ended is None:
        return None
    return Timeline(
        run.run,
        run.pipeline or run.title,
        run.parameters,
        None,
        run.started if run.created is None else run.created,
        running=run.started,
        over=run.ended,
        end="complete",
    )
