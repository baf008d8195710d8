"""`Exchange`: requests to one server and their answers, one after the other, on a connection that is kept.

Why not httpx: its request costs a millisecond of Python, which the job that is reported has to wait for, and importing
it costs a tenth of a second. Why not all of `http.client`: half a millisecond. Of that, half is objects for headers;
and whenever it calls the system, the job may take the interpreter, and has to give it back. Here a request is one
message, and an answer as streamers give it is read at once; any other one is left to `http.client`.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import re
import socket
import string
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    import ssl

#: Bytes of an answer's body that are read; what is longer is nobody's that we know.
ANSWER_BYTES: Final = 1_000_000
#: Bytes of a request's body that are sent at a time.
_PIECE_BYTES: Final = 65_536
_READ_BYTES: Final = 16_384
#: Bytes of an answer among which its head ends, or `http.client` says what is wrong with it.
_HEAD_BYTES: Final = 32_768
#: The head of an answer that is read here: a version, a status, fields of one line each.
_HEAD: Final = re.compile(rb"HTTP/1\.1 (\d{3})(?: [^\r\n]*)?\r\n((?:[!-9;-~]+:[^\r\n]*\r\n)*)\r\n")


class Answer(Struct):
    """What a server answered. Names in `headers` are in lower case."""

    status_code: int
    headers: dict[str, str]
    content: bytes


class Exchange:
    """One thread at a time. It connects when it is asked for something; proxies and redirects are not followed.

    `answer_seconds`: how long nothing may move, neither of what is sent nor of the answer.
    `post` raises `OSError`, `http.client.HTTPException`, or `ValueError` for what is no address; the next one connects
    anew. A kept connection that turns out to have ended is the one reason to send a request again: whoever has it twice
    must be able to tell. Without encryption no certificate is read, which takes longer than all the rest.
    """

    def __init__(self, *, connect_seconds: float = 2.0, answer_seconds: float = 10.0) -> None:
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._socket: socket.socket | None = None
        self._server: tuple[str, str, int] | None = None
        self._prepared: tuple[str, Mapping[str, str]] | None = None
        self._head = b""
        self._tls: ssl.SSLContext | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body to an address; return the answer."""
        if self._prepared != (url, headers):
            self._prepare(url, headers)
        head = b"%b%d\r\n\r\n" % (self._head, len(body))
        if self._socket is not None:
            try:
                answer = self._exchanged(self._socket, head, body)
            except TimeoutError:
                raise
            except OSError:
                # The server has closed it meanwhile, as one does that is restarted, or that has waited long enough.
                pass
            else:
                if answer.status_code != http.HTTPStatus.REQUEST_TIMEOUT:
                    return answer
            self.close()
        self._socket = self._connected()
        return self._exchanged(self._socket, head, body)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # -- the connection ------------------------------------------------------------------------------------------------

    def _prepare(self, url: str, headers: Mapping[str, str]) -> None:
        """Make the head of requests up to the size of their bodies."""
        parts = urlsplit(url)
        host, scheme = parts.hostname, parts.scheme
        if scheme not in ("http", "https") or not host:
            raise ValueError(
                f"expected an address that begins http:// or https://, received {scheme}://{parts.netloc}"
            )
        usual = 443 if scheme == "https" else 80
        server = scheme, host, parts.port or usual
        if server != self._server:
            self.close()
        named = f"[{host}]" if ":" in host else host if host.isascii() else host.encode("idna").decode()
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        # As browsers and the client of the API send it; what is ASCII stands as it was given.
        target = quote(target, safe=string.punctuation + " ")
        fields = {
            "Host": named if server[2] == usual else f"{named}:{server[2]}",
            "Accept-Encoding": "identity",
            **headers,
        }
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        if " " in target or not all(line.isascii() and line.isprintable() for line in lines):
            raise ValueError("expected an address and headers of printable ASCII characters")
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()
        self._server, self._prepared = server, (url, dict(headers))

    def _connected(self) -> socket.socket:
        assert self._server is not None
        scheme, host, port = self._server
        connection: http.client.HTTPConnection
        if scheme == "https":
            connection = http.client.HTTPSConnection(
                host, port, timeout=self._connect_seconds, context=self._certificates()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._connect_seconds)
        connection.connect()
        link: socket.socket = connection.sock
        link.settimeout(self._answer_seconds)
        if scheme == "http":
            # Python's own limit takes a call of the system more, each time, than the system's.
            seconds, rest = divmod(self._answer_seconds, 1)
            limit = struct.pack("ll", int(seconds), int(rest * 1_000_000))
            with contextlib.suppress(OSError):
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
                link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
                link.settimeout(None)
        return link

    def _certificates(self) -> ssl.SSLContext:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls

    # -- a request and its answer --------------------------------------------------------------------------------------

    def _exchanged(self, link: socket.socket, head: bytes, body: bytes) -> Answer:
        is_sent = False
        try:
            # A server that will not have the body may have said so before it hung up.
            with contextlib.suppress(ConnectionError):
                _send(link, head, body)
                is_sent = True
            answer, is_kept = _read(link)
        except BaseException:
            self.close()
            raise
        if not (is_sent and is_kept):
            self.close()
        return answer


def _send(link: socket.socket, head: bytes, body: bytes) -> None:
    """Send a request; in pieces, as the time for sending is counted for each, not for all that a slow line carries."""
    message = head + body if len(body) <= _PIECE_BYTES else head
    try:
        link.sendall(message)
        if message is head:
            for first in range(0, len(body), _PIECE_BYTES):
                link.sendall(body[first : first + _PIECE_BYTES])
    except BlockingIOError:
        raise TimeoutError("the server takes nothing") from None


def _receive(link: socket.socket, most: int = _READ_BYTES) -> bytes:
    try:
        return link.recv(most)
    except BlockingIOError:
        raise TimeoutError("the server answers nothing") from None


def _read(link: socket.socket) -> tuple[Answer, bool]:
    """Read an answer; say as well whether the connection can be used again."""
    data = _receive(link)
    if not data:
        raise ConnectionResetError("the server closed the connection without an answer")
    # Some end their lines otherwise; `http.client` takes it.
    while (end := data.find(b"\n\r\n") + 3) < 3 and b"\n\n" not in data and len(data) < _HEAD_BYTES:
        more = _receive(link)
        if not more:
            break
        data += more
    head = _plain_head(data[:end])
    if head is None:
        return _read_any(link, data)
    content = data[end:]
    wanted = min(head.length, ANSWER_BYTES)
    while len(content) < wanted:
        more = _receive(link, min(wanted - len(content), _PIECE_BYTES))
        if not more:
            raise http.client.IncompleteRead(content, wanted - len(content))
        content += more
    # Bytes that belong to no request of ours would be taken for the next one's answer.
    is_kept = head.is_kept and head.length == len(content)
    return Answer(head.status, head.fields, content[:wanted]), is_kept


class _Head(Struct):
    status: int
    fields: dict[str, str]
    length: int
    is_kept: bool


# Within a second, answers to the same producer have the same head.
@functools.lru_cache(4)
def _plain_head(data: bytes) -> _Head | None:
    """Return what a head says, when it says plainly how long the body is; None when it takes more to know."""
    head = _HEAD.fullmatch(data)
    if head is None:
        return None
    lines = head[2].decode("latin-1").split("\r\n")[:-1]
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip(" \t")
    status, length = int(head[1]), fields.get("content-length", "")
    if (
        len(fields) < len(lines)
        or not (length.isascii() and length.isdigit() and len(length) < 16)
        or "transfer-encoding" in fields
        or status < 200
        or status in (204, 304)
    ):
        return None
    is_kept = fields.get("connection", "keep-alive").lower() == "keep-alive"
    return _Head(status, fields, int(length), is_kept)


def _read_any(link: socket.socket, data: bytes) -> tuple[Answer, bool]:
    response = http.client.HTTPResponse(cast(socket.socket, _Begun(link, data)), method="POST")
    with contextlib.closing(response):
        response.begin()
        content = response.read(ANSWER_BYTES)
        is_kept = response.isclosed() and not response.will_close
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, content), is_kept


class _Begun(io.RawIOBase):
    """A connection of which something was read already, as `http.client` wants it."""

    def __init__(self, link: socket.socket, data: bytes) -> None:
        super().__init__()
        self._link = link
        self._data = data

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            self._data = _receive(self._link, len(buffer))
        taken = self._data[: len(buffer)]
        self._data = self._data[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)
