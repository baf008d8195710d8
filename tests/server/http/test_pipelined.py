"""Producers that do not wait for their answers: what they sent is stored together, and answered as if one by one."""

from __future__ import annotations

import json
import random

import pytest
from tornado.iostream import IOStream

from streamer.server.http.ingest import IngestHandler
from streamer.server.log.base import LogUnavailable
from streamer.server.runs.spool_pickup import Forbidden
from tests.api_support import Api, Producer, Raw, ndjson, running


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as api:
        yield api


@pytest.fixture
async def calls(api, monkeypatch):
    """How many events each call of `Runs.ingest` was given."""
    found: list[int] = []
    ingest = api.streamer.runs.ingest

    async def counted(run_id, token, drafts, first_seq):
        found.append(len(drafts))
        return await ingest(run_id, token, drafts, first_seq)

    monkeypatch.setattr(api.streamer.runs, "ingest", counted)
    return found


def request(producer: Producer, body: bytes, *headers: str, token: str = "", method: str = "POST") -> bytes:
    lines = (
        f"{method} {producer.path}/events HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token or producer.token}",
        *headers,
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def line(seq: int) -> bytes:
    return ndjson({"event": "log", "message": f"{seq}"}, first=seq)


async def answers(raw: Raw, number: int) -> list[tuple[int, dict]]:
    """Return the status and the JSON of the next answers."""
    found = []
    rest = b""
    while len(found) < number:
        head, end, body = rest.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) if end else 0
        if not end or len(body) < size:
            chunk = await raw.reader.read(65_536)
            assert chunk, rest
            rest += chunk
            continue
        found.append((int(head[9:12]), json.loads(body[:size])))
        rest = body[size:]
    assert not rest
    return found


async def messages(api: Api, producer: Producer) -> list[str]:
    lines = (await api.http.get(f"{producer.path}/log")).json()["lines"]
    return [one["message"] for one in lines]


async def test_requests_that_are_ahead_are_stored_together_and_all_answered(api, calls):
    producer = await api.register()
    async with await api.raw(b"".join(request(producer, line(seq)) for seq in range(1, 51))) as raw:
        assert [200] * 50 == [status for status, _ in await answers(raw, 50)]
    assert [f"{seq}" for seq in range(1, 51)] == await messages(api, producer)
    assert sum(calls) == 50
    assert len(calls) < 10


async def test_an_answer_past_tornado_has_the_head_of_one_that_is_not(api):
    producer = await api.register()
    # A sign of life goes through Tornado.
    async with await api.raw(request(producer, b"") + request(producer, line(1))) as raw:
        first, second = (part.partition(b"\r\n\r\n")[0] for part in (await _two(raw)))
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert _without_date(first) == _without_date(second)


def _without_date(head: bytes) -> set[bytes]:
    return {field for field in head.lower().split(b"\r\n") if not field.startswith(b"date: ")}


async def _two(raw: Raw) -> tuple[bytes, bytes]:
    whole = await raw.until(b"}")
    while whole.count(b"}") < 2:
        whole += await raw.reader.read(65_536)
    return whole[: whole.index(b"}") + 1], whole[whole.index(b"}") + 1 :]


async def test_a_request_that_came_in_part_is_handled_when_it_is_whole(api):
    producer = await api.register()
    last = request(producer, line(3))
    async with await api.raw(request(producer, line(1)) + request(producer, line(2)) + last[:-10]) as raw:
        await answers(raw, 2)
        raw.writer.write(last[-10:])
        assert [(200, 3)] == [(status, body["acknowledged"]) for status, body in await answers(raw, 1)]


@pytest.mark.parametrize(
    "odd",
    [
        "X-Other: 1",
        "Connection: close",
        "Expect: 100-continue",
        "Host: evil.example",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "X-Bare: 1\n\nPOST / HTTP/1.1",
    ],
)
async def test_what_is_not_plainly_the_same_is_handled_in_its_turn(api, calls, odd):
    producer = await api.register()
    async with await api.raw(request(producer, line(1)) + request(producer, line(2), odd)) as raw:
        await raw.until(b'"acknowledged":1')
    assert 1 == calls[0]


async def test_another_token_in_between_is_refused_in_its_place(api):
    producer, other = await api.register(), await api.register()
    sent = [
        request(producer, line(1)),
        request(producer, line(2), token=other.token),
        request(producer, line(2)),
    ]
    async with await api.raw(b"".join(sent)) as raw:
        assert [200, 403, 200] == [status for status, _ in await answers(raw, 3)]


async def test_what_follows_the_end_of_a_run_is_refused_and_what_came_before_is_stored(api):
    producer = await api.register()
    end = ndjson({"event": "complete"}, first=2)
    async with await api.raw(
        b"".join(request(producer, body) for body in (line(1), end, line(3), line(4)))
    ) as raw:
        found = await answers(raw, 4)
    assert [200, 200, 409, 409] == [status for status, _ in found]
    assert ["1"] == await messages(api, producer)
    assert "complete" == (await producer.state())["status"]


@pytest.fixture
def posts(monkeypatch):
    """The requests that Tornado handed over."""
    found: list[object] = []
    post = IngestHandler.post

    async def counted(handler, run_id):
        found.append(handler)
        await post(handler, run_id)

    monkeypatch.setattr(IngestHandler, "post", counted)
    return found


@pytest.fixture
def meanwhile(api, monkeypatch):
    """What is to be sent while the first events are stored, the second ones, and so on; an error is raised instead."""
    waiting: list[tuple[Raw, bytes | Exception]] = []
    ingest = api.streamer.runs.ingest

    async def slow(run_id, token, drafts, first_seq):
        if waiting:
            raw, what = waiting.pop(0)
            if isinstance(what, Exception):
                raise what
            raw.writer.write(what)
            await raw.writer.drain()
        return await ingest(run_id, token, drafts, first_seq)

    monkeypatch.setattr(api.streamer.runs, "ingest", slow)
    return waiting


def requests(producer: Producer, first: int, last: int) -> bytes:
    return b"".join(request(producer, line(seq)) for seq in range(first, last + 1))


async def test_what_comes_while_events_are_stored_is_stored_next_by_the_same_request(api, posts, meanwhile):
    producer = await api.register()
    async with await api.raw(b"") as raw:
        meanwhile += [(raw, requests(producer, 9, 12)), (raw, requests(producer, 13, 120)[:-5])]
        raw.writer.write(requests(producer, 1, 8))
        assert [200] * 119 == [status for status, _ in await answers(raw, 119)]
        assert 1 == len(posts)
        raw.writer.write(request(producer, line(120))[-5:])
        assert [(200, 120)] == [(status, body["acknowledged"]) for status, body in await answers(raw, 1)]
    assert [f"{seq}" for seq in range(1, 121)] == await messages(api, producer)


async def test_what_comes_after_its_answer_is_stored_by_the_same_request(api, posts):
    producer = await api.register()
    async with await api.raw(b"") as raw:
        for seq in range(1, 6):
            raw.writer.write(request(producer, line(seq)))
            assert [(200, seq)] == [(status, body["acknowledged"]) for status, body in await answers(raw, 1)]
    assert 1 == len(posts)
    assert ["1", "2", "3", "4", "5"] == await messages(api, producer)


async def test_a_client_that_asks_for_what_is_so_anyway_is_served_by_the_same_request(api, posts):
    producer = await api.register()
    sent = b"".join(request(producer, line(seq), "Connection: keep-alive") for seq in range(1, 4))
    async with await api.raw(sent) as raw:
        assert [200] * 3 == [status for status, _ in await answers(raw, 3)]
    assert 1 == len(posts)


async def test_what_comes_meanwhile_and_cannot_be_stored_has_its_turn(api, posts, meanwhile):
    producer = await api.register()
    async with await api.raw(b"") as raw:
        meanwhile += [(raw, requests(producer, 4, 6)), (raw, LogUnavailable("disk full"))]
        raw.writer.write(requests(producer, 1, 3))
        assert [200] * 6 == [status for status, _ in await answers(raw, 6)]
    assert 1 < len(posts)
    assert [f"{seq}" for seq in range(1, 7)] == await messages(api, producer)


@pytest.mark.parametrize("error", [Forbidden("another token by now"), RuntimeError("nobody expected it")])
async def test_after_any_error_meanwhile_there_is_one_answer_for_each_request(api, meanwhile, error):
    producer = await api.register()
    async with await api.raw(b"") as raw:
        meanwhile += [(raw, requests(producer, 4, 6)), (raw, error)]
        raw.writer.write(requests(producer, 1, 3))
        assert [200] * 6 == [status for status, _ in await answers(raw, 6)]
        raw.writer.write(request(producer, line(7)))
        assert [(200, 7)] == [(status, body["acknowledged"]) for status, body in await answers(raw, 1)]


async def test_a_head_with_other_ends_of_lines_does_not_wait_for_more(api):
    producer = await api.register()
    odd = request(producer, line(3)).replace(b"\r\n\r\n", b"\n\n")
    async with await api.raw(requests(producer, 1, 2)) as raw:
        await answers(raw, 2)
        raw.writer.write(odd)
        assert [(200, 3)] == [(status, body["acknowledged"]) for status, body in await answers(raw, 1)]


async def test_what_comes_meanwhile_behind_the_end_of_a_run_is_refused(api, meanwhile):
    producer = await api.register()
    end = request(producer, ndjson({"event": "complete"}, first=5))
    async with await api.raw(b"") as raw:
        meanwhile += [(raw, request(producer, line(4)) + end + requests(producer, 6, 7))]
        raw.writer.write(requests(producer, 1, 3))
        assert [200] * 5 + [409] * 2 == [status for status, _ in await answers(raw, 7)]
    assert [f"{seq}" for seq in range(1, 5)] == await messages(api, producer)


async def test_large_batches_that_are_sent_ahead_are_stored_whole_and_in_order(api):
    producer = await api.register()
    text, events = "x" * 7_000, 30
    sent = b""
    for first in range(3, 3 + 20 * events, events):
        lines = [{"event": "log", "message": f"{seq} {text}"} for seq in range(first, first + events)]
        sent += request(producer, ndjson(*lines, first=first))
    async with await api.raw(requests(producer, 1, 2)) as raw:
        # Whoever takes them waits for more now.
        await answers(raw, 2)
        raw.writer.write(sent)
        found = await answers(raw, 20)
    assert [200] * 20 == [status for status, _ in found]
    assert 2 + 20 * events == found[-1][1]["acknowledged"]
    stored = await messages(api, producer)
    assert [f"{seq}" for seq in range(403, 603)] == [message.split()[0] for message in stored]


@pytest.mark.slow
async def test_what_must_have_its_turn_again_and_again_does_not_pile_up(api, monkeypatch):
    here: list[int] = []
    post = IngestHandler.post

    async def measured(handler, run_id):
        here.append(handler.request.connection.stream._read_buffer_size)
        await post(handler, run_id)

    monkeypatch.setattr(IngestHandler, "post", measured)
    producer = await api.register()
    again = ndjson({"event": "log", "message": "x" * 10_000})
    sent = request(producer, again)
    for seq in range(2, 402, 2):
        sent += requests(producer, seq, seq + 1) + request(producer, again)
    async with await api.raw(sent) as raw:
        assert [200] * 601 == [status for status, _ in await answers(raw, 601)]
    assert 500_000 > max(here)


async def test_what_came_before_the_end_of_its_connection_is_stored_and_no_error(api, monkeypatch, caplog):
    read_bytes = IOStream.read_bytes

    async def read_at_last(stream, size, partial=False):
        data = await read_bytes(stream, size, partial)
        # As a streamer does that is stopped.
        stream.close()
        return data

    producer = await api.register()
    async with await api.raw(requests(producer, 1, 2)) as raw:
        await answers(raw, 2)
        monkeypatch.setattr(IOStream, "read_bytes", read_at_last)
        # The first of them is waited for already.
        raw.writer.write(requests(producer, 3, 3))
        await answers(raw, 1)
        raw.writer.write(requests(producer, 4, 9))
        assert b"" == await raw.all()
    await api.until(lambda: api.streamer.log.run(producer.run).acknowledged == 9)
    assert not caplog.records


async def test_another_request_behind_those_that_were_sent_ahead_has_its_turn(api):
    producer = await api.register()
    state = f"GET {producer.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    async with await api.raw(requests(producer, 1, 5)) as raw:
        await answers(raw, 5)
        for _ in range(2):
            raw.writer.write(state)
            assert [producer.run] == [body["run"] for _, body in await answers(raw, 1)]
        raw.writer.write(requests(producer, 6, 10))
        assert [200] * 5 == [status for status, _ in await answers(raw, 5)]


async def test_each_request_that_was_sent_ahead_is_counted_once_it_is_answered(api):
    producer = await api.register()
    await producer.state()
    before = await _counted(api)
    async with await api.raw(requests(producer, 1, 50)) as raw:
        await answers(raw, 50)
        # The 50, and what asked for the number before.
        assert before + 51 == await _counted(api)


async def _counted(api: Api) -> float:
    text = (await api.http.get("/metrics")).text
    return float(text.partition('streamer_requests_total{status="200"} ')[2].partition("\n")[0])


async def test_a_connection_on_which_nothing_more_is_sent_ahead_is_closed_in_time(api, monkeypatch):
    monkeypatch.setattr("streamer.server.http.ingest.IDLE_SECONDS", 0.05)
    producer = await api.register()
    async with await api.raw(requests(producer, 1, 5)) as raw:
        await answers(raw, 5)
        assert b"" == await raw.reader.read()


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_is_sent_ahead_is_answered_as_it_is_one_by_one(api, seed):
    chance = random.Random(seed)
    together, apart, other = [await api.register() for _ in range(3)]
    bodies: list[tuple[bytes, bool]] = []
    seq = 1
    for _ in range(40):
        match chance.randrange(10):
            case 0:
                bodies.append((line(seq + 5), False))
            case 1:
                bodies.append((line(max(1, seq - chance.randrange(3))), False))
            case 2:
                bodies.append((chance.choice((b"nonsense\n", b"", b'{"seq":-1}\n', b"\xff\n")), False))
            case 3:
                bodies.append((line(seq), True))
            case _:
                number = chance.randrange(1, 4)
                bodies.append((b"".join(line(seq + n) for n in range(number)), False))
                seq += number
    bodies.append((ndjson({"event": "complete"}, first=seq), False))
    bodies.append((line(seq + 1), False))

    one_by_one = []
    async with await api.raw(b"") as raw:
        for body, foreign in bodies:
            raw.writer.write(request(apart, body, token=other.token if foreign else ""))
            one_by_one += await answers(raw, 1)
    sent = b"".join(request(together, body, token=other.token if foreign else "") for body, foreign in bodies)
    async with await api.raw(b"") as raw:
        while sent:
            size = chance.randrange(1, 5000)
            raw.writer.write(sent[:size])
            await raw.writer.drain()
            sent = sent[size:]
        at_once = await answers(raw, len(bodies))

    assert [status for status, _ in one_by_one] == [status for status, _ in at_once]
    assert await messages(api, apart) == await messages(api, together)
    for (status, before), (_, now) in zip(one_by_one, at_once, strict=True):
        if status == 200:
            assert before["acknowledged"] <= now["acknowledged"]
        else:
            assert before["error"]["code"] == now["error"]["code"]
