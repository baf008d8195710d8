"""Ingest over HTTP: what a producer sends is stored once, in order, within bounds, or refused naming the line."""

from __future__ import annotations

import json
import random

import pytest

from tests.api_support import Api, Producer, data_of, error_of, ndjson, running


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as api:
        yield api


@pytest.fixture
async def producer(api: Api) -> Producer:
    return await api.register()


def line(seq: int, **fields: object) -> dict:
    return {"seq": seq, "event": "log", "message": f"line {seq}", **fields}


async def stored(producer: Producer) -> list[str]:
    page = (await producer.http.get(f"{producer.path}/log?limit=1000")).json()
    return [one["message"] for one in page["lines"]]


# -- each event once, in order -----------------------------------------------------------------------------------------


async def test_events_are_acknowledged_by_the_last_number_stored(producer):
    answer = await producer.post(ndjson(line(1), line(2)))
    assert (200, {"acknowledged": 2, "requests": []}) == (answer.status_code, answer.json())


async def test_a_batch_sent_twice_is_stored_once(producer):
    for _ in range(2):
        answer = await producer.post(ndjson(line(1), line(2)))
        assert 2 == answer.json()["acknowledged"]
    assert ["line 1", "line 2"] == await stored(producer)


async def test_of_overlapping_batches_only_what_is_new_is_stored(producer):
    await producer.post(ndjson(line(1), line(2), line(3)))
    answer = await producer.post(ndjson(line(2), line(3), line(4), line(5)))
    assert 5 == answer.json()["acknowledged"]
    assert ["line 1", "line 2", "line 3", "line 4", "line 5"] == await stored(producer)


async def test_an_old_batch_says_how_far_the_log_is(producer):
    await producer.post(ndjson(line(1), line(2), line(3)))
    assert 3 == (await producer.post(ndjson(line(1)))).json()["acknowledged"]


async def test_batches_resent_at_random_are_stored_once_and_in_order(producer):
    dice = random.Random(7)
    events = [line(seq) for seq in range(1, 61)]
    acknowledged = 0
    for _ in range(200):
        first = dice.randint(max(0, acknowledged - 5), acknowledged)
        batch = events[first : first + dice.randint(1, 8)]
        answer = await producer.post(ndjson(*batch))
        acknowledged = answer.json()["acknowledged"]
        if acknowledged == len(events):
            break
    assert [f"line {seq}" for seq in range(1, 61)] == await stored(producer)


async def test_a_gap_is_refused_with_the_number_that_is_expected(producer):
    await producer.post(ndjson(line(1)))
    answer = await producer.post(ndjson(line(3)))
    details = error_of(answer, 409, "sequence_gap")["details"]
    assert {"field": "seq", "expected": 2, "received": 3} == details
    assert ["line 1"] == await stored(producer)


async def test_a_gap_within_a_batch_is_refused_and_nothing_of_it_is_stored(producer):
    details = error_of(await producer.post(ndjson(line(1), line(3))), 409, "sequence_gap")["details"]
    assert {"field": "seq", "line": 2, "expected": 2, "received": 3} == details
    assert [] == await stored(producer)


async def test_one_line_that_is_refused_refuses_the_batch(producer):
    answer = await producer.post(ndjson(line(1), {"seq": 2, "event": "nonsense"}, line(3)))
    (problem,) = error_of(answer, 422, "invalid")["details"]
    assert ("event", 2) == (problem["field"], problem["line"])
    assert [] == await stored(producer)


async def test_the_streamer_s_own_events_take_no_numbers_of_the_producer(api):
    producer = await api.started()
    assert 1 == (await producer.send(line(1)))["acknowledged"]
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        frames = [data_of(frame) for frame in await stream.take(3)]
    assert [("status", 1), ("status", 2), ("log", 3)] == [(one["event"], one["seq"]) for one in frames]


async def test_empty_lines_and_a_missing_last_newline_do_not_matter(producer):
    body = b"\n\r\n" + ndjson(line(1)) + b"\n \n" + ndjson(line(2)).rstrip()
    assert 2 == (await producer.post(body)).json()["acknowledged"]


async def test_lines_may_end_as_on_windows(producer):
    assert 2 == (await producer.post(ndjson(line(1), line(2)).replace(b"\n", b"\r\n"))).json()["acknowledged"]


async def test_the_run_may_be_named_in_the_event_and_no_other(producer):
    assert 200 == (await producer.post(ndjson(line(1, run=producer.run)))).status_code
    error = error_of(await producer.post(ndjson(line(2, run="2345678abc"))), 422, "invalid")
    assert ("run", 1) == (error["details"][0]["field"], error["details"][0]["line"])


# -- tokens ------------------------------------------------------------------------------------------------------------


async def test_without_a_token_nothing_is_taken(api, producer):
    answer = await api.http.post(f"{producer.path}/events", content=ndjson(line(1)))
    error_of(answer, 401, "unauthorized")
    assert "Bearer" == answer.headers["www-authenticate"]


async def test_the_token_of_another_run_is_forbidden(api, producer):
    other = await api.register()
    error_of(await producer.post(ndjson(line(1)), token=other.token), 403, "forbidden")
    assert [] == await stored(producer)


@pytest.mark.parametrize("token", ["x", "x" * 10_000, "' OR 1=1 --"])
async def test_a_token_that_is_none_is_forbidden(producer, token):
    error_of(await producer.post(ndjson(line(1)), token=token), 403, "forbidden")


async def test_the_token_of_a_run_that_is_over_still_has_to_be_right(producer):
    await producer.complete()
    error_of(await producer.post(b"", token="wrong"), 403, "forbidden")


async def test_a_queued_run_of_a_pipeline_has_no_producer_yet(tmp_path):
    async with running(tmp_path, max_runs=1) as api:
        await api.handle(await api.start())
        waiting = Producer(api.http, await api.start(), "any")
        error_of(await waiting.post(ndjson(line(1))), 403, "forbidden")


async def test_the_operators_token_is_no_producer_s(tmp_path):
    async with running(tmp_path, token="operators") as api:
        producer = await api.register()
        error_of(await producer.post(ndjson(line(1)), token="operators"), 403, "forbidden")
        await producer.send(line(1))


async def test_a_producer_s_token_reads_nothing(tmp_path):
    async with running(tmp_path, token="operators") as api:
        producer = await api.register()
        answer = await api.http.get(producer.path, headers={"Authorization": f"Bearer {producer.token}"})
        error_of(answer, 401, "unauthorized")


async def test_tokens_are_nowhere_to_be_read(api, producer):
    await producer.log("hello")
    for path in (producer.path, f"{producer.path}/log", "/api/runs", "/metrics"):
        assert producer.token not in (await api.http.get(path)).text
    files = [path for path in api.streamer.settings.data.rglob("*") if path.is_file()]
    assert not [path for path in files if producer.token.encode() in path.read_bytes()]


# -- signs of life, and the end ----------------------------------------------------------------------------------------


async def test_an_empty_body_is_a_sign_of_life(producer):
    assert "queued" == (await producer.state())["status"]
    answer = await producer.post(b"")
    assert {"acknowledged": 0, "requests": []} == answer.json()
    assert "running" == (await producer.state())["status"]


@pytest.mark.slow
async def test_a_silent_run_is_stalled_and_running_again_with_the_next_sign_of_life(tmp_path):
    async with running(tmp_path, stall_seconds=0.2) as api:
        producer = await api.register()
        await producer.log("hello")
        state = await api.status(producer.run, "stalled")
        assert state["message"].startswith("no sign of life for")
        await producer.post(b"")
        assert "running" == (await producer.state())["status"]


async def test_after_the_terminal_event_nothing_more_is_taken(producer):
    await producer.complete()
    error = error_of(await producer.post(ndjson(line(2))), 409, "run_ended")
    assert {"status": "complete"} == error["details"]


async def test_the_last_batch_may_be_sent_again(producer):
    batch = ndjson(line(1), {"seq": 2, "event": "complete", "result": 5})
    answers = [await producer.post(batch) for _ in range(2)]
    assert [(200, 2), (200, 2)] == [(one.status_code, one.json()["acknowledged"]) for one in answers]
    assert 5 == (await producer.state())["result"]


async def test_what_follows_the_terminal_event_in_its_batch_is_passed_over(api, producer):
    body = ndjson(line(1), {"seq": 2, "event": "complete"}, line(3), {"seq": 4, "event": "failed"})
    assert 200 == (await producer.post(body)).status_code
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        kinds = [frame.event for frame in await stream.rest()]
    assert ["status", "status", "log", "complete"] == kinds


async def test_a_run_that_does_not_exist_is_not_found(api):
    producer = Producer(api.http, "2345678abc", "any")
    error_of(await producer.post(ndjson(line(1))), 404, "not_found")


# -- what is not as expected -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"5",
        b"null",
        b'"log"',
        b'{"seq": 1}',
        b'{"seq": 1, "event": null}',
        b'{"seq": 1, "event": "nonsense"}',
        b'{"seq": 1, "event": "snapshot"}',
        b'{"seq": 1, "event": "reset"}',
        b'{"seq": 1, "event": "status", "status": "complete"}',
        b'{"seq": 1, "event": "phase", "phase": "a", "phaseStatus": "nonsense"}',
        b'{"seq": 1, "event": "progress", "done": NaN}',
        b'{"seq": 1, "event": "progress", "done": Infinity}',
        b'{"seq": 1, "event": "progress", "done": 1e400}',
        b'{"seq": 1, "event": "progress", "done": "3"}',
        b'{"seq": 1, "event": "progress", "phaseProgress": 1' + b"0" * 400 + b"}",
        b'{"seq": 1, "event": "log", "message": "\xff\xfe"}',
        b'{"seq": 1, "event": "log", "message": "\\ud800"}',
        b'{"seq": 1, "event": "log", "message": "raw \x00 byte"}',
        b'{"seq": 1, "event": "complete", "progress": 50}',
        b'{"seq": 1, "event": "complete", "result": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"seq": 1, "event": "complete", "result": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b'{"seq": 1, "event": "log"} {"seq": 2, "event": "log"}',
        b"\xef\xbb\xbf" + b'{"seq": 1, "event": "log"}',
        b"\xff\xfe{\x00}\x00",
        '{"seq": 1, "event": "log"}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:60]),
)
async def test_a_line_that_is_no_event_is_refused_naming_it(producer, body):
    answer = await producer.post(ndjson(line(1)) + b"\n" + body.replace(b'"seq": 1', b'"seq": 2'))
    error = error_of(answer, 422, "invalid")
    (problem,) = error["details"]
    assert 2 == problem["line"]
    assert problem["field"]
    assert problem["expected"]
    assert [] == await stored(producer)


@pytest.mark.parametrize("seq", [0, -1, 2**53, 2**60, 2**70, None, "1", 1.5, True, [1]])
async def test_a_number_that_is_none_is_refused(producer, seq):
    error = error_of(await producer.post(ndjson({**line(1), "seq": seq})), 422, "invalid")
    assert ("seq", 1) == (error["details"][0]["field"], error["details"][0]["line"])


async def test_an_event_without_its_number_is_refused(producer):
    error = error_of(await producer.post(b'{"event": "log"}'), 422, "invalid")
    assert ("seq", 1) == (error["details"][0]["field"], error["details"][0]["line"])


@pytest.mark.parametrize(
    "time",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T09:41:32",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59Z",
        5,
        [],
        "x" * 9999,
    ],
    ids=lambda time: str(time)[:20],
)
async def test_a_time_that_is_none_is_refused(producer, time):
    error = error_of(await producer.post(ndjson(line(1, time=time))), 422, "invalid")
    assert ("time", 1) == (error["details"][0]["field"], error["details"][0]["line"])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-31T09:41:32Z", "2026-01-31T09:41:32.000Z"),
        ("2026-01-31t09:41:32.118z", "2026-01-31T09:41:32.118Z"),
        ("2026-01-31T09:41:32.1Z", "2026-01-31T09:41:32.100Z"),
        ("2026-01-31T10:41:32.118999999+01:00", "2026-01-31T09:41:32.118Z"),
        ("2026-01-31T00:41:32-09:00", "2026-01-31T09:41:32.000Z"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("1970-01-01T00:00:00+14:00", "1970-01-01T00:00:00.000Z"),
    ],
)
async def test_times_are_read_in_every_form_of_rfc_3339_and_given_back_in_one(producer, written, read):
    await producer.send(line(1, time=written))
    answer = (await producer.http.get(f"{producer.path}/log")).json()
    assert read == answer["lines"][0]["time"]


@pytest.mark.parametrize("count", [2**53 + 1, 2**63, 2**64, 2**70, 10**400, 1e308, 1.7e308, -1, -(2**70)])
async def test_counts_that_nobody_could_hold_are_not_known_and_harm_nobody(api, producer, count):
    await producer.send(
        {"event": "phase", "phase": "load", "phaseStatus": "started"},
        {"event": "progress", "phase": "load", "done": 1, "total": 3},
        {"event": "progress", "phase": "load", "done": count, "total": count},
    )
    await producer.send({"event": "progress", "results": {"success": count if isinstance(count, int) else 0}})
    assert 200 == (await api.http.get("/api/runs")).status_code
    assert "running" == (await producer.state())["status"]
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        sample = data_of((await stream.take(5))[4])
    assert (None, None) == (sample["done"], sample["total"])


async def test_unknown_keys_are_passed_over(producer):
    await producer.send(line(1, colour="red", nested={"a": [1]}))
    assert ["line 1"] == await stored(producer)


async def test_too_many_events_at_once_are_refused(tmp_path):
    async with running(tmp_path, max_ingest_events=2) as api:
        producer = await api.register()
        error_of(await producer.post(ndjson(line(1), line(2), line(3))), 413, "too_large")
        await producer.send(line(1), line(2))


async def test_a_body_that_is_too_large_is_refused(tmp_path):
    async with running(tmp_path, max_ingest_bytes=5000) as api:
        producer = await api.register()
        details = error_of(await producer.post(ndjson(line(1, message="x" * 5000))), 413, "too_large")[
            "details"
        ]
        assert ("body", 5000) == (details["field"], details["expected"])


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_a_message_of_ten_million_characters_is_cut_with_a_note(producer):
    await producer.send(line(1, message="x" * 10_000_000))
    (message,) = await stored(producer)
    assert len(message) <= 8_000
    assert message.endswith("[cut: 10,000,000 characters in all]")


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"event": "log", "logger": "x" * 100_000}, "logger"),
        ({"event": "log", "level": "x" * 100_000}, "level"),
        ({"event": "log", "timestamp": "x" * 100_000}, "timestamp"),
        ({"event": "log", "item": "x" * 100_000}, "item"),
        ({"event": "log", "phase": "x" * 100_000}, "phase"),
        ({"event": "progress", "unit": "x" * 100_000}, "unit"),
        ({"event": "progress", "phase": "x" * 100_000}, "phase"),
        ({"event": "phase", "phase": "x" * 100_000, "phaseStatus": "started"}, "phase"),
        ({"event": "failure", "item": "x" * 100_000, "error": {"type": "E"}}, "item"),
        ({"event": "status", "status": "stalled", "title": "x" * 100_000}, "title"),
        ({"event": "status", "status": "stalled", "owner": "x" * 100_000}, "owner"),
    ],
    ids=lambda value: value["event"] if isinstance(value, dict) else value,
)
async def test_every_name_is_cut_to_its_bound(api, producer, event, field):
    await producer.send(event)
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        data = data_of((await stream.take(3))[2])
    assert len(data[field]) <= 300


async def test_a_traceback_keeps_its_beginning_and_its_end(producer):
    trace = "first\n" + "x" * 1_000_000 + "\nlast"
    await producer.send({"event": "failed", "error": {"type": "E", "message": "m", "traceback": trace}})
    kept = (await producer.state())["error"]["traceback"]
    assert len(kept) <= 32_000
    assert kept.startswith("first\n")
    assert kept.endswith("\nlast")


async def test_a_failed_item_is_a_line_of_the_log_once(api, producer):
    error = {"type": "a.B", "message": "no date"}
    failure = {"event": "failure", "item": "row 7", "phase": "load", "error": error}
    await producer.send({"event": "log", "message": "before"}, failure)
    # The same batch again, as after an answer that was lost.
    resent = ndjson({"event": "log", "message": "before"}, failure, first=1)
    assert 200 == (await producer.post(resent)).status_code
    page = (await api.http.get(f"{producer.path}/log?level=ERROR")).json()
    (line,) = page["lines"]
    assert ("ERROR", "row 7: B: no date", "row 7", "load") == tuple(
        line[name] for name in ("level", "message", "item", "phase")
    )
    state = await producer.state()
    assert {"INFO": 1, "ERROR": 1} == state["logCounts"]
    assert 1 == state["results"]["failed"]


async def test_a_result_that_is_too_large_is_replaced_by_a_note(producer):
    await producer.complete(result=["x" * 1000] * 1000)
    result = (await producer.state())["result"]
    assert result["note"].startswith("cut: 1,003,001 bytes of JSON")


async def test_phases_that_somebody_invents_do_not_grow_without_bound(producer):
    await producer.send(*({"event": "progress", "phase": f"phase {n}", "done": 1} for n in range(700)))
    assert 500 == len((await producer.state())["phases"])


async def test_of_failed_items_the_state_lists_the_first_hundred_and_counts_all(producer):
    await producer.send(
        *(
            {"event": "failure", "item": f"row {n}", "error": {"type": "E", "traceback": "t" * 1000}}
            for n in range(150)
        )
    )
    state = await producer.state()
    assert (150, 100) == (state["results"]["failed"], len(state["errors"]))
    assert {""} == {one["error"]["traceback"] for one in state["errors"]}


# -- what comes back is what was sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        "line one\nline two\rthree\u2028four\u2029",
        "data: not a field\n\nevent: failed\ndata: {}",
        "\x1b[31mred\x1b[0m \x00 \x07",
        "%s %d {0} ${x} `rm -rf /`",
        "'; DROP TABLE runs; --",
        "日本語 💥 \u202egnirts",
        "\\u0041 \\n",
        "",
    ],
    ids=ascii,
)
async def test_text_comes_back_as_it_was_sent_whatever_it_looks_like(api, producer, text):
    await producer.send(line(1, message=text, item=text, logger=text))
    (got,) = (await api.http.get(f"{producer.path}/log")).json()["lines"]
    assert (text, text, text) == (got["message"], got["item"], got["logger"])
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        frames = await stream.take(3)
    assert ["status", "status", "log"] == [frame.event for frame in frames]
    assert text == data_of(frames[2])["message"]


async def test_what_an_event_left_open_is_filled_in_from_the_state(api):
    producer = await api.register(phases=[{"name": "a", "weight": 1}, {"name": "b", "weight": 3}])
    await producer.send(
        {"event": "phase", "phase": "a", "phaseStatus": "finished"},
        {"event": "phase", "phase": "b", "phaseStatus": "started"},
        {"event": "progress", "done": 1, "total": 2, "results": {"success": 1}},
        {"event": "log", "level": "warn", "message": "hm"},
        {"event": "failure", "item": "x", "error": {"type": "E"}},
        {"event": "complete", "result": {"rows": 2}},
    )
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        data = [data_of(frame) for frame in await stream.rest()]
    progress, log, failure, line, complete = data[4:]
    assert ("b", 62, 62.5, 50.0) == tuple(
        progress[key] for key in ("phase", "progress", "overallProgress", "phaseProgress")
    )
    assert ("b", "warning", "WARNING", log["time"]) == tuple(
        log[key] for key in ("phase", "type", "level", "timestamp")
    )
    assert "b" == failure["phase"]
    assert ("b", "ERROR", "x: E") == tuple(line[key] for key in ("phase", "level", "message"))
    assert ("complete, 1 of 2 failed", 100) == (complete["message"], complete["progress"])
    assert (1, 1, "x") == (
        complete["results"]["success"],
        complete["results"]["failed"],
        complete["results"]["errors"][0]["item"],
    )
    assert list(range(1, 10)) == [one["seq"] for one in data]
    assert {producer.run} == {one["run"] for one in data}


async def test_requests_come_back_with_every_answer(producer):
    await producer.send(line(1))
    await producer.http.post(f"{producer.path}/cancel")
    assert ["cancel"] == (await producer.send(line(2)))["requests"]
    assert ["cancel"] == (await producer.post(b"")).json()["requests"]


async def test_bodies_may_come_in_chunks(api, producer):
    body = json.dumps(line(1)).encode()
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:], b"\n")]
    head = (
        f"POST {producer.path}/events HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {producer.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    async with await api.raw(head.encode() + b"".join(chunks) + b"0\r\n\r\n") as raw:
        assert b"HTTP/1.1 200 OK" in await raw.until(b'{"acknowledged":1,"requests":[]}')
