"""`Run`: what running code reports to. It makes events and hands them to `emit`; it knows nothing of how they are sent.

Threads: the code that works may use as many as it likes. A sampler thread reads its counts, some ten times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import threading
import time as _time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, Literal, Self, TypeVar

import msgspec
from msgspec import UNSET

from streamer.model.bounds import (
    BARS_LIMIT,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    cut,
    item_key,
)
from streamer.model.events import (
    Bar,
    BarStatus,
    Completed,
    ErrorInfo,
    Event,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    Results,
    RunCancelled,
    RunFailed,
    StatusChanged,
    type_of_level,
)
from streamer.model.pipeline import Advance, Silent, SkipPhase
from streamer.producer.cancellation import Cancelled, Interrupter
from streamer.producer.counting import Count, Counter, Meter, Reading, Tally, number_of, total_of
from streamer.producer.error_text import brief_error, describe_error, text_of
from streamer.producer.log_capture import Capture, RunLogger
from streamer.producer.publisher import THREAD_PREFIX
from streamer.protocol.failed_items import NAMED, FailedItems

T = TypeVar("T")
R = TypeVar("R")

#: Seconds between two samples: this early in a run, growing to that in a long one.
SAMPLE_SECONDS: Final = (0.1, 1.0)
_GROWTH: Final = 600


class Run:
    """One execution, as the code that executes it sees it. Any thread may call its methods.

    `emit(event, time)` takes what happened, in order; it must neither block nor raise. `phases` are the declared ones.
    `clock` gives POSIX seconds. `sample_seconds` between two progress events; None: a tenth, growing to one second in a
    run of ten minutes. After `sign_seconds` without any the last one is repeated, as a sign of life.

    While it is open, what goes through `logging` at `level` or above is reported too; the root logger lets that much
    through meanwhile. `interrupter`, when it is given, makes `request_cancel` interrupt the main thread; other threads
    hear of it when they next report something.

    As a context manager it is open inside, and ends the run as its body ends: see `conclude`.
    """

    def __init__(
        self,
        emit: Callable[[Event, float], object],
        phases: Iterable[PhaseSpec] = (),
        *,
        clock: Callable[[], float] = _time.time,
        sample_seconds: float | None = None,
        sign_seconds: float = 5.0,
        name: str = "run",
        level: int = logging.INFO,
        interrupter: Interrupter | None = None,
    ) -> None:
        self._send = emit
        self._weights = {spec.name: spec.weight for spec in phases}
        self._clock = clock
        self._sample_seconds = sample_seconds
        self._sign_seconds = sign_seconds
        self._interrupter = interrupter
        self._section: AbstractContextManager[None] = (
            contextlib.nullcontext() if interrupter is None else interrupter.section
        )
        # Reentrant: the garbage collector may run somebody's __del__, which logs, while it is held.
        self._lock = threading.RLock()
        # A forked child has a copy of the run, but it is not the run.
        self._is_copy = False
        self._opened = self._sampled = clock()
        self._phases: list[_Phase] = [_Phase(None)]
        self._bars: dict[tuple[str | None, str], _LoopBar] = {}
        self._counted = (0, 0)
        self._said = ""
        self._success = 0
        self._failed = 0
        self._asked = False
        self._told: set[int] = set()
        self._ended = False
        # Held while it is open. Not an event: waiting for one is a page of Python, ten times a second.
        self._open = threading.Lock()
        self._sampler: threading.Thread | None = None
        self._log = RunLogger(name, level, self)
        self._capture = Capture(self, level)
        _runs.add(self)
        self._again: FailedItems | None = None
        # What each thread is at, of those that map: an item, and what names it.
        self._at: dict[int, tuple[Any, Callable[[Any], str]]] = {}
        if interrupter is not None:
            interrupter.on_told = self._acknowledge

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a reporter that says nothing: in another process, nobody listens."""
        return _Elsewhere, (self._log.name,)

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start to sample, and to report what is logged."""
        self._open.acquire(blocking=False)
        self._capture.install()
        name = f"{THREAD_PREFIX}sampler"
        self._sampler = threading.Thread(target=self._sample_forever, name=name, daemon=True)
        self._sampler.start()

    def close(self) -> None:
        """Stop sampling and capturing. Emits nothing; may be called again."""
        with contextlib.suppress(RuntimeError):
            self._open.release()
        # Before the handler goes: the sampler puts it back when it is missing.
        if self._sampler is not None and self._sampler is not threading.current_thread():
            self._sampler.join(5.0)
        self._capture.uninstall()

    def __enter__(self) -> Self:
        """Open the run."""
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End the run as the body ended, unless it has ended already, and close it."""
        try:
            self.conclude(error)
        finally:
            self.close()

    # -- the end -------------------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the terminal event was emitted; nothing is emitted after it."""
        return self._ended

    def complete(self, result: Any = None, message: str = "") -> bool:
        """End the run as complete; `result` is any JSON. As all that ends a run, it returns False after the end."""
        return self._end(Completed(message=message, result=result, results=self._results()))

    def fail(self, error: BaseException | ErrorInfo, message: str = "") -> bool:
        """End the run as failed."""
        info = error if isinstance(error, ErrorInfo) else describe_error(error)
        return self._end(RunFailed(message=message or brief_error(info), error=info, results=self._results()))

    def cancelled(self, message: str = "") -> bool:
        """End the run as cancelled."""
        return self._end(RunCancelled(message=message, results=self._results()))

    def conclude(self, error: BaseException | None, result: Any = None) -> bool:
        """End the run by what its code raised: nothing, an interruption, an exit, or an error."""
        match error:
            case None:
                return self.complete(result)
            case Cancelled():
                return self.cancelled("cancelled on request")
            case KeyboardInterrupt():
                return self.cancelled("cancelled on request" if self._asked else "interrupted")
            case GeneratorExit():
                return self.cancelled("the loop was left before its end")
            case SystemExit(code=None | 0):
                return self.complete(result)
            case SystemExit(code=code):
                said = f"exited with code {code}" if isinstance(code, int) else f"exited: {text_of(code)}"
                return self.fail(error, said)
            case _:
                return self.fail(error)

    def _end(self, event: Event) -> bool:
        if self._interrupter is not None:
            self._interrupter.disarm()
        with self._section, self._lock:
            if self._ended:
                return False
            self._progress(self._clock())
            self._emit(event)
            self._ended = True
            return True

    def _results(self) -> FinalResults:
        return FinalResults(self._success, self._failed)

    # -- cancelling ----------------------------------------------------------------------------------------------------

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked for the run to be cancelled."""
        return self._asked

    def request_cancel(self) -> None:
        """Ask the running code to end; it hears of it as `Cancelled`. Any thread may call it, any number of times."""
        self._asked = True
        if self._interrupter is not None:
            self._interrupter.interrupt()

    def checkpoint(self) -> None:
        """Raise `Cancelled` when the run was cancelled and this thread has not been told.

        Everything that reports does it. Call it in a long computation that reports nothing, outside the main thread.
        """
        if self._asked:
            self._tell()

    def _acknowledge(self) -> None:
        """Report that the running code hears of the cancel now, and where it is."""
        with self._section, self._lock:
            phase = self._phases[-1]
            at = self._at.get(threading.get_ident())
            item = None if at is None else cut(_label(at[1], at[0]), NAME_LIMIT)
            where = f" in {phase.name}" if phase.name else ""
            if item is not None:
                where += f" at {item}"
            elif (reading := phase.meter.read()).done is not None:
                of = "" if reading.total is None else f" of {reading.total:,}"
                where += f" at {reading.done:,}{of} {reading.unit}"
            self._emit(
                StatusChanged(
                    status="cancelling",
                    step="acknowledged",
                    message=f"stopping{where}",
                    phase=phase.name,
                    item=item,
                )
            )

    def _tell(self, *, again: bool = False) -> None:
        if self._interrupter is not None and self._interrupter.here:
            told, self._interrupter.told = self._interrupter.told, True
        else:
            thread = threading.get_ident()
            told = thread in self._told
            self._told.add(thread)
        if not told:
            self._acknowledge()
        if again or not told:
            raise Cancelled("cancelled on request")

    # -- facts ---------------------------------------------------------------------------------------------------------

    def declare(self, phases: Iterable[PhaseSpec]) -> None:
        """Take phases that were not known when the run was made."""
        self._weights.update((spec.name, spec.weight) for spec in phases)

    def retry(self, items: FailedItems) -> None:
        """Do only those items again, in the phases where some failed; see `map`."""
        self._again = items

    @property
    def is_retry(self) -> bool:
        """Whether this run does the failed items of another one again."""
        return self._again is not None

    def report(self, event: Event) -> None:
        """Report an event as it is; a terminal one through `complete`, `fail` or `cancelled` only."""
        with self._section, self._lock:
            self._emit(event)

    # -- phases --------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def phase(self, name: str, weight: float | None = None) -> Iterator[None]:
        """Report what the body does as a phase; one that was not declared joins at the end, with `weight`.

        A body that raises `SkipPhase` skips it, and all is well; any other exception is reported and raised again.
        """
        if self._asked:
            # Whoever swallowed the request gets no further phase to work on.
            self._tell(again=True)
        entry = _Phase(str(name))
        self._phase_changed(entry, "started", weight=weight)
        try:
            yield
        except SkipPhase as reason:
            self._phase_changed(entry, "skipped", text_of(reason))
        except KeyboardInterrupt:
            self._phase_changed(entry, "failed", "cancelled" if self._asked else "interrupted")
            raise
        except BaseException as error:
            self._phase_changed(entry, "failed", brief_error(describe_error(error)))
            raise
        else:
            self._say_what_is_left(entry.name)
            self._phase_changed(entry, "finished")

    def _say_what_is_left(self, phase: str | None) -> None:
        again = self._again
        count = 0 if again is None else again.left(phase)
        if again is None or phase is None or not count:
            return
        names = ", ".join(repr(cut(name, 80)) for name in again.names_left(phase))
        self.log.warning(
            "%s of the items that failed in phase %s did not come up again: %s%s",
            f"{count:,}",
            phase,
            names,
            "" if count <= NAMED else ", …",
        )

    def _phase_changed(
        self,
        entry: _Phase,
        status: Literal["started", "finished", "skipped", "failed"],
        message: str = "",
        weight: float | None = None,
    ) -> None:
        assert entry.name is not None
        with self._section, self._lock:
            self._progress(self._clock())
            weight = self._weights.get(entry.name, weight)
            event = PhaseChanged(phase=entry.name, weight=weight, phase_status=status, message=message)
            self._emit(event)
            if status == "started":
                self._phases.append(entry)
            elif entry in self._phases:
                self._phases.remove(entry)
            self._phases[-1].seen = self._phases[-1].meter.read()
            self._counted = (self._success, self._failed)

    # -- counting ------------------------------------------------------------------------------------------------------

    def track(self, items: Iterable[T], *, total: int | None = None, unit: str = "items") -> Iterator[T]:
        """Return `items` one by one and count them as the phase's progress.

        `total` is how many there are; None: `len(items)`, and when it has none the progress is indeterminate. An item
        is done when the next one is asked for. How several counts of one phase add up is told by `progress.Meter`.
        """
        tally = Tally(number_of(total_of(items) if total is None else total), self._count_ended)
        counted = tally.over(items)
        self._begin(tally, unit)
        if self._interrupter is not None and self._interrupter.here:
            return counted
        return self._checked(counted)

    def _checked(self, items: Iterator[T]) -> Iterator[T]:
        # Without a signal to interrupt this thread, each item looks whether the run was cancelled.
        for item in items:
            if self._asked:
                self._tell()
            yield item

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        on_error: Literal["raise", "collect"] = "raise",
        workers: int = 0,
        processes: bool = False,
        total: float | None = None,
        unit: str = "items",
        size: Callable[[T], float] | None = None,
        label: Callable[[T], str] = str,
    ) -> list[R]:
        """Call `function` on every item; return the results of those that succeeded, in order.

        An item that raises is reported with its error; with ``on_error="raise"`` its exception is raised then, with
        "collect" the rest goes on. Progress counts items, or the sum of `size(item)` of `total` in `unit`; an item
        whose size cannot be told counts as 0, and one whose `label` cannot be told is named by its type.

        `workers` threads, or with `processes` as many processes, do the calls; 0: this thread. Then no more than two
        items for each of them are taken in advance, and after an error that is raised no further one is begun.

        In a run that does failed items again, "collect" works on those alone in the phases in which items failed,
        whatever their order now: an item is one of them when its whole label is, as often as that failed. The others
        are passed over, neither called nor counted.
        """
        if on_error not in ("raise", "collect"):
            raise ValueError(f'on_error: expected "raise" or "collect", received {on_error!r}')
        if workers < 0 or (processes and not workers):
            raise ValueError(
                f"workers: expected 1 or more for processes, 0 or more for threads, received {workers!r}"
            )
        again = self._again if on_error == "collect" else None
        if again is not None and again.concerns(self._phases[-1].name):
            total = again.left(self._phases[-1].name) if size is None else None
            items = self._failed_of(again, items, label)
        elif total is None and size is None:
            total = total_of(items)
        results = []
        thread = threading.get_ident()
        with (
            self.counter(total, unit=unit) as counter,
            _calls(function, items, workers, processes) as calls,
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
                    self._item_failed(item, label, error)
                    if on_error == "raise":
                        raise
                else:
                    with self._lock:
                        self._success += 1
                counter.advance(amount)
        return results

    def _failed_of(self, again: FailedItems, items: Iterable[T], label: Callable[[T], str]) -> Iterator[T]:
        """Return those items that failed in the run that is done again; no further than the last of them."""
        phase = self._phases[-1].name
        assert phase is not None
        for item in items if again.left(phase) else ():
            if self._asked:
                self._tell()
            with self._lock:
                taken = again.take(phase, _label(label, item))
            if taken:
                yield item
                if not again.left(phase):
                    return

    def _item_failed(self, item: T, label: Callable[[T], str], error: Exception) -> None:
        name = _label(label, item)
        event = ItemFailed(
            item=name,
            key=item_key(name) or UNSET,
            phase=self._phases[-1].name,
            error=describe_error(error),
        )
        with self._section, self._lock:
            self._failed += 1
            self._emit(event)

    def counter(self, total: float | None = None, *, unit: str = "items") -> AbstractContextManager[Advance]:
        """Return a context manager whose value has `advance(amount)`: progress that is no loop over items.

        `total` may be None, and may be set on the value when it becomes known.
        """
        return _RunCounter(self, total, unit)

    def message(self, text: str) -> None:
        """Say in a few words what is being done now; shown beside the progress."""
        self._said = cut(text_of(text), MESSAGE_LIMIT)
        self.checkpoint()

    def _begin(self, count: Count, unit: str, name: str = "", phase: _Phase | None = None) -> None:
        self.checkpoint()
        lane = _lane()
        with self._section, self._lock:
            home = self._home(lane) or phase or self._phases[-1]
            outer = home.meter.outer(lane)
            if name and outer is not None:
                self._show_bar(count, unit, name, home, outer.count)
            if home.meter.begins_anew(unit, lane):
                self._progress(self._clock())
            home.meter.begin(count, unit, lane)

    def _home(self, lane: int) -> _Phase | None:
        """Return the phase in which that thread or task is inside a loop."""
        return next((phase for phase in reversed(self._phases) if phase.meter.outer(lane) is not None), None)

    def _show_bar(self, count: Count, unit: str, name: str, phase: _Phase, outer: Count) -> None:
        """Show a loop inside a loop's item as a bar of its own; the next one of that name there takes its place."""
        parent = next((bar.id for bar in self._bars.values() if bar.count is outer), None)
        key = parent, name
        known = self._bars.get(key)
        if known is None and len(self._bars) >= BARS_LIMIT:
            return
        number = known.id if known is not None else str(len(self._bars) + 1)
        self._bars[key] = _LoopBar(number, parent, phase.name, name, unit, count)

    def begin_loop(self, count: Count, unit: str, name: str, *, as_phase: bool) -> _Phase | None:
        """Count a loop; `as_phase`: as a phase called `name`, which is returned, unless it is inside another loop.

        Loops of that name that are under way together are one phase. `end_loop` must follow for what is returned.
        """
        with self._section, self._lock:
            phase = None
            if as_phase and self._home(_lane()) is None:
                phase = next((each for each in self._phases if each.name == name), None)
                if phase is None:
                    phase = _Phase(name)
                    self._phase_changed(phase, "started")
                phase.loops += 1
            self._begin(count, unit, name, phase)
            return phase

    def end_loop(self, phase: _Phase, message: str = "") -> None:
        """Take note that a loop has ended; with a `message` when it was not at its end."""
        with self._section, self._lock:
            phase.loops -= 1
            phase.message = message or phase.message
            if not phase.loops:
                self._phase_changed(phase, "failed" if phase.message else "finished", phase.message)

    def _count_ended(self) -> None:
        # Not at the end of every one: a phase may have a million small loops.
        with self._section, self._lock:
            now = self._clock()
            if now - self._sampled >= self.interval(now):
                self._progress(now)

    # -- sampling ------------------------------------------------------------------------------------------------------

    def interval(self, now: float) -> float:
        """Return the seconds between two samples at that time."""
        if self._sample_seconds is not None:
            return self._sample_seconds
        return min(max((now - self._opened) / _GROWTH, SAMPLE_SECONDS[0]), SAMPLE_SECONDS[1])

    def sample(self) -> bool:
        """Emit progress if there is any, or a sign of life if it is time for one; tell whether there was."""
        with self._section, self._lock:
            now = self._clock()
            return self._progress(now, repeat=now - self._sampled >= self._sign_seconds)

    def _progress(self, now: float, *, repeat: bool = False) -> bool:
        counted, bars = (self._success, self._failed), self._changed_bars()
        news = bool(bars or self._said or repeat or counted != self._counted)
        *others, last = self._phases
        for phase in (*others, last):
            reading = phase.meter.read()
            changed = reading != phase.seen
            if not changed and not (phase is last and news):
                continue
            phase.seen, self._sampled = reading, now
            message, self._said = (self._said, "") if phase is last else ("", self._said)
            event = Progressed(
                phase=phase.name,
                done=reading.done,
                total=reading.total,
                unit=reading.unit,
                message=message,
                results=Results(*counted),
                bars=bars,
            )
            bars, news, self._counted = (), news or changed, counted
            self._emit(event)
        return news

    def _changed_bars(self) -> tuple[Bar, ...]:
        changed = []
        for bar in self._bars.values():
            now = bar.read()
            if now != bar.seen:
                bar.seen = now
                changed.append(now)
        return tuple(changed)

    def _sample_forever(self) -> None:
        while not self._open.acquire(timeout=self.interval(self._clock())):
            # A total of some odd class may fail to be read; the next sample is another chance.
            with contextlib.suppress(Exception):
                self.sample()
            if self._asked and self._interrupter is not None:
                # A signal that came just before a call that blocks does not end it: it is sent until it is heard.
                self._interrupter.interrupt()
            self._capture.install()

    # -- logging -------------------------------------------------------------------------------------------------------

    @property
    def log(self) -> logging.Logger:
        """The run's logger; ``extra={"item": …}`` says which item a line is about."""
        return self._log

    def report_line(
        self,
        message: str,
        *,
        level: str = "INFO",
        logger: str = "",
        item: str | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        """Report one line of log as it is, past `logging`; `fields` is what belongs to it beside the text."""
        # Its timestamp is the event's time, which the streamer writes into it.
        event = Logged(
            type=type_of_level(level),
            level=level,
            logger=logger,
            message=cut(message, MESSAGE_LIMIT),
            phase=self._phases[-1].name,
            item=item,
            fields=fields or UNSET,
        )
        with self._section, self._lock:
            self._emit(event)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        if not self._ended and not self._is_copy:
            self._send(event, self._clock())


_runs: Final[weakref.WeakSet[Run]] = weakref.WeakSet()


def _in_child() -> None:
    """Give a forked child locks of its own: whoever held one at that moment is not there to give it back."""
    for run in list(_runs):
        run._lock = threading.RLock()
        run._is_copy = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class _Restored:
    """Gives a dictionary's entry back as it was, on leaving."""

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


class _Phase:
    """A phase that is under way; the one without a name is what happens outside of all."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.meter = Meter()
        self.seen = Reading()
        self.loops = 0
        self.message = ""


class _LoopBar:
    """A loop inside another loop's item."""

    def __init__(
        self, number: str, parent: str | None, phase: str | None, name: str, unit: str, count: Count
    ) -> None:
        self.id = number
        self.count = count
        self.seen: Bar | None = None
        self._shown = Bar(id=number, parent=parent, phase=phase, name=name, unit=unit)

    def read(self) -> Bar:
        """Return how it stands."""
        count = self.count
        status: BarStatus = "finished" if count.complete else "stopped" if count.ended else "started"
        return msgspec.structs.replace(self._shown, done=count.done, total=count.total, status=status)


class _RunCounter(Counter):
    """The counter of a run; see `Run.counter`."""

    def __init__(self, run: Run, total: float | None, unit: str) -> None:
        super().__init__(total)
        self._run = run
        self._unit = unit

    def __enter__(self) -> Self:
        self._run._begin(self, self._unit)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.end(complete=kind is None and (self.total is None or self.done >= self.total))
        self._run._count_ended()

    def advance(self, amount: float = 1) -> None:
        """Count `amount` more. Raises `ValueError` unless it is a number of 0 or more."""
        super().advance(amount)
        self._run.checkpoint()


class _Elsewhere(Silent):
    """What a run is in another process: it counts nothing and logs as usual."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)


# -- parts of map ------------------------------------------------------------------------------------------------------


def _lane() -> int:
    """Return what tells apart who works at the same time: the asyncio task, else the thread."""
    if asyncio._get_running_loop() is not None:
        with contextlib.suppress(RuntimeError):
            task = asyncio.current_task()
            if task is not None:
                return id(task)
    return threading.get_ident()


@contextlib.contextmanager
def _calls(
    function: Callable[[T], R], items: Iterable[T], workers: int, processes: bool
) -> Iterator[Iterator[tuple[T, Callable[[], R]]]]:
    """Give each item with what returns its result, or raises; in order, the calls of workers begun in advance."""
    if not workers:
        yield ((item, partial(function, item)) for item in items)
        return
    pool: Executor = (
        ProcessPoolExecutor(workers) if processes else ThreadPoolExecutor(workers, thread_name_prefix="map")
    )
    try:
        yield _in_advance(pool, function, iter(items), 2 * workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_advance(
    pool: Executor, function: Callable[[T], R], items: Iterator[T], number: int
) -> Iterator[tuple[T, Callable[[], R]]]:
    begun: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        begun.append((item, pool.submit(function, item)))
        if len(begun) >= number:
            first, future = begun.popleft()
            yield first, future.result
    for first, future in begun:
        yield first, future.result


def _label(label: Callable[[T], str], item: T) -> str:
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
