"""The hub: a subscriber is a cursor, whether the tail in memory or the log serves it, and misses nothing."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from streamer.model.events import Completed, Logged, StatusChanged
from streamer.server.fan_out.hub import Hub
from streamer.server.fan_out.subscriber import Style
from streamer.server.fan_out.tail import ENTRIES_PER_WRITE
from streamer.server.log.base import Draft
from streamer.server.log.sqlite import SqliteLog
from streamer.server.metrics import StreamCounts
from streamer.settings import Settings
from tests.support import wait_until_async

FIRST = [Draft(StatusChanged(status="queued", title="t"), 1000.0)]


def lines(*messages: str) -> list[Draft]:
    return [Draft(Logged(message=message), 1001.0) for message in messages]


@pytest.fixture
def log(tmp_path):
    log = SqliteLog(tmp_path / "log.sqlite", commit_seconds=0.0)
    for run_id in ("r1", "r2"):
        log.create(run_id, FIRST, note=b"").result(10)
    yield log
    log.close()


PLAIN = Style(data_only=False, chunked=False)


class Reader:
    """The other end of a subscriber's connection; closed with the hub."""

    connections: ClassVar[list[socket.socket]]

    def __init__(self, hub: Hub, run_id: str | None, after: int, *, first: bytes = b"", **options) -> None:
        self.connection, server_side = socket.socketpair()
        self.connections.append(self.connection)
        for one in (self.connection, server_side):
            one.setblocking(False)
        options = {"style": PLAIN, **options}
        hub.follow(server_side, first, run_id=run_id, after=after, **options)

    async def until(self, end: bytes) -> bytes:
        """Read up to and with `end`."""
        found = b""
        async with asyncio.timeout(30):
            while not found.endswith(end):
                chunk = await self.receive()
                assert chunk, found
                found += chunk
        return found

    async def all(self) -> bytes:
        """Read until the connection is closed."""
        found = b""
        async with asyncio.timeout(30):
            while chunk := await self.receive():
                found += chunk
        return found

    async def receive(self, most: int = 65_536) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.connection, most)


@pytest.fixture
async def make_hub(log):
    readers = ThreadPoolExecutor(2)
    hubs = []
    Reader.connections = []

    def make(tail_bytes: int = 1_000_000, **settings) -> Hub:
        settings = Settings(tail_bytes=max(tail_bytes, 10_000), **settings)
        hub = Hub(log, settings, readers=readers, counts=StreamCounts(), on_appended=lambda _: None)
        hub._tail._limit = tail_bytes
        hubs.append(hub)
        return hub

    yield make
    for hub in hubs:
        hub.close()
        await hub.abort()
        assert 0 == hub.subscribers
    for connection in Reader.connections:
        connection.close()
    readers.shutdown()


async def append(log: SqliteLog, run_id: str, drafts: list[Draft]) -> None:
    await asyncio.wrap_future(log.append(run_id, drafts))


def all_frames(log: SqliteLog, run_id: str | None = None) -> bytes:
    return b"".join(stored.frame for stored in log.read(0, limit=100_000, run_id=run_id))


async def test_a_subscriber_gets_what_was_stored_before_it_came_and_after(log, make_hub):
    await append(log, "r1", lines("before"))
    reader = Reader(make_hub(), "r1", 0)
    early = await reader.until(all_frames(log, "r1"))
    await append(log, "r1", lines("after"))
    assert all_frames(log, "r1") == early + await reader.until(b"\n\n")


async def test_a_subscriber_of_all_gets_every_run_in_order(log, make_hub):
    reader = Reader(make_hub(), None, 0)
    await append(log, "r1", lines("a"))
    await append(log, "r2", lines("b"))
    assert all_frames(log) == await reader.until(all_frames(log)[-100:])


async def test_a_subscriber_of_one_run_is_not_given_another_s(log, make_hub):
    reader = Reader(make_hub(), "r1", log.head())
    await append(log, "r2", lines("b"))
    await append(log, "r1", lines("a"))
    assert all_frames(log, "r1").endswith(b"\n\n" + await reader.until(b"\n\n"))


async def test_what_was_published_meanwhile_comes_in_one_write(log, make_hub):
    hub = make_hub()
    readers = [Reader(hub, "r1", log.head(), style=Style(data_only=False)) for _ in range(3)]
    before = len(all_frames(log))
    await append(log, "r1", lines("a", "b", "c"))
    added = all_frames(log)[before:]
    whole = b"%x\r\n%b\r\n" % (len(added), added)
    assert [whole] * 3 == [await reader.until(b"\n\n\r\n") for reader in readers]


async def test_readers_at_the_same_place_get_more_than_fits_in_a_write(log, make_hub):
    hub = make_hub()
    readers = [Reader(hub, "r1", log.head()) for _ in range(3)]
    before = len(all_frames(log))
    await append(log, "r1", lines(*map(str, range(3 * ENTRIES_PER_WRITE))))
    added = all_frames(log)[before:]
    assert [added] * 3 == [await reader.until(added[-100:]) for reader in readers]


async def test_however_much_is_published_the_loop_has_its_turn_after_one_write_to_a_few(
    log, make_hub, monkeypatch
):
    monkeypatch.setattr("streamer.server.fan_out.hub._TURN_SECONDS", 0.0)
    monkeypatch.setattr("streamer.server.fan_out.hub._TOGETHER", 2)
    hub = make_hub()
    for _ in range(4):
        Reader(hub, "r1", log.head())
    appending = asyncio.create_task(append(log, "r1", lines(*map(str, range(3 * ENTRIES_PER_WRITE)))))
    delivered = [0]
    while delivered[-1] < 4 * 3 * ENTRIES_PER_WRITE:
        await asyncio.sleep(0)
        delivered.append(hub._counts.delivered)
    await appending
    assert 2 * ENTRIES_PER_WRITE == max(b - a for a, b in itertools.pairwise(delivered))


async def test_the_terminal_event_ends_a_stream_of_its_run(log, make_hub):
    ended = []
    reader = Reader(make_hub(), "r1", 0, on_end=ended.append)
    await append(log, "r1", [*lines("a"), Draft(Completed(), 1002.0)])
    assert all_frames(log, "r1") == await reader.all()
    assert [True] == [end.run_over for end in ended]


async def test_a_cursor_at_the_terminal_event_ends_a_stream_too(log, make_hub):
    hub = make_hub()
    await append(log, "r1", [Draft(Completed(), 1002.0)])
    await wait_until_async(lambda: "r1" in hub._tail)
    assert b"" == await Reader(hub, "r1", log.head()).all()


async def test_the_terminal_event_of_one_run_does_not_end_the_stream_of_all(log, make_hub):
    reader = Reader(make_hub(), None, log.head())
    await append(log, "r1", [Draft(Completed(), 1002.0)])
    await append(log, "r2", lines("b"))
    assert b'"b"' in await reader.until(all_frames(log, "r2")[-80:])


async def test_whoever_leaves_is_forgotten_whatever_was_sent_before(log, make_hub):
    hub = make_hub()
    ended = []
    reader = Reader(hub, "r1", log.head(), on_end=ended.append)
    reader.connection.send(b"GET /another HTTP/1.1\r\n\r\n")
    reader.connection.close()
    await hub.empty()
    assert [False] == [end.run_over for end in ended]


@pytest.mark.parametrize("tail_bytes", [1, 500, 3000, 1_000_000])
@pytest.mark.parametrize("seed", range(5))
async def test_whoever_reads_at_whatever_pace_gets_every_entry_once_in_order(
    log, make_hub, tail_bytes, seed, monkeypatch
):
    # A fan-out is never done at once: commits come between any two subscribers, or a few of them.
    monkeypatch.setattr("streamer.server.fan_out.hub._TOGETHER", 1 + seed % 3)
    monkeypatch.setattr("streamer.server.fan_out.hub._TURN_SECONDS", 0.0)
    chance = random.Random(seed)
    hub = make_hub(tail_bytes)
    end = [Draft(Completed(), 1002.0)]

    async def write(run_id: str) -> None:
        for number in range(60):
            await append(log, run_id, lines(*(f"{number}-{n}" for n in range(chance.randint(1, 5)))))
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
        await append(log, run_id, end)

    async def read(run_id: str) -> bytes:
        reader = Reader(hub, run_id, 0)
        # As little as the kernel allows is kept on the way.
        reader.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        found = b""
        while chunk := await reader.receive(chance.randint(1, 3000)):
            found += chunk
            for _ in range(chance.randint(0, 20)):
                await asyncio.sleep(0)
        return found

    async with asyncio.timeout(60):
        *read_r1, read_r2, _, _ = await asyncio.gather(
            *(read("r1") for _ in range(12)), read("r2"), write("r1"), write("r2")
        )
    assert [all_frames(log, "r1")] * 12 == read_r1
    assert all_frames(log, "r2") == read_r2


async def test_a_reader_that_takes_nothing_holds_one_write_and_catches_up_when_it_reads(log, make_hub):
    hub = make_hub()
    reader = Reader(hub, "r1", 0)
    (subscriber,) = hub._subscribers["r1"]
    for _ in range(30):
        await append(log, "r1", lines(*["x" * 2000] * 20))
    await wait_until_async(lambda: subscriber.is_blocked)
    assert len(subscriber._rest) < 45_000
    await append(log, "r1", [Draft(Completed(), 1002.0)])
    assert all_frames(log, "r1") == await reader.all()


async def test_a_reader_that_takes_nothing_for_too_long_is_closed_and_counted(log, make_hub):
    hub = make_hub(write_timeout_seconds=0.1)
    reader = Reader(hub, "r1", 0)
    for _ in range(30):
        await append(log, "r1", lines(*["x" * 2000] * 20))
    await asyncio.wait_for(hub.empty(), 30)
    assert 1 == hub._counts.stalled
    assert all_frames(log, "r1").startswith(await reader.all())


async def test_readers_at_the_same_place_share_a_read_of_the_log(log, make_hub):
    await append(log, "r1", [*lines(*"abc"), Draft(Completed(), 1002.0)])
    hub = make_hub()
    readers = [Reader(hub, "r1", 0) for _ in range(20)]
    assert [all_frames(log, "r1")] * 20 == [await reader.all() for reader in readers]
    assert 1 == hub._counts.replays_from_log


async def test_the_log_is_not_read_for_those_who_left_while_they_waited_for_their_turn(log, make_hub):
    await append(log, "r1", lines(*map(str, range(20))))
    hub = make_hub()
    async with hub._turn:
        for after in range(20):
            Reader(hub, "r1", after).connection.close()
        await hub.empty()
    await wait_until_async(lambda: not hub._tasks)
    assert 0 == hub._counts.replays_from_log
    reader = Reader(hub, "r1", 0)
    assert all_frames(log, "r1") == await reader.until(all_frames(log, "r1")[-100:])


async def test_a_reader_of_a_quiet_run_stays_in_the_tail_however_much_others_say(log, make_hub):
    hub = make_hub(5000)
    reader = Reader(hub, "r1", log.head())
    for number in range(100):
        await append(log, "r2", lines(f"{number}" * 20))
    await append(log, "r1", lines("at last"))
    assert b"at last" in await reader.until(b"\n\n")
    assert 0 == hub._counts.replays_from_log


async def test_a_log_that_cannot_be_read_closes_the_connection(log, make_hub, tmp_path):
    await append(log, "r1", lines("a"))
    hub = make_hub()
    with sqlite3.connect(tmp_path / "log.sqlite") as db:
        db.execute("ALTER TABLE entries RENAME TO elsewhere")
    assert b"" == await Reader(hub, "r1", 0).all()


async def test_the_tail_stays_within_its_bound(log, make_hub):
    hub = make_hub(5000)
    for number in range(100):
        await append(log, "r1", lines(f"{number}" * 20))
    tail = hub._tail
    await wait_until_async(lambda: hub._counts.appended == 100)
    kept = tail.after("r1", tail.start)
    assert 0 < sum(map(len, kept.frames)) == tail.bytes <= 5000
    assert kept.frames == tail.after(None, tail.start).frames
    assert tail.after("r1", tail.start - 1) is None


async def test_closing_asks_everybody_to_reconnect_each_after_a_delay_of_its_own(log, make_hub):
    hub = make_hub(retry_milliseconds=1000)
    readers = [Reader(hub, "r1", log.head()) for _ in range(20)]
    hub.close()
    words = [await reader.all() for reader in readers]
    await hub.empty()
    delays = [int(word.removeprefix(b"retry: ").removesuffix(b"\n")) for word in words]
    assert len(set(delays)) > 10
    assert all(500 <= delay <= 1500 for delay in delays)


async def test_a_stream_that_is_old_ends_at_the_end_of_an_event_if_its_reader_can_go_on(log, make_hub):
    hub = make_hub(max_stream_seconds=0.2, heartbeat_seconds=0.1)
    last_words = await Reader(hub, "r1", 0, rotates=True).all()
    assert last_words.startswith(all_frames(log, "r1"))
    assert b"retry: " == last_words.rpartition(b"\n\n")[2].lstrip(b":\n")[:7]
    assert (1, 0) == (hub._counts.rotated, hub._counts.stalled)


async def test_a_stream_whose_reader_cannot_go_on_stays(log, make_hub):
    hub = make_hub(max_stream_seconds=0.05, heartbeat_seconds=0.1)
    reader = Reader(hub, "r1", log.head())
    await reader.until(b":\n:\n")
    assert 1 == hub.subscribers
