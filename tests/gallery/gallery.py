"""Every view in each of its states: ``make gallery``. Needs no streamer.

``?view=run&state=running`` shows one alone, ``&theme=dark`` dark. Without a query the page lists all of them.
``?view=run&state=live`` is a run that goes on by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import panel as pn

from dashboards import theme
from dashboards.indicators import RunsView, RunView, StartForm
from dashboards.session import RunModel, RunsModel, Session, StartModel
from dashboards.shell import make_where, show
from tests.gallery.forms import STARTS
from tests.gallery.lists import OVERVIEWS
from tests.gallery.models import Replay
from tests.gallery.runs import RUNS

VIEWS: dict[str, Mapping[str, Callable[[], Session]]] = {"run": RUNS, "runs": OVERVIEWS, "start": STARTS}


def view_of(view: str, state: str) -> Any:
    """Return one view in one of its states. Raises `KeyError` for one that there is not."""
    made = VIEWS[view][state]()
    if isinstance(made, RunModel):
        return RunView(
            made,
            run_href="?view=run&state=running#{}",
            again_href="?view=start&state=again#{}-{}",
            page=True,
        )
    if isinstance(made, RunsModel):
        return RunsView(
            made, run_href="?view=run&state=running#{}", start_href="?view=start&state=form", page=True
        )
    assert isinstance(made, StartModel)
    return StartForm(made, runs_href="?view=runs&state=some", page=True)


CONTENTS_CSS = """
:host > div { color: var(--st-ink); font: 14px/1.45 "Streamer Sans", Roboto, Inter, "DejaVu Sans", sans-serif; }
h1 { font-size: 24px; margin: 0 0 22px; }
h2 { font-size: 15px; margin: 26px 0 8px; }
ul { columns: 210px; list-style: none; margin: 0; padding: 0; }
li { padding: 3px 0; break-inside: avoid; }
a { color: var(--st-accent); text-decoration: none; font-weight: 600; }
a:hover { text-decoration: underline; }
"""


def contents() -> Any:
    """Return links to all views in all states."""
    parts = ["<h1>Every view in each of its states</h1>"]
    for view, states in VIEWS.items():
        links = (
            f'<li><a href="?{urlencode({"view": view, "state": state})}">{state}</a></li>' for state in states
        )
        parts.append(f"<h2>{view}</h2><ul>{''.join(links)}</ul>")
    return pn.Column(
        pn.pane.HTML("".join(parts), margin=0, sizing_mode="stretch_width", stylesheets=[CONTENTS_CSS]),
        stylesheets=[theme.PAGE_CSS],
        sizing_mode="stretch_width",
    )


def build() -> None:
    """Build the page that the query asks for, in the dashboards' shell."""
    query = {key: values[0].decode() for key, values in pn.state.session_args.items() if values}
    view, state = query.get("view", ""), query.get("state", "")
    if (view, state) == ("run", "live"):
        replay = Replay()
        shown = RunView(replay.model, page=True)
        pn.state.add_periodic_callback(replay.step, period=100)
    else:
        shown = view_of(view, state) if state in VIEWS.get(view, {}) else contents()
    if hasattr(shown, "close"):
        pn.state.on_session_destroyed(lambda _context: shown.close())
    crumbs = [("Gallery", "?" if view else ""), *((text, "") for text in (view, state) if text)]
    here = urlencode({key: value for key, value in query.items() if key != "theme"})
    show(shown, make_where(crumbs, "Streamer", owner="data-team", query=f"?{here}" if here else ""))


if pn.state.served:
    build()
