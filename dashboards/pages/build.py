"""`build`: the page that a query asks for, with everything that keeps it up to date until its session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import panel as pn
from tornado.ioloop import IOLoop

from dashboards.live import Live, RunLink, RunsLink, StartLink, live
from dashboards.pages.address import Address
from dashboards.pages.place import DocumentPlace
from dashboards.pages.where import AGAIN_HREF, RUN_HREF, RUNS_HREF, START_HREF, OfRun, OfRuns, OfStart
from dashboards.session import RunModel, RunsModel, Session, StartModel
from dashboards.shell import show
from dashboards.views import RunsView, RunView, StartView
from streamer.client import identity
from streamer.settings import SettingError


def build() -> None:
    """Build the page of the session that is being made. Links end with it."""
    address = Address.parse(pn.state.session_args)
    if address.run:
        _run_page(address)
    elif address.start is not None:
        _start_page(address)
    else:
        _runs_page(address)


def viewer() -> str:
    """Return who looks: the user who logged in, else whoever runs this server."""
    if pn.state.user and pn.state.user != "guest":
        return str(pn.state.user)
    return identity.user() or ""


def _connect(model: Session, link: Callable[[Live], object]) -> None:
    """Link a model to the streamer until the session ends; where that cannot be, the page says why."""
    pn.state.on_session_destroyed(lambda _context: model.close())
    _link(model, link)


def _link(model: Session, link: Callable[[Live], object]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # Warmed up before the loop runs: linked when it does.
        IOLoop.current().add_callback(_link, model, link)
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


def _run_page(address: Address) -> None:
    owner = viewer()
    model = RunModel(
        run_id=address.run[:100],
        connection="connecting",
        level=address.level,
        search=address.search,
        tab=address.tab or "log",
    )
    where = OfRun(model, owner)
    view = RunView(model=model, where=where, run_href=RUN_HREF, again_href=AGAIN_HREF)
    place = DocumentPlace(pn.state.curdoc)
    _connect(model, lambda source: RunLink(model, source, place, by=owner))
    show(view, where.present())


def _runs_page(address: Address) -> None:
    model = RunsModel(
        connection="connecting", status=address.status, pipeline=address.pipeline, search=address.search
    )
    where = OfRuns(model, viewer())
    view = RunsView(model, where=where, run_href=RUN_HREF, start_href=START_HREF)
    place = DocumentPlace(pn.state.curdoc)
    _connect(model, lambda source: RunsLink(model, source, place))
    show(view, where.present())


def _start_page(address: Address) -> None:
    owner = viewer()
    model = StartModel(connection="connecting")
    where = OfStart(model, owner, address)
    view = StartView(model, where=where, runs_href=RUNS_HREF)
    place = DocumentPlace(pn.state.curdoc)
    wanted, again = address.start or "", address.again[:100]
    _connect(
        model,
        lambda source: StartLink(model, source, place, owner=owner or None, wanted=wanted, again=again),
    )
    show(view, where.present(), form=True)
