"""`live`: a streamer as the sessions of one event loop see it: its client and its feed. Knows no model.

There is one `Live` for each event loop and streamer.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Final
from weakref import WeakKeyDictionary

from dashboards.data.feed import Feed
from dashboards.data.timers import call_in
from dashboards.local import local
from dashboards.session import (
    CommandError,
)
from streamer.client.client import Client, Message, OnConnection, StreamerError
from streamer.protocol.frames import Snapshot
from streamer.settings import Settings

#: Most seconds a page waits before it tries to reach the streamer again.
LONGEST_AWAY_SECONDS: Final = 4.0


class Live:
    """A streamer as the sessions of one event loop see it: its client, and its feed."""

    def __init__(self, client: Client, feed: Feed) -> None:
        self.client = client
        self.feed = feed
        self.loop = asyncio.get_running_loop()

    def call(self, action: Callable[[], object]) -> None:
        """Call `action` in the loop: now in the loop's own thread, else soon. Any thread.

        A loop that is closed calls nothing: the process ends.
        """
        call_in(self.loop, action)

    async def close(self) -> None:
        """End the feed and the connections."""
        await self.feed.close()
        await self.client.aclose()


@functools.cache
def _lives() -> WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, Live]]:
    return WeakKeyDictionary()


def live(url: str | None = None) -> Live:
    """Return the running event loop's `Live` of a streamer; None: the one that the settings or the data folder name.

    Raises `RuntimeError` without a running event loop, `SettingError`, and `ValueError` for a URL that is none.
    """
    known = _lives().setdefault(asyncio.get_running_loop(), {})
    if url not in known:
        known[url] = _make(url)
    return known[url]


async def close_all() -> None:
    """Close what `live` made in the running event loop."""
    for one in _lives().pop(asyncio.get_running_loop(), {}).values():
        await one.close()


def _make(url: str | None) -> Live:
    settings = Settings.from_environment()
    client = Client(url, settings=settings, sleep=_sleep)
    return Live(client, Feed(_Upstream(client), describe=functools.partial(_away, client)))


class _Upstream:
    """A client for a feed, which waits for the streamer that is being opened in this very process."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def follow(
        self, run_id: str | None = None, *, on_connection: OnConnection | None = None
    ) -> AsyncIterator[Message]:
        await local().ready()
        async for message in self._client.follow(run_id, on_connection=on_connection):
            yield message

    async def run(self, run_id: str) -> Snapshot:
        await local().ready()
        return await self._client.run(run_id)


async def _sleep(seconds: float) -> None:
    # The pause between attempts doubles; somebody looks at the page and waits, and there is one connection per process.
    await asyncio.sleep(min(seconds, LONGEST_AWAY_SECONDS))


def _away(client: Client, reason: str) -> str:
    if local().problem:
        return f"It could not be opened: {local().problem}. It is tried again every few seconds."
    if client.settings.url:
        advice = "Check that it runs, and that STREAMER_URL is its address."
    else:
        advice = "It is started with “streamer serve”."
    return (
        f"{client.url} does not answer: {reason}. {advice} This page goes on by itself as soon as it is back."
    )


def command_error(error: StreamerError) -> CommandError:
    """Return what a viewer is told of an error."""
    return CommandError(str(error))
