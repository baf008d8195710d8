"""`Estimate` of a run's remaining time, and `Usual`, how long a run takes that is to start. Values; compute nothing."""

from __future__ import annotations

from msgspec import Struct


class Estimate(Struct, frozen=True, rename="camel"):
    """The remaining time of a run as three quantiles, in seconds from the moment at which it was made.

    Attributes:
        p10: The run is over sooner than this in one of ten cases.
        p50: The run is over sooner than this in half of the cases.
        p90: The run is over sooner than this in nine of ten cases.
        fraction: The share of its whole time that the run has behind it, 0 to 1.
        basis: The basis of the estimate, in words: ``12 earlier runs``.
    """

    p10: float
    p50: float
    p90: float
    fraction: float
    basis: str = ""


class Duration(Struct, frozen=True):
    """A duration as three quantiles, in seconds; `p10`, `p50` and `p90` as in `Estimate`."""

    p10: float
    p50: float
    p90: float


class Usual(Struct, frozen=True):
    """How long a run takes that has not started yet.

    Attributes:
        duration: The time from its first moment to its end; None: not known yet.
        runs: The earlier runs that are like it.
        basis: The basis in words: ``12 earlier runs``, or ``not known yet``.
    """

    duration: Duration | None
    runs: int
    basis: str
