"""Single requests, the search for the streamer, and the client against the real streamer."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import streamer
from streamer.client.client import (
    ApiError,
    Client,
    Conflict,
    Forbidden,
    NotFound,
    ProtocolError,
    Refused,
    StreamerAway,
    StreamReset,
    Unavailable,
)
from streamer.client.discovery import NOWHERE, Address, find_streamer, read_address, whereabouts
from streamer.model.events import Completed, Entry, PhaseSpec
from streamer.model.reducer import apply, fold
from streamer.model.state import RunState
from streamer.protocol.frames import (
    Snapshot,
    SnapshotOfAll,
)
from streamer.settings import Settings
from tests.api_support import running
from tests.client.scripted import (
    Script,
    ScriptedServer,
    answer,
    frames,
    last,
    seqs,
)
from tests.support import free_port, wait_until_async

# -- single requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused), (401, Forbidden), (403, Forbidden), (404, NotFound), (409, Conflict), (410, NotFound),
        (413, Refused), (415, Refused), (418, ApiError), (422, Refused), (429, Unavailable), (500, Unavailable),
        (503, Unavailable),
    ],
)  # fmt: skip
async def test_errors_are_raised_as_what_they_are(make, status, kind) -> None:
    error = {"code": "some_code", "message": "a sentence", "details": [{"field": "n"}]}
    script = answer({"error": error}, status, **{"Retry-After": "3"})
    async with ScriptedServer(script) as server, make(server) as client:
        with pytest.raises(ApiError) as caught:
            await client.runs()
    assert kind is type(caught.value)
    assert (status, "some_code", "a sentence", [{"field": "n"}], 3.0) == (
        caught.value.status,
        caught.value.code,
        caught.value.message,
        caught.value.details,
        caught.value.retry_after_seconds,
    )


async def test_an_error_of_somebody_else_is_raised_with_what_is_known(make) -> None:
    async with ScriptedServer(Script(b"<h1>Bad Gateway", 502, "text/html")) as server, make(server) as client:
        with pytest.raises(Unavailable, match="502 Said") as caught:
            await client.pipelines()
    assert "" == caught.value.code


async def test_nobody_there_is_said_with_the_address(make) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with make(url) as client:
        with pytest.raises(StreamerAway, match=url):
            await client.runs()


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"runs": 1}', b'{"runs": [{"run": 1}]}'])
async def test_an_answer_that_is_not_a_streamers_is_an_error(make, body) -> None:
    async with ScriptedServer(Script(body)) as server, make(server) as client:
        with pytest.raises(ProtocolError):
            await client.runs()


async def test_an_answer_without_end_is_not_read_to_its_end(make) -> None:
    endless = Script(b" " * 100_000, content_type="application/json", then="hold")
    async with ScriptedServer(endless) as server, make(server, max_answer_bytes=50_000) as client:
        with pytest.raises(ProtocolError, match="50,000"):
            await client.runs()
        await wait_until_async(lambda: server.left == 1)


async def test_a_redirect_that_would_make_another_request_of_a_start_is_an_error(make) -> None:
    away = Script(status=302, headers={"Location": "/elsewhere"})
    async with ScriptedServer(away) as server, make(server) as client:
        with pytest.raises(ProtocolError, match="307 or 308"):
            await client.start("Count", {"n": 1})
        assert 1 == len(server.requests)


async def test_a_redirect_that_keeps_the_request_is_followed_with_its_body(make) -> None:
    away = Script(status=307, headers={"Location": "/elsewhere"})
    async with ScriptedServer(away, answer({"run": "abc"}, 201)) as server, make(server) as client:
        assert "abc" == await client.start("Count", {"path": Path("a/b"), "day": dt.date(2026, 1, 2)})
        assert ("POST", "/elsewhere") == (server.requests[1].method, server.requests[1].target)
        assert {"path": "a/b", "day": "2026-01-02"} == json.loads(server.requests[1].body)


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b", "a b", "é", "x" * 65, "../../metrics", "a?b"])
async def test_what_cannot_be_an_id_is_not_asked_for(make, run_id) -> None:
    async with ScriptedServer() as server, make(server) as client:
        for ask in (client.run, client.log, client.failures, client.cancel):
            with pytest.raises(NotFound):
                await ask(run_id)
        with pytest.raises(NotFound):
            client.entries(run_id)
        assert [] == server.requests


async def test_the_name_of_a_pipeline_cannot_lead_elsewhere(make) -> None:
    async with ScriptedServer(answer({"run": "abc"}, 201)) as server, make(server) as client:
        with pytest.raises(NotFound):
            await client.start("..")
        await client.start("a/../b?c#d é")
        assert "/api/pipelines/a%2F..%2Fb%3Fc%23d%20%C3%A9/runs" == server.requests[0].target


async def test_proxies_of_the_environment_are_not_for_the_streamer(make, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with ScriptedServer(answer({"runs": []})) as server, make(server) as client:
        assert () == (await client.runs()).runs


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:5007", "ftp://host", "http://", "http://host/?a=b", "http://host/#x", "http://[::1"],
)
def test_what_is_no_url_is_refused(url) -> None:
    with pytest.raises(ValueError, match="URL of a streamer"):
        Client(url)


@pytest.mark.parametrize("token", ["a\nb", "é", "a\0"])
def test_what_cannot_be_a_token_is_refused(token) -> None:
    with pytest.raises(ValueError, match="token"):
        Client("http://127.0.0.1:1", token)


# -- finding the streamer ----------------------------------------------------------------------------------------------


def test_the_streamer_is_where_the_settings_say_then_where_it_noted_then_the_default(
    tmp_path, monkeypatch
) -> None:
    local = Settings(data=tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    assert "http://127.0.0.1:5007" == find_streamer(Settings())
    assert "http://127.0.0.1:6007" == find_streamer(Settings(data=tmp_path, port=6007))
    assert "http://127.0.0.1:5007" == find_streamer(Settings(port=0))
    (tmp_path / "streamer.json").write_text('{"url": "http://127.0.0.1:7007/", "pid": 1, "page": "p"}')
    assert Address("http://127.0.0.1:7007/", 1, "p") == read_address(tmp_path)
    assert "http://127.0.0.1:7007" == find_streamer(local)
    assert "https://ops.example" == find_streamer(Settings(data=tmp_path, url="https://ops.example/"))


async def test_a_folder_of_its_own_without_a_streamer_is_no_other_folders(tmp_path) -> None:
    local = Settings(data=tmp_path)
    assert NOWHERE == find_streamer(local) == find_streamer(Settings(data=tmp_path, port=0))
    async with Client(settings=local) as client:
        with pytest.raises(StreamerAway, match=r"no streamer uses the data folder .* \(STREAMER_DATA\)"):
            await client.runs()


def test_the_note_of_a_streamer_that_has_died_is_no_address(tmp_path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "streamer.json").write_text(f'{{"url": "http://127.0.0.1:7007", "pid": {ended.pid}}}')
    assert NOWHERE == find_streamer(Settings(data=tmp_path))
    assert "http://first" == whereabouts(tmp_path, "http://first")()
    # A streamer on another machine has its own numbers.
    (tmp_path / "streamer.json").write_text(f'{{"url": "http://ops:7007", "pid": {ended.pid}}}')
    assert "http://ops:7007" == find_streamer(Settings(data=tmp_path))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"url": 5}', '{"url": "file:///etc"}', "é", '{"url": "' + "x" * 20_000 + '"}']
)
def test_a_note_that_is_none_is_passed_over(tmp_path, text) -> None:
    (tmp_path / "streamer.json").write_bytes(text.encode("latin-1"))
    assert read_address(tmp_path) is None


async def test_a_streamer_that_comes_back_on_another_port_is_found(make, tmp_path) -> None:
    note = tmp_path / "data" / "streamer.json"
    note.parent.mkdir()
    async with ScriptedServer(Script(frames(1))) as first, ScriptedServer(Script(last(2))) as second:
        note.write_text(json.dumps({"url": first.url, "pid": 1}))
        async with make(None) as client:
            stream = client.entries("r1")
            assert 1 == (await anext(stream)).seq
            note.write_text(json.dumps({"url": second.url, "pid": 1}))
            await first.__aexit__()
            assert [2] == await seqs(stream)
            assert second.url == client.url


def test_the_package_gives_the_client() -> None:
    assert Client is streamer.Client


# -- the real streamer -------------------------------------------------------------------------------------------------


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as api:
        yield api


@pytest.fixture
async def client(api) -> AsyncIterator[Client]:
    async with Client(api.streamer.url) as client:
        yield client


async def test_it_lists_pipelines(api, client) -> None:
    offers = {offer.name: offer for offer in (await client.pipelines()).pipelines}
    assert "Do nothing, with parameters of several types." == offers["Plain"].doc
    assert (PhaseSpec("first", 3.0), PhaseSpec("second", 1.0)) == offers["Plain"].phases
    assert 1000 == offers["Plain"].schema["properties"]["n"]["maximum"]


async def test_it_starts_a_run_and_cancels_it(api, client) -> None:
    run = await client.start("Plain", {"n": 7}, owner="somebody")
    state = (await client.run(run)).state
    assert ("Plain", 7, "somebody") == (state.pipeline, state.parameters["n"], state.owner)
    await api.handle(run)
    assert "cancelling" == await client.cancel(run, by="me")
    assert "cancel asked by me" in (await client.run(run)).state.message


async def test_what_parameters_do_not_take_is_said_by_field(api, client) -> None:
    with pytest.raises(Refused) as caught:
        await client.start("Plain", {"n": 0})
    assert 422 == caught.value.status
    assert "n" == caught.value.details[0]["field"]


async def test_what_does_not_exist_is_not_found(api, client) -> None:
    for ask in (client.run("nothing"), client.start("Nothing"), seqs(client.entries("nothing"))):
        with pytest.raises(NotFound):
            await ask


async def test_a_registered_run_is_reported_and_read_back(api, client) -> None:
    created = await client.register("By hand", phases=[PhaseSpec("a", 2.0)], parameters={"x": 1})
    producer = type(await api.register())(api.http, created.run, created.token)
    await producer.send({"event": "progress", "phase": "a", "done": 1, "total": 2})
    await producer.log("one", "two: grüße", level="WARNING")
    await producer.send({"event": "failure", "item": "i", "error": {"type": "ValueError", "message": "no"}})
    await producer.complete(result={"n": 2})
    entries = [entry async for entry in client.entries(created.run)]
    assert list(range(1, len(entries) + 1)) == [entry.seq for entry in entries]
    assert isinstance(entries[-1].event, Completed)
    snapshot = await client.run(created.run)
    assert fold(RunState(run=created.run), entries) == snapshot.state
    with pytest.raises(Conflict):
        await client.cancel(created.run)


async def test_log_lines_come_in_pages(api, client) -> None:
    producer = await api.register()
    await producer.log(*(f"line {number}" for number in range(1, 11)))
    newest = await client.log(producer.run, limit=3)
    assert ["line 8", "line 9", "line 10"] == [line.event.message for line in newest.lines]
    assert 10 == newest.total
    older = await client.log(producer.run, before=newest.older, limit=3)
    assert ["line 5", "line 6", "line 7"] == [line.event.message for line in older.lines]
    newer = await client.log(producer.run, after=older.newer, limit=2)
    assert ["line 8", "line 9"] == [line.event.message for line in newer.lines]
    found = await client.log(producer.run, search="LINE 10", level="INFO")
    assert ["line 10"] == [line.event.message for line in found.lines]
    with pytest.raises(Refused, match="level"):
        await client.log(producer.run, level="LOUD")


async def test_failed_items_come_in_pages(api, client) -> None:
    producer = await api.register()
    error = {"type": "ValueError", "message": "no", "traceback": "…"}
    await producer.send(*({"event": "failure", "item": f"i{n}", "error": error} for n in range(5)))
    first = await client.failures(producer.run, limit=3)
    rest = await client.failures(producer.run, after=first.next)
    assert ["i0", "i1", "i2"] == [entry.event.item for entry in first.failures]
    assert ["i3", "i4"] == [entry.event.item for entry in rest.failures]
    assert (5, None) == (rest.total, rest.next)


async def test_runs_come_newest_first_in_pages(api, client) -> None:
    runs = [(await client.register(f"Nightly number-{number}")).run for number in range(5)]
    first = await client.runs(limit=3)
    rest = await client.runs(limit=3, before=first.next)
    assert runs[::-1] == [run.run for run in (*first.runs, *rest.runs)]
    assert 5 == sum(first.counts.values())
    assert [] == [run.run for run in (await client.runs(status=["complete", "failed"])).runs]
    assert [runs[3]] == [
        run.run for run in (await client.runs(search="number-3 nightly", status="queued")).runs
    ]


async def test_following_a_run_folds_to_what_the_streamer_knows(api, client) -> None:
    producer = await api.register(phases=[{"name": "a", "weight": 1}])
    await producer.log("before")
    stream = client.follow(producer.run)
    first = await anext(stream)
    assert isinstance(first, Snapshot)
    await producer.send(*({"event": "progress", "phase": "a", "done": n, "total": 9} for n in range(10)))
    await producer.complete()
    state = first.state
    async for message in stream:
        assert isinstance(message, Entry)
        state = apply(state, message)
    assert (await client.run(producer.run)).state == state


async def test_following_all_runs_tells_of_new_ones(api, client) -> None:
    async with client.follow() as stream:
        first = await anext(stream)
        assert isinstance(first, SnapshotOfAll)
        assert () == first.states
        run = await client.start("Plain")
        message = await anext(stream)
        assert isinstance(message, Entry)
        assert run == message.run_id


async def test_the_end_of_a_finished_run_is_the_end(api, client) -> None:
    producer = await api.register()
    await producer.complete()
    cursor = (await client.run(producer.run)).cursor
    assert [] == await seqs(client.entries(producer.run, cursor=cursor))
    assert [] == await seqs(client.entries(producer.run, from_start=False))


async def test_a_cursor_of_another_log_is_a_reset(api, client) -> None:
    producer = await api.register()
    kinds = []
    async for message in client.follow(producer.run, "another-3"):
        kinds.append(type(message).__name__)
        if len(kinds) == 2:
            break
    assert ["Reset", "Snapshot"] == kinds
    with pytest.raises(StreamReset):
        await seqs(client.entries(producer.run, cursor="another-3"))


async def test_leaving_a_stream_leaves_no_subscriber_behind(api, client) -> None:
    producer = await api.register()
    await producer.log("one")
    assert [1] == await seqs(client.entries(producer.run), most=1)
    await api.until(lambda: api.streamer.hub.subscribers == 0)


async def test_a_streamer_with_a_token_asks_for_it(tmp_path) -> None:
    async with running(tmp_path, token="secret") as api:
        async with Client(api.streamer.url) as stranger:
            with pytest.raises(Forbidden):
                await stranger.runs()
            with pytest.raises(Forbidden):
                await seqs(stranger.entries())
        async with Client(api.streamer.url, "secret") as operator:
            assert () == (await operator.runs()).runs


async def test_estimates_and_history_come_as_they_were_said(api):
    producer = await api.register(pipeline="Import")
    await producer.send({"event": "progress", "done": 50, "total": 100})
    await api.streamer.estimates.look()
    async with Client(api.streamer.url) as client:
        (said,) = await client.estimates(producer.run)
        state = (await client.run(producer.run)).state
        assert said.time == pytest.approx(state.estimate.time, abs=0.01)
        assert [] == await client.history(pipeline="Import")
        await producer.complete()
        (earlier,) = await client.history(pipeline="Import", limit=5)
        assert (producer.run, "complete") == (earlier["run"], earlier["outcome"])
        with pytest.raises(NotFound):
            await client.estimates("nobody")
