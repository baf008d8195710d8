"""`Endings`: the terminal event of a run whose process is gone without one. It ends no processes itself."""

from __future__ import annotations

from streamer.model.events import ErrorInfo, RunCancelled, RunFailed
from streamer.server.execution.base import Exit
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRun
from streamer.server.runs.spool_pickup import Pickup


class Endings:
    """See the module. The event loop alone calls it."""

    def __init__(self, journal: Journal, pickup: Pickup) -> None:
        self._journal = journal
        self._pickup = pickup

    async def end_gone(self, run_id: str, live: LiveRun, reason: str, exit_: Exit) -> None:
        """Append the events of a run's spool; then its terminal event, if the spool held none.

        Args:
            run_id: Id of the run.
            live: The run; a cancelled one is cancelled, any other one has failed.
            reason: How the process ended, for the user.
            exit_: How the process ended, as the backend saw it.

        """
        await self._journal.retried(lambda: self._pickup.take(run_id, gone=True))
        if live.cancelling:
            message = f"{live.asked()}{live.steps or f'; {reason}'}"
            event = RunCancelled(message=message, how=live.how, reason=live.cancel_reason)
            await self._journal.end(run_id, event)
            return
        failed = RunFailed(message=reason, error=ErrorInfo(exit_.kind, reason, exit_.output_tail))
        await self._journal.end(run_id, failed)
