"""`LiveEstimates`: says how long the runs under way will take, and keeps what it said. It changes no run.

It reads the log as any reader does, so ingest does not wait for it. A thread of its own computes. Once a second the
event loop has it compute what is due: a run that somebody follows each time, any other sixty times over its length.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from streamer.model.estimate import Estimated
from streamer.model.state import RunState
from streamer.protocol.run_filter import RunFilter
from streamer.server.log.base import EventLog, LogError

if TYPE_CHECKING:
    # numpy takes a tenth of a second to import: the thread does it when the first run is under way.
    from streamer.server.estimates.following import Following
    from streamer.server.estimates.past import Past
    from streamer.server.estimates.store import Store

logger = logging.getLogger(__name__)

#: Seconds between two looks at what is due.
EVERY_SECONDS: Final = 1.0
#: The most runs that are computed in one look; the others have their turn in the next one.
AT_ONCE: Final = 25
#: Earlier runs of the same name that are looked at, and how many of them a run learns from at most.
LOOKED_AT: Final = 100
EARLIER: Final = 50
#: Seconds between two times that what was said of a run under way is kept.
KEEP_SECONDS: Final = 15.0
#: Seconds between two looks at a run of which no estimate can be computed.
GIVEN_UP_SECONDS: Final = 3600.0
#: An estimate is told again when its end moved by this share of what remains, and by so many seconds.
MOVED: Final = 0.01
MOVED_SECONDS: Final = 0.5
_NUMBERS: Final = re.compile(r"\d+")


class _Slot(Struct):
    """A run under way, as the loop knows it."""

    due: float = 0.0
    kept: float = 0.0
    estimate: Estimated | None = None
    told: Estimated | None = None


class LiveEstimates:
    """See the module. The event loop alone calls it.

    Args:
        log: The log.
        path: The file that keeps what it learns.
        states: Returns the states of the runs that are not over.
        clock: The wall clock, in POSIX seconds.

    """

    def __init__(
        self,
        log: EventLog,
        path: Path,
        *,
        states: Callable[[], Iterable[RunState]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._path = path
        self._states = states
        self._clock = clock
        self._slots: dict[str, _Slot] = {}
        self._over: dict[str, RunState] = {}
        self._removed: set[str] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="streamer-estimates")
        #: Tells whether somebody follows a run, and tells those who follow it; the hub sets both.
        self.is_followed: Callable[[str], bool] = _nobody
        self.tell: Callable[[str, Estimated], None] = _to_nobody
        # The thread's own.
        self._followings: dict[str, Following] = {}
        self._given_up: set[str] = set()
        self._store: Store | None = None

    # -- in the loop ---------------------------------------------------------------------------------------------------

    def with_estimate(self, state: RunState) -> RunState:
        """Return a run's state with what was last said of its remaining time."""
        slot = self._slots.get(state.run)
        return state if slot is None or state.is_over else replace(state, estimate=slot.estimate)

    def ended(self, state: RunState) -> None:
        """Keep a run that has ended, for later ones."""
        self._over[state.run] = state

    def removed(self, run_id: str) -> None:
        """Forget a run that was removed."""
        self._removed.add(run_id)

    async def resume(self) -> None:
        """Go on with the shares that an earlier streamer said last, until the first look computes new ones.

        Without them the next event would say the share of the declared weights, and what is shown cannot fall again.
        """
        loop = asyncio.get_running_loop()
        shares = await loop.run_in_executor(self._thread, self._last_shares, list(self._states()))
        for run_id, share in shares.items():
            # The first look without the run takes its share away again.
            self._slots.setdefault(run_id, _Slot())
            self._log.set_share(run_id, share)

    async def run_forever(self) -> None:
        """Look once a second, until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.look()
            except Exception:
                logger.exception("the estimates could not be computed")

    async def look(self) -> None:
        """Compute what is due now, and tell those who follow."""
        now = self._clock()
        states = {state.run: state for state in self._states() if state.started is not None}
        for run_id in [run_id for run_id in self._slots if run_id not in states]:
            del self._slots[run_id]
            self._log.set_share(run_id, None)
        due = []
        for run_id, state in states.items():
            slot = self._slots.setdefault(run_id, _Slot())
            if self.is_followed(run_id) or now >= slot.due or now < slot.due - 10 * 86_400:
                due.append((slot.due, run_id, state))
        due.sort(key=lambda one: one[:2])
        chosen = [(run_id, state) for _, run_id, state in due[:AT_ONCE]]
        over, self._over = self._over, {}
        removed, self._removed = self._removed, set()
        if not (chosen or over or removed):
            return
        keep = {run_id for run_id, _ in chosen if now - self._slots[run_id].kept >= KEEP_SECONDS}
        loop = asyncio.get_running_loop()
        said = await loop.run_in_executor(self._thread, self._work, chosen, over, removed, keep)
        for run_id, (estimate, spacing) in said.items():
            if run_id not in self._slots:
                continue
            slot = self._slots[run_id]
            slot.estimate, slot.due = estimate, now + spacing
            self._log.set_share(run_id, estimate.fraction if estimate is not None and estimate.runs else None)
            if run_id in keep:
                slot.kept = now
            if estimate is not None and _is_news(slot.told, estimate):
                slot.told = estimate
                self.tell(run_id, estimate)

    async def said_of(self, state: RunState) -> list[Estimated]:
        """Return what was said of a run, in order.

        Args:
            state: The run's state.

        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._said_of, state)

    async def past_of(self, states: Iterable[RunState]) -> dict[str, Past]:
        """Return what is kept of runs that are over, by their ids."""
        wanted = [state for state in states if state.is_over]
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: dict(self._pasts(wanted))
        )

    async def close(self) -> None:
        """Keep what was said, and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    # -- in its thread -------------------------------------------------------------------------------------------------

    def _last_shares(self, states: list[RunState]) -> dict[str, float]:
        """Return the shares that were said last of runs under way, of those alone that rested on earlier runs."""
        found: dict[str, float] = {}
        for state in states:
            past = None if state.started is None else self._opened().get(state.run)
            if past is not None and past.said and past.said[-1].runs and past.said[-1].fraction is not None:
                found[state.run] = past.said[-1].fraction
        return found

    def _work(
        self,
        due: list[tuple[str, RunState]],
        over: dict[str, RunState],
        removed: set[str],
        keep: set[str],
    ) -> dict[str, tuple[Estimated | None, float]]:
        store = self._opened()
        store.remove(removed)
        for run_id, state in over.items():
            self._end(run_id, state)
        said: dict[str, tuple[Estimated | None, float]] = {}
        for run_id, state in due:
            if run_id in self._given_up:
                said[run_id] = None, GIVEN_UP_SECONDS
                continue
            try:
                following = self._followings.get(run_id) or self._begin(state)
                following.read(self._log)
                said[run_id] = following.say(self._clock()), following.spacing()
                if run_id in keep:
                    store.put(run_id, following.past())
            except LogError as error:
                logger.info("no estimate of %s: %s", run_id, error)
            except Exception:
                # Trouble with one run must not take their estimates from the others, nor fill the log.
                logger.exception("no more estimates of run %s", run_id)
                self._given_up.add(run_id)
        for run_id in self._followings.keys() & removed:
            del self._followings[run_id]
        return said

    def _begin(self, state: RunState) -> Following:
        from streamer.server.estimates.following import Following

        before = self._opened().get(state.run)
        following = Following(state, list(self._pasts(self._earlier(state))), before)
        self._followings[state.run] = following
        return following

    def _end(self, run_id: str, state: RunState) -> None:
        from streamer.server.estimates.following import read_past

        following = self._followings.pop(run_id, None)
        self._given_up.discard(run_id)
        try:
            if following is None:
                past = read_past(state, self._log, self._opened().get(run_id))
            else:
                following.read(self._log)
                past = following.past()
        except LogError as error:
            logger.info("the run %s teaches nothing: %s", run_id, error)
            return
        self._opened().put(run_id, past)

    def _earlier(self, state: RunState) -> list[RunState]:
        """Return the states of runs like this one that completed before it was made, oldest first."""
        ended: tuple[str, ...] = ("complete", "partial")
        if state.pipeline:
            found = self._log.runs(RunFilter(pipeline=state.pipeline, outcome=ended), limit=LOOKED_AT)
        else:
            found = [
                run
                for run in self._log.runs(RunFilter(title=state.title, outcome=ended), limit=LOOKED_AT)
                if not run.pipeline
            ] or self._alike(state)
        created = state.created or 0.0
        fitting = [
            run
            for run in found
            if run.run != state.run
            and run.ended is not None
            and run.ended <= created
            and (run.retry_of is None) == (state.retry_of is None)
        ]
        return sorted(fitting, key=lambda run: run.ended or 0.0)[-EARLIER:]

    def _alike(self, state: RunState) -> list[RunState]:
        """Return runs of the same program whose titles differ in numbers only, such as dates."""
        form = _NUMBERS.sub("#", state.title)
        if form == state.title:
            return []
        runs = self._log.runs(RunFilter(outcome=("complete", "partial")), limit=3 * LOOKED_AT)
        return [
            run
            for run in runs
            if not run.pipeline and run.program == state.program and _NUMBERS.sub("#", run.title) == form
        ]

    def _pasts(self, states: Iterable[RunState]) -> Iterable[tuple[str, Past]]:
        from streamer.server.estimates.following import read_past

        store = self._opened()
        for state in states:
            past = store.get(state.run)
            if past is None or not past.end:
                try:
                    past = read_past(state, self._log, past)
                except LogError as error:
                    logger.info("the run %s teaches nothing: %s", state.run, error)
                    continue
                store.put(state.run, past)
            yield state.run, past

    def _said_of(self, state: RunState) -> list[Estimated]:
        from streamer.model.estimate import Duration
        from streamer.model.estimates.shown import basis_of
        from streamer.server.estimates.past import evenly

        following = self._followings.get(state.run)
        past = None if following is not None else self._opened().get(state.run)
        said = evenly(following.said) if following is not None else [] if past is None else past.said
        running = state.started or 0.0
        found = []
        for one in said:
            if one.p10 is None or one.p50 is None or one.p90 is None:
                found.append(Estimated(round(running + one.since, 3)))
                continue
            remaining = Duration(one.p10, one.p50, one.p90)
            basis = basis_of(one.runs)
            found.append(Estimated(round(running + one.since, 3), remaining, one.fraction, basis, one.runs))
        return found

    def _opened(self) -> Store:
        if self._store is None:
            from streamer.server.estimates.store import Store

            self._store = Store(self._path)
        return self._store

    def _close(self) -> None:
        for run_id, following in self._followings.items():
            self._opened().put(run_id, following.past())
        if self._store is not None:
            self._store.close()


def _nobody(_run_id: str) -> bool:
    return False


def _to_nobody(_run_id: str, _estimate: Estimated) -> None:
    """Tell nobody."""


def _is_news(told: Estimated | None, now: Estimated) -> bool:
    """Tell whether an estimate says something else than the one that was told last. At first, nothing is known."""
    if told is None or told.remaining is None or now.remaining is None:
        return (told is not None and told.remaining is not None) or now.remaining is not None
    if told.basis != now.basis:
        return True
    if int(100 * (told.fraction or 0)) != int(100 * (now.fraction or 0)):
        return True
    moved = abs(now.time + now.remaining.p50 - told.time - told.remaining.p50)
    return moved > max(MOVED_SECONDS, MOVED * now.remaining.p50)
