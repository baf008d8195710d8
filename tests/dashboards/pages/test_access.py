"""Pages are served to this machine and to the names that somebody allowed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from dashboards.pages.access import refusal
from streamer.client.pages_address import PagesAddress, served_address
from tests.support import ServerProcess


def served(*options: str, **environment: str) -> PagesAddress:
    address = served_address(["panel", "serve", "dashboards", *options], environment)
    assert address is not None
    return address


def request(host: str, remote: str = "127.0.0.1") -> Any:
    return SimpleNamespace(host=host, remote_ip=remote)


@pytest.mark.parametrize("host", ["localhost:5006", "127.0.0.1:5006", "[::1]:5006", "192.168.1.5:5006", ""])
def test_addresses_and_localhost_are_nobody_elses(host: str) -> None:
    assert "" == refusal(request(host), served())


@pytest.mark.parametrize(
    "host", ["rebound.example:5006", "[::1].evil.example", "localhost.evil.example", "a..b:x"]
)
def test_a_name_has_to_be_allowed(host: str) -> None:
    assert "--allow-websocket-origin" in refusal(request(host), served())
    assert "--allow-websocket-origin" in refusal(
        request(host), served("--allow-websocket-origin=other.example")
    )


@pytest.mark.parametrize(
    "address",
    [
        served("--allow-websocket-origin", "jobs.example:443"),
        served("--allow-websocket-origin=a.example", "--allow-websocket-origin=JOBS.example"),
        served(BOKEH_ALLOW_WS_ORIGIN="a.example,jobs.example:80"),
        served("--allow-websocket-origin=*"),
        served("--address", "jobs.example"),
    ],
)
def test_a_name_that_is_allowed_gets_the_page(address: PagesAddress) -> None:
    assert "" == refusal(request("jobs.example"), address)


def test_another_machine_gets_a_page_only_where_somebody_said_so() -> None:
    assert "own machine" in refusal(request("192.168.1.5:5006", "192.168.1.9"), served())
    told = served("--address", "192.168.1.5", "--allow-websocket-origin", "192.168.1.5:5006")
    assert "" == refusal(request("192.168.1.5:5006", "192.168.1.9"), told)


def test_somebody_elses_application_decides_itself() -> None:
    assert served_address(["my_app.py"]) is None
    assert "" == refusal(request("any.example", "10.0.0.1"), None)
    assert "" == refusal(None, served())


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ([], "http://localhost:5006/dashboards"),
        (["--port", "6000", "--address", "127.0.0.1"], "http://127.0.0.1:6000/dashboards"),
        (["--port=6000", "--prefix", "/jobs/"], "http://localhost:6000/jobs/dashboards"),
        (
            ["--allow-websocket-origin=jobs.example", "--ssl-certfile", "x.pem"],
            "https://jobs.example/dashboards",
        ),
        (["--address", "::1"], "http://[::1]:5006/dashboards"),
        (["--address", "0.0.0.0"], "http://localhost:5006/dashboards"),
    ],
)
def test_the_address_is_read_from_the_command_line(options: list[str], url: str) -> None:
    assert url == served(*options).url


def test_a_free_port_is_not_known() -> None:
    assert served_address(["panel", "serve", "dashboards", "--port", "0"]) is None


@pytest.mark.slow
async def test_a_rebound_page_gets_no_page_and_no_connection_that_starts_anything(tmp_path: Path) -> None:
    with ServerProcess.dashboards(tmp_path) as server:
        rebound = {"Host": f"rebound.example:{server.port}"}
        async with httpx.AsyncClient(timeout=60) as client:
            refused = await client.get(f"{server.url}/dashboards", headers=rebound)
            ours = await client.get(f"{server.url}/dashboards")
        assert ("Not served" in refused.text, "Not served" in ours.text) == (True, False)
        for headers, is_ours in ((rebound, False), ({"Host": f"127.0.0.1:{server.port}"}, True)):
            drawn = await document_of(server, headers)
            assert is_ours == ("Not served" not in drawn)


async def document_of(server: ServerProcess, headers: dict[str, str]) -> str:
    """Return the document of a connection that makes its own session, as a program or a page elsewhere may."""
    # The headers in its token look right; only the request itself tells.
    payload = {"headers": {"Host": "localhost"}, "cookies": {}, "arguments": {}}
    token = generate_jwt_token(generate_session_id(), extra_payload=payload)
    url = f"ws://127.0.0.1:{server.port}/dashboards/ws"
    asked = HTTPRequest(url, headers={**headers, "Origin": f"http://{headers['Host']}"})
    connection = await websocket_connect(asked, subprotocols=["bokeh", token])
    try:
        await read_until(connection, "ACK")
        for part in ({"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}):
            await connection.write_message(json.dumps(part))
        return await read_until(connection, '"roots"')
    finally:
        connection.close()
        while await connection.read_message() is not None:
            pass  # the server answers that it closes, too


async def read_until(connection: WebSocketClientConnection, wanted: str) -> str:
    read = ""
    while wanted not in read:
        message = await connection.read_message()
        assert message is not None, read
        read += str(message)
    return read
