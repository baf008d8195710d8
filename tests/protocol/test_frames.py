"""What goes over the wire: frames that a decoder reads back, in ASCII, with cursors that name their log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.model.events import Entry, Logged, PhaseChanged, PhaseSpec, Progressed, StatusChanged
from streamer.model.reducer import fold
from streamer.model.state import RunState
from streamer.protocol import sse
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import (
    Removed,
    Reset,
    Snapshot,
    SnapshotOfAll,
    WireError,
    ascii_json,
    frame_of,
    read_frame,
    read_state,
    removed_frame,
    reset_frame,
    snapshot_frame,
    state_data,
)


def read(data: bytes) -> object:
    (frame,) = sse.Decoder().feed(data)
    return read_frame(frame)


@given(st.text(), st.integers(1, 2**53), st.integers(0, 10**14))
def test_an_entry_comes_back_from_its_frame(message, offset, milliseconds):
    entry = Entry(offset, "r1", 7, milliseconds / 1000, Logged(message=message))
    frame = frame_of(entry, "e1")
    assert frame.isascii()
    assert entry == read(frame)


def test_a_frame_is_event_id_and_one_line_of_data():
    entry = Entry(4812, "7k2m", 3, 1769852492.118, Logged(message="line\nbreak 😀"))
    event, number, data, *rest = frame_of(entry, "e1").decode().split("\n")
    assert ("event: log", "id: e1-4812", ["", ""]) == (event, number, rest)
    assert "line\nbreak 😀" == json.loads(data.removeprefix("data: "))["message"]
    assert '{"run":"7k2m","seq":3,"time":"2026-01-31T09:41:32.118Z","event":"log"' in data


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
@pytest.mark.slow
def test_ascii_json_is_the_same_json(value):
    text = json.dumps(value, ensure_ascii=False).encode()
    assert ascii_json(text).isascii()
    assert value == json.loads(ascii_json(text))


def some_state() -> RunState:
    events = [
        StatusChanged(
            status="queued",
            title="Impört",
            parameters={"n": 3},
            phases=(PhaseSpec("a", 1), PhaseSpec("b", 3)),
        ),
        StatusChanged(status="running"),
        PhaseChanged(phase="a", phase_status="started"),
        *(Progressed(phase="a", done=n, total=10, unit="rows") for n in range(10)),
    ]
    return fold(RunState(run="r1"), [Entry(n, "r1", n, 1000.5 + n, e) for n, e in enumerate(events, 1)])


def test_a_state_comes_back_from_its_json():
    assert some_state() == read_state(json.loads(json.dumps(state_data(some_state(), cursor="e1-9"))))


def test_what_was_counted_outside_of_phases_is_read_back_too():
    counted = [StatusChanged(status="running"), *(Progressed(done=n, total=9, unit="rows") for n in range(9))]
    state = fold(RunState(run="r1"), [Entry(n, "r1", n, 1000.5 + n, e) for n, e in enumerate(counted, 1)])
    assert state.outside is not None
    assert state == read_state(json.loads(json.dumps(state_data(state))))


def test_a_state_s_times_are_written_in_rfc_3339():
    data = state_data(some_state())
    assert "1970-01-01T00:16:42.500Z" == data["started"]
    assert "1970-01-01T00:16:43.500Z" == data["phases"][0]["started"]


def test_a_snapshot_comes_back_and_its_id_is_its_cursor():
    snapshot = Snapshot(some_state(), Cursor("e1", 13))
    frame = snapshot_frame(snapshot)
    assert b"\nid: e1-13\n" in frame
    assert snapshot == read(frame)


def test_a_snapshot_of_all_comes_back():
    snapshot = SnapshotOfAll((some_state(), RunState(run="r2")), Cursor("e1", 13))
    assert snapshot == read(snapshot_frame(snapshot))


def test_a_reset_comes_back_without_an_id():
    frame = reset_frame(Reset("another log"), "r1")
    assert b"\nid:" not in frame
    assert Reset("another log") == read(frame)


@pytest.mark.parametrize("text", ["", "e1", "-3", "e1-", "e1-x", "e1-\u0661", "e1-" + "9" * 19, "e1--"])
def test_what_is_no_cursor_belongs_to_no_log(text):
    assert Cursor.parse(text) is None


def test_the_word_that_a_run_was_removed_is_read_as_it_was_written():
    removed = Removed(7, "r", 1000.5)
    (frame,) = sse.Decoder().feed(removed_frame(removed, "e1"))
    assert ("removed", "e1-7") == (frame.event, frame.id)
    assert removed == read_frame(frame)


def test_an_epoch_may_contain_a_dash():
    assert Cursor("a-b", 3) == Cursor.parse("a-b-3")


@pytest.mark.parametrize(
    "frame",
    [
        sse.Frame(event="progress", data="{}", id="e1-1"),
        sse.Frame(event="progress", data='{"event":"progress"}', id="e1-1"),
        sse.Frame(event="log", data='{"event":"log","run":"r","seq":1,"time":"yesterday"}', id="e1-1"),
        sse.Frame(
            event="log", data='{"event":"log","run":"r","seq":1,"time":"1970-01-01T00:00:00Z"}', id="1"
        ),
        sse.Frame(event="snapshot", data='{"cursor":"e1-1","run":3}', id="e1-1"),
        sse.Frame(event="snapshot", data='{"cursor":"x","run":"r"}', id="e1-1"),
        sse.Frame(event="snapshot", data="[]", id="e1-1"),
        sse.Frame(event="reset", data="{}", id=""),
        sse.Frame(event="reset", data="not json", id=""),
        sse.Frame(event="removed", data='{"run":"r"}', id="e1-1"),
        sse.Frame(event="removed", data='{"run":"r","time":"yesterday"}', id="e1-1"),
        sse.Frame(event="removed", data='{"run":"r","time":null}', id="e1-1"),
        sse.Frame(event="removed", data='{"run":"r","time":"1970-01-01T00:00:00Z"}', id=""),
        sse.Frame(event="snapshot", data="[" * 100_000, id="e1-1"),
        sse.Frame(event="log", data='{"fields":' + "[" * 100_000, id="e1-1"),
    ],
    ids=lambda frame: f"{frame.event} {frame.data[:60]}",
)
def test_a_frame_that_is_not_of_the_contract_is_refused(frame):
    with pytest.raises(WireError):
        read_frame(frame)


def test_a_kind_of_a_later_version_is_passed_over():
    assert read_frame(sse.Frame(event="later", data="{}", id="e1-1")) is None
