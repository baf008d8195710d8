"""A streamer killed in mid-stream and started again: on its log, on none, on one that was cut or damaged.

Either the reader resumes exactly, or a `reset` tells it that it cannot: what it holds afterwards is true.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer import Client
from streamer.model.events import Entry, Logged
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.protocol.frames import Reset, Snapshot
from tests.api_support import Producer
from tests.support import NO_CERTIFICATES, ServerProcess, wait_until_async

pytestmark = pytest.mark.slow

LINES = 60
PAGE = 4096


class Reader:
    """Follows a run with the project's client, through whatever happens, and keeps what it was told."""

    def __init__(self) -> None:
        self.state = RunState(run="")
        self.seqs: list[int] = []
        self.resets: list[str] = []
        self.messages: list[str] = []

    async def follow(self, url: str, run: str) -> None:
        async with Client(url) as client, contextlib.aclosing(aiter(client.follow(run))) as stream:
            async for message in stream:
                self.take(message)

    def take(self, message: object) -> None:
        match message:
            case Entry():
                self.seqs.append(message.seq)
                self.state = apply(self.state, message)
                if isinstance(message.event, Logged):
                    self.messages.append(message.event.message)
            case Snapshot():
                self.state = message.state
            case Reset():
                self.resets.append(message.reason)


@contextlib.asynccontextmanager
async def following(server: ServerProcess, producer: Producer) -> AsyncIterator[Reader]:
    reader = Reader()
    task = asyncio.create_task(reader.follow(server.url, producer.run))
    try:
        yield reader
        await asyncio.wait_for(task, 60)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def producing(server: ServerProcess) -> AsyncIterator[Producer]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60, verify=NO_CERTIFICATES) as http:
        answer = (await http.post("/api/runs", json={"title": "Long"})).json()
        yield Producer(http, answer["run"], answer["token"])


def numbered(first: int, count: int = LINES) -> list[str]:
    return [f"line {number} {'x' * 300}" for number in range(first, first + count)]


async def stored(server: ServerProcess, producer: Producer) -> list[dict[str, Any]]:
    lines = (await producer.http.get(f"/api/runs/{producer.run}/log?limit=1000")).json()["lines"]
    return [line["message"] for line in lines]


def seqs_of(answer: httpx.Response) -> list[int]:
    lines = [line[6:] for line in answer.content.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line)["seq"] for line in lines]


async def through(server: ServerProcess, producer: Producer, damage: Callable[[Path], None]) -> Reader:
    """Send lines, kill the streamer while a reader follows, do the damage, start again, send the rest to the end."""
    await producer.log(*numbered(1))
    # Stored in the file itself, not in its write-ahead log alone.
    server.restart()
    await producer.log(*numbered(LINES + 1))
    async with following(server, producer) as reader:
        await wait_until_async(lambda: reader.state.log_lines == 2 * LINES)
        for message in numbered(2 * LINES + 1):
            await producer.log(message)
        await wait_until_async(lambda: reader.state.log_lines == 3 * LINES)
        server.kill()
        damage(server.data)
        server.start()
        await producer.log(*numbered(3 * LINES + 1))
        await producer.complete()
    return reader


def cut_write_ahead_log(data: Path) -> None:
    path = data / "log.sqlite-wal"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 3 * PAGE)


def cut_last_page(data: Path) -> None:
    path = data / "log.sqlite"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - PAGE)
    (data / "log.sqlite-wal").unlink()


def overwrite_a_page(data: Path) -> None:
    path = data / "log.sqlite"
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(b"line 30 x") // PAGE * PAGE)
        file.write(b"\xa5" * PAGE)


@pytest.fixture
def server(tmp_path):
    with ServerProcess.streamer(tmp_path) as server:
        yield server


async def test_on_its_log_a_reader_resumes_exactly(server):
    async with producing(server) as producer:
        reader = await through(server, producer, lambda data: None)
        assert numbered(1, 4 * LINES) == await stored(server, producer)
        assert json.loads((await producer.http.get(producer.path)).content)["lastSeq"] == reader.state.seq
    assert [] == reader.resets
    assert reader.seqs == list(range(reader.seqs[0], reader.state.seq + 1))
    assert "complete" == reader.state.status


@pytest.mark.parametrize("damage", [cut_write_ahead_log, cut_last_page, overwrite_a_page])
async def test_on_a_damaged_log_the_run_goes_on_and_the_reader_is_told(server, damage):
    async with producing(server) as producer:
        reader = await through(server, producer, damage)
        left = await stored(server, producer)
        state = (await producer.http.get(producer.path)).json()
        whole = await producer.http.get(f"{producer.path}/events?from=start")
    assert ["the cursor is of another log"] == reader.resets
    assert ("complete", state["lastSeq"]) == (reader.state.status, reader.state.seq)
    assert state["logCounts"] == reader.state.log_counts
    # What came after the restart is there, in order; of what was before, what could be read, and a line about the rest.
    assert numbered(3 * LINES + 1) == left[-LINES:]
    told = [line for line in left if "were lost with the end of the streamer's log" in line]
    kept = [line for line in left if line not in told]
    assert kept == [line for line in numbered(1, 4 * LINES) if line in kept]
    assert len(kept) > LINES
    assert "WARNING" in server.output(100_000)
    assert "Traceback" not in server.output(100_000)
    # A part is never presented as the whole.
    assert b"event: reset" in whole.content or seqs_of(whole) == list(range(1, state["lastSeq"] + 1))
    assert (damage is cut_write_ahead_log) == (not list(server.data.glob("log.damaged-*.sqlite")))


async def test_on_a_deleted_log_an_old_cursor_is_told_even_when_offsets_have_passed_it(server):
    async with producing(server) as producer:
        await producer.log(*numbered(1, 5))
        cursor = (await producer.http.get(producer.path)).json()["cursor"]
    server.kill()
    for path in server.data.glob("log.sqlite*"):
        path.unlink()
    server.start()
    async with producing(server) as producer:
        await producer.log(*numbered(1, 50))
        await producer.complete()
        answer = await producer.http.get(f"{producer.path}/events", headers={"Last-Event-ID": cursor})
    assert [b"reset", b"snapshot"] == [
        line[7:] for line in answer.content.split(b"\n") if line.startswith(b"event: ")
    ]


async def test_a_log_that_lost_its_end_and_grew_beyond_it_is_another_one(server):
    async with producing(server) as producer:
        await producer.log(*numbered(1, 5))
        server.restart()
        for message in numbered(6, 40):
            await producer.log(message)
        cursor = (await producer.http.get(producer.path)).json()["cursor"]
        server.kill()
        cut_write_ahead_log(server.data)
        server.start()
        await producer.log(*numbered(46, 100))
        await producer.complete()
        answer = await producer.http.get(f"{producer.path}/events", headers={"Last-Event-ID": cursor})
    assert b"event: reset" in answer.content
    assert b"event: log" not in answer.content
