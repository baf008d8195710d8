"""The count and the rate of a run whose bars are adopted. Pure bookkeeping: no threads, no clock."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from streamer.model.events import Bar
from streamer.model.percentages import RATE_SECONDS

#: Bars that `Totals` holds. An older one keeps its count, but no longer changes.
BARS: Final = 2_000


class Totals:
    """Sums the outer bars in the unit of the newest one: the run's own count."""

    def __init__(self) -> None:
        self.unit = ""
        self._base: float = 0
        self._bars: OrderedDict[str, Bar] = OrderedDict()
        #: Open bars that do not count: they have another unit, or began before `restart`.
        self._others: set[str] = set()

    def take(self, bar: Bar) -> None:
        """Note a change of a bar. Bars inside of other bars do not count."""
        if bar.parent is not None:
            return
        if bar.id in self._others:
            if bar.status != "started":
                self._others.discard(bar.id)
            return
        if bar.id not in self._bars and bar.unit != self.unit:
            self.restart()
            self.unit = bar.unit
        self._bars[bar.id] = bar
        if len(self._bars) > BARS:
            self._base += self._bars.popitem(last=False)[1].done or 0

    def restart(self) -> None:
        """Forget the count. Only bars that begin from now on count."""
        self._others.update(bar.id for bar in self._bars.values() if bar.status == "started")
        self._bars.clear()
        self._base = 0

    def read(self) -> tuple[float | None, float | None]:
        """Return the units done and the total; None where they are not known."""
        if not self._bars:
            return None, None
        done, total = self._base, self._base
        known = True
        for bar in self._bars.values():
            done += bar.done or 0
            if bar.total is not None:
                total += max(bar.total, bar.done or 0)
            elif bar.status == "finished":
                total += bar.done or 0
            else:
                known = False
        return done, total if known else None


class Rate:
    """The units per second over about the last `RATE_SECONDS`."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._then: tuple[float, float] | None = None

    def add(self, done: float, now: float) -> float | None:
        """Return the rate after a reading.

        Args:
            done: Units done so far. A smaller number than before restarts the rate.
            now: When that was, in seconds of a clock that never goes back.

        Returns:
            Units per second; None after the first reading.
        """
        if self._then is None or done < self._then[0]:
            self._rate, self._then = None, (done, now)
        elif now > self._then[1]:
            seconds = now - self._then[1]
            newest = (done - self._then[0]) / seconds
            share = 1 - math.exp(-seconds / RATE_SECONDS)
            self._rate = newest if self._rate is None else self._rate + (newest - self._rate) * share
            self._then = (done, now)
        return self._rate
