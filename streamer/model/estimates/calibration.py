"""`factor_of`: how much wider or narrower the bands of a pipeline have to be, from what was said of its finished runs.

"Said 80 %, was right 78 %": a band from the 10th to the 90th percentile should hold in eight of ten cases. How far the
truth was from the middle, in halves of the band, tells by how much to stretch it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from streamer.model.estimates.timeline import Array

#: The factor before anything is known, and how many runs that counts for. Found on simulated runs.
FIRST: Final = 0.6
FIRST_RUNS: Final = 3.0
#: A mean of logarithms is below the mean: the next run is as often farther out as it is nearer.
MARGIN: Final = 1.13
_LEAST: Final = 0.15
_MOST: Final = 4.0
_PLACES: Final = np.linspace(0.06, 0.94, 23)


def miss_of(times: Array, p50: Array, p90: Array, seconds: float) -> float | None:
    """Return how far the truth was from what was said over a run, in halves of the band: its 80th percentile.

    Args:
        times: When something was said, in seconds since running, in order.
        p50: The computed middles of the remaining seconds; NaN: nothing was known.
        p90: The computed 90th percentiles, before they were stretched.
        seconds: How long the run took.

    Returns:
        The miss; None where too little was said.
    """
    if not len(times) or seconds <= 0:
        return None
    at = np.clip(np.searchsorted(times, _PLACES * seconds, "right") - 1, 0, len(times) - 1)
    left = seconds - times[at]
    known = ~np.isnan(p50[at]) & (p50[at] > 0) & (left > 0)
    if known.sum() < len(_PLACES) // 2:
        return None
    half = np.maximum(np.log(p90[at][known] / p50[at][known]), 1e-6)
    off = np.abs(np.log(left[known] / p50[at][known]))
    return float(np.quantile(off / half, 0.8))


def factor_of(misses: Sequence[float]) -> float:
    """Return the factor by which half a band is multiplied.

    Args:
        misses: The misses of earlier runs of the pipeline, as `miss_of` returns them.
    """
    logs = [float(np.log(min(max(miss, _LEAST), _MOST))) for miss in misses]
    return MARGIN * float(np.exp((FIRST_RUNS * np.log(FIRST) + sum(logs)) / (FIRST_RUNS + len(logs))))
