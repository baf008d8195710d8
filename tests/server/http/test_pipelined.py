"""A producer that sends requests before it has the answers: each is handled once, in order, by Tornado's own turn."""

from __future__ import annotations

import json
import random

import pytest

from tests.api_support import Api, Producer, Raw, ndjson, running


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as api:
        yield api


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


async def test_a_request_that_came_in_part_is_handled_when_it_is_whole(api):
    producer = await api.register()
    last = request(producer, line(3))
    async with await api.raw(request(producer, line(1)) + request(producer, line(2)) + last[:-10]) as raw:
        await answers(raw, 2)
        raw.writer.write(last[-10:])
        assert [(200, 3)] == [(status, body["acknowledged"]) for status, body in await answers(raw, 1)]


async def test_requests_that_are_sent_at_once_are_each_stored_once_and_answered_in_order(api):
    producer = await api.register()
    async with await api.raw(requests(producer, 1, 50)) as raw:
        found = await answers(raw, 50)
    assert [(200, seq) for seq in range(1, 51)] == [(status, body["acknowledged"]) for status, body in found]
    assert [f"{seq}" for seq in range(1, 51)] == await messages(api, producer)


@pytest.mark.parametrize("odd", ["X-Other: 1", "Connection: close", "Connection: keep-alive"])
async def test_other_headers_in_between_change_nothing(api, odd):
    producer = await api.register()
    async with await api.raw(request(producer, line(1)) + request(producer, line(2), odd)) as raw:
        assert [200, 200] == [status for status, _ in await answers(raw, 2)]


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


def requests(producer: Producer, first: int, last: int) -> bytes:
    return b"".join(request(producer, line(seq)) for seq in range(first, last + 1))


async def test_a_head_with_other_ends_of_lines_does_not_wait_for_more(api):
    producer = await api.register()
    odd = request(producer, line(3)).replace(b"\r\n\r\n", b"\n\n")
    async with await api.raw(requests(producer, 1, 2)) as raw:
        await answers(raw, 2)
        raw.writer.write(odd)
        assert [(200, 3)] == [(status, body["acknowledged"]) for status, body in await answers(raw, 1)]


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
