"""`Exchange`: requests to one server and their answers, one after the other, on a connection that is kept. No retries.

Why not httpx: its request costs a millisecond of Python, which the job that is reported has to wait for, and importing
it costs a tenth of a second. This one is answered for a fifth of that.
"""

from __future__ import annotations

import contextlib
import http.client
import selectors
from collections.abc import Mapping
from email.message import Message
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    import ssl

#: Bytes of an answer's body that are read; what is longer is nobody's that we know.
ANSWER_BYTES: Final = 1_000_000
#: Bytes of a request's body that are sent at a time.
_PIECE_BYTES: Final = 65_536


class Answer(Struct):
    """What a server answered. Names of headers are looked up whatever their case."""

    status_code: int
    headers: Message
    content: bytes


class Exchange:
    """One thread at a time. It connects when it is asked for something; proxies and redirects are not followed.

    `answer_seconds`: how long nothing may move, neither of what is sent nor of the answer.
    `post` raises `OSError`, `http.client.HTTPException`, or `ValueError` for what is no address; the next one connects
    anew. Without encryption no certificate is read, which takes longer than all the rest.
    """

    def __init__(self, *, connect_seconds: float = 2.0, answer_seconds: float = 10.0) -> None:
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._to = ""
        self._tls: ssl.SSLContext | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body to an address; return the answer."""
        parts = urlsplit(url)
        to = f"{parts.scheme}://{parts.netloc}"
        if self._connection is None or self._to != to or self._is_over():
            self.close()
            self._connection = self._connect(parts.scheme, parts.hostname, parts.port)
            self._to = to
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        # In pieces: the time for sending is counted for each, not for all that a slow line has to carry.
        pieces = [body[first : first + _PIECE_BYTES] for first in range(0, len(body), _PIECE_BYTES)]
        is_sent = False
        try:
            # A server that will not have the body may have said so before it hung up.
            with contextlib.suppress(ConnectionError):
                self._connection.request("POST", path, pieces, {**headers, "Content-Length": str(len(body))})
                is_sent = True
            response = self._connection.getresponse()
            content = response.read(ANSWER_BYTES)
        except BaseException:
            self.close()
            raise
        if not is_sent or response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, response.headers, content)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, scheme: str, host: str | None, port: int | None) -> http.client.HTTPConnection:
        if scheme not in ("http", "https") or not host:
            raise ValueError(
                f"expected an address that begins http:// or https://, received {scheme}://{host}"
            )
        connection: http.client.HTTPConnection
        # Without a port `http.client` takes the end of an IPv6 address for one.
        if scheme == "https":
            connection = http.client.HTTPSConnection(
                host, port or 443, timeout=self._connect_seconds, context=self._certificates()
            )
        else:
            connection = http.client.HTTPConnection(host, port or 80, timeout=self._connect_seconds)
        connection.connect()
        connection.sock.settimeout(self._answer_seconds)
        return connection

    def _certificates(self) -> ssl.SSLContext:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls

    def _is_over(self) -> bool:
        """Tell whether the server has closed the connection meanwhile: nothing else makes an idle one readable."""
        assert self._connection is not None
        if self._connection.sock is None:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection.sock, selectors.EVENT_READ)
            return bool(selector.select(0))
