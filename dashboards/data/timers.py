"""Timers of a session's links: pauses before an action, and the tick of each second. Know no model."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from dashboards.data.feed import INTERVAL_SECONDS
from dashboards.data.place import Place

#: Seconds after the whole second at which the clock moves on where nothing was told since.
TICK_SECONDS: Final = 1.5 * INTERVAL_SECONDS
#: Seconds after which the streamer is asked again for what it could not answer.
RETRY_SECONDS: Final = 3.0


def call_in(loop: asyncio.AbstractEventLoop, action: Callable[[], object]) -> None:
    """Call `action` in a loop: now in the loop's own thread, else soon. Any thread.

    Args:
        loop: The event loop. One that is closed calls nothing: its process ends.
        action: The function to call.
    """
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        action()
        return
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(action)


class Pauses:
    """Calls each action once, after its pause, until it is closed. Made in a loop; used in any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handles: dict[object, asyncio.TimerHandle] = {}
        self._closed = False

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` in the loop in so many seconds."""
        call_in(self._loop, lambda: self._after(seconds, action))

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        if self._closed:
            return
        key = object()

        def then() -> None:
            del self._handles[key]
            action()

        self._handles[key] = self._loop.call_later(seconds, then)

    def close(self) -> None:
        """Call none of them any more, and none that are still to come."""
        self._closed = True
        call_in(self._loop, self._clear)

    def _clear(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()


class Ticker:
    """Calls something in a session once a second while it is set. Made in a loop; used in any thread."""

    def __init__(self, place: Place, action: Callable[[], None]) -> None:
        self._place = place
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._wanted = self._closed = False

    def set(self, wanted: bool) -> None:
        """Go on, or stop."""
        if wanted != self._wanted:
            self._wanted = wanted
            call_in(self._loop, self._heed)

    def _heed(self) -> None:
        if self._wanted and self._handle is None and not self._closed:
            # Soon after the whole second of the wall clock, as far as the loop is on time: all ages move on together,
            # those of runs that have something to tell with that.
            self._handle = self._loop.call_later(1.0 + TICK_SECONDS - time.time() % 1.0, self._tick)
        elif not self._wanted and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        self._handle = None
        self._heed()
        self._place.deliver(self._act)

    def _act(self) -> None:
        if not self._closed:
            self._action()

    def close(self) -> None:
        """Never call it again."""
        self._closed = True
        self._wanted = False
        call_in(self._loop, self._heed)
