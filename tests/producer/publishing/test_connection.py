"""Requests on one kept connection, against a server of the standard library."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from streamer.producer.publishing.connection import ANSWER_BYTES, Answer, Exchange
from tests.support import free_port, wait_until


class Echo(BaseHTTPRequestHandler):
    """Answers with the body; the path ``/long`` with more than is read, ``/last`` as the last one on its connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/long":
            body = b"x" * (ANSWER_BYTES + 1)
        self.send_response(418 if self.path == "/teapot" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Port", str(self.client_address[1]))
        self.send_header("X-Path", self.path)
        self.send_header("X-Token", self.headers.get("Authorization", ""))
        self.end_headers()
        self.wfile.write(body)
        # Unannounced: as a server does that is restarted.
        self.close_connection = self.close_connection or self.path == "/last"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(port: int = 0) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", port), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with contextlib.closing(Exchange()) as made:
        yield made


def test_requests_share_a_connection_and_their_answers_are_told_apart(exchange: Exchange) -> None:
    with serving() as url:
        first = exchange.post(f"{url}/a", b"one", {"Authorization": "Bearer secret"})
        second = exchange.post(f"{url}/teapot?b=1", b"", {})
        third = exchange.post(f"{url}/teapot", b"three", {})
        exchange.close()
    assert (200, b"one") == (first.status_code, first.content)
    assert "Bearer secret" == first.headers["x-token"]
    assert (200, b"") == (second.status_code, second.content)
    assert (418, b"three") == (third.status_code, third.content)
    assert 1 == len({one.headers["x-port"] for one in (first, second, third)})


def test_a_path_that_is_not_ascii_is_percent_encoded_and_an_encoded_one_stays(exchange: Exchange) -> None:
    with serving() as url:
        answer = exchange.post(f"{url}/läufe/%C3%A4/api?a=ü&b=%20", b"", {})
    assert "/l%C3%A4ufe/%C3%A4/api?a=%C3%BC&b=%20" == answer.headers["x-path"]


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(exchange: Exchange) -> None:
    with serving() as url:
        first = exchange.post(f"{url}/last", b"x", {})
        wait_until(lambda: _is_over(exchange))
        second = exchange.post(f"{url}/a", b"y", {})
        exchange.close()
    assert (b"x", b"y") == (first.content, second.content)


def _is_over(exchange: Exchange) -> bool:
    assert exchange._connection is not None
    try:
        return exchange._connection.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


def test_of_an_answer_that_is_too_long_a_part_is_read_and_its_connection_left(exchange: Exchange) -> None:
    with serving() as url:
        assert ANSWER_BYTES == len(exchange.post(f"{url}/long", b"", {}).content)
        assert b"next" == exchange.post(f"{url}/a", b"next", {}).content
        exchange.close()


def test_a_server_that_is_not_there_is_an_error_of_the_system_and_found_when_it_is(
    exchange: Exchange,
) -> None:
    port = free_port()
    with pytest.raises(OSError, match="refused"):
        exchange.post(f"http://127.0.0.1:{port}/", b"", {})
    with serving(port) as url:
        assert b"there" == exchange.post(f"{url}/", b"there", {}).content
        exchange.close()


def test_an_answer_that_comes_before_the_whole_was_sent_is_read(exchange: Exchange) -> None:
    with _listening() as (listener, url):

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=refuse)
        thread.start()
        answer = exchange.post(url, bytes(20_000_000), {})
        thread.join()
    assert (413, b"{}") == (answer.status_code, answer.content)


@pytest.mark.slow
def test_a_body_may_take_longer_than_a_server_may_say_nothing() -> None:
    body, patience = bytes(20_000_000), 0.5
    with _listening() as (listener, url), contextlib.closing(Exchange(answer_seconds=patience)) as exchange:

        def read_slowly() -> None:
            connection, _ = listener.accept()
            began = time.monotonic()
            with connection, connection.makefile("rb") as file:
                while file.readline() != b"\r\n":
                    pass
                for done in range(0, len(body), 100_000):
                    file.read(100_000)
                    # A line that carries a half in twice as long as nothing may be heard; the system keeps the rest.
                    if done < len(body) // 2:
                        pace.wait(max(began + 4 * patience * done / len(body) - time.monotonic(), 0))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        pace = threading.Event()
        thread = threading.Thread(target=read_slowly)
        thread.start()
        answer = exchange.post(url, body, {})
        thread.join()
    assert (200, b"{}") == (answer.status_code, answer.content)


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        CHUNKED,
        b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
        b"HTTP/1.1 200\r\ncontent-length:2\r\nX: \xff\r\n\r\n{}",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: a\r\nX: b\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_read_however_it_is_written_and_cut_and_its_connection_kept(
    exchange: Exchange, answer: bytes, size: int
) -> None:
    pieces = [answer[first : first + size] for first in range(0, len(answer), size)]
    with _answering([pieces, pieces]) as url:
        assert [(200, b"{}")] * 2 == [_brief(exchange.post(url, b"x", {})) for _ in range(2)]
        exchange.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", (200, b"{}")),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}")),
        (b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", (503, b"{}")),
    ],
)
def test_a_connection_that_an_answer_leaves_in_doubt_is_not_used_again(
    exchange: Exchange, answer: bytes, expected: tuple[int, bytes]
) -> None:
    with _answering([[answer]], [[CHUNKED]]) as url:
        assert expected == _brief(exchange.post(url, b"x", {}))
        assert (200, b"{}") == _brief(exchange.post(url, b"x", {}))
        exchange.close()


def test_a_request_that_met_the_end_of_a_kept_connection_is_made_once_more(exchange: Exchange) -> None:
    late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with _answering([[PLAIN], [late]], [[PLAIN], []], [[PLAIN]]) as url:
        assert [(200, b"{}")] * 3 == [_brief(exchange.post(url, b"x", {})) for _ in range(3)]
        exchange.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "without response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "IncompleteRead"),
        (b"220 mail.example ESMTP\r\n\r\n", "220 mail.example"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "header line"),
    ],
)
def test_what_is_no_whole_answer_is_an_error_and_the_next_request_connects_anew(
    exchange: Exchange, answer: bytes, error: str
) -> None:
    with _answering([[answer]], [[PLAIN]]) as url:
        with pytest.raises((OSError, http.client.HTTPException), match=error):
            exchange.post(url, b"x", {})
        assert (200, b"{}") == _brief(exchange.post(url, b"x", {}))
        exchange.close()


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with _listening() as (_, url), contextlib.closing(Exchange(answer_seconds=0.05)) as exchange:
        with pytest.raises(TimeoutError, match="timed out"):
            exchange.post(url, b"x", {})
        with pytest.raises(TimeoutError, match="timed out"):
            exchange.post(url, bytes(20_000_000), {})


def _brief(answer: Answer) -> tuple[int, bytes]:
    return answer.status_code, answer.content


@contextlib.contextmanager
def _answering(*connections: list[list[bytes]]) -> Iterator[str]:
    """Serve connections one after the other, each with so many answers, written in those pieces."""

    unasked: list[bytes] = []

    def serve() -> None:
        for answers in connections:
            link, _ = listener.accept()
            with link, link.makefile("rb") as file:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
                for pieces in answers:
                    while file.readline() not in (b"\r\n", b""):
                        pass
                    assert b"x" == file.read(1)
                    for piece in pieces:
                        link.sendall(piece)
                link.shutdown(socket.SHUT_WR)
                unasked.append(file.read())

    with _listening() as (listener, url):
        thread = threading.Thread(target=serve)
        thread.start()
        yield url
        thread.join()
    assert [b""] * len(connections) == unasked


@contextlib.contextmanager
def _listening() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("url", ["http://[::1]/", "https://[::1]/"])
def test_an_ipv6_address_without_a_port_is_not_cut(exchange: Exchange, url: str) -> None:
    # Nothing listens there, or nothing may: what counts is that it is the address that was tried.
    with pytest.raises(OSError, match=r"refused|unreachable|assign"):
        exchange.post(url, b"", {})


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer a\r\nX: b"}, {"X\n": ""}, {"X": "\u20ac"}])
def test_a_header_that_would_be_more_than_one_is_refused(exchange: Exchange, headers: dict[str, str]) -> None:
    with serving() as url, pytest.raises(ValueError, match=r"Invalid header|latin-1"):
        exchange.post(url, b"", headers)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "/api", "http:///api", "http://127.0.0.1:port/"])
def test_what_is_no_address_is_refused(exchange: Exchange, url: str) -> None:
    with pytest.raises(ValueError, match=r"address|Port"):
        exchange.post(url, b"", {})
