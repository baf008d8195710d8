"""What the pages share of Panel's work: the same as before, done once; and nothing of a page stays behind."""

from __future__ import annotations

import json
from typing import Any

import panel as pn
from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from panel.io.resources import Resources
from panel.io.state import set_curdoc

from dashboards.literals import RUNS
from dashboards.shell import PageFrame, make_page
from dashboards.shell.shared import share_resources
from dashboards.views import RunView


def served() -> Document:
    """Return the document of a run's page, as a session has it."""
    document = Document()
    with set_curdoc(document):
        view = RunView(model=RUNS["running"]())
        make_page(PageFrame(owner=""), view, title="Streamer", site_url="?").server_doc(
            document, location=False
        )
    return document


def read(document: Document, whole: Any) -> dict[str, Any]:
    text: dict[str, Any] = json.loads(serialize_json(whole))
    return text


def test_a_page_defines_the_components_that_it_has_and_no_other() -> None:
    document = served()
    own, all_loaded = read(document, document.to_json()), read(document, Document.to_json(document))
    assert {"Page1", "PageFrame1", "Parts1"} == {one["name"] for one in own["defs"]}
    assert len(all_loaded["defs"]) > 50


def test_but_for_that_it_is_the_document_that_bokeh_would_send() -> None:
    document = served()
    own, bokeh = read(document, document.to_json()), read(document, Document.to_json(document))
    assert {**bokeh, "defs": own["defs"]} == own
    assert own["defs"] == [one for one in bokeh["defs"] if one in own["defs"]]


def test_the_files_of_a_page_are_those_that_panel_finds() -> None:
    share_resources()
    look_up: Any = Resources.extra_resources
    for kind in ("_bundle_css", "__css__", "__javascript__"):
        found: list[list[str]] = [["first"], ["first"], ["first"]]
        resources = Resources(mode="server")
        look_up.__wrapped__(resources, found[0], kind)
        look_up(resources, found[1], kind)
        look_up(resources, found[2], kind)
        assert found[0] == found[1] == found[2]


def test_no_page_stays_a_watcher_of_its_process() -> None:
    def watchers() -> int:
        return len(pn.state.param.watchers.get("busy", {}).get("value", ()))

    served()
    before = watchers()
    served()
    served()
    assert before == watchers()
