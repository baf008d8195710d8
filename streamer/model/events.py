"""The typed events of a run, and the log's `Entry`; their JSON, both ways. Does no I/O and keeps no state.

An event is a fact in the past tense; one class per kind. The wire names (``event: progress`` …) are the tags; JSON is
camelCase, Python snake_case. Every text has an upper bound (`LIMITS`): `bounded` cuts what is longer and says so.
"""

from __future__ import annotations

import calendar
import functools
import hashlib
import re
import time as _time
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

#: Bounds, in characters, of the texts in an event. What is longer is cut with a note.
NAME_LIMIT: Final = 300
MESSAGE_LIMIT: Final = 8_000
TRACEBACK_LIMIT: Final = 32_000
KEY_LIMIT: Final = 40
#: Bound of a count and of a weight: up to this every reader of JSON has integers exactly, and sums stay finite.
COUNT_LIMIT: Final = 2**53
#: Bound, in bytes of JSON, of a run's result and of its parameters.
RESULT_LIMIT: Final = 256_000
#: Bound of how deep JSON is nested: far from what readers in any language refuse, wherever they hold it.
NESTING_LIMIT: Final = 100
#: Bound, in bytes of JSON, of the fields of a log line.
FIELDS_LIMIT: Final = 4_000
#: How many failed items a terminal event repeats; all of them stay in the log.
ERRORS_LISTED: Final = 100
#: The longest list of phases a run may declare.
PHASES_LIMIT: Final = 500
#: How many bars one event may carry, and how many a state keeps.
BARS_LIMIT: Final = 200

E = TypeVar("E", bound=Struct)
RunStatus = Literal["queued", "running", "stalled", "cancelling", "complete", "failed", "cancelled"]
#: All statuses of a run, in the order of its life.
STATUSES: Final[tuple[RunStatus, ...]] = get_args(RunStatus)
PhaseStatus = Literal["waiting", "started", "finished", "skipped", "failed"]
BarStatus = Literal["started", "finished", "stopped"]
TERMINAL: Final = frozenset({"complete", "failed", "cancelled"})
UNDER_WAY: Final[tuple[RunStatus, ...]] = tuple(status for status in STATUSES if status not in TERMINAL)
#: How far a cancel is: asked of the producer, acknowledged by it, its process terminated, killed.
CancelStep = Literal["asked", "acknowledged", "terminated", "killed"]
#: How a cancel ended; see `RunCancelled`.
CancelOutcome = Literal["", "cooperative", "terminated", "killed", "unstarted", "gone"]
#: The logger of what the streamer itself says about a run: no sign of life of its producer.
STREAMER_LOGGER: Final = "streamer"


class PhaseSpec(Struct, frozen=True, gc=False):
    """A declared phase: its name and its weight, relative to the other phases' weights."""

    name: str
    weight: float = 1.0


class ErrorInfo(Struct, frozen=True, gc=False):
    """What went wrong: the exception's type, its message, and the traceback as text (may be empty)."""

    type: str
    message: str = ""
    traceback: str = ""


class FailedItem(Struct, frozen=True, gc=False):
    """One item that failed, the phase it failed in (None outside any), and why."""

    item: str
    phase: str | None
    error: ErrorInfo


class Results(Struct, frozen=True, gc=False):
    """How many items succeeded and failed so far, over the whole run."""

    success: int = 0
    failed: int = 0


class FinalResults(Struct, frozen=True, gc=False):
    """`Results` of a run that ended, with the first `ERRORS_LISTED` failed items."""

    success: int = 0
    failed: int = 0
    errors: tuple[FailedItem, ...] = ()


class Bar(Struct, frozen=True, gc=False):
    """One loop's progress inside a run: `done` of `total` (None: not known) in `unit`.

    `id` is unique within the run. `parent` is the id of the bar whose item it belongs to, None for one that stands by
    itself. `phase` None: the phase that is under way. A bar that was left before its end is stopped.
    """

    id: str
    parent: str | None = None
    phase: str | None = None
    name: str = ""
    done: int | float | None = None
    total: int | float | None = None
    unit: str = ""
    status: BarStatus = "started"


class ProcessInfo(Struct, frozen=True):
    """A run's process: its id on its host. `alive` is None when nobody can tell; `doing` is what the system says of it.

    `doing` is empty when it is not known, else one of running, sleeping, waiting (for a disk, say) and stopped.
    """

    pid: int
    host: str = ""
    alive: bool | None = True
    doing: str = ""


class _Event(Struct, frozen=True, gc=False, tag_field="event", rename="camel"):
    """Base of all events; the JSON key ``event`` holds the kind.

    Nothing in an event refers back to it: the collector of cycles need not look at the thousands that come in a second.
    """


class StatusChanged(_Event, frozen=True, kw_only=True, tag="status"):
    """The run came to be queued, running, stalled or cancelling. The first one of a run describes it.

    `program` is the script, notebook or command that it is. `managed`: the streamer executes it, so that it can be run
    again. `retry_of` is the run of which this one does the
    failed items again, or all of them: `retry_items`. `time_limit_seconds` count from when it is running.

    Of a cancel `step` says how far it is, `by` who asked, `reason` why if nobody did; `phase` and `item` are where the
    producer was when it acknowledged.
    """

    status: Literal["queued", "running", "stalled", "cancelling"]
    message: str = ""
    pipeline: str | UnsetType | None = UNSET
    title: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    phases: tuple[PhaseSpec, ...] | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    host: str | UnsetType = UNSET
    program: str | UnsetType = UNSET
    managed: bool | UnsetType = UNSET
    retry_of: str | UnsetType = UNSET
    retry_items: Literal["failed", "all"] | UnsetType = UNSET
    time_limit_seconds: float | UnsetType = UNSET
    process: ProcessInfo | UnsetType = UNSET
    step: CancelStep | UnsetType = UNSET
    by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    phase: str | UnsetType | None = UNSET
    item: str | UnsetType | None = UNSET


class PhaseChanged(_Event, frozen=True, kw_only=True, tag="phase"):
    """A phase was started, finished, skipped or failed. Progress is in percent, 0 to 100."""

    phase: str
    weight: float | None = None
    phase_status: Literal["started", "finished", "skipped", "failed"]
    phase_progress: float | None = None
    overall_progress: float | None = None
    message: str = ""


class Progressed(_Event, frozen=True, kw_only=True, tag="progress"):
    """Work went on. `done` of `total` (None: not known) in `unit`; `rate` in units per second; progress in percent.

    A producer need only send `phase`, `done`, `total` and `unit`; the rest follows from the run's state.
    `results` count items; they are cumulative over the run and only grow. `bars` are those that changed since the last
    event, each as a whole.
    """

    status: Literal["progress"] = "progress"
    progress: int = 0
    overall_progress: float | None = None
    phase: str | None = None
    phase_progress: float | None = None
    done: int | float | None = None
    total: int | float | None = None
    unit: str = ""
    rate: float | None = None
    message: str = ""
    results: Results = Results()
    bars: tuple[Bar, ...] = ()


class Logged(_Event, frozen=True, kw_only=True, tag="log"):
    """One log line. `type` follows from `level`: error, warning, or log for all that is less.

    `fields` is what was logged beside the text, as plain JSON.
    """

    type: Literal["log", "warning", "error"] = "log"
    level: str = "INFO"
    logger: str = ""
    message: str = ""
    timestamp: str = ""
    phase: str | None = None
    item: str | None = None
    fields: dict[str, Any] | UnsetType = UNSET


class ItemFailed(_Event, frozen=True, kw_only=True, tag="failure"):
    """One item failed; the run goes on. `key` tells items apart whose names were cut; see `item_key`."""

    item: str
    key: str | UnsetType = UNSET
    phase: str | None = None
    error: ErrorInfo


class Completed(_Event, frozen=True, kw_only=True, tag="complete"):
    """Terminal: the run came to its end. `result` is any JSON; `duration` in seconds since it was running."""

    status: Literal["complete"] = "complete"
    progress: Literal[100] = 100
    message: str = ""
    results: FinalResults = FinalResults()
    result: Any = None
    duration: float | None = None


class RunFailed(_Event, frozen=True, kw_only=True, tag="failed"):
    """Terminal: the run ended with an error, or its process is gone. `progress` is what it had reached, in percent."""

    status: Literal["error"] = "error"
    progress: int = 0
    message: str = ""
    error: ErrorInfo | None = None
    results: FinalResults = FinalResults()
    duration: float | None = None


class RunCancelled(_Event, frozen=True, kw_only=True, tag="cancelled"):
    """Terminal: the run was cancelled. `progress` is what it had reached, in percent.

    `how` it ended: cooperative (its producer said so itself), terminated, killed, unstarted (it was queued), gone (its
    process ended in another way, or nothing was heard of it any more); empty when nobody had asked. `reason`: why, when
    it was nobody's wish.
    """

    status: Literal["cancelled"] = "cancelled"
    progress: int = 0
    message: str = ""
    how: CancelOutcome = ""
    reason: str = ""
    results: FinalResults = FinalResults()
    duration: float | None = None


Event = StatusChanged | PhaseChanged | Progressed | Logged | ItemFailed | Completed | RunFailed | RunCancelled
EVENT_TYPES: Final = (
    StatusChanged,
    PhaseChanged,
    Progressed,
    Logged,
    ItemFailed,
    Completed,
    RunFailed,
    RunCancelled,
)
TERMINAL_TYPES: Final = (Completed, RunFailed, RunCancelled)


_KIND_OF: Final[dict[type, str]] = {t: str(t.__struct_config__.tag) for t in EVENT_TYPES}
KINDS: Final = tuple(_KIND_OF.values())


def kind(event: Event) -> str:
    """Return the wire name of an event, such as ``progress``."""
    return _KIND_OF[type(event)]


class Entry(Struct, frozen=True, gc=False):
    """A row of the log.

    `offset`: its position in the log, which only grows. `seq`: 1, 2, 3 … within the run. `time`: POSIX seconds, UTC,
    in whole milliseconds: when it happened, by the producer's clock.
    """

    offset: int
    run_id: str
    seq: int
    time: float
    event: Event


class Envelope(Struct, frozen=True, gc=False):
    """What surrounds an event in JSON, on the wire and in an ingest line."""

    run: str | None = None
    seq: int | None = None
    time: str | None = None


#: Texts, in which brackets mean nothing, and brackets.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)

_encoder = msgspec.json.Encoder(enc_hook=str)
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_envelope_decoder = msgspec.json.Decoder(Envelope)


def encode_event(event: Event) -> bytes:
    """Return the event as JSON (UTF-8), without its envelope."""
    return _encoder.encode(event)


def decode_event(data: bytes | str) -> Event:
    """Read an event from JSON; unknown keys are ignored.

    Raises `msgspec.ValidationError` (a kind or a value that is not allowed, with its path) or `msgspec.DecodeError`.
    """
    return _event_decoder.decode(data)


def decode_envelope(data: bytes | str) -> Envelope:
    """Read `run`, `seq` and `time` from an event's JSON. Raises as `decode_event`."""
    return _envelope_decoder.decode(data)


# -- times -------------------------------------------------------------------------------------------------------------
# Events come many to the second, and in its order: caches of whole seconds spare what dates cost.

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
#: 9999-12-31T23:59:59.999Z, the last time RFC 3339 can write.
_LAST_TIME: Final = 253_402_300_799.999
#: How a time that we write ends, by its milliseconds, and the other way round.
_FRACTIONS: Final = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))
_MILLISECONDS: Final = {fraction: milliseconds for milliseconds, fraction in enumerate(_FRACTIONS)}


def format_time(time: float) -> str:
    """Write POSIX seconds as RFC 3339 in UTC with milliseconds, for example ``2026-01-31T09:41:32.118Z``."""
    if not 0.0 <= time <= _LAST_TIME:
        time = min(max(time, 0.0), _LAST_TIME)
    milliseconds = round(time * 1000)
    return _format_second(milliseconds // 1000) + _FRACTIONS[milliseconds % 1000]


@functools.lru_cache(256)
def _format_second(seconds: int) -> str:
    return _time.strftime("%Y-%m-%dT%H:%M:%S", _time.gmtime(seconds))


@functools.lru_cache(256)
def _parse_second(text: str) -> int:
    return int(_parse_time(f"{text}Z"))


def parse_time(text: str) -> float:
    """Read an RFC 3339 time as POSIX seconds, to the millisecond. Raises `ValueError` naming what was received."""
    milliseconds = _MILLISECONDS.get(text[19:])
    if milliseconds is not None:
        # As we write it ourselves.
        try:
            return (_parse_second(text[:19]) * 1000 + milliseconds) / 1000
        except ValueError:
            # Said with the whole text.
            return _parse_time(text)
    return _parse_time(text)


def _parse_time(text: str) -> float:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(
            f"expected an RFC 3339 time such as 2026-01-31T09:41:32.118Z, received {text[:60]!r}"
        )
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    zone = match[8]
    if not (
        1970 <= year
        and 1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and hour < 24
        and minute < 60
        and second <= 60
        and (zone in "Zz" or (int(zone[1:3]) < 24 and int(zone[4:6]) < 60))
    ):
        raise ValueError(f"expected a time from 1970 on with valid date and hour, received {text[:60]!r}")
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    if zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    milliseconds = int((match[7] or "0").ljust(3, "0")[:3])
    # One division: the sum of two fractions need not be the float nearest to the milliseconds.
    return (max(seconds, 0) * 1000 + milliseconds) / 1000


# -- bounds ------------------------------------------------------------------------------------------------------------


def cut(text: str, limit: int) -> str:
    """Return `text` within `limit` characters, well-formed Unicode; what was cut away is said at its end."""
    if len(text) > limit:
        text = f"{text[: max(limit - 60, 0)]} … [cut: {len(text):,} characters in all]"
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # A lone surrogate (from os.fsdecode, say) cannot be written as UTF-8: show its code instead.
        text = text.encode("utf-8", "backslashreplace").decode()
    return text


def bounded(event: Event) -> Event:
    """Return the event with every text and count within its bound; the same object when nothing had to change."""
    match event:
        case Logged():
            if _is_plain(event):
                return event
            level = _LEVEL_NAMES.get(event.level.upper(), event.level.upper())
            return _replaced(
                event,
                message=cut(event.message, MESSAGE_LIMIT),
                level=cut(level, 20),
                type=type_of_level(level),
                logger=cut(event.logger, NAME_LIMIT),
                timestamp=cut(event.timestamp, 100),
                phase=_name(event.phase),
                item=_name(event.item),
                fields=_bounded_fields(event.fields),
            )
        case Progressed():
            if _is_plain_progress(event):
                return event
            results = event.results
            return _replaced(
                event,
                message=cut(event.message, MESSAGE_LIMIT),
                unit=cut(event.unit, 40),
                phase=_name(event.phase),
                progress=min(max(event.progress, 0), 100),
                done=counted(event.done),
                total=counted(event.total),
                results=results
                if 0 <= results.success <= COUNT_LIMIT and 0 <= results.failed <= COUNT_LIMIT
                else Results(_number(results.success), _number(results.failed)),
                bars=tuple(_bounded_bar(bar) for bar in event.bars[:BARS_LIMIT]),
            )
        case ItemFailed():
            return _replaced(
                event,
                item=cut(event.item, NAME_LIMIT),
                key=UNSET if event.key is UNSET else cut(event.key, KEY_LIMIT),
                phase=_name(event.phase),
                error=_bounded_error(event.error),
            )
        case PhaseChanged():
            return _replaced(
                event, phase=cut(event.phase, NAME_LIMIT), message=cut(event.message, MESSAGE_LIMIT)
            )
        case StatusChanged():
            return _bounded_status(event)
        case Completed():
            return _replaced(
                event,
                message=cut(event.message, MESSAGE_LIMIT),
                result=bounded_json(event.result, RESULT_LIMIT),
                results=_bounded_results(event.results),
            )
        case RunFailed():
            return _replaced(
                event,
                message=cut(event.message, MESSAGE_LIMIT),
                error=None if event.error is None else _bounded_error(event.error),
                results=_bounded_results(event.results),
            )
        case RunCancelled():
            return _replaced(
                event,
                message=cut(event.message, MESSAGE_LIMIT),
                reason=cut(event.reason, NAME_LIMIT),
                results=_bounded_results(event.results),
            )


def _is_plain(event: Logged) -> bool:
    """Say whether a log line is, as nearly all are, within its bounds: what `bounded` would find out more slowly."""
    message, phase, item = event.message, event.phase or "", event.item or ""
    return (
        event.fields is UNSET
        and event.type == _TYPES.get(event.level)
        and len(message) <= MESSAGE_LIMIT
        and len(event.logger) + len(phase) + len(item) <= NAME_LIMIT
        and len(event.timestamp) <= 100
        and (message.isascii() or cut(message, MESSAGE_LIMIT) == message)
        and event.logger.isascii()
        and phase.isascii()
        and item.isascii()
        and event.timestamp.isascii()
    )


def _is_plain_progress(event: Progressed) -> bool:
    """Say whether progress is, as nearly always, within its bounds."""
    message, unit, phase, results = event.message, event.unit, event.phase or "", event.results
    done, total = event.done, event.total
    return (
        not event.bars
        and (done is None or 0 <= done <= COUNT_LIMIT)
        and (total is None or 0 <= total <= COUNT_LIMIT)
        and 0 <= event.progress <= 100
        and 0 <= results.success <= COUNT_LIMIT
        and 0 <= results.failed <= COUNT_LIMIT
        and len(message) <= MESSAGE_LIMIT
        and len(unit) <= 40
        and len(phase) <= NAME_LIMIT
        and message.isascii()
        and unit.isascii()
        and phase.isascii()
    )


def item_key(label: str) -> str:
    """Return what tells an item apart whose `label` is cut in events: a digest of all of it; empty for one that is not.

    So the name as events have it, and this, are together the same for the same label only.
    """
    if cut(label, NAME_LIMIT) == label:
        return ""
    return hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_LIMIT]


def bounded_json(value: Any, limit: int) -> Any:
    """Return `value` as plain JSON data within `limit` bytes; else a mapping that says how large it was.

    What is nested deeper than `NESTING_LIMIT` counts as too large.
    """
    try:
        data = _encoder.encode(value)
        if len(data) <= limit:
            if not is_nested_too_deep(data):
                return msgspec.json.decode(data)
            note = f"cut: nested deeper than {NESTING_LIMIT} levels"
        else:
            note = f"cut: {len(data):,} bytes of JSON, {limit:,} are kept"
    except RecursionError:
        # Its `repr` would fail in the same way.
        return {"note": f"cut: nested deeper than {NESTING_LIMIT} levels", "repr": ""}
    except (TypeError, ValueError, OverflowError) as error:
        return {"note": f"not representable as JSON: {cut(str(error), 200)}", "repr": cut(repr(value), 2000)}
    return {"note": note, "repr": cut(data.decode(), 2000)}


def is_nested_too_deep(data: bytes) -> bool:
    """Say whether JSON is nested deeper than `NESTING_LIMIT`; what is not JSON may count as either."""
    if data.count(b"[") + data.count(b"{") <= NESTING_LIMIT:
        return False
    depth = 0
    for token in _BRACKETS.findall(data):
        if token in b"[{":
            depth += 1
            if depth > NESTING_LIMIT:
                return True
        elif token in b"]}":
            depth -= 1
    return False


def type_of_level(level: str) -> Literal["log", "warning", "error"]:
    """Return a log event's `type` for a level name."""
    if level in ("ERROR", "CRITICAL", "FATAL"):
        return "error"
    return "warning" if level == "WARNING" else "log"


#: Numbers of the standard library's `logging`; a level that is not named there counts as INFO.
LEVELS: Final = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_TYPES: Final = {level: type_of_level(level) for level in LEVELS}
_LEVEL_NAMES: Final = {"WARN": "WARNING", "FATAL": "CRITICAL", "": "INFO"}


def _name(text: str | None) -> str | None:
    return None if text is None else cut(text, NAME_LIMIT)


def _bounded_fields(fields: dict[str, Any] | UnsetType) -> dict[str, Any] | UnsetType:
    if fields is UNSET:
        return fields
    bounded_fields: dict[str, Any] = bounded_json(fields, FIELDS_LIMIT)
    return bounded_fields


def _bounded_bar(bar: Bar) -> Bar:
    return Bar(
        id=cut(bar.id, NAME_LIMIT),
        parent=_name(bar.parent),
        phase=_name(bar.phase),
        name=cut(bar.name, NAME_LIMIT),
        done=counted(bar.done),
        total=counted(bar.total),
        unit=cut(bar.unit, 40),
        status=bar.status,
    )


def _bounded_error(error: ErrorInfo) -> ErrorInfo:
    return ErrorInfo(
        type=cut(error.type, NAME_LIMIT),
        message=cut(error.message, MESSAGE_LIMIT),
        traceback=cut_middle(error.traceback, TRACEBACK_LIMIT),
    )


def cut_middle(text: str, limit: int) -> str:
    """Cut a traceback in its middle: its first lines say where it began, its last what went wrong."""
    if len(text) > limit:
        half = max((limit - 60) // 2, 0)
        text = f"{text[:half]}\n… [cut: {len(text):,} characters in all] …\n{text[len(text) - half :]}"
    return cut(text, limit)


def _bounded_results(results: FinalResults) -> FinalResults:
    errors = tuple(brief(error) for error in results.errors[:ERRORS_LISTED])
    return FinalResults(_number(results.success), _number(results.failed), errors)


def counted(value: float | None) -> float | None:
    """Return a count; None (not known) when it is below 0, above `COUNT_LIMIT`, or no number."""
    return value if value is not None and 0 <= value <= COUNT_LIMIT else None


def _number(value: int) -> int:
    return min(max(value, 0), COUNT_LIMIT)


def brief(failed: FailedItem) -> FailedItem:
    """Return a failed item as lists repeat it: its message short, its traceback left to where it is read one by one."""
    error = ErrorInfo(cut(failed.error.type, NAME_LIMIT), cut(failed.error.message, 500))
    return FailedItem(item=cut(failed.item, NAME_LIMIT), phase=_name(failed.phase), error=error)


def _bounded_status(event: StatusChanged) -> StatusChanged:
    changes: dict[str, Any] = {"message": cut(event.message, MESSAGE_LIMIT)}
    for field in (
        "pipeline",
        "title",
        "owner",
        "host",
        "program",
        "retry_of",
        "by",
        "reason",
        "phase",
        "item",
    ):
        value = getattr(event, field)
        if isinstance(value, str):
            changes[field] = cut(value, NAME_LIMIT)
    if event.parameters is not UNSET:
        changes["parameters"] = bounded_json(event.parameters, RESULT_LIMIT)
    if event.phases is not UNSET:
        changes["phases"] = tuple(
            PhaseSpec(cut(p.name, NAME_LIMIT), p.weight) for p in event.phases[:PHASES_LIMIT]
        )
    if event.process is not UNSET:
        process = event.process
        changes["process"] = ProcessInfo(
            _number(process.pid), cut(process.host, NAME_LIMIT), process.alive, cut(process.doing, 40)
        )
    return _replaced(event, **changes)


def _replaced(event: E, **changes: Any) -> E:
    for field, value in changes.items():
        if getattr(event, field) != value:
            return msgspec.structs.replace(event, **changes)
    return event
