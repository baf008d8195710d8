"""The count and the rate of a run whose bars are adopted. Pure bookkeeping: no threads, no clock.

The rule for what counts, which `docs/reference.md` states for users:

- A bar inside another bar's step does not count: the outer bar counts the step.
- A bar that begins while another one of its process is open may be inside of that one, without its library saying so.
  It does not count until the outer one has moved three times without a bar beside it having ended, or has ended first.
- A bar that starts over while another one is open is inside of that one. One that starts over alone counts once more.
- Bars of one unit are summed. Bars of another unit count when all of the former have ended; the count begins at 0.
- The total is not known while a bar of it has none, or has passed its own, and until a bar will last two seconds:
  a short bar says nothing about the work after it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from streamer.model.events import Bar
from streamer.model.percentages import RATE_SECONDS

#: Bars that `Totals` holds. An older one keeps its count, but no longer changes.
BARS: Final = 2_000
#: Moves of a bar that nothing beside it explains; then the bars beside it are not inside of it.
UNEXPLAINED: Final = 3
#: A bar lasts when it will take so many seconds at its pace, which is known after so many.
LASTING_SECONDS: Final = 2.0
PACE_SECONDS: Final = 0.5


class Before(NamedTuple):
    """The earlier passes of a bar: how many times it has started over, and what it counted in all of them."""

    starts: int = 0
    done: float = 0


class _Entry:
    """A bar that stands by itself as far as its library knows. `inside`: the bar that it may be inside of."""

    def __init__(self, bar: Bar, before: Before, now: float, inside: _Entry | None) -> None:
        self.bar = bar
        self.before = before
        self.began = now
        self.inside = inside
        self.is_open = bar.status == "started"
        #: It began before another phase, and never counts again.
        self.is_left_out = False
        self.lasts = False
        self.counts = False
        self.explained = self.unexplained = 0
        #: A bar inside of it has ended since it moved last.
        self.is_due = False
        #: It moves by itself: no bar is inside of it.
        self.is_free = False

    @property
    def done(self) -> float:
        return self.before.done + (self.bar.done or 0)

    @property
    def total(self) -> float | None:
        """The units of all its passes; None: not known."""
        done, total = self.bar.done or 0, self.bar.total
        if self.bar.status == "finished":
            return self.before.done + done
        if total is None or done > total:
            return None
        return self.before.done + total

    @property
    def is_whole(self) -> bool:
        return self.bar.total is not None and (self.bar.done or 0) >= self.bar.total

    def is_short(self, now: float) -> bool:
        """Tell whether an open bar will soon be over, at its pace."""
        is_paced = self.bar.total is not None and now - self.began >= PACE_SECONDS
        return self.is_open and is_paced and not self.lasts

    def look(self, now: float) -> None:
        """Note whether the bar lasts, from its pace."""
        age = now - self.began
        done, total = self.bar.done or 0, self.bar.total
        if self.is_open and not self.lasts and total is not None:
            takes = age * total / done if done else math.inf
            self.lasts = age >= PACE_SECONDS and takes >= LASTING_SECONDS


class Totals:
    """Sums the bars that count: the run's own count."""

    def __init__(self) -> None:
        self.unit = ""
        #: The counts of bars that are no longer held.
        self._base: float = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lasts = False

    def take(self, bars: Iterable[tuple[Bar, Before | None]], now: float) -> None:
        """Note changes of bars that were read at the same time.

        Args:
            bars: The bars as they are now, each with its earlier passes; None: as they were.
            now: When they were read, in seconds of a clock that never goes back.
        """
        moved: list[_Entry] = []
        begun = []
        for bar, before in bars:
            if bar.parent is None:
                entry = self._entries.get(bar.id)
                if entry is None:
                    self._begin(bar, before or Before(), now)
                    begun.append(bar.id)
                elif self._change(entry, bar, before or entry.before, now):
                    moved.append(entry)
        for entry in moved:
            self._explain(entry)
        self._choose_unit(begun)
        self._fold()

    def restart(self) -> None:
        """Forget the count. Only bars that begin from now on count."""
        for bar_id, entry in tuple(self._entries.items()):
            entry.is_left_out = True
            if not entry.is_open:
                del self._entries[bar_id]
        self._base, self._lasts = 0, False

    def read(
        self, now: float, *, is_last: bool = False, is_well: bool = False
    ) -> tuple[float | None, float | None]:
        """Return the units done and the total; None where they are not known.

        Args:
            now: The time, by the clock of `take`.
            is_last: No bar will change any more.
            is_well: The work has ended well: the rest of a bar that was left is no work.
        """
        mine = [entry for entry in self._entries.values() if self._is_mine(entry)]
        if not mine and not self._base:
            return None, None
        for entry in mine:
            entry.look(now)
        self._lasts = self._lasts or any(entry.lasts for entry in mine)
        done = total = self._base
        is_known = self._lasts or is_last
        newest = mine[-1] if mine else None
        for entry in mine:
            if self._lasts and not is_last and not entry.counts and entry.is_short(now):
                continue
            entry.counts = True
            done += entry.done
            # After a bar that was left the work goes on without its rest.
            is_left = entry.bar.status == "stopped" and (entry is not newest or is_well)
            whole = entry.done if is_left else entry.total
            is_known = is_known and whole is not None
            total += whole or 0
        return done, total if is_known else None

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _is_mine(self, entry: _Entry) -> bool:
        return entry.inside is None and not entry.is_left_out and entry.bar.unit == self.unit

    def _around(self, process: str) -> _Entry | None:
        """Return the newest open bar of a process that a new one may be inside of."""
        for other in reversed(self._entries.values()):
            if (
                other.is_open
                and not other.is_free
                and not other.is_left_out
                and _process(other.bar) == process
            ):
                return other
        return None

    def _beside(self, entry: _Entry) -> _Entry | None:
        """Return the newest open bar that has never started over, of the process of one that does."""
        for other in reversed(self._entries.values()):
            if other is entry or other.before.starts or not other.is_open or other.is_left_out:
                continue
            if _process(other.bar) == _process(entry.bar):
                return other
        return None

    def _begin(self, bar: Bar, before: Before, now: float) -> None:
        entry = _Entry(bar, before, now, self._around(_process(bar)))
        self._entries[bar.id] = entry
        if not entry.is_open:
            self._ended(entry)

    def _change(self, entry: _Entry, bar: Bar, before: Before, now: float) -> bool:
        """Take a bar as it is now; return whether it moved on."""
        then, entry.bar = entry.bar, bar
        is_again = before.starts > entry.before.starts
        entry.before = before
        if is_again:
            outer = entry.inside or self._beside(entry)
            if outer is not None and _is_inside(outer, entry):
                # It began after the bar that starts over, and is the outer one all the same.
                outer.inside = entry.inside
            entry.inside = outer
            _tell(entry)
        was_open, entry.is_open = entry.is_open, bar.status == "started"
        if was_open and not entry.is_open:
            entry.lasts = entry.lasts or (bar.total is not None and now - entry.began >= LASTING_SECONDS)
            self._ended(entry)
        elif not is_again and entry.is_whole and (then.done or 0) < (bar.total or 0):
            _tell(entry)
        return not is_again and (bar.done or 0) > (then.done or 0)

    def _ended(self, entry: _Entry) -> None:
        """Let the bars inside go that are still under way: they were not inside."""
        _tell(entry)
        self._let_go(entry, is_over=True)

    def _explain(self, entry: _Entry) -> None:
        """Judge by a move of a bar whether the bars beside it are inside of it."""
        inner = [other for other in self._entries.values() if other.inside is entry and other.is_open]
        if entry.is_due:
            entry.is_due = False
            entry.explained += 1
        elif any(not other.is_whole for other in inner):
            entry.unexplained += 1
        if entry.unexplained >= UNEXPLAINED and entry.unexplained > entry.explained:
            entry.is_free = True
            self._let_go(entry, is_over=False)

    def _let_go(self, entry: _Entry, *, is_over: bool) -> None:
        for other in self._entries.values():
            if (
                other.inside is entry
                and other.is_open
                and not other.before.starts
                and not (is_over and other.is_whole)
            ):
                other.inside = entry.inside

    def _choose_unit(self, begun: Collection[str]) -> None:
        """Begin the count in another unit when no bar of the unit is open, and one of another unit is there."""
        if any(self._is_mine(entry) and entry.is_open for entry in self._entries.values()):
            return
        for entry in self._entries.values():
            is_news = entry.is_open or entry.bar.id in begun
            if is_news and entry.inside is None and not entry.is_left_out and entry.bar.unit != self.unit:
                unit = entry.bar.unit
                for bar_id, other in tuple(self._entries.items()):
                    if not other.is_open and other.bar.unit != unit:
                        del self._entries[bar_id]
                self.unit, self._base, self._lasts = unit, 0, False
                return

    def _fold(self) -> None:
        for bar_id, entry in tuple(self._entries.items()):
            if len(self._entries) <= BARS:
                return
            if not entry.is_open:
                self._base += entry.done if self._is_mine(entry) else 0
                del self._entries[bar_id]
        while len(self._entries) > BARS:
            self._base += self._entries.popitem(last=False)[1].done


def _process(bar: Bar) -> str:
    """Return the number of a bar's process, with which the collector begins its id."""
    return bar.id.partition(".")[0] if "." in bar.id else ""


def _tell(entry: _Entry) -> None:
    """Tell the bars around one that it has ended or starts over: it may be their step that has ended."""
    outer = entry.inside
    while outer is not None:
        outer.is_due = True
        outer = outer.inside


def _is_inside(entry: _Entry, outer: _Entry | None) -> bool:
    inside: _Entry | None = entry
    while inside is not None and outer is not None:
        if inside is outer:
            return True
        inside = inside.inside
    return False


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
