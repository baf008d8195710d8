"""`Deadlines`: warns when a run will miss its time limit, and cancels it at the limit. The estimate is the model's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from streamer.model import time_limit
from streamer.model.events import STREAMER_LOGGER, Logged
from streamer.server.log.base import LogUnavailable, RunEnded
from streamer.server.runs.cancelling import Cancelling
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRun

#: Seconds, and share of a time limit, for which the estimate must lie beyond the limit before the warning.
_SURE_SECONDS: Final = 1.0
_SURE_SHARE: Final = 0.05


class Deadlines:
    """See the module. The event loop alone calls it. `clock` is the wall clock in POSIX seconds."""

    def __init__(self, journal: Journal, cancelling: Cancelling, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._cancelling = cancelling
        self._clock = clock

    async def keep(self, run_id: str, live: LiveRun, moment: float) -> None:
        """Warn once when a run will miss its time limit; cancel the run at its limit.

        Args:
            run_id: Id of the run.
            live: The run; nothing happens when it has no limit, or is cancelled already.
            moment: The monotonic time, in seconds.

        Raises:
            LogUnavailable: The log cannot be written; the next call tries again.

        """
        state, now = live.state, self._clock()
        left = time_limit.seconds_left(state, now)
        if left is None or live.cancelling:
            return
        assert state.time_limit_seconds is not None
        if not left:
            with contextlib.suppress(RunEnded):
                await self._cancelling.cancel(run_id, reason=time_limit.reason(state.time_limit_seconds))
            return
        if live.note.limit_warned or not time_limit.will_miss(state, now):
            live.missing_since = None
            return
        if live.missing_since is None:
            live.missing_since = moment
        if moment - live.missing_since < min(_SURE_SECONDS, _SURE_SHARE * state.time_limit_seconds):
            return
        live.note.limit_warned = True
        message = time_limit.warning(state, now)
        line = Logged(type="warning", level="WARNING", logger=STREAMER_LOGGER, message=message)
        try:
            await self._journal.append(run_id, line)
            await self._journal.annotate(run_id, live.note)
        except RunEnded:
            pass
        except LogUnavailable:
            live.note.limit_warned = False
            raise
