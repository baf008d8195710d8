"""`Journal`: the log as the event loop uses it: reading beside the loop, appending, and appending until it works."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

import msgspec

from streamer.model.events import Event, StatusChanged
from streamer.model.state import RunState
from streamer.server.log.base import Appended, Draft, EventLog, LogUnavailable, RunEnded, UnknownRun
from streamer.server.runs.live_runs import LiveRuns, Note
from streamer.server.runs.tasks import Tasks

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FIRST_DELAY_SECONDS: Final = 0.1
_LONGEST_DELAY_SECONDS: Final = 5.0


class UserCodeRaised(RuntimeError):
    """A pipeline's own code raised what is no `Exception` while it was read; it is this exception's cause."""


class Journal:
    """See the module. The event loop alone calls it.

    `clock` is the wall clock in POSIX seconds; `new_id` makes the ids of runs.
    """

    def __init__(
        self,
        log: EventLog,
        live: LiveRuns,
        tasks: Tasks,
        *,
        readers: Executor,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.log = log
        self._live = live
        self._tasks = tasks
        self._readers = readers
        self._clock = clock
        self.new_id = new_id

    def now(self) -> float:
        """Return the time of an event of this moment: POSIX seconds, whole milliseconds."""
        return round(self._clock(), 3)

    async def read(self, function: Callable[[], T]) -> T:
        """Call a function that blocks in a reader's thread.

        Args:
            function: Reads the log, or files.

        Returns:
            The function's result. Its exceptions are raised here.

        Raises:
            UserCodeRaised: The function raised something other than an `Exception`.

        """

        def called() -> T:
            try:
                return function()
            except Exception:
                raise
            except BaseException as error:
                # A KeyboardInterrupt would end the loop; a CancelledError would leave the request without an answer.
                raise UserCodeRaised(f"a pipeline's code raised {type(error).__name__}") from error

        return await asyncio.get_running_loop().run_in_executor(self._readers, called)

    async def state(self, run_id: str) -> RunState:
        """Return a run's state, from memory when the run is live.

        Raises:
            UnknownRun: The log has no run of that id.

        """
        live = self._live.get(run_id)
        if live is not None and live.state.seq:
            return live.state
        record = await self.read(lambda: self.log.run(run_id))
        if record is None:
            raise UnknownRun(run_id)
        return record.state

    async def stored_state(self, run_id: str) -> RunState:
        """Return a run's state from the log; try again while the log cannot be read.

        Raises:
            UnknownRun: The log has no run of that id.

        """
        record = await self.retried(lambda: self.read(lambda: self.log.run(run_id)))
        if record is None:
            raise UnknownRun(run_id)
        return record.state

    async def create(
        self, event: StatusChanged, note: Note, run_id: str | None = None, time: float | None = None
    ) -> RunState:
        """Store a new run with its first event.

        Args:
            event: The run's first event.
            note: The streamer's note about it.
            run_id: Id that its producer chose; None makes a new one.
            time: When the run began, POSIX seconds; None is now. A time in the future counts as now.

        Returns:
            The run's state.

        Raises:
            LogUnavailable: The log cannot be written; there is no such run then.

        """
        run_id = run_id or self.new_id()
        draft = Draft(event, self.now() if time is None else min(time, self.now()))
        # The live run comes first: an append that follows at once must find it.
        live = self._live.add(RunState(run=run_id), note)
        try:
            appended = await asyncio.wrap_future(
                self.log.create(run_id, [draft], note=msgspec.json.encode(note))
            )
        except BaseException:
            self._live.forget(run_id)
            raise
        live.state = appended.state
        return appended.state

    async def append(self, run_id: str, event: Event) -> None:
        """Append an event of this moment, once.

        Raises:
            RunEnded: The run is over.
            LogUnavailable: The log cannot be written.


        Args:
            run_id: The run.
            event: The event.

        """
        appended = await asyncio.wrap_future(self.log.append(run_id, [Draft(event, self.now())]))
        self._live.keep_state(appended)

    async def annotate(self, run_id: str, note: Note) -> None:
        """Replace the streamer's note about a run, once. Raises `LogUnavailable`.

        Args:
            run_id: The run.
            note: The note; it replaces the earlier one.

        """
        await asyncio.wrap_future(self.log.annotate(run_id, msgspec.json.encode(note)))

    async def store(self, run_id: str, event: Event, *, time: float | None = None) -> None:
        """Append an event that has happened; try again until the log can be written.

        Args:
            run_id: Id of the run.
            event: The event.
            time: When it happened, POSIX seconds; None is the time at which the log takes it.

        Raises:
            RunEnded: The run is over.

        """

        def append() -> Awaitable[Appended]:
            draft = Draft(event, self.now() if time is None else time)
            return asyncio.wrap_future(self.log.append(run_id, [draft]))

        await self.retried(append)

    async def end(self, run_id: str, event: Event) -> None:
        """Append a run's terminal event; try again until the log can be written. A run that is over stays as it is.

        Args:
            run_id: The run.
            event: Its terminal event.

        """
        with contextlib.suppress(RunEnded):
            await self.store(run_id, event)

    async def retried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make an attempt again until the log is there; the delays grow from 0.1 to 5 seconds.

        Args:
            attempt: Starts one attempt.

        Returns:
            The result of the attempt that succeeded.

        Raises:
            LogUnavailable: The log is away and the streamer is being closed.

        """
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                return await attempt()
            except LogUnavailable as error:
                if self._tasks.closed:
                    raise
                logger.warning("%s; trying again in %.1f s", error, delay)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                delay = min(delay * 2, _LONGEST_DELAY_SECONDS)
