"""`Recovery`: takes up the runs that an earlier streamer left: watches those that live, ends those that are gone."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from streamer.model.events import UNDER_WAY
from streamer.model.state import RunState
from streamer.protocol.paging import MOST_PER_PAGE
from streamer.protocol.run_filter import RunFilter
from streamer.server.execution.base import Backend, Exit
from streamer.server.log.base import EventLog
from streamer.server.runs.cancelling import Cancelling
from streamer.server.runs.endings import Endings
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRun, LiveRuns, Note
from streamer.server.runs.queue import Queue
from streamer.server.runs.tasks import Tasks
from streamer.server.runs.workers import Workers

#: Seconds in which a worker that may exist must give its first sign of life.
_FIRST_SIGN_SECONDS: Final = 10.0


class Recovery:
    """See the module. The event loop alone calls it."""

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        live: LiveRuns,
        queue: Queue,
        tasks: Tasks,
        *,
        workers: Workers,
        cancelling: Cancelling,
        endings: Endings,
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._live = live
        self._queue = queue
        self._tasks = tasks
        self._workers = workers
        self._cancelling = cancelling
        self._endings = endings

    async def open(self) -> None:
        """Take up all runs that are not over. Those that waited go into the queue, which the caller starts."""
        log = self._journal.log
        for state in await self._journal.read(lambda: _all_unfinished(log)):
            await self._take_up(state)

    async def _take_up(self, state: RunState) -> None:
        record = await self._journal.read(lambda: self._journal.log.run(state.run))
        if record is None or record.state.is_over:
            return
        try:
            note = msgspec.json.decode(record.note, type=Note)
        except msgspec.DecodeError:
            note = Note("external")
        live = self._live.add(record.state, note)
        if note.kind == "external":
            return
        if note.identity is None and state.status == "queued":
            self._queue.add(state.run)
        else:
            self._queue.occupy(state.run)
            self._tasks.spawn(self._recover(state.run, live), live.tasks)

    async def _recover(self, run_id: str, live: LiveRun) -> None:
        live.cancelling = live.state.status == "cancelling"
        if live.state.cancel is not None:
            live.cancel_by, live.cancel_reason = live.state.cancel.by, live.state.cancel.reason
        identity = live.note.identity
        if identity is None:
            # The streamer died while it started the worker. Only the worker's events can show that it exists.
            began = live.seen
            await asyncio.sleep(_FIRST_SIGN_SECONDS)
            if live.seen > began or live.state.is_over:
                live.note.kind = "external"
                self._queue.release(run_id)
                return
        handle = None if identity is None else self._backend.attach(identity)
        if handle is None:
            exit_ = Exit() if identity is None else self._backend.examine(identity)
            reason = "its process ended while the streamer was away"
            if exit_.restarted:
                reason = "the machine was restarted while it ran"
            await self._endings.end_gone(run_id, live, reason, exit_)
        else:
            live.handle = handle
            if live.cancelling:
                self._cancelling.enforce(run_id, live)
            await self._workers.watch(run_id, live, handle)
        self._queue.leave(run_id)


def _all_unfinished(log: EventLog) -> list[RunState]:
    """Return every run that is not over, oldest first."""
    found: list[RunState] = []
    while page := log.runs(
        RunFilter(status=UNDER_WAY), limit=MOST_PER_PAGE, before=found[-1].run if found else None
    ):
        found.extend(page)
    return found[::-1]
