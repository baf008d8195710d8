"""What the streamer writes about itself: a line a request, as text or JSON, and never a token."""

from __future__ import annotations

import json
import logging
from urllib.parse import quote

import httpx
import pytest

from streamer.server.request_log import JsonFormatter, Request, TextFormatter, scrubbed
from tests.api_support import running
from tests.support import ServerProcess, wait_until

SECRET = "an-operators-secret"
NESTED = f"https://ops.example/go?to={quote(f'/api/runs?token={SECRET}&level=info', safe='')}"


@pytest.mark.parametrize(
    "text",
    [
        f"/api/runs?token={SECRET}",
        f"/api/runs?a=b&token={SECRET}&c=d",
        f"/api/runs?a=b;token={SECRET}",
        f"/api/runs?TOKEN={SECRET}",
        f"/api/runs?token=a%26b\"c'd;e#f,{SECRET}&g=h",
        f"Bearer a&b\"c'd;e#f,{SECRET}",
        f"/api/runs?t%6fken={SECRET}",
        f"/api/runs?%74%4F%6b%65%6E={SECRET}",
        f"/api/runs?token%3D{SECRET}",
        f"/api/runs?t%256Fken%253d{SECRET}",
        f"/api/runs?token={SECRET}#token={SECRET}",
        NESTED,
        quote(NESTED, safe=""),
        f"GET /api/events?token={SECRET} HTTP/1.1",
        f"Authorization: Bearer {SECRET}",
        f"{{'authorization': 'bearer {SECRET}'}}",
        f"Authorization: Basic {SECRET}",
    ],
)
def test_what_follows_the_word_token_or_bearer_is_taken_out(text):
    assert SECRET not in scrubbed(text)
    assert "…" in scrubbed(text)


def test_the_rest_of_a_url_stays():
    assert "/api/runs?a=b&token=…&status=failed" == scrubbed(f"/api/runs?a=b&token={SECRET}&status=failed")


def test_what_somebody_sends_stays_on_one_line_and_within_bounds():
    headers = {"User-Agent": "a\r\nforged line \x1b[31m", "Referer": "x" * 10_000}
    request = Request.of("GET", "/api/\u2028", "127.0.0.1", headers)
    assert "a\\r\\nforged line \\x1b[31m" == request.agent
    assert "/api/\\u2028" == request.uri
    assert 500 == len(request.referer)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=lambda one: type(one).__name__)
def test_a_traceback_loses_its_tokens_too(formatter):
    error = RuntimeError(f"could not ask https://ops.example/?token={SECRET}")
    record = logging.LogRecord("streamer", logging.ERROR, "", 1, "failed", None, (type(error), error, None))
    written = formatter.format(record)
    assert "RuntimeError: could not ask https://ops.example/?token=" in written
    assert SECRET not in written


async def test_a_request_that_is_refused_is_written_with_its_status(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with running(tmp_path) as api:
        await api.http.get("/api/runs?limit=x", headers={"Host": "evil.example"})
    (record,) = [one for one in caplog.records if one.name == "streamer.access"]
    assert record.getMessage().startswith("GET /api/runs?limit=x 403 ")


@pytest.mark.slow
def test_a_server_writes_a_json_line_for_each_request_and_each_stream_and_no_token(tmp_path):
    environment = {
        "STREAMER_TOKEN": SECRET,
        "STREAMER_LOG_FORMAT": "json",
        "STREAMER_LOG_LEVEL": "info",
    }
    with ServerProcess.streamer(tmp_path, environment=environment) as server:
        headers = {"Authorization": f"Bearer {SECRET}", "Referer": NESTED, "User-Agent": "test"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
            run = http.post("/api/runs", json={"title": "x"}).json()
            for uri in (
                f"/api/runs?t%6Fken={SECRET}",
                f"/api/nonsense?token={run['token']}",
                "/api/runs?limit=x",
            ):
                http.get(uri)
            path = f"/api/runs/{run['run']}/events?token={SECRET}"
            with http.stream("GET", path) as left:
                next(left.iter_raw())
            with http.stream("GET", path) as stream:
                ingest = {"Authorization": f"Bearer {run['token']}"}
                http.post(path.partition("?")[0], content=b'{"seq": 1, "event": "complete"}', headers=ingest)
                received = len(stream.read())
        ended = wait_until(
            lambda: [one for one in lines(server) if one.get("end") == "run over"],
            message="its line is written",
        )
        assert received < ended[0]["bytes"]
        assert (SECRET in server.output(10**6), run["token"] in server.output(10**6)) == (False, False)
    requests = [one for one in lines(server) if one["logger"] == "streamer.access" and one["agent"] == "test"]
    assert ["POST 201", "GET 200", "GET 404", "GET 400"] == [
        f"{one['method']} {one['status']}" for one in requests[:4]
    ]
    assert {"reader left", "run over"} == {one["end"] for one in requests if "end" in one}
    assert {"time", "level", "logger", "message", "method", "uri", "status", "seconds", "bytes"} < set(
        requests[0]
    )
    assert "…" in requests[0]["referer"]


def lines(server):
    """Return the JSON lines that a server has written."""
    return [json.loads(line) for line in server.output(10**6).splitlines() if line.startswith("{")]
