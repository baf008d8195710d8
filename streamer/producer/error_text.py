"""Exceptions and objects of other people's code in words, whatever they do when they are asked. No I/O."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Final

from streamer.model.bounds import MESSAGE_LIMIT, cut
from streamer.model.events import ErrorInfo

#: Frames of this package only called the user's code; those of the examples are a user's code themselves.
_OWN: Final = f"{Path(__file__).parent.parent}{os.sep}"
_EXAMPLES: Final = f"{_OWN}examples{os.sep}"


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


def _is_own(filename: str) -> bool:
    if filename.startswith("<frozen importlib"):
        return True
    return filename.startswith(_OWN) and not filename.startswith(_EXAMPLES)


def _leave_out_own(found: traceback.TracebackException, seen: set[int]) -> None:
    if id(found) in seen:
        return
    seen.add(id(found))
    kept = [frame for frame in found.stack if not _is_own(frame.filename)]
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
