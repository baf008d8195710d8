"""What a page is told arrives, and in order: also while its connection is being written."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from bokeh.server.session import ServerSession
from panel.io import server as panel_server
from panel.io.state import set_curdoc, state
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from dashboards.views import RunView
from tests.gallery.runs import RUNS
from tests.support import wait_until_async

MESSAGES = 120
BURSTS = 30
#: What a browser says, as messages of Bokeh's protocol: that it wants the document, and that it has drawn it.
PULL: tuple[dict[str, Any], ...] = ({"msgid": "0", "msgtype": "PULL-DOC-REQ"}, {}, {})
_EVENT = {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": []}}
READY = (
    {"msgid": "1", "msgtype": "PATCH-DOC"},
    {},
    {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": _EVENT}]},
)


@dataclass
class Opened:
    """A page in a session of a server in this process, and the events that a browser of it was told so far."""

    view: RunView
    session: ServerSession
    events: list[Any]

    @property
    def texts(self) -> list[str]:
        """What the page's parts were told so far."""
        return [dict(event["msg_data"]["values"]["entries"])["data"] for event in self.events]

    @property
    def lock(self) -> Any:
        """The lock of the session's connection, which whoever writes to it holds."""
        (connection,) = self.session._subscribed_connections
        return connection._socket.write_lock


async def read_parts(connection: WebSocketClientConnection) -> list[Any]:
    """Return the events of the next message of Bokeh's protocol."""
    parts = [json.loads(await connection.read_message() or "{}") for _ in range(3)]
    events: list[Any] = parts[2].get("events", [])
    return events


async def listen(connection: WebSocketClientConnection, events: list[Any]) -> None:
    """Keep what comes, for ever."""
    while True:
        events += await read_parts(connection)


@asynccontextmanager
async def opened() -> AsyncIterator[Opened]:
    """Serve a run's page in this process, open it, and listen."""
    views: list[RunView] = []

    def page() -> RunView:
        views.append(RunView(model=RUNS["running"]()))
        return views[0]

    server = panel_server.get_server(page, port=0)
    server.start()
    events: list[Any] = []
    try:
        async with httpx.AsyncClient(timeout=60) as client:
            text = (await client.get(f"http://localhost:{server.port}/")).text
        (session,) = server.get_sessions("/")
        token = re.search(r'"token":"([^"]+)"', text)
        assert token is not None
        url = f"ws://localhost:{server.port}/ws"
        connection = await websocket_connect(HTTPRequest(url), subprotocols=["bokeh", token[1]])
        await read_parts(connection)
        for message in (PULL, READY):
            for part in message:
                await connection.write_message(json.dumps(part))
        await read_parts(connection)
        await wait_until_async(lambda: state._loaded.get(session.document, False))
        listening = asyncio.create_task(listen(connection, events))
        try:
            yield Opened(views[0], session, events)
        finally:
            listening.cancel()
            connection.close()
    finally:
        server.stop()


async def write_now_and_then(lock: Any, rng: random.Random) -> None:
    """Hold the connection every other moment, as Bokeh does that answers what a browser said."""
    while True:
        with await lock.acquire():
            for _ in range(rng.randrange(1, 4)):
                await asyncio.sleep(0)
        for _ in range(rng.randrange(1, 4)):
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_sent_while_the_connection_is_written_arrives_and_nothing_need_follow(
    seed: int,
) -> None:
    rng, sent = random.Random(seed), 0
    async with opened() as page:
        writing = asyncio.create_task(write_now_and_then(page.lock, rng))
        try:
            with set_curdoc(page.session.document):
                for _burst in range(BURSTS):
                    for _ in range(rng.randrange(2, 40)):
                        page.view.component.send(str(sent))
                        sent += 1
                        for _ in range(rng.randrange(4)):
                            await asyncio.sleep(0)
                    await wait_until_async(lambda count=sent: len(page.texts) >= count)
        finally:
            writing.cancel()
    assert [str(n) for n in range(sent)] == page.texts


async def test_what_is_sent_at_once_arrives_in_its_order() -> None:
    async with opened() as page:
        with set_curdoc(page.session.document):
            for number in range(MESSAGES):
                page.view.component.send(str(number))
        await wait_until_async(lambda: len(page.texts) >= MESSAGES)
    assert [str(n) for n in range(MESSAGES)] == page.texts


async def test_what_is_sent_is_what_panel_would_send() -> None:
    async with opened() as page:
        with set_curdoc(page.session.document):
            for send in (page.view.component._send_msg, page.view.component.send):
                send('{"a": "</script>\u2028\x00"}')
        await wait_until_async(lambda: len(page.events) >= 2)
    theirs, ours = page.events
    assert theirs == ours


async def test_a_text_of_any_length_arrives() -> None:
    texts = ["é" * size for size in (0, 1, 30, 31, 125, 126, 127, 32_000, 33_000, 70_000)]
    async with opened() as page:
        with set_curdoc(page.session.document):
            for text in texts:
                page.view.component.send(text)
        await wait_until_async(lambda: len(page.events) >= len(texts))
    assert texts == page.texts


async def test_a_browser_that_has_left_is_told_nothing() -> None:
    async with opened() as page:
        (connection,) = page.session._subscribed_connections
        with set_curdoc(page.session.document):
            with await page.lock.acquire():
                page.view.component.send("waits for its turn")
                connection._socket.close()
                await wait_until_async(lambda: not page.session._subscribed_connections)
            page.view.component.send("goes nowhere")
    assert [] == page.texts
