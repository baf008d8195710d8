"""The hub: a follower is a cursor, whether the tail in memory or the log serves it, and misses nothing."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamer.events import Completed, Logged, StatusChanged
from streamer.hub import Hub
from streamer.log.base import Draft
from streamer.log.sqlite import SqliteLog

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


@pytest.fixture
async def make_hub(log):
    readers = ThreadPoolExecutor(2)
    hubs = []

    def make(tail_bytes: int = 1_000_000) -> Hub:
        hubs.append(Hub(log, tail_bytes=tail_bytes, readers=readers, on_appended=lambda _: None))
        return hubs[-1]

    yield make
    for hub in hubs:
        assert 0 == hub.followers
        hub.close()
    readers.shutdown()


async def append(log: SqliteLog, run_id: str, drafts: list[Draft]) -> None:
    await asyncio.wrap_future(log.append(run_id, drafts))


async def take(follower, frames: int) -> list[bytes]:
    found: list[bytes] = []
    async with asyncio.timeout(10):
        while len(found) < frames:
            chunk = await follower.next(10)
            if chunk is not None:
                found.extend(chunk.frames)
    return found


def all_frames(log: SqliteLog, run_id: str | None = None) -> list[bytes]:
    return [stored.frame for stored in log.read(0, limit=100_000, run_id=run_id)]


async def test_a_follower_gets_what_was_stored_before_it_came_and_after(log, make_hub):
    await append(log, "r1", lines("before"))
    hub = make_hub()
    with hub.follow("r1", 0) as follower:
        early = await take(follower, 2)
        await append(log, "r1", lines("after"))
        assert all_frames(log, "r1") == early + await take(follower, 1)


async def test_a_follower_of_all_gets_every_run_in_order(log, make_hub):
    with make_hub().follow(None, 0) as follower:
        await append(log, "r1", lines("a"))
        await append(log, "r2", lines("b"))
        assert all_frames(log) == await take(follower, 4)


async def test_a_follower_of_one_run_is_not_given_another_s(log, make_hub):
    with make_hub().follow("r1", log.head()) as follower:
        await append(log, "r2", lines("b"))
        await append(log, "r1", lines("a"))
        assert [f for f in all_frames(log, "r1") if b'"a"' in f] == await take(follower, 1)


async def test_silence_is_told_apart_from_a_call_to_look(log, make_hub):
    with make_hub().follow("r1", log.head()) as follower:
        assert await follower.next(0.01) is None
        assert not follower.woken
        waiting = asyncio.ensure_future(follower.next(10))
        await asyncio.sleep(0)
        follower.wake()
        assert await waiting is None
        assert follower.woken


async def test_the_terminal_event_ends_a_stream_of_its_run(log, make_hub):
    with make_hub().follow("r1", log.head()) as follower:
        await append(log, "r1", [*lines("a"), Draft(Completed(), 1002.0)])
        chunk = await follower.next(10)
        assert (2, True) == (len(chunk.frames), chunk.ended)


async def test_the_terminal_event_of_one_run_does_not_end_the_stream_of_all(log, make_hub):
    with make_hub().follow(None, log.head()) as follower:
        await append(log, "r1", [Draft(Completed(), 1002.0)])
        assert not (await follower.next(10)).ended


@pytest.mark.parametrize("tail_bytes", [1, 500, 3000, 1_000_000])
@pytest.mark.parametrize("seed", range(5))
async def test_whoever_reads_at_whatever_pace_gets_every_entry_once_in_order(log, make_hub, tail_bytes, seed):
    chance = random.Random(seed)
    hub = make_hub(tail_bytes)
    end = [Draft(Completed(), 1002.0)]

    async def write(run_id: str) -> None:
        for number in range(60):
            await append(log, run_id, lines(*(f"{number}-{n}" for n in range(chance.randint(1, 5)))))
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
        await append(log, run_id, end)

    async def read(run_id: str, after: int) -> list[bytes]:
        found: list[bytes] = []
        with hub.follow(run_id, after) as follower:
            while True:
                for _ in range(chance.randint(0, 20)):
                    await asyncio.sleep(0)
                chunk = await follower.next(10)
                if chunk is not None:
                    found.extend(chunk.frames)
                    if chunk.ended:
                        return found

    async with asyncio.timeout(60):
        *read_r1, read_r2, _, _ = await asyncio.gather(
            *(read("r1", 0) for _ in range(4)), read("r2", 0), write("r1"), write("r2")
        )
    assert [all_frames(log, "r1")] * 4 == read_r1
    assert all_frames(log, "r2") == read_r2


async def test_the_tail_stays_within_its_bound(log, make_hub):
    hub = make_hub(5000)
    for number in range(100):
        await append(log, "r1", lines(f"{number}" * 20))
    with hub.follow("r1", log.head()) as follower:
        await append(log, "r1", lines("last"))
        await take(follower, 1)
    kept = hub.near(None, hub.start)
    assert 0 < sum(len(k.frame) for k in kept) <= 5000
    assert kept == hub.near("r1", hub.start)


async def test_closing_wakes_whoever_waits(log, make_hub):
    hub = make_hub()
    with hub.follow("r1", log.head()) as follower:
        waiting = asyncio.ensure_future(follower.next(10))
        await asyncio.sleep(0)
        hub.close()
        assert await waiting is None
        assert hub.is_closing
    await hub.empty()
