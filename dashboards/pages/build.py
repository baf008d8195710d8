"""`build`: the page that a query asks for, with everything that keeps it up to date until its session ends."""

from __future__ import annotations

import panel as pn

from dashboards.data.connect import UPDATE_SECONDS, connect
from dashboards.data.run_link import RunLink
from dashboards.data.runs_link import RunsLink
from dashboards.data.start_link import StartLink
from dashboards.indicators import Notice, RunsView, RunView, StartForm
from dashboards.local import local
from dashboards.models import Run, Runs, Start
from dashboards.pages.access import refusal
from dashboards.pages.address import Address
from dashboards.pages.where import AGAIN_HREF, RUN_HREF, RUNS_HREF, START_HREF, OfRun, OfRuns, OfStart
from dashboards.session import CHOSEN
from dashboards.shell import make_where, show
from streamer.client import identity


def build() -> None:
    """Build the page of the session that is being made. Its model ends with it."""
    document = pn.state.curdoc
    # Bokeh's own context of a session has the request; the interface, of which it is one, does not name it.
    request = getattr(None if document is None else document.session_context, "request", None)
    refused = refusal(request, local().served)
    if refused:
        _refused_page(refused)
        return
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


def _refused_page(reason: str) -> None:
    model = Runs(connection="missing", connection_message=reason)
    show(
        Notice(model, home_href="", page=True),
        make_where([("Not served", "")], "Not served", owner="", query=""),
    )


# -- the three pages ---------------------------------------------------------------------------------------------------


def _run_page(address: Address) -> None:
    owner = viewer()
    model = Run(
        address.run,
        connection="connecting",
        level=address.level,
        search=address.search,
        tab=address.tab or "log",
    )
    where = OfRun(model, owner)
    view = RunView(model, run_href=RUN_HREF, again_href=AGAIN_HREF, page=True)
    connect(
        model,
        lambda source, place: RunLink(model, source, place, by=owner, interval_seconds=UPDATE_SECONDS),
    )
    show(view, where)


def _runs_page(address: Address) -> None:
    chosen = {name: value for name in CHOSEN if (value := getattr(address, name))}
    model = Runs(connection="connecting", **chosen)
    where = OfRuns(model, viewer())
    view = RunsView(model, run_href=RUN_HREF, start_href=START_HREF, page=True)
    connect(model, lambda source, place: RunsLink(model, source, place, interval_seconds=UPDATE_SECONDS))
    show(view, where)


def _start_page(address: Address) -> None:
    owner = viewer()
    model = Start(connection="connecting")
    where = OfStart(model, owner, address)
    view = StartForm(model, runs_href=RUNS_HREF, page=True)
    wanted, again, items = address.start or "", address.again[:100], address.items or "all"
    connect(
        model,
        lambda source, place: StartLink(
            model, source, place, owner=owner or None, wanted=wanted, again=again, items=items
        ),
    )
    show(view, where, form=True)
