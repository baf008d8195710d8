"""`Shown`: the estimates of a run as they are said: the end moves steadily, and the fraction never falls."""

from __future__ import annotations

import math
from typing import Final

from streamer.model.estimate import Estimate

#: The end that is said follows the computed one with this share of the run as its time constant.
STEADY: Final = 0.02
#: The fraction stays below this until the run is over.
MOST: Final = 0.998


class Shown:
    """Smooths the estimates of one run. Call `say` for each, in their order.

    Args:
        reached: The fraction that was said before, 0 to 1.

    """

    def __init__(self, reached: float = 0.0) -> None:
        self._end = math.nan
        self._then = 0.0
        self._fraction = reached

    def say(self, elapsed: float, p10: float, p50: float, p90: float, basis: str) -> Estimate | None:
        """Return the estimate that is said; None where nothing is known.

        Args:
            elapsed: Seconds since the run came to be running.
            p10: The computed quantiles of the remaining seconds; NaN: not known.
            p50: The middle.
            p90: The upper one.
            basis: The basis, in words.
        """
        if not (math.isfinite(p50) and math.isfinite(p10) and math.isfinite(p90)):
            self._end = math.nan
            return None
        end = elapsed + p50
        if math.isnan(self._end):
            self._end = end
        else:
            passed = max(elapsed - self._then, 0.0)
            share = 1.0 - math.exp(-passed / max(STEADY * end, 1e-6))
            self._end += (end - self._end) * share
        self._then = elapsed
        middle = max(self._end - elapsed, 0.0)
        # The band keeps its form around the middle that is said.
        factor = middle / p50 if p50 > 0 else 1.0
        low, high = min(p10 * factor, middle), max(p90 * factor, middle)
        whole = elapsed + middle
        self._fraction = max(self._fraction, min(elapsed / whole if whole > 0 else 0.0, MOST))
        return Estimate(low, middle, high, self._fraction, basis)

    @property
    def fraction(self) -> float:
        """The last fraction that was said."""
        return self._fraction


def basis_of(ghosts: int) -> str:
    """Return the basis of an estimate in words.

    Args:
        ghosts: The earlier runs that it rests on.
    """
    if not ghosts:
        return "the pace of this run"
    return "1 earlier run" if ghosts == 1 else f"{ghosts} earlier runs"
