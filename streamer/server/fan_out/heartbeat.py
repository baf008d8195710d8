"""`Heartbeat`: one timer for all subscribers: heartbeats of idle streams, readers that take nothing, old streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from streamer.server.fan_out.subscriber import Subscriber
from streamer.settings import Settings


class Heartbeat:
    """Looks after the subscribers while there are any. The event loop alone calls it.

    Args:
        loop: The event loop.
        settings: The seconds between heartbeats, and those that a reader may take nothing.
        subscribers: Returns all subscribers.
        rotate: Called with a subscriber whose stream is older than it may be.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        subscribers: Callable[[], Iterable[Subscriber]],
        *,
        rotate: Callable[[Subscriber], object],
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._subscribers = subscribers
        self._rotate = rotate
        self._handle: asyncio.TimerHandle | None = None

    @property
    def _period(self) -> float:
        """Seconds between two looks."""
        settings = self._settings
        return min(settings.heartbeat_seconds / 10, settings.write_timeout_seconds / 4, 1.0)

    def start(self) -> None:
        """Begin to look; nothing changes where it looks already. It ends by itself when nobody follows any more."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._period, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _look(self) -> None:
        self._handle = None
        settings, period = self._settings, self._period
        now = self._loop.time()
        silent_since = now - settings.heartbeat_seconds + period
        stalled_since = now - settings.write_timeout_seconds
        is_needed = False
        for subscriber in self._subscribers():
            is_needed = True
            if subscriber.is_blocked:
                if subscriber.written <= stalled_since:
                    subscriber.close(stalled=True)
            elif subscriber.expires <= now:
                self._rotate(subscriber)
            elif subscriber.written <= silent_since:
                subscriber.write(subscriber.style.heartbeat, now)
        if is_needed:
            self._handle = self._loop.call_later(period, self._look)
