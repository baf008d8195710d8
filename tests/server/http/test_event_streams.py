"""Streams over HTTP, byte by byte: the frames, where a reader begins and resumes, heartbeats, and how streams end."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess

import httpx
import pytest
from tornado.iostream import IOStream

from streamer.model.events import Logged
from streamer.protocol import sse
from streamer.server.fan_out.relay import relay
from streamer.server.http.event_streams import StreamHandler
from streamer.server.log.base import Draft
from tests.api_support import (
    NO_CERTIFICATES,
    PATIENCE,
    STREAM,
    Api,
    Producer,
    Stream,
    data_of,
    error_of,
    running,
)

FRAME = re.compile(rb"event: ([a-z]+)\nid: ([0-9a-f]+)-(\d+)\ndata: ([\x20-\x7e]+)\n\n")


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path, heartbeat_seconds=0.05) as api:
        yield api


@pytest.fixture
async def producer(api: Api) -> Producer:
    return await api.register()


@pytest.fixture
async def finished(api: Api) -> Producer:
    """A run of five entries: queued, running, two log lines, complete."""
    producer = await api.register()
    await producer.log("one", "two")
    await producer.complete(result=5)
    return producer


def request(path: str, *headers: str, version: str = "1.1") -> str:
    return "\r\n".join((f"GET {path} HTTP/{version}", "Host: localhost", *headers, "", ""))


def body_of(answer: bytes) -> bytes:
    """The body of an answer that is not in chunks."""
    return answer.partition(b"\r\n\r\n")[2]


def kinds(frames: list[sse.Frame]) -> list[str]:
    return [frame.event for frame in frames]


def seqs(frames: list[sse.Frame]) -> list[int]:
    return [data_of(frame)["seq"] for frame in frames]


# -- frames ------------------------------------------------------------------------------------------------------------


async def test_a_frame_is_event_id_and_one_line_of_ascii_data(api, finished):
    async with await api.raw(request(f"{finished.path}/events?from=start", version="1.0")) as raw:
        body = body_of(await raw.all())
    retry, frames = body.split(b"\n", 1)
    assert re.fullmatch(rb"retry: \d+", retry)
    found = FRAME.findall(frames)
    assert [b"status", b"status", b"log", b"log", b"complete"] == [name for name, *_ in found]
    assert frames == b"".join(b"event: %b\nid: %b-%b\ndata: %b\n\n" % one for one in found)
    assert {api.streamer.log.epoch.encode()} == {epoch for _, epoch, *_ in found}


async def test_every_event_begins_with_run_seq_and_time(api, finished):
    async with api.stream(f"{finished.path}/events?from=start") as stream:
        data = [data_of(frame) for frame in await stream.rest()]
    assert [["run", "seq", "time", "event"]] * 5 == [list(one)[:4] for one in data]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]) for one in data)


async def test_ids_grow_over_all_runs(api, producer):
    other = await api.register()
    for _ in range(3):
        await producer.log("a")
        await other.log("b")
    await producer.complete()
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        offsets = [int(frame.id.rpartition("-")[2]) for frame in await stream.rest()]
    assert sorted(set(offsets)) == offsets
    assert len(offsets) == 6


async def test_text_beyond_ascii_is_escaped(api, producer):
    await producer.log("größer 日本 💥")
    await producer.complete()
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        frames = await stream.rest()
    assert stream.bytes.isascii()
    assert "größer 日本 💥" == data_of(frames[2])["message"]


async def test_the_headers_keep_proxies_from_holding_the_events(api, finished):
    async with api.stream(f"{finished.path}/events") as stream:
        assert "text/event-stream" == stream.headers["content-type"]
        assert "no-cache, no-store, no-transform" == stream.headers["cache-control"]
        assert "no" == stream.headers["x-accel-buffering"]


async def test_an_old_client_of_http_1_0_gets_the_stream_unchunked_and_its_end(api, finished):
    async with await api.raw(request(f"{finished.path}/events", version="1.0")) as raw:
        answer = await raw.all()
    assert b"transfer-encoding" not in answer.lower()
    assert body_of(answer).endswith(b"}\n\n")


async def test_a_stream_that_ended_says_that_it_is_whole_and_closes_its_connection_as_announced(
    api, finished
):
    async with await api.raw(request(f"{finished.path}/events")) as raw:
        answer = await raw.all()
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert answer.endswith(b"\n\n\r\n0\r\n\r\n")


# -- where a reader begins ---------------------------------------------------------------------------------------------


async def test_without_a_cursor_a_stream_begins_with_a_snapshot_and_goes_on_from_there(api, producer):
    await producer.log("before")
    async with api.stream(f"{producer.path}/events") as stream:
        snapshot = await stream.next()
        await producer.log("after")
        entry = await stream.next()
    assert ("snapshot", "log") == (snapshot.event, entry.event)
    data = data_of(snapshot)
    assert (producer.run, "running", snapshot.id) == (data["run"], data["status"], data["cursor"])
    assert "seq" not in data
    assert {"INFO": 1} == data["logCounts"]
    assert "after" == data_of(entry)["message"]


async def test_a_snapshot_is_the_state_that_the_api_gives(api, finished):
    async with api.stream(f"{finished.path}/events") as stream:
        (snapshot,) = await stream.rest()
    state = await finished.state()
    # What is known of its life at this moment is no part of the state.
    assert state.pop("life") is None
    assert {**state, "event": "snapshot"} == data_of(snapshot)


async def test_from_start_replays_everything_then_goes_on(api, producer):
    await producer.log("before")
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        assert [1, 2, 3] == seqs(await stream.take(3))
        await producer.log("after")
        assert [4] == seqs(await stream.take(1))


async def test_a_state_s_cursor_resumes_behind_it(api, producer):
    await producer.log("before")
    cursor = (await producer.state())["cursor"]
    await producer.log("after")
    async with api.stream(f"{producer.path}/events", headers={"Last-Event-ID": cursor}) as stream:
        assert "after" == data_of(await stream.next())["message"]


@pytest.mark.parametrize("seen", range(1, 5))
async def test_a_reader_resumes_behind_the_last_event_it_saw(api, finished, seen):
    async with api.stream(f"{finished.path}/events?from=start") as stream:
        cursor = (await stream.take(seen))[-1].id
    async with api.stream(f"{finished.path}/events?last_event_id={cursor}") as stream:
        assert list(range(seen + 1, 6)) == seqs(await stream.rest())


async def test_the_header_wins_over_the_query(api, finished):
    async with api.stream(f"{finished.path}/events?from=start") as stream:
        first, _, third, *_ = [frame.id for frame in await stream.rest()]
    options = {"params": {"last_event_id": first}, "headers": {"Last-Event-ID": third}}
    async with api.stream(f"{finished.path}/events", **options) as stream:
        assert [4, 5] == seqs(await stream.rest())


async def test_a_cursor_wins_over_from_start(api, finished):
    async with api.stream(f"{finished.path}/events?from=start") as stream:
        third = (await stream.take(3))[-1].id
    async with api.stream(f"{finished.path}/events?from=start", headers={"Last-Event-ID": third}) as stream:
        assert [4, 5] == seqs(await stream.rest())


@pytest.mark.parametrize(
    "cursor",
    [
        "000000000000-1",
        "nonsense",
        "-",
        "-1",
        "1",
        "0-",
        "99999999999999999999-99999999999999999999",
        "\u00e4-1",
        "a b-1",
    ],
)
async def test_a_cursor_of_no_log_of_ours_is_reset_with_a_snapshot(api, producer, cursor):
    async with api.stream(f"{producer.path}/events", headers={"Last-Event-ID": cursor.encode()}) as stream:
        reset, snapshot = await stream.take(2)
    assert ("reset", "snapshot") == (reset.event, snapshot.event)
    assert {"event": "reset", "run": producer.run, "reason": "the cursor is of another log"} == data_of(reset)


async def test_a_cursor_beyond_the_end_of_the_log_is_reset_with_a_snapshot(api, producer):
    cursor = f"{api.streamer.log.epoch}-999"
    await producer.log("before")
    async with api.stream(f"{producer.path}/events?last_event_id={cursor}") as stream:
        reset, snapshot = await stream.take(2)
        await producer.log("after")
        entry = await stream.next()
    assert ("reset", "snapshot", "log") == (reset.event, snapshot.event, entry.event)
    assert "the cursor lies beyond the end of the log" == data_of(reset)["reason"]


async def test_a_reset_has_no_id_so_that_a_reader_resumes_at_the_snapshot(api, producer):
    path = f"{producer.path}/events?last_event_id=other-1"
    async with await api.raw(request(path, version="1.0")) as raw:
        body = body_of(await raw.until(b"event: snapshot\nid: "))
    assert re.match(rb"retry: \d+\nevent: reset\ndata: \{[^\n]*\}\n\nevent: snapshot\nid: ", body)


async def test_a_foreign_cursor_of_a_finished_run_is_reset_then_the_stream_ends(api, finished):
    async with api.stream(f"{finished.path}/events?last_event_id=other-1") as stream:
        assert ["reset", "snapshot"] == kinds(await stream.rest())


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=middle", "from"),
        ("format=xml", "format"),
        ("last_event_id=%ff", "last_event_id"),
        ("from=%ff", "from"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused(api, producer, query, field):
    error = error_of(await api.http.get(f"{producer.path}/events?{query}"), 400, "invalid")
    assert field == error["details"][0]["field"]


# -- heartbeats and retry ----------------------------------------------------------------------------------------------


async def test_a_heartbeat_is_a_colon_and_one_newline(api, producer):
    async with await api.raw(request(f"{producer.path}/events", version="1.0")) as raw:
        body = body_of(await raw.until(b"}\n\n:\n:\n:\n"))
    assert body.endswith(b"}\n\n:\n:\n:\n")
    assert b":\n\n:" not in body


async def test_heartbeats_come_in_chunks_of_their_own(api, producer):
    async with await api.raw(request(f"{producer.path}/events")) as raw:
        await raw.until(b"\r\n2\r\n:\n\r\n2\r\n:\n\r\n")


async def test_heartbeats_between_events_do_not_disturb_them(api, producer):
    async with api.stream(f"{producer.path}/events") as stream:
        await stream.until(b"\n\n:\n:\n")
        await producer.log("after")
        await stream.until(b'"after"')
        await stream.until(b"\n\n:\n:\n")
        await producer.complete()
        assert ["snapshot", "status", "log", "complete"] == kinds(await stream.rest())


async def test_the_delay_before_reconnecting_differs_from_connection_to_connection(tmp_path):
    async with running(tmp_path, retry_milliseconds=1000) as api:
        producer = await api.register()
        delays = []
        for _ in range(8):
            async with api.stream(f"{producer.path}/events") as stream:
                delays.append(int(re.match(rb"retry: (\d+)\n", await stream.until(b"\n"))[1]))
    assert len(set(delays)) > 1
    assert all(500 <= delay <= 1500 for delay in delays)


async def test_a_stream_that_begins_with_nothing_still_sends_its_first_bytes_at_once(tmp_path):
    async with running(tmp_path, heartbeat_seconds=1000) as api:
        producer = await api.register()
        cursor = (await producer.state())["cursor"]
        async with api.stream(f"{producer.path}/events?last_event_id={cursor}") as stream:
            assert re.fullmatch(rb"retry: \d+\n", await stream.until(b"\n"))
        async with api.stream(f"{producer.path}/events?last_event_id={cursor}&format=data") as stream:
            assert b":\n\n" == await stream.until(b"\n\n")


# -- how streams end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["complete", "failed", "cancelled"])
async def test_the_server_closes_after_the_terminal_event(api, producer, kind):
    async with api.stream(f"{producer.path}/events") as stream:
        await stream.next()
        await producer.send({"event": kind})
        assert kind == (await stream.rest())[-1].event


async def test_a_stream_of_a_finished_run_is_a_snapshot_and_ends(api, finished):
    async with api.stream(f"{finished.path}/events") as stream:
        (snapshot,) = await stream.rest()
    assert ("snapshot", "complete") == (snapshot.event, data_of(snapshot)["status"])


async def test_a_resume_at_the_end_of_a_finished_run_is_204(api, finished):
    cursor = (await finished.state())["cursor"]
    answer = await api.http.get(f"{finished.path}/events", headers={"Last-Event-ID": cursor})
    assert (204, b"") == (answer.status_code, answer.content)
    assert "content-type" not in answer.headers


async def test_a_resume_behind_the_end_of_a_finished_run_is_204_too(api, finished):
    other = await api.register()
    cursor = (await other.state())["cursor"]
    assert 204 == (await api.http.get(f"{finished.path}/events?last_event_id={cursor}")).status_code


async def test_an_event_source_gets_everything_once_then_is_told_to_stop(api, producer):
    seen, cursor = [], None
    for number in range(1, 4):
        headers = {} if cursor is None else {"Last-Event-ID": cursor}
        async with api.stream(f"{producer.path}/events?from=start", headers=headers) as stream:
            await producer.log(f"line {number}")
            while f"line {number}" not in (seen[-1] if seen else ""):
                frame = await stream.next()
                seen.append(frame.data)
                cursor = frame.id
    await producer.complete()
    async with api.stream(f"{producer.path}/events", headers={"Last-Event-ID": cursor}) as stream:
        (last,) = await stream.rest()
    assert [1, 2, 3, 4, 5] == [json.loads(data)["seq"] for data in seen]
    assert (
        204 == (await api.http.get(f"{producer.path}/events", headers={"Last-Event-ID": last.id})).status_code
    )


async def test_a_reader_that_leaves_is_forgotten(api, producer):
    async with api.stream(f"{producer.path}/events") as stream:
        await stream.next()
        assert 1 == api.streamer.hub.subscribers
    await api.until(lambda: api.streamer.hub.subscribers == 0)


async def test_where_the_socket_cannot_be_had_a_stream_is_written_by_tornado(api, producer, monkeypatch):
    relayed = []

    async def counted(*args, **options):
        relayed.append(args)
        await relay(*args, **options)

    fileno = IOStream.fileno
    monkeypatch.setattr("streamer.server.fan_out.hub.relay", counted)
    # As if another Tornado gave the descriptor's number.
    monkeypatch.setattr(IOStream, "fileno", lambda stream: fileno(stream).fileno())
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        await producer.log("one")
        await producer.complete()
        frames = await stream.rest()
    assert "complete" == frames[-1].event
    assert 1 == len(relayed)
    await api.until(lambda: api.streamer.hub.subscribers == 0)


@pytest.mark.slow
async def test_a_reader_that_takes_nothing_is_closed(tmp_path):
    async with running(tmp_path, write_timeout_seconds=0.1) as api:
        producer = await api.register()
        async with await api.raw(request(f"{producer.path}/events?from=start")) as raw:
            await raw.until(b"event: status")
            raw.writer.transport.pause_reading()
            for _ in range(20):
                await producer.log(*(["x" * 8000] * 100))
            await api.until(lambda: api.streamer.hub.subscribers == 0)
        assert "streamer_stalled_readers_closed_total 1.0" in (await api.http.get("/metrics")).text


async def test_one_stream_too_many_is_refused_for_now_and_starts_nothing(tmp_path):
    async with running(tmp_path, max_streams=1) as api:
        producer = await api.register()
        async with api.stream(f"{producer.path}/events") as stream:
            await stream.next()
            answer = await api.http.get(f"{producer.path}/events")
            error_of(answer, 503, "too_many_streams")
            assert "1" == answer.headers["retry-after"]
            error_of(
                await api.http.post("/api/pipelines/Plain/runs", headers=STREAM), 503, "too_many_streams"
            )
            assert [producer.run] == [one["run"] for one in (await api.http.get("/api/runs")).json()["runs"]]


async def test_a_streamer_that_stops_ends_its_streams_without_a_made_up_event(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register()
        async with api.stream(f"{producer.path}/events") as stream:
            await stream.next()
            closing = asyncio.create_task(api.streamer.close())
            assert [] == await stream.rest()
            await closing


# -- the stream of all runs --------------------------------------------------------------------------------------------


async def test_all_runs_come_on_one_connection(api, producer):
    async with api.stream("/api/events") as stream:
        snapshot = await stream.next()
        other = await api.register("Another")
        await producer.log("a")
        await other.complete()
        frames = await stream.take(5)
    assert [producer.run] == [one["run"] for one in data_of(snapshot)["runs"]]
    assert data_of(snapshot)["cursor"] == snapshot.id
    assert [other.run, producer.run, producer.run, other.run, other.run] == [
        data_of(one)["run"] for one in frames
    ]
    assert ["status", "status", "log", "status", "complete"] == kinds(frames)


async def test_the_end_of_one_run_does_not_end_the_stream_of_all(api, producer):
    async with api.stream("/api/events") as stream:
        await producer.complete()
        other = await api.register()
        snapshot, *frames = await stream.take(4)
    assert "snapshot" == snapshot.event
    assert other.run == data_of(frames[-1])["run"]


async def test_what_the_loop_does_not_know_of_yet_comes_behind_the_snapshot_of_all(
    api, producer, monkeypatch
):
    log, cursor = api.streamer.log, StreamHandler._cursor

    def stored_just_before(handler):
        # Not awaited: the loop, which waits here, does not know of it.
        log.append(producer.run, [Draft(Logged(message="just before"), 1000.0)]).result(PATIENCE)
        return cursor(handler)

    monkeypatch.setattr(StreamHandler, "_cursor", stored_just_before)
    async with api.stream("/api/events") as stream:
        snapshot, line = await stream.take(2)
    assert "just before" == data_of(line)["message"]
    assert data_of(snapshot)["runs"][0]["lastSeq"] + 1 == data_of(line)["seq"]


@pytest.mark.slow
async def test_the_snapshot_of_all_has_the_newest_runs_and_every_one_under_way(api):
    oldest = await api.register("The oldest, still under way")
    await (await api.register("An old one that is over")).complete()
    newest = [await api.register() for _ in range(50)]
    for one in newest:
        await one.complete()
    async with api.stream("/api/events") as stream:
        runs = [one["run"] for one in data_of(await stream.next())["runs"]]
    assert {oldest.run, *(one.run for one in newest)} == set(runs)
    assert [one.run for one in newest[::-1]] == runs[:50]


async def test_the_stream_of_all_resumes_and_replays(api, producer):
    await producer.log("a", "b")
    async with api.stream("/api/events?from=start") as stream:
        first = await stream.take(4)
    async with api.stream("/api/events", headers={"Last-Event-ID": first[2].id}) as stream:
        again = await stream.next()
    assert first[3] == again


async def test_a_foreign_cursor_resets_the_stream_of_all(api, producer):
    async with api.stream("/api/events?last_event_id=other-5") as stream:
        reset, snapshot = await stream.take(2)
    assert {"event": "reset", "reason": "the cursor is of another log"} == data_of(reset)
    assert [producer.run] == [one["run"] for one in data_of(snapshot)["runs"]]


async def test_the_stream_of_all_has_heartbeats(api):
    async with api.stream("/api/events") as stream:
        await stream.until(b"\n\n:\n:\n")


# -- the plainest client -----------------------------------------------------------------------------------------------


async def test_format_data_has_nothing_but_data_lines(api, finished):
    path = f"{finished.path}/events?from=start&format=data"
    async with await api.raw(request(path, version="1.0")) as raw:
        body = body_of(await raw.all())
    blocks = body.removesuffix(b"\n\n").split(b"\n\n")
    if blocks[0] == b":":
        blocks = blocks[1:]
    assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks)
    kinds = [json.loads(block.removeprefix(b"data: "))["event"] for block in blocks]
    assert ["status", "status", "log", "log", "complete"] == kinds


async def test_format_data_has_heartbeats_with_a_blank_line_and_no_retry(api, producer):
    async with await api.raw(request(f"{producer.path}/events?format=data", version="1.0")) as raw:
        body = body_of(await raw.until(b"}\n\n:\n\n:\n\n"))
    assert body.startswith(b'data: {"event":"snapshot"')
    assert b"retry:" not in body
    assert b"\nid:" not in body
    assert b"event:" not in body.replace(b'"event":', b"")


async def test_format_data_says_resets_too(api, producer):
    async with api.stream(f"{producer.path}/events?format=data&last_event_id=other-1") as stream:
        reset, snapshot = await stream.take(2)
    assert ("reset", "snapshot") == (data_of(reset)["event"], data_of(snapshot)["event"])


async def test_format_data_is_for_the_stream_of_all_as_well(api, producer):
    async with api.stream("/api/events?format=data") as stream:
        assert "snapshot" == data_of(await stream.next())["event"]
        await producer.log("a")
        assert "status" == data_of(await stream.next())["event"]


async def test_who_asks_for_a_stream_of_sse_by_name_gets_it(api, finished):
    async with api.stream(f"{finished.path}/events?format=sse") as stream:
        assert ["snapshot"] == kinds(await stream.rest())


# -- starting a run and reading it on the same connection --------------------------------------------------------------


async def test_the_answer_to_a_start_can_be_the_stream_of_the_new_run(api):
    async with api.stream("/api/pipelines/Plain/runs", "POST", json={"n": 5}, headers=STREAM) as stream:
        first = data_of(await stream.next())
        assert ("status", "queued", 1) == (first["event"], first["status"], first["seq"])
        assert ("Plain", 5) == (first["pipeline"], first["parameters"]["n"])
        assert f"/api/runs/{first['run']}" == stream.headers["location"]
        assert "text/event-stream" == stream.headers["content-type"]
        handle = await api.handle(first["run"])
        await Producer(api.http, first["run"], handle.spec.token).complete()
        assert "complete" == (await stream.rest())[-1].event


async def test_such_a_stream_may_be_in_the_plainest_format(api):
    path = "/api/pipelines/Plain/runs?format=data"
    async with api.stream(path, "POST", headers=STREAM) as stream:
        assert "queued" == data_of(await stream.next())["status"]
        assert b"event: " not in stream.bytes


async def test_what_is_refused_is_refused_as_json_though_a_stream_was_asked_for(api):
    answer = await api.http.post("/api/pipelines/Plain/runs", json={"n": 0}, headers=STREAM)
    error_of(answer, 422, "invalid")


async def test_a_client_that_leaves_cancels_its_run_if_it_said_so(api):
    path = "/api/pipelines/Plain/runs?on_disconnect=cancel"
    async with api.stream(path, "POST", headers=STREAM) as stream:
        run = data_of(await stream.next())["run"]
        await api.handle(run)
    state = await api.status(run, "cancelling")
    assert "by its reader, who left" in state["message"]


async def test_a_client_that_leaves_the_queue_cancels_its_run_if_it_said_so(tmp_path):
    async with running(tmp_path, max_runs=1) as api:
        await api.handle(await api.start())
        path = "/api/pipelines/Plain/runs?on_disconnect=cancel"
        async with api.stream(path, "POST", headers=STREAM) as stream:
            run = data_of(await stream.next())["run"]
        await api.status(run, "cancelled")


async def test_a_client_that_leaves_otherwise_leaves_its_run_alone(api):
    async with api.stream("/api/pipelines/Plain/runs", "POST", headers=STREAM) as stream:
        run = data_of(await stream.next())["run"]
        await api.handle(run)
    await api.until(lambda: api.streamer.hub.subscribers == 0)
    assert "running" == (await api.state(run))["status"]


async def test_a_run_that_ended_is_not_cancelled_by_its_reader_s_leaving(api):
    path = "/api/pipelines/Plain/runs?on_disconnect=cancel"
    async with api.stream(path, "POST", headers=STREAM) as stream:
        run = data_of(await stream.next())["run"]
        await Producer(api.http, run, (await api.handle(run)).spec.token).complete()
        await stream.rest()
    assert "complete" == (await api.state(run))["status"]


# -- many readers, long logs -------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_reader_far_behind_reads_the_log_and_misses_nothing(tmp_path):
    async with running(tmp_path, tail_bytes=10_000) as api:
        producer = await api.register()
        for _ in range(5):
            await producer.log(*("x" * 100 for _ in range(500)))
        await producer.complete()
        async with api.stream(f"{producer.path}/events?from=start") as stream:
            assert list(range(1, 2504)) == seqs(await stream.rest())
        assert api.streamer.metrics.counts.replays_from_log > 0


@pytest.mark.slow
async def test_many_readers_at_different_places_all_see_everything_once(tmp_path):
    async with running(tmp_path, tail_bytes=20_000) as api:
        producer = await api.register()

        async def read() -> list[int]:
            limits = httpx.Limits(max_connections=1)
            options = {
                "base_url": api.streamer.url,
                "verify": NO_CERTIFICATES,
                "limits": limits,
                "timeout": PATIENCE,
            }
            async with (
                httpx.AsyncClient(**options) as http,
                http.stream("GET", f"{producer.path}/events?from=start") as response,
            ):
                return seqs(await Stream(response).rest())

        readers = []
        for number in range(20):
            readers.append(asyncio.create_task(read()))
            await producer.log(*(f"{number} {n} " + "x" * 50 for n in range(50)))
        await producer.complete()
        for reader in readers:
            assert list(range(1, 1004)) == await reader


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_sees_the_frames_as_they_come(api, producer):
    command = ["curl", "-sN", "--max-time", "10", f"{api.streamer.url}{producer.path}/events"]
    curl = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert curl.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert re.fullmatch(rb"retry: \d+\n", await curl.stdout.readline())
            assert b"event: snapshot\n" == await curl.stdout.readline()
            await producer.complete()
            rest = await curl.stdout.read()
        assert rest.endswith(b"}\n\n")
        assert b"\n\nevent: complete\nid: " in rest
        assert 0 == await curl.wait()
    finally:
        if curl.returncode is None:
            curl.kill()
            await curl.wait()
