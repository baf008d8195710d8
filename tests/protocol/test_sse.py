"""The event-stream codec against its vectors, its bounds and its refusals; what holds for any input is beside it."""

from __future__ import annotations

import json
import time
import tracemalloc
from itertools import chain, cycle, islice, pairwise
from typing import Any

import pytest

from streamer.protocol.sse import (
    HEARTBEAT,
    HEARTBEAT_DATA_ONLY,
    MAX_RETRY_MILLISECONDS,
    Decoder,
    EventTooLarge,
    Frame,
    StreamError,
    encode,
    encode_data_only,
    encode_retry,
)
from tests.support import ROOT

VECTORS = ROOT / "tests" / "vectors"


# -- vectors -----------------------------------------------------------------------------------------------------------


def as_bytes(stream: str | list[str | list[Any]]) -> bytes:
    parts = [stream] if isinstance(stream, str) else stream
    text = "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts)
    return text.encode("utf-8", "surrogateescape")


def as_frames(frames: list[dict[str, Any]]) -> list[Frame]:
    return [
        Frame(frame.get("event", "message"), frame["data"], frame.get("id", ""))
        for frame in frames
        for _ in range(frame.get("times", 1))
    ]


DECODE = [
    pytest.param(case, id=f"{topic}: {case['name']}")
    for topic, cases in json.loads((VECTORS / "decode.json").read_text("utf-8")).items()
    for case in cases
]
ENCODE = [
    pytest.param(case, id=case["name"]) for case in json.loads((VECTORS / "encode.json").read_text("utf-8"))
]


def check(case: dict[str, Any], *chunks: bytes) -> None:
    decoder = Decoder(case.get("starts_after", ""))
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    assert as_frames(case["frames"]) == frames
    assert case.get("last_event_id", "") == decoder.last_event_id
    assert case.get("retry_milliseconds") == decoder.retry_milliseconds


def test_vectors_are_named_once_and_have_only_the_keys_their_readme_names() -> None:
    cases = [parameter.values[0] for parameter in DECODE]
    assert len(cases) == len({parameter.id for parameter in DECODE})
    assert {
        "name",
        "stream",
        "frames",
        "last_event_id",
        "retry_milliseconds",
        "starts_after",
    } == set(chain.from_iterable(cases))
    assert {"data", "event", "id", "times"} == set(
        chain.from_iterable(frame for case in cases for frame in case["frames"])
    )


@pytest.mark.parametrize("case", DECODE)
def test_a_stream_is_read_whole(case: dict[str, Any]) -> None:
    check(case, as_bytes(case["stream"]))


@pytest.mark.parametrize("case", DECODE)
def test_a_stream_is_read_byte_by_byte(case: dict[str, Any]) -> None:
    stream = as_bytes(case["stream"])
    check(case, *(stream[i : i + 1] for i in range(len(stream))))


@pytest.mark.parametrize("case", DECODE)
def test_a_stream_is_read_in_two_parts_wherever_it_is_cut(case: dict[str, Any]) -> None:
    stream = as_bytes(case["stream"])
    for cut in range(len(stream) + 1):
        check(case, stream[:cut], stream[cut:])


@pytest.mark.parametrize("case", ENCODE)
def test_an_event_is_written_as_its_vector_says(case: dict[str, Any]) -> None:
    assert case["bytes"].encode() == encode(**case["arguments"])


@pytest.mark.parametrize("case", ENCODE)
def test_data_in_bytes_is_written_as_data_in_text(case: dict[str, Any]) -> None:
    arguments = case["arguments"]
    assert case["bytes"].encode() == encode(**(arguments | {"data": arguments["data"].encode()}))


# -- when events come out ----------------------------------------------------------------------------------------------


def test_an_event_comes_with_the_cr_that_ends_it_and_a_following_lf_ends_nothing() -> None:
    decoder = Decoder()
    assert [] == decoder.feed(b"data: a\r")
    assert [Frame("message", "a", "")] == decoder.feed(b"\r")
    assert [] == decoder.feed(b"")
    assert [] == decoder.feed(b"\n")
    assert [] == decoder.feed(b"data: b\n")
    assert [Frame("message", "b", "")] == decoder.feed(b"\n")


def test_an_empty_chunk_changes_nothing() -> None:
    decoder = Decoder()
    assert [] == decoder.feed(b"")
    assert [] == decoder.feed(b"\xef\xbb\xbfda")
    assert [] == decoder.feed(b"")
    assert [Frame("message", "a", "")] == decoder.feed(b"ta: a\n\n")


def test_the_last_event_id_changes_at_the_blank_line() -> None:
    decoder = Decoder("1")
    decoder.feed(b"id: 2\ndata: a\n")
    assert "1" == decoder.last_event_id
    decoder.feed(b"\n")
    assert "2" == decoder.last_event_id


def test_a_frame_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Frame("message", "a", "").data = "b"  # type: ignore[misc]  # that is what is tested


# -- a new connection --------------------------------------------------------------------------------------------------


def test_after_reconnecting_the_cut_off_event_is_gone_and_the_last_event_id_stays() -> None:
    decoder = Decoder()
    decoder.feed(b"retry: 70\nid: 1\ndata: a\n\nevent: ripe\nid: 2\ndata: cut o")
    decoder.reconnected()
    assert "1" == decoder.last_event_id
    assert 70 == decoder.retry_milliseconds
    assert [Frame("message", "b", "1")] == decoder.feed(b"ff\ndata: b\n\n")


def test_after_reconnecting_a_byte_order_mark_may_come_again() -> None:
    decoder = Decoder()
    decoder.feed(b"\xef\xbb\xbfdata: a\n\n")
    decoder.reconnected()
    assert [Frame("message", "b", "")] == decoder.feed(b"\xef\xbb\xbfdata: b\n\n")


def test_after_reconnecting_an_lf_is_a_line_end_of_its_own() -> None:
    decoder = Decoder()
    decoder.feed(b"data: a\n\r")
    decoder.reconnected()
    assert [Frame("message", "b", "")] == decoder.feed(b"\ndata: b\n\n")


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_what_is_as_long_as_the_bound_is_read() -> None:
    decoder = Decoder(max_event_bytes=10)
    assert [Frame("message", "67890", "")] == decoder.feed(b"abc4567890\ndata:67890\n\n")
    assert [Frame("message", "aaaa\nbbbbb", "")] == decoder.feed(b"data:aaaa\ndata:bbbbb\n\n")


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"data:678901\n\n", id="a line of data"),
        pytest.param(b"data:678901", id="a line that has not ended"),
        pytest.param(b":2345678901\n", id="a comment"),
        pytest.param(b"abcdefghijk\n", id="an unknown field"),
        pytest.param(b"id:45678901\n", id="an id"),
        pytest.param(b"data:aaaaa\ndata:bbbbb\n\n", id="lines of data together"),
        pytest.param(b"data\n" * 12, id="empty lines of data together"),
    ],
)
def test_what_is_longer_than_the_bound_is_refused_however_it_comes(stream: bytes) -> None:
    with pytest.raises(EventTooLarge, match="at most 10 bytes"):
        Decoder(max_event_bytes=10).feed(stream)
    decoder = Decoder(max_event_bytes=10)
    one_by_one = (decoder.feed(stream[i : i + 1]) for i in range(len(stream)))
    with pytest.raises(StreamError) as raised:
        list(one_by_one)
    assert 10 == raised.value.limit


def test_events_before_one_too_large_are_returned_and_the_next_call_raises() -> None:
    decoder = Decoder(max_event_bytes=10)
    stream = b"id: 1\ndata: a\n\ndata: far too long\nid: 2\n\nid: 3\ndata: c\n\n"
    assert [Frame("message", "a", "1")] == decoder.feed(stream)
    for chunk in (b"", b"data: d\n\n"):
        with pytest.raises(EventTooLarge):
            decoder.feed(chunk)
    assert "1" == decoder.last_event_id


def test_an_event_as_long_as_the_bound_before_one_too_large_is_returned() -> None:
    decoder = Decoder(max_event_bytes=10)
    assert [Frame("message", "67890", "")] == decoder.feed(b"data:67890\n\ndata:678901\n\n")


def test_after_an_event_too_large_a_new_connection_reads_again() -> None:
    decoder = Decoder(max_event_bytes=10)
    with pytest.raises(EventTooLarge):
        decoder.feed(b"data: a\ndata: far too long")
    decoder.reconnected()
    assert [Frame("message", "b", "")] == decoder.feed(b"data: b\n\n")


def test_short_events_and_comments_are_read_without_end() -> None:
    decoder = Decoder(max_event_bytes=10)
    assert [Frame("message", "a", "")] * 100 == decoder.feed(b": beat\n: beat\ndata: a\n\n" * 100)


def test_a_decoder_that_could_read_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, received 0"):
        Decoder(max_event_bytes=0)


@pytest.mark.parametrize(
    "pattern",
    [
        b"data: " + b"x" * 90,
        b"data: " + b"x" * 90 + b"\n",
        b"data\n",
        b"data:ab\n",
        b": " + b"x" * 90,
        b":\n",
        b"id: " + b"x" * 90 + b"\n",
        b"event: " + b"x" * 90 + b"\nevent\n",
        b"nonsense\n",
        b"nonsense\r\n\r\n",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\r",
        b"retry: 999999999999999999999\n",
    ],
)
def test_a_stream_without_end_is_read_or_refused_within_bounded_memory(pattern: bytes) -> None:
    limit = 16_384
    stream = pattern * (4096 // len(pattern) + 1)
    decoder = Decoder(max_event_bytes=limit)
    tracemalloc.start()
    try:
        for _ in range(100):
            decoder.feed(stream)
    except EventTooLarge:
        pass
    finally:
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert kept < 3 * limit
    # While it works, the lines of one chunk come on top: a pointer and a header each.
    assert peak < 3 * limit + 100 * len(stream)


def test_a_chunk_that_is_refused_is_not_kept() -> None:
    stream = b"data: " + b"x" * 1_000_000
    decoder = Decoder(max_event_bytes=1000)
    tracemalloc.start()
    try:
        with pytest.raises(EventTooLarge):
            decoder.feed(stream)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000


@pytest.mark.slow
def test_a_line_that_comes_byte_by_byte_takes_time_in_proportion() -> None:
    line = b"data: " + b"x" * 600_000
    decoder = Decoder()
    started = time.process_time()
    for i in range(len(line)):
        decoder.feed(line[i : i + 1])
    # About 0.4 s; copying what is there for each byte would take more than 15.
    assert time.process_time() - started < 5
    assert [Frame("message", "x" * 600_000, "")] == decoder.feed(b"\n\n")


# -- encoding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\n", "a\r\n"])
def test_a_type_or_id_that_would_break_its_line_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"expected {field} without CR, LF and NUL, received '"):
        encode("fig", **{field: value})


def test_an_empty_type_is_refused_because_it_would_be_read_as_message() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        encode("fig", event="")


@pytest.mark.parametrize(
    "arguments", [{"data": "\ud800"}, {"data": "", "event": "\ud800"}, {"data": "", "id": "\ud800"}]
)
def test_text_that_has_no_utf8_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode(**arguments)


def test_the_data_form_has_nothing_but_data_lines() -> None:
    assert b'data: {"event":"log"}\n\n' == encode_data_only('{"event":"log"}')
    assert b"data: a\ndata: b\n\n" == encode_data_only(b"a\nb")


def test_a_retry_makes_no_event_and_no_blank_line() -> None:
    assert b"retry: 1500\n" == encode_retry(1500)
    decoder = Decoder()
    assert [Frame("message", "a", "")] == decoder.feed(encode_retry(1500) + encode("a"))
    assert 1500 == decoder.retry_milliseconds


@pytest.mark.parametrize("milliseconds", [0, MAX_RETRY_MILLISECONDS])
def test_a_retry_of_the_least_and_the_most_is_read_back(milliseconds: int) -> None:
    decoder = Decoder()
    decoder.feed(encode_retry(milliseconds))
    assert milliseconds == decoder.retry_milliseconds


@pytest.mark.parametrize("milliseconds", [-1, MAX_RETRY_MILLISECONDS + 1])
def test_a_retry_out_of_range_is_refused(milliseconds: int) -> None:
    with pytest.raises(ValueError, match=f"expected 0 to 86400000 milliseconds, received {milliseconds}"):
        encode_retry(milliseconds)


def test_a_heartbeat_is_a_comment_and_has_a_blank_line_only_in_the_data_form() -> None:
    assert b":\n" == HEARTBEAT
    assert b":\n\n" == HEARTBEAT_DATA_ONLY


def test_heartbeats_make_no_event_and_are_not_part_of_one() -> None:
    events = [encode("a", event="ripe", id="1"), encode("b"), encode("c\nd")]
    between = islice(cycle([HEARTBEAT, HEARTBEAT_DATA_ONLY]), 4)
    stream = b"".join(chain.from_iterable(zip(between, [*events, b""], strict=True)))
    frames = [Frame("ripe", "a", "1"), Frame("message", "b", "1"), Frame("message", "c\nd", "1")]
    assert frames == Decoder().feed(stream)


def test_the_plainest_client_finds_the_data_between_blank_lines() -> None:
    stream = HEARTBEAT_DATA_ONLY + encode_data_only("{1}") + HEARTBEAT_DATA_ONLY * 2 + encode_data_only("{2}")
    blocks = stream.decode().split("\n\n")
    assert ["{1}", "{2}"] == [block.removeprefix("data: ") for block in blocks if block.startswith("data: ")]


def test_no_two_cuts_of_a_heartbeat_and_an_event_differ() -> None:
    stream = HEARTBEAT + encode("a\nb", event="ripe", id="1") + HEARTBEAT
    cuts = [(0, i, j, len(stream)) for i in range(len(stream) + 1) for j in range(i, len(stream) + 1)]
    for cut in cuts:
        decoder = Decoder()
        frames = [frame for start, end in pairwise(cut) for frame in decoder.feed(stream[start:end])]
        assert [Frame("ripe", "a\nb", "1")] == frames
