"""`Queue`: the order in which runs wait, and the places in which they execute. It starts a run when a place is free."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from streamer.model.events import StatusChanged
from streamer.server.log.base import LogError
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRun, LiveRuns
from streamer.server.runs.tasks import Tasks
from streamer.server.runs.workers import Workers

#: How many places in the queue are announced; the order further behind interests no reader yet.
_PLACES_ANNOUNCED: Final = 20


class QueueFull(Exception):
    """As many runs wait as may wait."""


class Queue:
    """See the module. The event loop alone calls it.

    `max_runs` is how many runs execute at a time, `max_queue` how many wait.
    """

    def __init__(
        self,
        workers: Workers,
        journal: Journal,
        live: LiveRuns,
        tasks: Tasks,
        *,
        max_runs: int,
        max_queue: int,
    ) -> None:
        self._workers = workers
        self._journal = journal
        self._live = live
        self._tasks = tasks
        self._max_runs = max_runs
        self._max_queue = max_queue
        self._waiting: list[str] = []
        self._executing: set[str] = set()
        #: How many runs are on their way into the queue; they count as waiting.
        self._coming = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._waiting

    @contextlib.contextmanager
    def room(self) -> Iterator[None]:
        """Hold a place in the queue while a run is made. Raises `QueueFull`."""
        free = max(self._max_runs - len(self._executing), 0)
        waiting = len(self._waiting) + max(self._coming - free, 0)
        if waiting >= self._max_queue:
            raise QueueFull(f"{waiting:,} runs wait already; expected fewer than {self._max_queue:,}")
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    def add(self, run_id: str) -> None:
        """Put a run at the end of the queue. `advance` starts it when a place is free."""
        self._waiting.append(run_id)

    def remove(self, run_id: str) -> int:
        """Take a waiting run out of the queue; return the place to which `put_back` returns it."""
        place = self._waiting.index(run_id)
        del self._waiting[place]
        return place

    def put_back(self, run_id: str, place: int) -> None:
        """Put a run back into its place, and start it if its turn has come meanwhile.

        Args:
            run_id: Id of the run.
            place: Return value of `remove`.

        """
        self._waiting.insert(place, run_id)
        self.advance()

    def is_executing(self, run_id: str) -> bool:
        """Return whether a run has a place."""
        return run_id in self._executing

    def occupy(self, run_id: str) -> None:
        """Give a place to a run that executes already."""
        self._executing.add(run_id)

    def release(self, run_id: str) -> None:
        """Take the place away from a run that goes on elsewhere. The next run starts with the next `advance`."""
        self._executing.discard(run_id)

    def leave(self, run_id: str) -> None:
        """Free the place of a run that is over, forget the run, and start the next one."""
        self._executing.discard(run_id)
        self._live.drop(run_id)
        self.advance()

    def advance(self) -> None:
        """Start waiting runs while places are free, and announce the places of the others."""
        while self._waiting and len(self._executing) < self._max_runs and not self._tasks.closed:
            run_id = self._waiting.pop(0)
            self._executing.add(run_id)
            live = self._live[run_id]
            self._tasks.spawn(self._execute(run_id, live), live.tasks)
        for place, run_id in enumerate(self._waiting[:_PLACES_ANNOUNCED]):
            live = self._live[run_id]
            message = place_in_words(len(self._executing), place)
            if live.state.message != message:
                self._tasks.spawn(self._announce(run_id, message), live.tasks)

    async def _execute(self, run_id: str, live: LiveRun) -> None:
        await self._workers.execute(run_id, live)
        self.leave(run_id)

    async def _announce(self, run_id: str, message: str) -> None:
        if run_id in self._waiting:
            with contextlib.suppress(LogError):
                await self._journal.append(run_id, StatusChanged(status="queued", message=message))


def place_in_words(executing: int, ahead: int) -> str:
    """Return the place of a queued run in words: ``2 runs are executing, 1 is ahead of this one``.

    Args:
        executing: How many runs execute now.
        ahead: How many queued runs come before this one.

    Returns:
        The message that stands beside the status "queued".
    """
    runs = "1 run is" if executing == 1 else f"{executing:,} runs are"
    place = (
        "this one is next" if not ahead else f"{ahead:,} {'is' if ahead == 1 else 'are'} ahead of this one"
    )
    return f"{runs} executing, {place}"
