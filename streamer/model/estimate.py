"""`Estimate` of a run's remaining time, `Estimated` as it was said at a time, and `Usual`, before a start. Values."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streamer.model import formatting


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


#: The basis where there is no estimate.
NOT_KNOWN_YET: Final = "not known yet"


class Estimated(Struct, frozen=True):
    """An estimate as it was said at a time, as states and streams have it.

    Attributes:
        time: When it was said, in POSIX seconds.
        remaining: The remaining time then, in seconds; None: not known.
        fraction: The share of its whole time that the run had behind it, 0 to 1; None: not known.
        basis: The basis in words: ``12 earlier runs``.
        runs: How many earlier runs it rests on; 0: on the run's own pace, or on nothing.
        weights: The usual seconds of the run's phases in earlier runs, by name; empty: not known.
    """

    time: float
    remaining: Duration | None = None
    fraction: float | None = None
    basis: str = NOT_KNOWN_YET
    runs: int = 0
    weights: dict[str, float] = {}

    def at(self, now: float) -> Estimate | None:
        """Return the estimate at another time: the end stays, and the time until then passes; None: nothing is known.

        Args:
            now: POSIX seconds.

        """
        if self.remaining is None or self.fraction is None:
            return None
        passed = max(now - self.time, 0.0)
        p10, p50, p90 = (
            max(value - passed, 0.0) for value in (self.remaining.p10, self.remaining.p50, self.remaining.p90)
        )
        return Estimate(p10, p50, p90, self.fraction, self.basis)


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

    @property
    def words(self) -> str:
        """It as a sentence: ``Usually 4 min (3 to 6 min), from 12 earlier runs``."""
        if self.duration is None:
            why = "no earlier run has completed" if not self.runs else "the earlier runs differ too much"
            return f"Duration not known yet: {why}"
        low, high = formatting.rough(self.duration.p10), formatting.rough(self.duration.p90)
        band = "" if low == high else f" ({formatting.rough_range(self.duration.p10, self.duration.p90)})"
        return f"Usually {formatting.rough(self.duration.p50)}{band}, from {self.basis}"
