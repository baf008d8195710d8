"""An indicator in a notebook's cell: a widget of the same script, which follows it and asks it."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from dashboards.indicators import Counts, LogTable, Percent, RunControls, RunView, Throughput
from dashboards.indicators.bundle import module
from dashboards.indicators.widget import bundle_of, static_text, widget_of
from dashboards.session import RunModel
from tests.gallery.models import model as made
from tests.gallery.samples import MARKUP
from tests.gallery.states import FAILURES, lines, running


def model() -> RunModel:
    return made(running(), lines(), FAILURES)


def test_a_widget_has_the_indicator_s_script_and_text() -> None:
    indicator = Percent(model())
    widget = widget_of(indicator)
    assert (module("Percent"), indicator.content) == (str(widget._esm), widget.content)


def test_a_widget_follows_its_indicator_until_the_run_is_closed() -> None:
    indicator = Percent(model())
    widget = widget_of(indicator)
    indicator.model.update(state=replace(running(), overall_progress=80.0))
    assert 80 == json.loads(widget.content)["value"]
    indicator.model.close()
    indicator.content = "{}"
    assert 80 == json.loads(widget.content)["value"]


def test_a_reader_of_a_widget_asks_the_run() -> None:
    indicator = RunControls(model())
    widget_of(indicator).asked = json.dumps({"type": "cancel", "number": 1})
    assert indicator.model.notice.startswith("Cancel did not go through")


def test_a_widget_has_the_log_s_news() -> None:
    widget = widget_of(LogTable(model()))
    assert json.loads(widget.news)["whole"]


def test_a_curve_of_a_widget_has_the_points() -> None:
    widget = widget_of(Throughput(model()))
    points = [list(point) for point in running().phases[1].curve.points]
    assert points == json.loads(widget.content)["points"]


def test_a_saved_file_keeps_a_sentence_and_its_time() -> None:
    said = static_text(Counts(model()))
    assert said.startswith("Import prices · Running · 63 %")
    assert "(as of " in said


def test_what_a_saved_file_keeps_is_no_markup() -> None:
    data = bundle_of(Percent(made(replace(running(), title=MARKUP), (), ())))
    assert ("<img" in data["text/html"], "&lt;img" in data["text/html"]) == (False, True)
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]


@pytest.mark.parametrize(("of", "is_widget"), [(Percent, True), (RunView, False)])
def test_a_layout_of_indicators_is_shown_by_panel(of: type[Percent], is_widget: bool) -> None:
    assert is_widget == of.is_widget
