"""What a browser asks of the indicators of a page, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboards.indicators import RunsView, StartForm
from tests.dashboards.drawing import rows_drawn, view
from tests.gallery.forms import STARTS
from tests.gallery.lists import OVERVIEWS

# -- what a browser says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        None,
        3,
        [],
        {},
        {"type": 7},
        {"type": "no such"},
        {"type": "level", "level": {}},
        {"type": "page", "towards": 1},
    ],
)
@pytest.mark.parametrize("part", ["status", "buttons", "log", "failures", "percent", "phase_bar"])
def test_whatever_a_browser_sends_does_no_harm(message: Any, part: str) -> None:
    run = view("running")
    getattr(run, part).asked = json.dumps(message)
    assert "log" == run.model.tab


def test_the_reader_of_the_log_asks_the_streamer() -> None:
    run = view("running")
    run.log.receive({"type": "level", "level": "ERROR"})
    assert (["ERROR"], "ERROR") == ([line.level for line in run.model.log.lines], run.model.level)
    run.log.receive({"type": "search", "search": "nothing like it"})
    assert () == run.model.log.lines


def test_a_reader_who_scrolls_up_is_left_in_peace() -> None:
    run = view("many-lines")
    run.log.receive({"type": "follow", "following": False})
    run.log.receive({"type": "older"})
    assert (False, 2301, True) == (
        run.model.following,
        run.model.log.lines[0].offset,
        run.model.log.has_newer,
    )


def test_the_next_failed_items_are_asked_for() -> None:
    run = view("complete-with-failures")
    run.failures.receive({"type": "page", "towards": "newer"})
    state = run.failures.present()
    assert (50, 10, True, False) == (state["first"], len(state["items"]), state["older"], state["newer"])


def test_a_cancel_that_does_not_work_is_said() -> None:
    run = view("running")
    run.buttons.receive({"type": "cancel"})
    assert ("notice", "ask") == (run.notice.present()["kind"], run.buttons.present()["cancel"])


def test_a_form_that_is_wrong_is_not_sent() -> None:
    start = StartForm(STARTS["form"]())
    start.receive({"type": "start", "pipeline": "ImportPrices", "values": {"repeat": "many"}})
    assert {"repeat": "Expected a whole number."} == start.present()["errors"]


def test_a_form_that_is_not_the_one_its_reader_turned_to_is_not_sent() -> None:
    start = StartForm(STARTS["form"]())
    seen = start.model.chosen
    start.receive({"type": "choose", "name": "AuditFolder"})
    start.receive({"type": "start", "pipeline": seen, "values": {"repeat": "many"}})
    state = start.present()
    assert ("AuditFolder", {}, False) == (state["chosen"], state["errors"], state["busy"])


def test_what_the_streamer_refuses_is_said_at_the_field() -> None:
    start = StartForm(STARTS["form"]())
    start.receive({"type": "start", "pipeline": "ImportPrices", "values": {"repeat": "2", "source": "/no"}})
    state = start.present()
    assert ({"source"}, "/no", False) == (set(state["errors"]), state["fields"][0]["value"], state["busy"])


def test_the_list_is_filtered_as_its_reader_says() -> None:
    runs = RunsView(OVERVIEWS["some"]())
    runs.table.receive({"type": "choose", "search": "audit"})
    assert ["Audit folder"] == [row["title"] for row in rows_drawn(runs)]


def test_a_list_is_sorted_and_its_choices_are_left_at_once() -> None:
    runs = RunsView(OVERVIEWS["some"]())
    runs.table.receive({"type": "choose", "sort": "-failed"})
    failed = [row["failed"] for row in rows_drawn(runs)]
    assert ["57", "3"] == failed[:2]
    runs.table.receive({"type": "choose", "owner": "ci", "title": "nothing", "status": "failures"})
    assert [] == rows_drawn(runs)
    runs.table.receive({"type": "clear"})
    assert 5 == len(rows_drawn(runs))
    assert "-created" == runs.model.sort


def test_scripts_are_offered_by_title_beside_pipelines_and_owners() -> None:
    shown = RunsView(OVERVIEWS["some"]()).table.present()
    assert "Train the models" in shown["titles"]
    assert "AuditFolder" in shown["pipelines"]
    assert {"ci", "data-team", "ops"} <= set(shown["owners"])


def test_the_result_is_one_click_away_where_the_end_is_said() -> None:
    run = view("complete")
    run.model.update(tab="log")
    assert run.percent.present()["result"]
    run.percent.receive({"type": "result"})
    assert ("result", False) == (run.model.tab, view("failed").percent.present()["result"])


def test_a_tab_is_remembered() -> None:
    run = view("running")
    run.receive({"type": "tab", "tab": "result"})
    assert "result" == run.model.tab
