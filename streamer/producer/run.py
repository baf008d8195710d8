"""`Run`: the object that running code reports to. It makes events and hands them to `emit`; it sends nothing itself.

Why one module: `Run` has every method that a user calls. Its parts are in `progress`, `mapping`, `sampler`,
`counting`, `cancellation` and `log_capture`. The code that works may use any number of threads. A sampler thread
reads its counts some ten times a second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time as _time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Literal, Self, TypeVar

from msgspec import UNSET

from streamer.model.bounds import MESSAGE_LIMIT, cut, item_key
from streamer.model.events import (
    Completed,
    ErrorInfo,
    Event,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseSpec,
    RunCancelled,
    RunFailed,
    StatusChanged,
    type_of_level,
)
from streamer.model.pipeline import Advance, MapOptions, Silent, SkipPhase, map_over
from streamer.model.text.cutting import text_of
from streamer.producer.cancellation import Cancelled, Interrupter, ending_of
from streamer.producer.counting import Count, Counter, Tally, number_of, total_of
from streamer.producer.error_text import ToldError, brief_error, describe_error
from streamer.producer.log_capture import Capture, RunLogger
from streamer.producer.mapping import Mapper
from streamer.producer.progress import Phase, Progress, lane
from streamer.producer.redaction import Redaction
from streamer.producer.sampler import Sampler
from streamer.protocol.failed_items import NAMED, FailedItems

T = TypeVar("T")
R = TypeVar("R")


class Run:
    """One execution, as the code that executes it sees it. Any thread may call its methods.

    While a run is open, it also reports log lines of `level` and above; the root logger lets them through meanwhile.
    With an `interrupter`, `request_cancel` interrupts the main thread. Other threads learn of a cancel when they next
    report something. As a context manager a run is open inside, and ends as its body ends: see `conclude`.

    Args:
        emit: Takes each event and its time in POSIX seconds, in order. It must neither block nor raise.
        phases: The declared phases.
        clock: Returns the time, in POSIX seconds.
        sample_seconds: Seconds between two progress events; None: a tenth, growing to one second after ten minutes.
        sign_seconds: After so many seconds without a progress event the last one is repeated, as a sign of life.
        name: The name of the run's logger.
        level: The lowest level of log lines that are reported, a number of `logging`.
        interrupter: Interrupts the main thread for a cancel; None: nothing is interrupted.
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
        self._clock = clock
        self._sign_seconds = sign_seconds
        self._interrupter = interrupter
        self._section: AbstractContextManager[None] = (
            contextlib.nullcontext() if interrupter is None else interrupter.section
        )
        # Reentrant: the garbage collector may run somebody's __del__, which logs, while this thread holds the lock.
        self._lock = threading.RLock()
        # A forked child has a copy of the run, but it is not the run.
        self._is_copy = False
        opened = clock()
        self._progress = Progress(self._emit, phases, opened)
        self._mapper = Mapper(self)
        self._sampler = Sampler(self._tick, clock, sample_seconds, opened)
        self._asked = False
        self._told: set[int] = set()
        self._ended = False
        self._redaction: Redaction | None = None
        self._log = RunLogger(name, level, self)
        self._capture = Capture(self, level)
        _runs.add(self)
        if interrupter is not None:
            interrupter.on_told = self._acknowledge

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a silent reporter: another process has no publisher."""
        return _Elsewhere, (self._log.name,)

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start to sample, and to report log lines."""
        self._capture.install()
        self._sampler.start()

    def close(self) -> None:
        """Stop sampling and reporting log lines. Emits nothing; later calls do nothing."""
        # Before the handler goes: the sampler puts it back when it is missing.
        self._sampler.stop()
        self._capture.uninstall()

    def __enter__(self) -> Self:
        """Open the run."""
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End the run as the body ended, unless it has ended before, and close it."""
        try:
            self.conclude(error)
        finally:
            self.close()

    # -- the end -------------------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the terminal event was emitted. Nothing is emitted after it."""
        return self._ended

    def complete(self, result: Any = None, message: str = "") -> bool:
        """End the run as complete.

        Args:
            result: The run's result, any JSON.
            message: A short text; empty: how many items failed.

        Returns:
            False if the run had ended before; then nothing is emitted. `fail` and `cancelled` return the same.
        """
        return self._end(Completed(message=message, result=result, results=self._results()))

    def fail(self, error: BaseException | ErrorInfo, message: str = "") -> bool:
        """End the run as failed with `error`; `message` empty: the error in one line. Returns as `complete`."""
        info = error if isinstance(error, ErrorInfo) else describe_error(error)
        return self._end(RunFailed(message=message or brief_error(info), error=info, **self._left()))

    def cancelled(self, message: str = "") -> bool:
        """End the run as cancelled, with a reason in `message`. Returns as `complete`."""
        return self._end(RunCancelled(message=message, **self._left()))

    def conclude(self, error: BaseException | None, result: Any = None) -> bool:
        """End the run by the exception that its code raised.

        Args:
            error: A `KeyboardInterrupt` cancels the run, an exit with code 0 and None complete it, others fail it.
            result: The result of a complete run, any JSON.

        Returns:
            False if the run had ended before.
        """
        match error if error is None else ending_of(error):
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
            case SystemExit(code=code) as exit_:
                said = f"exited with code {code}" if isinstance(code, int) else f"exited: {text_of(code)}"
                return self.fail(exit_, said)
            case other:
                return self.fail(other)

    def _end(self, event: Event) -> bool:
        if self._interrupter is not None:
            self._interrupter.disarm()
        with self._section, self._lock:
            if self._ended:
                return False
            self._progress.emit(self._clock())
            self._emit(event)
            self._ended = True
            return True

    def _results(self) -> FinalResults:
        return FinalResults(self._progress.success, self._progress.failed)

    def _left(self) -> dict[str, Any]:
        return {"results": self._results(), "unreached": self._mapper.unreached()}

    # -- cancelling ----------------------------------------------------------------------------------------------------

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked for the run to be cancelled."""
        return self._asked

    def request_cancel(self) -> None:
        """Ask the running code to end; `Cancelled` is raised in it. Any thread may call it, any number of times."""
        self._asked = True
        if self._interrupter is not None:
            self._interrupter.interrupt()

    def checkpoint(self) -> None:
        """Raise `Cancelled` if the run was cancelled and this thread was not told yet.

        Every method that reports calls it. Call it in a long computation outside the main thread that reports nothing.
        """
        if self._asked:
            self._tell()

    def _acknowledge(self) -> None:
        """Report that the cancel has reached the running code, and where that is."""
        with self._section, self._lock:
            phase = self._progress.current
            item = self._mapper.item_here()
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
        self._progress.declare(phases)

    def retry(self, items: FailedItems) -> None:
        """Do only these items again, in the phases in which items failed; see `map`."""
        self._mapper.again = items

    @property
    def is_retry(self) -> bool:
        """Whether this run does the failed items of another one again."""
        return self._mapper.again is not None

    def report(self, event: Event) -> None:
        """Report an event as it is. Terminal events go through `complete`, `fail` and `cancelled` only."""
        with self._section, self._lock:
            self._emit(event)

    # -- phases --------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def phase(self, name: str, weight: float | None = None) -> Iterator[None]:
        """Report the work of a `with` body as a phase. A body that raises `SkipPhase` skips the phase.

        Args:
            name: The phase's name. A phase that was not declared joins at the end.
            weight: The weight of a phase that was not declared, relative to the others; None: 1.

        Raises:
            BaseException: The body's exception, other than `SkipPhase`; `Cancelled` if the run was cancelled.
        """
        if self._asked:
            # Code that caught `Cancelled` before gets no further phase.
            self._tell(again=True)
        entry = Phase(str(name))
        self._phase_changed(entry, "started", weight=weight)
        try:
            yield
        except SkipPhase as reason:
            self._phase_changed(entry, "skipped", text_of(reason))
        except BaseException as error:
            if isinstance(ending := ending_of(error), SystemExit) and not ending.code:
                # The run is complete, and so is the phase that ended it.
                self._phase_changed(entry, "finished", "exited with code 0")
                raise
            if isinstance(ending, KeyboardInterrupt):
                said = "cancelled" if self._asked else "interrupted"
            else:
                said = brief_error(describe_error(ending))
            self._phase_changed(entry, "failed", said)
            raise
        else:
            self._log_what_is_left(entry.name)
            self._phase_changed(entry, "finished")

    def _log_what_is_left(self, phase: str | None) -> None:
        again = self._mapper.again
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
        entry: Phase,
        status: Literal["started", "finished", "skipped", "failed"],
        message: str = "",
        weight: float | None = None,
    ) -> None:
        with self._section, self._lock:
            self._progress.change(entry, status, self._clock(), message, weight)

    # -- counting ------------------------------------------------------------------------------------------------------

    def track(self, items: Iterable[T], *, total: int | None = None, unit: str = "items") -> Iterator[T]:
        """Return an iterator over `items` that counts them as the phase's progress.

        An item is done when the next one is asked for. `counting.Meter` adds up several counts of one phase.

        Args:
            items: Any iterable.
            total: How many items there are; None: `len(items)`. Without either the progress is indeterminate.
            unit: The items' unit, in the plural.

        Raises:
            Cancelled: If the run was cancelled.
        """
        tally = Tally(number_of(total_of(items) if total is None else total), self._count_ended)
        counted = tally.over(items)
        self._begin(tally, unit)
        if self._interrupter is not None and self._interrupter.here:
            return counted
        return self._checked(counted)

    def _checked(self, items: Iterator[T]) -> Iterator[T]:
        # No signal interrupts this thread, so each item checks for a cancel.
        for item in items:
            if self._asked:
                self._tell()
            yield item

    map = map_over

    def map_items(self, function: Callable[[T], R], items: Iterable[T], options: MapOptions[T]) -> list[R]:
        """Do as `map`, with its options as one object.

        Args:
            function: Called with each item.
            items: The items.
            options: The options of `map`.

        Returns:
            The results of the items that succeeded, in the items' order.

        """
        return self._mapper.map(function, items, options)

    def item_succeeded(self) -> None:
        """Count an item of a `map` that succeeded."""
        with self._lock:
            self._progress.success += 1

    def item_failed(self, name: str, error: Exception) -> None:
        """Count and report an item of a `map` that failed.

        Args:
            name: The item's name, whole; the event cuts it to `NAME_LIMIT` characters.
            error: The exception that the function raised for this item.

        """
        event = ItemFailed(
            item=name,
            key=item_key(name) or UNSET,
            phase=self.current_phase,
            error=describe_error(error.__cause__ if isinstance(error.__cause__, ToldError) else error),
        )
        with self._section, self._lock:
            self._progress.failed += 1
            self._emit(event)

    @property
    def current_phase(self) -> str | None:
        """The name of the phase that was started last and is under way; None outside all phases."""
        return self._progress.current.name

    def counter(self, total: float | None = None, *, unit: str = "items") -> AbstractContextManager[Advance]:
        """Return a context manager whose value has `advance(amount)`, for progress that is no loop over items.

        Args:
            total: How much there is to do, in `unit`; None: not known. It may be set on the value later.
            unit: The unit, in the plural.
        """
        return _RunCounter(self, total, unit)

    def message(self, text: str) -> None:
        """Show a short `text` beside the progress. Raises `Cancelled` if the run was cancelled."""
        self._progress.said = cut(text_of(text), MESSAGE_LIMIT)
        self.checkpoint()

    def _begin(self, count: Count, unit: str, name: str = "", phase: Phase | None = None) -> None:
        self.checkpoint()
        with self._section, self._lock:
            self._progress.begin(count, unit, name, phase, self._clock)

    def begin_loop(self, count: Count, unit: str, name: str, *, as_phase: bool) -> Phase | None:
        """Add a loop that begins. Loops of one name that overlap are one phase.

        Args:
            count: The loop's count.
            unit: The count's unit.
            name: The loop's name.
            as_phase: Whether the loop is a phase, unless it is inside another loop or in a phase that is no loop.

        Returns:
            The phase, for `end_loop`; None for a loop that is no phase.
        """
        with self._section, self._lock:
            phase = None
            current = self._progress.current
            if as_phase and self._progress.home(lane()) is None and (current.name is None or current.loops):
                phase = self._progress.find(name)
                if phase is None:
                    phase = Phase(name)
                    self._phase_changed(phase, "started")
                phase.loops += 1
            self._begin(count, unit, name, phase)
            return phase

    def end_loop(self, phase: Phase, message: str = "") -> None:
        """End a loop that is a phase; `message` says why a loop was left before its end, and is empty at its end."""
        with self._section, self._lock:
            phase.loops -= 1
            phase.message = message or phase.message
            if not phase.loops:
                self._phase_changed(phase, "failed" if phase.message else "finished", phase.message)

    def _count_ended(self) -> None:
        # Not at the end of every one: a phase may have a million small loops.
        with self._section, self._lock:
            now = self._clock()
            if now - self._progress.sampled >= self.interval(now):
                self._progress.emit(now)

    # -- sampling ------------------------------------------------------------------------------------------------------

    def interval(self, now: float) -> float:
        """Return the seconds between two samples at the time `now`, in POSIX seconds."""
        return self._sampler.interval(now)

    def sample(self) -> bool:
        """Emit the progress since the last sample, or a sign of life if it is due; return whether one was emitted."""
        with self._section, self._lock:
            now = self._clock()
            return self._progress.emit(now, repeat=now - self._progress.sampled >= self._sign_seconds)

    def _tick(self) -> None:
        # A total of some odd class may fail to be read; the next sample is another chance.
        with contextlib.suppress(Exception):
            self.sample()
        if self._asked and self._interrupter is not None:
            # A signal just before a blocking call does not end the call, so the signal is sent until it is heard.
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
        phase: str | None = None,
        age: float = 0.0,
    ) -> None:
        """Report one log line as it is, without `logging`.

        Args:
            message: The text; longer texts than `MESSAGE_LIMIT` are cut.
            level: A level name of `logging`.
            logger: The logger's name.
            item: The item that the line is about; None: no item.
            fields: Further values of the line, any JSON; None: no values.
            phase: The phase in which it was written; None: the current one.
            age: For how many seconds it has been written already.
        """
        # Its timestamp is the event's time, which the streamer writes into it.
        event = Logged(
            type=type_of_level(level),
            level=level,
            logger=logger,
            message=cut(message, MESSAGE_LIMIT),
            phase=self.current_phase if phase is None else phase,
            item=item,
            fields=fields or UNSET,
        )
        with self._section, self._lock:
            self._emit(event, age)

    def handled(self, record: logging.LogRecord) -> None:
        """Report a log record that a handler of the program takes, once, if the run's own handler does not get it.

        Args:
            record: The record.

        """
        self._capture.handled(record)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def hide(self, secrets: Iterable[str]) -> None:
        """Replace these texts, too, by an ellipsis in all that is reported from now on; see `Redaction`."""
        self._redaction = Redaction((*secrets, *(self._redaction.secrets if self._redaction else ()))) or None

    def _emit(self, event: Event, age: float = 0.0) -> None:
        if not self._ended and not self._is_copy:
            self._send(event if self._redaction is None else self._redaction(event), self._clock() - age)


_runs: Final[weakref.WeakSet[Run]] = weakref.WeakSet()


def _in_child() -> None:
    """Give a forked child its own locks: the thread that held one is not in the child to release it."""
    for run in list(_runs):
        run._lock = threading.RLock()
        run._is_copy = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


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
        """Count `amount` more. Raises `Cancelled` if the run was cancelled."""
        super().advance(amount)
        self._run.checkpoint()


class _Elsewhere(Silent):
    """A run that was pickled into another process: it counts nothing and logs as usual."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)
