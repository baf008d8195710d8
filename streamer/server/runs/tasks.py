"""`Tasks`: the background tasks of `Runs`. It starts them, logs their failures and cancels them at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Tasks:
    """All background tasks of one streamer's runs. The event loop alone calls it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        #: True once `close` was called; work that repeats itself stops then.
        self.closed = False

    def spawn(self, work: Coroutine[Any, Any, None], group: set[asyncio.Task[None]] | None = None) -> None:
        """Start a task; its failure is logged.

        Args:
            work: The coroutine to run.
            group: A set that holds the task until it is done, such as the tasks of one run; None for no set.

        """
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        groups = [self._tasks] if group is None else [self._tasks, group]
        for each in groups:
            each.add(task)

        def done(task: asyncio.Task[None]) -> None:
            for each in groups:
                each.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("a task of the streamer failed", exc_info=error)

        task.add_done_callback(done)

    async def close(self) -> None:
        """Cancel all tasks and wait for their ends."""
        self.closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
