"""The answers of a streamer's API as types, and the exceptions of its client. Does no I/O.

The exceptions:

    StreamerError
    ├── ApiError          the streamer said no: `status`, `code`, `message`, `details`
    │   ├── Refused       400, 413, 415, 422: what was sent is not accepted; `details` names the fields
    │   ├── Forbidden     401, 403: the token is missing or wrong
    │   ├── NotFound      404, 410: there is no such run or pipeline
    │   ├── Conflict      409: the run is over, say
    │   └── Unavailable   429, 5xx: not now; `retry_after_seconds` when it said how long
    ├── StreamerAway      nobody answers (streams do not raise it: they try again)
    ├── StreamReset       entries cannot go on without a gap: the log is another one, or no longer holds them
    └── ProtocolError     an answer that is not a streamer's, or larger than is accepted
"""

from __future__ import annotations

import email.utils
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import httpx
import msgspec
from msgspec import Struct

from streamer.model.events import Entry, PhaseSpec
from streamer.model.state import RunState
from streamer.protocol.frames import WireError, read_entry, read_state

#: Bounds, in bytes, of an answer and of an answer that says no.
MAX_ANSWER_BYTES: Final = 64_000_000
MAX_ERROR_BYTES: Final = 1_000_000
#: A streamer that asks for more patience than this, in seconds, is asked again after this.
LONGEST_RETRY_AFTER_SECONDS: Final = 300.0

T = TypeVar("T")


# -- what is raised ----------------------------------------------------------------------------------------------------


class StreamerError(Exception):
    """Base of what this module raises; see its docstring."""


class ApiError(StreamerError):
    """The streamer said no. `code` is for programs, and empty when it was not a streamer that answered."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Any = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status: Final = status
        self.code: Final = code
        self.message: Final = message
        self.details: Final = details
        self.retry_after_seconds: Final = retry_after_seconds


class Refused(ApiError):
    """The request is not accepted; `details` names the fields, what was received and what was expected."""


class Forbidden(ApiError):
    """The token is missing or wrong."""


class NotFound(ApiError):
    """There is no such run or pipeline."""


class Conflict(ApiError):
    """The request does not fit the run's state."""


class Unavailable(ApiError):
    """Not now; `retry_after_seconds` where the streamer said how long."""


class StreamerAway(StreamerError):
    """Nobody answers at `url`."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no streamer answers at {url}: {reason}")
        self.url: Final = url


class StreamReset(StreamerError):
    """Entries cannot go on without a gap. Begin again, from the start or with `follow`."""


class ProtocolError(StreamerError):
    """An answer is not a streamer's, or larger than is accepted. Trying again would bring the same."""


# -- what is answered --------------------------------------------------------------------------------------------------


class Offer(Struct, frozen=True):
    """A pipeline on offer; `schema` is the JSON Schema of its parameters, `time_limit_seconds` its runs' limit."""

    name: str
    title: str = ""
    doc: str = ""
    phases: tuple[PhaseSpec, ...] = ()
    schema: dict[str, Any] = {}
    time_limit_seconds: float | None = msgspec.field(default=None, name="timeLimitSeconds")


class OfferProblem(Struct, frozen=True):
    """Why pipelines of a module or path (`reference`) are not on offer."""

    reference: str
    message: str


class Form(Struct, frozen=True):
    """A form after a change; `problems` are the values that do not fit, each with `field`, `message` and `expected`."""

    values: dict[str, Any]
    schema: dict[str, Any]
    problems: tuple[dict[str, Any], ...] = ()


class Checked(Struct, frozen=True):
    """The parameters that a start would have, as they are shown."""

    parameters: dict[str, Any]


class Offers(Struct, frozen=True):
    """The pipelines on offer, and what could not be loaded."""

    pipelines: tuple[Offer, ...]
    problems: tuple[OfferProblem, ...] = ()


class Ticket(Struct, frozen=True):
    """A secret that cancels a run and does nothing else; `page` as in `Created`."""

    run: str
    ticket: str
    page: str | None = None


class RunsPage(Struct, frozen=True):
    """Runs, newest first. `next` is the `before` of the next page, None on the last; `counts`: all runs by status.

    `total` is how many runs match on all pages; None: an older streamer does not say it.
    """

    runs: tuple[RunState, ...]
    next: str | None
    counts: dict[str, int]
    total: int | None = None


class LinesPage(Struct, frozen=True):
    """Log lines, oldest first. `older` and `newer` are the `before` and `after` of the pages around it.

    `older` is None when there is nothing older; `total` None when lines were filtered. `partial`: the search looked at
    as many lines as one request may, and goes on with the page around; this one may be short, or empty.
    """

    lines: tuple[Entry, ...]
    older: str | None
    newer: str | None
    total: int | None
    partial: bool = False


class FailuresPage(Struct, frozen=True):
    """Failed items, oldest first. `next` is the `after` of the next page, None on the last; `total`: of the run."""

    failures: tuple[Entry, ...]
    next: str | None
    total: int


class RunsAnswer(Struct):
    """`RunsPage` as it comes."""

    runs: list[dict[str, Any]]
    next: str | None = None
    counts: dict[str, int] = {}
    total: int | None = None


class EstimatesAnswer(Struct):
    """The estimates of a run as they come."""

    estimates: list[dict[str, Any]]


class HistoryAnswer(Struct):
    """Earlier runs as they come."""

    runs: list[dict[str, Any]]


class LinesAnswer(Struct):
    """`LinesPage` as it comes."""

    lines: list[msgspec.Raw]
    older: str | None = None
    newer: str | None = None
    total: int | None = None
    partial: bool = False


class FailuresAnswer(Struct):
    """`FailuresPage` as it comes."""

    failures: list[msgspec.Raw]
    next: str | None = None
    total: int = 0


class _Placed(Struct):
    cursor: str


class _Error(Struct):
    code: str = ""
    message: str = ""
    details: Any = None


class _ErrorAnswer(Struct):
    error: _Error


# -- reading -----------------------------------------------------------------------------------------------------------


def decode(body: bytes, kind: type[T]) -> T:
    """Read an answer. Raises `ProtocolError`.

    Args:
        body: The answer's bytes.
        kind: The type that it is to have.

    Raises:
        ProtocolError: If the answer has another form.

    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"expected a streamer's answer, received {body[:100]!r}: {error}") from error


def state_of(data: Any) -> RunState:
    """Read a run's state. Raises `ProtocolError`.

    Args:
        data: The plain data of a state, as `frames.state_data` writes it.

    Raises:
        ProtocolError: If the answer has another form.

    """
    try:
        return read_state(data)
    except WireError as error:
        raise ProtocolError(str(error)) from error


def entries_of(rows: Iterable[msgspec.Raw]) -> tuple[Entry, ...]:
    """Read entries that have their cursor beside them. Raises `ProtocolError`.

    Args:
        rows: The entries' JSON, each with its `cursor`.

    Returns:
        The entries, in the order of the rows.

    Raises:
        ProtocolError: If the answer has another form.

    """
    found = []
    for row in rows:
        cursor = decode(bytes(row), _Placed).cursor
        try:
            found.append(read_entry(bytes(row), int(cursor.rpartition("-")[2])))
        except ValueError as error:
            raise ProtocolError(str(error)) from error
    return tuple(found)


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """Return an answer's body. Raises `ProtocolError` when it is longer than `limit` bytes.

    Args:
        response: The answer, its body unread.
        limit: Most bytes of the body.

    Raises:
        ProtocolError: If the body is longer.

    """
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise ProtocolError(f"expected an answer of at most {limit:,} bytes, received a longer one")
    return bytes(body)


def api_error(response: httpx.Response, body: bytes, now: float) -> ApiError:
    """Return the error that an answer says; `now` in POSIX seconds.

    Args:
        response: The answer's head.
        body: Its body. Another server may have written it.
        now: The time, in POSIX seconds, for a date in `Retry-After`.

    Returns:
        An error of the kind that fits the status.

    """
    status = response.status_code
    try:
        error = msgspec.json.decode(body, type=_ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = _Error()
    kinds: dict[int, type[ApiError]] = {
        **dict.fromkeys((400, 413, 415, 422), Refused),
        **dict.fromkeys((401, 403), Forbidden),
        **dict.fromkeys((404, 410), NotFound),
        409: Conflict,
        429: Unavailable,
    }
    kind = Unavailable if status >= 500 else kinds.get(status, ApiError)
    message = error.message or f"{status} {response.reason_phrase}".strip()
    return kind(status, error.code, message, error.details, _retry_after(response, now))


def _retry_after(response: httpx.Response, now: float) -> float | None:
    """Return the seconds a streamer asks to wait, within bounds; None when it does not say."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def reason_of(error: Exception) -> str:
    """Return in words why a request was not answered.

    Args:
        error: The error of httpx, or another one.

    """
    words = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.ReadTimeout: "nothing was heard for too long",
        httpx.ConnectError: "no connection",
    }
    name = next((text for kind, text in words.items() if isinstance(error, kind)), type(error).__name__)
    return f"{name} ({error})" if str(error) else name
