"""Streams that are cut anywhere: in the head, in chunk headers, in characters, in order or by a reset."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest

from streamer.client.client import Client
from streamer.model.events import (
    Completed,
    Entry,
    Logged,
    encode_event,
    kind,
)
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.model.timestamps import format_time
from streamer.protocol.frames import Snapshot
from tests.api_support import Api, running
from tests.proxy import CuttingProxy, reset

pytestmark = pytest.mark.slow

CUTS = 200
WORDS = (
    "größe",
    "日本語",
    "😀👩‍👩‍👧",
    "naïve café",
    "a\u2028b",
    "\x85 \x0b \x1c",
    "ﷺ",
    "plain",
    "\\ \" '",
    "data: id: 7",
)


async def no_pause(seconds: float) -> None:
    """Take the place of `asyncio.sleep` between two attempts."""
    await asyncio.sleep(0)


class Report:
    """A registered run that goes on whenever its reader has read all of it, until `done` says that it is enough."""

    def __init__(self, api: Api, rng: random.Random, done: Callable[[], bool]) -> None:
        self._api = api
        self._rng = rng
        self._done = done
        self.lines: list[str] = []
        self.run = ""

    async def begin(self) -> None:
        self._producer = await self._api.register("Cut", phases=[{"name": "a", "weight": 1}])
        self.run = self._producer.run
        await self._more()

    async def _more(self) -> None:
        lines = [
            " ".join(self._rng.choices(WORDS, k=self._rng.randrange(1, 30)))
            for _ in range(self._rng.randrange(1, 60))
        ]
        self.lines += lines
        await self._producer.log(*lines)

    async def was_read(self, entry: Entry) -> None:
        """Go on if that was the last line."""
        if isinstance(entry.event, Logged) and entry.seq == self.last_seq:
            await (self._producer.complete() if self._done() else self._more())

    @property
    def last_seq(self) -> int:
        # "queued" and "running" come before the lines.
        return len(self.lines) + 2


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_stream_cut_at_random_places_yields_every_entry_once_in_order(tmp_path, seed) -> None:
    rng = random.Random(seed)
    async with (
        running(tmp_path) as api,
        CuttingProxy(int(api.streamer.url.rpartition(":")[2]), CUTS, rng) as proxy,
        Client(proxy.url, sleep=no_pause) as client,
        asyncio.timeout(120),
    ):
        report = Report(api, rng, lambda: len(proxy.cuts) >= CUTS)
        await report.begin()
        entries = []
        async for entry in client.entries(report.run):
            entries.append(entry)
            await report.was_read(entry)
        assert list(range(1, len(entries) + 1)) == [entry.seq for entry in entries]
        assert report.lines == [entry.event.message for entry in entries if isinstance(entry.event, Logged)]
        assert isinstance(entries[-1].event, Completed)
        assert CUTS == len(proxy.cuts)
        assert {"in order", "by a reset"} == {how for _, how in proxy.cuts}


async def test_following_a_stream_cut_at_random_places_folds_to_what_the_streamer_knows(tmp_path) -> None:
    rng = random.Random(3)
    async with (
        running(tmp_path) as api,
        CuttingProxy(int(api.streamer.url.rpartition(":")[2]), 50, rng) as proxy,
        Client(proxy.url, sleep=no_pause) as client,
        asyncio.timeout(120),
    ):
        report = Report(api, rng, lambda: len(proxy.cuts) >= 50)
        await report.begin()
        state = RunState(run=report.run)
        kinds = []
        async for message in client.follow(report.run):
            kinds.append(type(message).__name__)
            if isinstance(message, Snapshot):
                state = message.state
                if state.seq == report.last_seq:
                    await report._more()
            elif isinstance(message, Entry):
                state = apply(state, message)
                await report.was_read(message)
        assert 50 == len(proxy.cuts)
        assert {"Snapshot", "Entry"} == set(kinds)
    async with running(tmp_path) as api, Client(api.streamer.url) as client:
        assert (await client.run(report.run)).state == state


# -- every single place ------------------------------------------------------------------------------------------------


def raw_frame(entry: Entry) -> bytes:
    """Return a frame in UTF-8, as another streamer might send it; ours are ASCII."""
    head = f'{{"run":"{entry.run_id}","seq":{entry.seq},"time":"{format_time(entry.time)}",'
    data = head.encode() + encode_event(entry.event)[1:]
    return f"event: {kind(entry.event)}\r\nid: é-{entry.offset}\r\n".encode() + b"data: " + data + b"\r\n\r\n"


ENTRIES = (
    Entry(1, "r1", 1, 1_700_000_000.0, Logged(message="grüße 😀", timestamp="t")),
    Entry(2, "r1", 2, 1_700_000_001.0, Logged(message="日本", timestamp="t")),
    Entry(3, "r1", 3, 1_700_000_002.0, Completed()),
)


def whole_answer(after: int) -> bytes:
    """Return an answer in chunks that end in the middle of characters and lines."""
    body = b"\xef\xbb\xbf:\r\n" + b"".join(raw_frame(entry) for entry in ENTRIES if entry.offset > after)
    chunks = [body[start : start + 37] for start in range(0, len(body), 37)]
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        + b"0\r\n\r\n"
    )


class CutOnce:
    """Answers as `whole_answer`; the first answer is cut after `place` bytes."""

    place = 0
    how = "in order"

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, found, cursor = head.partition("last-event-id: é-".encode())
        answer = whole_answer(int(cursor.partition(b"\r\n")[0]) if found else 0)
        if self.place:
            answer, self.place = answer[: self.place - 1], 0
            writer.write(answer)
            if self.how == "by a reset":
                reset(writer)
        else:
            writer.write(answer)
        writer.close()


@pytest.fixture
async def cut_once() -> AsyncIterator[tuple[CutOnce, str]]:
    serve = CutOnce()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield serve, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.parametrize("how", ["in order", "by a reset"])
async def test_a_stream_cut_at_any_single_place_yields_every_entry_once_in_order(cut_once, how) -> None:
    serve, url = cut_once
    serve.how = how
    async with Client(url, sleep=no_pause) as client, asyncio.timeout(60):
        for place in range(1, len(whole_answer(0)) + 1):
            serve.place = place
            assert ENTRIES == tuple([entry async for entry in client.entries("r1")]), place
