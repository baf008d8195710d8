"""What is promised of streams, against real processes and sockets. `benchmarks/soak.py` runs the same at length."""

from __future__ import annotations

import asyncio

import pytest

from streamer.client.client import Client
from tests.api_support import running
from tests.reliability import streams
from tests.support import ServerProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path, request):
    environment = {f"STREAMER_{name.upper()}": str(value) for name, value in request.param.items()}
    with ServerProcess.streamer(tmp_path, environment=environment) as server:
        yield server


@pytest.fixture(scope="session")
def event_source(request):
    return streams.install_event_source(request.config.cache.mkdir("event-source"))


@pytest.mark.parametrize("server", [{"retry_milliseconds": 1}], indirect=True, ids=[""])
async def test_a_hundred_thousand_entries_come_once_and_in_order_through_two_hundred_cuts(
    server, event_source
):
    await streams.disconnects(server, event_source, entries=100_000, cuts=200, seed=1)


async def test_a_thousand_readers_who_join_at_full_speed_all_fold_to_the_final_state(tmp_path):
    await streams.joining(tmp_path, readers=1000, seed=2)


@pytest.mark.parametrize("server", [{"write_timeout_seconds": 3}], indirect=True, ids=[""])
async def test_readers_that_take_nothing_cost_little_harm_nobody_and_are_closed(server):
    await streams.stalled_readers(server, stalled=50, healthy=500, megabytes=6, beats=30)


@pytest.mark.parametrize(
    "server", [{"heartbeat_seconds": 0.3, "write_timeout_seconds": 1}], indirect=True, ids=[""]
)
async def test_peers_that_vanish_leave_nothing_behind(server):
    times = dict.fromkeys(streams.WAYS, 50) | {"before the first byte": 5000}
    await streams.vanishing(server, times=times)


async def test_readers_that_left_have_no_task(tmp_path):
    async with running(tmp_path, heartbeat_seconds=0.1, write_timeout_seconds=0.5) as api:
        producer = await api.register()
        port = int(api.streamer.url.rpartition(":")[2])
        before = len(asyncio.all_tasks())
        kept = []
        for way in streams.WAYS:
            kept += await asyncio.to_thread(streams.vanish, way, port, f"{producer.path}/events", 20)
        await api.until(lambda: api.streamer.hub.subscribers == 0)
        await api.until(lambda: len(asyncio.all_tasks()) <= before)
        for connection in kept:
            connection.close()


@pytest.mark.parametrize("server", [{}], indirect=True, ids=[""])
async def test_a_streamer_that_stops_tells_two_thousand_readers_when_to_come_back(server):
    await streams.drain(server, readers=2000, seconds=5)


async def test_a_reader_whose_stream_is_renewed_again_and_again_misses_nothing(tmp_path):
    options = {"max_stream_seconds": 0.1, "heartbeat_seconds": 0.1, "retry_milliseconds": 20}
    async with running(tmp_path, **options) as api, Client(api.streamer.url) as client, asyncio.timeout(60):
        producer = await api.register()
        counts = api.streamer.metrics.counts

        async def produce() -> None:
            while counts.rotated < 5:
                await producer.log("a")
            await producer.complete()

        producing = asyncio.ensure_future(produce())
        seqs = [entry.seq async for entry in client.entries(producer.run, from_start=True)]
        await producing
    assert list(range(1, producer.seq + 3)) == seqs
