"""What a page is told arrives, and in order: also while its connection is being written."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable
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

from dashboards.literals import RUNS
from dashboards.views import RunView

MESSAGES = 120
BURSTS = 30
#: How often is looked for what is waited for, before that counts as lost.
LOOKS = 400
#: What a browser says when it has drawn the page, for which Panel waits: a message of Bokeh's protocol.
_EVENT = {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": []}}
READY = (
    {"msgid": "1", "msgtype": "PATCH-DOC"},
    {},
    {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": _EVENT}]},
)


@dataclass
class Opened:
    """A page in a session of a server in this process, and what a browser of it was told so far."""

    view: RunView
    session: ServerSession
    texts: list[str]

    @property
    def lock(self) -> Any:
        """The lock of the session's connection, which whoever writes to it holds."""
        (connection,) = self.session._subscribed_connections
        return connection._socket.write_lock


async def wait_for(condition: Callable[[], bool]) -> None:
    """Let the loop run until it is so; the socket's other end is in it."""
    for _ in range(LOOKS):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not become so")


async def read_parts(connection: WebSocketClientConnection) -> list[Any]:
    """Return the events of the next message of Bokeh's protocol."""
    parts = [json.loads(await connection.read_message() or "{}") for _ in range(3)]
    events: list[Any] = parts[2].get("events", [])
    return events


async def listen(connection: WebSocketClientConnection, texts: list[str]) -> None:
    """Keep what the page's parts are told, for ever."""
    while True:
        for event in await read_parts(connection):
            values = dict(event["msg_data"]["values"]["entries"])
            texts.append(values["data"])


@asynccontextmanager
async def opened() -> AsyncIterator[Opened]:
    """Serve a run's page in this process, open it, and listen."""
    views: list[RunView] = []

    def page() -> RunView:
        views.append(RunView(model=RUNS["running"]()))
        return views[0]

    server = panel_server.get_server(page, port=0)
    server.start()
    texts: list[str] = []
    try:
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"http://localhost:{server.port}/")).text
        (session,) = server.get_sessions("/")
        token = re.search(r'"token":"([^"]+)"', text)
        assert token is not None
        url = f"ws://localhost:{server.port}/ws"
        connection = await websocket_connect(HTTPRequest(url), subprotocols=["bokeh", token[1]])
        await read_parts(connection)
        for part in READY:
            await connection.write_message(json.dumps(part))
        await wait_for(lambda: state._loaded.get(session.document, False))
        listening = asyncio.create_task(listen(connection, texts))
        try:
            yield Opened(views[0], session, texts)
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
                    await wait_for(lambda count=sent: len(page.texts) >= count)
        finally:
            writing.cancel()
    assert [str(n) for n in range(sent)] == page.texts


async def test_what_is_sent_at_once_arrives_in_its_order() -> None:
    async with opened() as page:
        with set_curdoc(page.session.document):
            for number in range(MESSAGES):
                page.view.component.send(str(number))
        await wait_for(lambda: len(page.texts) >= MESSAGES)
    assert [str(n) for n in range(MESSAGES)] == page.texts
