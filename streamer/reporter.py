"""`Run`: what running code reports to. It makes events and hands them to `emit`; it knows nothing of how they are sent.

Threads: the code that works may use as many as it likes. A sampler thread reads its counts, some ten times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import sys
import threading
import time as _time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, Self, TypeVar

import msgspec
from msgspec import UNSET

from streamer.events import (
    BARS_LIMIT,
    LEVELS,
    MESSAGE_LIMIT,
    NAME_LIMIT,
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
    cut,
    cut_middle,
    format_time,
    item_key,
    type_of_level,
)
from streamer.failed_items import NAMED, FailedItems
from streamer.pipeline import Advance, Silent, SkipPhase
from streamer.progress import Count, Counter, Meter, Reading, Tally, number_of, total_of
from streamer.publisher import THREAD_PREFIX

T = TypeVar("T")
R = TypeVar("R")

#: Seconds between two samples: this early in a run, growing to that in a long one.
SAMPLE_SECONDS: Final = (0.1, 1.0)
_GROWTH: Final = 600
_OWN_FILES: Final = frozenset(
    str(Path(__file__).with_name(f"{name}.py"))
    for name in ("reporter", "worker", "script", "pipeline", "progress", "catalog", "schema")
)
#: A SIGINT this soon after one that was sent is taken for it; a later one is somebody's Ctrl-C.
_ECHO_SECONDS: Final = 1.0
_MARK: Final = "_streamer_run"


class Cancelled(KeyboardInterrupt):
    """Raised in running code when somebody cancelled the run.

    A `KeyboardInterrupt`, so that code which is careful about Ctrl-C is careful about this, and ``except Exception``
    lets it pass. It comes at most once in each thread; `finally` blocks and context managers run as always.
    """


class Interrupter:
    """Turns a request to cancel into `Cancelled` in the main thread, wherever it is, also in a call that blocks.

    A context manager of the main thread: it takes over SIGINT, which is what code that must end well listens to.
    Ctrl-C means what it meant before. Neither is raised inside a `section`: it waits for its end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._main = threading.main_thread().ident
        self._previous: Any = signal.SIG_DFL
        self._previous_hook: Callable[[Any], object] = sys.unraisablehook
        self._armed = False
        self._asked = False
        self._sent = 0.0
        self._depth = 0
        self._pending = False
        #: Whether the request has reached the main thread.
        self.told = False
        #: Called there when it has, just before `Cancelled` is raised.
        self.on_told: Callable[[], object] = _nothing

    def __enter__(self) -> Self:
        """Take over SIGINT. Raises `ValueError` outside the main thread."""
        self._previous = signal.signal(signal.SIGINT, self._handle)
        # One whose run is over, and that could not give SIGINT back from where it ended, is passed over.
        while (
            isinstance(before := getattr(self._previous, "__self__", None), Interrupter) and not before._armed
        ):
            self._previous = before._previous
        self._previous_hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._armed = True
        return self

    def __exit__(self, *_: object) -> None:
        """Give SIGINT back."""
        self.disarm()
        if sys.unraisablehook == self._unraisable:
            sys.unraisablehook = self._previous_hook
        # A generator that holds this may be collected by any thread: then the handler stays, and passes signals on.
        here = threading.get_ident() == self._main
        if here and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._previous)

    @property
    def here(self) -> bool:
        """Whether the calling thread is the one that is interrupted."""
        return self._armed and threading.get_ident() == self._main

    def interrupt(self) -> None:
        """Ask the main thread to end what it does; again, when it has not heard yet. Any thread may call it."""
        with self._lock:
            if not self._armed or self.told:
                return
            self._asked = True
            self._sent = _time.monotonic()
            if hasattr(signal, "pthread_kill") and self._main is not None:
                # A real signal, because only that ends a sleep or a read.
                signal.pthread_kill(self._main, signal.SIGINT)
            else:
                import _thread

                _thread.interrupt_main(signal.SIGINT)

    def disarm(self) -> None:
        """Raise `Cancelled` no more; Ctrl-C still means what it meant before."""
        with self._lock:
            self._armed = False

    def section(self) -> _Section:
        """Return a context manager inside of which the main thread is not interrupted."""
        return _Section(self)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._depth:
            self._pending = True
        else:
            self._raise(number, frame)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._asked and self._armed and not self.told:
            self.told = True
            self.on_told()
            raise Cancelled("cancelled on request")
        if self._asked and _time.monotonic() - self._sent < _ECHO_SECONDS:
            return  # the same request, sent again before it was heard
        if callable(self._previous):
            self._previous(number, frame)
        elif self._previous != signal.SIG_IGN:
            raise KeyboardInterrupt

    def _unraisable(self, what: Any) -> None:
        if isinstance(what.exc_value, Cancelled):
            # It met a __del__ or a callback, where Python drops exceptions: it is sent again by the run's sampler.
            self.told = False
        else:
            self._previous_hook(what)


def _nothing() -> None:
    pass


class _Section:
    """See `Interrupter.section`. May be nested."""

    __slots__ = ("_counted", "_of")

    def __init__(self, of: Interrupter) -> None:
        self._of = of
        self._counted = False

    def __enter__(self) -> None:
        if threading.get_ident() == self._of._main:
            self._of._depth += 1
            self._counted = True

    def __exit__(self, *_: object) -> None:
        of = self._of
        if self._counted:
            of._depth -= 1
            if of._pending and not of._depth:
                of._pending = False
                of._raise(signal.SIGINT, None)


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
        # Reentrant: the garbage collector may run somebody's __del__, which logs, while it is held.
        self._lock = threading.RLock()
        self._pid = os.getpid()
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
        self._stop = threading.Event()
        self._sampler: threading.Thread | None = None
        self._log = _RunLogger(name, level, self)
        self._capture = _Capture(self, level)
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
        self._capture.install()
        name = f"{THREAD_PREFIX}sampler"
        self._sampler = threading.Thread(target=self._sample_forever, name=name, daemon=True)
        self._sampler.start()

    def close(self) -> None:
        """Stop sampling and capturing. Emits nothing; may be called again."""
        self._stop.set()
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
        return self._end(RunFailed(message=message or _brief(info), error=info, results=self._results()))

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
                said = f"exited with code {code}" if isinstance(code, int) else f"exited: {_text(code)}"
                return self.fail(error, said)
            case _:
                return self.fail(error)

    def _end(self, event: Event) -> bool:
        if self._interrupter is not None:
            self._interrupter.disarm()
        with self._section(), self._lock:
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
        with self._section(), self._lock:
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
        with self._section(), self._lock:
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
            self._phase_changed(entry, "skipped", _text(reason))
        except KeyboardInterrupt:
            self._phase_changed(entry, "failed", "cancelled" if self._asked else "interrupted")
            raise
        except BaseException as error:
            self._phase_changed(entry, "failed", _brief(describe_error(error)))
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
        with self._section(), self._lock:
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
        with self._section(), self._lock:
            self._failed += 1
            self._emit(event)

    def counter(self, total: float | None = None, *, unit: str = "items") -> AbstractContextManager[Advance]:
        """Return a context manager whose value has `advance(amount)`: progress that is no loop over items.

        `total` may be None, and may be set on the value when it becomes known.
        """
        return _RunCounter(self, total, unit)

    def message(self, text: str) -> None:
        """Say in a few words what is being done now; shown beside the progress."""
        self._said = cut(_text(text), MESSAGE_LIMIT)
        self.checkpoint()

    def _begin(self, count: Count, unit: str, name: str = "", phase: _Phase | None = None) -> None:
        self.checkpoint()
        lane = _lane()
        with self._section(), self._lock:
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
        with self._section(), self._lock:
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
        with self._section(), self._lock:
            phase.loops -= 1
            phase.message = message or phase.message
            if not phase.loops:
                self._phase_changed(phase, "failed" if phase.message else "finished", phase.message)

    def _count_ended(self) -> None:
        # Not at the end of every one: a phase may have a million small loops.
        with self._section(), self._lock:
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
        with self._section(), self._lock:
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
        while not self._stop.wait(self.interval(self._clock())):
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
        now = self._clock()
        event = Logged(
            type=type_of_level(level),
            level=level,
            logger=logger,
            message=cut(message, MESSAGE_LIMIT),
            timestamp=format_time(now),
            phase=self._phases[-1].name,
            item=item,
            fields=fields or UNSET,
        )
        self.report(event)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        # A forked child has a copy of the run, but it is not the run.
        if not self._ended and os.getpid() == self._pid:
            self._send(event, self._clock())

    def _section(self) -> AbstractContextManager[None]:
        return _NO_SECTION if self._interrupter is None else self._interrupter.section()


_runs: Final[weakref.WeakSet[Run]] = weakref.WeakSet()


def _in_child() -> None:
    """Give a forked child locks of its own: whoever held one at that moment is not there to give it back."""
    for run in list(_runs):
        run._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)

_NO_SECTION: Final = contextlib.nullcontext()


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


# -- logging -----------------------------------------------------------------------------------------------------------


class _RunLogger(logging.Logger):
    """The logger of a run: its lines are reported, and go to the program's own handlers as well."""

    def __init__(self, name: str, level: int, run: Run) -> None:
        super().__init__(name, level)
        self.parent = logging.root
        self._run = run
        self.addHandler(_Reporting(run))

    def handle(self, record: logging.LogRecord) -> None:
        # What is reported here is not reported once more by the root logger's handler.
        setattr(record, _MARK, True)
        super().handle(record)
        self._run.checkpoint()

    def __reduce__(self) -> tuple[Any, ...]:
        return logging.getLogger, (self.name,)


class _Reporting(logging.Handler):
    """Turns log records into events of a run. Never raises."""

    def __init__(self, run: Run, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._run = run
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record."""
        # A text that logs while it is formatted must not go round for ever.
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            item = getattr(record, "item", None)
            self._run.report_line(
                _message(record),
                level=_level(record),
                logger=record.name,
                item=None if item is None else _text(item),
                fields=_fields(record),
            )
        except Exception:  # noqa: BLE001, S110 - what somebody logs must never end what they do
            pass
        finally:
            self._busy.now = False


class _Capture(_Reporting):
    """The root logger's handler while a run is open: reports what other loggers say, at `level` or above."""

    def __init__(self, run: Run, level: int) -> None:
        super().__init__(run, level)
        self._previous: int | None = None
        self._quiet: _Quiet | None = None
        self._open = True

    def install(self) -> None:
        """Join the root logger's handlers; again, when a configuration has thrown it out."""
        root = logging.root
        if not self._open or self in root.handlers:
            return
        if self._previous is None:
            self._previous = root.level
            if root.level > self.level:
                # What the root logger now lets through in addition is for the run, not for the program's own handlers.
                self._quiet = _Quiet(root.level)
                for handler in root.handlers:
                    if not isinstance(handler, _Capture):
                        handler.addFilter(self._quiet)
                root.setLevel(self.level)
        root.addHandler(self)

    def uninstall(self) -> None:
        """Leave the root logger as it was."""
        self._open = False
        root = logging.root
        root.removeHandler(self)
        if self._quiet is not None:
            for handler in root.handlers:
                handler.removeFilter(self._quiet)
            if root.level == self.level and self._previous is not None:
                root.setLevel(self._previous)
            self._quiet = None
        self.close()

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record, unless it is the run's own, or of the threads that report."""
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and _has_no_other(record):
            # Without this handler, Python would have printed it.
            last.handle(record)
        if hasattr(record, _MARK) or (record.threadName or "").startswith(THREAD_PREFIX):
            return
        super().emit(record)


class _Quiet(logging.Filter):
    """Lets pass what would have passed had the root logger's level not been lowered."""

    def __init__(self, root_level: int) -> None:
        super().__init__()
        self._root_level = root_level

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is at its logger's own level, or at what the root's was."""
        logger = logging.root.manager.loggerDict.get(record.name)
        while isinstance(logger, logging.Logger) and logger is not logging.root:
            if logger.level:
                return True  # its own level let it pass
            logger = logger.parent
        return record.levelno >= self._root_level or hasattr(record, _MARK)


def _has_no_other(record: logging.LogRecord) -> bool:
    """Tell whether no handler but those of runs sees a record."""
    logger: logging.Logger | None = logging.root
    found = logging.root.manager.loggerDict.get(record.name)
    if isinstance(found, logging.Logger):
        logger = found
    while logger is not None:
        if any(not isinstance(handler, _Reporting) for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments that do not fit are a mistake worth showing, no reason to end
        message = f"{_text(record.msg)} (its arguments do not fit: {type(error).__name__})"
    message = cut(message, MESSAGE_LIMIT)
    if record.exc_info and record.exc_info[1] is not None:
        trace = describe_error(record.exc_info[1]).traceback
        message = f"{message}\n{cut_middle(trace, max(MESSAGE_LIMIT - len(message) - 1, 500))}"
    if record.stack_info:
        message = f"{message}\n{record.stack_info}"
    return message


#: What every record has, and what is said elsewhere.
_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "item", _MARK}


def _fields(record: logging.LogRecord) -> dict[str, Any] | None:
    """Return what was logged as ``extra=``."""
    fields = {name: value for name, value in vars(record).items() if name not in _PLAIN}
    return fields or None


def _level(record: logging.LogRecord) -> str:
    """Return the record's level as one of `LEVELS`: another one counts as the next lower."""
    if record.levelname in LEVELS:
        return record.levelname
    return max((number, name) for name, number in LEVELS.items() if number <= max(record.levelno, 10))[1]


# -- errors and texts --------------------------------------------------------------------------------------------------


def describe_error(error: BaseException) -> ErrorInfo:
    """Return an exception's type, message and traceback; frames of this package that only called are left out."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        found = traceback.TracebackException.from_exception(error, compact=True)
        _leave_out_own(found, set())
        trace = "".join(found.format())
    except Exception as problem:  # noqa: BLE001 - an exception that cannot be printed is still to be reported
        trace = f"(the traceback cannot be shown: {type(problem).__name__})"
    return ErrorInfo(type=name, message=cut(_text(error), MESSAGE_LIMIT), traceback=trace)


def _leave_out_own(found: traceback.TracebackException, seen: set[int]) -> None:
    if id(found) in seen:
        return
    seen.add(id(found))
    kept = [
        frame
        for frame in found.stack
        if frame.filename not in _OWN_FILES and not frame.filename.startswith("<frozen importlib")
    ]
    if kept:
        found.stack[:] = kept
    for other in (found.__cause__, found.__context__, *(found.exceptions or ())):
        if other is not None:
            _leave_out_own(other, seen)


def _brief(info: ErrorInfo) -> str:
    """Return an error in one line."""
    first = info.message.strip().partition("\n")[0]
    name = info.type.rpartition(".")[2]
    return cut(f"{name}: {first}" if first else name, 500)


def _lane() -> int:
    """Return what tells apart who works at the same time: the asyncio task, else the thread."""
    if asyncio._get_running_loop() is not None:
        with contextlib.suppress(RuntimeError):
            task = asyncio.current_task()
            if task is not None:
                return id(task)
    return threading.get_ident()


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __str__
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"


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
