"""`Cancelling`: asks a run to stop, then terminates and kills its process. It does not say that a run is over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Literal

from streamer.model.events import CancelStep, RunCancelled, StatusChanged
from streamer.model.state import RunState
from streamer.server.log.base import LogError, RunEnded
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRun, LiveRuns
from streamer.server.runs.queue import Queue
from streamer.server.runs.tasks import Tasks
from streamer.settings import Settings

#: Seconds that a step of a cancel waits for the log before it is taken: a full disk must not keep a process alive.
_STORED_SECONDS: Final = 2.0


class Cancelling:
    """See the module. The event loop alone calls it."""

    def __init__(
        self, journal: Journal, live: LiveRuns, queue: Queue, tasks: Tasks, settings: Settings
    ) -> None:
        self._journal = journal
        self._live = live
        self._queue = queue
        self._tasks = tasks
        self._settings = settings

    async def cancel(self, run_id: str, *, by: str = "", reason: str = "") -> RunState:
        """Ask a run to stop; see `Runs.cancel`.

        Args:
            run_id: The run.
            by: The name of the asker, for the log.
            reason: Why, for the log; empty: somebody wanted it.

        """
        state = await self._journal.state(run_id)
        live = self._live.get(run_id)
        if live is None:
            raise RunEnded(run_id, state.status)
        async with live.cancels:
            if live.state.is_over:
                raise RunEnded(run_id, live.state.status)
            if run_id in self._queue:
                return await self._cancel_queued(run_id, by, reason)
            if not live.cancelling:
                await self._ask(run_id, live, by, reason)
            return live.state

    async def _cancel_queued(self, run_id: str, by: str, reason: str) -> RunState:
        place = self._queue.remove(run_id)
        try:
            message = f"cancelled{_by(by)} before it was started"
            await self._journal.append(run_id, RunCancelled(message=message, how="unstarted", reason=reason))
        except RunEnded:
            raise
        except LogError:
            self._queue.put_back(run_id, place)
            raise
        self._live.drop(run_id)
        self._queue.advance()
        return await self._journal.state(run_id)

    async def _ask(self, run_id: str, live: LiveRun, by: str, reason: str) -> None:
        live.cancelling, live.cancel_by, live.cancel_reason = True, by, reason
        grace = self._settings.cancel_grace_seconds
        ending = (
            f"; its process is terminated if it has not ended in {grace:g} s"
            if live.note.kind == "process"
            else ""
        )
        message = f"{reason or f'cancel asked{_by(by)}'}{ending}"
        event = StatusChanged(status="cancelling", message=message, step="asked", by=by, reason=reason)
        try:
            await self._journal.append(run_id, event)
        except BaseException:
            # The producer was not told: the next cancel asks it.
            live.cancelling, live.cancel_by, live.cancel_reason = False, "", ""
            raise
        if live.note.kind == "process":
            self.enforce(run_id, live)

    def enforce(self, run_id: str, live: LiveRun) -> None:
        """Start the steps that end a cancelled run's process.

        Args:
            run_id: Id of the run.
            live: The run, which was asked to stop.

        """
        self._tasks.spawn(self._enforce(run_id, live), live.tasks)

    async def _enforce(self, run_id: str, live: LiveRun) -> None:
        if live.handle is not None:
            # The children of a cancelled run must not go on without it, however cleanly it stops.
            live.handle.sweep()
        steps: tuple[tuple[float, Literal["terminated", "killed"]], ...] = (
            (self._settings.cancel_grace_seconds, "terminated"),
            (self._settings.kill_grace_seconds, "killed"),
        )
        for seconds, word in steps:
            await asyncio.sleep(seconds)
            if live.handle is None or live.state.is_over:
                return
            message = f"it had not ended after {seconds:g} s; its process is {word}"
            await self._announce(run_id, word, message)
            live.steps += f", {word} after {seconds:g} s"
            live.how = word
            _end_process(live, word)

    async def _announce(self, run_id: str, step: CancelStep, message: str) -> None:
        """Append a step of a cancel before it is taken. A step that cannot be stored is taken all the same."""
        with contextlib.suppress(LogError, TimeoutError):
            async with asyncio.timeout(_STORED_SECONDS):
                await self._journal.append(
                    run_id, StatusChanged(status="cancelling", message=message, step=step)
                )


def _by(by: str) -> str:
    return f" by {by}" if by else ""


def _end_process(live: LiveRun, word: Literal["terminated", "killed"]) -> None:
    # The process may have ended while the step was stored.
    if live.handle is not None and word == "killed":
        live.handle.kill()
    elif live.handle is not None:
        live.handle.terminate()
