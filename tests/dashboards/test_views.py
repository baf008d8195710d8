"""The views, by the properties of their models: what each state shows, and that only what changed is sent."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document
from msgspec.structs import replace

from dashboards import theme
from dashboards.feed import log_line
from dashboards.fields import read_values
from dashboards.literals import (
    FAILURES,
    MARKUP,
    NOW,
    OVERVIEWS,
    PIPELINES,
    RUNS,
    STARTS,
    VIEWS,
    lines,
    running,
    some_runs,
)
from dashboards.pages.address import Address
from dashboards.pages.where import OfRun, OfRuns, OfStart
from dashboards.session import WINDOW_LINES, LogLine, LogWindow, PipelineSpec, RunModel, RunsModel, StartModel
from dashboards.views import RunsView, RunView, StartView
from dashboards.views.base import SCRIPT, Parts, Shown, View
from dashboards.views.figures import phases_figure, throughput_figure
from dashboards.views.pace import AHEAD
from dashboards.views.progress import ProgressView
from dashboards.views.stats import StatsView
from dashboards.views.values import ROWS_SHOWN, show_value
from streamer.model import formatting
from streamer.model.events import Bar, Entry, ErrorInfo, Logged, Results
from streamer.model.state import Curve, PhaseState, RunState


def view(state: str) -> RunView:
    return RunView(model=RUNS[state]())


def shown(state: str, part: str) -> dict[str, Any]:
    present: dict[str, Any] = getattr(view(state), part).present()
    return present


# -- the bars inside a run ---------------------------------------------------------------------------------------------


def test_bars_stand_under_their_phase_and_the_bar_they_are_inside_of() -> None:
    rows = [(row["depth"], row["name"]) for row in shown("nested-bars", "bars")["rows"]]
    assert [
        (0, "validate"),
        (1, "check"),
        (0, "load"),
        (1, "epochs"),
        (2, "epoch 5"),
        (2, "epoch 6"),
    ] == rows[:6]
    assert [(2, "epoch 7"), (2, "epoch 8"), (3, "validation")] == rows[6:9]


def test_bars_that_are_over_make_room_for_those_that_are_not() -> None:
    over = [Bar(f"o{i}", None, None, f"over {i}", 1, 1, "it", "finished") for i in range(20)]
    inner = [Bar(f"i{i}", f"o{i}", None, f"inner {i}", 1, 1, "it", "finished") for i in range(20)]
    state = replace(running(), phases=(), phase=None, bars=(*over, *inner, Bar("now", None, None, "now")))
    made = RunView(model=RunModel(state=state)).bars.present()
    assert [*(f"over {i}" for i in range(14, 20)), "now"] == [row["name"] for row in made["rows"]]
    assert "and 34 more" == made["more"]
    done = RunView(model=RunModel(state=replace(state, status="complete"))).bars.present()
    assert 21 == len(done["rows"])


def test_bars_that_are_not_shown_are_counted() -> None:
    assert "and 316 more" == shown("nested-bars", "bars")["more"]
    many = shown("many-bars", "bars")
    assert (60, "and 140 more") == (len(many["rows"]), many["more"])


def test_a_bar_says_what_is_known_of_it() -> None:
    rows = {row["name"]: row for row in shown("nested-bars", "bars")["rows"]}
    assert (None, "12 samples") == (rows["validation"]["value"], rows["validation"]["text"])
    assert (33, "3 of 9 files, stopped") == tuple(
        rows[f"worker 2 {MARKUP}"][key] for key in ("value", "spoken")
    )


def test_bars_that_are_each_other_s_parent_do_not_go_round_for_ever() -> None:
    round_and_round = (Bar("a", "b", None, "a"), Bar("b", "a", None, "b"), Bar("c", "c", None, "c"))
    made = RunView(model=RunModel(state=replace(running(), bars=round_and_round)))
    assert {"rows": [], "more": "and 3 more"} == made.bars.present()


# -- every state of every view -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state"), [(name, state) for name, states in VIEWS.items() for state in states]
)
def test_every_view_can_be_drawn_in_every_state(name: str, state: str) -> None:
    made: Any = VIEWS[name][state]()
    drawn: Any = {RunModel: lambda: RunView(model=made), RunsModel: lambda: RunsView(made)}.get(
        type(made), lambda: StartView(made)
    )()
    assert drawn.component.get_root().references()
    drawn.close()


def test_a_run_view_needs_a_run_or_a_model() -> None:
    with pytest.raises(TypeError, match="received neither"):
        RunView()
    with pytest.raises(TypeError, match="received both"):
        RunView("7k2m", model=RunModel())


def test_a_view_says_what_it_expected() -> None:
    with pytest.raises(TypeError, match="received dict"):
        StartView({})  # type: ignore[arg-type] - the mistake is the test


# -- the head ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "word", "tone"),
    [
        ("queued", "Queued", "wait"),
        ("running", "Running", "accent"),
        ("stalled", "Stalled", "warn"),
        ("cancelling", "Cancelling", "warn"),
        ("cancelled", "Cancelled", "wait"),
        ("failed", "Failed", "bad"),
        ("complete", "Complete", "ok"),
    ],
)
def test_a_status_is_a_word_beside_its_colour(state: str, word: str, tone: str) -> None:
    head = shown(state, "header")
    assert (word, tone) == (head["word"], head["tone"])


@pytest.mark.parametrize(
    ("state", "life"),
    [
        ("running", "last event 2 s ago · longest gap 2 s"),
        ("acknowledged", "last event 2 s ago · longest gap 41 s · process 4711 is alive"),
        (
            "stopped",
            "no sign of life for 41 s · last event 43 s ago · longest gap 43 s · process 4711 is stopped",
        ),
        ("queued", "waiting for 41 s"),
        ("stalled", "no sign of life for 2 min 20 s · last event 2 min 20 s ago · longest gap 2 min 20 s"),
        ("complete", ""),
    ],
)
def test_the_last_sign_of_life_is_said(state: str, life: str) -> None:
    assert life == shown(state, "header")["life"]


def test_who_started_it_where_and_when() -> None:
    assert ["Started ", running().started, " by data-team", " on build-7"] == shown("running", "header")[
        "about"
    ]


@pytest.mark.parametrize(
    ("state", "cancel"),
    [
        ("running", "ask"),
        ("cancel-asked", "asked"),
        ("cancelling", "cancelling"),
        ("cancelled", "none"),
        ("literal", "disabled"),
        ("away", "disabled"),
    ],
)
def test_a_cancel_is_asked_then_acknowledged_then_over(state: str, cancel: str) -> None:
    assert cancel == shown(state, "header")["cancel"]


@pytest.mark.parametrize(
    ("state", "kind", "page"),
    [
        ("running", "", False),
        ("away", "away", False),
        ("away-at-first", "away", True),
        ("missing", "missing", True),
        ("connecting", "connecting", True),
        ("notice", "notice", False),
    ],
)
def test_what_is_wrong_with_the_connection_is_said(state: str, kind: str, page: bool) -> None:
    notice = shown(state, "notice")
    assert (kind, page) == (notice["kind"], notice["page"])


@pytest.mark.parametrize(("state", "visible"), [("missing", False), ("away-at-first", False), ("away", True)])
def test_a_run_that_is_not_known_shows_no_empty_cards(state: str, visible: bool) -> None:
    assert visible == shown(state, "header")["known"]


def test_the_page_fills_when_the_run_becomes_known() -> None:
    run = view("missing")
    run.model.update(state=running(), connection="live")
    assert (True, "") == (run.header.present()["known"], run.notice.present()["kind"])


def test_a_failed_run_shows_its_traceback() -> None:
    error = shown("failed", "error")
    assert ("tables.IntegrityError", True) == (error["type"], "line 118, in load" in error["traceback"])


# -- progress and phases -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "number", "unit", "value"),
    [
        ("running", "63", "%", 63),
        ("queued", "—", "", None),
        ("indeterminate", "12,408", "files", None),
        ("indeterminate-later", "30", "%", 30),
        ("complete", "100", "%", 100),
        ("cancelled", "63", "%", 63),
    ],
)
def test_the_number_is_true(state: str, number: str, unit: str, value: int | None) -> None:
    progress = shown(state, "progress")
    assert (number, unit, value) == (progress["number"], progress["unit"], progress["value"])


@pytest.mark.parametrize(
    ("state", "now"),
    [
        ("running", "3,664 of 4,812 rows · 128 rows/s"),
        ("indeterminate", "total not known · 1,240 files/s"),
        ("complete-with-failures", "60 of 4,812 failed"),
        ("no-phases", "212 of 336 models · 13 models/min"),
    ],
)
def test_the_line_beside_it_says_what_it_is_made_of(state: str, now: str) -> None:
    assert now == shown(state, "progress")["now"]


def columns(run: RunView) -> dict[str, Any]:
    return run.phases.present()


def test_segments_are_as_wide_as_their_weights_and_fill_as_they_go() -> None:
    data = columns(view("running"))
    assert ([0, 0.1, 0.8], [0.1, 0.8, 1.0]) == (data["left"], data["right"])
    assert [0.1, pytest.approx(0.1 + 0.7 * 0.7614, abs=1e-4), 0.8] == data["fill"]


def models(figure: str, name: str) -> list[dict[str, Any]]:
    """Return the attributes of all models of a kind in a figure's JSON."""
    found = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("name") == name:
                found.append({"id": value["id"], **value.get("attributes", {})})
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                look(inner)

    look(json.loads(figure))
    return found


def test_the_phases_are_one_figure() -> None:
    assert (1, 3, 1) == tuple(
        len(models(phases_figure(), name)) for name in ("Figure", "Quad", "ColumnDataSource")
    )


def test_a_figure_is_the_same_text_for_all_runs_and_holds_nothing_of_any() -> None:
    assert view("running").phases.figure() is view("thirty-phases").phases.figure()
    assert "validate" not in phases_figure() + throughput_figure()


@pytest.mark.parametrize(
    ("state", "index", "kind", "pattern", "mark"),
    [
        ("running", 0, "done", "blank", "✓"),
        ("failed", 1, "failed", "cross", "✕"),
        ("cancelled", 1, "stopped", "horizontal_line", "■"),
        ("skipped", 0, "skipped", "left_diagonal_line", "↷"),
        ("indeterminate", 0, "active", "right_diagonal_line", ""),
    ],
)
def test_what_became_of_a_phase_is_not_told_by_colour_alone(
    state: str, index: int, kind: str, pattern: str, mark: str
) -> None:
    run = view(state)
    data, label = columns(run), run.phases.present()["labels"][index]
    assert (kind, pattern, mark) == (data["kind"][index], data["pattern"][index], label["mark"])


def test_only_a_phase_without_a_total_moves() -> None:
    assert [False, True, False] == shown("indeterminate-later", "phases")["moving"]


def test_a_phase_is_named_with_weight_percent_and_time() -> None:
    details = [label["details"][0] for label in shown("running", "phases")["labels"]]
    assert ["100 % · 4 s", "weight 70 · 76 % · 24 s", "weight 20 · waiting"] == details


def test_a_run_without_phases_is_one_bar() -> None:
    run = view("no-phases")
    data = columns(run)
    assert ([0.0], [1.0], [0.631]) == (data["left"], data["right"], data["fill"])
    assert [] == run.phases.present()["labels"]


def test_phases_without_any_weight_share_the_bar() -> None:
    state = replace(running(), phases=(PhaseState("a", 0), PhaseState("b", 0)))
    assert [0.5, 1.0] == columns(RunView(model=RunModel(state=state)))["right"]


# -- throughput and numbers --------------------------------------------------------------------------------------------


def test_a_run_without_phases_shows_what_was_counted_outside_of_them() -> None:
    curve = running().phases[1].curve
    outside = PhaseState("", done=320, unit="rows", curve=curve)
    view = RunView(model=RunModel(state=RunState(run="r", status="running", outside=outside), now=1.0))
    shown_now = view.throughput.present()
    assert [rate for _, rate in curve.points] == shown_now["rate"]
    assert ("Throughput, rows/s", formatting.took(curve.points[-1][0])) == (
        shown_now["label"],
        shown_now["span"],
    )


def test_the_throughput_of_the_phase_under_way_is_drawn() -> None:
    run = view("running")
    curve = running().phases[1].curve
    assert [rate for _, rate in curve.points] == run.throughput.present()["rate"]
    assert "Throughput, rows/s" == run.throughput.present()["label"]


def test_a_finished_run_draws_its_longest_phase() -> None:
    assert "load · 36 s" == shown("complete", "throughput")["span"]


@pytest.mark.parametrize("state", ["queued", "no-phases"])
def test_nothing_is_drawn_of_what_is_not_known(state: str) -> None:
    assert not shown(state, "throughput")["known"]


def test_the_plot_begins_at_zero() -> None:
    ranges = models(throughput_figure(), "DataRange1d")
    assert [0] == [one["start"] for one in ranges if "start" in one]


def test_the_numbers_of_a_run() -> None:
    cells = {cell["label"]: cell["value"] for cell in shown("running", "stats")["cells"]}
    assert {"Succeeded": "3,661", "Failed": "3", "Elapsed": "0:28", "Warnings": "5"} == cells


# -- details -----------------------------------------------------------------------------------------------------------


def test_the_tabs_count() -> None:
    assert {"log": "1,204", "failures": "3"} == shown("running", "details")["counts"]


def begun(run: RunView) -> list[list[Any]]:
    """Return the log's lines with which a drawing starts."""
    rows: list[list[Any]] = json.loads(run.log.begin())["lines"]
    return rows


def test_the_log_begins_with_the_lines_at_hand() -> None:
    assert [1, lines()[0].time, "INFO", "load", lines()[0].message] == begun(view("running"))[0]


def test_what_a_terminal_would_colour_is_plain_in_the_log() -> None:
    line = LogLine(1, 0.0, "INFO", "", None, "a.csv", "\x1b[1;31mred\x1b[0m as [1]")
    assert "a.csv: red as [1]" == begun(RunView(model=RunModel(log=[line])))[0][4]


def test_what_was_logged_beside_a_line_comes_with_it_as_text() -> None:
    event = Logged(message="read", fields={"rows": 5, "who": "ada\x1b[31m", "of": {"a": [1, None]}})
    row = begun(RunView(model=RunModel(log=[log_line(Entry(1, "r", 1, 0.0, event))])))[0]
    assert ["read", 'rows: 5\nwho: ada\nof: {"a":[1,null]}'] == row[4:]


def test_failed_items_come_with_their_tracebacks() -> None:
    items = view("running").failures.present()["items"]
    assert [item.item for item in FAILURES] == [item["item"] for item in items]
    assert FAILURES[0].error.traceback == items[0]["traceback"]


def test_failed_items_are_shown_from_the_state_until_a_page_is_read() -> None:
    run = RunView(model=RunModel(state=running()))
    assert 3 == len(run.failures.present()["items"])


def test_parameters_are_a_mapping() -> None:
    rows = view("running").parameters.present()["rows"]
    assert [["source", "/data/prices.csv", False], ["batch", "500", False], ["strict", "no", False]] == rows[
        :3
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([{"a": 1}], "table"),
        ({"a": 1}, "mapping"),
        ({"n": 1, "rows": [{"a": 1}]}, "table"),
        ([1, 2], "text"),
        ("text", "text"),
        ({}, "text"),
        ([], "text"),
    ],
)
def test_a_result_is_shown_as_what_it_is(value: Any, kind: str) -> None:
    assert kind == show_value(value)["kind"]


def test_a_result_with_different_rows_has_all_their_columns() -> None:
    (table,) = show_value([{"a": 1}, {"b": "x"}])["tables"]
    assert [{"name": "a", "numeric": True}, {"name": "b", "numeric": False}] == table["columns"]
    assert [["1", "—"], ["—", "x"]] == table["rows"]


def test_a_year_is_no_quantity() -> None:
    (table,) = show_value([{"rows": 2010, "year": 2010, "user id": 12345}])["tables"]
    assert [["2,010", "2010", "12345"]] == table["rows"]


def test_the_points_of_a_column_are_aligned() -> None:
    (table,) = show_value([{"percent": 48.15}, {"percent": 60}, {"percent": None}, {"percent": -1240.5}])[
        "tables"
    ]
    assert [["48.15"], ["60.00"], ["—"], ["-1,240.50"]] == table["rows"]


def test_several_tables_stand_below_each_other_with_their_names() -> None:
    report = {
        "files": 318,
        "largest": [{"file": "a", "bytes": 9}],
        "how": {"deep": 1},
        "types": [{"type": ".py"}],
    }
    shown = show_value(report)
    assert ([["files", "318", False]], ["largest", "types"], ["how"]) == (
        shown["around"],
        [table["title"] for table in shown["tables"]],
        [row[0] for row in shown["rows"]],
    )


def test_a_list_of_names_in_a_cell_has_one_a_line() -> None:
    assert [["a.py\nb.py"]] == show_value([{"files": ["a.py", "b.py"]}])["tables"][0]["rows"]


def test_a_long_result_is_cut_and_says_so() -> None:
    (table,) = show_value([{"a": i} for i in range(ROWS_SHOWN + 1)])["tables"]
    assert (ROWS_SHOWN, "The first 200 of 201 rows.") == (len(table["rows"]), table["note"])


@pytest.mark.parametrize(
    ("state", "note"),
    [
        ("running", "The result appears here when the run is complete."),
        ("failed", "The run failed: there is no result."),
        ("cancelled", "The run was cancelled: there is no result."),
    ],
)
def test_a_result_that_is_not_there_is_explained(state: str, note: str) -> None:
    assert note == view(state).result.present()["note"]


# -- only what changed is sent -----------------------------------------------------------------------------------------


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what is told to browsers from here on, each message as its browser reads it."""
    sent: list[Any] = []
    monkeypatch.setattr(Parts, "_send_msg", lambda _self, data: sent.append(json.loads(data)))
    return sent


def drawn(state: str) -> RunView:
    """Return a run's page that a browser has drawn."""
    run = view(state)
    run.component._handle_msg({"type": "hello", "version": 0})
    return run


def further(state: RunState) -> RunState:
    """Return the state a tenth of a second later: more done, nothing else."""
    load = replace(
        state.phases[1],
        done=3677,
        progress=76.41,
        curve=Curve(state.phases[1].curve.step_seconds, (*state.phases[1].curve.points, (24.6, 131.0))),
    )
    return replace(
        state,
        phases=(state.phases[0], load, state.phases[2]),
        done=3677,
        overall_progress=63.48,
        results=Results(3674, 3),
    )


def test_a_typical_update_is_one_small_message(messages: list[Any]) -> None:
    run = drawn("running")
    run.model.advance(state=further(running()))
    (message,) = messages
    assert {
        "phases": {"fill"},
        "progress": {"now", "spoken"},
        "stats": {"cells"},
        "throughput": {"+t", "+rate"},
    } == {part: set(change) for part, change in message["parts"].items()}
    assert {} == message["news"]


def test_an_update_costs_no_change_of_a_document(messages: list[Any]) -> None:
    run, document, changes = drawn("running"), Document(), []
    document.add_root(run.component.get_root(document))
    document.on_change(changes.append)
    run.model.advance(state=further(running()))
    assert ([], 1) == (changes, len(messages))


def test_viewers_of_the_same_run_share_what_they_see(
    messages: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, later = running(), further(running())
    runs = [RunView(model=RunModel(state=state, now=NOW)) for _ in range(3)]
    presented: list[str] = []
    for kind in (ProgressView, StatsView):
        real = kind.present
        monkeypatch.setattr(
            kind, "present", lambda self, real=real: presented.append(self.part) or real(self)
        )
    for run in runs:
        run.component._handle_msg({"type": "hello", "version": 0})
        run.model.advance(state=later)
    assert (["progress", "stats"], 3) == (presented, len(messages))
    assert messages[0] == messages[1] == messages[2]


def test_a_viewer_s_own_choice_is_its_own(messages: list[Any]) -> None:
    one, other = drawn("running"), drawn("running")
    one.model.update(tab="result")
    assert [{"details": {"tab": "result"}}] == [message["parts"] for message in messages]
    assert "log" == other.details.present()["tab"]


def test_nothing_is_sent_when_nothing_changed(messages: list[Any]) -> None:
    drawn("running").model.advance(state=replace(running(), seq=1301, offset=9001))
    assert [] == messages


def test_a_second_going_by_changes_the_ages_only(messages: list[Any]) -> None:
    drawn("running").model.update(now=NOW + 1)
    assert [{"header": {"life"}, "phases": {"labels", "spoken"}, "stats": {"cells"}}] == [
        {part: set(change) for part, change in message["parts"].items()} for message in messages
    ]


def test_log_lines_are_sent_once_and_alone(messages: list[Any]) -> None:
    run = drawn("running")
    line = LogLine(7, NOW, "INFO", "", "load", None, "one more")
    run.model.advance(lines=[line])
    row = [7, NOW, "INFO", "load", "one more"]
    assert [({}, {"log": {"kind": "appended", "lines": [row]}})] == [
        (message["parts"], message["news"]) for message in messages
    ]
    assert row == begun(run)[-1]


def test_messages_are_numbered_without_a_gap(messages: list[Any]) -> None:
    run = drawn("running")
    for second in (1, 2, 3):
        run.model.update(now=NOW + second)
    assert [(0, 1), (1, 2), (2, 3)] == [(message["after"], message["version"]) for message in messages]


def test_a_browser_that_missed_a_message_is_told_all(messages: list[Any]) -> None:
    run = drawn("running")
    run.model.update(now=NOW + 1)
    run.component._handle_msg({"type": "hello", "version": 0})
    whole = messages[-1]
    assert (True, 1, set(PARTS), 6) == (
        whole["whole"],
        whole["version"],
        set(whole["parts"]),
        len(whole["news"]["log"]["lines"]),
    )


def test_until_a_browser_has_drawn_the_page_nothing_is_sent_and_its_document_is_kept_right(
    messages: list[Any],
) -> None:
    run, document = view("running"), Document()
    root = run.component.get_root(document)
    document.add_root(root)
    run.model.update(now=NOW + 1)
    text = json.loads(root.data.text)
    assert ([], 1, "0:29") == (messages, text["version"], text["parts"]["stats"]["cells"][2]["value"])


def test_a_drawing_that_begins_later_begins_with_what_is_so_then() -> None:
    run = drawn("running")
    run.model.update(now=NOW + 1)
    assert 1 == json.loads(run.component.get_root().data.text)["version"]


# -- a browser that does not keep up -----------------------------------------------------------------------------------


class Reader:
    """A page as `views.js` keeps one: what it knows after the messages that it took."""

    def __init__(self, first: str) -> None:
        self.version = -1
        self.parts: dict[str, Any] = {}
        self.lines: list[list[Any]] = []
        self.take(json.loads(first))

    def take(self, message: dict[str, Any]) -> dict[str, Any]:
        """Take a message, and return what the page says then."""
        whole = message.get("whole", False)
        if not whole and message["after"] != self.version:
            return {"type": "hello", "version": self.version}
        self.version = message["version"]
        for part, change in message["parts"].items():
            self.parts[part] = change if whole else merged(self.parts[part], change)
        news = message["news"].get("log")
        if news is not None:
            rows = news["lines"]
            joined = {
                "replaced": rows,
                "appended": [*self.lines, *rows][-WINDOW_LINES:],
                "prepended": [*rows, *self.lines][:WINDOW_LINES],
            }
            self.lines = joined[news["kind"]]
        return {"type": "seen", "version": self.version} if message["ask"] else {}


def merged(state: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    grown = {name[1:]: (*change[name],) for name in change if name.startswith("+")}
    plain = {name: value for name, value in change.items() if not name.startswith("+")}
    return state | plain | {name: [*state[name][:kept], *rest] for name, (kept, rest) in grown.items()}


def some_lines(first: int, many: int) -> list[LogLine]:
    return [
        LogLine(n, NOW, "INFO", "", "load", None, f"line {n} ".ljust(200, "x"))
        for n in range(first, first + many)
    ]


def test_a_browser_that_takes_nothing_is_told_no_more_until_it_does_and_then_all_at_once(
    messages: list[Any],
) -> None:
    run = drawn("running")
    for first in range(1000, 6000, 100):
        run.model.advance(state=replace(running(), seq=first), lines=some_lines(first, 100))
    assert 2 * AHEAD > sum(len(json.dumps(message)) for message in messages)
    told = len(messages)
    run.component._handle_msg({"type": "seen", "version": messages[-1]["version"]})
    assert told + 1 == len(messages)
    news = messages[-1]["news"]["log"]
    assert ("appended", 5500, 5999) == (news["kind"], news["lines"][0][0], news["lines"][-1][0])


@pytest.mark.parametrize("seed", range(5))
def test_however_slow_a_browser_is_it_comes_to_know_what_is_shown(messages: list[Any], seed: int) -> None:
    rng, run = random.Random(seed), drawn("running")
    reader, model = Reader(run.component.board.whole()), run.model
    newest = oldest = 10_000
    for _ in range(80):
        match rng.choice((*["lines"] * 5, "older", "state", "window", "second", "take", "draw")):
            case "lines":
                many = rng.randint(1, 60)
                model.advance(state=further(model.state), lines=some_lines(newest, many))
                newest += many
            case "older":
                many = rng.randint(1, 50)
                oldest -= many
                model._prepend(LogWindow(tuple(some_lines(oldest, many)), has_older=True))
            case "state":
                model.advance(state=replace(model.state, overall_progress=rng.uniform(0, 100)))
            case "window":
                model.show_log(LogWindow(tuple(some_lines(newest, 40))))
                oldest, newest = newest, newest + 40
            case "second":
                model.update(now=model.now + 1)
            case "take" if messages:
                say(run, reader.take(messages.pop(0)))
            case "draw" if rng.random() < 0.2:
                run.component.get_root()
    while messages:
        say(run, reader.take(messages.pop(0)))
    whole = Reader(run.component.board.whole())
    assert (whole.version, whole.parts, whole.lines) == (reader.version, reader.parts, reader.lines)


def say(run: RunView, said: dict[str, Any]) -> None:
    if said:
        run.component._handle_msg(said)


@pytest.mark.parametrize("version", [None, "1", 10**30, -1, True, [1]])
def test_whatever_a_browser_says_to_have_seen_the_page_goes_on(messages: list[Any], version: Any) -> None:
    run = drawn("running")
    run.model.advance(lines=some_lines(1000, 500))
    run.component._handle_msg({"type": "seen", "version": version})
    run.component._handle_msg({"type": "seen", "version": 1})
    run.model.update(now=NOW + 1)
    assert 2 == messages[-1]["version"]


def test_only_the_rows_that_changed_are_sent(messages: list[Any]) -> None:
    rows = some_runs()
    runs = RunsView(RunsModel(rows=rows, now=NOW))
    runs.component._handle_msg({"type": "hello", "version": 0})
    runs.model.update(rows=(replace(rows[0], overall_progress=70.0), *rows[1:]))
    data = messages[-1]["news"]["runs"]
    assert (["70 %"], None) == ([row["progress"] for row in data["rows"]], data["order"])


def test_a_new_run_is_sent_with_the_order(messages: list[Any]) -> None:
    rows = some_runs()
    runs = RunsView(RunsModel(rows=rows, now=NOW))
    runs.component._handle_msg({"type": "hello", "version": 0})
    runs.model.update(rows=(replace(rows[0], run="new"), *rows))
    data = messages[-1]["news"]["runs"]
    assert (["new"], ["new", *(row.run for row in rows)]) == (
        [row["run"] for row in data["rows"]],
        data["order"],
    )


def test_a_curve_that_was_thinned_out_is_sent_anew(messages: list[Any]) -> None:
    run = drawn("running")
    phase = running().phases[1]
    thinned = replace(phase, curve=Curve(2.0, phase.curve.points[::2]))
    run.model.advance(state=replace(running(), phases=(running().phases[0], thinned, running().phases[2])))
    assert len(thinned.curve.points) == len(messages[-1]["parts"]["throughput"]["rate"])


def test_a_phase_that_joins_is_drawn(messages: list[Any]) -> None:
    run = drawn("running")
    run.model.advance(state=replace(running(), phases=(*running().phases, PhaseState("late", 100))))
    change = messages[-1]["parts"]["phases"]
    assert (4, 4) == (len(change["left"]), len(change["labels"]))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], {"+x": [5, [6]]}),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9, 6], {"+x": [4, [9, 6]]}),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"+x": [4, [9]]}),
        ([1, 2, 3, 4, 5], [0, 2, 3, 4, 5, 6], {"x": [0, 2, 3, 4, 5, 6]}),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], {"x": [1, 2, 3, 4]}),
        ([1], [1, 2], {"x": [1, 2]}),
        ([1, 2], [1, 2], None),
    ],
)
def test_of_a_list_that_grew_only_its_end_is_sent(
    before: list[int], after: list[int], change: dict[str, Any] | None
) -> None:
    said = Shown({"x": after, "same": "text"}).since(Shown({"x": before, "same": "text"}))
    assert change == (json.loads(said) if said else None)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what a reader asks for before going on; a session would run it on its loop."""
    monkeypatch.setattr(type(pn.state), "execute", lambda _state, action, **_: asyncio.run(action()))


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
@pytest.mark.parametrize("part", ["header", "details", "log", "failures", "no such", {}, None])
def test_whatever_a_browser_sends_does_no_harm(message: Any, part: Any, at_once: None) -> None:
    run = view("running")
    run.component._handle_msg({**message, "part": part} if isinstance(message, dict) else message)
    assert "log" == run.model.tab


def test_the_reader_of_the_log_asks_the_streamer(at_once: None) -> None:
    run = view("running")
    run.log.receive({"type": "level", "level": "ERROR"})
    assert (["ERROR"], "ERROR") == ([line.level for line in run.model.log.lines], run.model.level)
    run.log.receive({"type": "search", "search": "nothing like it"})
    assert () == run.model.log.lines


def test_a_reader_who_scrolls_up_is_left_in_peace(at_once: None) -> None:
    run = view("many-lines")
    run.log.receive({"type": "follow", "following": False})
    run.log.receive({"type": "older"})
    assert (False, 2301, True) == (
        run.model.following,
        run.model.log.lines[0].offset,
        run.model.log.has_newer,
    )


def test_the_next_failed_items_are_asked_for(at_once: None) -> None:
    run = view("complete-with-failures")
    run.failures.receive({"type": "page", "towards": "newer"})
    state = run.failures.present()
    assert (50, 10, True, False) == (state["first"], len(state["items"]), state["older"], state["newer"])


def test_a_cancel_that_does_not_work_is_said(at_once: None) -> None:
    run = view("running")
    run.header.receive({"type": "cancel"})
    assert ("notice", "ask") == (run.notice.present()["kind"], run.header.present()["cancel"])


def test_a_form_that_is_wrong_is_not_sent(at_once: None) -> None:
    start = StartView(STARTS["form"]())
    start.form.receive({"type": "start", "pipeline": "ImportPrices", "values": {"repeat": "many"}})
    assert {"repeat": "Expected a whole number."} == start.form.present()["errors"]


def test_a_form_that_is_not_the_one_its_reader_turned_to_is_not_sent(at_once: None) -> None:
    start = StartView(STARTS["form"]())
    seen = start.model.chosen
    start.form.receive({"type": "choose", "name": "AuditFolder"})
    start.form.receive({"type": "start", "pipeline": seen, "values": {"repeat": "many"}})
    state = start.form.present()
    assert ("AuditFolder", {}, False) == (state["chosen"], state["errors"], state["busy"])


def test_what_the_streamer_refuses_is_said_at_the_field(at_once: None) -> None:
    start = StartView(STARTS["form"]())
    start.form.receive(
        {"type": "start", "pipeline": "ImportPrices", "values": {"repeat": "2", "source": "/no"}}
    )
    state = start.form.present()
    assert ({"source"}, "/no", False) == (set(state["errors"]), state["fields"][0]["value"], state["busy"])


def test_the_list_is_filtered_as_its_reader_says(at_once: None) -> None:
    runs = RunsView(OVERVIEWS["some"]())
    runs.table.receive({"type": "search", "search": "audit"})
    assert ["Audit folder"] == [row["title"] for row in rows_drawn(runs)]


def test_a_browser_that_has_all_there_is_is_sent_nothing(messages: list[Any]) -> None:
    drawn("running")
    assert [] == messages


def test_the_result_is_one_click_away_where_the_end_is_said() -> None:
    run = view("complete")
    run.model.update(tab="log")
    assert run.progress.present()["result"]
    run.progress.receive({"type": "result"})
    assert ("result", False) == (run.model.tab, view("failed").progress.present()["result"])


def test_a_tab_is_remembered() -> None:
    run = view("running")
    run.details.receive({"type": "tab", "tab": "result"})
    assert "result" == run.model.tab


# -- the list of runs --------------------------------------------------------------------------------------------------


def rows_drawn(runs: RunsView) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(runs.table.begin())["rows"]
    return rows


def rows_of(state: str) -> list[dict[str, Any]]:
    return rows_drawn(RunsView(OVERVIEWS[state]()))


def test_a_row_says_what_the_list_is_for() -> None:
    row = rows_of("some")[0]
    assert ("Import prices", "data-team · build-7 · 7k2m", "Running", "63 %", "load", "0:28", "3") == tuple(
        row[key] for key in ("title", "about", "word", "progress", "phase", "elapsed", "failed")
    )


def test_a_row_says_which_notebook_it_came_from_unless_its_title_does() -> None:
    assert "data-team · laptop-12 · n3tq · train.ipynb" == rows_of("some")[2]["about"]
    named = replace(some_runs()[2], title="train.ipynb")
    rows = rows_drawn(RunsView(RunsModel(rows=(named,), now=NOW)))
    assert "data-team · laptop-12 · n3tq" == rows[0]["about"]


def test_a_row_leads_to_its_run_whatever_its_id() -> None:
    state = replace(running(), run='a&b"#<c>')
    runs = RunsView(RunsModel(rows=(state,), now=NOW), run_href="?run={}")
    assert "?run=a%26b%22%23%3Cc%3E" == rows_drawn(runs)[0]["href"]


def test_an_empty_list_says_how_to_start() -> None:
    state = RunsView(OVERVIEWS["empty"]()).table.present()
    assert (True, False) == (state["empty"], state["filtered"])
    assert "streamer.track(" in state["snippet"]


def test_the_runs_are_counted() -> None:
    assert (
        "2 running · 1 queued · 38 in the last week"
        == RunsView(OVERVIEWS["some"]()).table.present()["counts"]
    )


# -- the start form ----------------------------------------------------------------------------------------------------


def fields(state: str) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in StartView(STARTS[state]()).form.present()["fields"]}


def test_a_field_is_made_from_its_schema() -> None:
    made = fields("form")
    assert {
        "source": "path",
        "database": "path",
        "repeat": "integer",
        "since": "date",
        "on_duplicate": "choice",
        "strict": "boolean",
        "time-limit": "number",
    } == {name: field["kind"] for name, field in made.items()}
    assert ("1 to 100", True, "1") == (
        made["repeat"]["hint"],
        made["repeat"]["required"],
        made["repeat"]["value"],
    )
    assert (["skip", "replace", "fail"], "0") == (
        made["on_duplicate"]["choices"],
        made["on_duplicate"]["value"],
    )


def names_field(default: list[str]) -> PipelineSpec:
    schema = {"type": "array", "items": {"type": "string"}, "default": default}
    return PipelineSpec("P", schema={"properties": {"skip": schema}})


def test_a_list_of_names_is_written_one_a_line() -> None:
    start = StartView(StartModel(pipelines=(names_field(["a", "b"]),), chosen="P"))
    field, _limit = start.form.present()["fields"]
    assert ("lines", "a\nb", "one a line") == (field["kind"], field["value"], field["hint"])


@pytest.mark.parametrize(
    ("default", "typed", "values"),
    [
        (["a"], " x \n\ny", {"skip": ["x", "y"]}),
        (["a"], "", {"skip": []}),
        ([], "", {}),
    ],
)
def test_lines_are_read_as_a_list(default: list[str], typed: str, values: dict[str, Any]) -> None:
    assert (values, {}) == read_values(names_field(default).schema, {"skip": typed})


@pytest.mark.parametrize(("field", "notice"), [("skip", ""), ("other", "One of the parameters was refused.")])
def test_what_is_said_at_a_field_is_not_said_again(field: str, notice: str) -> None:
    model = StartModel(pipelines=(names_field([]),), chosen="P", errors={field: "wrong"})
    model.update(notice="One of the parameters was refused.")
    assert notice == StartView(model).form.present()["notice"]


def test_what_is_wrong_is_said_at_the_field() -> None:
    assert {"source", "repeat"} == set(StartView(STARTS["errors"]()).form.present()["errors"])


@pytest.mark.parametrize(
    ("raw", "values", "wrong"),
    [
        ({"repeat": "7"}, {"repeat": 7}, {}),
        ({"repeat": ""}, {}, {"repeat": "This is required."}),
        ({"repeat": "x"}, {"repeat": "x"}, {"repeat": "Expected a whole number."}),
        ({"repeat": "101"}, {"repeat": "101"}, {"repeat": "At most 100."}),
        ({"repeat": "0"}, {"repeat": "0"}, {"repeat": "At least 1."}),
        ({"repeat": "1", "strict": True}, {"repeat": 1, "strict": True}, {}),
        ({"repeat": "1", "on_duplicate": "2"}, {"repeat": 1, "on_duplicate": "fail"}, {}),
        (
            {"repeat": "1", "on_duplicate": "9"},
            {"repeat": 1, "on_duplicate": "9"},
            {"on_duplicate": "Choose one of those on offer."},
        ),
        ({"repeat": "1", "unknown": "x"}, {"repeat": 1}, {}),
        ({"repeat": {"a": 1}}, {"repeat": {"a": 1}}, {"repeat": "Expected a whole number."}),
    ],
)
def test_what_was_typed_is_read(raw: dict[str, Any], values: dict[str, Any], wrong: dict[str, str]) -> None:
    assert (values, wrong) == read_values(PIPELINES[0].schema, raw)


def test_a_number_need_not_be_whole_and_json_is_read() -> None:
    values, wrong = read_values(PIPELINES[2].schema, {"delay": "0.5", "options": '{"b": [1]}'})
    assert ({"delay": 0.5, "options": {"b": [1]}}, {}) == (values, wrong)


def test_json_that_is_none_is_refused() -> None:
    assert {"options"} == set(read_values(PIPELINES[2].schema, {"options": "{"})[1])


def test_a_choice_may_be_none_at_all() -> None:
    spec = PipelineSpec(
        "P", schema={"properties": {"how": {"enum": ["a", None], "type": ["string", "null"]}}}
    )
    model = StartModel(pipelines=(spec,))
    field, _limit = StartView(model).form.present()["fields"]
    assert (["a", "none"], "") == (field["choices"], field["value"])
    assert ({"how": None}, {}) == read_values(spec.schema, {"how": "1"})


def test_a_form_without_a_streamer_says_why_it_cannot_start() -> None:
    assert "There is no streamer here" in StartView(STARTS["literal"]()).form.present()["disabled"]


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (formatting.done_of(1_250_000, 4_812_000_000, "bytes"), "0.0 of 4.8 GB"),
        (formatting.done_of(3664, None, "rows"), "3,664 rows"),
        (formatting.amount(999, "B"), "999 B"),
        (formatting.amount(1_500_000, "bytes"), "1.5 MB"),
        (formatting.rate(0.2, "files"), "12 files/min"),
        (formatting.rate(0.001, "files"), "3.6 files/h"),
        (formatting.rate(1.5, ""), "1.5/s"),
        (formatting.rate(None, "rows"), ""),
        (formatting.rate(float("nan"), "rows"), ""),
        (formatting.rate(2_000_000, "bytes"), "2.0 MB/s"),
        (formatting.clock(4329), "1:12:09"),
        (formatting.clock(None), "—"),
        (formatting.clock(187_445), "2 d 4:04:05"),
        (formatting.duration(130), "2 min 10 s"),
        (formatting.took(0.42), "0.4 s"),
        (formatting.took(0.01), "0.1 s"),
        (formatting.took(4.6), "4 s"),
        (formatting.clock(0.42), "0.4 s"),
        (formatting.duration(3600), "1 h"),
        (formatting.ago(0.4), "just now"),
        (formatting.percent(99.99), "99 %"),
        (formatting.count(2.5), "2.5"),
    ],
)
def test_numbers_are_written_for_people(said: str, expected: str) -> None:
    assert expected == said


# -- where the reader is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "title", "crumbs"),
    [
        ("running", "63 % Import prices", ["Runs", "Import prices", "7k2m"]),
        ("queued", "Queued Import prices", ["Runs", "Import prices", "q1"]),
        ("failed", "Failed Import prices", ["Runs", "Import prices", "7k2m"]),
        ("missing", "No such run · Streamer", ["Runs", "no-such-run"]),
        ("away-at-first", "Streamer away · Streamer", ["Runs", "7k2m"]),
    ],
)
def test_the_bar_says_where_the_reader_of_a_run_is(state: str, title: str, crumbs: list[str]) -> None:
    where = OfRun(RUNS[state](), "ana").present()
    assert (title, crumbs, "ana") == (where["title"], [text for text, _ in where["crumbs"]], where["owner"])


def test_what_a_reader_chose_is_in_the_address() -> None:
    run = RUNS["running"]()
    run.update(level="ERROR", tab="failures", retry_run="n/3")
    where = OfRun(run, "").present()
    assert ("?run=7k2m&level=ERROR&tab=failures", "?run=n%2F3") == (where["query"], where["go"])


def test_the_window_of_the_list_says_how_many_runs_are_under_way() -> None:
    assert "2 running · Streamer" == OfRuns(OVERVIEWS["some"](), "").present()["title"]


def test_the_form_leads_to_the_run_that_it_started() -> None:
    form = STARTS["form"]()
    where = OfStart(form, "", Address(start="Count"))
    assert ("?start=ImportPrices", "") == (where.present()["query"], where.present()["go"])
    form.update(run_id="n3tq")
    assert "?run=n3tq" == where.present()["go"]


def test_where_the_reader_is_comes_with_what_else_changed(messages: list[Any]) -> None:
    model = RUNS["running"]()
    run = RunView(model=model, where=OfRun(model, ""))
    run.component._handle_msg({"type": "hello", "version": 0})
    model.update(tab="failures")
    (message,) = messages
    assert {"details", "where"} == set(message["parts"])
    assert {"query": "?run=7k2m&tab=failures"} == message["parts"]["where"]


# -- the script --------------------------------------------------------------------------------------------------------


#: The parts of a run's page.
PARTS = (
    *("notice", "header", "care", "error", "progress", "phases", "bars", "throughput", "stats"),
    *("log", "failures", "parameters", "result", "details"),
)


def test_the_script_has_every_part_and_its_component() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    parts = re.search(r"const PARTS = \{(.*?)\n\}", script, re.DOTALL)
    assert parts
    named = {one.part for one in View.__subclasses__() if one.__module__.startswith("dashboards.")}
    assert named == set(re.findall(r"(\w+):", parts[1]))
    assert f"export default {{{Parts.__name__}}}" in script


def test_a_part_can_be_shown_alone() -> None:
    alone = pn.panel(view("running").progress)
    assert (["progress"], "progress") == (list(json.loads(alone.board.whole())["parts"]), alone.arrangement)


def test_the_script_has_the_palettes_of_the_theme() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    found = []
    for name in ("light", "dark"):
        block = re.search(rf"{name}: {{(.*?)}}", script, re.DOTALL)
        assert block
        found.append(dict(re.findall(r'"([\w-]+)": "(#\w+)"', block[1])))
    assert [theme.LIGHT, theme.DARK] == found


def test_the_script_makes_no_markup_of_data_and_loads_nothing() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "import ",
        "https://",
    )
    assert [] == [word for word in forbidden if word in script]


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("ink", "paper"), ("ink", "bg"), ("soft", "paper"), ("soft", "bg"), ("accent", "paper"), ("ok", "paper"),
        ("warn", "paper"), ("bad", "paper"), ("on-accent", "accent"),
    ],
)  # fmt: skip
def test_every_ink_can_be_read_on_its_ground(palette: dict[str, str], ink: str, ground: str) -> None:
    assert _contrast(palette[ink], palette[ground]) >= 4.5


def test_markup_stays_text_on_its_way_to_the_browser() -> None:
    run = view("markup")
    assert (MARKUP, MARKUP) == (run.header.present()["title"], run.error.present()["type"])
    assert MARKUP in json.dumps(begun(run), ensure_ascii=False).replace('\\"', '"')


def test_an_error_without_words_still_has_a_name() -> None:
    state = replace(running(), status="failed", error=None, message="the process was killed")
    error = RunView(model=RunModel(state=state)).error.present()
    assert ("Failed", "the process was killed") == (error["type"], error["message"])
    assert ErrorInfo("") != state.error


def test_the_views_need_no_file_but_the_script() -> None:
    assert {"views.js"} == {
        path.name for path in Path(SCRIPT).parent.iterdir() if path.suffix in (".js", ".css")
    }


def test_a_window_larger_than_its_bound_is_cut() -> None:
    model = RunModel()
    model.show_log(LogWindow(lines(900)))
    assert 500 == len(model.log.lines)


def test_an_empty_source_has_what_a_range_needs() -> None:
    assert [0.0] == RunView(model=RunModel()).throughput.present()["rate"]


def test_a_description_s_lines_are_joined_and_its_lists_kept():
    doc = "Load prices.\n\nEvery row is\nchecked.\n\nSteps:\n  - one\n  - two"
    assert "Load prices.\n\nEvery row is checked.\n\nSteps:\n  - one\n  - two" == formatting.paragraphs(doc)
