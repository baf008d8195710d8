"""Events: their JSON, their times, and the bounds on what others send."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.model.bounds import (
    COUNT_LIMIT,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    RESULT_LIMIT,
    TRACEBACK_LIMIT,
    bounded,
    cut,
)
from streamer.model.events import (
    KINDS,
    Completed,
    ErrorInfo,
    FailedItem,
    FinalResults,
    ItemFailed,
    Logged,
    Progressed,
    Results,
    RunFailed,
    StatusChanged,
    decode_event,
    encode_event,
    kind,
)
from streamer.model.timestamps import format_time, parse_time


def test_the_kinds_are_those_of_the_contract():
    assert ("status", "phase", "progress", "log", "failure", "complete", "failed", "cancelled") == KINDS


def test_json_is_camel_case_and_says_what_is_not_known():
    data = json.loads(encode_event(Progressed(phase="load", done=3)))
    assert "progress" == data["event"] == data["status"]
    assert data["total"] is None
    assert {"success": 0, "failed": 0} == data["results"]
    assert "overallProgress" in data


def test_a_status_says_only_what_it_was_given():
    assert {"event": "status", "status": "running", "message": ""} == json.loads(
        encode_event(StatusChanged(status="running"))
    )


@pytest.mark.parametrize(
    "text",
    [
        b'{"event":"nonsense"}',
        b'{"event":"progress","done":"three"}',
        b'{"event":"status","status":"complete"}',
        b'{"event":"failure"}',
        b'{"event":"complete","progress":99}',
        b"[]",
        b"",
        b'{"event":"progress","done":1e999}',
    ],
)
def test_what_is_no_event_is_refused(text):
    with pytest.raises(msgspec.DecodeError):
        bounded(decode_event(text))


def test_unknown_keys_are_ignored_so_that_old_readers_read_new_events():
    assert Logged(message="x") == decode_event(b'{"event":"log","message":"x","later":1}')


texts = st.text(alphabet=st.characters(), max_size=50)


@given(texts, texts, st.sampled_from(["debug", "Info", "WARN", "error", "fatal", "odd"]))
def test_whatever_is_logged_can_be_written_and_read_back(message, item, level):
    event = bounded(Logged(message=message, item=item, level=level))
    assert event == decode_event(encode_event(event))
    assert event == bounded(event)
    assert len(event.message) <= MESSAGE_LIMIT


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=30))
def test_lone_surrogates_are_shown_not_dropped(text):
    shown = cut(text, 1000)
    shown.encode()
    assert len(shown) >= len(text)


@pytest.mark.parametrize(("level", "name", "type_"), [
    ("warn", "WARNING", "warning"), ("FATAL", "CRITICAL", "error"), ("", "INFO", "log"), ("TRACE", "TRACE", "log"),
])  # fmt: skip
def test_levels_are_those_of_logging_and_decide_the_type(level, name, type_):
    event = bounded(Logged(level=level))
    assert (name, type_) == (event.level, event.type)


def test_a_message_of_ten_megabytes_is_cut_with_a_note():
    event = bounded(Logged(message="x" * 10_000_000))
    assert len(event.message) <= MESSAGE_LIMIT
    assert event.message.endswith("… [cut: 10,000,000 characters in all]")


def test_a_traceback_keeps_its_first_and_last_lines():
    text = "first\n" + "middle\n" * 100_000 + "last"
    event = bounded(RunFailed(error=ErrorInfo("E", "m", text)))
    assert len(event.error.traceback) <= TRACEBACK_LIMIT
    assert event.error.traceback.startswith("first\n")
    assert event.error.traceback.endswith("last")


def test_a_result_too_large_is_replaced_by_its_beginning():
    event = bounded(Completed(result=["x" * 1000] * 1000))
    assert len(encode_event(event)) < RESULT_LIMIT
    assert "cut" in event.result["note"]


@pytest.mark.parametrize("result", [{1, 2}, object(), {"a": b"bytes"}, float("nan"), 2**70, {(1, 2): 3}])
def test_a_result_that_json_cannot_carry_is_still_told(result):
    event = bounded(Completed(result=result))
    assert event == decode_event(encode_event(event))


def test_a_result_that_contains_itself_is_still_told():
    result: list[object] = []
    result.append(result)
    assert "nested deeper than" in repr(bounded(Completed(result=result)).result)


def test_a_terminal_event_is_small_however_much_failed():
    error = ErrorInfo("E" * 1000, "m" * 100_000, "t" * 100_000)
    failed = FailedItem("i" * 10_000, "p", error)
    event = bounded(RunFailed(error=error, results=FinalResults(0, 500, (failed,) * 500)))
    assert 100 == len(event.results.errors)
    assert len(encode_event(event)) < 200_000


@pytest.mark.parametrize("count", [-1, -1e308, 1e308, 2**70, 10**400, float("inf"), float("nan")])
def test_a_count_that_no_reader_could_hold_is_not_known(count):
    event = bounded(Progressed(done=count, total=count))
    assert (None, None) == (event.done, event.total)


def test_numbers_of_items_stay_what_every_reader_holds():
    event = bounded(Progressed(progress=10**400, results=Results(success=-5, failed=2**70)))
    assert (100, Results(0, COUNT_LIMIT)) == (event.progress, event.results)
    assert FinalResults(COUNT_LIMIT, 0) == bounded(Completed(results=FinalResults(10**400, -1))).results


def test_a_timestamp_is_bounded_like_every_text():
    assert len(bounded(Logged(timestamp="9" * 100_000)).timestamp) <= 100


def test_an_item_s_name_is_bounded():
    assert len(bounded(ItemFailed(item="i" * 10_000, error=ErrorInfo("E"))).item) <= NAME_LIMIT


@given(st.integers(0, 253_402_300_799_999))
def test_times_are_exact_to_the_millisecond(milliseconds):
    assert milliseconds / 1000 == parse_time(format_time(milliseconds / 1000))


@pytest.mark.parametrize(("text", "seconds"), [
    ("1970-01-01T00:00:00Z", 0.0),
    ("2026-01-31T09:41:32.118Z", 1769852492.118),
    ("2026-01-31T10:41:32.118999+01:00", 1769852492.118),
    ("2026-01-31t09:41:32z", 1769852492.0),
])  # fmt: skip
def test_rfc_3339_times_are_read(text, seconds):
    assert seconds == parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T09:41:32",
        "2026-13-31T09:41:32Z",
        "2026-01-31T25:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T09:41:32+24:00",
        "2026-01-31T09:41:32+01:60",
        "2026-01-31 09:41:32Z",
        "1969-12-31T23:59:59Z",
        "٢٠٢٦-01-31T09:41:32Z",
    ],
)
def test_other_times_are_refused_naming_them(text):
    with pytest.raises(ValueError, match="expected"):
        parse_time(text)


def test_every_kind_has_its_name():
    assert "complete" == kind(Completed())
