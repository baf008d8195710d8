"""Requests on one kept connection, against a server of the standard library."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from streamer.exchange import ANSWER_BYTES, Exchange
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
    assert 1 == len({one.headers["X-Port"] for one in (first, second, third)})


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(exchange: Exchange) -> None:
    with serving() as url:
        first = exchange.post(f"{url}/last", b"x", {})
        wait_until(exchange._is_over)
        second = exchange.post(f"{url}/a", b"y", {})
        exchange.close()
    assert (b"x", b"y") == (first.content, second.content)


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


@contextlib.contextmanager
def _listening() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("url", ["http://[::1]/", "https://[::1]/"])
def test_an_ipv6_address_without_a_port_is_not_cut(exchange: Exchange, url: str) -> None:
    # Nothing listens there, or nothing may: what counts is that it is the address that was tried.
    with pytest.raises(OSError, match=r"refused|unreachable|assign"):
        exchange.post(url, b"", {})


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "/api", "http:///api", "http://127.0.0.1:port/"])
def test_what_is_no_address_is_refused(exchange: Exchange, url: str) -> None:
    with pytest.raises(ValueError, match=r"address|Port"):
        exchange.post(url, b"", {})
