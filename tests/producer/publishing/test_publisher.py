"""The publisher: events arrive in order, each once, whatever the network and the streamer do."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.client.discovery import whereabouts
from streamer.model.bounds import BARS_LIMIT
from streamer.model.events import (
    Bar,
    Completed,
    ErrorInfo,
    Event,
    ItemFailed,
    Logged,
    PhaseChanged,
    Progressed,
    RunCancelled,
    RunFailed,
    StatusChanged,
    decode_event,
)
from streamer.producer.publishing.outbox import Outbox
from streamer.producer.publishing.publisher import Publisher
from streamer.producer.publishing.replies import Backoff
from tests.fake_ingest import MODES, FakeIngest
from tests.support import wait_until

TIME = 1_700_000_000.123


@contextmanager
def publishing(ingest: FakeIngest, **options: Any) -> Iterator[Publisher]:
    provider = options.pop("url_provider", lambda: ingest.url)
    publisher = Publisher(provider, "r1", "secret", rng=random.Random(1), **options)
    publisher._backoff = Backoff(random.Random(1), first=0.005, longest=0.02)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.close(0.0)


def line(text: str, level: str = "INFO") -> Logged:
    return Logged(message=text, level=level)


def messages(lines: list[dict[str, Any]]) -> list[str]:
    return [one["message"] for one in lines]


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def test_events_arrive_numbered_from_one_with_their_time() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        publisher.put(line("a"), TIME)
        publisher.put(Completed(result={"rows": 3}), TIME + 1)
        assert publisher.close(5)
    first, last = ingest.of()
    assert (1, "2023-11-14T22:13:20.123Z", "log", "a") == (
        first["seq"],
        first["time"],
        first["event"],
        first["message"],
    )
    assert (2, "2023-11-14T22:13:21.123Z", "complete", {"rows": 3}) == (
        last["seq"],
        last["time"],
        last["event"],
        last["result"],
    )


def test_what_belongs_to_the_running_code_is_told_as_it_was_when_it_was_put() -> None:
    fields = {"state": ["before"]}
    with FakeIngest() as ingest, publishing(ingest, linger_seconds=60) as publisher:
        # The sign of life that comes first has been answered: what follows is sent together.
        wait_until(lambda: ingest.bodies and publisher._last_sent > 0 and publisher._looks_soon)
        publisher.put(line("put together"), TIME)
        publisher.put(Logged(message="with more", fields=fields), TIME)
        fields["state"].append("after")
        publisher.put(line("last"), TIME)
        assert publisher.flush(5)
    assert ["put together", "with more", "last"] == messages(ingest.of())
    assert {"state": ["before"]} == ingest.of()[1]["fields"]


def test_what_threads_put_while_it_sends_arrives_once_and_in_the_order_of_each() -> None:
    def put(name: str) -> None:
        for number in range(300):
            publisher.put(line(f"{name} {number}"), TIME)

    with FakeIngest() as ingest, publishing(ingest, linger_seconds=0.001) as publisher:
        threads = [threading.Thread(target=put, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert publisher.flush(10)
    for name in "abc":
        expected = [f"{name} {number}" for number in range(300)]
        assert expected == [text for text in messages(ingest.of()) if text.startswith(name)]


def test_a_request_carries_the_token_and_ndjson() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        publisher.put(line("a"), TIME)
        assert publisher.flush(5)
    assert ingest.headers[0]["Authorization"] == "Bearer secret"
    assert ingest.headers[0]["Content-Type"] == "application/x-ndjson"
    # A sign of life may come first: an empty body.
    assert next(body for body in ingest.bodies if body).endswith(b"}\n")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_every_event_is_stored_once_and_in_order_whatever_the_answers(seed: int) -> None:
    rng = random.Random(seed)
    with (
        FakeIngest(lambda n: rng.choice(MODES)) as ingest,
        publishing(ingest, linger_seconds=0.001, max_events=7) as publisher,
    ):
        texts = [f"line {n}" for n in range(150)]
        for text in texts:
            publisher.put(line(text), TIME)
        assert publisher.flush(20), publisher.last_error
    assert ingest.seqs() == list(range(1, 151))
    assert messages(ingest.of()) == texts


@pytest.mark.slow
def test_many_threads_put_and_each_threads_order_is_kept() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:

        def work(name: int) -> None:
            for n in range(200):
                publisher.put(line(f"{name} {n}"), TIME)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert publisher.flush(10)
    assert ingest.seqs() == list(range(1, 1001))
    for name in range(5):
        own = [text for text in messages(ingest.of()) if text.startswith(f"{name} ")]
        assert own == [f"{name} {n}" for n in range(200)]


def test_events_in_a_stream_are_sent_together() -> None:
    with FakeIngest() as ingest, publishing(ingest, linger_seconds=0.02) as publisher:
        for n in range(300):
            publisher.put(line(str(n)), TIME)
        assert publisher.flush(5)
    assert len([body for body in ingest.bodies if body]) < 30


@pytest.mark.slow
def test_a_body_keeps_within_its_bounds() -> None:
    with FakeIngest() as ingest, publishing(ingest, max_events=4, max_bytes=3000) as publisher:
        for _ in range(30):
            publisher.put(line("x" * 900), TIME)
        assert publisher.flush(10)
    assert max(map(len, ingest.bodies)) <= 3000
    assert max(body.count(b"\n") for body in ingest.bodies) <= 4


def test_an_idle_producer_gives_a_sign_of_life_and_hears_what_is_asked() -> None:
    asked = threading.Event()
    with (
        FakeIngest() as ingest,
        publishing(ingest, alive_seconds=0.02, on_request=lambda name: name == "cancel" and asked.set()),
    ):
        wait_until(lambda: ingest.count >= 3)
        assert not asked.is_set()
        ingest.requests = ("cancel",)
        assert asked.wait(30)
    assert set(ingest.bodies) == {b""}


def test_a_request_handler_that_raises_stops_nothing() -> None:
    def fail(name: str) -> None:
        raise RuntimeError(name)

    with FakeIngest() as ingest, publishing(ingest, on_request=fail) as publisher:
        ingest.requests = ("cancel",)
        publisher.put(line("a"), TIME)
        assert publisher.flush(5)
        publisher.put(line("b"), TIME)
        assert publisher.flush(5)
    assert messages(ingest.of()) == ["a", "b"]


@pytest.mark.parametrize(("status", "code"), [(409, "run_ended"), (401, "x"), (403, "x"), (404, "x")])
def test_a_refusal_stops_it_for_good(status: int, code: str) -> None:
    reasons: list[str] = []
    with FakeIngest() as ingest:
        ingest.refuse = (status, code, {})
        with publishing(ingest, on_refused=reasons.append) as publisher:
            publisher.put(line("a"), TIME)
            assert publisher.flush(5) is False
            wait_until(lambda: reasons)
            publisher.put(line("b"), TIME)
            assert publisher.flush(5) is False
            assert publisher.close(5) is False
    assert ingest.count == 1
    assert reasons == [f"{status} {code}"]


def test_a_stranger_on_the_streamers_port_is_not_believed() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        ingest.refuse = (404, "", {})
        publisher.put(line("a"), TIME)
        wait_until(lambda: ingest.count >= 2)
        ingest.refuse = None
        assert publisher.flush(5)
    assert messages(ingest.of()) == ["a"]


@pytest.mark.parametrize("mode", ["deep", "not UTF-8"])
def test_an_answer_that_nobody_can_read_is_a_failed_attempt(mode: str) -> None:
    with FakeIngest(lambda n: mode if n == 1 else "ok") as ingest, publishing(ingest) as publisher:
        publisher.put(line("a"), TIME)
        assert publisher.flush(5)
    assert messages(ingest.of()) == ["a"]


def test_retry_after_is_honoured() -> None:
    clock = [0.0]
    with FakeIngest() as ingest:
        ingest.refuse, ingest.retry_after = (429, "slow_down", {}), "7"
        with publishing(ingest, clock=lambda: clock[0], linger_seconds=0) as publisher:
            publisher.put(line("a"), TIME)
            wait_until(lambda: publisher.last_error)
            ingest.refuse = None
            clock[0] = 6.9
            assert publisher.flush(0.2) is False
            assert ingest.count == 1
            clock[0] = 7.1
            assert publisher.flush(5)


def test_it_goes_on_where_the_streamer_says() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        for text in "abcd":
            publisher.put(line(text), TIME)
        assert publisher.flush(5)
        with ingest.lock:
            del ingest.events["r1"][2:]  # as after a power failure
        publisher.put(line("e"), TIME)
        assert publisher.flush(5)
    assert messages(ingest.of()) == ["a", "b", "c", "d", "e"]


def test_what_is_no_longer_held_cannot_be_asked_for() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        publisher.put(line("a"), TIME)
        assert publisher.flush(5)
        publisher._outbox._kept.clear()
        with ingest.lock:
            ingest.events["r1"].clear()
        publisher.put(line("b"), TIME)
        assert publisher.flush(5) is False
        assert "409" in str(publisher.refused)


def test_two_producers_of_one_run_are_noticed() -> None:
    with FakeIngest() as ingest, publishing(ingest) as first:
        for text in "abc":
            first.put(line(text), TIME)
        assert first.flush(5)
        with publishing(ingest) as second:
            second.put(line("x"), TIME)
            assert second.flush(5) is False
            assert "somebody else" in str(second.refused)


def test_a_refused_event_is_replaced_and_the_rest_arrives() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        ingest.accepts = lambda lines: all(one["message"] != "poison" for one in lines)
        for text in ("a", "b", "poison", "c"):
            publisher.put(line(text), TIME)
        publisher.put(Completed(), TIME)
        assert publisher.flush(5)
    assert ingest.seqs() == [1, 2, 3, 4, 5]
    assert "could not be kept" in messages(ingest.of())[2]
    assert ingest.terminal() is not None


def test_a_refused_result_still_completes_the_run() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        ingest.accepts = lambda lines: all(one.get("result") is None for one in lines)
        publisher.put(Completed(result={"rows": 3}), TIME)
        assert publisher.flush(5)
    terminal = ingest.terminal()
    assert terminal is not None
    assert terminal["event"] == "complete"
    assert "refused" in terminal["message"]


@pytest.mark.slow
def test_it_follows_a_streamer_that_moves(tmp_path: Path) -> None:
    place = tmp_path / "streamer.json"
    provider = whereabouts(tmp_path, "http://127.0.0.1:9")
    with FakeIngest() as second:
        first = FakeIngest()
        place.write_text(json.dumps({"url": first.url, "pid": 1}))
        with publishing(first, url_provider=provider) as publisher:
            with first:
                publisher.put(line("a"), TIME)
                assert publisher.flush(5)
            publisher.put(line("b"), TIME)
            second.events["r1"] = first.events["r1"]
            place.write_text(json.dumps({"url": second.url, "pid": 2}))
            assert publisher.flush(10)
    assert messages(second.of()) == ["a", "b"]


def test_an_event_of_objects_that_fail_is_told_and_ends_nothing() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    with FakeIngest() as ingest, publishing(ingest) as publisher:
        publisher.put(Logged(message=Odd()), TIME)  # type: ignore[arg-type]  # as code without types may do
        publisher.put(Completed(result=Odd()), TIME)
        assert publisher.flush(5)
    terminal = ingest.terminal()
    assert terminal is not None
    assert "<Odd without a text: RuntimeError>" == terminal["result"]
    assert any("could not be kept" in event.get("message", "") for event in ingest.of())


def test_an_event_put_while_another_is_encoded_comes_after_it() -> None:
    class Loud:
        def __str__(self) -> str:
            publisher.put(line("inner"), TIME)
            return "loud"

    with FakeIngest() as ingest, publishing(ingest) as publisher:
        publisher.put(StatusChanged(status="running", parameters={"x": Loud()}), TIME)
        assert publisher.flush(5)
    assert ["status", "log"] == [one["event"] for one in ingest.of()][:2]


def test_a_forked_child_sends_nothing() -> None:
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        publisher._pid = os.getpid() + 1
        publisher.put(line("a"), TIME)
        publisher._pid = os.getpid()
        publisher.put(line("b"), TIME)
        assert publisher.flush(5)
    assert messages(ingest.of()) == ["b"]


def test_closing_when_nobody_listens_says_that_not_all_was_sent() -> None:
    with FakeIngest(lambda n: "drop") as ingest, publishing(ingest) as publisher:
        publisher.put(line("a"), TIME)
        assert publisher.close(0.05) is False


def test_its_own_requests_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with FakeIngest() as ingest, publishing(ingest) as publisher:
        publisher.put(line("a"), TIME)
        assert publisher.flush(5)
    assert [] == [record.getMessage() for record in caplog.records]


# -- where the streamer is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "[]", "{", '{"url": 3}', '{"url": "file:///etc"}', "null"])
def test_whereabouts_that_cannot_be_used_count_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "streamer.json").write_text(text)
    where = whereabouts(tmp_path, "http://first/")
    assert [where(), where()] == ["http://first", "http://first"]


def test_a_streamer_is_looked_for_by_turns_where_it_was_and_where_its_folder_says(tmp_path: Path) -> None:
    where = whereabouts(tmp_path, "http://first")
    assert where() == "http://first"
    (tmp_path / "streamer.json").write_text('{"url": "http://second/", "pid": 1}')
    assert [where() for _ in range(3)] == ["http://second", "http://first", "http://second"]


def test_the_word_of_another_streamer_on_the_old_port_is_checked(tmp_path: Path) -> None:
    with FakeIngest() as other, FakeIngest() as ours:
        other.refuse = (404, "unknown_run", {})
        (tmp_path / "streamer.json").write_text(json.dumps({"url": ours.url}))
        with publishing(ours, url_provider=whereabouts(tmp_path, other.url)) as publisher:
            publisher.put(line("a"), TIME)
            assert publisher.flush(5)
    assert messages(ours.of()) == ["a"]


# -- the outbox --------------------------------------------------------------------------------------------------------


def drain(outbox: Outbox) -> list[dict[str, Any]]:
    found = []
    while batch := outbox.batch(1000, 10**9):
        found += [json.loads(data) for _, data in batch]
        outbox.acknowledge(batch[-1][0])
    return found


EVENTS = st.one_of(
    st.builds(line, st.text(max_size=30), st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR", "odd"])),
    st.builds(
        Progressed,
        phase=st.sampled_from([None, "a", "b"]),
        done=st.integers(0, 9),
        message=st.sampled_from(["", "said"]),
    ),
    st.builds(ItemFailed, item=st.text(max_size=5), error=st.just(ErrorInfo("E", "m" * 600, "t" * 3000))),
    st.builds(PhaseChanged, phase=st.just("a"), phase_status=st.just("started")),
    st.sampled_from([Completed(), RunFailed(), RunCancelled()]),
)


@pytest.mark.slow
@given(
    events=st.lists(EVENTS, max_size=60),
    limit=st.sampled_from([0, 500, 3000, 20_000, 10**7]),
    sizes=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 5000), st.booleans()), min_size=1, max_size=30
    ),
)
def test_whatever_is_bounded_and_lost_numbers_are_whole_and_facts_stay(
    events: list[Event], limit: int, sizes: list[tuple[int, int, bool]]
) -> None:
    outbox = Outbox(limit)
    stored: dict[int, dict[str, Any]] = {}
    for n, event in enumerate(events):
        outbox.put(event, TIME)
        most, size, answered = sizes[n % len(sizes)]
        if n % 5 == 0:
            batch = outbox.batch(most, size)
            assert batch
            assert len(batch) <= most
            assert len(batch) == 1 or sum(len(data) for _, data in batch) <= size
            stored.update((seq, json.loads(data)) for seq, data in batch)
            if answered:
                outbox.acknowledge(batch[-1][0])
    stored.update((one["seq"], one) for one in drain(outbox))
    assert sorted(stored) == list(range(1, len(stored) + 1))
    facts = ("failure", "phase", "complete", "failed", "cancelled")
    kept = [stored[seq]["event"] for seq in sorted(stored) if stored[seq]["event"] in facts]
    assert kept == [k for e in events if (k := type(e).__struct_config__.tag) in facts]
    if limit == 10**7:
        assert len(stored) == len(events)


@given(
    count=st.integers(1, 40),
    steps=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 45)), min_size=1, max_size=40),
)
def test_resuming_gives_what_is_asked_for_or_says_that_it_cannot(
    count: int, steps: list[tuple[int, int]]
) -> None:
    outbox = Outbox()
    for n in range(count):
        outbox.put(line(str(n + 1)), TIME)
    for most, expected in steps:
        outbox.batch(most, 10**9)
        last = outbox.last
        if outbox.resume(expected):
            assert 1 <= expected <= last + 1
            batch = outbox.batch(most, 10**9)
            if batch:
                assert batch[0][0] == expected
                assert json.loads(batch[0][1])["message"] == str(expected)
        else:
            assert expected > last + 1 or expected < 1


def test_progress_that_is_joined_keeps_the_last_word_on_every_bar() -> None:
    outbox = Outbox(limit_bytes=4_000)
    for n in range(200):
        outbox.put(Progressed(done=n, bars=(Bar("all", done=n), Bar(f"bar {n % 3}", done=n))), 0.0)
    events = [decode_event(line) for _, line in outbox.batch(1000, 10**9)]
    last = {bar.id: bar.done for event in events for bar in event.bars}
    assert len(events) < 50
    assert {"all": 199, "bar 0": 198, "bar 1": 199, "bar 2": 197} == last


def test_progress_is_not_joined_beyond_the_bars_of_one_event() -> None:
    outbox = Outbox(limit_bytes=4_000)
    for n in range(BARS_LIMIT + 20):
        outbox.put(Progressed(bars=(Bar(f"bar {n}", done=n),)), 0.0)
    events = [decode_event(line) for _, line in outbox.batch(1000, 10**9)]
    assert BARS_LIMIT + 20 == len({bar.id for event in events for bar in event.bars})


def test_progress_is_joined_first_and_keeps_its_last_message() -> None:
    outbox = Outbox(2_000)
    outbox.put(Progressed(phase="a", done=1, message="said"), TIME)
    for n in range(2, 100):
        outbox.put(Progressed(phase="a", done=n), TIME + n)
    outbox._compact()
    assert [("said", 99)] == [(one["message"], one["done"]) for one in drain(outbox)]


def test_dropped_lines_are_counted_by_a_line_in_their_place() -> None:
    outbox = Outbox(20_000)
    outbox.put(line("careful", "WARNING"), TIME)
    for n in range(1000):
        outbox.put(line(f"line {n}"), TIME)
    outbox.put(Completed(), TIME)
    found = drain(outbox)
    notes = [one["message"] for one in found if one.get("logger") == "streamer.publisher"]
    assert found[0]["message"] == "careful"
    assert found[-1]["event"] == "complete"
    said = f"{outbox.dropped:,} log lines were not kept while the streamer was away or too slow"
    assert [said] == [note.partition(", the first of ")[0] for note in notes]
    assert len(found) - 1 + outbox.dropped == 1002
    assert found[-2]["message"] == "line 999"


def test_failed_items_lose_their_tracebacks_before_anything_else_of_them() -> None:
    outbox = Outbox(50_000)
    for n in range(100):
        outbox.put(ItemFailed(item=str(n), error=ErrorInfo("ValueError", "bad", "t" * 5_000)), TIME)
    found = drain(outbox)
    assert [str(n) for n in range(100)] == [one["item"] for one in found]
    assert found[0]["error"]["message"] == "bad"
    assert "left out" in found[0]["error"]["traceback"]


def test_bounding_costs_no_pass_for_each_event_when_nothing_can_be_given_up() -> None:
    outbox = Outbox(5_000)
    passes = []
    compact = outbox._compact
    outbox._compact = lambda: (passes.append(1), compact())[1]  # type: ignore[method-assign]  # counts its calls
    for n in range(500):
        outbox.put(ItemFailed(item=str(n), error=ErrorInfo("E")), TIME)
    assert len(passes) < 25


def test_a_line_is_an_event_with_number_and_time() -> None:
    outbox = Outbox()
    outbox.put(Progressed(phase='"time":"', done=1), TIME)
    ((seq, data),) = outbox.batch(1, 1)
    assert seq == 1
    assert decode_event(data) == Progressed(phase='"time":"', done=1)


def test_backoff_doubles_to_its_bound_and_is_jittered() -> None:
    backoff = Backoff(random.Random(3))
    delays = [backoff.next() for _ in range(10)]
    for n, delay in enumerate(delays):
        full = min(0.1 * 2**n, 5.0)
        assert full / 2 <= delay <= full
    backoff.reset()
    assert backoff.next() <= 0.1
