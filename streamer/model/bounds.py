"""The bounds of what an event may carry, and the functions that cut longer texts. Does no I/O and keeps no state."""

from __future__ import annotations

import hashlib
import re
import reprlib
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from streamer.model.events import (
    LEVELS,
    Bar,
    Completed,
    ErrorInfo,
    Event,
    FailedItem,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseChanged,
    PhaseSpec,
    ProcessInfo,
    Progressed,
    Results,
    RunCancelled,
    RunFailed,
    StatusChanged,
    Unreached,
    type_of_level,
)

# Names that every package takes from here.
from streamer.model.text.cutting import cut as cut
from streamer.model.text.cutting import cut_middle as cut_middle
from streamer.model.text.json_value import TooLarge, json_form
from streamer.model.text.plain import plain_name

#: Bounds, in characters, of the texts in an event. A longer text is cut with a note.
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
_TYPES: Final = {level: type_of_level(level) for level in LEVELS}
_LEVEL_NAMES: Final = {"WARN": "WARNING", "FATAL": "CRITICAL", "": "INFO"}
#: Texts, in which brackets mean nothing, and brackets.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)

_encoder = msgspec.json.Encoder()


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
            return msgspec.structs.replace(
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
                unreached=_bounded_unreached(event.unreached),
            )
        case RunCancelled():
            return _replaced(
                event,
                message=cut(event.message, MESSAGE_LIMIT),
                reason=cut(event.reason, NAME_LIMIT),
                results=_bounded_results(event.results),
                unreached=_bounded_unreached(event.unreached),
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


def cut_name(text: str, limit: int = NAME_LIMIT) -> str:
    """Return a name, a unit or a title as our producers send it: one line of plain text within `limit` characters.

    Args:
        text: The name as somebody gave it.
        limit: Most characters.
    """
    return cut(plain_name(text), limit)


def item_key(label: str) -> str:
    """Return what tells an item apart whose `label` is cut in events: a digest of all of it; empty for one that is not.

    So the name as events have it, and this, are together the same for the same label only.
    """
    if cut_name(label) == label:
        return ""
    return hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_LIMIT]


def bounded_json(value: Any, limit: int) -> Any:
    """Return `value` as plain JSON data within `limit` bytes; else a mapping that says how large it was.

    A note stands for what is nested deeper than `NESTING_LIMIT`. `json_form` says how values are shown that JSON has no
    form for.
    """
    try:
        # Each value takes a byte and a comma, so more values than bytes are too many.
        form = json_form(value, values=limit, depth=NESTING_LIMIT)
    except TooLarge as error:
        return {"note": f"cut: {error}", "repr": _beginning(value)}
    except RecursionError:
        return {"note": f"cut: nested deeper than {NESTING_LIMIT} levels", "repr": ""}
    data = _encoder.encode(form)
    if len(data) <= limit:
        return form
    return {"note": f"cut: {len(data):,} bytes of JSON, {limit:,} are kept", "repr": cut(data.decode(), 2000)}


def _beginning(value: Any) -> str:
    try:
        return cut(reprlib.repr(value), 2000)
    except Exception as error:  # noqa: BLE001 - somebody else's __repr__
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"


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


def _bounded_results(results: FinalResults) -> FinalResults:
    errors = tuple(brief(error) for error in results.errors[:ERRORS_LISTED])
    return FinalResults(_number(results.success), _number(results.failed), errors)


def _bounded_unreached(unreached: tuple[Unreached, ...]) -> tuple[Unreached, ...]:
    return tuple(
        Unreached(
            cut(one.phase, NAME_LIMIT),
            _number(one.reached),
            None if one.total is None else _number(one.total),
        )
        for one in unreached[:PHASES_LIMIT]
    )


def counted(value: float | None) -> float | None:
    """Return a count; None (not known) when it is below 0, above `COUNT_LIMIT`, or no number."""
    return value if value is not None and 0 <= value <= COUNT_LIMIT else None


def whole_count(value: float | None) -> float | None:
    """Return a count as `counted` does, as an `int` where it is a whole number."""
    value = counted(value)
    return value if value is None or isinstance(value, int) or not value.is_integer() else int(value)


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
        old = getattr(event, field)
        # An object that a pipeline returned may refuse to be compared; a copy is as good.
        if old is not value and (isinstance(value, dict) or old != value):
            return msgspec.structs.replace(event, **changes)
    return event
