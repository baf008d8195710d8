"""`Transport`: a client's connections to a streamer: where it is, requests, the opening of streams. Knows no request.

A request that fails because the streamer is away looks for the streamer again: it may have come back on another port.
"""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from streamer.client.addresses import checked_url, plain
from streamer.client.discovery import NOWHERE, find_streamer, nobody_at
from streamer.client.stream import MAX_EVENT_BYTES
from streamer.protocol.api import (
    MAX_ANSWER_BYTES,
    MAX_ERROR_BYTES,
    ProtocolError,
    StreamerAway,
    api_error,
    read_body,
    reason_of,
)
from streamer.settings import Settings

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 60.0
_HEARTBEATS: Final = 3
_MAX_REDIRECTS: Final = 10


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return what clients trust, read once in a process: it takes twenty milliseconds, most of what a client costs."""
    return httpx.create_ssl_context(trust_env=False)


class Transport:
    """The connections of one client. Used in one event loop, by any number of tasks. Arguments: see `Client`."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        strict: bool = False,
        settings: Settings | None = None,
        read_timeout_seconds: float | None = None,
        connect_timeout_seconds: float = _CONNECT_SECONDS,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.settings: Final = Settings.from_environment() if settings is None else settings
        self.strict = strict
        self.max_event_bytes = max_event_bytes
        self.clock = clock
        self.sleep = sleep
        self.rng = rng or random.Random()  # noqa: S311 - jitter
        self._max_answer_bytes = max_answer_bytes
        self._fixed = None if url is None else checked_url(url)
        self._found: str | None = None
        if url is None:
            self._found = checked_url(find_streamer(self.settings))
        token = self.settings.token if token is None else token
        if token and not (token.isascii() and token.isprintable()):
            raise ValueError("expected a token of printable ASCII characters")
        silence = _HEARTBEATS * self.settings.heartbeat_seconds
        self._stream_timeout = httpx.Timeout(
            silence if read_timeout_seconds is None else read_timeout_seconds, connect=connect_timeout_seconds
        )
        # Compressed answers could grow without bound while they are unpacked, and streams gain nothing.
        headers = {"Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # Proxies of the environment are for the world outside, not for a streamer next door. Every open stream holds a
        # connection: a bound on those would let the hundredth wait for ever.
        self._http = httpx.AsyncClient(
            verify=_certificates(),
            trust_env=False,
            headers=headers,
            timeout=httpx.Timeout(30.0, connect=connect_timeout_seconds),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections, those of open streams too. Idempotent."""
        await self._http.aclose()

    @property
    def url(self) -> str:
        """Where the streamer is, as far as it is known now."""
        if self._fixed is not None:
            return self._fixed
        if self._found is None:
            self._found = checked_url(find_streamer(self.settings))
        return self._found

    # -- requests ------------------------------------------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> bytes:
        """Send one request.

        Args:
            method: "GET", "POST", …
            path: The path, with its beginning slash.
            query: The query; values of None are left out.
            body: Plain data for a JSON body; None: no body.
            headers: More headers.

        Returns:
            The answer's body.

        Raises:
            StreamerAway: If nobody answers.
            ApiError: If the streamer refuses, of the kind that fits.
            ProtocolError: If the answer is too large, or redirects without an end.

        """
        url = self.url
        if self._http.is_closed:
            # Why no error of its own: what is under way while all is closed ends as it does without a streamer.
            raise StreamerAway(url, "this client was closed")
        sent: list[tuple[bytes, bytes]] = [(b"Accept", b"application/json")]
        for name, value in (headers or {}).items():
            sent.append((name.encode(), value if isinstance(value, bytes) else value.encode()))
        content = None
        if body is not None:
            content = msgspec.json.encode(body, enc_hook=plain)
            sent.append((b"Content-Type", b"application/json"))
        params = {name: str(value) for name, value in (query or {}).items() if value not in (None, "")}
        request = self._http.build_request(method, url + path, params=params, content=content, headers=sent)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                response = await self._open(request)
                try:
                    is_good = response.status_code < 300
                    answer = await read_body(response, self._max_answer_bytes if is_good else MAX_ERROR_BYTES)
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            self._found = None
            away = StreamerAway(url, reason_of(error))
            if url == NOWHERE:
                away.args = (nobody_at(url, self.settings.data),)
            raise away from error
        except TimeoutError as error:
            raise StreamerAway(url, f"no whole answer within {_ANSWER_SECONDS:g} s") from error
        if not is_good:
            raise api_error(response, answer, self.clock())
        return answer

    async def _open(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer with its body unread; follow redirects that keep its method.

        Raises `httpx.TransportError` or `ProtocolError`. The caller closes the answer.
        """
        # Why not httpx's own following: it reads a redirect's body whole, however long, and makes a GET of a POST.
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                response = await self._http.send(request, stream=True, follow_redirects=False)
            except httpx.UnsupportedProtocol as error:
                raise ProtocolError(f"redirected to {str(request.url)[:200]}: {error}") from error
            if not response.has_redirect_location:
                return response
            following = response.next_request
            await response.aclose()
            if following is None or following.method != request.method:
                raise ProtocolError(
                    f"{request.method} {request.url} was redirected with {response.status_code}, "
                    "which makes another request of it; expected 307 or 308"
                )
            request = following
        raise ProtocolError(f"redirected more than {_MAX_REDIRECTS} times, last to {str(request.url)[:200]}")

    async def open_stream(self, path: str, params: dict[str, str], cursor: str | None) -> httpx.Response:
        """Ask for a stream, after a cursor. For `Stream`; raises `httpx.TransportError` or `ProtocolError`.

        Args:
            path: The stream's path.
            params: The query.
            cursor: The cursor to resume after; None: from the beginning that the query names.

        Returns:
            The answer, its body unread.

        Raises:
            httpx.TransportError: If the streamer cannot be reached.
            ProtocolError: If the answer is no stream.

        """
        headers = [(b"Accept", b"text/event-stream"), (b"Cache-Control", b"no-cache")]
        if cursor is not None:
            headers.append((b"Last-Event-ID", cursor.encode()))
        request = self._http.build_request(
            "GET", self.url + path, params=params, headers=headers, timeout=self._stream_timeout
        )
        try:
            return await self._open(request)
        except httpx.TransportError:
            self._found = None
            raise
