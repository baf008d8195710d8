"""Requests that are refused for their heads, before their bodies are read; and the bound of all bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from streamer.server.http import handler
from tests.api_support import Api, running

LARGE = 15_900_000


class Caller:
    """A connection that sends a request's head, and of its body what the test says."""

    def __init__(self, api: Api, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.api, self.reader, self.writer = api, reader, writer

    def head(self, path: str, *, length: int | None = LARGE, token: str = "") -> None:
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        host = urlsplit(self.api.streamer.url).netloc
        self.writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{size}\r\n\r\n".encode()
        )

    async def status(self) -> int:
        async with asyncio.timeout(30):
            return int((await self.reader.readline()).split()[1])


@asynccontextmanager
async def calling(api: Api) -> AsyncIterator[Caller]:
    parts = urlsplit(api.streamer.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Caller(api, reader, writer)
    finally:
        writer.close()


async def test_a_batch_is_refused_before_its_body_for_token_run_and_size(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        producer = await api.register()
        for path, token, length, status in (
            (f"{producer.path}/events", "", LARGE, 401),
            (f"{producer.path}/events", "wrong", LARGE, 403),
            ("/api/runs/nobody/events", "wrong", LARGE, 404),
            ("/api/pipelines/Plain/runs", "", 70_000_000, 413),
        ):
            async with calling(api) as caller:
                caller.head(path, length=length, token=token)
                assert (path, status) == (path, await caller.status())
        assert 0 == api.streamer.bodies.held


async def test_bodies_that_are_being_read_have_a_bound_together_and_leave_their_room(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        producer = await api.register()
        api.streamer.bodies.most = 2 * LARGE
        path = f"{producer.path}/events"
        async with calling(api) as one, calling(api) as two:
            for caller in (one, two):
                caller.head(path, token=producer.token)
            await api.until(lambda: api.streamer.bodies.held == 2 * LARGE)
            async with calling(api) as third:
                third.head(path, token=producer.token)
                assert 503 == await third.status()
        await api.until(lambda: api.streamer.bodies.held == 0)
        await producer.send({"event": "log", "message": "there is room again"})
        assert 0 == api.streamer.bodies.held


async def test_a_body_in_chunks_has_no_more_room_than_there_is(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        producer = await api.register()
        api.streamer.bodies.most = 1000
        async with calling(api) as caller:
            caller.head(f"{producer.path}/events", length=None, token=producer.token)
            caller.writer.write(b"7d0\r\n" + 2000 * b"x" + b"\r\n0\r\n\r\n")
            assert 503 == await caller.status()
        await api.until(lambda: api.streamer.bodies.held == 0)


async def test_a_body_that_trickles_ends_with_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "BODY_SECONDS", 0.2)
    async with running(tmp_path) as api:
        producer = await api.register()
        async with calling(api) as caller:
            caller.head(f"{producer.path}/events", token=producer.token)
            caller.writer.write(b"{")
            async with asyncio.timeout(30):
                assert b"" == await caller.reader.read()
        await api.until(lambda: api.streamer.bodies.held == 0)
