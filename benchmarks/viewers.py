"""What viewers cost the dashboards' process: to open a run's page, to keep it up to date; beside a plain Panel page.

    python benchmarks/viewers.py [--short]

Both are served by `panel serve` in processes of their own, opened by the same reader (the session's page, its
WebSocket, its document, then whatever comes), in turns. What is measured is the server's CPU time, which a machine that
is shared with others changes little.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import httpx
import psutil
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

ROOT = Path(__file__).resolve().parent.parent
PLAIN = ROOT / "benchmarks" / "peers" / "plain_page.py"
#: Updates a second, and log lines in each.
RATE = 10
LINES = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A `panel serve` of its own; `cpu` is the seconds that it and its children have used."""

    def __init__(self, target: Path, path: str, *arguments: str, **environment: str) -> None:
        self.port, self.api_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self.api = f"http://127.0.0.1:{self.api_port}"
        self.folder = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "panel", "serve", str(target), "--port", str(self.port)]
        command += ["--address", "127.0.0.1", "--log-level", "error"]
        command += [f"--allow-websocket-origin=127.0.0.1:{self.port}", *arguments]
        own = {"STREAMER_PORT": str(self.api_port), "STREAMER_DATA": self.folder.name, **environment}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._self = psutil.Process(self.process.pid)
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self.url, timeout=60).status_code == 200:
                    return
            time.sleep(0.1)  # a server says in no other way that it listens
        raise SystemExit(f"{target} does not answer")

    def processes(self) -> list[psutil.Process]:
        return [self._self, *self._self.children(recursive=True)]

    def cpu(self) -> float:
        return sum(sum(one.cpu_times()[:2]) for one in self.processes())

    def memory(self) -> int:
        return sum(one.memory_info().rss for one in self.processes())

    def close(self) -> None:
        for one in self.processes()[::-1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.terminate()
        self.process.wait(20)
        self.folder.cleanup()


#: A message of the page's parts that wants an answer; it is JSON in a text of JSON.
ASKED = re.compile(r'\\"version\\":(\d+),[^{}]*\\"ask\\":true')


class Viewer:
    """A reader of one page, as a browser is one, but for the drawing."""

    def __init__(self) -> None:
        self.patches = 0
        #: Additions to a table: the plain page's updates, which come in many messages each.
        self.streamed = 0
        self.longest = 0.0
        self._last = 0.0
        self._connection: WebSocketClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._content = ""
        self._parts = ""

    async def open(self, url: str, client: httpx.AsyncClient) -> float:
        """Open the page; return the seconds until its document was there."""
        begin = time.perf_counter()
        page = (await client.get(url)).text
        token = re.search(r'"token":"([^"]+)"', page)
        assert token is not None, page[:500]
        socket_url = url.partition("?")[0].replace("http", "ws", 1) + "/ws"
        origin = "/".join(url.split("/")[:3])
        request = HTTPRequest(socket_url, headers={"Origin": origin}, request_timeout=120)
        self._connection = await websocket_connect(
            request, subprotocols=["bokeh", token[1]], max_message_size=100_000_000
        )
        await self._message()  # its acknowledgement
        header = {"msgid": "1", "msgtype": "PULL-DOC-REQ"}
        for part in (header, {}, {}):
            await self._connection.write_message(json.dumps(part))
        while (await self._message()) != "PULL-DOC-REPLY":
            pass
        # What a browser says when it has drawn the page: Panel waits for the one, a run's page for the other.
        await self._say("document_ready", {})
        held = re.search(r'"name":"[\w.]+","id":"([^"]+)","attributes":\{"name":"Parts"', self._content)
        if held is not None:
            self._parts = held[1]
            await self._tell("hello", -1)
        taken = time.perf_counter() - begin
        self._reading = asyncio.create_task(self._read())
        return taken

    async def _message(self) -> str:
        """Read one message of Bokeh's protocol: header, metadata, content, and buffers as the header says."""
        assert self._connection is not None
        text = await self._connection.read_message()
        if text is None:
            raise EOFError
        header = json.loads(text)
        await self._connection.read_message()
        self._content = str(await self._connection.read_message())
        for _ in range(2 * header.get("num_buffers", 0)):
            await self._connection.read_message()
        return str(header["msgtype"])

    async def _tell(self, kind: str, version: int) -> None:
        """Say to the page's parts what `views.js` says."""
        data = {"type": "map", "entries": [["type", kind], ["version", version]]}
        await self._say("data_event", {"model": {"id": self._parts}, "data": data})

    async def _say(self, name: str, values: dict[str, object]) -> None:
        """Send an event of Bokeh's to the server."""
        assert self._connection is not None
        event = {
            "type": "event",
            "name": name,
            "values": {"type": "map", "entries": [*map(list, values.items())]},
        }
        content = {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}]}
        for part in ({"msgid": "2", "msgtype": "PATCH-DOC"}, {}, content):
            await self._connection.write_message(json.dumps(part))

    async def _read(self) -> None:
        self._last = time.perf_counter()
        with contextlib.suppress(EOFError):
            while True:
                if await self._message() == "PATCH-DOC":
                    self.take(self._content)
                    asked = ASKED.search(self._content)
                    if asked is not None:
                        await self._tell("seen", int(asked[1]))

    def take(self, content: str) -> None:
        """Count an update."""
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now
        self.patches += 1
        self.streamed += '"ColumnsStreamed"' in content

    def pause(self) -> float:
        """Return the longest time without an update, until now."""
        return max(self.longest, time.perf_counter() - self._last)

    def forget(self) -> None:
        self.patches, self.streamed, self.longest, self._last = 0, 0, 0.0, time.perf_counter()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._connection is not None:
            self._connection.close()


class Producer:
    """A run under way: `RATE` times a second its progress, and `LINES` log lines."""

    def __init__(self, api: str) -> None:
        phases = [
            {"name": "validate", "weight": 10},
            {"name": "load", "weight": 70},
            {"name": "save", "weight": 20},
        ]
        made = httpx.post(f"{api}/api/runs", json={"title": "Import prices", "phases": phases}).json()
        self.run, self._token, self._api, self._seq, self._done = made["run"], made["token"], api, 0, 0
        self._task: asyncio.Task[None] | None = None
        self.batches = 0

    async def _send(self, client: httpx.AsyncClient, *events: dict[str, object]) -> None:
        lines = []
        for event in events:
            self._seq += 1
            lines.append(json.dumps({"seq": self._seq, **event}))
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/x-ndjson"}
        answer = await client.post(
            f"{self._api}/api/runs/{self.run}/events", content="\n".join(lines), headers=headers
        )
        answer.raise_for_status()

    async def _forever(self) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            await self._send(client, {"event": "phase", "phase": "load", "phaseStatus": "started"})
            due = time.perf_counter()
            while True:
                self._done += 13
                message = "row {} was loaded from the source, 211 rows"
                lines = [{"event": "log", "message": message.format(self._done + n)} for n in range(LINES)]
                progress = {
                    "event": "progress",
                    "phase": "load",
                    "done": self._done,
                    "total": 1_000_000,
                    "unit": "rows",
                }
                await self._send(client, progress, *lines)
                self.batches += 1
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def opening(server: Server, url: str, viewers: int) -> tuple[float, float, list[Viewer]]:
    """Open viewers one after another; return CPU milliseconds and kilobytes for each."""
    async with httpx.AsyncClient(timeout=120) as client:
        first = Viewer()
        await first.open(url, client)
        cpu, memory = server.cpu(), server.memory()
        opened = [first]
        for _ in range(viewers):
            opened.append(Viewer())
            await opened[-1].open(url, client)
        cost = 1000 * (server.cpu() - cpu) / viewers, (server.memory() - memory) / viewers / 1000
    return *cost, opened


async def updating(server: Server, viewers: list[Viewer], seconds: float) -> tuple[float, float]:
    """Return the server's CPU milliseconds for an update that reached a viewer, and messages a second of each."""
    for viewer in viewers:
        viewer.forget()
    begin, cpu = time.perf_counter(), server.cpu()
    await asyncio.sleep(seconds)
    used, taken = server.cpu() - cpu, time.perf_counter() - begin
    rate = statistics.median(viewer.patches for viewer in viewers) / taken
    # What was not sent because the server did not come to it is no update.
    updates = sum(viewer.streamed or viewer.patches for viewer in viewers)
    return 1000 * used / max(updates, 1), rate


async def ours(viewers: int, seconds: float) -> dict[str, float]:
    server = Server(ROOT / "dashboards", "/dashboards")
    try:
        producer = Producer(server.api)
        url = f"{server.url}?run={producer.run}"
        milliseconds, kilobytes, opened = await opening(server, url, viewers)
        async with producer:
            await asyncio.sleep(2)
            update, rate = await updating(server, opened, seconds)
        for viewer in opened:
            await viewer.close()
        return {"open ms": milliseconds, "open kB": kilobytes, "update ms": update, "messages/s": rate}
    finally:
        server.close()


async def plain(viewers: int, seconds: float) -> dict[str, float]:
    server = Server(PLAIN, "/plain_page", PLAIN_PAGE_SECONDS="0")
    try:
        milliseconds, kilobytes, opened = await opening(server, server.url, viewers)
        for viewer in opened:
            await viewer.close()
    finally:
        server.close()
    server = Server(PLAIN, "/plain_page", PLAIN_PAGE_SECONDS=str(1 / RATE))
    try:
        # Fewer: the server must keep up, or what is measured is a queue.
        _, _, opened = await opening(server, server.url, 2)
        update, rate = await updating(server, opened, seconds)
        for viewer in opened:
            await viewer.close()
    finally:
        server.close()
    return {"open ms": milliseconds, "open kB": kilobytes, "update ms": update, "messages/s": rate}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="one round, few viewers")
    asked = parser.parse_args()
    viewers, seconds, number = (8, 5.0, 1) if asked.short else (20, 15.0, 3)
    found: dict[str, list[dict[str, float]]] = {"a run's page": [], "plain Panel page": []}
    for _ in range(number):
        found["a run's page"].append(asyncio.run(ours(viewers, seconds)))
        found["plain Panel page"].append(asyncio.run(plain(viewers, seconds)))
    medians = {
        name: {key: statistics.median(one[key] for one in values) for key in values[0]}
        for name, values in found.items()
    }
    for name, values in medians.items():
        print(f"{name:18}" + "".join(f"  {key} {value:8.2f}" for key, value in values.items()))
    us, them = medians.values()
    for key in ("open ms", "open kB", "update ms"):
        print(f"{key}: {us[key] / them[key]:.2f} of the plain page's", end=", ")
        print(f"{them[key] / us[key]:.1f} times as many at the same cost")


if __name__ == "__main__":
    main()
