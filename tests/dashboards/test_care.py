"""What a run's page says of its life, its time limit, its cancel and its retries, and what can be done about them."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from dashboards.data.place import LoopPlace
from dashboards.data.run_link import RunLink
from dashboards.data.start_link import StartLink
from dashboards.data.streamers import live
from dashboards.indicators import RunControls, StartForm, Status
from dashboards.pages.where import AGAIN_HREF, RUN_HREF
from dashboards.session import RunModel, StartModel
from streamer.model.events import ProcessInfo
from streamer.model.state import CancelState
from streamer.model.summary import summarise
from tests.api_support import running as streamer
from tests.gallery.models import model
from tests.gallery.runs import RUNS
from tests.gallery.samples import NOW, STARTED
from tests.gallery.states import running


def care(state: str | RunModel) -> dict[str, Any]:
    made = RUNS[state]() if isinstance(state, str) else state
    return {**Status(made, run_href=RUN_HREF).present(), **RunControls(made, again_href=AGAIN_HREF).present()}


def facts(state: str | RunModel) -> dict[str, str]:
    """Return what is said, by its name; of links their texts."""
    return {
        fact["name"]: "".join(part if isinstance(part, str) else part[0] for part in fact["parts"])
        for fact in care(state)["facts"]
    }


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("running", {}),
        ("time-limit", {"Time limit": "0:32 left of 1 min"}),
        ("time-limit-missed", {"Time limit": "0:08 left of 36 s, but about 44 s needed at this pace"}),
        (
            "acknowledged",
            {"Cancel": "asked by data-team → acknowledged in load at GOOG 2010-04-19"},
        ),
        ("killed", {"Cancel": "time limit of 28 s reached → its process was killed"}),
        (
            "retried",
            {
                "Retry": "of the failed items of run k3v8mzq2wd",
                "Done again": "by run 85z9yqtavx, d5xhfvxyj4",
            },
        ),
    ],
)
def test_what_is_to_be_known_is_said(state: str, expected: dict[str, str]) -> None:
    assert expected == facts(state)


@pytest.mark.parametrize(
    ("cancel", "status", "expected"),
    [
        (CancelState(asked=NOW), "cancelling", "asked → not acknowledged yet"),
        (
            CancelState(asked=NOW, terminated=NOW),
            "cancelling",
            "asked → not acknowledged yet → its process is terminated",
        ),
        (
            CancelState(asked=NOW, acknowledged=NOW, how="cooperative"),
            "cancelled",
            "asked → acknowledged → ended by itself",
        ),
        (CancelState(how="unstarted"), "cancelled", "asked → it had not been started"),
        (CancelState(asked=NOW), "complete", "asked → not acknowledged yet → the run ended before"),
    ],
)
def test_how_far_a_cancel_is_and_how_it_ended(cancel: CancelState, status: Any, expected: str) -> None:
    assert {"Cancel": expected} == facts(model(replace(running(), cancel=cancel, status=status)))


def test_a_time_limit_is_counted_down() -> None:
    made = RUNS["time-limit"]()
    view = Status(made)
    made.update(now=STARTED + 59)
    (text,) = view.present()["facts"][0]["parts"]
    assert text.startswith("0:01 left of 1 min")


def test_the_two_runs_lead_to_each_other_and_to_the_form() -> None:
    shown = care("retried")
    assert "?run=k3v8mzq2wd" == shown["facts"][0]["parts"][1][1]
    query = parse_qs(urlsplit(shown["again"]).query)
    assert {"start": ["ImportPrices"], "again": ["7k2m"]} == query


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ask"),
        ({"connection": "away"}, "disabled"),
        ({"commands": None}, "disabled"),
        ({"retry_busy": True}, "busy"),
    ],
)
def test_failed_items_can_be_retried_when_there_is_somebody_to_ask(
    changes: dict[str, Any], expected: str
) -> None:
    made = RUNS["retried"]()
    made.commands = changes.pop("commands", made.commands)
    made.update(**changes)
    assert expected == care(made)["retry"]


@pytest.mark.parametrize("state", ["complete-with-failures", "running", "complete"])
def test_what_somebody_else_executed_or_is_not_over_or_did_not_fail_is_not_offered(state: str) -> None:
    assert ("none", "") == (care(state)["retry"], care(state)["again"])


def test_a_retry_that_is_refused_says_why() -> None:
    made = RUNS["retried"]()
    asyncio.run(made.retry())
    assert "it is a picture" in made.notice
    assert not made.retry_busy


def test_whether_a_process_lives_is_said_only_when_it_is_known() -> None:
    state = replace(running(), process=ProcessInfo(4711, "build-7", alive=None))
    assert summarise(state, NOW).life.endswith("whether process 4711 lives is not known")
    assert summarise(replace(state, process=ProcessInfo(4711, alive=False)), NOW).life.endswith(
        "process 4711 is gone"
    )


def test_a_run_in_which_nothing_happens_is_a_reason_to_look_also_while_it_gives_signs_of_life() -> None:
    state = replace(running(), last_sign=NOW, last_time=NOW - 41)
    summary = summarise(state, NOW)
    assert ("last event 41 s ago · longest gap 41 s", True) == (summary.life, summary.quiet)


@pytest.mark.parametrize(
    ("typed", "limit", "wrong"),
    [
        ("", None, ""),
        ("90", 90.0, ""),
        ("0", 0.0, ""),
        ("-1", None, "0 or more"),
        ("soon", None, "number"),
        (7, None, ""),
    ],
)
def test_a_limit_is_read_as_it_was_typed(typed: object, limit: float | None, wrong: str) -> None:
    from dashboards.session.limit import read_limit

    read, problem = read_limit(typed)
    assert limit == read
    assert wrong in problem
    assert bool(wrong) == bool(problem)


# -- with a streamer ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def api(tmp_path):
    async with streamer(tmp_path) as api:
        yield api
        await live(api.streamer.url).close()


FAILURE = {"event": "failure", "item": "7", "phase": "first", "error": {"type": "ValueError"}}


async def test_a_viewer_retries_and_both_pages_know_of_it(api) -> None:
    producer = await api.started(n=5)
    await producer.send(FAILURE, {"event": "complete"})
    model = RunModel(run_id=producer.run, connection="connecting")
    RunLink(model, live(api.streamer.url), LoopPlace(), by="ana")
    await api.until(lambda: model.state is not None and model.state.is_over)
    await model.retry()
    await api.until(lambda: model.state.retried_by == (model.retry_run,))
    state = await api.state(model.retry_run)
    assert (producer.run, "ana", 5) == (state["retryOf"], state["owner"], state["parameters"]["n"])
    other = RunModel(run_id=producer.run, connection="connecting")
    RunLink(other, live(api.streamer.url), LoopPlace(), by="bob")
    await api.until(lambda: other.state is not None)
    # Of a double click the second may come after the first was answered.
    await model.retry()
    await other.retry()
    await api.until(lambda: 1 < len(model.state.retried_by))
    assert {model.retry_run, other.retry_run} == set(model.state.retried_by)
    assert 2 == len((await api.state(producer.run))["retriedBy"])
    model.close()
    other.close()


async def test_the_form_is_filled_with_the_values_of_the_run_that_is_done_again(api) -> None:
    producer = await api.started(n=5, kind="b")
    await producer.complete()
    model = StartModel(connection="connecting")
    StartLink(model, live(api.streamer.url), LoopPlace(), owner="ana", wanted="Plain", again=producer.run)
    await api.until(lambda: model.again)
    fields = {field["name"]: field["value"] for field in StartForm(model).present()["fields"]}
    assert ("Plain", "5", "1") == (model.chosen, fields["n"], fields["kind"])
    await model.start({**model.values, "n": 6}, time_limit_seconds=90.0)
    state = await api.state(model.run_id)
    assert (producer.run, "all", 6, "b", 90.0) == (
        state["retryOf"],
        state["retryItems"],
        state["parameters"]["n"],
        state["parameters"]["kind"],
        state["timeLimitSeconds"],
    )
    model.close()


async def test_a_run_that_cannot_be_done_again_leaves_the_form_as_it_is(api) -> None:
    external = await api.register()
    for run, said in ((external.run, "is not on offer"), ("nobody", "could not be read")):
        model = StartModel(connection="connecting")
        StartLink(model, live(api.streamer.url), LoopPlace(), wanted="Plain", again=run)
        await api.until(lambda model=model: model.pipelines)
        assert ("Plain", "") == (model.chosen, model.again)
        assert said in model.notice
        model.close()
