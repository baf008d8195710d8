"""The links of `dashboards.data`: models kept up to date by a real streamer, and what viewers ask for carried out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dashboards.data.place import LoopPlace
from dashboards.data.run_link import RunLink
from dashboards.data.runs_link import RunsLink
from dashboards.data.start_link import StartLink
from dashboards.data.streamers import close_all, live
from dashboards.session import PAGE_FAILURES, WINDOW_LINES, RunModel, RunsModel, StartModel
from streamer.client.client import LinesPage, RunsPage
from streamer.server.log.sqlite import SqliteLog
from tests.api_support import Api, Producer, running
from tests.support import wait_until_async

pytestmark = pytest.mark.slow


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as streamer:
        yield streamer
        feed = live(streamer.streamer.url).feed
        assert feed.subscribers == 0
        await close_all()
        # The feed's one connection is gone with it.
        await wait_until_async(lambda: streamer.streamer.hub.subscribers == 0)


@pytest.fixture
async def open_run(api: Api) -> AsyncIterator[Callable[..., RunModel]]:
    """Open the model of a run's page."""
    models = []

    def open_run(run_id: str, **params: Any) -> RunModel:
        model = RunModel(run_id=run_id, connection="connecting", **params)
        models.append(model)
        RunLink(model, live(api.streamer.url), LoopPlace(), by="ana")
        return model

    yield open_run
    for model in models:
        model.close()


@pytest.fixture
async def open_runs(api: Api) -> AsyncIterator[Callable[..., RunsModel]]:
    """Open the model of the list of runs."""
    models = []

    def open_runs(**params: Any) -> RunsModel:
        model = RunsModel(connection="connecting", **params)
        models.append(model)
        RunsLink(model, live(api.streamer.url), LoopPlace())
        return model

    yield open_runs
    for model in models:
        model.close()


def messages(model: RunModel) -> list[str]:
    return [line.message for line in model.log.lines]


async def lines(producer: Producer, first: int, last: int, level: str = "INFO") -> None:
    for start in range(first, last + 1, 500):
        await producer.log(*(f"line {i}" for i in range(start, min(start + 500, last + 1))), level=level)


# -- one run -----------------------------------------------------------------------------------------------------------


async def test_a_page_follows_its_run_to_the_end(api: Api, open_run: Callable[..., RunModel]) -> None:
    run = await api.register("Import", phases=[{"name": "load", "weight": 1}])
    model = open_run(run.run)
    await api.until(lambda: model.state is not None)
    assert "live" == model.connection
    await run.send(
        {"event": "status", "status": "running"},
        {"event": "progress", "phase": "load", "done": 1, "total": 4},
    )
    await run.log("half", "way")
    await api.until(lambda: model.state.progress == 25 and messages(model) == ["half", "way"])
    await run.complete(result={"rows": 4})
    await api.until(lambda: model.state.status == "complete")
    assert ({"rows": 4}, 100) == (model.state.result, model.state.progress)


async def test_a_run_that_is_over_looks_the_same_when_it_is_opened_later(
    api: Api, open_run: Callable[..., RunModel]
) -> None:
    run = await api.register("Import")
    first = open_run(run.run)
    await lines(run, 1, 30)
    await run.complete()
    await api.until(lambda: first.state is not None and first.state.is_over and len(first.log.lines) == 30)
    second = open_run(run.run)
    await api.until(lambda: len(second.log.lines) == 30)
    assert (first.state, first.log.lines) == (second.state, second.log.lines)


async def test_ten_pages_cost_one_connection(api: Api, open_run: Callable[..., RunModel]) -> None:
    run = await api.register("Import")
    models = [open_run(run.run) for _ in range(10)]
    await api.until(lambda: all(model.state is not None for model in models))
    assert 1 == api.streamer.hub.subscribers
    await run.log("seen by all")
    await api.until(lambda: all(messages(model) == ["seen by all"] for model in models))


async def test_a_page_that_is_closed_leaves_nothing(api: Api, open_run: Callable[..., RunModel]) -> None:
    run = await api.register("Import")
    model = open_run(run.run)
    await api.until(lambda: model.state is not None)
    before = len(asyncio.all_tasks())
    for _ in range(20):
        open_run(run.run).close()
    assert 1 == live(api.streamer.url).feed.subscribers
    await api.until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_run_that_does_not_exist_is_said_not_to(api: Api, open_run: Callable[..., RunModel]) -> None:
    for name in ("nope", "<script>", "a/../b", "x" * 100):
        model = open_run(name)
        await api.until(lambda model=model: model.connection == "missing")
        assert model.state is None


async def test_cancel_is_asked_acknowledged_and_ended(api: Api, open_run: Callable[..., RunModel]) -> None:
    run = await api.register("Import")
    model = open_run(run.run)
    await run.send({"event": "status", "status": "running"})
    await api.until(lambda: model.state is not None and model.state.status == "running")
    await model.cancel()
    await api.until(lambda: model.state.status == "cancelling")
    assert not model.cancel_asked
    assert "ana" in model.state.message
    answer = await run.send({"event": "log", "message": "stopping"})
    assert ["cancel"] == answer["requests"]
    await run.send({"event": "cancelled"})
    await api.until(lambda: model.state.status == "cancelled")


async def test_a_cancel_that_does_not_go_through_is_said_not_to(
    api: Api, open_run: Callable[..., RunModel]
) -> None:
    run = await api.register("Import")
    model = open_run(run.run)
    await api.until(lambda: model.state is not None)
    live(api.streamer.url).client._fixed = "http://127.0.0.1:1"
    await model.cancel()
    assert "did not go through" in model.notice
    assert not model.cancel_asked


# -- its log -----------------------------------------------------------------------------------------------------------


async def test_a_long_log_is_shown_from_its_end_and_read_back_in_pages(
    api: Api, open_run: Callable[..., RunModel]
) -> None:
    run = await api.register("Import")
    await lines(run, 1, 1300)
    model = open_run(run.run)
    await api.until(lambda: len(model.log.lines) == WINDOW_LINES)
    assert ("line 801", "line 1300") == (messages(model)[0], messages(model)[-1])
    assert (True, False, 1300) == model.log[1:]

    await model.follow(False)
    await model.load_older()
    assert "line 601" == messages(model)[0]
    assert (WINDOW_LINES, True) == (len(model.log.lines), model.log.has_newer)
    await model.load_newer()
    assert "line 1300" == messages(model)[-1]
    assert not model.log.has_newer


async def test_level_and_text_are_searched_in_the_whole_log(
    api: Api, open_run: Callable[..., RunModel]
) -> None:
    run = await api.register("Import")
    await run.log("a needle of old", level="ERROR")
    await lines(run, 1, 1200)
    await run.log("another Needle", level="WARNING")
    model = open_run(run.run)
    await api.until(lambda: len(model.log.lines) == WINDOW_LINES)
    await model.filter_log(search="needle")
    assert ["a needle of old", "another Needle"] == messages(model)
    await model.filter_log(level="ERROR")
    assert ["a needle of old"] == messages(model)
    await run.log("a needle, newly", level="ERROR")
    await run.log("no such thing", level="ERROR")
    await api.until(lambda: messages(model) == ["a needle of old", "a needle, newly"])


async def test_what_an_address_chose_is_shown_first(api: Api, open_run: Callable[..., RunModel]) -> None:
    run = await api.register("Import")
    await run.log("one", "two")
    await run.log("three", level="ERROR")
    model = open_run(run.run, level="ERROR", tab="result")
    await api.until(lambda: messages(model) == ["three"])


async def test_lines_that_come_while_the_window_is_read_are_in_it(
    api: Api, open_run: Callable[..., RunModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await api.register("Import")
    await run.log("before")
    client = live(api.streamer.url).client
    answered, go_on = asyncio.Event(), asyncio.Event()
    log = client.log

    async def slowly(*args: Any, **options: Any) -> LinesPage:
        page = await log(*args, **options)
        answered.set()
        await go_on.wait()
        return page

    monkeypatch.setattr(client, "log", slowly)
    model = open_run(run.run)
    await answered.wait()
    await run.log("meanwhile", "and then")
    await api.until(lambda: model.state is not None and model.state.log_lines == 3)
    go_on.set()
    await api.until(lambda: len(model.log.lines) == 3)
    assert ["before", "meanwhile", "and then"] == messages(model)


async def test_a_flood_of_lines_leaves_the_window_whole_and_within_its_bound(
    api: Api, open_run: Callable[..., RunModel]
) -> None:
    run = await api.register("Import")
    model, filtered = open_run(run.run), open_run(run.run, search="7")
    await run.log("first")
    await api.until(lambda: messages(model) == ["first"])
    await lines(run, 1, 3000)
    await run.complete()
    await api.until(lambda: model.state.is_over and messages(model)[-1:] == ["line 3000"])
    assert [f"line {i}" for i in range(2501, 3001)] == messages(model)
    assert model.log.has_older

    expected = [f"line {i}" for i in range(1, 3001) if "7" in str(i)][-WINDOW_LINES:]
    await api.until(lambda: messages(filtered) == expected)


async def test_a_reader_who_has_scrolled_away_is_left_where_they_are(
    api: Api, open_run: Callable[..., RunModel]
) -> None:
    run = await api.register("Import")
    await lines(run, 1, 500)
    model = open_run(run.run)
    await api.until(lambda: len(model.log.lines) == WINDOW_LINES)
    await model.follow(False)
    await lines(run, 501, 2500)
    await api.until(lambda: model.state.log_lines == 2500 and model.log.has_newer)
    assert [f"line {i}" for i in range(1, 501)] == messages(model)
    await model.follow(True)
    assert "line 2500" == messages(model)[-1]


# -- its failed items --------------------------------------------------------------------------------------------------


def failure(number: int) -> dict[str, Any]:
    error = {"type": "ValueError", "message": f"row {number}", "traceback": f"Traceback {number}"}
    return {"event": "failure", "item": f"item {number}", "error": error}


async def test_failed_items_come_with_their_tracebacks_as_they_happen(
    api: Api, open_run: Callable[..., RunModel]
) -> None:
    run = await api.register("Import")
    model = open_run(run.run)
    await run.send(failure(1))
    await api.until(lambda: len(model.failures.items) == 1)
    assert "Traceback 1" == model.failures.items[0].error.traceback
    await run.send(failure(2))
    await api.until(lambda: len(model.failures.items) == 2)


async def test_failed_items_are_paged_there_and_back(api: Api, open_run: Callable[..., RunModel]) -> None:
    run = await api.register("Import")
    await run.send(*(failure(i) for i in range(1, 121)))
    model = open_run(run.run)
    await api.until(lambda: len(model.failures.items) == PAGE_FAILURES)
    seen = [(model.failures.first, model.failures.items[0].item)]
    for towards in ("newer", "newer", "older", "older"):
        await model.page_failures(towards)
        seen.append((model.failures.first, model.failures.items[0].item))
    assert [(0, "item 1"), (50, "item 51"), (100, "item 101"), (50, "item 51"), (0, "item 1")] == seen
    assert (120, None) == (model.failures.total, model.failures.older)


# -- the streamer goes and comes back ----------------------------------------------------------------------------------


async def test_a_page_says_that_the_streamer_is_away_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        url, port = api.streamer.url, int(api.streamer.url.rpartition(":")[2])
        run = await api.register("Import")
        await run.log("before")
        model, rows = RunModel(run_id=run.run, connection="connecting"), RunsModel(connection="connecting")
        RunLink(model, live(url), LoopPlace())
        RunsLink(rows, live(url), LoopPlace())
        await api.until(lambda: messages(model) == ["before"] and len(rows.rows) == 1)
    await wait_until_async(lambda: model.connection == "away" == rows.connection)
    assert url in model.connection_message
    assert model.state is not None

    async with running(tmp_path, port=port) as api:
        run.http = api.http
        await run.log("after")
        await api.until(lambda: messages(model) == ["before", "after"])
        await api.until(lambda: "live" == model.connection == rows.connection)
        model.close()
        rows.close()
        await close_all()


async def test_another_log_at_the_same_address_is_shown_for_what_it_is(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as api:
        url, port = api.streamer.url, int(api.streamer.url.rpartition(":")[2])
        run = await api.register("Import")
        model, rows = RunModel(run_id=run.run, connection="connecting"), RunsModel(connection="connecting")
        RunLink(model, live(url), LoopPlace())
        RunsLink(rows, live(url), LoopPlace())
        await api.until(lambda: model.state is not None and len(rows.rows) == 1)
    async with running(tmp_path / "two", port=port) as api:
        other = await api.register("Another")
        await api.until(lambda: model.connection == "missing")
        await api.until(lambda: [row.run for row in rows.rows] == [other.run])
        model.close()
        rows.close()
        await close_all()


# -- the list ----------------------------------------------------------------------------------------------------------


async def test_the_list_is_live_and_newest_first(api: Api, open_runs: Callable[..., RunsModel]) -> None:
    first = await api.register("First")
    model = open_runs()
    await api.until(lambda: len(model.rows) == 1)
    second = await api.register("Second")
    await api.until(lambda: [row.title for row in model.rows] == ["Second", "First"])
    await first.send({"event": "status", "status": "running"})
    await api.until(lambda: model.rows[1].status == "running")
    assert {"running": 1, "queued": 1, "week": 2} == model.counts
    await first.complete()
    await second.complete()
    await api.until(lambda: all(row.is_over for row in model.rows))
    await api.until(lambda: model.counts == {"running": 0, "queued": 0, "week": 2})


@asynccontextmanager
async def keeping_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Api, Producer]]:
    """Run a streamer that keeps one run that is over, and looks for others all the time; it has one."""
    monkeypatch.setitem(SqliteLog.__init__.__kwdefaults__, "tend_seconds", 0.01)
    async with running(tmp_path, keep_runs=1) as api:
        old = await api.register("old")
        await old.complete()
        yield api, old


async def test_a_run_that_is_not_kept_any_more_leaves_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping_one(tmp_path, monkeypatch) as (api, old):
        model = RunsModel(connection="connecting")
        RunsLink(model, live(api.streamer.url), LoopPlace())
        await api.until(lambda: [row.run for row in model.rows] == [old.run])
        new = await api.register("new")
        await new.complete()
        await api.until(lambda: [row.run for row in model.rows] == [new.run])
        model.close()
        await close_all()


async def test_the_list_is_filtered_by_the_streamer_beyond_what_is_at_hand(
    api: Api, open_runs: Callable[..., RunsModel]
) -> None:
    old = await api.register("Old and broken", pipeline="Broken")
    await old.send({"event": "failed", "message": "it broke"})
    for number in range(60):
        await (await api.register(f"Run {number}")).complete()
    model = open_runs()
    await api.until(lambda: len(model.rows) == 50)
    assert model.has_older
    await model.filter(status="failed")
    assert ["Old and broken"] == [row.title for row in model.rows]
    await model.filter(status="", pipeline="Broken")
    assert ["Old and broken"] == [row.title for row in model.rows]
    await model.filter(pipeline="")
    await model.load_older()
    assert 61 == len(model.rows)


async def test_a_list_in_another_order_takes_new_runs_at_their_place(
    api: Api, open_runs: Callable[..., RunsModel]
) -> None:
    for number in range(60):
        await (await api.register(f"Run {number:02}", owner="ada" if number % 2 else "bob")).complete()
    model = open_runs(sort="title")
    await api.until(lambda: (len(model.rows), model.total) == (50, 60))
    await api.register("Run 10b", owner="ada")
    await api.register("Run 99", owner="ada")
    await api.until(lambda: "Run 10b" in [row.title for row in model.rows])
    assert ["Run 10", "Run 10b", "Run 11"] == [row.title for row in model.rows[10:13]]
    assert "Run 99" not in [row.title for row in model.rows]
    await model.filter(owner="ada", sort="-created")
    assert ("Run 99", 32) == (model.rows[0].title, model.total)


async def test_what_becomes_of_runs_while_the_list_is_read_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping_one(tmp_path, monkeypatch) as (api, old):
        client = live(api.streamer.url).client
        answered, go_on = asyncio.Event(), asyncio.Event()
        runs = client.runs

        async def slowly(**options: Any) -> RunsPage:
            page = await runs(**options)
            answered.set()
            await go_on.wait()
            return page

        monkeypatch.setattr(client, "runs", slowly)
        model = RunsModel(connection="connecting")
        feed = live(api.streamer.url).feed
        RunsLink(model, live(api.streamer.url), LoopPlace())
        await answered.wait()
        new = await api.register("new")
        await new.complete()
        await api.until(lambda: feed.state(new.run) is not None and feed.state(old.run) is None)
        last = [(await api.register(f"last {number}")).run for number in range(2)]
        # Two of them wait at no time before: with that the list was told of all that was.
        await api.until(lambda: model.counts.get("queued") == 2)
        go_on.set()
        await api.until(lambda: not model.busy)
        assert {*last, new.run} == {row.run for row in model.rows}
        model.close()
        await close_all()


async def test_a_run_that_does_not_match_is_not_listed(api: Api, open_runs: Callable[..., RunsModel]) -> None:
    model = open_runs(status="failed")
    await api.until(lambda: "Plain" in model.pipelines)
    run, other = await api.register("Fine"), await api.register("Broken")
    await run.complete()
    await other.send({"event": "failed", "message": "it broke"})
    await api.until(lambda: [row.title for row in model.rows] == ["Broken"])


# -- the form ----------------------------------------------------------------------------------------------------------


async def test_the_form_offers_what_the_streamer_offers_and_starts_it(api: Api) -> None:
    model = StartModel(connection="connecting")
    StartLink(model, live(api.streamer.url), LoopPlace(), owner="ana", wanted="Plain")
    await api.until(lambda: model.pipelines)
    assert "Plain" == model.chosen
    assert (("first", 3.0), ("second", 1.0)) == model.pipeline.phases
    await model.start({"n": 7})
    state = await api.state(model.run_id)
    assert (7, "ana") == (state["parameters"]["n"], state["owner"])
    model.close()


async def test_a_form_whose_pipelines_could_not_be_read_asks_again(
    api: Api, open_runs: Callable[..., RunsModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboards.data.start_link.RETRY_SECONDS", 0.01)
    listed = open_runs()
    await api.until(lambda: listed.connection == "live")
    client = live(api.streamer.url).client
    client._fixed = "http://127.0.0.1:1"
    model = StartModel(connection="connecting")
    StartLink(model, live(api.streamer.url), LoopPlace(), wanted="Plain")
    await api.until(lambda: "could not be read" in model.notice)
    client._fixed = api.streamer.url
    await api.until(lambda: model.pipelines)
    assert ("Plain", "", "live") == (model.chosen, model.notice, model.connection)
    model.close()


async def test_what_is_wrong_is_said_at_the_field(api: Api) -> None:
    model = StartModel(connection="connecting")
    StartLink(model, live(api.streamer.url), LoopPlace(), wanted="Plain")
    await api.until(lambda: model.pipelines)
    await model.start({"n": 5000, "kind": "z"})
    assert "" == model.run_id
    assert {"n", "kind"} == set(model.errors)
    assert "1000" in model.errors["n"]
    assert "2 parameters were refused." == model.notice
    model.close()


async def test_a_streamer_that_cannot_start_says_why(api: Api) -> None:
    model = StartModel(connection="connecting")
    StartLink(model, live(api.streamer.url), LoopPlace(), wanted="no such pipeline")
    await api.until(lambda: model.pipelines)
    assert model.chosen == model.pipelines[0].name
    live(api.streamer.url).client._fixed = "http://127.0.0.1:1"
    await model.start({})
    assert "127.0.0.1:1" in model.notice
    model.close()


# -- in a notebook -----------------------------------------------------------------------------------------------------


async def test_one_url_is_one_feed(api: Api) -> None:
    assert live(api.streamer.url) is live(api.streamer.url)
    assert live(api.streamer.url) is not live("http://127.0.0.1:1")
