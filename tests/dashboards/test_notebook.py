"""What a notebook is given of a run: HTML and text that are true, escaped and bounded; and what the views hold."""

from __future__ import annotations

import asyncio
import copy
import html.parser
import itertools
import pickle
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

import dashboards
from dashboards.data.start_commands import spec_of
from dashboards.notebook import RunsView, RunView, StartForm, show
from dashboards.notebook import cell as cell_module
from dashboards.notebook.cell import Cell, Frame, Painter
from dashboards.notebook.feeds import run_frame, runs_frame
from dashboards.notebook.forms import Asked, asked_of, described_html, form_html
from dashboards.notebook.markup import Markup, join, link, tag
from dashboards.notebook.record import Seen, run_html, run_text
from dashboards.notebook.tables import Listed, runs_html, runs_text
from dashboards.session import StartModel
from streamer.model.events import Entry, Logged
from streamer.protocol.api import Offer
from tests.gallery.lists import some_runs
from tests.gallery.runs import RUNS
from tests.gallery.samples import MARKUP, NOW
from tests.support import ROOT

PAGE = "http://127.0.0.1:5006/dashboards?run=7k2m"
#: What GitHub and nbconvert leave as it is, as far as we use it.
PLAIN = {
    "a",
    "b",
    "details",
    "div",
    "li",
    "pre",
    "span",
    "summary",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
}
NEVER = {"script", "style", "link", "img", "iframe", "button", "input", "form", "svg"}

COUNT = Offer(
    "Count",
    "Count",
    "Count to n.",
    (),
    {
        "properties": {
            "n": {"type": "integer", "minimum": 1, "default": 20, "description": "How far"},
            "fail": {"type": "boolean", "default": False},
            "unit": {"type": "string"},
        },
        "required": ["n"],
    },
)


class Elements(html.parser.HTMLParser):
    """The elements, attributes and text of some HTML, and whether what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.hrefs: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.names.add(name)
        self.attributes |= {key for key, _ in attributes}
        self.hrefs += [value for key, value in attributes if key == "href"]
        if name != "input":
            self.open.append(name)

    def handle_endtag(self, name):
        assert name == self.open.pop()

    def handle_data(self, data):
        self.text += data


def seen(state: str) -> Seen:
    """A run of the gallery, as a notebook has it."""
    model = RUNS[state]()
    lines = tuple(
        Entry(line.offset, "7k2m", 1, line.time, Logged(level=line.level, message=line.message))
        for line in model.log.lines[-12:]
    )
    return Seen("7k2m", NOW, model.state, lines, PAGE, model.connection_message)


# -- what is left in the file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", RUNS)
def test_every_state_is_plain_html_without_script(state):
    found = Elements(run_html(seen(state)))
    assert set() == found.names - PLAIN
    assert set() == {name for name in found.attributes if name.startswith("on")}
    assert [] == found.open
    assert {PAGE} == set(found.hrefs)


@pytest.mark.parametrize("state", RUNS)
def test_every_state_says_from_when_it_is_and_where_there_is_more(state):
    given = seen(state)
    assert "As of 2026-11-24 09:41:32 UTC" in Elements(run_html(given)).text
    assert run_text(given).endswith(f"As of 2026-11-24 09:41:32 UTC · {PAGE}")


@pytest.mark.parametrize("state", RUNS)
def test_what_is_kept_is_bounded(state):
    assert len(run_html(seen(state))) < 60_000
    assert len(run_text(seen(state))) < 3_000


def test_texts_of_a_run_are_shown_and_never_interpreted():
    found = Elements(run_html(seen("markup")))
    assert set() == found.names & NEVER
    assert MARKUP in found.text


def test_a_run_that_goes_on_says_what_to_do_and_one_that_is_over_does_not():
    assert "run the cell again" in run_html(seen("running"))
    assert "run the cell again" not in run_html(seen("complete"))


def test_the_text_says_what_the_page_says():
    lines = run_text(seen("failed")).splitlines()
    assert "Import prices · Failed · 63 %" in lines[0]
    assert "IntegrityError" in run_text(seen("failed"))


def test_a_run_of_which_nothing_is_known_says_so():
    assert "nothing is known of it yet" in run_text(Seen("7k2m", NOW))


# -- the list of runs --------------------------------------------------------------------------------------------------


def test_the_list_of_runs_is_plain_html_with_a_link_to_each():
    runs = (*some_runs(), replace(RUNS["markup"]().state, run="odd"))
    found = Elements(runs_html(Listed(NOW, runs, "http://127.0.0.1:5006/dashboards?run={}")))
    assert set() == found.names - PLAIN
    assert [f"http://127.0.0.1:5006/dashboards?run={run.run}" for run in runs] == found.hrefs
    assert MARKUP in found.text


def test_the_list_of_runs_as_text_has_a_run_a_line():
    lines = runs_text(Listed(NOW, some_runs(), about="of ImportPrices")).splitlines()
    assert f"Runs of ImportPrices: {len(some_runs())}" == lines[0]
    assert len(some_runs()) + 2 == len(lines)
    assert "As of 2026-11-24 09:41:32 UTC" == lines[-1]


def test_no_runs_and_runs_that_are_not_known_yet_are_different_things():
    assert "There are no runs yet." in runs_html(Listed(NOW, ()))
    assert "Asking the streamer" in runs_html(Listed(NOW))


def test_the_list_in_the_file_is_renewed_when_a_run_s_status_is_another():
    runs = some_runs()
    before = runs_frame(Listed(NOW, runs)).mark
    assert before == runs_frame(Listed(NOW + 1, runs)).mark
    assert before != runs_frame(Listed(NOW, runs[1:])).mark


# -- the form ----------------------------------------------------------------------------------------------------------


def form_of(**params: Any) -> Asked:
    return asked_of(StartModel(pipelines=(spec_of(COUNT),), now=NOW, **params), NOW)


def test_the_box_of_none_has_a_name_of_its_own_in_each_field():
    nullable = {"type": ["string", "null"], "default": None}
    offer = Offer("P", schema={"properties": {"first": nullable, "second": nullable}})
    shown = form_html(asked_of(StartModel(pipelines=(spec_of(offer),), now=NOW), NOW))
    assert ['aria-label="First: None"', 'aria-label="Second: None"'] == re.findall(
        r'aria-label="[^"]*"', shown
    )


def test_what_a_change_did_is_said_at_the_field_that_was_changed():
    shown = Elements(form_html(form_of(said={"n": ("Unit set to 'm' because N changed.",)})))
    assert "Unit set to 'm' because N changed." in shown.text


def test_a_form_has_a_field_for_each_parameter_and_the_file_a_description():
    asked = form_of(errors={"n": MARKUP})
    form = Elements(form_html(asked))
    assert {"form", "button", "input"} <= form.names
    assert MARKUP in form.text
    kept = Elements(described_html(asked))
    assert set() == kept.names - PLAIN
    assert "Count to n." in kept.text
    assert "N How far" in kept.text


def test_values_are_escaped_in_fields():
    shown = form_html(form_of(typed={"unit": '"><script>'}))
    assert "<script" not in shown
    assert 'value="&quot;&gt;&lt;script&gt;"' in shown


# -- markup ------------------------------------------------------------------------------------------------------------


def test_children_and_attributes_are_escaped_unless_they_are_markup():
    assert '<b title="&quot;&lt;">&lt;i&gt;<br></b>' == tag("b", "<i>", tag("br"), title='"<')
    assert "a &amp; <br>" == join(["a", tag("br")], " & ")


def test_what_is_no_web_address_is_no_link():
    assert "go" == link("javascript:alert(1)", "go")
    assert Elements(link("https://a.example/?a=1&b=2", "go")).hrefs == ["https://a.example/?a=1&b=2"]


def test_markup_is_text():
    assert isinstance(tag("p"), Markup)
    assert isinstance(tag("p"), str)


# -- when the file is renewed ------------------------------------------------------------------------------------------


def test_the_file_is_renewed_by_the_status_and_by_every_ten_percent():
    marks = {name: run_frame(seen(name)).mark for name in ("running", "stalled", "cancelling")}
    assert 3 == len(set(marks.values()))


def test_a_run_that_is_over_is_left_as_html_alone():
    assert {"text/html", "text/plain"} == Cell(run_frame(seen("complete"))).data().keys()


def test_a_run_that_goes_on_is_a_widget_where_widgets_are_shown_and_html_elsewhere():
    kinds = {"text/html", "text/plain", "application/vnd.jupyter.widget-view+json"}
    assert kinds == Cell(run_frame(seen("running"))).data().keys()


class Painted:
    """A cell that notes when it was painted, by the loop's clock."""

    def __init__(self, ends: int) -> None:
        self.times: list[float] = []
        self.ends = ends

    def draw(self) -> Frame:
        return Frame("", "", "", "x", over=len(self.times) + 1 == self.ends)

    def put(self, frame: Frame) -> None:
        self.times.append(asyncio.get_running_loop().time())


@pytest.mark.slow
async def test_whatever_happens_there_are_fewer_than_four_updates_a_second():
    cell = Painted(4)
    painter = Painter(cell, cell.draw)
    painting = asyncio.create_task(painter.run())
    while not painting.done():
        painter.changed()
        await asyncio.sleep(0)
    assert 4 == len(cell.times)
    assert min(later - sooner for sooner, later in itertools.pairwise(cell.times)) > 0.25


# -- the views ---------------------------------------------------------------------------------------------------------


def test_the_names_for_users_are_in_the_package():
    assert (RunView, RunsView, StartForm) == (dashboards.RunView, dashboards.RunsView, dashboards.StartForm)


@pytest.mark.parametrize(
    "view", [RunsView("http://a.example", status="running"), StartForm("Count"), RunView("7k2m")]
)
def test_every_view_is_written_as_it_is_made(view):
    names = {"RunsView": RunsView, "StartForm": StartForm, "RunView": RunView}
    assert vars(view) == vars(eval(repr(view), names))


def test_a_view_holds_a_run_s_id_and_a_url_and_can_be_copied_and_pickled():
    view = RunView("7k2m", "http://127.0.0.1:5007")
    for same in (view, copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert {"run_id": "7k2m", "url": "http://127.0.0.1:5007"} == vars(same)
    assert "RunView('7k2m', url='http://127.0.0.1:5007')" == repr(view)


@pytest.mark.parametrize(
    "run", [SimpleNamespace(run_id="7k2m"), SimpleNamespace(id="7k2m"), SimpleNamespace(run="7k2m")]
)
def test_a_view_takes_what_has_a_run_s_id(run):
    assert "7k2m" == RunView(run).run_id


@pytest.mark.parametrize("run", [None, "", 7, SimpleNamespace(run_id=7)])
def test_a_view_says_what_it_expected(run):
    with pytest.raises(TypeError, match="expected a run or its id"):
        RunView(run)


def test_outside_a_notebook_nothing_is_shown(capsys):
    show("7k2m", "http://127.0.0.1:9")
    assert ("", "") == capsys.readouterr()


@pytest.mark.slow
def test_the_views_for_notebooks_import_neither_panel_nor_bokeh():
    code = "import sys; from dashboards import RunView; print(sorted({'panel', 'bokeh'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_missing_widgets_are_reported_once_with_the_command_that_installs_them(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "dashboards.notebook.widget", raising=False)
    cell_module._report_missing.cache_clear()
    assert [None, None] == [cell_module._make_widget("") for _ in range(2)]
    assert [
        "a view with buttons needs the widgets: pip install 'panel-streamer[notebook]'"
    ] == caplog.messages
