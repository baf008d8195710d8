"""The document of every page: what Panel would make of it, done once; and nothing in it is markup that was data."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import panel as pn
import pytest
from bokeh.document import Document
from panel.io import server as panel_server
from panel.io.resources import Resources
from panel.models import tabulator  # noqa: F401 - with its model, its files are wanted wherever it is not said that they are not

from dashboards.indicators import RunView
from dashboards.indicators.bundle import BUNDLE
from dashboards.shell import make_where, show
from tests.gallery.runs import RUNS
from tests.gallery.samples import MARKUP
from tests.support import ServerProcess

WHERE = make_where([("Runs", "?"), (MARKUP, "")], f"</script>{MARKUP}", owner=MARKUP, query="")


@dataclass
class Served:
    """A page as a browser gets it, the document of its session, and the server's other files."""

    html: str
    document: Document
    resources: Resources
    client: httpx.AsyncClient


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    """Serve a run's page in this process, and ask for it."""
    server = panel_server.get_server(lambda: show(RunView(RUNS["running"]()), WHERE), port=0)
    server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://localhost:{server.port}", timeout=60) as client:
            answer = await client.get("/")
            (session,) = server.get_sessions("/")
            resources = Resources.from_bokeh(server._tornado.resources())
            yield Served(answer.text, session.document, resources, client)
    finally:
        server.stop()


async def test_a_page_is_one_view_and_where_its_reader_is() -> None:
    async with served() as page:
        assert ["RunView"] == [root.class_name for root in page.document.roots]


async def test_the_script_of_all_indicators_is_one_file_of_this_server() -> None:
    async with served() as page:
        (root,) = page.document.roots
        script = await page.client.get(root.esm)
        assert ("url", BUNDLE.read_text(encoding="utf-8")) == (root.bundle, script.text)


async def test_a_page_can_be_put_into_one_of_another_site() -> None:
    async with served() as page:
        site = {"bokeh-autoload-element": "here", "bokeh-absolute-url": "https://jobs.example/"}
        answer = await page.client.get("/autoload.js", params=site)
    assert (200, True) == (answer.status_code, "https://jobs.example/static/js/bokeh" in answer.text)


async def test_a_page_of_others_in_this_process_is_theirs() -> None:
    server = panel_server.get_server(lambda: pn.Column("theirs"), port=0)
    server.start()
    try:
        async with httpx.AsyncClient(timeout=60) as client:
            html = (await client.get(f"http://localhost:{server.port}/")).text
    finally:
        server.stop()
    assert ("tabulator" in html, "st-bar" in html) == (True, False)


async def test_what_the_bar_shows_is_data_in_the_page() -> None:
    async with served() as page:
        data = re.search(r'<script type="application/json" id="st-page">(.*?)</script>', page.html)
        assert data is not None
        assert {"where": WHERE, "form": False} == json.loads(data[1])
        assert "<img" not in page.html


@pytest.mark.slow
def test_pages_are_made_before_the_loop_runs_where_panel_warms_up(tmp_path: Path) -> None:
    with ServerProcess.dashboards(tmp_path, arguments=["--dev"]) as server:
        assert "Traceback" not in server.output()


async def test_the_fonts_are_served() -> None:
    async with served() as page:
        link = re.search(r'rel="stylesheet" href="([^"]+)"', page.html)
        assert link is not None
        styles = await page.client.get(link[1])
        font = re.search(r"roboto-latin-400[^\"]+", styles.text)
        assert font is not None
        assert 200 == (await page.client.get(str(httpx.URL(link[1]).join(font[0])))).status_code
