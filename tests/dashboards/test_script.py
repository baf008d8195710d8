"""The views' script and palette: all parts are there, and markup in data stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import panel as pn
from msgspec.structs import replace

from dashboards import theme
from dashboards.pages.where import WhereView
from dashboards.session import LogWindow, RunModel
from dashboards.views import RunView, figures
from dashboards.views.base import SCRIPT, Parts, View
from streamer.model.events import ErrorInfo
from tests.dashboards.drawing import begun, view
from tests.gallery.samples import MARKUP
from tests.gallery.states import lines, running

# -- the script --------------------------------------------------------------------------------------------------------


def test_the_script_has_every_part_and_its_component() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    parts = re.search(r"const PARTS = \{(.*?)\n\}", script, re.DOTALL)
    assert parts
    named = {
        one.part for one in (WhereView, *View.__subclasses__()) if one.__module__.startswith("dashboards.")
    }
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
    for name, chips in (("light", theme.CHIPS_LIGHT), ("dark", theme.CHIPS_DARK)):
        (line,) = re.findall(rf"rules\(PALETTES\.{name}, .*", script)
        assert chips == dict(re.findall(r'"(chip-\w+)": "(#\w+)"', line))
    kinds = re.search(r"const KIND_COLOURS = \[(.*?)\]", script)
    assert kinds
    assert list(figures.COLOURS) == re.findall(r'"([\w-]+)"', kinds[1])


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
