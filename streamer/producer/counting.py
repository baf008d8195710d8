"""Counting: `Tally` for loops, `Counter` for the rest, `Meter` adds them up. It reads no clock.

Odd numbers never raise into the job: a total that is none is not known, a step that is none counts nothing, and the
log says so.

Another thread reads the counts at any time; a loop's own thread takes no lock and no time for it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import operator
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from itertools import chain, compress, repeat
from typing import Any, Final, Protocol, TypeVar

from msgspec import Struct

from streamer.model.text.cutting import text_of

T = TypeVar("T")
_log: Final = logging.getLogger(__name__)

#: A loop inside a loop refines the outer one's count by less than one item.
_ALMOST: Final = 0.99
#: Iterators whose `length_hint` is no guess.
_EXACT: Final[tuple[type, ...]] = (
    type(iter([])),
    type(iter(())),
    type(iter(range(0))),
    type(iter(range(2**70))),
    type(reversed([])),
    type(iter("")),
    type(iter(b"")),
    type(iter({})),
    type(iter({}.values())),
    type(iter({}.items())),
    type(iter(set())),
)


def total_of(items: Iterable[Any]) -> int | None:
    """Return how many items there are, where that is known for certain; None where it is not."""
    # Some other people's __len__ raises; a plain loop would not have asked.
    with contextlib.suppress(Exception):
        return len(items)  # type: ignore[arg-type]  # whether it has a length is the question
    # A hint of a type that is not known may be wrong.
    if isinstance(items, _EXACT):
        try:
            return operator.length_hint(items)
        except (TypeError, OverflowError):
            return None
    return None


def number_of(total: float | None) -> float | None:
    """Return a total as a plain number; None for anything but a number of 0 or more, which the log says."""
    number = None if total is None else _plain_number(total)
    if total is not None and number is None:
        _log.warning(
            "total: expected a number of 0 or more, or None, received %.100r: it counts as not known",
            text_of(total),
        )
    return number


def _plain_number(value: Any) -> float | None:
    """Return a number of 0 or more, whatever class of number it is of; None for everything else."""
    try:
        number = float(value)
    except Exception:  # noqa: BLE001 - somebody else's __float__
        return None
    return number if 0 <= number < math.inf else None


class Count(Protocol):
    """Something that is being counted; see `Tally` and `Counter`."""

    @property
    def done(self) -> float:
        """How much is done."""

    @property
    def total(self) -> float | None:
        """How much there is to do; None: not known."""

    @property
    def in_hand(self) -> bool:
        """Whether the work is between its first item and its last."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""

    @property
    def ended(self) -> bool:
        """Whether no more will be counted."""


class Tally:
    """Counts the items of one loop at C speed: about 6 ns each. Iterate `over(items)` once; any thread may read.

    The item that the loop works on is not done yet; it is when the next one is asked for. A loop that is left early
    keeps its count; whether its last item was done, nobody can know. `on_begin` is called by the loop's thread before
    the first item, `on_end` at the items' end.
    """

    def __init__(
        self,
        total: float | None,
        on_end: Callable[[], object] = lambda: None,
        on_begin: Callable[[], object] | None = None,
    ) -> None:
        self.total = total
        self.complete = False
        self._left = False
        self._on_end = on_end
        self._on_begin = on_begin
        # `compress` takes one of these for each item that goes by, and their number can be read at any time.
        self._ticks = repeat(True, sys.maxsize)

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Return an iterator over `items` that counts. Raises `TypeError` when they cannot be iterated."""
        # `chain` comes to `_End` when the items are used up; a loop that is left drops it unused.
        parts: list[Any] = [iter(items), _End(self)]
        if self._on_begin is not None:
            parts.insert(0, _Begin(self._on_begin))
        return compress(chain(*parts), self._ticks)

    async def over_async(self, items: AsyncIterable[T]) -> AsyncIterator[T]:
        """Return an asynchronous iterator over `items` that counts."""
        if self._on_begin is not None:
            self._on_begin()
        try:
            async for item in items:
                next(self._ticks)
                yield item
        except BaseException:
            self._left = True
            raise
        self.complete = True
        self._on_end()

    @property
    def passed(self) -> int:
        """How many items were given out."""
        return sys.maxsize - operator.length_hint(self._ticks)

    @property
    def done(self) -> float:
        """How many items are done."""
        # Read in this order: `passed` cannot grow once `complete` is set.
        complete = self.complete
        passed = self.passed
        return passed if complete else max(passed - 1, 0)

    @property
    def in_hand(self) -> bool:
        """Whether the loop is between its first item and its last."""
        return not self.ended and self.passed > 0

    @property
    def ended(self) -> bool:
        """Whether the loop came to its end, or was left."""
        return self.complete or self._left


class _Begin:
    """Stands before the items: iterated when the first one is asked for."""

    def __init__(self, on_begin: Callable[[], object]) -> None:
        self._on_begin = on_begin

    def __iter__(self) -> Iterator[Any]:
        self._on_begin()
        return iter(())


class _End:
    """Stands behind the items: iterated when they are used up, dropped when the loop was left before."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __iter__(self) -> Iterator[Any]:
        self._tally.complete = True
        self._tally._on_end()
        return iter(())

    def __del__(self) -> None:
        # May run in any thread and at any moment: a flag, and nothing else.
        self._tally._left = True


class Counter:
    """Counts what is no loop over items, such as bytes. Any thread may call and read; `total` may be set later."""

    def __init__(self, total: float | None = None) -> None:
        self._total = number_of(total)
        self.complete = False
        self.ended = False
        self._done: float = 0
        self._is_warned = False
        self._lock = threading.Lock()

    @property
    def total(self) -> float | None:
        """How much there is to do; None: not known. Setting it does as `number_of`."""
        return self._total

    @total.setter
    def total(self, total: float | None) -> None:
        self._total = number_of(total)

    @property
    def done(self) -> float:
        """How much is done."""
        return self._done

    @property
    def in_hand(self) -> bool:
        """Whether it still counts."""
        return not self.ended

    def advance(self, amount: float = 1) -> None:
        """Count `amount` more. A step back, and anything but a number, counts nothing; the log says so once."""
        step = _plain_number(amount)
        if step is None:
            if not self._is_warned:
                self._is_warned = True
                _log.warning(
                    "advance(amount): expected a number of 0 or more, received %.100r: it counts nothing",
                    text_of(amount),
                )
            return
        with self._lock:
            self._done += step

    def end(self, *, complete: bool) -> None:
        """Count no more; `complete` says that nothing was left to do."""
        self.complete = complete
        self.ended = True


class Reading(Struct, frozen=True):
    """The reading of a `Meter`: `done` of `total` (None: not known) in `unit`; `done` None: nothing was counted."""

    done: float | None = None
    total: float | None = None
    unit: str = ""


class _Entry:
    """A count of a meter: the thread it belongs to, and the loop inside it, if there is one."""

    def __init__(self, count: Count, thread: int) -> None:
        self.count = count
        self.thread = thread
        self.inner: _Entry | None = None
        self.inner_item = 0.0
        self.best = (0.0, 0.0)

    def begin(self, inner: _Entry) -> None:
        """Take a loop that begins inside the item in hand."""
        self.done()  # takes note of how far the loop before this one came
        self.inner = inner
        self.inner_item = self.count.done

    def done(self) -> float:
        """Return what is done, refined by the loop inside the item in hand; never less for the same item."""
        whole = self.count.done
        total = self.total
        if self.inner is None or total is None or self.count.ended or whole != self.inner_item:
            return whole
        item, best = self.best
        fraction = max(self.inner.fraction(), best if item == whole else 0.0)
        self.best = (whole, fraction)
        return whole + fraction

    @property
    def total(self) -> float | None:
        """How much there is to do; None: not known, as when more was done than there was said to be."""
        total = self.count.total
        return None if total is not None and self.count.done > total else total

    def fraction(self) -> float:
        total = self.total
        if self.count.complete:
            return _ALMOST
        if total is None or total <= 0:
            return 0.0
        return min(round(self.done() / total, 2), _ALMOST)


class Meter:
    """Adds up the counts of one phase. One thread at a time.

    - One after another, and those of several threads at once: they are summed, `done` and `total`.
    - One that begins in another unit begins anew.
    - One inside another's item, in the same thread: the outer one counts, and the inner one says how far its item is.
    - One that was left early keeps what it had left to do until the next one begins: then the work went on without it.
    """

    def __init__(self) -> None:
        self._unit = ""
        self._base = 0.0
        self._entries: list[_Entry] = []
        self._begun = False

    def begins_anew(self, unit: str, thread: int) -> bool:
        """Tell whether a count in that unit would take the place of what is shown now.

        Args:
            unit: The unit of the new count.
            thread: The thread that works on it.

        """
        return self._begun and unit != self._unit and self.outer(thread) is None

    def begin(self, count: Count, unit: str, thread: int) -> None:
        """Count this one too; `thread` is the one that works on it.

        Args:
            count: The count.
            unit: Its unit, in the plural.
            thread: The thread that works on it.

        """
        entry = _Entry(count, thread)
        outer = self.outer(thread)
        if outer is not None:
            outer.begin(entry)
            return
        if unit != self._unit:
            self._base, self._entries = 0.0, []
        self._base += sum(e.count.done for e in self._entries if e.count.ended)
        self._entries = [e for e in self._entries if not e.count.ended]
        self._entries.append(entry)
        self._unit, self._begun = unit, True

    def read(self) -> Reading:
        """Return what it shows now."""
        if not self._begun:
            return Reading()
        done = total = self._base
        known = True
        for entry in self._entries:
            own = entry.done()
            done += own
            if entry.count.complete:
                total += own
            elif entry.total is None:
                known = False
            else:
                total += entry.total
        return Reading(_plain(done), _plain(total) if known else None, self._unit)

    def outer(self, thread: int) -> _Entry | None:
        """Return the innermost loop of that thread (or task) that has an item in hand."""
        found = None
        for entry in self._entries:
            if entry.thread == thread and entry.count.in_hand:
                found = entry
        while found and found.inner and found.inner.count.in_hand:
            found = found.inner
        return found


def _plain(value: float) -> float:
    """Return a number as JSON shows it best, whatever class of number it was."""
    number = float(value)
    return int(number) if number.is_integer() else round(number, 2)
