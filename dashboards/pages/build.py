"""`build`: the page that a query asks for, with everything that keeps it up to date until its session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import panel as pn
import panel_material_ui as pmui

from dashboards.live import Live, RunLink, RunsLink, StartLink, live
from dashboards.pages.address import Address
from dashboards.pages.place import DocumentPlace
from dashboards.session import RunModel, RunsModel, Session, StartModel
from dashboards.shell import PageFrame, make_page
from dashboards.views import RunsView, RunView, StartView
from streamer import origin, words
from streamer.settings import SettingError

#: How a run's page, the form and the list are reached from any of them; paths stay as they are, whatever the prefix.
RUN_HREF = "?run={}"
START_HREF = "?start="
AGAIN_HREF = "?start={}&again={}"
RUNS_HREF = "?"
#: How many characters of a run's id name it where it stands beside its title.
SHORT_ID = 4


def build() -> pmui.Page:
    """Return the page of the session that is being made. Links end with it."""
    address = Address.parse(pn.state.session_args)
    owner = viewer()
    frame = PageFrame(owner=owner, form=not address.run and address.start is not None)
    if address.run:
        model, view, link = _run_page(address, frame, owner)
    elif address.start is not None:
        model, view, link = _start_page(address, frame, owner)
    else:
        model, view, link = _runs_page(address, frame)
    pn.state.on_session_destroyed(lambda _context: model.close())
    _connect(model, link)
    return make_page(frame, view, title="Streamer", site_url=RUNS_HREF)


def viewer() -> str:
    """Return who looks: the user who logged in, else whoever runs this server."""
    if pn.state.user and pn.state.user != "guest":
        return str(pn.state.user)
    return origin.user() or ""


def _connect(model: Session, link: Callable[[Live], object]) -> None:
    """Link a model to the streamer; where that cannot be, the page says why."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # Warmed up before the loop runs: connected when it does.
        pn.state.onload(lambda: _connect(model, link))
        return
    if model.closed:
        return
    try:
        link(live())
    except (SettingError, ValueError) as error:
        model.update(
            connection="away", connection_message=f"{error}. Set it right and start the dashboards again."
        )


# -- the three pages ---------------------------------------------------------------------------------------------------


def _run_page(
    address: Address, frame: PageFrame, owner: str
) -> tuple[Session, Any, Callable[[Live], object]]:
    model = RunModel(
        run_id=address.run[:100],
        connection="connecting",
        level=address.level,
        search=address.search,
        tab=address.tab or "log",
    )

    def show(*_events: Any) -> None:
        state = model.state
        tab = "" if model.tab == "log" else model.tab
        query = Address(run=model.run_id, level=model.level, search=model.search, tab=tab).query()
        if state is None:
            name = {"missing": "No such run", "away": "Streamer away"}.get(model.connection, "Run")
            frame.present(
                [("Runs", RUNS_HREF), (words.cut(model.run_id, 20), "")], f"{name} · Streamer", query=query
            )
            return
        title = state.title or state.pipeline or state.run
        head = (
            words.status_word(state.status)
            if state.status == "queued"
            else words.percent(state.overall_progress)
        )
        if state.is_over:
            head = words.status_word(state.status)
        crumbs = [("Runs", RUNS_HREF), (title, _of_pipeline(state.pipeline)), (state.run[:SHORT_ID], "")]
        go = RUN_HREF.format(quote(model.retry_run, safe="")) if model.retry_run else ""
        frame.present(crumbs, f"{head} {title}", query=query, go=go)

    model.listen(show, ("state", "level", "search", "tab", "connection", "retry_run"))
    show()
    place = DocumentPlace(pn.state.curdoc)
    view = RunView(model=model, run_href=RUN_HREF, again_href=AGAIN_HREF)
    return model, view, lambda source: RunLink(model, source, place, by=owner)


def _of_pipeline(pipeline: str | None) -> str:
    return "" if pipeline is None else Address(pipeline=pipeline).query()


def _runs_page(address: Address, frame: PageFrame) -> tuple[Session, Any, Callable[[Live], object]]:
    model = RunsModel(
        connection="connecting", status=address.status, pipeline=address.pipeline, search=address.search
    )

    def show(*_events: Any) -> None:
        query = Address(status=model.status, pipeline=model.pipeline, search=model.search).query()
        running = model.counts.get("running") or 0
        frame.present(
            [("Runs", "")], f"{running:,} running · Streamer" if running else "Runs · Streamer", query=query
        )

    model.listen(show, ("status", "pipeline", "search", "counts"))
    show()
    place = DocumentPlace(pn.state.curdoc)
    view = RunsView(model, run_href=RUN_HREF, start_href=START_HREF)
    return model, view, lambda source: RunsLink(model, source, place)


def _start_page(
    address: Address, frame: PageFrame, owner: str
) -> tuple[Session, Any, Callable[[Live], object]]:
    model = StartModel(connection="connecting")
    wanted = address.start or ""

    def show(*_events: Any) -> None:
        spec = model.pipeline
        title = "Start a pipeline" if spec is None else f"Start {spec.title}"
        query = Address(
            start=model.chosen or wanted, again=model.again if model.chosen else address.again
        ).query()
        go = RUN_HREF.format(quote(model.run_id, safe="")) if model.run_id else ""
        frame.present(
            [("Runs", RUNS_HREF), ("Start a pipeline", "")], f"{title} · Streamer", query=query, go=go
        )

    model.listen(show, ("pipelines", "chosen", "run_id"))
    show()
    place = DocumentPlace(pn.state.curdoc)
    view = StartView(model, runs_href=RUNS_HREF)
    again = address.again[:100]
    return (
        model,
        view,
        lambda source: StartLink(model, source, place, owner=owner or None, wanted=wanted, again=again),
    )
