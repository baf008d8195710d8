"""The views, by the properties of their models: each part shows each state of a run, a list or an address."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from dashboards.data.feed import log_line
from dashboards.indicators import RunsView, RunView, StartForm
from dashboards.indicators.values import ROWS_SHOWN, show_value
from dashboards.pages.address import Address
from dashboards.pages.where import OfRun, OfRuns, OfStart
from dashboards.session import LogLine, RunModel, RunsModel
from streamer.model import formatting
from streamer.model.events import Bar, Entry, Logged
from streamer.model.state import PhaseState, RunState
from tests.dashboards.drawing import begun, rows_drawn, rows_of, shown, view
from tests.gallery.forms import STARTS
from tests.gallery.gallery import VIEWS
from tests.gallery.lists import OVERVIEWS, some_runs
from tests.gallery.runs import RUNS
from tests.gallery.samples import MARKUP, NOW
from tests.gallery.states import FAILURES, lines, running

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
    made = RunView(RunModel(state=state)).bars.present()
    assert [*(f"over {i}" for i in range(14, 20)), "now"] == [row["name"] for row in made["rows"]]
    assert "and 34 more" == made["more"]
    done = RunView(RunModel(state=replace(state, status="complete"))).bars.present()
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
    made = RunView(RunModel(state=replace(running(), bars=round_and_round)))
    assert {"rows": [], "more": "and 3 more"} == made.bars.present()


# -- every state of every view -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state"), [(name, state) for name, states in VIEWS.items() for state in states]
)
def test_every_view_can_be_drawn_in_every_state(name: str, state: str) -> None:
    made: Any = VIEWS[name][state]()
    drawn: Any = {RunModel: lambda: RunView(made), RunsModel: lambda: RunsView(made)}.get(
        type(made), lambda: StartForm(made)
    )()
    assert drawn.get_root().references()
    made.close()


def test_a_run_view_needs_a_run() -> None:
    with pytest.raises(TypeError, match="expected a run or its id, received 'None'"):
        RunView(None)


def test_a_view_says_what_it_expected() -> None:
    with pytest.raises(TypeError, match="received dict"):
        StartForm({})


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
        ("complete-with-failures", "Partial", "warn"),
        ("away", "Last seen running", "wait"),
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
    assert cancel == shown(state, "buttons")["cancel"]


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
    assert visible == shown(state, "details")["known"]


def test_the_page_fills_when_the_run_becomes_known() -> None:
    run = view("missing")
    run.model.update(state=running(), connection="live")
    assert (True, "") == (run.present()["known"], run.notice.present()["kind"])


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
        ("complete-with-failures", ""),
        ("failed", "in load · 3,664 of 4,812 rows"),
        ("no-phases", "212 of 336 models · 13 models/min"),
    ],
)
def test_the_line_beside_it_says_what_it_is_made_of(state: str, now: str) -> None:
    assert now == shown(state, "progress")["now"]


def test_a_run_that_is_over_says_how_it_ended_beside_the_number() -> None:
    assert "Complete, 60 of 4,812 failed" == shown("complete-with-failures", "progress")["phase"]
    assert "Failed at 63 %" == shown("failed", "progress")["phase"]


def test_segments_are_as_wide_as_their_weights_and_fill_as_they_go() -> None:
    segments = shown("running", "phases")["segments"]
    assert ([0.1, 0.7, 0.2], [1, pytest.approx(0.7614, abs=1e-4), 0]) == (
        [one["share"] for one in segments],
        [one["fill"] for one in segments],
    )


@pytest.mark.parametrize(
    ("state", "index", "kind", "mark"),
    [
        ("running", 0, "done", "✓"),
        ("failed", 1, "failed", "✕"),
        ("cancelled", 1, "stopped", "■"),
        ("skipped", 0, "skipped", "↷"),
        ("indeterminate", 0, "active", "●"),
    ],
)
def test_what_became_of_a_phase_is_not_told_by_colour_alone(
    state: str, index: int, kind: str, mark: str
) -> None:
    made = shown(state, "phases")
    assert (kind, mark) == (made["segments"][index]["kind"], made["labels"][index]["mark"])


def test_only_a_phase_without_a_total_moves() -> None:
    assert [False, True, False] == [
        one["moving"] for one in shown("indeterminate-later", "phases")["segments"]
    ]


def test_a_phase_is_named_with_weight_percent_and_time() -> None:
    details = [label["details"][0] for label in shown("running", "phases")["labels"]]
    assert ["100 % · 4 s", "weight 70 · 76 % · 24 s", "weight 20 · waiting"] == details


def test_a_run_without_phases_is_one_bar() -> None:
    made = shown("no-phases", "phases")
    assert ([(1, 0.631)], []) == ([(one["share"], one["fill"]) for one in made["segments"]], made["labels"])


def test_phases_without_any_weight_share_the_bar() -> None:
    state = replace(running(), phases=(PhaseState("a", 0), PhaseState("b", 0)))
    segments = RunView(RunModel(state=state)).phase_bar.present()["segments"]
    assert [0.5, 0.5] == [one["share"] for one in segments]


# -- throughput and numbers --------------------------------------------------------------------------------------------


def test_a_run_without_phases_shows_what_was_counted_outside_of_them() -> None:
    curve = running().phases[1].curve
    outside = PhaseState("", done=320, unit="rows", curve=curve)
    view = RunView(RunModel(state=RunState(run="r", status="running", outside=outside), now=1.0))
    shown_now = view.throughput.present()
    assert [rate for _, rate in curve.points] == list(view.throughput.source.data["rate"])
    assert ("Throughput, rows/s", formatting.took(curve.points[-1][0])) == (
        shown_now["label"],
        shown_now["span"],
    )


def test_the_throughput_of_the_phase_under_way_is_drawn() -> None:
    run = view("running")
    curve = running().phases[1].curve
    assert [rate for _, rate in curve.points] == list(run.throughput.source.data["rate"])
    assert "Throughput, rows/s" == run.throughput.present()["label"]


def test_a_finished_run_draws_its_longest_phase() -> None:
    assert "load · 36 s" == shown("complete", "throughput")["span"]


@pytest.mark.parametrize("state", ["queued", "no-phases"])
def test_nothing_is_drawn_of_what_is_not_known(state: str) -> None:
    assert not shown(state, "throughput")["known"]


def test_the_plot_begins_at_zero() -> None:
    assert 0 == view("running").throughput.figure.object.y_range.start


def test_the_numbers_of_a_run() -> None:
    cells = {cell["label"]: cell["value"] for cell in shown("running", "stats")["cells"]}
    assert {"Succeeded": "3,661", "Failed": "3", "Elapsed": "0:28", "Warnings": "5"} == cells


# -- details -----------------------------------------------------------------------------------------------------------


def test_the_tabs_count() -> None:
    assert {"log": "1,204", "failures": "3"} == shown("running", "details")["counts"]


def test_the_log_begins_with_the_lines_at_hand() -> None:
    assert [1, lines()[0].time, "INFO", "load", lines()[0].message] == begun(view("running"))[0]


def test_what_a_terminal_would_colour_is_plain_in_the_log() -> None:
    line = LogLine(1, 0.0, "INFO", "", None, "a.csv", "\x1b[1;31mred\x1b[0m as [1]")
    assert "a.csv: red as [1]" == begun(RunView(RunModel(log=[line])))[0][4]


def test_what_was_logged_beside_a_line_comes_with_it_as_text() -> None:
    event = Logged(message="read", fields={"rows": 5, "who": "ada\x1b[31m", "of": {"a": [1, None]}})
    row = begun(RunView(RunModel(log=[log_line(Entry(1, "r", 1, 0.0, event))])))[0]
    assert ["read", 'rows: 5\nwho: ada\nof: {"a":[1,null]}'] == row[4:]


def test_failed_items_come_with_their_tracebacks() -> None:
    items = view("running").failures.present()["items"]
    assert [item.item for item in FAILURES] == [item["item"] for item in items]
    assert FAILURES[0].error.traceback == items[0]["traceback"]


def test_failed_items_are_shown_from_the_state_until_a_page_is_read() -> None:
    run = RunView(RunModel(state=running()))
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


# -- the list of runs --------------------------------------------------------------------------------------------------


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


# -- where the reader is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "title", "crumbs"),
    [
        ("running", "63 % · Import prices", ["Runs", "Import prices", "7k2m"]),
        ("queued", "Queued · Import prices", ["Runs", "Import prices", "q1"]),
        ("failed", "Failed at 63 % · Import prices", ["Runs", "Import prices", "7k2m"]),
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


def test_where_the_reader_is_comes_with_what_else_changed() -> None:
    where = OfRuns(OVERVIEWS["some"](), "")
    where.model.update(status="failed")
    assert "?status=failed" == json.loads(where.content)["query"]
