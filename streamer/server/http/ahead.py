"""Requests that follow one of a producer on its connection: the same as that, but for the body. Answers nothing.

Tornado handles the requests of a connection one after the other, each with all that it does for one. A producer that
sends ahead would wait for a commit each time; so an ingest request takes along what is already here, all are stored in
one commit, and it goes on with what comes. Whatever is not plainly the same again is given back, and has its turn.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, Self

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPInputError, HTTPServerRequest, parse_request_start_line
from tornado.iostream import IOStream, StreamClosedError

#: Most requests that are taken along.
_MOST: Final = 500
#: Bytes that are enough to go on with, and that are read at a time.
_ENOUGH_BYTES: Final = 262_144
_READ_BYTES: Final = 65_536
#: What is longer is not waited for here.
_LONGEST_HEAD: Final = 32_768
_SIZE: Final = rb"(\d{1,8})"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *" + _SIZE + rb"\r\n", re.IGNORECASE)
#: Where a head ends for Tornado.
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_NOTHING: Final = re.compile(rb"(?!)")


class Ahead:
    """What comes on a connection behind a request, while that is handled. A context manager: gives back what is left.

    `idle_seconds`: after so long without anything the connection is closed.
    """

    def __init__(self, request: HTTPServerRequest, *, idle_seconds: float) -> None:
        self._request = request
        self._idle_seconds = idle_seconds
        self._here = bytearray()
        #: A head that is the same, and what stands in it before the size; nothing until there was one.
        self._same_head = _NOTHING
        self._before = b""
        self._stream: IOStream | None = None
        connection = request.connection
        if isinstance(connection, HTTP1Connection) and _may_go_on(request) and _is_known(connection.stream):
            stream = connection.stream
            # Of a producer that sends something else again and again, more may be read each time than is handled. With
            # so much here each request has its turn, until there is less.
            self._stream = stream if len(stream._read_buffer) <= _ENOUGH_BYTES else None

    def __enter__(self) -> Self:
        if self._stream is not None:
            self._take_in(self._stream)
        return self

    def __exit__(self, *_: object) -> None:
        stream = self._stream
        if stream is not None:
            stream._read_buffer[:0] = self._here
            stream._read_buffer_size += len(self._here)

    def bodies(self, most_bytes: int) -> list[tuple[bytes, int]]:
        """Return the bodies of the requests that are here as a whole, and where in the bytes received each ends."""
        found: list[tuple[bytes, int]] = []
        begin = 0
        while len(found) < _MOST:
            start, size = self._body_of(begin)
            begin = start + size
            if not start or begin > len(self._here) or begin > most_bytes:
                break
            found.append((bytes(self._here[start:begin]), begin))
        return found

    def skip(self, size: int) -> None:
        """Forget so many bytes: their requests were handled."""
        del self._here[:size]

    def is_part(self, most_bytes: int) -> bool:
        """Say whether what is here, or nothing, may be the beginning of another request that is the same."""
        here, before = self._here, self._before
        if not here:
            return self._stream is not None
        start, size = self._body_of(0)
        if start:
            return len(here) < start + size <= most_bytes
        is_part_of_head = len(here) < _LONGEST_HEAD and _BLANK_LINE.search(here) is None
        return before != b"" and is_part_of_head and here.startswith(before[: len(here)])

    async def more(self) -> bool:
        """Wait until more has come, and take it in; False when nothing will."""
        stream = self._stream
        if stream is None:
            return False
        idle = asyncio.get_running_loop().call_later(self._idle_seconds, stream.close)
        try:
            self._here += await stream.read_bytes(_ENOUGH_BYTES, partial=True)
            # The stream may have gone on reading since.
            self._take_in(stream)
            buffer = bytearray(_READ_BYTES)
            while not stream.closed() and len(self._here) < _ENOUGH_BYTES:
                size = stream.read_from_fd(buffer)
                if not size:
                    break
                self._here += memoryview(buffer)[:size]
        except (StreamClosedError, OSError):
            # Tornado sees it too.
            return False
        finally:
            idle.cancel()
        return True

    async def answer(self, data: bytes) -> None:
        """Write answers, in the order of the requests; wait until the producer reads them, or has left."""
        if self._stream is not None:
            try:
                await self._stream.write(data)
            except StreamClosedError:
                # What was stored is stored; that there is nothing more to come is seen next.
                return

    def _take_in(self, stream: IOStream) -> None:
        self._here += stream._read_buffer
        stream._read_buffer.clear()
        stream._read_buffer_size = 0

    def _body_of(self, begin: int) -> tuple[int, int]:
        """Return where the body starts of the request that begins there, and its size; (0, 0) if it is not the same."""
        known = self._same_head.match(self._here, begin)
        if known is not None:
            return known.end(), int(known[1])
        end = self._here.find(b"\r\n\r\n", begin)
        head = bytes(self._here[begin : end + 4])
        length = _LENGTH.search(head)
        if end < 0 or length is None or not self._is_same(head, length[1].decode()):
            return 0, 0
        # Compared as headers once, and then byte by byte.
        self._before, after = head[: length.start(1)], head[length.end(1) :]
        self._same_head = re.compile(re.escape(self._before) + _SIZE + re.escape(after))
        return end + 4, int(length[1])

    def _is_same(self, head: bytes, length: str) -> bool:
        """Say whether a head asks for what the present request asked for, in the same words, and has that length."""
        request = self._request
        if head.count(b"\n") != head.count(b"\r\n"):
            # Another blank line might end it earlier for Tornado.
            return False
        try:
            start, _, fields = head.decode("latin-1").partition("\r\n")
            asked = parse_request_start_line(start)
            headers = HTTPHeaders.parse(fields)
        except (HTTPInputError, ValueError):
            return False
        return (
            (asked.method, asked.path, asked.version) == (request.method, request.uri, request.version)
            and headers.get_list("Content-Length") == [length]
            and _without_length(headers) == _without_length(request.headers)
        )


def _is_known(stream: IOStream) -> bool:
    """Say whether a stream keeps what it received as it is used here."""
    # Where another Tornado keeps it otherwise, there is nothing ahead, and each request waits for its commit.
    buffer = getattr(stream, "_read_buffer", None)
    return isinstance(buffer, bytearray) and len(buffer) == getattr(stream, "_read_buffer_size", None)


def _may_go_on(request: HTTPServerRequest) -> bool:
    headers = request.headers
    return (
        request.version == "HTTP/1.1"
        and headers.get("Connection", "keep-alive").lower() == "keep-alive"
        and not any(
            name in headers for name in ("Transfer-Encoding", "Expect", "Content-Encoding", "Upgrade")
        )
    )


def _without_length(headers: HTTPHeaders) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in headers.get_all() if name != "Content-Length")
