"""The indicators by the properties of their Bokeh models: what they show of a run, and what a browser may ask."""

from __future__ import annotations

import json
from typing import Any

import panel as pn
import pytest
from msgspec.structs import replace

from dashboards import indicators
from dashboards.indicators import (
    Counts,
    LogTable,
    Notice,
    Percent,
    PhaseBar,
    RunControls,
    RunsTable,
    RunView,
    StartForm,
    Status,
    Throughput,
    Values,
)
from dashboards.indicators.base import Indicator
from dashboards.models import Run
from dashboards.session import LogLine, RunModel
from tests.gallery import forms, gallery, lists, models, states

OF_RUN = [
    getattr(indicators, name)
    for name in indicators.__all__
    if issubclass(RunModel, getattr(indicators, name).model_class)
]


def running() -> RunModel:
    return models.model(states.running(), states.lines(), states.FAILURES)


def shown(indicator: Indicator) -> Any:
    """Return what a browser is told, as it reads it."""
    return json.loads(indicator.get_root().data.content)


def ask(indicator: Indicator, **message: Any) -> None:
    indicator.asked = json.dumps(message)


@pytest.mark.parametrize("of", OF_RUN)
def test_each_is_one_component_that_keeps_its_layout(of: type[Indicator]) -> None:
    made = of(running(), width=321, margin=7, styles={"opacity": "0.5"}, visible=False)
    root = made.get_root()
    assert (321, 7, {"opacity": "0.5"}, False) == (root.width, root.margin, root.styles, root.visible)
    assert of.script == root.class_name


@pytest.mark.parametrize("of", OF_RUN)
def test_each_has_a_state_for_a_run_that_is_not_known(of: type[Indicator]) -> None:
    assert shown(of(RunModel(run_id="none", connection="connecting")))


@pytest.mark.parametrize("of", OF_RUN)
def test_each_parameter_of_an_indicator_is_documented(of: type[Indicator]) -> None:
    own = [name for name, owner in ((n, of.param[n].owner) for n in of.param) if issubclass(owner, Indicator)]
    assert [] == [name for name in own if name != "name" and not of.param[name].doc]


@pytest.mark.parametrize("name", sorted(gallery.VIEWS["run"]))
def test_a_page_of_each_state_is_drawn_without_an_error(name: str) -> None:
    assert shown(RunView(gallery.VIEWS["run"][name]()))


def test_an_indicator_takes_a_model_and_nothing_else() -> None:
    with pytest.raises(TypeError, match="expected a RunModel, received str"):
        Percent("d5xhfvxyj4")


def test_the_percentage_is_a_parameter_that_can_be_bound() -> None:
    model = running()
    percent = Percent(model)
    model.update(state=replace(model.state, overall_progress=71.9))
    assert (71, "71") == (percent.value, shown(percent)["number"])


def test_phases_are_as_wide_as_their_weights() -> None:
    assert [0.1, 0.7, 0.2] == [segment["share"] for segment in shown(PhaseBar(running()))["segments"]]


def test_the_numbers_are_those_of_the_state() -> None:
    cells = shown(Counts(running()))["cells"]
    assert ["3,661", "3", "5"] == [cells[0]["value"], cells[1]["value"], cells[3]["value"]]


def test_the_head_says_that_the_connection_is_lost() -> None:
    model = running()
    head = Status(model)
    model.update(connection="away")
    said = shown(head)
    assert ("Last seen running", False, "wait") == (
        said["word"],
        said["live"],
        said["tone"],
    )
    assert said["life"].startswith("no connection to the streamer")


def test_nothing_can_be_cancelled_while_the_streamer_is_away() -> None:
    model = running()
    buttons = RunControls(model)
    assert "ask" == shown(buttons)["cancel"]
    model.update(connection="away")
    assert ("disabled", "The streamer is away.") == (shown(buttons)["cancel"], shown(buttons)["why"])


def test_a_reader_s_cancel_reaches_the_run() -> None:
    model = running()
    ask(RunControls(model), type="cancel", number=1)
    assert model.notice.startswith("Cancel did not go through")


def test_what_is_no_message_is_ignored() -> None:
    model = running()
    buttons = RunControls(model)
    for text in ("", "{", "[]", '{"type": 1}', '{"type": "unknown"}'):
        buttons.asked = text
    assert "" == model.notice


def test_a_log_table_tells_only_new_lines() -> None:
    model = running()
    log = LogTable(model)
    assert json.loads(log.news)["whole"]
    model.advance(lines=[LogLine(99_999, 1.0, "INFO", "", None, None, "the newest")])
    news = json.loads(log.news)
    assert (1, 0, ["the newest"]) == (news["version"], news["after"], [line[4] for line in news["lines"]])


def test_a_drawing_that_begins_later_has_the_whole_log() -> None:
    model = running()
    log = LogTable(model)
    model.advance(lines=[LogLine(99_999, 1.0, "INFO", "", None, None, "the newest")])
    news = json.loads(log.get_root().data.news)
    assert (True, 1, "the newest") == (news["whole"], news["version"], news["lines"][-1][4])


def test_a_search_of_a_reader_is_the_run_s() -> None:
    model = running()
    ask(LogTable(model), type="search", search="GOOG", number=1)
    assert ("GOOG", True) == (model.search, all("GOOG" in line.message for line in model.log.lines))


def test_the_figure_is_streamed_to() -> None:
    model = running()
    plot = Throughput(model)
    before = len(plot.source.data["t"])
    load = model.state.phases[1]
    curve = replace(load.curve, points=(*load.curve.points, (25.0, 99.0)))
    phases = (model.state.phases[0], replace(load, curve=curve), model.state.phases[2])
    model.update(state=replace(model.state, phases=phases))
    assert (before + 1, 99.0) == (len(plot.source.data["t"]), plot.source.data["rate"][-1])


def test_the_result_is_shown_where_it_is_asked_for() -> None:
    model = gallery.VIEWS["run"]["complete"]()
    assert "table" == shown(Values(model, of="result"))["kind"]


def test_a_run_that_does_not_exist_is_said_to_be_missing() -> None:
    notice = shown(Notice(RunModel(run_id="nosuch", connection="missing")))
    assert ("No such run", "nosuch") == (notice["title"], notice["code"])


def test_only_rows_that_changed_are_sent() -> None:
    model = lists.runs_model(lists.some_runs())
    table = RunsTable(model)
    rows = tuple(replace(row, owner="new") if i == 0 else row for i, row in enumerate(model.rows))
    model.update(rows=rows)
    assert [model.rows[0].run] == [row["run"] for row in json.loads(table.news)["rows"]]


def test_a_form_has_the_fields_of_its_pipeline() -> None:
    names = [field["name"] for field in shown(StartForm(forms.start_model()))["fields"]]
    assert ["source", "time-limit"] == [names[0], names[-1]]


def test_what_viewers_see_alike_is_one_text() -> None:
    state = states.running()
    one, other = (Percent(models.model(state)) for _ in range(2))
    assert one.content is other.content


def test_the_models_name_no_host_of_the_internet() -> None:
    assert {} == Percent(running()).get_root().importmap


def test_a_closed_run_changes_nothing_any_more() -> None:
    model = running()
    percent = Percent(model)
    state = model.state
    model.close()
    model.param.update(state=replace(state, overall_progress=99.0))
    assert 63 == shown(percent)["value"]


def test_the_parameters_of_a_run_are_those_of_its_state() -> None:
    run = Run(state=states.running())
    said = (run.status, run.progress, run.phase, run.done, run.total, run.unit, run.failed, run.outcome)
    assert ("running", 63, "load", 3664, 4812, "rows", 3, None) == said


def test_a_run_can_be_watched_and_bound() -> None:
    run = Run(state=states.running())
    seen: list[Any] = []
    run.param.watch(lambda event: seen.append(event.new), "progress")
    bound = pn.bind(lambda progress: f"{progress} %", run.param.progress)
    run.update(state=replace(run.state, overall_progress=80.0))
    assert ([80], "80 %") == (seen, bound())


def test_a_run_needs_an_id_or_a_state() -> None:
    with pytest.raises(TypeError, match="expected a run's id"):
        Run()


def test_once_a_browser_has_loaded_the_page_each_indicator_sends_its_content_again():
    model = running()
    made = [Percent(model), Throughput(model)]
    before = [(indicator.get_root().data.content, json.loads(indicator.content)) for indicator in made]
    made[1].source.data = {"t": [], "rate": []}  # the browser missed the curve
    model.update(loaded=1)
    for indicator, (text, said) in zip(made, before, strict=True):
        assert text != indicator.content
        assert said == json.loads(indicator.content)
    assert len(made[1].source.data["t"]) > 1
