"""`Mapper`: calls a function on every item for `Run.map`, and reports each item's end. Counts through its run."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from streamer.model.bounds import cut_name
from streamer.model.events import Unreached
from streamer.model.pipeline import MapOptions, SkipPhase
from streamer.producer.counting import total_of
from streamer.producer.process_calls import submit

if TYPE_CHECKING:
    from streamer.producer.run import Run
    from streamer.protocol.failed_items import FailedItems

#: Maps of a run that are kept one by one.
_REACHES = 100

T = TypeVar("T")
R = TypeVar("R")


class Mapper:
    """The `map` calls of one run. Any thread may call it.

    Args:
        run: The run that counts the items and reports their failures.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # The item that each thread works on, with the function that names it.
        self._at: dict[int, tuple[Any, Callable[[Any], str]]] = {}
        #: The failed items of another run that this run does again; None: it does all items.
        self.again: FailedItems | None = None
        self._reaches: list[_Reach] = []
        self._lock = threading.Lock()

    def item_here(self) -> str | None:
        """Return the name of the item that this thread works on; None when it is in no `map`."""
        at = self._at.get(threading.get_ident())
        return None if at is None else cut_name(label_of(at[1], at[0]))

    def map(self, function: Callable[[T], R], items: Iterable[T], options: MapOptions[T]) -> list[R]:
        """Do as `streamer.model.pipeline.map` says.

        Args:
            function: Called with each item.
            items: The items.
            options: The options of `map`.

        Returns:
            The results of the items that succeeded, in the items' order.

        Raises:
            ValueError: If an option is not valid.
            Exception: The function's own exception, if `on_error` is "raise".

        """
        if options.on_error not in ("raise", "collect"):
            raise ValueError(f'on_error: expected "raise" or "collect", received {options.on_error!r}')
        if options.workers < 0 or (options.processes and not options.workers):
            raise ValueError(
                "workers: expected 1 or more for processes, 0 or more for threads, "
                f"received {options.workers!r}"
            )
        run, label, size, total = self._run, options.label, options.size, options.total
        number = total_of(items) if size is not None or total is None else int(total)
        if total is None and size is None:
            total = number
        again, phase = self.again, run.current_phase
        if again is not None and again.has_rest(phase):
            assert phase is not None
            number = None if number is None else max(number - again.reached(phase), 0) + again.left(phase)
            total = number if size is None else None
            items = self._rest_of(again, items, label)
        elif again is not None and again.concerns(phase) and options.on_error == "collect":
            number = again.left(phase)
            total = number if size is None else None
            items = self._failed_of(again, items, label)
        elif again is not None and again.concerns(phase):
            items = self._all_of(again, items, label)
        reach = self._reach(phase, number)
        results = []
        thread = threading.get_ident()
        with (
            run.counter(total, unit=options.unit) as counter,
            _calls(function, items, options.workers, options.processes) as calls,
            _Restored(self._at, thread, self._at.get(thread)),
        ):
            for item, call in calls:
                self._at[thread] = item, label
                amount = 1.0 if size is None else _size(size, item)
                try:
                    results.append(call())
                except SkipPhase:
                    raise
                except Exception as error:
                    run.item_failed(label_of(label, item), error)
                    reach.done += options.on_error == "collect"
                    if options.on_error == "raise":
                        raise
                else:
                    run.item_succeeded()
                    reach.done += 1
                counter.advance(amount)
            # The items may have been fewer, or more, than their number said.
            reach.ended = True
        return results

    def unreached(self) -> tuple[Unreached, ...]:
        """Return the phases of which a `map` ended before its last item."""
        phases: dict[str, list[_Reach]] = {}
        for reach in self._reaches:
            phases.setdefault(reach.phase, []).append(reach)
        return tuple(
            Unreached(
                phase,
                sum(one.done for one in maps),
                None
                if any(one.total is None and not one.ended for one in maps)
                else sum(one.done if one.ended else max(one.total or 0, one.done) for one in maps),
            )
            for phase, maps in phases.items()
            if not all(one.ended for one in maps)
        )

    def _reach(self, phase: str | None, total: int | None) -> _Reach:
        reach = _Reach(phase or "", total)
        # A retry counts what it does again, and says nothing of the items that it passes over.
        if phase is not None and self.again is None:
            with self._lock:
                self._reaches.append(reach)
                if len(self._reaches) > _REACHES:
                    self._reaches = _joined(self._reaches)
        return reach

    def _rest_of(self, again: FailedItems, items: Iterable[T], label: Callable[[T], str]) -> Iterator[T]:
        """Yield those items that failed in the run that is done again, and those that it never reached."""
        phase = self._run.current_phase
        assert phase is not None
        for item in items:
            self._run.checkpoint()
            passes = again.passes(phase)
            if again.take(phase, label_of(label, item)) or not passes:
                yield item

    def _failed_of(self, again: FailedItems, items: Iterable[T], label: Callable[[T], str]) -> Iterator[T]:
        """Yield those items that failed in the run that is done again, and stop after the last of them."""
        phase = self._run.current_phase
        assert phase is not None
        for item in items if again.left(phase) else ():
            self._run.checkpoint()
            if again.take(phase, label_of(label, item)):
                yield item
                if not again.left(phase):
                    return

    def _all_of(self, again: FailedItems, items: Iterable[T], label: Callable[[T], str]) -> Iterator[T]:
        """Yield all items, and say that it is all: a map that stops at the first failure did not reach the others."""
        phase = self._run.current_phase
        assert phase is not None
        self._run.log.info(
            'phase %s does all of its items again, not only the %s that failed: on_error="raise" ended it there',
            phase,
            f"{again.left(phase):,}",
        )
        for item in items:
            again.take(phase, label_of(label, item))
            yield item


class _Reach:
    """How many items of one `map` are done, of how many. Its own thread writes it."""

    __slots__ = ("done", "ended", "phase", "total")

    def __init__(self, phase: str, total: int | None) -> None:
        self.phase = phase
        self.total = total
        self.done = 0
        self.ended = False


def _joined(reaches: list[_Reach]) -> list[_Reach]:
    """Return the maps with those that have ended added up for each phase: a run may have a million small ones."""
    ended: dict[str, _Reach] = {}
    for reach in reaches:
        if reach.ended:
            joined = ended.setdefault(reach.phase, _Reach(reach.phase, None))
            joined.done, joined.ended = joined.done + reach.done, True
    return [*ended.values(), *(reach for reach in reaches if not reach.ended)]


class _Restored:
    """Puts a dictionary's entry back to its earlier value, on leaving."""

    __slots__ = ("_at", "_before", "_key")

    def __init__(self, at: dict[int, Any], key: int, before: Any) -> None:
        self._at = at
        self._key = key
        self._before = before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            self._at.pop(self._key, None)
        else:
            self._at[self._key] = self._before


@contextlib.contextmanager
def _calls(
    function: Callable[[T], R], items: Iterable[T], workers: int, processes: bool
) -> Iterator[Iterator[tuple[T, Callable[[], R]]]]:
    """Give an iterator over pairs, in order: an item, and a function that returns its result or raises its error.

    With workers the calls are begun in advance.
    """
    if not workers:
        yield ((item, partial(function, item)) for item in items)
        return
    pool: Executor = (
        ProcessPoolExecutor(workers) if processes else ThreadPoolExecutor(workers, thread_name_prefix="map")
    )
    try:
        begin = partial(submit if processes else _submit, pool, function)
        yield _in_advance(begin, iter(items), 2 * workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: Executor, function: Callable[[T], R], item: T) -> Callable[[], R]:
    return pool.submit(function, item).result


def _in_advance(
    begin: Callable[[T], Callable[[], R]], items: Iterator[T], number: int
) -> Iterator[tuple[T, Callable[[], R]]]:
    begun: deque[tuple[T, Callable[[], R]]] = deque()
    for item in items:
        begun.append((item, begin(item)))
        if len(begun) >= number:
            yield begun.popleft()
    yield from begun


def label_of(label: Callable[[T], str], item: T) -> str:
    """Return an item's name, or its type in angle brackets when `label` fails."""
    try:
        return str(label(item))
    except Exception:  # noqa: BLE001 - somebody else's function; the item's failure must be reported all the same
        return f"<{type(item).__name__}>"


def _size(size: Callable[[T], float], item: T) -> float:
    try:
        amount = float(size(item))
    except Exception:  # noqa: BLE001 - somebody else's function, and the item may be fine
        return 0.0
    return amount if 0 <= amount < math.inf else 0.0
