"""Exceptions and objects of other people's code in words, whatever they do when they are asked. No I/O."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Final

from streamer.model.bounds import MESSAGE_LIMIT, cut
from streamer.model.events import ErrorInfo
from streamer.model.text.cutting import text_of

#: Frames of this package only called the user's code; those of the examples are a user's code themselves.
_OWN: Final = f"{Path(__file__).parent.parent}{os.sep}"
_EXAMPLES: Final = f"{_OWN}examples{os.sep}"


#: How many exceptions of a group its message names.
_NAMED: Final = 3


class ToldError(Exception):
    """An exception of another process that is known by its description alone; `info` is the description."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info)
        self.info = info

    def __str__(self) -> str:
        """Return the text that explains it to a reader of a traceback."""
        return self.info.traceback.rstrip() or self.info.message


def describe_error(error: BaseException) -> ErrorInfo:
    """Return an exception's type, message and traceback; frames of this package that only called are left out.

    The message of an exception group names the first exceptions in it.

    Args:
        error: The exception.

    Returns:
        Its type, message and traceback, each within its bound.

    """
    if isinstance(error, ToldError):
        return error.info
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        found = traceback.TracebackException.from_exception(error, compact=True)
        _leave_out_own(found, set())
        trace = "".join(found.format())
    except Exception as problem:  # noqa: BLE001 - an exception that cannot be printed is still to be reported
        trace = f"(the traceback cannot be shown: {type(problem).__name__})"
    return ErrorInfo(type=name, message=cut(_message(error), MESSAGE_LIMIT), traceback=trace)


def _message(error: BaseException) -> str:
    text = text_of(error)
    if not isinstance(error, BaseExceptionGroup):
        return text
    causes = leaves(error)
    named = "; ".join(brief_error(ErrorInfo(type(one).__name__, _message(one))) for one in causes[:_NAMED])
    more = f"; {len(causes) - _NAMED:,} more" if len(causes) > _NAMED else ""
    return f"{text}: {named}{more}"


def leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions of a group that are no groups, in their order; a list of itself for another exception."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(reversed(one.exceptions))
        else:
            found.append(one)
    return found


def leave_out_our_end(error: BaseException) -> None:
    """Let the traceback of a Ctrl-C end in the user's code, which it interrupted, and not in our handler of the signal.

    Args:
        error: The exception. One that no code of this package raised stays as it is.

    """
    last, trace = None, error.__traceback__
    while trace is not None:
        if not _is_own(trace.tb_frame.f_code.co_filename):
            last = trace
        trace = trace.tb_next
    if last is not None:
        last.tb_next = None


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
