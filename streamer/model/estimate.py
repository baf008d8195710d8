"""`Estimate`: how long a run will still take, how sure that is, and what it rests on. A value; computes nothing."""

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
