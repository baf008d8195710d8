"""Behind nginx, with the configurations that `docs/nginx.md` shows: prompt, kept open, and nothing lost by a reload."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time

import httpx
import pytest

from streamer import Client
from streamer.events import Logged
from tests.api_support import Producer, Stream
from tests.reliability.nginx import Nginx
from tests.support import ServerProcess, wait_until_async

pytestmark = pytest.mark.slow

#: Everything compressed, as somebody may have set it for a whole site.
PACKED = {"gzip_types application/json application/javascript text/css;": "gzip_types *; gzip_min_length 0;"}
#: The timeout of the documentation, scaled down with the heartbeats.
READ_TIMEOUT_SECONDS = 2
HEARTBEAT_SECONDS = 0.5
SOON = {"proxy_read_timeout 20s;": f"proxy_read_timeout {READ_TIMEOUT_SECONDS}s;"}


@pytest.fixture(scope="module")
def streamer(tmp_path_factory):
    environment = {"STREAMER_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}
    with ServerProcess.streamer(tmp_path_factory.mktemp("streamer"), environment=environment) as running:
        yield running


@contextlib.asynccontextmanager
async def produced(nginx):
    """Register a run through nginx and yield its producer."""
    async with httpx.AsyncClient(base_url=nginx.url, timeout=30) as http:
        answer = (await http.post("/api/runs", json={"title": "behind nginx"})).json()
        yield Producer(http, answer["run"], answer["token"])


@pytest.mark.parametrize(
    ("name", "changes"), [("default", {}), ("site", {}), ("site", PACKED)], ids=["default", "site", "packed"]
)
async def test_each_event_arrives_before_the_next_is_sent(streamer, tmp_path, name, changes):
    taken = []
    with Nginx(tmp_path, name, streamer=streamer.port, changes=changes) as nginx:
        async with produced(nginx) as producer, Client(nginx.url) as client:
            await producer.log("before")
            async with client.entries(producer.run) as stream:
                entries = aiter(stream)
                assert ["status", "status"] == [
                    (await anext(entries)).event.__struct_config__.tag for _ in range(2)
                ]
                assert "before" == (await anext(entries)).event.message
                for number in range(30):
                    sent = time.perf_counter()
                    await producer.log(f"line {number}")
                    assert f"line {number}" == (await anext(entries)).event.message
                    taken.append(1000 * (time.perf_counter() - sent))
    said = f"{name}: an event arrived after {statistics.median(taken):.1f} ms, {max(taken):.1f} ms at most"
    print(said)  # noqa: T201 - a figure, which nothing depends on


async def test_a_browser_that_takes_gzip_gets_each_event_at_once(streamer, tmp_path):
    headers = {"Accept-Encoding": "gzip", "Accept": "text/event-stream"}
    with Nginx(tmp_path, "site", streamer=streamer.port, changes=PACKED) as nginx:
        async with (
            produced(nginx) as producer,
            producer.http.stream("GET", f"{producer.path}/events", headers=headers) as response,
        ):
            assert "gzip" == response.headers["content-encoding"]
            stream = Unpacked(response)
            assert "snapshot" == (await stream.next()).event
            await producer.post(b"")
            assert "status" == (await stream.next()).event
            for number in range(10):
                await producer.log(f"line {number}")
                assert f'"line {number}"' in (await stream.next()).data


class Unpacked(Stream):
    """A stream that is read as a browser reads it, unpacked where it was packed on its way."""

    def __init__(self, response):
        super().__init__(response)
        self._chunks = response.aiter_bytes()


async def test_heartbeats_carry_a_silent_stream_past_the_read_timeout(streamer, tmp_path):
    with Nginx(tmp_path, "site", streamer=streamer.port, changes=SOON) as nginx:
        async with produced(nginx) as producer:
            await producer.log("before")
            async with producer.http.stream("GET", f"{producer.path}/events") as response:
                stream = Stream(response)
                assert "snapshot" == (await stream.next()).event
                await heartbeats(stream, 2 * READ_TIMEOUT_SECONDS / HEARTBEAT_SECONDS)
                await producer.log("after")
                assert "after" in (await stream.next()).data


async def heartbeats(stream, number):
    """Read on until a stream had so many heartbeats, and nothing else."""
    async with asyncio.timeout(60):
        while stream.bytes.splitlines().count(b":") < number:
            assert await stream._more(), "cut"


class Reader:
    """The project's client as it follows a run in a task: what came, and how often it was connected."""

    def __init__(self, client, run):
        self.messages = []
        self.connections = 0
        self._stream = client.entries(run, on_connection=self._connected)
        self.task = asyncio.create_task(self._read())

    def _connected(self, state, detail):
        self.connections += state == "live"

    async def _read(self):
        async for entry in self._stream:
            if isinstance(entry.event, Logged):
                self.messages.append(entry.event.message)

    async def until(self, number):
        await wait_until_async(lambda: len(self.messages) >= number, timeout=60)

    async def end(self, producer):
        await producer.complete()
        await asyncio.wait_for(self.task, 60)


async def test_without_heartbeats_in_time_nginx_cuts_and_the_client_resumes(tmp_path):
    environment = {"STREAMER_HEARTBEAT_SECONDS": "60", "STREAMER_RETRY_MILLISECONDS": "100"}
    changes = {"proxy_read_timeout 20s;": "proxy_read_timeout 1s;"}
    with (
        ServerProcess.streamer(tmp_path, environment=environment) as alone,
        Nginx(tmp_path, "site", streamer=alone.port, changes=changes) as nginx,
    ):
        async with produced(nginx) as producer, Client(nginx.url) as client:
            await producer.log("before")
            reader = Reader(client, producer.run)
            await wait_until_async(lambda: reader.connections >= 2, timeout=60)
            await producer.log("after")
            await reader.end(producer)
    assert ["before", "after"] == reader.messages


@pytest.mark.parametrize(
    ("main", "resumes"), [("", 0), ("worker_shutdown_timeout 1s;", 1)], ids=["default", "shutdown-timeout"]
)
async def test_a_reload_costs_at_most_one_resume_and_no_entry(streamer, tmp_path, main, resumes):
    with Nginx(tmp_path, "site", streamer=streamer.port, main=main) as nginx:
        async with produced(nginx) as producer, Client(nginx.url) as client:
            reader = Reader(client, producer.run)
            await producer.log(*(f"line {number}" for number in range(50)))
            await reader.until(50)
            nginx.reload()
            await producer.log(*(f"line {number}" for number in range(50, 100)))
            if resumes:
                await wait_until_async(lambda: len(nginx.workers()) == 1, timeout=60)
            await producer.log(*(f"line {number}" for number in range(100, 150)))
            await reader.end(producer)
    assert [f"line {number}" for number in range(150)] == reader.messages
    assert reader.connections - 1 <= resumes
