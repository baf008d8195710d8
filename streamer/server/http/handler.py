"""The base of all handlers: checks the sender, bounds bodies, reads arguments, answers errors. Has no route.

Why one module: every request passes these checks in this order, before its body is read.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, Protocol, TypeVar

import msgspec
from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler, stream_request_body

from streamer.model.bounds import COUNT_LIMIT, NESTING_LIMIT, is_nested_too_deep
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import to_json
from streamer.server.catalog import Catalog
from streamer.server.estimates.live import LiveEstimates
from streamer.server.fan_out.hub import Hub
from streamer.server.http.bodies import Bodies
from streamer.server.http.cancel_tickets import Tickets
from streamer.server.http.errors import ApiError, as_api_error, invalid
from streamer.server.http.host_check import check_host
from streamer.server.log.base import EventLog
from streamer.server.metrics import Metrics
from streamer.server.request_log import Request as LoggedRequest
from streamer.server.request_log import is_logged, log_request
from streamer.server.runs.runs import Runs
from streamer.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: A body that is too large is read away up to this many bytes, so that its sender can read the answer. (Beyond twice as
#: many, Tornado closes the connection without one.)
_DRAIN_BYTES: Final = 64_000_000
_RETRY_AFTER_SECONDS: Final = 1
#: Seconds that a body may take to come. A slower one ends with its connection.
BODY_SECONDS: Final = 120.0
_LONGEST_TOKEN: Final = 1000


class Parts(Protocol):
    """The parts of a streamer that handlers use; `ready` opens it where that was not done yet."""

    settings: Settings
    hub: Hub
    runs: Runs
    catalog: Catalog
    metrics: Metrics
    tickets: Tickets
    estimates: LiveEstimates
    bodies: Bodies
    page: str

    @property
    def log(self) -> EventLog:
        """The log of the runs."""

    async def ready(self) -> None:
        """Return when the streamer is open."""


@stream_request_body
class BaseHandler(RequestHandler):
    """Checks `Host`, `Origin` and the token before anything else; bodies are bounded while they are read.

    `public`: answers without the operators' token. `needs_log`: only once the streamer is open. `body_limit`: the
    setting that bounds its bodies.
    """

    public: ClassVar[bool] = False
    needs_log: ClassVar[bool] = True
    body_limit: ClassVar[str] = "max_body_bytes"
    parts: Parts

    def initialize(self, parts: Parts) -> None:
        self.parts = parts
        self._body = bytearray()
        self._too_large = 0
        #: Bytes of this body for which there is room among all bodies.
        self._room = 0
        self._is_crowded = False
        self._is_prepared = False

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Content-Type-Options", "nosniff")
        # No answer of the API is a page: where a browser shows one, it loads nothing, and no page has it in a frame.
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:
        check_host(self.request, self.parts.settings)
        self._check_origin()
        if not self.public and self.request.method != "OPTIONS":
            self._check_token()
        if self.needs_log:
            await self.parts.ready()
        await self.check_head()
        self._make_room()
        if isinstance(self.request.connection, HTTP1Connection):
            self.request.connection.set_max_body_size(2 * _DRAIN_BYTES)
            self.request.connection.set_body_timeout(BODY_SECONDS)
        self._is_prepared = True

    async def check_head(self) -> None:
        """Refuse a request before its body is read, where its head tells enough. Raises `ApiError` or a `LogError`."""

    def _make_room(self) -> None:
        """Look at the announced size. Raises `ApiError` 413 or 503 before a byte is kept."""
        said = self.request.headers.get("Content-Length", "")
        length = int(said[:18]) if said.isdigit() else 0
        if length > self._limit:
            # As long as the sender may wait for it, it is read away, so that it can read the answer.
            self._too_large = length
            if length > _DRAIN_BYTES:
                self.body()
        elif not self.parts.bodies.take(length):
            raise self._crowded_error()
        else:
            self._room = length

    def _crowded_error(self) -> ApiError:
        most = self.parts.bodies.most
        return ApiError(
            503,
            "busy",
            f"bodies of {most:,} bytes are being read, as many as may be at one time",
            {"field": "body", "expected": most},
        )

    def _leave_room(self) -> None:
        room, self._room = self._room, 0
        self.parts.bodies.release(room)

    def on_finish(self) -> None:
        """Give back the room of the body."""
        self._leave_room()

    def on_connection_close(self) -> None:
        """Give back the room of a body that will not come."""
        super().on_connection_close()
        self._body.clear()
        self._leave_room()

    def data_received(self, chunk: bytes) -> None:
        missing = len(self._body) + len(chunk) - self._room
        if missing > 0 and not self._too_large and len(self._body) + len(chunk) <= self._limit:
            # It comes in chunks of which nobody said how many there are.
            if self._is_crowded or not self.parts.bodies.take(missing):
                self._is_crowded = True
                self._body.clear()
                self._leave_room()
                return
            self._room += missing
        if self._too_large or len(self._body) + len(chunk) > self._limit:
            self._too_large += len(self._body) + len(chunk)
            self._body.clear()
            if self._too_large > _DRAIN_BYTES and not self._headers_written:
                # It comes in chunks, without an end in sight. Not the end of the connection yet: closing it over what
                # was not read would take the answer away from its sender.
                self._answer_error(self._too_large_error())
                self.flush()
        else:
            self._body += chunk

    # -- who may ask ---------------------------------------------------------------------------------------------------

    def _check_origin(self) -> None:
        origin = self.request.headers.get("Origin")
        if origin is None:
            return
        if self.lets_read(origin):
            self._let_read()
        elif origin not in (f"http://{self.request.host}", f"https://{self.request.host}"):
            raise ApiError(
                403,
                "origin_refused",
                f"pages of {origin[:100]!r} may not call this API; see STREAMER_ALLOWED_ORIGINS",
                {"field": "Origin", "received": origin[:100]},
            )

    def lets_read(self, origin: str) -> bool:
        """Say whether a page of that origin may ask, and read the answer."""
        return origin in self.parts.settings.allowed_origins

    def _let_read(self) -> None:
        """Let a page of an allowed origin read the answer, whatever it is."""
        origin = self.request.headers.get("Origin")
        if origin is not None and self.lets_read(origin):
            known = origin in self.parts.settings.allowed_origins
            self.set_header("Access-Control-Allow-Origin", origin if known else "*")
            self.set_header("Access-Control-Expose-Headers", "Location, Retry-After")
            self.set_header("Vary", "Origin")

    def _check_token(self) -> None:
        expected = self.parts.settings.token
        if not expected:
            return
        if not hmac.compare_digest(self.bearer().encode(), expected.encode()):
            raise ApiError(
                401,
                "unauthorized",
                "expected the operators' token: `Authorization: Bearer TOKEN` or `?token=TOKEN`",
                {"field": "Authorization"},
            )

    def bearer(self) -> str:
        """Return the token that came with the request, or an empty text."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()[:_LONGEST_TOKEN]
        return self.text("token", "")[:_LONGEST_TOKEN]

    # -- what is asked -------------------------------------------------------------------------------------------------

    @property
    def _limit(self) -> int:
        return int(getattr(self.parts.settings, self.body_limit))

    def body(self) -> bytes:
        """Return the request's body. Raises `ApiError` 413 when it is larger than the limit."""
        if self._too_large:
            raise self._too_large_error()
        if self._is_crowded:
            raise self._crowded_error()
        return bytes(self._body)

    def _too_large_error(self) -> ApiError:
        return ApiError(
            413,
            "too_large",
            f"expected a body of at most {self._limit:,} bytes, received {self._too_large:,}",
            {"field": "body", "expected": self._limit, "received": self._too_large},
        )

    def json_object(self) -> dict[str, Any]:
        """Return the body, a JSON object; no body is an empty one. Raises `ApiError` 400, 413 or 415."""
        body = self.body()
        if not body.strip():
            return {}
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(
                415,
                "unsupported_media_type",
                f"expected Content-Type: application/json, received {kind[:100] or 'none'}",
                {"field": "Content-Type", "expected": "application/json", "received": kind[:100]},
            )
        if is_nested_too_deep(body):
            raise ApiError(
                400,
                "too_deep",
                f"expected JSON that is nested at most {NESTING_LIMIT} levels deep",
                {"field": "body", "expected": NESTING_LIMIT},
            )
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, "not_json", f"expected a JSON object: {error}", {"field": "body"}) from error
        if not isinstance(value, dict):
            raise ApiError(
                400,
                "not_an_object",
                f"expected a JSON object, received {type(value).__name__}",
                {"field": "body"},
            )
        return value

    def text(self, name: str, default: str = "") -> str:
        """Return a query argument as it stands. Raises `ApiError` 400 when it is not UTF-8.

        Args:
            name: The argument's name.
            default: The text where it is not given.

        """
        values = self.texts(name)
        return values[-1] if values else default

    def texts(self, name: str) -> list[str]:
        """Return all values of a query argument. Raises `ApiError` 400 when one is not UTF-8."""
        try:
            return self.get_query_arguments(name)
        except HTTPError as error:
            raise ApiError(400, "invalid", f"{name}: expected UTF-8", [{"field": name}]) from error

    def choice(self, name: str, allowed: dict[str, T], default: str) -> T:
        """Return what a query argument stands for. Raises `ApiError` 400 naming what is allowed.

        Args:
            name: The argument's name.
            allowed: The texts that it may have, and what each stands for.
            default: The text where it is not given.

        """
        value = self.text(name) or default
        if value not in allowed:
            raise invalid(name, value, f"one of {', '.join(filter(None, allowed))}", status=400)
        return allowed[value]

    def number(self, name: str, default: int, *, most: int, least: int = 1) -> int:
        """Return a whole number from the query. Raises `ApiError` 400 naming the range.

        Args:
            name: The argument's name.
            default: The number where it is not given.
            most: The largest number allowed.
            least: The smallest number allowed.

        """
        value = self.text(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 12 and least <= int(value) <= most):
            raise invalid(name, value, f"a whole number from {least} to {most}", status=400)
        return int(value)

    def seconds(self, name: str) -> float | None:
        """Return a number of seconds from the query, None where it is not given. Raises `ApiError` 400."""
        value = self.text(name)
        if not value:
            return None
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= COUNT_LIMIT:
            raise invalid(name, value, "a number of seconds, 0 for none", status=400)
        return seconds

    def position(self, name: str) -> int | None:
        """Return a cursor from the query, plain or `EPOCH-OFFSET`. Raises `ApiError` 400."""
        value = self.text(name)
        if not value:
            return None
        if value.isascii() and value.isdigit() and len(value) <= 18:
            return int(value)
        cursor = Cursor.parse(value)
        if cursor is None or cursor.epoch != self.parts.log.epoch:
            raise invalid(name, value, "a cursor of this log", status=400)
        return cursor.offset

    # -- answers -------------------------------------------------------------------------------------------------------

    def page_of(self, run_id: str) -> str | None:
        """Return the address of a run's page on the dashboards; None where there are none that are known."""
        return f"{self.parts.page}?run={run_id}" if self.parts.page else None

    def answer(self, value: Any, status: int = 200) -> None:
        """Answer with JSON.

        Args:
            value: Plain data.
            status: The HTTP status.

        """
        self.set_status(status)
        self.finish(to_json(value))

    def head_bytes(self) -> bytes:
        """Return the head of a good answer as it is sent, for who writes to the connection past Tornado."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in self._headers.get_all())
        return f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode("latin-1")

    async def options(self, *_: str) -> None:
        """Answer a browser that asks what a page of an allowed origin may do."""
        self.set_header("Allow", ", ".join(self._methods()))
        self.set_header("Access-Control-Allow-Methods", "GET, POST")
        self.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
        self.set_status(204)
        self.finish()

    def _methods(self) -> list[str]:
        """Return the methods that this address takes."""
        return [
            name
            for name in self.SUPPORTED_METHODS
            if getattr(type(self), name.lower()) is not getattr(RequestHandler, name.lower())
        ]

    def _log(self) -> None:
        # Tornado's own line would repeat the token.
        self.count_request()
        status = self.get_status()
        if is_logged(status):
            sent = int(self._headers.get("Content-Length", "0"))
            log_request(self.logged, status=status, seconds=self.request.request_time(), sent=sent)

    @property
    def logged(self) -> LoggedRequest:
        """The part of this request that may be logged."""
        request = self.request
        return LoggedRequest.of(
            request.method or "", request.uri or "", request.remote_ip or "", request.headers
        )

    def count_request(self) -> None:
        """Count this request by its status."""
        self.parts.metrics.requests.labels(str(self.get_status())).inc()

    def _is_closing(self) -> bool:
        # A failure of a stopping streamer is no fault of its own; before it is open there is no hub.
        hub = getattr(self.parts, "hub", None)
        return hub is not None and hub.is_closing

    def log_exception(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self._is_closing():
            return
        if error is not None and as_api_error(error) is None and not isinstance(error, HTTPError):
            logger.error("%s %s failed", self.request.method, self.request.path, exc_info=error)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        known = None if error is None else as_api_error(error)
        if known is None and status_code == 500 and self._is_closing():
            known = ApiError(503, "closing", "the streamer is being stopped", retry=True)
        if known is None:
            words = {
                404: ("not_found", f"no such address: {self.request.path[:200]}"),
                405: ("method_not_allowed", f"{self.request.method} is not for {self.request.path[:200]}"),
            }
            code, message = words.get(status_code, ("failed", self._reason))
            known = ApiError(status_code, code, message)
        self._answer_error(known)
        self.finish()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        if self._headers_written and self._too_large:
            # That it is too large was answered while it came.
            self.finish()
        else:
            super().send_error(status_code, **kwargs)

    def _answer_error(self, known: ApiError) -> None:
        # The headers from before the error were cleared with it.
        self._let_read()
        if known.status == 413 or not self._is_prepared:
            # A refusal before the body was read ends the connection, and the client must know it.
            self.set_header("Connection", "close")
        if known.retry:
            self.set_header("Retry-After", str(_RETRY_AFTER_SECONDS))
        if known.status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        if known.status == 405:
            self.set_header("Allow", ", ".join(self._methods()))
        self.set_header("Content-Type", "application/json")
        self.set_status(known.status)
        data = to_json({"error": {"code": known.code, "message": known.message, "details": known.details}})
        self.set_header("Content-Length", str(len(data)))
        self.write(data)

    async def or_leave(self, work: Awaitable[T]) -> T:
        """Await something that must go on even if the client leaves meanwhile.

        Args:
            work: The coroutine or future. It goes on when the request is cancelled.

        Returns:
            Its result.

        """
        return await asyncio.shield(asyncio.ensure_future(work))


class NotFoundHandler(BaseHandler):
    """Answers every address that is none, in the contract's error form."""

    async def get(self, *_: str) -> None:
        raise HTTPError(404)

    head = post = put = patch = delete = options = get


Route = tuple[str, Callable[..., RequestHandler]]
