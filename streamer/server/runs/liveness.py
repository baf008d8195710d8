"""`Liveness`: watches the signs of life of runs: `stalled` after a silence, lost when nobody can watch the process.

It also looks for the spools of producers that are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from streamer.model.events import ProcessInfo, StatusChanged
from streamer.server.execution.base import Exit
from streamer.server.log.base import LogUnavailable, RunEnded
from streamer.server.runs.deadlines import Deadlines
from streamer.server.runs.endings import Endings
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRun, LiveRuns
from streamer.server.runs.spool_pickup import Pickup

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.25
#: A tick that comes so many seconds after the one before it is late: nobody watched the runs meanwhile.
LATE_SECONDS: Final = 2.0
#: Seconds between two looks for spools that producers left.
_LOOK_SECONDS: Final = 1.0


class Life(Struct, frozen=True, rename="camel"):
    """The life of a run besides its events: the age of its last sign, in seconds, and its process now."""

    silent_seconds: float
    process: ProcessInfo | None


class Liveness:
    """See the module. The event loop alone calls it.

    A run is stalled after `stall_seconds` without a sign of life, and a registered run is lost after `lost_seconds`.
    Silences are those that this process has watched.
    `host` is this machine's name; `monotonic` measures silences, in seconds.
    """

    def __init__(
        self,
        journal: Journal,
        live: LiveRuns,
        endings: Endings,
        deadlines: Deadlines,
        pickup: Pickup,
        *,
        host: str,
        stall_seconds: float,
        lost_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._live = live
        self._endings = endings
        self._deadlines = deadlines
        self._pickup = pickup
        self._host = host
        self._stall_seconds = stall_seconds
        self._lost_seconds = lost_seconds
        self._monotonic = monotonic

    def life(self, run_id: str) -> Life | None:
        """Return the life of a run at this moment; None for a run that is over, or was not begun."""
        live = self._live.get(run_id)
        if live is None or live.state.is_over or live.state.status == "queued":
            return None
        silent = max(self._monotonic() - live.seen, 0.0)
        return Life(round(silent, 3), self._process(live, silent))

    def _process(self, live: LiveRun, silent: float) -> ProcessInfo | None:
        """Return a run's process as it is now: the system knows our own, signs of life tell of the others."""
        if live.handle is not None:
            return ProcessInfo(live.handle.pid, self._host, alive=True, doing=live.handle.doing())
        known = live.state.process
        if known is None:
            return None
        alive = True if silent <= self._stall_seconds else None
        return ProcessInfo(known.pid, known.host, alive=alive)

    async def tick_forever(self) -> None:
        """Call `tick` four times a second, until cancelled."""
        loop = asyncio.get_running_loop()
        ticked = loop.time()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            before, ticked = ticked, loop.time()
            if ticked - before > LATE_SECONDS:
                self.begin_silences_again()
            await self.tick()

    def begin_silences_again(self) -> None:
        """Count all silences from now: this process was stopped itself, and signs of life may wait unread."""
        now = self._monotonic()
        for live in self._live.runs():
            live.seen = max(live.seen, now)

    async def tick(self) -> None:
        """Look after every run once: its silence, its time limit."""
        now = self._monotonic()
        for run_id, live in self._live.items():
            try:
                await self._look_after(run_id, live, now)
            except LogUnavailable as error:
                # The other runs would fail in the same way.
                logger.warning("%s", error)
                return
            except Exception:
                # Trouble with one run must not keep the loop from the others.
                logger.exception("run %s could not be looked after", run_id)

    async def _look_after(self, run_id: str, live: LiveRun, now: float) -> None:
        silent = now - live.seen
        is_lost = live.note.kind == "external" and silent > self._lost_seconds
        if live.state.is_over or live.state.status == "queued":
            # A registered run that never begins is lost in time, too.
            if is_lost and not live.state.is_over:
                await self._lose(run_id, live, silent)
            return
        stalls = live.state.status == "running" and silent > self._stall_seconds
        if stalls or (live.state.status == "stalled" and _was_stopped_or_goes_on(live)):
            with contextlib.suppress(RunEnded):
                await self._journal.append(run_id, self._stalled(live, silent))
        await self._deadlines.keep(run_id, live, now)
        if live.note.kind == "external" and silent > self._lost_seconds:
            await self._lose(run_id, live, silent)

    def _stalled(self, live: LiveRun, silent: float) -> StatusChanged:
        message = f"no sign of life for {silent:.0f} s"
        process = self._process(live, silent)
        if process is None:
            return StatusChanged(status="stalled", message=message)
        if process.alive:
            is_ = "is stopped" if process.doing == "stopped" else "is alive"
            message += f"; process {process.pid} {is_}"
        return StatusChanged(status="stalled", message=message, process=process)

    async def _lose(self, run_id: str, live: LiveRun, silent: float) -> None:
        if await self._pickup.take(run_id) == "held":
            return  # The producer lives: only its connection to this streamer is cut.
        reason = f"lost: no sign of life from its producer for {silent:.0f} s"
        await self._endings.end_gone(run_id, live, reason, Exit())
        self._live.drop(run_id)

    async def look_forever(self) -> None:
        """Take the spools of producers that found no streamer, once a second, until cancelled."""
        while True:
            try:
                await self._look()
            except LogUnavailable as error:
                logger.warning("%s", error)
            except Exception:
                logger.exception("what producers left could not be taken")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        for run_id in await self._pickup.look():
            live = self._live.get(run_id)
            if live is not None and live.note.kind == "external" and not live.state.is_over:
                reason = "its process ended without finishing"
                await self._endings.end_gone(run_id, live, reason, Exit())
                self._live.drop(run_id)


def _was_stopped_or_goes_on(live: LiveRun) -> bool:
    """Return whether the process of a stalled run was stopped, or continued, since the last announcement."""
    known = live.state.process
    if live.handle is None or known is None:
        return False
    doing = live.handle.doing()
    return doing != "" and (doing == "stopped") != (known.doing == "stopped")
