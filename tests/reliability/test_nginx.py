"""Behind nginx, with the configurations that `docs/nginx.md` shows: prompt, kept open, and nothing lost by a reload."""

from __future__ import annotations

import statistics

import httpx
import pytest

from streamer import Client
from streamer import run as reported
from tests.api_support import Stream, ndjson
from tests.reliability.nginx import Nginx, Reader, one_by_one, produced, reloads, silent
from tests.support import ServerProcess, wait_until, wait_until_async

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


@pytest.mark.parametrize(
    ("name", "changes"), [("default", {}), ("site", {}), ("site", PACKED)], ids=["default", "site", "packed"]
)
async def test_each_event_arrives_before_the_next_is_sent(streamer, tmp_path, name, changes):
    with Nginx(tmp_path, name, streamer=streamer.port, changes=changes) as nginx:
        taken = await one_by_one(nginx, 30)
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


@pytest.mark.parametrize(("name", "status"), [("default", 413), ("site", 200)])
async def test_a_batch_of_more_than_a_megabyte_needs_the_setting(streamer, tmp_path, name, status):
    with Nginx(tmp_path, name, streamer=streamer.port) as nginx:
        async with produced(nginx) as producer:
            answer = await producer.post(
                ndjson(*({"event": "log", "message": "x" * 7900} for _ in range(150)))
            )
    assert status == answer.status_code


def test_a_producer_of_ours_comes_through_without_it(streamer, tmp_path, monkeypatch):
    with Nginx(tmp_path, "default", streamer=streamer.port) as nginx:
        monkeypatch.setenv("STREAMER_URL", nginx.url)
        with reported("large batches") as run:
            for _ in range(300):
                run.log.info("x" * 7900)
        # Sent by a thread: nothing of it is waited for at the end of the block.
        (state,) = wait_until(lambda: complete(nginx, "large batches"), timeout=60)
    assert {"INFO": 300} == state["logCounts"]


def complete(nginx, title):
    """Return the runs of that title that are complete."""
    asked = {"search": title, "status": "complete"}
    return httpx.get(f"{nginx.url}/api/runs", params=asked, timeout=30).json()["runs"]


async def test_heartbeats_carry_a_silent_stream_past_the_read_timeout(streamer, tmp_path):
    with Nginx(tmp_path, "site", streamer=streamer.port, changes=SOON) as nginx:
        await silent(nginx, round(2 * READ_TIMEOUT_SECONDS / HEARTBEAT_SECONDS))


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
        assert await reloads(nginx, 1, cuts=bool(resumes)) <= resumes
