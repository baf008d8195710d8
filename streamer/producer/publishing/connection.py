"""`Exchange`: requests to one server and their answers, one after the other, on a connection that is kept.

Why not httpx: importing it takes a tenth of a second, and one request a millisecond of Python, in which the job waits.
"""

from __future__ import annotations

import contextlib
import http.client
import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    import ssl

#: Bytes of an answer's body that are read. A streamer's answers are shorter.
ANSWER_BYTES: Final = 1_000_000
#: Bytes of a request's body that are sent at a time.
_PIECE_BYTES: Final = 65_536
_PORTS: Final = {"http": 80, "https": 443}


class Answer(Struct):
    """A server's answer. Names in `headers` are in lower case."""

    status_code: int
    headers: dict[str, str]
    content: bytes


class Exchange:
    """A kept connection to one server, for one thread at a time.

    `post` connects when there is no connection. The exchange uses no proxy and follows no redirect. It sends a request
    a second time only when a kept connection turns out to be closed. The server must be able to tell the two apart.

    Args:
        connect_seconds: how long connecting may take.
        answer_seconds: how long the connection may stand still, both while a request is sent and until it is answered.
    """

    def __init__(self, *, connect_seconds: float = 2.0, answer_seconds: float = 10.0) -> None:
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._server: tuple[str, str, int] | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._tls: ssl.SSLContext | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body to an address.

        Args:
            url: begins ``http://`` or ``https://``.
            body: bytes as they are sent.
            headers: beside those that HTTP requires.

        Returns:
            The answer, whatever its status. Its content is cut off after `ANSWER_BYTES`.

        Raises:
            OSError: the server cannot be reached, or does not move within the time allowed.
            http.client.HTTPException: the server answered something else than HTTP, or a part of an answer.
            ValueError: the address or a header is not valid.
        """
        server, target = _split(url)
        if server != self._server:
            self.close()
            self._server = server
        if self._connection is not None:
            try:
                answer = self._answer(self._connection, target, body, headers)
            except TimeoutError:
                raise
            except OSError:
                # A server closes kept connections when it is restarted, and after some time without a request.
                pass
            else:
                if answer.status_code != http.HTTPStatus.REQUEST_TIMEOUT:
                    return answer
            self.close()
        self._connection = self._connected(*server)
        return self._answer(self._connection, target, body, headers)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self, scheme: str, host: str, port: int) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        seconds = self._connect_seconds
        if scheme == "https":
            connection = http.client.HTTPSConnection(
                host, port, timeout=seconds, context=self._certificates()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=seconds)
        connection.connect()
        connection.sock.settimeout(self._answer_seconds)
        return connection

    def _certificates(self) -> ssl.SSLContext:
        # Reading the certificates takes longer than all the rest. A connection without encryption needs no certificate.
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls

    def _answer(
        self, connection: http.client.HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        is_kept = False
        try:
            # A server that refuses the body may have answered before it closed the connection.
            with contextlib.suppress(ConnectionError):
                _send(connection, target, body, headers)
                is_kept = True
            with connection.getresponse() as response:
                # With a limit, `read` takes the end of the connection for the end of the body.
                is_short = response.length is not None and response.length <= ANSWER_BYTES
                content = response.read() if is_short else response.read(ANSWER_BYTES)
                is_kept = is_kept and response.isclosed() and not response.will_close
        except BaseException:
            self.close()
            raise
        if not is_kept:
            self.close()
        fields = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, fields, content)


def _send(
    connection: http.client.HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]
) -> None:
    # In pieces: a socket's timeout counts for each call, and a slow line may need longer for all of them.
    pieces = [body[first : first + _PIECE_BYTES] for first in range(0, len(body), _PIECE_BYTES)]
    connection.request("POST", target, pieces, {**headers, "Content-Length": str(len(body))})


def _split(url: str) -> tuple[tuple[str, str, int], str]:
    """Return the scheme, host and port of an address, and the target of a request to it."""
    parts = urlsplit(url)
    host, scheme = parts.hostname, parts.scheme
    if scheme not in _PORTS or not host:
        raise ValueError(
            f"expected an address that begins http:// or https://, received {scheme}://{parts.netloc}"
        )
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    # Encoded as browsers do it. ASCII stays as it is.
    return (scheme, host, parts.port or _PORTS[scheme]), quote(target, safe=string.punctuation + " ")
