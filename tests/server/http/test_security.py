"""Safety from outside: who may ask, from where, with which token, and what a malformed request can do."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys

import pytest

from streamer.server.http.host_check import check_host
from streamer.settings import Settings
from tests.api_support import JSON, Api, error_of, running
from tests.support import ROOT

TOKEN = "an-operators-secret"


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path, allowed_origins=("https://ops.example",)) as api:
        yield api


@pytest.fixture
async def guarded(tmp_path):
    """A streamer that asks for a token; `guarded.http` sends none."""
    async with running(tmp_path, token=TOKEN) as api:
        del api.http.headers["Authorization"]
        yield api


async def started(api: Api) -> int:
    """How many runs there are."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return len((await api.http.get("/api/runs", headers=headers)).json()["runs"])


# -- Host --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5007", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:5007"]
)
async def test_this_machine_s_names_are_answered(api, host):
    assert 200 == (await api.http.get("/api/runs", headers={"Host": host})).status_code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:5007",
        "127.0.0.1.evil.example",
        "localhost.",
        "0.0.0.0",
        "169.254.169.254",
        "[::]",
        "[",
        "[::1",
        "]",
        "",
        "evil.example:80:80",
    ],
)
async def test_a_page_that_was_rebound_to_this_machine_is_refused(api, host):
    for method in ("GET", "POST"):
        answer = await api.http.request(method, "/api/runs", headers={"Host": host})
        assert "Host" == error_of(answer, 403, "host_refused")["details"]["field"]
    assert 0 == await started(api)


async def test_every_address_of_the_api_looks_at_the_host(api):
    document = (await api.http.get("/api/openapi.json")).json()
    paths = [path.format(run_id="x", name="Plain") for path in document["paths"]]
    answers = [await api.http.get(path, headers={"Host": "evil.example"}) for path in (*paths, "/nonsense")]
    assert {403} == {answer.status_code for answer in answers}


async def test_further_names_are_a_setting_in_any_case(tmp_path):
    async with running(tmp_path, allowed_hosts=("Jobs.Example",)) as api:
        answers = [
            await api.http.get("/api/runs", headers={"Host": h}) for h in ("jobs.example", "JOBS.example:80")
        ]
        assert [200, 200] == [answer.status_code for answer in answers]
        error_of(await api.http.get("/api/runs", headers={"Host": "evil.example"}), 403, "host_refused")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /api/runs HTTP/1.1\r\n\r\n",
        b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /api/runs HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /api/runs HTTP/1.1\r\nHost: me@localhost\r\n\r\n",
        b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=lambda request: repr(request[:60]),
)
async def test_what_is_no_request_is_refused_and_the_streamer_goes_on(api, request_):
    async with await api.raw(request_) as raw:
        answer = await raw.all()
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""
    assert 200 == (await api.http.get("/api/health/live")).status_code
    assert 0 == await started(api)


async def test_without_a_token_only_this_machine_is_answered():
    class Request:
        host = "localhost"
        remote_ip = "192.0.2.7"

    with pytest.raises(Exception, match="without STREAMER_TOKEN only this machine"):
        check_host(Request, Settings())


# -- Origin ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://[",
        "http://localhost:1",
        "http://127.0.0.1",
        "file://",
        "https://ops.example.evil.example",
        "https://ops.example:8443",
        "http://ops.example",
        "chrome-extension://abc",
    ],
)
async def test_a_page_of_another_site_starts_and_reads_nothing(api, origin):
    for method, path in (
        ("POST", "/api/pipelines/Plain/runs"),
        ("POST", "/api/runs"),
        ("GET", "/api/runs"),
        ("GET", "/api/events"),
    ):
        answer = await api.http.request(method, path, headers={"Origin": origin})
        error_of(answer, 403, "origin_refused")
        assert "access-control-allow-origin" not in answer.headers
    assert 0 == await started(api)


async def test_a_page_of_the_streamer_s_own_address_may_call_it(api):
    answer = await api.http.post("/api/pipelines/Plain/runs", headers={"Origin": api.streamer.url})
    assert 201 == answer.status_code


@pytest.mark.parametrize("path", ["/api/runs", "/api/runs/none", "/api/nonsense", "/api/runs?limit=x"])
async def test_a_page_of_an_allowed_origin_may_read_answers_and_errors(api, path):
    answer = await api.http.get(path, headers={"Origin": "https://ops.example"})
    assert answer.status_code in (200, 400, 404)
    assert "https://ops.example" == answer.headers["access-control-allow-origin"]
    assert "Origin" == answer.headers["vary"]


async def test_a_page_of_an_allowed_origin_may_read_streams(api):
    async with api.stream("/api/events", headers={"Origin": "https://ops.example"}) as stream:
        assert "https://ops.example" == stream.headers["access-control-allow-origin"]


async def test_a_browser_is_told_what_a_page_of_an_allowed_origin_may_do(api):
    headers = {"Origin": "https://ops.example", "Access-Control-Request-Method": "POST"}
    answer = await api.http.options("/api/pipelines/Plain/runs", headers=headers)
    assert (204, b"") == (answer.status_code, answer.content)
    assert "https://ops.example" == answer.headers["access-control-allow-origin"]
    assert "GET, POST" == answer.headers["access-control-allow-methods"]
    assert {"Authorization", "Content-Type", "Last-Event-ID"} == set(
        answer.headers["access-control-allow-headers"].split(", ")
    )
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_browser_is_told_nothing_for_other_origins(api):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    error_of(await api.http.options("/api/runs", headers=headers), 403, "origin_refused")


async def test_without_allowed_origins_no_page_of_another_site_is_answered(tmp_path):
    async with running(tmp_path) as api:
        answer = await api.http.get("/api/runs", headers={"Origin": "https://ops.example"})
        error_of(answer, 403, "origin_refused")


# -- tickets -----------------------------------------------------------------------------------------------------------


async def test_a_page_of_any_site_cancels_with_the_ticket_of_the_run(api):
    run = (await api.http.post("/api/pipelines/Plain/runs")).json()["run"]
    ticket = (await api.http.post(f"/api/runs/{run}/ticket")).json()["ticket"]
    headers = {"Origin": "http://localhost:8888", "Authorization": f"Bearer {ticket}"}
    answer = await api.http.post(f"/api/runs/{run}/cancel", headers=headers)
    assert (202, "*") == (answer.status_code, answer.headers["access-control-allow-origin"])


@pytest.mark.parametrize("offered", ["none", "é", "ticket of another run"])
async def test_without_the_ticket_of_this_very_run_no_page_cancels_it(api, offered):
    run, other = [(await api.http.post("/api/pipelines/Plain/runs")).json()["run"] for _ in range(2)]
    if offered == "ticket of another run":
        offered = (await api.http.post(f"/api/runs/{other}/ticket")).json()["ticket"]
    headers = {"Origin": "http://localhost:8888", "Authorization": f"Bearer {offered}".encode()}
    answer = await api.http.post(f"/api/runs/{run}/cancel", headers=headers)
    error_of(answer, 403, "origin_refused")
    assert "access-control-allow-origin" not in answer.headers
    assert "cancelling" != (await api.http.get(f"/api/runs/{run}")).json()["status"]


async def test_a_ticket_opens_nothing_but_cancel(api):
    run = (await api.http.post("/api/pipelines/Plain/runs")).json()["run"]
    ticket = (await api.http.post(f"/api/runs/{run}/ticket")).json()["ticket"]
    headers = {"Origin": "http://localhost:8888", "Authorization": f"Bearer {ticket}"}
    for method, path in (
        ("GET", f"/api/runs/{run}"),
        ("POST", f"/api/runs/{run}/ticket"),
        ("GET", f"/api/runs/{run}/events"),
        ("POST", "/api/pipelines/Plain/runs"),
    ):
        error_of(await api.http.request(method, path, headers=headers), 403, "origin_refused")


async def test_a_page_of_another_site_is_given_no_ticket(api):
    run = (await api.http.post("/api/pipelines/Plain/runs")).json()["run"]
    headers = {"Origin": "http://localhost:8888"}
    error_of(await api.http.post(f"/api/runs/{run}/ticket", headers=headers), 403, "origin_refused")


async def test_a_ticket_takes_the_place_of_the_operators_token_which_alone_gets_one(guarded):
    token = {"Authorization": f"Bearer {TOKEN}"}
    run = (await guarded.http.post("/api/pipelines/Plain/runs", headers=token)).json()["run"]
    error_of(await guarded.http.post(f"/api/runs/{run}/ticket"), 401, "unauthorized")
    ticket = (await guarded.http.post(f"/api/runs/{run}/ticket", headers=token)).json()["ticket"]
    error_of(await guarded.http.post(f"/api/runs/{run}/cancel"), 401, "unauthorized")
    error_of(await guarded.http.post(f"/api/runs/{run}/cancel?token={ticket}"), 401, "unauthorized")
    headers = {"Authorization": f"Bearer {ticket}"}
    assert 202 == (await guarded.http.post(f"/api/runs/{run}/cancel", headers=headers)).status_code


async def test_a_browser_is_told_that_cancel_may_be_asked_for_with_a_ticket(api):
    headers = {"Origin": "http://localhost:8888", "Access-Control-Request-Method": "POST"}
    answer = await api.http.options("/api/runs/some/cancel", headers=headers)
    assert (204, "*") == (answer.status_code, answer.headers["access-control-allow-origin"])
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


# -- the operators' token ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/runs", "/api/pipelines", "/api/events", "/metrics", "/api/openapi.json", "/x"]
)
async def test_when_a_token_is_set_every_request_must_carry_it(guarded, path):
    answer = await guarded.http.get(path)
    error_of(answer, 401, "unauthorized")
    assert "Bearer" == answer.headers["www-authenticate"]


async def test_health_is_for_everybody(guarded):
    answers = [await guarded.http.get(f"/api/health/{what}") for what in ("live", "ready")]
    assert [200, 200] == [answer.status_code for answer in answers]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_may_come_in_the_header(guarded, scheme):
    answer = await guarded.http.get("/api/runs", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert 200 == answer.status_code


async def test_the_token_may_come_in_the_query_as_event_sources_send_it(guarded):
    assert 200 == (await guarded.http.get(f"/api/runs?token={TOKEN}")).status_code


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer " + "x" * 10_000,
        "Bearer \xe4",
    ],
    ids=lambda header: header[:20],
)
async def test_a_token_that_is_not_the_one_is_refused(guarded, header):
    answer = await guarded.http.get("/api/runs", headers={"Authorization": header.encode("latin-1")})
    error_of(answer, 401, "unauthorized")


@pytest.mark.parametrize("query", ["token=wrong", "token=", "token=%00", f"Token={TOKEN}"])
async def test_a_token_in_the_query_that_is_not_the_one_is_refused(guarded, query):
    error_of(await guarded.http.get(f"/api/runs?{query}"), 401, "unauthorized")


async def test_nothing_is_started_without_the_token(guarded):
    error_of(await guarded.http.post("/api/pipelines/Plain/runs"), 401, "unauthorized")
    error_of(await guarded.http.post("/api/runs", json={"title": "x"}), 401, "unauthorized")
    assert 0 == await started(guarded)


async def test_a_right_token_does_not_let_a_page_of_another_site_in(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.example"}
    error_of(await guarded.http.get("/api/runs", headers=headers), 403, "origin_refused")


async def test_the_token_never_shows_in_what_is_logged(guarded, caplog):
    caplog.set_level(logging.DEBUG)
    queries = (f"token={TOKEN}", f"a=b&token={TOKEN}&c=d", f"TOKEN={TOKEN}", f"limit=x&token={TOKEN}")
    for query in queries:
        await guarded.http.get(f"/api/runs?{query}")
    own = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert len([message for message in own if "token=…" in message.lower()]) == len(queries)
    assert not [message for message in own if TOKEN in message]


async def test_the_token_is_in_no_answer_and_no_file(guarded):
    answers = [
        await guarded.http.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
        for path in ("/api/runs", "/api/openapi.json", "/metrics", "/api/pipelines", "/api/nonsense")
    ]
    assert not [answer for answer in answers if TOKEN in answer.text]
    files = [path for path in guarded.streamer.settings.data.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


# -- listening ---------------------------------------------------------------------------------------------------------


def serve(tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STREAMER_DATA": str(tmp_path), "STREAMER_PORT": "0", **environment}
    command = [sys.executable, "-m", "streamer", "serve"]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com", ""])
def test_another_address_than_this_machine_s_is_refused_without_a_token(host):
    if host:
        with pytest.raises(
            ValueError, match=r"STREAMER_HOST: refusing to listen on .* without STREAMER_TOKEN"
        ):
            Settings(host=host)
    else:
        assert "127.0.0.1" == Settings.from_environment({"STREAMER_HOST": host}).host


@pytest.mark.slow
def test_streamer_serve_says_so_in_a_sentence_and_exits_with_2(tmp_path):
    done = serve(tmp_path, STREAMER_HOST="0.0.0.0")
    assert 2 == done.returncode
    assert "STREAMER_HOST: refusing to listen on '0.0.0.0' without STREAMER_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
    assert [] == list(tmp_path.iterdir())


async def test_with_a_token_another_address_may_be_listened_on_and_every_name_is_answered(tmp_path):
    async with running(tmp_path, host="0.0.0.0", token=TOKEN) as api:
        assert api.streamer.url.startswith("http://127.0.0.1:")
        answer = await api.http.get("/api/runs", headers={"Host": "jobs.example"})
        assert 200 == answer.status_code
        del api.http.headers["Authorization"]
        error_of(await api.http.get("/api/runs"), 401, "unauthorized")


async def test_with_allowed_hosts_only_those_names_are_answered_on_another_address(tmp_path):
    async with running(tmp_path, host="0.0.0.0", token=TOKEN, allowed_hosts=("jobs.example",)) as api:
        assert 200 == (await api.http.get("/api/runs", headers={"Host": "jobs.example"})).status_code
        error_of(await api.http.get("/api/runs", headers={"Host": "evil.example"}), 403, "host_refused")


# -- sizes -------------------------------------------------------------------------------------------------------------


async def test_headers_that_are_too_large_end_the_connection_and_nothing_else(api):
    async with await api.raw(b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000) as raw:
        assert b"200" not in await raw.all()
    assert 200 == (await api.http.get("/api/health/live")).status_code


async def test_a_body_that_is_announced_as_larger_than_anybody_waits_for_is_refused_at_once(api):
    head = "POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with await api.raw(f"{head}Content-Length: 999999999999\r\n\r\n{{") as raw:
        answer = await raw.all()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in answer
    assert b"Connection: close" in answer


async def test_a_body_in_chunks_is_bounded_as_any_other(api):
    head = "POST /api/runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    async with await api.raw(head.encode() + chunk * 20 + b"0\r\n\r\n") as raw:
        assert b'"code":"too_large"' in await raw.until(b"}}")


@pytest.mark.slow
async def test_a_body_in_chunks_without_an_end_is_refused_while_it_comes_and_leaves_nothing_behind(api):
    before = len(asyncio.all_tasks())
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    async with await api.raw(
        "POST /api/runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    ) as raw:
        for _ in range(65):
            raw.writer.write(chunk)
            await raw.writer.drain()
        answer = await raw.until(b"}}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in answer
    await api.until(lambda: len(asyncio.all_tasks()) <= before)
    assert 0 == await started(api)


async def test_an_address_that_is_none_does_not_end_the_connection(api):
    request = b"GET /api/nonsense HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with await api.raw(request) as raw:
        first = await raw.until(b"}}")
        raw.bytes = b""
        raw.writer.write(request)
        assert (await raw.until(b"}}")).startswith(b"HTTP/1.1 404 ")
    assert b"Connection: close" not in first


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {}])
async def test_what_is_refused_before_it_is_read_says_that_the_connection_ends(guarded, headers):
    answer = await guarded.http.get("/api/runs", headers=headers)
    assert answer.status_code in (401, 403)
    assert "close" == answer.headers["connection"]


async def test_requests_whose_body_never_comes_leave_nothing_behind(api):
    before = len(asyncio.all_tasks())
    head = "HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    for path in ("/api/runs", "/api/pipelines/Plain/runs", "/api/runs/x/cancel", "/api/runs/x/events"):
        async with await api.raw(f"POST {path} {head}"):
            await api.until(lambda: len(asyncio.all_tasks()) > before)
        await api.until(lambda: len(asyncio.all_tasks()) <= before)
    assert 0 == await started(api)


async def test_a_packed_body_is_not_unpacked(api):
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = await api.http.post("/api/runs", content=b"\x1f\x8b\x08\x00", headers=headers)
    error_of(answer, 400, "not_json")


@pytest.mark.parametrize(
    "target",
    [
        "/api/runs/../../etc/passwd",
        "/api/runs/..%2f..%2fetc%2fpasswd",
        "//evil.example/api/runs",
        "http://evil.example/api/runs",
        "/api/runs/%00%0d%0aSet-Cookie:%20a=b",
        "/api/pipelines/../runs",
        "/api/runs/x;rm%20-rf",
        "*",
    ],
)
async def test_a_path_that_leads_elsewhere_leads_nowhere(api, target):
    async with await api.raw(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n") as raw:
        answer = await raw.until(b"}}")
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
    assert b"\r\nSet-Cookie" not in answer


async def test_an_error_repeats_no_more_than_a_little_of_what_was_sent(api):
    answer = await api.http.post("/api/pipelines/" + "a" * 20_000 + "/runs")
    assert len(answer.content) < 1000
    answer = await api.http.post("/api/pipelines/Plain/runs", json={"x" * 100_000: "y" * 100_000})
    assert len(answer.content) < 3000


async def test_errors_show_no_internals(api, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("/home/ada/secret.py")

    monkeypatch.setattr(api.streamer.runs, "state", broken)
    answer = await api.http.get("/api/runs/x")
    assert 500 == answer.status_code
    assert {"error": {"code": "failed", "message": "Internal Server Error", "details": None}} == answer.json()


@pytest.mark.parametrize(
    "path", ["/api/runs", "/api/nothing", "/api/health/live", "/api/pipelines/none/runs"]
)
async def test_every_answer_says_that_it_is_no_page_and_is_shown_in_no_frame(api, path):
    headers = (await api.http.get(path)).headers
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "same-origin" == headers["Referrer-Policy"]
