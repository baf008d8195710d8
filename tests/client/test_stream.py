"""Streams: a client reads them, resumes, stops, and pauses between two attempts."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils

import pytest

from streamer.client.client import (
    ApiError,
    Client,
    ProtocolError,
    StreamerAway,
    StreamReset,
)
from streamer.model.events import Completed
from streamer.model.state import RunState
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import Reset, Snapshot, SnapshotOfAll, frame_of, reset_frame, snapshot_frame
from streamer.settings import Settings
from tests.client.scripted import (
    EPOCH,
    Said,
    Script,
    ScriptedServer,
    entry,
    frames,
    last,
    seqs,
    snapshot,
)
from tests.support import FakeClock, free_port, wait_until_async

# -- what a strict client does, and what ours does by default ----------------------------------------------------------


@pytest.mark.parametrize("content_type", ["x bogus", "text/x-bogus", "text/event-streams", "text/html", None])
async def test_another_content_type_ends_the_stream_with_an_error(make, content_type) -> None:
    async with ScriptedServer(Script(frames(1), content_type=content_type)) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="text/event-stream"):
            await seqs(client.entries("r1"))
        assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "content_type", ["text/event-stream;", "text/event-stream; charset=utf-8", "Text/Event-Stream ;x=y"]
)
async def test_parameters_and_case_of_the_content_type_do_not_matter(make, content_type) -> None:
    async with ScriptedServer(Script(last(1), content_type=content_type)) as server, make(server) as client:
        assert [1] == await seqs(client.entries("r1"))


@pytest.mark.parametrize("strict", [False, True])
async def test_204_ends_the_stream_for_good(make, strict) -> None:
    script = Script(status=204, content_type=None)
    async with ScriptedServer(script) as server, make(server, strict=strict) as client:
        stream = client.entries("r1")
        assert [] == await seqs(stream)
        assert [] == await seqs(stream)
        assert stream.is_over()
        assert 1 == len(server.requests)


@pytest.mark.parametrize("status", [205, 210, 299, 404, 410, 429, 500, 503])
async def test_a_strict_client_does_not_come_back_after_any_other_status(make, status) -> None:
    async with ScriptedServer(Script(status=status)) as server, make(server, strict=True) as client:
        with pytest.raises(ApiError) as caught:
            await seqs(client.entries("r1"))
        assert status == caught.value.status
        assert 1 == len(server.requests)


@pytest.mark.parametrize("status", [205, 210, 299, 304, 400, 401, 403, 404, 410, 418])
async def test_by_default_what_will_not_change_is_not_tried_again(make, status) -> None:
    async with ScriptedServer(Script(status=status)) as server, make(server) as client:
        with pytest.raises(ApiError) as caught:
            await seqs(client.entries("r1"))
        assert status == caught.value.status
        assert 1 == len(server.requests)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_by_default_what_may_pass_is_tried_again(make, status) -> None:
    said = Said()
    async with (
        ScriptedServer(Script(status=status), Script(status=status), Script(last(1))) as server,
        make(server) as client,
    ):
        assert [1] == await seqs(client.entries("r1", on_connection=said))
        assert 3 == len(server.requests)
    assert ["connecting", "away", "live"] == said.states


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(make, status) -> None:
    async with ScriptedServer(Script(last(1))) as target:
        away = Script(status=status, headers={"Location": f"{target.url}/elsewhere"})
        async with ScriptedServer(away) as server, make(server) as client:
            assert [1] == await seqs(client.entries("r1"))
            assert "/elsewhere" == target.requests[0].target
            assert b"text/event-stream" == target.requests[0].headers["accept"]


async def test_redirects_without_end_are_an_error(make) -> None:
    round_and_round = [Script(status=302, headers={"Location": "/again"}) for _ in range(30)]
    async with ScriptedServer(*round_and_round) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="redirected"):
            await seqs(client.entries("r1"))


async def test_a_redirect_to_something_else_than_http_is_an_error(make) -> None:
    script = Script(status=302, headers={"Location": "ftp://127.0.0.1/"})
    async with ScriptedServer(script) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="redirected"):
            await seqs(client.entries("r1"))


async def test_the_token_does_not_follow_a_redirect_to_another_server(make) -> None:
    async with ScriptedServer(Script(last(1))) as target:
        away = Script(status=307, headers={"Location": f"{target.url}/"})
        async with ScriptedServer(away) as server, make(server, token="secret") as client:
            await seqs(client.entries("r1"))
        assert b"Bearer secret" == server.requests[0].headers["authorization"]
        assert "authorization" not in target.requests[0].headers


async def test_every_request_says_what_it_accepts_and_that_nothing_may_be_cached(make) -> None:
    async with ScriptedServer(Script(frames(1)), Script(last(2))) as server, make(server) as client:
        assert [1, 2] == await seqs(client.entries("r1"))
        for request in server.requests:
            assert b"text/event-stream" == request.headers["accept"]
            assert b"no-cache" == request.headers["cache-control"]
            assert b"identity" == request.headers["accept-encoding"]


async def test_it_comes_back_after_the_pause_that_the_streamer_asks_for(make, pauses) -> None:
    said = Said()
    async with (
        ScriptedServer(Script(b"retry: 2\n"), Script(last(1))) as server,
        make(server) as client,
    ):
        assert [1] == await seqs(client.entries("r1", on_connection=said))
    assert [0.002] == pauses.seconds
    assert ["connecting", "live", "connecting", "live"] == said.states


async def test_it_comes_back_until_204(make, pauses) -> None:
    scripts = Script(b"retry: 2\n" + frames(1)), Script(frames(2)), Script(status=204, content_type=None)
    async with ScriptedServer(*scripts) as server, make(server) as client:
        assert [1, 2] == await seqs(client.entries("r1"))
        assert 3 == len(server.requests)
    assert [0.002, 0.002] == pauses.seconds


async def test_what_is_asked_after_it_was_closed_is_answered_by_nobody(make) -> None:
    async with ScriptedServer() as server, make(server) as client:
        await client.aclose()
        with pytest.raises(StreamerAway, match="this client was closed"):
            await client.runs()
        assert [] == server.requests


async def test_nothing_comes_after_it_was_closed(make) -> None:
    async with (
        ScriptedServer(Script(frames(1, 2, 3), then="hold"), Script(last(4))) as server,
        make(server) as client,
    ):
        stream = client.entries("r1")
        assert 1 == (await anext(stream)).seq
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await wait_until_async(lambda: server.left == 1)
        assert 1 == len(server.requests)


# -- resuming ----------------------------------------------------------------------------------------------------------


async def test_it_resumes_after_the_last_entry_that_was_taken(make) -> None:
    async with (
        ScriptedServer(Script(frames(1, 2)), Script(frames(3), then="reset"), Script(last(4))) as server,
        make(server) as client,
    ):
        assert [1, 2, 3, 4] == await seqs(client.entries("r1"))
        assert "/api/runs/r1/events?from=start" == server.requests[0].target
        assert "last-event-id" not in server.requests[0].headers
        assert [b"e1-2", b"e1-3"] == [r.headers["last-event-id"] for r in server.requests[1:]]
        assert ["/api/runs/r1/events"] * 2 == [r.target for r in server.requests[1:]]


async def test_an_entry_that_is_not_whole_is_not_taken(make) -> None:
    cut = frames(1, 2)[:-1]
    async with ScriptedServer(Script(cut), Script(frames(2) + last(3))) as server, make(server) as client:
        assert [1, 2, 3] == await seqs(client.entries("r1"))
        assert b"e1-1" == server.requests[1].headers["last-event-id"]


async def test_an_entry_that_comes_twice_is_yielded_once(make) -> None:
    scripts = Script(frames(1, 2, 2, 1)), Script(frames(1, 2, 3) + last(4))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        assert [1, 2, 3, 4] == await seqs(client.entries("r1"))


async def test_it_goes_on_from_a_cursor(make) -> None:
    async with ScriptedServer(Script(frames(8) + last(9))) as server, make(server) as client:
        stream = client.entries("r1", cursor="e1-7")
        assert [8, 9] == await seqs(stream)
        assert Cursor("e1", 9) == stream.cursor
        assert b"e1-7" == server.requests[0].headers["last-event-id"]
        assert "/api/runs/r1/events" == server.requests[0].target


async def test_without_from_start_it_begins_with_what_happens_next(make) -> None:
    scripts = Script(snapshot(5)), Script(frames(6) + last(7))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        assert [6, 7] == await seqs(client.entries("r1", from_start=False))
        assert "/api/runs/r1/events" == server.requests[0].target
        assert b"e1-5" == server.requests[1].headers["last-event-id"]


async def test_leaving_a_loop_lets_go_of_the_connection_and_the_next_loop_resumes(make) -> None:
    scripts = Script(frames(1, 2, 3), then="hold"), Script(frames(2, 3) + last(4))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        stream = client.entries("r1")
        async for first in stream:
            assert 1 == first.seq
            break
        await wait_until_async(lambda: server.left == 1)
        assert Cursor("e1", 1) == stream.cursor
        assert [2, 3, 4] == await seqs(stream)


async def test_being_cancelled_in_the_middle_loses_nothing(make) -> None:
    scripts = Script(frames(1), then="hold"), Script(frames(2) + last(3))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        stream = client.entries("r1")
        assert 1 == (await anext(stream)).seq
        waiting = asyncio.ensure_future(anext(stream))
        await wait_until_async(lambda: stream._iterating)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await wait_until_async(lambda: server.left == 1)
        assert [2, 3] == await seqs(stream)
        assert b"e1-1" == server.requests[1].headers["last-event-id"]


async def test_closing_it_while_another_task_waits_ends_that_wait(make) -> None:
    async with ScriptedServer(Script(frames(1), then="hold")) as server, make(server) as client:
        stream = client.entries("r1")
        assert 1 == (await anext(stream)).seq
        waiting = asyncio.ensure_future(seqs(stream))
        await wait_until_async(lambda: stream._iterating)
        await stream.aclose()
        assert [] == await asyncio.wait_for(waiting, 30)
        await wait_until_async(lambda: server.left == 1)


async def test_two_tasks_cannot_iterate_the_same_stream(make) -> None:
    async with (
        ScriptedServer(Script(then="hold")) as server,
        make(server) as client,
        client.entries("r1") as stream,
    ):
        waiting = asyncio.ensure_future(anext(stream))
        await wait_until_async(lambda: stream._iterating)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(stream)
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_closing_the_client_closes_the_connections_of_its_streams(make) -> None:
    async with ScriptedServer(Script(frames(1), then="hold")) as server:
        async with make(server) as client:
            assert 1 == (await anext(client.entries("r1"))).seq
        await wait_until_async(lambda: server.left == 1)


async def test_the_terminal_event_ends_the_stream_and_lets_go_of_the_connection(make) -> None:
    async with ScriptedServer(Script(last(1) + frames(2), then="hold")) as server, make(server) as client:
        stream = client.entries("r1")
        assert 1 == (await anext(stream)).seq
        await wait_until_async(lambda: server.left == 1)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_the_stream_of_all_runs_goes_on_after_a_terminal_event(make) -> None:
    async with ScriptedServer(Script(last(1) + frames(2))) as server, make(server) as client:
        assert [1, 2] == await seqs(client.entries())
        assert ["/api/events?from=start", "/api/events"] == [r.target for r in server.requests]


async def test_kinds_that_are_not_known_are_passed_over(make) -> None:
    unknown = b'event: paused\nid: e1-2\ndata: {"event":"paused","run":"r1","seq":2}\n\n'
    scripts = Script(frames(1) + unknown), Script(frames(3) + last(4))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        assert [1, 3, 4] == await seqs(client.entries("r1"))
        assert b"e1-2" == server.requests[1].headers["last-event-id"]


# -- when it cannot go on ----------------------------------------------------------------------------------------------


async def test_entries_raise_at_a_reset(make) -> None:
    other = reset_frame(Reset("the cursor is of another log"), "r1") + snapshot(3, epoch="e2")
    async with ScriptedServer(Script(frames(1)), Script(other)) as server, make(server) as client:
        with pytest.raises(StreamReset, match="of another log"):
            await seqs(client.entries("r1"))


async def test_entries_raise_at_a_reset_of_the_cursor_they_were_given(make) -> None:
    async with ScriptedServer(Script(reset_frame(Reset("gone"), "r1"))) as server, make(server) as client:
        with pytest.raises(StreamReset, match="gone"):
            await seqs(client.entries("r1", cursor="e0-4"))


async def test_entries_that_wait_for_the_next_one_go_on_after_a_reset(make) -> None:
    other = reset_frame(Reset("of another log"), "r1") + snapshot(3, epoch="e2")
    more = other + frames(4, epoch="e2") + frame_of(entry(5, Completed()), "e2")
    async with ScriptedServer(Script(snapshot(9)), Script(more)) as server, make(server) as client:
        assert [4, 5] == await seqs(client.entries("r1", from_start=False))


async def test_entries_raise_when_a_snapshot_comes_in_their_place(make) -> None:
    async with ScriptedServer(Script(frames(1) + snapshot(9))) as server, make(server) as client:
        with pytest.raises(StreamReset, match="snapshot"):
            await seqs(client.entries("r1"))


@pytest.mark.parametrize("body", [frames(2), frames(1, 3)])
async def test_entries_raise_when_one_is_missing(make, body) -> None:
    async with ScriptedServer(Script(body)) as server, make(server) as client:
        with pytest.raises(StreamReset, match="expected entry"):
            await seqs(client.entries("r1"))


async def test_a_log_that_changes_without_a_word_is_an_error(make) -> None:
    scripts = Script(frames(1)), Script(frames(2, epoch="e2"))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="without a reset"):
            await seqs(client.entries("r1"))


async def test_an_entry_of_another_run_is_an_error(make) -> None:
    async with ScriptedServer(Script(frame_of(entry(1, run="r2"), EPOCH))) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="r2"):
            await seqs(client.entries("r1"))


async def test_an_entry_that_cannot_be_read_is_an_error(make) -> None:
    script = Script(b'event: log\nid: e1-1\ndata: {"event":"log"}\n\n')
    async with ScriptedServer(script) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="run, seq and time"):
            await seqs(client.entries("r1"))


async def test_an_event_that_is_too_large_ends_the_stream_with_an_error(make) -> None:
    script = Script(frames(1) + b"data: " + b"x" * 20_000, then="hold")
    async with ScriptedServer(script) as server, make(server, max_event_bytes=10_000) as client:
        stream = client.entries("r1")
        assert 1 == (await anext(stream)).seq
        with pytest.raises(ProtocolError, match="10,000 bytes"):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await wait_until_async(lambda: server.left == 1)
        assert 1 == len(server.requests)


async def test_a_compressed_stream_is_refused(make) -> None:
    script = Script(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    async with ScriptedServer(script) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="uncompressed"):
            await seqs(client.entries("r1"))


# -- following, for those who fold -------------------------------------------------------------------------------------


async def test_following_yields_a_snapshot_and_what_comes_after_it(make) -> None:
    scripts = Script(snapshot(5) + frames(5, 6)), Script(last(7))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        first, *rest = [message async for message in client.follow("r1")]
    assert isinstance(first, Snapshot)
    assert 5 == first.state.seq
    assert [6, 7] == [one.seq for one in rest]
    assert [b"e1-6"] == [r.headers["last-event-id"] for r in server.requests[1:]]


async def test_following_from_the_start_yields_entries_alone(make) -> None:
    scripts = Script(frames(1)), Script(last(2))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        messages = [message async for message in client.follow("r1", from_start=True)]
        assert [1, 2] == [message.seq for message in messages]
        assert "/api/runs/r1/events?from=start" == server.requests[0].target


async def test_following_a_run_that_is_over_yields_its_state_and_ends(make) -> None:
    script = Script(snapshot(5, "complete"), then="hold")
    async with ScriptedServer(script) as server, make(server) as client:
        messages = [message async for message in client.follow("r1")]
        assert ["complete"] == [one.state.status for one in messages]
        assert 1 == len(server.requests)


async def test_following_yields_resets_and_goes_on(make) -> None:
    reset = reset_frame(Reset("of another log"), "r1")
    more = snapshot(2, epoch="e2") + frames(3, epoch="e2") + frame_of(entry(4, Completed()), "e2")
    scripts = Script(snapshot(9) + frames(10)), Script(reset), Script(more)
    async with ScriptedServer(*scripts) as server, make(server) as client:
        messages = [message async for message in client.follow("r1")]
    assert ["Snapshot", "Entry", "Reset", "Snapshot", "Entry", "Entry"] == [
        type(m).__name__ for m in messages
    ]
    assert b"e1-10" == server.requests[1].headers["last-event-id"]
    # What was cut off behind the reset is asked for again without the cursor that is void.
    assert "last-event-id" not in server.requests[2].headers


async def test_following_all_runs_yields_their_states(make) -> None:
    states = tuple(RunState(run=run, seq=3, offset=3) for run in ("r1", "r2"))
    body = snapshot_frame(SnapshotOfAll(states, Cursor(EPOCH, 4))) + frame_of(entry(4, offset=5), EPOCH)
    async with ScriptedServer(Script(body)) as server, make(server) as client:
        first, second = [message async for message in client.follow()]
    assert ["r1", "r2"] == [state.run for state in first.states]
    assert 5 == second.offset


# -- cursors -----------------------------------------------------------------------------------------------------------


async def test_a_cursor_is_sent_as_utf_8(make) -> None:
    async with ScriptedServer() as server, make(server) as client:
        await seqs(client.entries("r1", cursor="größe-7"))
        assert "größe-7".encode() == server.requests[0].headers["last-event-id"]


@pytest.mark.parametrize("cursor", ["e" * 2000 + "-1", "e1", "e1-x", "", "a\r\nX: y-1", "a\0-1"])
def test_what_is_no_cursor_is_refused(make, cursor) -> None:
    with pytest.raises(ValueError, match="cursor"):
        make("http://127.0.0.1:1").entries("r1", cursor=cursor)


@pytest.mark.parametrize(
    "body",
    [
        frame_of(entry(1), "e" * 4000),
        snapshot(1, epoch="e" * 4000),
        snapshot(1).replace(b'"cursor":"e1-1"', b'"cursor":"e1\\r\\nX: y-1"'),
    ],
)
async def test_an_id_that_cannot_be_sent_back_is_an_error(make, body) -> None:
    async with ScriptedServer(Script(body)) as server, make(server) as client:
        with pytest.raises(ProtocolError):
            [message async for message in client.follow("r1")]


# -- pauses ------------------------------------------------------------------------------------------------------------


async def test_pauses_grow_with_jitter_and_begin_again_after_a_frame(make, pauses) -> None:
    silent = [Script(status=500) for _ in range(7)]
    async with (
        ScriptedServer(*silent, Script(frames(1)), Script(status=500), Script(last(2))) as server,
        make(server) as client,
    ):
        assert [1, 2] == await seqs(client.entries("r1"))
    # The middle of 0 to 2, 4, 8, 16 times the base, then of 0 to 30 seconds.
    assert [2.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 2.0, 2.0] == pauses.seconds


async def test_pauses_grow_from_what_the_streamer_asked_for(make, pauses) -> None:
    scripts = [Script(b"retry: 500\n" + frames(1)), *[Script(status=503) for _ in range(3)], Script(last(2))]
    async with ScriptedServer(*scripts) as server, make(server) as client:
        await seqs(client.entries("r1"))
    assert [0.5, 0.5, 1.0, 2.0] == pauses.seconds


async def test_a_streamer_that_asks_for_a_minute_gets_it(make, pauses) -> None:
    scripts = Script(b"retry: 60000\n" + frames(1)), Script(status=503), Script(last(2))
    async with ScriptedServer(*scripts) as server, make(server) as client:
        await seqs(client.entries("r1"))
    assert [60.0, 30.0] == pauses.seconds


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [("7", 7.0), ("100000000000", 300.0), ("", 2.0), ("soon", 2.0), ("-5", 2.0)]
)
async def test_retry_after_is_honoured_within_bounds(make, pauses, retry_after, seconds) -> None:
    busy = Script(status=503, headers={"Retry-After": retry_after})
    async with ScriptedServer(busy, Script(last(1))) as server, make(server) as client:
        await seqs(client.entries("r1"))
    assert [seconds] == pauses.seconds


async def test_retry_after_may_be_a_date(make, pauses) -> None:
    clock = FakeClock()
    date = dt.datetime.fromtimestamp(clock() + 9, dt.UTC)
    busy = Script(status=429, headers={"Retry-After": email.utils.format_datetime(date, usegmt=True)})
    async with ScriptedServer(busy, Script(last(1))) as server, make(server, clock=clock) as client:
        await seqs(client.entries("r1"))
    assert [9.0] == pauses.seconds


async def test_a_connection_that_lasted_is_no_failure_even_when_it_was_silent(make, pauses) -> None:
    clock = FakeClock()

    def said(state: str, _: str) -> None:
        clock.advance(60 if state == "live" else 0)

    scripts = [Script(b"retry: 500\n:\n") for _ in range(4)]
    async with ScriptedServer(*scripts, Script(last(1))) as server, make(server, clock=clock) as client:
        await seqs(client.entries("r1", on_connection=said))
    # The hour glass turns after the connection counts as open, so every one of them lasted a minute.
    assert [0.5, 0.5, 0.5, 0.5] == pauses.seconds


# -- connections that fail ---------------------------------------------------------------------------------------------


async def test_a_streamer_that_is_away_is_awaited(make, pauses, tmp_path) -> None:
    said = Said()
    port = free_port()
    client = make(f"http://127.0.0.1:{port}")
    real = asyncio.start_server
    server = ScriptedServer(Script(last(1)))

    async def come_back(seconds: float) -> None:
        if len(pauses.seconds) == 3:
            server._server = await real(server._serve, "127.0.0.1", port)
        pauses.seconds.append(seconds)

    client.sleep = come_back
    async with client:
        assert [1] == await seqs(client.entries("r1", on_connection=said))
    await server.__aexit__()
    assert 4 == len(pauses.seconds)
    assert ["connecting", "away", "live"] == said.states
    assert "no connection" in said[1][1]


async def test_a_connection_that_went_silent_is_given_up(make) -> None:
    said = Said()
    dead = Script(b":\n" + frames(1) + b":\n", then="hold")
    async with (
        ScriptedServer(dead, Script(b":\n", then="hold"), Script(last(2))) as server,
        make(server, read_timeout_seconds=0.05) as client,
    ):
        assert [1, 2] == await seqs(client.entries("r1", on_connection=said))
        assert 3 == len(server.requests)
    assert ("connecting", "nothing was heard for too long") in said


def test_a_connection_counts_as_dead_after_three_heartbeats() -> None:
    assert 45.0 == Client("http://127.0.0.1:1")._stream_timeout.read
    settings = Settings(heartbeat_seconds=2.0)
    assert 6.0 == Client("http://127.0.0.1:1", settings=settings)._stream_timeout.read


@pytest.mark.slow
async def test_hundreds_of_streams_do_not_wait_for_each_other(make) -> None:
    scripts = [Script(frames(1), then="hold") for _ in range(250)]
    async with ScriptedServer(*scripts) as server, make(server) as client:
        streams = [client.entries("r1") for _ in scripts]
        async with asyncio.timeout(20):
            first = await asyncio.gather(*(anext(stream) for stream in streams))
        assert [1] * 250 == [one.seq for one in first]
        assert 250 == server.holding
