"""The HTTP API from outside: every route, its status codes, its errors, its pages. Streams and ingest are elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import Future
from urllib.parse import quote

import pytest

from streamer.server.execution.base import Exit
from streamer.server.log.base import Appended, LogUnavailable
from tests.api_support import JSON, PATIENCE, error_of, running


def refusing(*_: object, **__: object) -> Future[Appended]:
    """Stand in for an append while the disk is full."""
    future: Future[Appended] = Future()
    future.set_exception(LogUnavailable("cannot write the log: database or disk is full"))
    return future


def messages(page: dict) -> list[str]:
    return [line["message"] for line in page["lines"]]


# -- pipelines ---------------------------------------------------------------------------------------------------------


async def test_pipelines_are_listed_with_what_a_form_needs(api):
    answer = (await api.http.get("/api/pipelines")).json()
    plain = next(one for one in answer["pipelines"] if one["name"] == "Plain")
    assert "Plain" == plain["title"]
    assert "Do nothing, with parameters of several types." == plain["doc"]
    assert [{"name": "first", "weight": 3.0}, {"name": "second", "weight": 1.0}] == plain["phases"]
    assert {"n", "delay", "name_of_it", "kind"} == set(plain["schema"]["properties"])
    assert (1, 1000) == tuple(plain["schema"]["properties"]["n"][k] for k in ("minimum", "maximum"))
    assert "How many." == plain["schema"]["properties"]["n"]["description"]


async def test_the_examples_are_on_offer(api):
    names = {one["name"] for one in (await api.http.get("/api/pipelines")).json()["pipelines"]}
    assert {"ImportPrices", "AuditFolder", "Count"} <= names


async def test_a_pipeline_that_cannot_be_loaded_is_a_problem_and_the_rest_is_on_offer(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('not today')\n")
    async with running(tmp_path, pipelines=(str(broken),)) as api:
        answer = (await api.http.get("/api/pipelines")).json()
        assert "Count" in {one["name"] for one in answer["pipelines"]}
        assert [str(broken)] == [one["reference"] for one in answer["problems"]]
        assert "not today" in answer["problems"][0]["message"]


# -- starting ----------------------------------------------------------------------------------------------------------


async def test_starting_a_run_answers_its_id_and_where_it_is(api):
    answer = await api.http.post("/api/pipelines/Plain/runs", json={"n": 5})
    run = answer.json()["run"]
    assert 201 == answer.status_code
    assert f"/api/runs/{run}" == answer.headers["location"] == answer.json()["url"]
    assert f"/api/runs/{run}/events" == answer.json()["events"]
    assert "queued" == answer.json()["status"]
    assert answer.json()["page"] is None


async def test_a_new_run_says_its_page_where_there_are_dashboards(tmp_path):
    async with running(tmp_path, page="http://127.0.0.1:5006/dashboards") as api:
        answer = (await api.http.post("/api/pipelines/Plain/runs")).json()
        assert f"http://127.0.0.1:5006/dashboards?run={answer['run']}" == answer["page"]


async def test_a_run_has_the_parameters_given_and_the_defaults_of_the_others(api):
    state = await api.state(await api.start(n=5, kind="b"))
    assert {"n": 5, "delay": 0.0, "name_of_it": "", "kind": "b"} == state["parameters"]
    assert ("Plain", "Plain") == (state["pipeline"], state["title"])
    assert ["first", "second"] == [phase["name"] for phase in state["phases"]]


async def test_no_body_starts_with_the_defaults(api):
    answer = await api.http.post("/api/pipelines/Plain/runs")
    assert 201 == answer.status_code


async def test_the_worker_gets_the_parameters_and_a_token_of_its_own(api):
    run = await api.start(n=5)
    spec = (await api.handle(run)).spec
    assert (run, 5, api.streamer.url) == (spec.run_id, spec.parameters["n"], spec.url)
    assert spec.token


async def test_who_started_a_run_may_be_said(api):
    answer = await api.http.post("/api/pipelines/Plain/runs", headers={"X-Streamer-Owner": "ada"})
    assert "ada" == (await api.state(answer.json()["run"]))["owner"]


@pytest.mark.parametrize(
    ("parameters", "field", "words"),
    [
        ({"n": 0}, "n", "1"),
        ({"n": "many"}, "n", "many"),
        ({"n": None}, "n", "None"),
        ({"n": 2**70}, "n", "1000"),
        ({"kind": "c"}, "kind", "c"),
        ({"nn": 5}, "nn", "n, delay"),
        ({"delay": []}, "delay", "[]"),
        ({"name_of_it": {"a": 1}}, "name_of_it", "a"),
    ],
)
async def test_a_parameter_that_is_refused_is_named_with_what_was_expected(api, parameters, field, words):
    answer = await api.http.post("/api/pipelines/Plain/runs", json=parameters)
    error = error_of(answer, 422, "invalid")
    assert [field] == [one["field"] for one in error["details"]]
    assert words in json.dumps(error["details"])
    assert error["details"][0]["expected"]
    assert [] == (await api.http.get("/api/runs")).json()["runs"]


async def test_all_that_is_wrong_is_said_at_once(api):
    answer = await api.http.post("/api/pipelines/Plain/runs", json={"n": 0, "kind": "c", "x": 1})
    assert ["n", "kind", "x"] == [one["field"] for one in error_of(answer, 422, "invalid")["details"]]


@pytest.mark.parametrize("name", ["Nonsense", "%2e%2e", "a%2Fb", "%F0%9F%92%A5", "plain"])
async def test_an_unknown_pipeline_is_not_found_and_those_on_offer_are_named(api, name):
    error = error_of(await api.http.post(f"/api/pipelines/{name}/runs"), 404, "not_found")
    assert "Plain" in error["message"]


async def test_when_as_many_wait_as_may_one_more_is_refused_for_now(tmp_path):
    async with running(tmp_path, max_runs=1, max_queue=1) as api:
        await api.handle(await api.start())
        await api.start()
        answer = await api.http.post("/api/pipelines/Plain/runs")
        error_of(answer, 503, "queue_full")
        assert "1" == answer.headers["retry-after"]


async def test_a_wrong_word_for_on_disconnect_is_refused_before_anything_is_started(api):
    answer = await api.http.post("/api/pipelines/Plain/runs?on_disconnect=explode")
    assert "on_disconnect" == error_of(answer, 400, "invalid")["details"][0]["field"]
    assert [] == (await api.http.get("/api/runs")).json()["runs"]


async def test_a_run_whose_process_cannot_be_started_fails_and_says_why(api):
    api.backend.fails = OSError(12, "Cannot allocate memory")
    state = await api.status(await api.start(), "failed")
    assert "Cannot allocate memory" in state["message"]
    assert "OSError" == state["error"]["type"]


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/pipelines/Plain/runs", "/api/runs"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b"[1]", 400, "not_an_object"),
        (b"5", 400, "not_an_object"),
        (b"null", 400, "not_an_object"),
        (b'{"title": "\xff"}', 400, "not_json"),
        (b'{"title": "\\ud800"}', 400, "not_json"),
        (b'{"title": NaN}', 400, "not_json"),
        (b'{"title": 1e400}', 400, "not_json"),
        (b"[" * 100_000, 400, "too_deep"),
        (b'{"a":' * 100_000, 400, "too_deep"),
        (b'{"title": "x", "parameters": {"a": ' + b"[" * 101 + b"]" * 101 + b"}}", 400, "too_deep"),
        (b'{"title": "x"} {"title": "y"}', 400, "not_json"),
        (b" " * 1_000_001, 413, "too_large"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else str(value),
)
async def test_a_body_that_is_no_json_object_of_bounded_size_is_refused(api, path, body, status, code):
    error_of(await api.http.post(path, content=body, headers=JSON), status, code)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_a_body_that_does_not_say_it_is_json_is_refused(api, kind):
    answer = await api.http.post("/api/runs", content=b'{"title": "x"}', headers={"Content-Type": kind})
    details = error_of(answer, 415, "unsupported_media_type")["details"]
    assert ("Content-Type", "application/json") == (details["field"], details["expected"])


async def test_json_may_say_its_charset(api):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await api.http.post("/api/runs", content='{"title": "ä"}'.encode(), headers=headers)
    assert 201 == answer.status_code


async def test_the_largest_body_is_a_setting(tmp_path):
    async with running(tmp_path, max_body_bytes=1000) as api:
        details = error_of(await api.http.post("/api/runs", json={"title": "x" * 1000}), 413, "too_large")[
            "details"
        ]
        assert ("body", 1000) == (details["field"], details["expected"])


# -- runs --------------------------------------------------------------------------------------------------------------


async def test_runs_are_listed_newest_first(api):
    runs = [(await api.register(f"Run {number}")).run for number in range(3)]
    assert runs[::-1] == [one["run"] for one in (await api.http.get("/api/runs")).json()["runs"]]


async def test_paging_through_the_runs_gives_each_one_once(api):
    runs = [(await api.register()).run for _ in range(7)]
    seen = []
    before = ""
    for _ in range(3):
        page = (await api.http.get("/api/runs", params={"limit": 3, "before": before})).json()
        seen += [one["run"] for one in page["runs"]]
        before = page["next"]
        await api.register("A newer one, that comes while somebody pages")
    assert runs[::-1] == seen
    assert before is None


async def test_a_page_that_is_full_and_the_last_says_that_nothing_follows(api):
    for _ in range(3):
        await api.register()
    assert (await api.http.get("/api/runs?limit=3")).json()["next"] is None


async def test_runs_say_their_outcome_and_are_filtered_by_it(api):
    fine, partial, going = [await api.register(title) for title in ("fine", "partial", "going")]
    await fine.complete()
    await partial.send({"event": "failure", "item": "x", "error": {"type": "E", "message": "no"}})
    await partial.complete()

    async def titles(query: str) -> list[str]:
        return [one["title"] for one in (await api.http.get(f"/api/runs?{query}")).json()["runs"]]

    states = (await api.http.get("/api/runs")).json()["runs"]
    assert [None, "partial", "complete"] == [one["outcome"] for one in states]
    assert "partial" == (await partial.state())["outcome"]
    assert ["partial"] == await titles("outcome=partial")
    assert ["partial", "fine"] == await titles("outcome=complete,partial")
    assert ["partial", "fine"] == await titles("outcome=complete&outcome=partial")
    assert ["partial", "fine"] == await titles("status=complete")
    refused = error_of(await api.http.get("/api/runs?outcome=queued"), 400, "invalid")
    assert "some of complete, partial, failed, cancelled" == refused["details"][0]["expected"]
    async with api.stream(f"/api/runs/{going.run}/events") as stream:
        assert b'"outcome":null' in await stream.until(b'"outcome"')


async def test_runs_are_filtered_by_status_and_error_means_failed(api):
    failed, done, _ = [await api.register() for _ in range(3)]
    await failed.send({"event": "failed", "message": "no"})
    await done.complete()

    async def found(status: str) -> list[str]:
        return [one["run"] for one in (await api.http.get(f"/api/runs?status={status}")).json()["runs"]]

    assert [failed.run] == await found("failed") == await found("error")
    assert [done.run, failed.run] == await found("failed,complete") == await found("complete&status=failed")
    assert [] == await found("running")


async def test_counts_of_all_runs_come_with_every_page(api):
    await (await api.register()).complete()
    await api.register()
    page = (await api.http.get("/api/runs?limit=1&status=complete")).json()
    assert {"complete": 1, "queued": 1} == page["counts"]


async def test_runs_are_filtered_by_pipeline_and_searched_by_their_words(api):
    plain = await api.start(name_of_it="Grüße aus Köln")
    other = await api.register("Fit 100% of the models", owner="ada", program="fit.ipynb")

    async def found(**query: str) -> list[str]:
        return [one["run"] for one in (await api.http.get("/api/runs", params=query)).json()["runs"]]

    assert [plain] == await found(pipeline="Plain")
    assert [] == await found(pipeline="Count")
    assert [plain] == await found(search="grüsse") == await found(search="KÖLN") == await found(search=plain)
    assert (
        [other.run]
        == await found(search="100%")
        == await found(search="ada")
        == await found(search="FIT.ipynb")
    )
    assert [] == await found(search="1_0")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e3", "limit"),
        ("limit=٣", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("status=nonsense", "status"),
        ("status=running,nonsense", "status"),
        ("limit=%ff", "limit"),
        ("status=%ff", "status"),
        ("search=%ff", "search"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused_naming_the_field(api, query, field):
    error = error_of(await api.http.get(f"/api/runs?{query}"), 400, "invalid")
    assert [field] == [one["field"] for one in error["details"]]


async def test_paging_from_a_run_that_does_not_exist_is_not_found(api):
    error_of(await api.http.get("/api/runs?before=nonsense"), 404, "not_found")


async def test_a_run_s_state_comes_with_the_cursor_of_its_stream(api, logged):
    state = await api.state(logged.run)
    assert (logged.run, "A run", "running") == (state["run"], state["title"], state["status"])
    epoch, offset = state["cursor"].rsplit("-", 1)
    assert api.streamer.log.epoch == epoch
    assert state["offset"] == int(offset)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", state["created"])


@pytest.mark.parametrize("path", ["", "/events", "/log", "/failures"])
async def test_a_run_that_does_not_exist_is_not_found(api, path):
    error_of(await api.http.get(f"/api/runs/2345678abc{path}"), 404, "not_found")


# -- log lines ---------------------------------------------------------------------------------------------------------


async def test_without_a_cursor_the_last_lines_come_oldest_first(api, logged):
    page = (await api.http.get(f"{logged.path}/log?limit=3")).json()
    assert ["line 10", "line 11", "line 12"] == messages(page)
    assert 12 == page["total"]
    line = page["lines"][-1]
    assert ("log", "error", "ERROR") == (line["event"], line["type"], line["level"])
    assert {"run", "seq", "time", "logger", "timestamp", "phase", "item", "cursor"} <= set(line)


async def test_paging_back_gives_every_line_once(api, logged):
    page = (await api.http.get(f"{logged.path}/log?limit=5")).json()
    pages = [messages(page)]
    for _ in range(2):
        page = (await api.http.get(f"{logged.path}/log?limit=5&before={page['older']}")).json()
        pages.append(messages(page))
    assert [f"line {n}" for n in range(1, 13)] == [one for page in reversed(pages) for one in page]
    assert [5, 5, 2] == [len(page) for page in pages]
    assert page["older"] is None


async def test_paging_forward_gives_every_line_once_and_goes_on_when_more_come(api, logged):
    seen, after = [], "0"
    for _ in range(4):
        page = (await api.http.get(f"{logged.path}/log?limit=5&after={after}")).json()
        seen += messages(page)
        after = page["newer"]
    assert [f"line {n}" for n in range(1, 13)] == seen
    await logged.log("line 13")
    page = (await api.http.get(f"{logged.path}/log?limit=5&after={after}")).json()
    assert ["line 13"] == messages(page)


async def test_between_two_cursors_only_what_lies_between_them_comes(api, logged):
    cursors = [one["cursor"] for one in (await api.http.get(f"{logged.path}/log")).json()["lines"]]
    answer = await api.http.get(f"{logged.path}/log?after={cursors[2]}&before={cursors[6]}")
    assert ["line 4", "line 5", "line 6"] == messages(answer.json())


async def test_a_position_may_be_a_stream_s_cursor(api, logged):
    first = (await api.http.get(f"{logged.path}/log")).json()["lines"][0]
    cursor = f"{api.streamer.log.epoch}-{first['cursor']}"
    assert "line 2" == messages((await api.http.get(f"{logged.path}/log?after={cursor}")).json())[0]


@pytest.mark.parametrize(
    ("level", "number"),
    [("", 12), ("debug", 12), ("INFO", 12), ("log", 12), ("warning", 4), ("ERROR", 1), ("critical", 0)],
)
async def test_the_level_is_the_least_one_shown(api, logged, level, number):
    page = (await api.http.get(f"{logged.path}/log?level={level}")).json()
    assert number == len(page["lines"])


async def test_a_search_looks_through_the_whole_log_and_not_the_page(api, logged):
    page = (await api.http.get(f"{logged.path}/log?limit=2&search=LINE%201")).json()
    assert ["line 11", "line 12"] == messages(page)
    page = (await api.http.get(f"{logged.path}/log?limit=2&search=LINE%201&before={page['older']}")).json()
    assert ["line 1", "line 10"] == messages(page)
    assert page["older"] is None
    assert page["total"] is None


@pytest.mark.parametrize(
    "text",
    [
        "größer als 5 €",
        "日本語",
        "💥",
        "100%",
        "a_b",
        'say "hi"',
        "back\\slash",
        "tab\there",
        "<img src=x>",
        "'; DROP",
    ],
)
async def test_any_text_is_found_as_it_stands(api, text):
    producer = await api.register()
    await producer.log("before", f"here: {text}!", "1000 ab sayhi backslash")
    page = (await api.http.get(f"{producer.path}/log", params={"search": text})).json()
    assert [f"here: {text}!"] == messages(page)


async def test_a_search_looks_into_the_message_alone(api):
    producer = await api.register()
    await producer.send({"event": "log", "message": "plain", "logger": "needle", "item": "needle"})
    assert [] == (await api.http.get(f"{producer.path}/log?search=needle")).json()["lines"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("level=loud", "level"),
        ("before=soon", "before"),
        ("after=-1", "after"),
        ("after=otherepoch-5", "after"),
        ("before=9999999999999999999", "before"),
        ("limit=0", "limit"),
    ],
)
async def test_a_position_or_level_that_is_not_understood_is_refused(api, logged, query, field):
    error = error_of(await api.http.get(f"{logged.path}/log?{query}"), 400, "invalid")
    assert field == error["details"][0]["field"]


async def test_a_search_of_a_long_log_takes_several_requests(api, monkeypatch):
    monkeypatch.setattr("streamer.server.log.queries._LINES_PER_SEARCH", 10)
    producer = await api.register()
    await producer.log(*(f"line {n}" for n in range(45)))
    path = f"{producer.path}/log?search=line 3"
    first = (await api.http.get(path)).json()
    assert ([39, 38, 37, 36, 35], True) == (numbers(first)[::-1], first["partial"])
    second = (await api.http.get(f"{path}&before={first['older']}")).json()
    assert [30, 31, 32, 33, 34] == numbers(second)
    third = (await api.http.get(f"{path}&before={second['older']}")).json()
    assert ([], True) == (numbers(third), third["partial"])
    forward = (await api.http.get(f"{path}&after=0")).json()
    assert ([3], True) == (numbers(forward), forward["partial"])
    assert [] == numbers((await api.http.get(f"{path}&after={forward['newer']}")).json())


def numbers(page: dict) -> list[int]:
    return [int(line["message"].split()[1]) for line in page["lines"]]


async def test_a_run_without_lines_has_an_empty_page(api):
    producer = await api.register()
    answer = (await api.http.get(f"{producer.path}/log")).json()
    assert {"lines": [], "older": None, "newer": None, "total": 0, "partial": False} == answer


async def test_the_lines_of_other_runs_do_not_show(api, logged):
    other = await api.register()
    await other.log("another's")
    assert ["another's"] == messages((await api.http.get(f"{other.path}/log")).json())


# -- failed items ------------------------------------------------------------------------------------------------------


async def test_failed_items_come_with_their_errors_oldest_first_and_paged(api):
    producer = await api.register()
    await producer.send(
        *(
            {
                "event": "failure",
                "item": f"row {number}",
                "phase": "load",
                "error": {"type": "ValueError", "message": "no", "traceback": f"Traceback {number}"},
            }
            for number in range(1, 6)
        )
    )
    first = (await api.http.get(f"{producer.path}/failures?limit=3")).json()
    rest = (await api.http.get(f"{producer.path}/failures?limit=3&after={first['next']}")).json()
    assert ["row 1", "row 2", "row 3", "row 4", "row 5"] == [
        one["item"] for one in (*first["failures"], *rest["failures"])
    ]
    assert rest["next"] is None
    assert 5 == first["total"] == rest["total"]
    assert {"type": "ValueError", "message": "no", "traceback": "Traceback 5"} == rest["failures"][-1][
        "error"
    ]


async def test_a_run_without_failed_items_has_an_empty_page(api):
    producer = await api.register()
    answer = (await api.http.get(f"{producer.path}/failures")).json()
    assert {"failures": [], "next": None, "total": 0} == answer


# -- cancelling --------------------------------------------------------------------------------------------------------


async def test_a_queued_run_is_cancelled_at_once(tmp_path):
    async with running(tmp_path, max_runs=1) as api:
        await api.handle(await api.start())
        waiting = await api.start()
        answer = await api.http.post(f"/api/runs/{waiting}/cancel", json={"by": "ada"})
        assert (202, {"run": waiting, "status": "cancelled"}) == (answer.status_code, answer.json())
        assert "cancelled by ada before it was started" == (await api.state(waiting))["message"]


async def test_a_queued_run_that_could_not_be_cancelled_now_keeps_its_place(tmp_path, monkeypatch):
    async with running(tmp_path, max_runs=1) as api:
        await api.handle(await api.start())
        waiting = await api.start()
        await api.until(lambda: api.streamer.runs.queue_length() == 1)
        with monkeypatch.context() as patched:
            patched.setattr(api.streamer.log, "append", refusing)
            answer = await api.http.post(f"/api/runs/{waiting}/cancel")
            error_of(answer, 503, "log_unavailable")
            assert "1" == answer.headers["retry-after"]
        assert 1 == api.streamer.runs.queue_length()
        answer = await api.http.post(f"/api/runs/{waiting}/cancel")
        assert "cancelled" == answer.json()["status"]


async def test_a_running_run_is_asked_and_its_producer_learns_of_it(api):
    producer = await api.started()
    answer = await api.http.post(f"{producer.path}/cancel")
    assert (202, "cancelling") == (answer.status_code, answer.json()["status"])
    assert {"acknowledged": 0, "requests": ["cancel"]} == (await producer.post(b"")).json()
    await producer.send({"event": "cancelled", "message": "as asked"})
    assert "cancelled" == (await api.state(producer.run))["status"]


async def test_asking_twice_is_asking_once(api):
    producer = await api.started()
    first, second = [await api.http.post(f"{producer.path}/cancel") for _ in range(2)]
    assert (202, 202) == (first.status_code, second.status_code)
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        frames = await stream.take(3)
    assert ["queued", "running", "cancelling"] == [json.loads(frame.data)["status"] for frame in frames]


async def test_a_cancel_says_who_asked_and_what_will_happen(tmp_path):
    async with running(tmp_path, cancel_grace_seconds=7) as api:
        producer = await api.started()
        await api.http.post(f"{producer.path}/cancel", json={"by": "ada"})
        message = (await api.state(producer.run))["message"]
        assert "cancel asked by ada; its process is terminated if it has not ended in 7 s" == message


async def test_who_ignores_a_cancel_is_terminated_then_killed_and_cancelled_says_so(tmp_path):
    async with running(tmp_path, cancel_grace_seconds=0.01, kill_grace_seconds=0.01) as api:
        producer = await api.started()
        await api.http.post(f"{producer.path}/cancel", json={"by": "ada"})
        state = await api.status(producer.run, "cancelled")
        assert "cancelled by ada, terminated after 0.01 s, killed after 0.01 s" == state["message"]
        assert ["terminate", "kill"] == api.backend.handles[producer.run].asked


async def test_a_cancel_without_grace_ends_a_run_whose_process_is_only_being_started(tmp_path):
    async with running(tmp_path, cancel_grace_seconds=0, kill_grace_seconds=0) as api:
        run = await api.start()
        await api.http.post(f"/api/runs/{run}/cancel")
        assert "cancelled" == (await api.status(run, "cancelled"))["status"]


async def test_a_run_that_is_over_cannot_be_cancelled(api):
    producer = await api.register()
    await producer.complete()
    error = error_of(await api.http.post(f"{producer.path}/cancel"), 409, "run_ended")
    assert {"status": "complete"} == error["details"]


async def test_cancelling_what_does_not_exist_is_not_found(api):
    error_of(await api.http.post("/api/runs/2345678abc/cancel"), 404, "not_found")


async def test_who_asks_is_a_text(api):
    producer = await api.register()
    error = error_of(await api.http.post(f"{producer.path}/cancel", json={"by": 5}), 422, "invalid")
    assert "by" == error["details"][0]["field"]


async def test_a_process_that_ends_after_a_cancel_without_a_word_was_cancelled(api):
    producer = await api.started()
    await api.http.post(f"{producer.path}/cancel")
    (await api.handle(producer.run)).end(Exit(signal=15))
    assert "cancelled" == (await api.status(producer.run, "cancelled", "failed"))["status"]


async def test_a_process_that_ends_without_a_word_has_failed_and_its_output_is_kept(api):
    producer = await api.started()
    (await api.handle(producer.run)).end(Exit(signal=11, output_tail="Fatal Python error"))
    state = await api.status(producer.run, "failed")
    assert "killed by signal 11 (SIGSEGV)" == state["message"]
    assert ("ProcessDied", "Fatal Python error") == (state["error"]["type"], state["error"]["traceback"])


# -- the queue ---------------------------------------------------------------------------------------------------------


async def test_no_more_runs_are_started_at_once_than_may_be_and_the_rest_see_their_place(tmp_path):
    async with running(tmp_path, max_runs=2) as api:
        runs = [await api.start() for _ in range(4)]
        for run in runs[:2]:
            await api.handle(run)
        await api.until(lambda: api.streamer.runs.queue_length() == 2)
        assert {runs[0], runs[1]} == set(api.backend.handles)
        states = [await api.status(run, "queued") for run in runs[2:]]
        assert all(state["status"] == "queued" for state in states)

        async def places() -> list[str]:
            return [(await api.state(run))["message"] for run in runs[2:]]

        async with asyncio.timeout(PATIENCE):
            next_one, last = (
                "2 runs are executing, this one is next",
                "2 runs are executing, 1 is ahead of this one",
            )
            while await places() != [next_one, last]:
                pass


async def test_a_run_that_ends_makes_room_for_the_next(tmp_path):
    async with running(tmp_path, max_runs=1) as api:
        first = await api.started()
        waiting = await api.start()
        await first.complete()
        (await api.handle(first.run)).end()
        assert waiting == (await api.handle(waiting)).spec.run_id


# -- runs that somebody else executes ----------------------------------------------------------------------------------


async def test_registering_a_run_answers_its_id_and_the_token_of_its_producer(api):
    answer = await api.http.post(
        "/api/runs", json={"title": "Fit models", "phases": [{"name": "fit", "weight": 7}]}
    )
    run = answer.json()["run"]
    assert 201 == answer.status_code
    assert f"/api/runs/{run}" == answer.headers["location"]
    assert len(answer.json()["token"]) >= 24
    state = await api.state(run)
    assert ("queued", "Fit models", None) == (state["status"], state["title"], state["pipeline"])
    assert [("fit", 7.0)] == [(one["name"], one["weight"]) for one in state["phases"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": 5}, "title"),
        ({"title": "x", "colour": "red"}, "colour"),
        ({"title": "x", "phases": [{"weight": 1}]}, "phases[0].name"),
        ({"title": "x", "phases": [{"name": "a", "weight": "1"}]}, "phases[0].weight"),
        ({"title": "x", "phases": [{"name": ""}]}, "phases[0].name"),
        ({"title": "x", "phases": [{"name": "a"}, {"name": "a"}]}, "phases[1].name"),
        ({"title": "x", "phases": [{"name": "a", "weight": 0}]}, "phases[0].weight"),
        ({"title": "x", "phases": [{"name": "a", "weight": -1}]}, "phases[0].weight"),
        ({"title": "x", "phases": [{"name": "a"}] * 501}, "phases"),
        ({"title": "x", "parameters": []}, "parameters"),
        ({"title": "x", "owner": 5}, "owner"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
async def test_a_registration_that_is_not_as_expected_is_refused_naming_the_field(api, body, field):
    error = error_of(await api.http.post("/api/runs", json=body), 422, "invalid")
    assert [field] == [problem["field"] for problem in error["details"]]


async def test_a_body_is_nested_as_deep_as_may_be_and_its_texts_may_hold_brackets(api):
    body = b'{"title": "' + b"[{" * 500 + b'", "parameters": {"a": ' + b"[" * 98 + b"]" * 98 + b"}}"
    answer = await api.http.post("/api/runs", content=body, headers=JSON)
    assert 201 == answer.status_code, answer.text


async def test_texts_of_a_registration_are_cut_to_their_bounds(api):
    producer = await api.register("x" * 100_000, owner="o" * 100_000, parameters={"a": "y" * 500_000})
    state = await api.state(producer.run)
    assert len(state["title"]) <= 300
    assert len(state["owner"]) <= 300
    assert "cut" in state["parameters"]["note"]


async def test_weights_beyond_all_sense_do_not_break_the_progress(api):
    producer = await api.register(phases=[{"name": "a", "weight": 1e308}, {"name": "b", "weight": 1.7e308}])
    await producer.send(*({"event": "phase", "phase": name, "phaseStatus": "finished"} for name in "ab"))
    assert 99.99 == (await api.state(producer.run))["overallProgress"]


# -- addresses and methods ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/",
        "/api/nonsense",
        "/api/runs/",
        "/api//runs",
        "/api/runs/a/b",
        "/api/runs/%2e%2e",
        "/api/runs/%2e%2e/log",
        "/api/runs/%00",
        "/api/runs/a%2Fevents",
        "/api/runs/" + "a" * 65,
        "/api/runs/" + "a" * 20_000,
        "/api/runs/" + quote("ä"),
        "/api/RUNS",
        "/metrics/",
        "/favicon.ico",
    ],
    ids=lambda path: path[:24],
)
async def test_an_address_that_is_none_is_not_found_in_the_form_of_all_errors(api, path):
    error_of(await api.http.get(path), 404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_method_that_is_not_meant_is_refused_in_the_form_of_all_errors(api, method):
    answer = await api.http.request(method, "/api/runs")
    error_of(answer, 405, "method_not_allowed")
    assert "GET, POST, OPTIONS" == answer.headers["allow"]


async def test_answers_are_not_kept_by_caches_nor_taken_for_something_else(api):
    headers = (await api.http.get("/api/runs")).headers
    assert ("no-store", "nosniff") == (headers["cache-control"], headers["x-content-type-options"])
    assert "server" not in headers


async def test_answers_are_ascii_whatever_they_say(api):
    producer = await api.register("Grüße 💥")
    answer = await api.http.get(producer.path)
    assert answer.content.isascii()
    assert "Grüße 💥" == answer.json()["title"]
