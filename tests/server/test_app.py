"""The streamer as a whole: opening, closing, its data folder, and what a restart on the same data keeps."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import sqlite3
import threading
import warnings
from collections.abc import AsyncIterator

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from dashboards.local import Local
from streamer.client.discovery import DataFolderBusy
from streamer.server.app import Streamer, routes
from streamer.server.embedded import embedded
from streamer.server.estimates.past import Past, Said
from streamer.server.estimates.store import Store
from streamer.server.log.tables import LogVersionError
from streamer.settings import Settings
from tests.api_support import FakeBackend, Producer, data_of, error_of, running
from tests.support import NO_CERTIFICATES


def settings(tmp_path, **changes) -> Settings:
    return Settings(data=tmp_path / "data", port=0, **changes)


def own_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("streamer")]


# -- opening and closing -----------------------------------------------------------------------------------------------


async def test_nothing_is_left_when_a_streamer_has_closed(tmp_path):
    tasks = asyncio.all_tasks()
    async with running(tmp_path) as api:
        await api.register()
        async with api.stream("/api/events") as stream:
            await stream.next()
            assert own_threads()
    assert [] == own_threads()
    assert tasks == asyncio.all_tasks()
    async with httpx.AsyncClient(verify=NO_CERTIFICATES, timeout=60) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(api.streamer.url)


async def test_closing_is_done_once_and_needs_no_opening(tmp_path):
    never = Streamer(settings(tmp_path))
    await never.close()
    streamer = Streamer(settings(tmp_path))
    await streamer.open()
    await streamer.close()
    await streamer.close()


async def test_however_many_wait_for_it_a_streamer_opens_once(tmp_path):
    made = []

    def backend(given: Settings) -> FakeBackend:
        made.append(FakeBackend(given))
        return made[-1]

    streamer = Streamer(settings(tmp_path), backend=backend)
    await asyncio.gather(*(streamer.ready() for _ in range(5)))
    assert 1 == len(made)
    await streamer.close()


async def test_a_streamer_notes_where_it_is_and_takes_the_note_away(tmp_path):
    note = tmp_path / "data" / "streamer.json"
    async with running(tmp_path, page="http://127.0.0.1:5006/dashboards") as api:
        expected = {"url": api.streamer.url, "pid": os.getpid(), "page": "http://127.0.0.1:5006/dashboards"}
        assert expected == json.loads(note.read_text())
    assert not note.exists()


async def test_a_port_that_is_taken_is_told_and_leaves_the_folder_free(tmp_path):
    with socket.socket() as taken, warnings.catch_warnings():
        # Tornado leaves the socket that it could not bind to the garbage collector, which is to find it here.
        warnings.simplefilter("ignore", ResourceWarning)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        await refused_port(Settings(data=tmp_path / "data", port=taken.getsockname()[1]))
        gc.collect()
    assert [] == own_threads()
    async with running(tmp_path):
        pass


async def refused_port(given: Settings) -> None:
    """Look at it from a frame of its own, so that nothing holds the exception and its socket afterwards."""
    streamer = Streamer(given)
    with pytest.raises(OSError, match="in use"):
        await streamer.open()
    await streamer.close()


async def test_a_log_of_a_newer_version_is_not_touched(tmp_path):
    async with running(tmp_path):
        pass
    path = tmp_path / "data" / "log.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    streamer = Streamer(settings(tmp_path))
    with pytest.raises(LogVersionError, match="has schema version 99"):
        await streamer.open()
    await streamer.close()
    assert [] == own_threads()


async def test_a_file_that_is_no_log_is_not_touched(tmp_path):
    path = tmp_path / "data" / "log.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"This is somebody's diary, and no database. " * 100)
    streamer = Streamer(settings(tmp_path))
    with pytest.raises(Exception, match="cannot open the log"):
        await streamer.open()
    await streamer.close()
    assert path.read_bytes().startswith(b"This is somebody's diary")


# -- the data folder ---------------------------------------------------------------------------------------------------


async def test_a_second_streamer_on_the_same_data_is_refused_and_told_where_the_first_is(tmp_path):
    async with running(tmp_path) as api:
        second = Streamer(settings(tmp_path))
        with pytest.raises(DataFolderBusy) as refused:
            await second.open()
        await second.close()
        assert f"another streamer at {api.streamer.url} uses {tmp_path / 'data'}" in str(refused.value)
        assert api.streamer.url == refused.value.url
        assert 200 == (await api.http.get("/api/health/ready")).status_code
        assert (tmp_path / "data" / "streamer.json").exists()


async def test_another_folder_is_another_streamer_s(tmp_path):
    async with running(tmp_path / "a") as first, running(tmp_path / "b") as second:
        await first.register()
        assert [] == (await second.http.get("/api/runs")).json()["runs"]
        assert first.streamer.log.epoch != second.streamer.log.epoch


# -- as part of another server -----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def served(streamer: Streamer) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a streamer's routes in an application of somebody else's."""
    server = HTTPServer(Application(routes(streamer)))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, verify=NO_CERTIFICATES, timeout=60) as http:
            yield http
    finally:
        server.stop()
        await streamer.close()
        await server.close_all_connections()


async def test_while_another_streamer_has_the_data_its_routes_say_so_and_then_it_takes_over(tmp_path):
    streamer = Streamer(settings(tmp_path), listen=False, backend=FakeBackend)
    async with running(tmp_path) as api, served(streamer) as http:
        for path in ("/api/runs", "/api/health/ready"):
            refused = error_of(await http.get(path), 503, "log_unavailable")
            assert f"another streamer at {api.streamer.url} uses {tmp_path / 'data'}" in refused["message"]
        assert 200 == (await http.get("/api/health/live")).status_code
        await api.register()
        await api.streamer.close()
        assert 1 == len((await http.get("/api/runs")).json()["runs"])


async def test_the_dashboards_open_it_on_a_free_port_where_theirs_is_taken_and_again_when_it_can_be(
    tmp_path, monkeypatch
):
    embedded.cache_clear()
    local = Local()
    with socket.create_server(("127.0.0.1", 0)) as taken, warnings.catch_warnings():
        # See above: a socket that could not be bound.
        warnings.simplefilter("ignore", ResourceWarning)
        port = taken.getsockname()[1]
        monkeypatch.setenv("STREAMER_PORT", str(port))
        monkeypatch.setenv("STREAMER_DATA", str(tmp_path / "data"))
        async with running(tmp_path):
            assert ("", False) == (await local._open(""), local.is_open)
        try:
            assert ("", True) == (await local._open(""), local.is_open)
            assert not embedded().url.endswith(f":{port}")
        finally:
            await embedded().close()
            embedded.cache_clear()
            gc.collect()


async def test_its_routes_serve_in_any_tornado_application_and_open_it_with_the_first_request(tmp_path):
    async with served(Streamer(settings(tmp_path), listen=False, backend=FakeBackend)) as http:
        assert [] == (await http.get("/api/runs")).json()["runs"]
        answer = (await http.post("/api/runs", json={"title": "x"})).json()
        producer = Producer(http, answer["run"], answer["token"])
        await producer.complete(result=5)
        assert 5 == (await producer.state())["result"]


async def test_a_streamer_without_a_port_listens_nowhere(tmp_path):
    streamer = Streamer(settings(tmp_path), listen=False, backend=FakeBackend)
    await streamer.open()
    assert "" == streamer.url
    assert not (tmp_path / "data" / "streamer.json").exists()
    await streamer.close()


# -- restarts ----------------------------------------------------------------------------------------------------------


async def test_a_restart_keeps_runs_cursors_and_tokens(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register()
        await producer.log("before")
        cursor = (await producer.state())["cursor"]
    async with running(tmp_path) as api:
        again = Producer(api.http, producer.run, producer.token)
        again.seq = producer.seq
        assert cursor == (await again.state())["cursor"]
        async with api.stream(f"{again.path}/events", headers={"Last-Event-ID": cursor}) as stream:
            await again.log("after")
            await again.complete()
            frames = [data_of(frame) for frame in await stream.rest()]
    assert [("log", 4), ("complete", 5)] == [(one["event"], one["seq"]) for one in frames]


async def test_a_producer_s_batch_that_was_stored_but_not_acknowledged_is_stored_once(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register()
        await producer.log("one", "two")
    async with running(tmp_path) as api:
        again = Producer(api.http, producer.run, producer.token)
        assert (
            3
            == (await again.send(*({"event": "log", "message": m} for m in ("one", "two", "three"))))[
                "acknowledged"
            ]
        )
        page = (await api.http.get(f"{again.path}/log")).json()
    assert ["one", "two", "three"] == [one["message"] for one in page["lines"]]


async def test_the_percentage_goes_on_after_a_restart_as_earlier_runs_told_it(tmp_path, monkeypatch):
    # No look computes anything meanwhile.
    monkeypatch.setattr("streamer.server.estimates.live.EVERY_SECONDS", 3600.0)
    async with running(tmp_path) as api:
        producer = await api.register()
        await producer.send({"event": "progress", "done": 0, "total": 100})
    store = Store(tmp_path / "data" / "estimates.sqlite")
    store.put(producer.run, Past("A run", 0.0, said=[Said(1.0, 8.0, 9.0, 10.0, 0.1, runs=3)]))
    store.close()
    async with running(tmp_path) as api:
        again = Producer(api.http, producer.run, producer.token)
        again.seq = producer.seq
        await again.send({"event": "progress", "done": 50, "total": 100})
        state = await again.state()
    assert (10, 50) == (state["progress"], state["overallProgress"])


async def test_queued_runs_wait_again_in_their_order_after_a_restart(tmp_path):
    async with running(tmp_path, max_runs=1) as api:
        await api.handle(await api.start())
        waiting = [await api.start(n=n) for n in (2, 3)]
    async with running(tmp_path, max_runs=1) as api:
        # The first one's process is gone, and so there is a place.
        handle = await api.handle(waiting[0])
        assert 2 == handle.spec.parameters["n"]
        assert 1 == api.streamer.runs.queue_length()
        await Producer(api.http, waiting[0], handle.spec.token).complete()
        handle.end()
        assert 3 == (await api.handle(waiting[1])).spec.parameters["n"]


async def test_a_run_whose_process_ended_meanwhile_has_failed_with_what_it_left(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.started()
        await producer.log("before")
    async with running(tmp_path) as api:
        state = await api.status(producer.run, "failed")
        assert "its process ended while the streamer was away" == state["message"]
        assert "its last words" == state["error"]["traceback"]
        async with api.stream(f"{producer.path}/events?from=start") as stream:
            kinds = [frame.event for frame in await stream.rest()]
        assert ["status", "status", "log", "failed"] == kinds


async def test_a_log_that_was_deleted_between_is_another_log_and_readers_are_told(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register()
        await producer.log("one", "two", "three")
        cursor = (await producer.state())["cursor"]
    for path in (tmp_path / "data").glob("log.sqlite*"):
        path.unlink()
    async with running(tmp_path) as api:
        other = await api.register()
        await other.log(*"abcdefgh")
        headers = {"Last-Event-ID": cursor}
        async with api.stream(f"{other.path}/events", headers=headers) as stream:
            reset, snapshot = await stream.take(2)
        assert ("reset", "snapshot") == (reset.event, snapshot.event)
        assert "the cursor is of another log" == data_of(reset)["reason"]
        assert 404 == (await api.http.get(f"{producer.path}/events", headers=headers)).status_code
