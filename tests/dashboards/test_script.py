"""Markup in data stays text, and windows stay bounded."""

from __future__ import annotations

import json

from msgspec.structs import replace

from dashboards.indicators import RunView
from dashboards.session import LogWindow, RunModel
from streamer.model.events import ErrorInfo
from tests.dashboards.drawing import begun, view
from tests.gallery.samples import MARKUP
from tests.gallery.states import lines, running


def test_markup_stays_text_on_its_way_to_the_browser() -> None:
    run = view("markup")
    assert (MARKUP, MARKUP) == (run.status.present()["title"], run.error.present()["type"])
    assert MARKUP in json.dumps(begun(run), ensure_ascii=False).replace('\\"', '"')


def test_an_error_without_words_still_has_a_name() -> None:
    state = replace(running(), status="failed", error=None, message="the process was killed")
    error = RunView(RunModel(state=state)).error.present()
    assert ("Failed", "the process was killed") == (error["type"], error["message"])
    assert ErrorInfo("") != state.error


def test_a_window_larger_than_its_bound_is_cut() -> None:
    model = RunModel()
    model.show_log(LogWindow(lines(900)))
    assert 500 == len(model.log.lines)


def test_an_empty_source_has_what_a_range_needs() -> None:
    assert [0.0] == list(RunView(RunModel()).throughput.source.data["rate"])
