"""A server that answers as a test has written down, byte by byte, and helpers for clients of it.

Holds no tests and no fixtures.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from dataclasses import dataclass, field
from typing import Any, Self

from streamer.model.events import Completed, Entry, Event, Logged
from streamer.model.state import RunState
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import Snapshot, frame_of, snapshot_frame
from tests.support import wait_until_async

EPOCH = "e1"
STREAM = "text/event-stream"


@dataclass
class Script:
    """One answer. `then`: "close" the connection in order, "reset" it, or "hold" it open until the client leaves."""

    body: bytes = b""
    status: int = 200
    content_type: str | None = STREAM
    headers: dict[str, str] = field(default_factory=dict)
    then: str = "close"

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Said"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + self.body


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, bytes]
    body: bytes


class ScriptedServer:
    """Answers the n-th request with the n-th script, and after the last one with 204; an async context manager."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[Request] = []
        self.left = 0
        self._holding: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._holding):
            writer.transport.abort()
        await wait_until_async(lambda: not self._holding)

    @property
    def holding(self) -> int:
        return len(self._holding)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._holding.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *rest = head[:-4].split(b"\r\n")
            method, target, _ = line.decode().split(" ")
            pairs = [one.split(b": ", 1) for one in rest]
            headers = {name.decode().lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", b"0")))
            script = self.scripts.pop(0) if self.scripts else Script(status=204, content_type=None)
            self.requests.append(Request(method, target, headers, body))
            writer.write(script.encode())
            await writer.drain()
            if script.then == "hold":
                await reader.read()
                self.left += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left += 1
        finally:
            if "script" in locals() and script.then == "reset":
                writer.transport.abort()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            # Only now: a connection that is not wholly closed when its test is over fails another one.
            self._holding.discard(writer)


class Pauses:
    """Takes the place of `asyncio.sleep`: notes how long, and waits for nothing."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class Middle(random.Random):
    """Always the middle of a range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Said(list[tuple[str, str]]):
    """What `on_connection` was told."""

    def __call__(self, state: str, detail: str) -> None:
        self.append((state, detail))

    @property
    def states(self) -> list[str]:
        return [state for state, _ in itertools.groupby(state for state, _ in self)]


def entry(seq: int, event: Event | None = None, run: str = "r1", offset: int | None = None) -> Entry:
    event = event or Logged(message=f"line {seq}: grüße, 😀", timestamp="2026-01-31T09:41:32.118Z")
    return Entry(seq if offset is None else offset, run, seq, 1_700_000_000.0 + seq, event)


def frames(*seqs: int, epoch: str = EPOCH) -> bytes:
    return b"".join(frame_of(entry(seq), epoch) for seq in seqs)


def last(seq: int) -> bytes:
    return frame_of(entry(seq, Completed()), EPOCH)


def snapshot(seq: int, status: Any = "running", epoch: str = EPOCH) -> bytes:
    state = RunState(run="r1", seq=seq, offset=seq, status=status)
    return snapshot_frame(Snapshot(state, Cursor(epoch, seq)))


async def seqs(stream: Any, most: int = 1000) -> list[int]:
    """Return the `seq` of the stream's entries, up to `most`."""
    found = []
    async with asyncio.timeout(30):
        async for one in stream:
            found.append(one.seq)
            if len(found) == most:
                break
    return found


def answer(value: Any, status: int = 200, **headers: str) -> Script:
    return Script(json.dumps(value).encode(), status, "application/json", headers)
