"""How entries and states look on the wire: the data of frames and JSON answers, both ways. Both ends share it; no I/O.

An entry's JSON is its event's, with ``run``, ``seq`` and ``time`` in front, in ASCII. A position in the log is a cursor
``EPOCH-OFFSET``. A state's JSON is `RunState`'s with times in RFC 3339.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from streamer.model.estimate import Estimated
from streamer.model.events import (
    KINDS,
    Entry,
    Event,
    decode_envelope,
    decode_event,
    encode_event,
    kind,
)
from streamer.model.state import RunState
from streamer.model.timestamps import format_time, parse_time
from streamer.protocol import sse
from streamer.protocol.cursor import Cursor

SNAPSHOT: Final = "snapshot"
RESET: Final = "reset"
REMOVED: Final = "removed"
ESTIMATE: Final = "estimate"
#: Every name an `event:` line of a stream can have.
FRAME_KINDS: Final = (*KINDS, SNAPSHOT, RESET, REMOVED, ESTIMATE)
_NAMES: Final = {name: name.encode() for name in KINDS}


class WireError(ValueError):
    """The received data does not have the contract's form. The message says what was received and what was expected."""


class Snapshot(Struct, frozen=True):
    """A run's state, and the cursor from which its stream goes on."""

    state: RunState
    cursor: Cursor


class SnapshotOfAll(Struct, frozen=True):
    """The states of the runs under way and of the newest ones, and the cursor from which the stream goes on."""

    states: tuple[RunState, ...]
    cursor: Cursor


class Reset(Struct, frozen=True):
    """The reader's cursor is not of this log, or no longer: what it knows is void; a snapshot follows."""

    reason: str


class Removed(Struct, frozen=True):
    """A run that the streamer does not keep any more, said to who follows all runs. `time`: POSIX seconds."""

    offset: int
    run_id: str
    time: float


class EstimateSaid(Struct, frozen=True):
    """The estimate of a run that was said now. It is in no log, has no place, and the next one takes its place."""

    run_id: str
    estimate: Estimated


def _escape_non_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)), error.end


codecs.register_error("streamer.json", _escape_non_ascii)


def ascii_json(data: bytes) -> bytes:
    """Return JSON in UTF-8 as the same JSON in ASCII."""
    return data if data.isascii() else data.decode().encode("ascii", "streamer.json")


def to_json(value: Any) -> bytes:
    """Return any value of ours as ASCII JSON."""
    return ascii_json(msgspec.json.encode(value))


# -- entries -----------------------------------------------------------------------------------------------------------


def entry_data(run_id: str, seq: int, time: float, body: bytes) -> bytes:
    """Return an entry's JSON from its event's (`encode_event`), without taking that apart.

    Args:
        run_id: The run.
        seq: The event's number within the run, from 1.
        time: POSIX seconds.
        body: The event's JSON, an object.

    """
    return b'{"run":"%b","seq":%d,"time":"%b",%b' % (
        run_id.encode(),
        seq,
        format_time(time).encode(),
        ascii_json(body)[1:],
    )


def entry_json(entry: Entry) -> bytes:
    """Return an entry's JSON."""
    return entry_data(entry.run_id, entry.seq, entry.time, encode_event(entry.event))


def entry_frame(epoch: str, offset: int, name: str, data: bytes) -> bytes:
    """Return an entry's frame; `data` is its JSON, which is ASCII without line ends, so nothing needs escaping.

    Args:
        epoch: The log's epoch.
        offset: The entry's place in the log.
        name: The event's name.
        data: The entry's JSON.

    """
    return b"event: %b\nid: %b-%d\ndata: %b\n\n" % (name.encode(), epoch.encode(), offset, data)


#: An entry as it is stored: offset, its run's key, seq, time, kind, level, and the event's JSON.
Row = tuple[int, int, int, float, str, int | None, bytes]


def framer(epoch: str, run_id: str) -> Callable[[Iterable[Row]], list[bytes]]:
    """Return what makes frames of one run's entries: `entry_frame` of each, in one go.

    Args:
        epoch: The log's epoch.
        run_id: The run of all rows.

    Returns:
        A function from rows to their frames, in the same order.

    """
    run_field = run_id.encode().replace(b"%", b"%%")
    data = b"event: %b\nid: " + epoch.encode().replace(b"%", b"%%") + b'-%d\ndata: {"run":"' + run_field
    data += b'","seq":%d,"time":"%b",%b\n\n'

    def frames(rows: Iterable[Row]) -> list[bytes]:
        return [
            data % (_NAMES[name], offset, seq, format_time(time).encode(), ascii_json(body)[1:])
            for offset, _, seq, time, name, _, body in rows
        ]

    return frames


def frame_of(entry: Entry, epoch: str) -> bytes:
    """Return an entry's frame.

    Args:
        entry: The entry.
        epoch: The log's epoch.

    """
    return entry_frame(epoch, entry.offset, kind(entry.event), entry_json(entry))


def event_line(event: Event, seq: int, time: float) -> bytes:
    """Return one line of an ingest body, with its newline: the event's JSON with its `seq` and `time`."""
    return b'{"seq":%d,"time":"%b",%b\n' % (seq, format_time(time).encode(), encode_event(event)[1:])


# -- states ------------------------------------------------------------------------------------------------------------

_TIMES: Final = ("created", "started", "ended", "lastTime", "lastSign")
_CANCEL_TIMES: Final = ("asked", "acknowledged", "terminated", "killed")
_PHASE_TIMES: Final = ("started", "ended", "rateTime")
#: Which fields of a state's JSON are times, by the type that has them.
TIMES: Final = {"RunState": _TIMES, "PhaseState": _PHASE_TIMES, "CancelState": _CANCEL_TIMES}


def state_data(state: RunState, **more: Any) -> dict[str, Any]:
    """Return a state as plain data, its times in RFC 3339, with its outcome and `more` beside its fields."""
    data: dict[str, Any] = msgspec.to_builtins(state)
    _map_times(data, format_time)
    data["estimate"] = None if state.estimate is None else estimate_data(state.estimate)
    return {**data, "outcome": state.outcome, **more}


def read_state(data: Any) -> RunState:
    """Read what `state_data` wrote; further keys are ignored. Raises `WireError`."""
    try:
        data = {**data, "phases": [dict(phase) for phase in data.get("phases", ())]}
        for part in ("outside", "cancel"):
            if data.get(part) is not None:
                data[part] = dict(data[part])
        _map_times(data, parse_time)
        if data.get("estimate") is not None:
            data["estimate"] = read_estimate(data["estimate"])
        return msgspec.convert(data, RunState)
    except (TypeError, ValueError, AttributeError) as error:
        raise WireError(f"expected a run's state, received {str(data)[:100]!r}: {error}") from error


def estimate_data(estimate: Estimated) -> dict[str, Any]:
    """Return an estimate as plain data: `remaining` in seconds from its `time`, and `end` as times in RFC 3339."""
    data: dict[str, Any] = msgspec.to_builtins(estimate)
    end = None
    if estimate.remaining is not None:
        end = {name: format_time(estimate.time + seconds) for name, seconds in data["remaining"].items()}
    return {**data, "time": format_time(estimate.time), "end": end}


def read_estimate(data: Any) -> Estimated:
    """Read what `estimate_data` wrote; further keys are ignored. Raises `TypeError` or `ValueError`."""
    return msgspec.convert({**data, "time": parse_time(data["time"])}, Estimated)


def estimate_line(said: EstimateSaid) -> bytes:
    """Return an estimate's JSON in a stream."""
    return to_json({"event": ESTIMATE, "run": said.run_id, **estimate_data(said.estimate)})


def _map_times(data: dict[str, Any], convert: Any) -> None:
    parts: list[tuple[tuple[str, ...], Any]] = [
        (_TIMES, data),
        *((_PHASE_TIMES, phase) for phase in data["phases"]),
    ]
    one_alone: tuple[tuple[tuple[str, ...], str], ...] = (
        (_PHASE_TIMES, "outside"),
        (_CANCEL_TIMES, "cancel"),
    )
    parts += [(fields, data[name]) for fields, name in one_alone if data.get(name) is not None]
    for fields, part in parts:
        for field in fields:
            if part.get(field) is not None:
                part[field] = convert(part[field])


def snapshot_data(snapshot: Snapshot | SnapshotOfAll) -> bytes:
    """Return a snapshot's JSON."""
    if isinstance(snapshot, Snapshot):
        data = state_data(snapshot.state, cursor=str(snapshot.cursor))
    else:
        data = {"runs": [state_data(state) for state in snapshot.states], "cursor": str(snapshot.cursor)}
    return to_json({"event": SNAPSHOT, **data})


def reset_data(reset: Reset, run_id: str | None = None) -> bytes:
    """Return a reset's JSON.

    Args:
        reset: The reason.
        run_id: The stream's run; None: the stream of all runs.

    """
    about = {} if run_id is None else {"run": run_id}
    return to_json({"event": RESET, **about, "reason": reset.reason})


def snapshot_frame(snapshot: Snapshot | SnapshotOfAll) -> bytes:
    """Return a snapshot's frame; its id is the cursor, so that a reader resumes behind it."""
    return sse.encode(snapshot_data(snapshot), event=SNAPSHOT, id=str(snapshot.cursor))


def reset_frame(reset: Reset, run_id: str | None = None) -> bytes:
    """Return a reset's frame; it has no id: the snapshot that follows has.

    Args:
        reset: The reason.
        run_id: The stream's run; None: the stream of all runs.

    """
    return sse.encode(reset_data(reset, run_id), event=RESET, id=None)


def removed_frame(removed: Removed, epoch: str) -> bytes:
    """Return the frame that says that a run was removed; its id is its place among the entries of all runs.

    Args:
        removed: The run, and its place.
        epoch: The log's epoch.

    """
    data = {"run": removed.run_id, "time": format_time(removed.time), "event": REMOVED}
    return entry_frame(epoch, removed.offset, REMOVED, to_json(data))


def read_frame(
    frame: sse.Frame,
) -> Entry | Snapshot | SnapshotOfAll | Reset | Removed | EstimateSaid | None:
    """Read a frame of a stream; None for a kind that this version does not know. Raises `WireError`."""
    if frame.event not in FRAME_KINDS:
        return None
    try:
        if frame.event in (SNAPSHOT, RESET):
            data = msgspec.json.decode(frame.data)
            if frame.event == RESET:
                return Reset(str(data["reason"]))
            cursor = Cursor.parse(data["cursor"])
            if cursor is None:
                raise _not_a_cursor("a cursor", data["cursor"])
            if "runs" in data:
                return SnapshotOfAll(tuple(read_state(state) for state in data["runs"]), cursor)
            return Snapshot(read_state(data), cursor)
        if frame.event == ESTIMATE:
            data = msgspec.json.decode(frame.data)
            return EstimateSaid(str(data["run"]), read_estimate(data))
        cursor = Cursor.parse(frame.id)
        if cursor is None:
            raise _not_a_cursor("an id", frame.id)
        if frame.event == REMOVED:
            return _read_removed(cursor.offset, msgspec.json.decode(frame.data))
        return read_entry(frame.data, cursor.offset)
    except WireError:
        raise
    except (KeyError, TypeError, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"frame {frame.event} {frame.id}: {error}") from error


def _not_a_cursor(name: str, received: Any) -> WireError:
    return WireError(f"expected {name} EPOCH-OFFSET, received {received!r}")


def _read_removed(offset: int, data: Any) -> Removed:
    try:
        return Removed(offset, str(data["run"]), parse_time(data["time"]))
    except (AttributeError, ValueError) as error:
        raise WireError(f"expected a time in RFC 3339, received {str(data)[:100]!r}: {error}") from error


def read_entry(data: bytes | str, offset: int) -> Entry:
    """Read an entry from its JSON. Raises `WireError`.

    Args:
        data: The entry's JSON.
        offset: Its place in the log.

    Raises:
        WireError: If the JSON is no entry.

    """
    try:
        envelope = decode_envelope(data)
        event = decode_event(data)
    except msgspec.DecodeError as error:
        raise WireError(f"expected an event's JSON, received {data[:100]!r}: {error}") from error
    if envelope.run is None or envelope.seq is None or envelope.time is None:
        raise WireError(f"expected an event with run, seq and time, received {data[:100]!r}")
    try:
        return Entry(offset, envelope.run, envelope.seq, parse_time(envelope.time), event)
    except ValueError as error:
        raise WireError(str(error)) from error
