"""Errors in the API's form: a status and a code for each error of the streamer. Knows no request."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from streamer.client.discovery import DataFolderBusy
from streamer.model.parameters.json_schema import ParametersRefused
from streamer.server.log.base import LogError, LogUnavailable, RunEnded, SequenceGap, UnknownRun
from streamer.server.runs.producers import Forbidden
from streamer.server.runs.queue import QueueFull
from streamer.server.runs.retry import NotRetryable
from streamer.server.runs.start import UnknownPipeline

#: Where `msgspec` says a value stands that is not as expected, and which key an object lacks, or has but should not.
_PATH: Final = re.compile(r" - at `(\$[^`]*)`$")
_KEY: Final = re.compile(r"Object (?:missing required|contains unknown) field `([^`]*)`")


class ApiError(Exception):
    """An answer in the contract's error form.

    Args:
        status: of HTTP.
        code: for programs.
        message: a sentence for people.
        details: JSON that the contract names for the code; None when there is nothing to add.
        retry: whether the answer asks the client to try again.
    """

    def __init__(
        self, status: int, code: str, message: str, details: Any = None, *, retry: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.retry = retry


def invalid(
    field: str, received: Any, expected: str, *, status: int = 422, line: int | None = None
) -> ApiError:
    """Return the error of a field with another value than was expected.

    Args:
        field: its path, as ``phases[0].weight``.
        received: its value, of which the answer shows 100 characters.
        expected: the values that are accepted, in words.
        status: of HTTP.
        line: of several JSON values the number, from 1, of the one with the field; None: there is one value.

    Returns:
        The error, to be raised.
    """
    shown = repr(received)[:100]
    message = f"{field}: expected {expected}, received {shown}"
    problem = {"field": field, "message": message, "expected": expected, "received": shown}
    return _invalid(status, problem, line)


def not_valid(error: Exception, expected: str, *, line: int | None = None) -> ApiError:
    """Return the error of JSON of another type than was expected.

    Args:
        error: of `msgspec`; the field is taken from its message.
        expected: the type, in words.
        line: as for `invalid`.

    Returns:
        The error, to be raised.
    """
    field = _field_of(str(error))
    text = str(error)[:500]
    problem = {"field": field, "message": f"{field}: {text}", "expected": expected, "received": None}
    return _invalid(422, problem, line)


def _invalid(status: int, problem: dict[str, Any], line: int | None) -> ApiError:
    if line is None:
        return ApiError(status, "invalid", problem["message"], [problem])
    return ApiError(status, "invalid", f"line {line}: {problem['message']}", [{**problem, "line": line}])


def _field_of(message: str) -> str:
    """Return the field that a `msgspec.ValidationError` is about, such as ``phases[0].name``; "body" for the whole."""
    found = _PATH.search(message)
    path = "" if found is None else found[1].removeprefix("$").removeprefix(".")
    key = _KEY.match(message)
    return ".".join(part for part in (path, key[1] if key else "") if part)[:100] or "body"


def as_api_error(error: BaseException) -> ApiError | None:
    """Return the answer to an error of this project; None for any other error."""
    match error:
        case ApiError():
            return error
        case ParametersRefused():
            return ApiError(422, "invalid", str(error), msgspec.to_builtins(error.problems, enc_hook=vars))
        case UnknownRun() | UnknownPipeline():
            return ApiError(404, "not_found", str(error.args[0]))
        case SequenceGap():
            return ApiError(
                409,
                "sequence_gap",
                str(error),
                {"field": "seq", "expected": error.expected, "received": error.received},
            )
        case RunEnded():
            return ApiError(409, "run_ended", str(error), {"status": error.status})
        case NotRetryable():
            return ApiError(409, error.code, str(error))
        case Forbidden():
            return ApiError(403, "forbidden", str(error))
        case QueueFull():
            return ApiError(503, "queue_full", str(error), retry=True)
        case LogUnavailable() | DataFolderBusy():
            return ApiError(503, "log_unavailable", str(error), retry=True)
        case LogError():
            return ApiError(500, "log_error", str(error))
        case _:
            return None
