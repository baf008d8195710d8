"""Requests that a producer sent before it was answered: the same as the present one but for the body. Answers nothing.

Tornado handles the requests of a connection one after the other. A producer that does not wait for its answers would
wait for a commit each time; so an ingest request takes along what is already here, and all are stored in one commit.
Whatever is not plainly the same again is left where it is, and handled in its turn.
"""

from __future__ import annotations

import re
from typing import Final

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPInputError, HTTPServerRequest, parse_request_start_line
from tornado.iostream import IOStream

#: Most requests that are taken along.
_MOST: Final = 500
#: Bytes that are enough to go on with, and that are read at a time.
_ENOUGH_BYTES: Final = 262_144
_READ_BYTES: Final = 65_536
#: Digits of a body's size.
_LONGEST_LENGTH: Final = 8
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,%d})\r\n" % _LONGEST_LENGTH, re.IGNORECASE)


class Ahead:
    """What is on a connection behind a request; used while the request is handled."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._request = request
        self._stream: IOStream | None = None
        #: What stands before and behind the size in a head that is the same; empty until there was one.
        self._same_head = b"", b""
        connection = request.connection
        if isinstance(connection, HTTP1Connection) and _may_go_on(request) and _is_known(connection.stream):
            self._stream = connection.stream

    def bodies(self, most_bytes: int) -> list[tuple[bytes, int]]:
        """Return the bodies of the requests that are here as a whole, and where in the bytes received each ends."""
        received = self._received()
        found: list[tuple[bytes, int]] = []
        begin = 0
        while len(found) < _MOST:
            start, size = self._body_of(received, begin)
            begin = start + size
            if not start or begin > len(received) or begin > most_bytes:
                break
            found.append((bytes(received[start:begin]), begin))
        return found

    def _body_of(self, received: bytearray, begin: int) -> tuple[int, int]:
        """Return where the body starts of the request that begins there, and its size; (0, 0) if it is not the same."""
        before, after = self._same_head
        if before and received.startswith(before, begin):
            digits = begin + len(before)
            end = received.find(b"\r", digits, digits + _LONGEST_LENGTH + 1)
            if received.startswith(after, end) and received[digits:end].isdigit():
                return end + len(after), int(received[digits:end])
        end = received.find(b"\r\n\r\n", begin)
        head = bytes(received[begin : end + 4])
        length = _LENGTH.search(head)
        if end < 0 or length is None or not self._is_same(head):
            return 0, 0
        # Compared as headers once, and then byte by byte.
        self._same_head = head[: length.start(1)], head[length.end(1) :]
        return end + 4, int(length[1])

    def look(self) -> bool:
        """Take in what has come meanwhile; False where there is nothing, or the answers so far were not read."""
        stream = self._stream
        if stream is None or stream.closed() or stream.writing():
            return False
        buffer = bytearray(_READ_BYTES)
        while len(self._received()) < _ENOUGH_BYTES:
            try:
                size = stream.read_from_fd(buffer)
            except OSError:
                # Tornado will see it too.
                break
            if not size:
                break
            stream._read_buffer += memoryview(buffer)[:size]
            stream._read_buffer_size += size
        return bool(self._received())

    def skip(self, size: int) -> None:
        """Take so many bytes away: their requests were handled."""
        stream = self._stream
        assert stream is not None
        del stream._read_buffer[:size]
        stream._read_buffer_size -= size

    def answer(self, data: bytes) -> None:
        """Write answers behind the one to the present request, which was finished."""
        if self._stream is not None and not self._stream.closed():
            self._stream.write(data)

    def _received(self) -> bytearray:
        return bytearray() if self._stream is None else self._stream._read_buffer

    def _is_same(self, head: bytes) -> bool:
        """Say whether a head asks for what the present request asked for, in the same words."""
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
            and len(headers.get_list("Content-Length")) == 1
            and _without_length(headers) == _without_length(request.headers)
        )


def _is_known(stream: IOStream) -> bool:
    """Say whether a stream keeps what it received as it is used here."""
    # Where another Tornado keeps it otherwise, there is nothing ahead, and each request waits for its commit.
    buffer = getattr(stream, "_read_buffer", None)
    return isinstance(buffer, bytearray) and len(buffer) == getattr(stream, "_read_buffer_size", None)


def _may_go_on(request: HTTPServerRequest) -> bool:
    headers = request.headers
    return request.version == "HTTP/1.1" and not any(
        name in headers
        for name in ("Connection", "Transfer-Encoding", "Expect", "Content-Encoding", "Upgrade")
    )


def _without_length(headers: HTTPHeaders) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in headers.get_all() if name != "Content-Length")
