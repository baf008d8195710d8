"""The client against servers that say what a test has written down, byte by byte, and against the real one."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import itertools
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

import streamer
from streamer.client.client import (
    ApiError,
    Client,
    Conflict,
    Forbidden,
    NotFound,
    ProtocolError,
    Refused,
    StreamerAway,
    StreamReset,
    Unavailable,
)
from streamer.client.discovery import Address, find_streamer, read_address
from streamer.model.events import Completed, Entry, Event, Logged, PhaseSpec
from streamer.model.state import RunState, apply, fold
from streamer.protocol.frames import (
    Cursor,
    Reset,
    Snapshot,
    SnapshotOfAll,
    frame_of,
    reset_frame,
    snapshot_frame,
)
from streamer.settings import Settings
from tests.api_support import running
from tests.support import FakeClock, free_port, wait_until_async

EPOCH = "e1"
STREAM = "text/event-stream"


# -- a server that follows a script ------------------------------------------------------------------------------------


@dataclass
class Script:
    """One answer. `then`: "close" the connection in order, "reset" it, or "hold" it open until the client leaves."""

    body: bytes = b""
    status: int = 200
    content_type: str | None = STREAM
    headers: dict[str, str] = field(default_factory=dict)
    then: str = "close"

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Said"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + self.body


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, bytes]
    body: bytes


class ScriptedServer:
    """Answers the n-th request with the n-th script, and after the last one with 204; an async context manager."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[Request] = []
        self.left = 0
        self._holding: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._holding):
            writer.transport.abort()
        await wait_until_async(lambda: not self._holding)

    @property
    def holding(self) -> int:
        return len(self._holding)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._holding.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *rest = head[:-4].split(b"\r\n")
            method, target, _ = line.decode().split(" ")
            pairs = [one.split(b": ", 1) for one in rest]
            headers = {name.decode().lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", b"0")))
            script = self.scripts.pop(0) if self.scripts else Script(status=204, content_type=None)
            self.requests.append(Request(method, target, headers, body))
            writer.write(script.encode())
            await writer.drain()
            if script.then == "hold":
                await reader.read()
                self.left += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left += 1
        finally:
            if "script" in locals() and script.then == "reset":
                writer.transport.abort()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            # Only now: a connection that is not wholly closed when its test is over fails another one.
            self._holding.discard(writer)


class Pauses:
    """Takes the place of `asyncio.sleep`: notes how long, and waits for nothing."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class Middle(random.Random):
    """Always the middle of a range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Said(list[tuple[str, str]]):
    """What `on_connection` was told."""

    def __call__(self, state: str, detail: str) -> None:
        self.append((state, detail))

    @property
    def states(self) -> list[str]:
        return [state for state, _ in itertools.groupby(state for state, _ in self)]


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def make(pauses: Pauses, tmp_path: Path):
    """Return a function that makes clients that do not wait."""

    def make(server: ScriptedServer | str | None, **options: Any) -> Client:
        url = server.url if isinstance(server, ScriptedServer) else server
        given = {"settings": Settings(data=tmp_path / "data"), "sleep": pauses, "rng": Middle(), **options}
        return Client(url, **given)

    return make


def entry(seq: int, event: Event | None = None, run: str = "r1", offset: int | None = None) -> Entry:
    event = event or Logged(message=f"line {seq}: grüße, 😀", timestamp="2026-01-31T09:41:32.118Z")
    return Entry(seq if offset is None else offset, run, seq, 1_700_000_000.0 + seq, event)


def frames(*seqs: int, epoch: str = EPOCH) -> bytes:
    return b"".join(frame_of(entry(seq), epoch) for seq in seqs)


def last(seq: int) -> bytes:
    return frame_of(entry(seq, Completed()), EPOCH)


def snapshot(seq: int, status: Any = "running", epoch: str = EPOCH) -> bytes:
    state = RunState(run="r1", seq=seq, offset=seq, status=status)
    return snapshot_frame(Snapshot(state, Cursor(epoch, seq)))


async def seqs(stream: Any, most: int = 1000) -> list[int]:
    """Return the `seq` of the stream's entries, up to `most`."""
    found = []
    async with asyncio.timeout(30):
        async for one in stream:
            found.append(one.seq)
            if len(found) == most:
                break
    return found


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


# -- single requests ---------------------------------------------------------------------------------------------------


def answer(value: Any, status: int = 200, **headers: str) -> Script:
    return Script(json.dumps(value).encode(), status, "application/json", headers)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused), (401, Forbidden), (403, Forbidden), (404, NotFound), (409, Conflict), (410, NotFound),
        (413, Refused), (415, Refused), (418, ApiError), (422, Refused), (429, Unavailable), (500, Unavailable),
        (503, Unavailable),
    ],
)  # fmt: skip
async def test_errors_are_raised_as_what_they_are(make, status, kind) -> None:
    error = {"code": "some_code", "message": "a sentence", "details": [{"field": "n"}]}
    script = answer({"error": error}, status, **{"Retry-After": "3"})
    async with ScriptedServer(script) as server, make(server) as client:
        with pytest.raises(ApiError) as caught:
            await client.runs()
    assert kind is type(caught.value)
    assert (status, "some_code", "a sentence", [{"field": "n"}], 3.0) == (
        caught.value.status,
        caught.value.code,
        caught.value.message,
        caught.value.details,
        caught.value.retry_after_seconds,
    )


async def test_an_error_of_somebody_else_is_raised_with_what_is_known(make) -> None:
    async with ScriptedServer(Script(b"<h1>Bad Gateway", 502, "text/html")) as server, make(server) as client:
        with pytest.raises(Unavailable, match="502 Said") as caught:
            await client.pipelines()
    assert "" == caught.value.code


async def test_nobody_there_is_said_with_the_address(make) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with make(url) as client:
        with pytest.raises(StreamerAway, match=url):
            await client.runs()


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"runs": 1}', b'{"runs": [{"run": 1}]}'])
async def test_an_answer_that_is_not_a_streamers_is_an_error(make, body) -> None:
    async with ScriptedServer(Script(body)) as server, make(server) as client:
        with pytest.raises(ProtocolError):
            await client.runs()


async def test_an_answer_without_end_is_not_read_to_its_end(make) -> None:
    endless = Script(b" " * 100_000, content_type="application/json", then="hold")
    async with ScriptedServer(endless) as server, make(server, max_answer_bytes=50_000) as client:
        with pytest.raises(ProtocolError, match="50,000"):
            await client.runs()
        await wait_until_async(lambda: server.left == 1)


async def test_a_redirect_that_would_make_another_request_of_a_start_is_an_error(make) -> None:
    away = Script(status=302, headers={"Location": "/elsewhere"})
    async with ScriptedServer(away) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="307 or 308"):
            await client.start("Count", {"n": 1})
        assert 1 == len(server.requests)


async def test_a_redirect_that_keeps_the_request_is_followed_with_its_body(make) -> None:
    away = Script(status=307, headers={"Location": "/elsewhere"})
    async with ScriptedServer(away, answer({"run": "abc"}, 201)) as server, make(server) as client:
        assert "abc" == await client.start("Count", {"path": Path("a/b"), "day": dt.date(2026, 1, 2)})
        assert ("POST", "/elsewhere") == (server.requests[1].method, server.requests[1].target)
        assert {"path": "a/b", "day": "2026-01-02"} == json.loads(server.requests[1].body)


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b", "a b", "é", "x" * 65, "../../metrics", "a?b"])
async def test_what_cannot_be_an_id_is_not_asked_for(make, run_id) -> None:
    async with ScriptedServer() as server, make(server) as client:
        for ask in (client.run, client.log, client.failures, client.cancel):
            with pytest.raises(NotFound):
                await ask(run_id)
        with pytest.raises(NotFound):
            client.entries(run_id)
        assert [] == server.requests


async def test_the_name_of_a_pipeline_cannot_lead_elsewhere(make) -> None:
    async with ScriptedServer(answer({"run": "abc"}, 201)) as server, make(server) as client:
        with pytest.raises(NotFound):
            await client.start("..")
        await client.start("a/../b?c#d é")
        assert "/api/pipelines/a%2F..%2Fb%3Fc%23d%20%C3%A9/runs" == server.requests[0].target


async def test_proxies_of_the_environment_are_not_for_the_streamer(make, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with ScriptedServer(answer({"runs": []})) as server, make(server) as client:
        assert () == (await client.runs()).runs


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:5007", "ftp://host", "http://", "http://host/?a=b", "http://host/#x", "http://[::1"],
)
def test_what_is_no_url_is_refused(url) -> None:
    with pytest.raises(ValueError, match="URL of a streamer"):
        Client(url)


@pytest.mark.parametrize("token", ["a\nb", "é", "a\0"])
def test_what_cannot_be_a_token_is_refused(token) -> None:
    with pytest.raises(ValueError, match="token"):
        Client("http://127.0.0.1:1", token)


# -- finding the streamer ----------------------------------------------------------------------------------------------


def test_the_streamer_is_where_the_settings_say_then_where_it_noted_then_the_default(tmp_path) -> None:
    local = Settings(data=tmp_path)
    assert "http://127.0.0.1:5007" == find_streamer(local)
    assert "http://127.0.0.1:6007" == find_streamer(Settings(data=tmp_path, port=6007))
    assert "http://127.0.0.1:5007" == find_streamer(Settings(data=tmp_path, port=0))
    (tmp_path / "streamer.json").write_text('{"url": "http://127.0.0.1:7007/", "pid": 1, "page": "p"}')
    assert Address("http://127.0.0.1:7007/", 1, "p") == read_address(tmp_path)
    assert "http://127.0.0.1:7007" == find_streamer(local)
    assert "https://ops.example" == find_streamer(Settings(data=tmp_path, url="https://ops.example/"))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"url": 5}', '{"url": "file:///etc"}', "é", '{"url": "' + "x" * 20_000 + '"}']
)
def test_a_note_that_is_none_is_passed_over(tmp_path, text) -> None:
    (tmp_path / "streamer.json").write_bytes(text.encode("latin-1"))
    assert read_address(tmp_path) is None


async def test_a_streamer_that_comes_back_on_another_port_is_found(make, tmp_path) -> None:
    note = tmp_path / "data" / "streamer.json"
    note.parent.mkdir()
    async with ScriptedServer(Script(frames(1))) as first, ScriptedServer(Script(last(2))) as second:
        note.write_text(json.dumps({"url": first.url, "pid": 1}))
        async with make(None) as client:
            stream = client.entries("r1")
            assert 1 == (await anext(stream)).seq
            note.write_text(json.dumps({"url": second.url, "pid": 1}))
            await first.__aexit__()
            assert [2] == await seqs(stream)
            assert second.url == client.url


def test_the_package_gives_the_client() -> None:
    assert Client is streamer.Client


# -- the real streamer -------------------------------------------------------------------------------------------------


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as api:
        yield api


@pytest.fixture
async def client(api) -> AsyncIterator[Client]:
    async with Client(api.streamer.url) as client:
        yield client


async def test_it_lists_pipelines(api, client) -> None:
    offers = {offer.name: offer for offer in (await client.pipelines()).pipelines}
    assert "Do nothing, with parameters of several types." == offers["Plain"].doc
    assert (PhaseSpec("first", 3.0), PhaseSpec("second", 1.0)) == offers["Plain"].phases
    assert 1000 == offers["Plain"].schema["properties"]["n"]["maximum"]


async def test_it_starts_a_run_and_cancels_it(api, client) -> None:
    run = await client.start("Plain", {"n": 7}, owner="somebody")
    state = (await client.run(run)).state
    assert ("Plain", 7, "somebody") == (state.pipeline, state.parameters["n"], state.owner)
    await api.handle(run)
    assert "cancelling" == await client.cancel(run, by="me")
    assert "cancel asked by me" in (await client.run(run)).state.message


async def test_what_parameters_do_not_take_is_said_by_field(api, client) -> None:
    with pytest.raises(Refused) as caught:
        await client.start("Plain", {"n": 0})
    assert 422 == caught.value.status
    assert "n" == caught.value.details[0]["field"]


async def test_what_does_not_exist_is_not_found(api, client) -> None:
    for ask in (client.run("nothing"), client.start("Nothing"), seqs(client.entries("nothing"))):
        with pytest.raises(NotFound):
            await ask


async def test_a_registered_run_is_reported_and_read_back(api, client) -> None:
    created = await client.register("By hand", phases=[PhaseSpec("a", 2.0)], parameters={"x": 1})
    producer = type(await api.register())(api.http, created.run, created.token)
    await producer.send({"event": "progress", "phase": "a", "done": 1, "total": 2})
    await producer.log("one", "two: grüße", level="WARNING")
    await producer.send({"event": "failure", "item": "i", "error": {"type": "ValueError", "message": "no"}})
    await producer.complete(result={"n": 2})
    entries = [entry async for entry in client.entries(created.run)]
    assert list(range(1, len(entries) + 1)) == [entry.seq for entry in entries]
    assert isinstance(entries[-1].event, Completed)
    snapshot = await client.run(created.run)
    assert fold(RunState(run=created.run), entries) == snapshot.state
    with pytest.raises(Conflict):
        await client.cancel(created.run)


async def test_log_lines_come_in_pages(api, client) -> None:
    producer = await api.register()
    await producer.log(*(f"line {number}" for number in range(1, 11)))
    newest = await client.log(producer.run, limit=3)
    assert ["line 8", "line 9", "line 10"] == [line.event.message for line in newest.lines]
    assert 10 == newest.total
    older = await client.log(producer.run, before=newest.older, limit=3)
    assert ["line 5", "line 6", "line 7"] == [line.event.message for line in older.lines]
    newer = await client.log(producer.run, after=older.newer, limit=2)
    assert ["line 8", "line 9"] == [line.event.message for line in newer.lines]
    found = await client.log(producer.run, search="LINE 10", level="INFO")
    assert ["line 10"] == [line.event.message for line in found.lines]
    with pytest.raises(Refused, match="level"):
        await client.log(producer.run, level="LOUD")


async def test_failed_items_come_in_pages(api, client) -> None:
    producer = await api.register()
    error = {"type": "ValueError", "message": "no", "traceback": "…"}
    await producer.send(*({"event": "failure", "item": f"i{n}", "error": error} for n in range(5)))
    first = await client.failures(producer.run, limit=3)
    rest = await client.failures(producer.run, after=first.next)
    assert ["i0", "i1", "i2"] == [entry.event.item for entry in first.failures]
    assert ["i3", "i4"] == [entry.event.item for entry in rest.failures]
    assert (5, None) == (rest.total, rest.next)


async def test_runs_come_newest_first_in_pages(api, client) -> None:
    runs = [(await client.register(f"Nightly number-{number}")).run for number in range(5)]
    first = await client.runs(limit=3)
    rest = await client.runs(limit=3, before=first.next)
    assert runs[::-1] == [run.run for run in (*first.runs, *rest.runs)]
    assert 5 == sum(first.counts.values())
    assert [] == [run.run for run in (await client.runs(status=["complete", "failed"])).runs]
    assert [runs[3]] == [
        run.run for run in (await client.runs(search="number-3 nightly", status="queued")).runs
    ]


async def test_following_a_run_folds_to_what_the_streamer_knows(api, client) -> None:
    producer = await api.register(phases=[{"name": "a", "weight": 1}])
    await producer.log("before")
    stream = client.follow(producer.run)
    first = await anext(stream)
    assert isinstance(first, Snapshot)
    await producer.send(*({"event": "progress", "phase": "a", "done": n, "total": 9} for n in range(10)))
    await producer.complete()
    state = first.state
    async for message in stream:
        assert isinstance(message, Entry)
        state = apply(state, message)
    assert (await client.run(producer.run)).state == state


async def test_following_all_runs_tells_of_new_ones(api, client) -> None:
    async with client.follow() as stream:
        first = await anext(stream)
        assert isinstance(first, SnapshotOfAll)
        assert () == first.states
        run = await client.start("Plain")
        message = await anext(stream)
        assert isinstance(message, Entry)
        assert run == message.run_id


async def test_the_end_of_a_finished_run_is_the_end(api, client) -> None:
    producer = await api.register()
    await producer.complete()
    cursor = (await client.run(producer.run)).cursor
    assert [] == await seqs(client.entries(producer.run, cursor=cursor))
    assert [] == await seqs(client.entries(producer.run, from_start=False))


async def test_a_cursor_of_another_log_is_a_reset(api, client) -> None:
    producer = await api.register()
    kinds = []
    async for message in client.follow(producer.run, "another-3"):
        kinds.append(type(message).__name__)
        if len(kinds) == 2:
            break
    assert ["Reset", "Snapshot"] == kinds
    with pytest.raises(StreamReset):
        await seqs(client.entries(producer.run, cursor="another-3"))


async def test_leaving_a_stream_leaves_no_follower_behind(api, client) -> None:
    producer = await api.register()
    await producer.log("one")
    assert [1] == await seqs(client.entries(producer.run), most=1)
    await api.until(lambda: api.streamer.hub.followers == 0)


async def test_a_streamer_with_a_token_asks_for_it(tmp_path) -> None:
    async with running(tmp_path, token="secret") as api:
        async with Client(api.streamer.url) as stranger:
            with pytest.raises(Forbidden):
                await stranger.runs()
            with pytest.raises(Forbidden):
                await seqs(stranger.entries())
        async with Client(api.streamer.url, "secret") as operator:
            assert () == (await operator.runs()).runs
