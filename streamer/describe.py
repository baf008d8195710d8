"""Exceptions and objects of other people's code in words, whatever they do when they are asked. No I/O."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

from streamer.events import MESSAGE_LIMIT, ErrorInfo, cut

_OWN_FILES: Final = frozenset(
    str(Path(__file__).with_name(f"{name}.py"))
    for name in (
        "reporter",
        "interrupter",
        "capture",
        "worker",
        "script",
        "pipeline",
        "progress",
        "catalog",
        "schema",
    )
)


def describe_error(error: BaseException) -> ErrorInfo:
    """Return an exception's type, message and traceback; frames of this package that only called are left out."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        found = traceback.TracebackException.from_exception(error, compact=True)
        _leave_out_own(found, set())
        trace = "".join(found.format())
    except Exception as problem:  # noqa: BLE001 - an exception that cannot be printed is still to be reported
        trace = f"(the traceback cannot be shown: {type(problem).__name__})"
    return ErrorInfo(type=name, message=cut(text_of(error), MESSAGE_LIMIT), traceback=trace)


def _leave_out_own(found: traceback.TracebackException, seen: set[int]) -> None:
    if id(found) in seen:
        return
    seen.add(id(found))
    kept = [
        frame
        for frame in found.stack
        if frame.filename not in _OWN_FILES and not frame.filename.startswith("<frozen importlib")
    ]
    if kept:
        found.stack[:] = kept
    for other in (found.__cause__, found.__context__, *(found.exceptions or ())):
        if other is not None:
            _leave_out_own(other, seen)


def brief_error(info: ErrorInfo) -> str:
    """Return an error in one line."""
    first = info.message.strip().partition("\n")[0]
    name = info.type.rpartition(".")[2]
    return cut(f"{name}: {first}" if first else name, 500)


def text_of(value: object) -> str:
    """Return an object's text, or what it is when it cannot be shown."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __str__
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"
