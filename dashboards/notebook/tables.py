"""The list of runs as a notebook keeps it: an HTML table without script, and a text. Pure, as `record`."""

from __future__ import annotations

import time
from typing import NamedTuple

from dashboards.notebook.markup import Markup, link, tag
from dashboards.notebook.record import box, chip, foot, note, stamp
from streamer.model import formatting
from streamer.model.state import RunState
from streamer.model.summary import summarise

_CELL = (
    "padding:5px 14px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid rgba(128,128,128,.25)"
)
_HEADS = ("Run", "Status", "Progress", "Failed", "Started")


class Listed(NamedTuple):
    """The runs as they are known at one time. `page` is a run's address with ``{}`` for its id; empty: not known.

    `about` says which runs these are.
    """

    at: float
    runs: tuple[RunState, ...] | None = None
    page: str = ""
    about: str = ""
    note: str = ""


def runs_text(listed: Listed) -> str:
    """Return the runs, one a line."""
    lines = [
        " · ".join((formatting.cut(run.title, 120), run.word, run.progress))
        for run in (summarise(run, listed.at) for run in listed.runs or ())
    ]
    head = f"Runs{listed.about and ' ' + listed.about}: {len(lines) or 'none'}"
    return "\n".join(filter(None, (head, *lines, listed.note, f"As of {stamp(listed.at)}")))


def runs_html(listed: Listed, *, live: bool = False) -> Markup:
    """Return the runs as one element.

    Args:
        listed: The runs as the cell has them.
        live: Whether they will be replaced soon.

    """
    if listed.runs is None:
        inside = tag("div", "Asking the streamer for its runs…") if not listed.note else None
    elif not listed.runs:
        inside = tag("div", "There are no such runs." if listed.about else "There are no runs yet.")
    else:
        head = tag("tr", *(tag("th", name, style=_CELL) for name in _HEADS))
        rows = [_row(run, listed.page, listed.at) for run in listed.runs]
        inside = tag(
            "table", tag("thead", head), tag("tbody", *rows), style="border-collapse:collapse;width:100%"
        )
    title = tag("b", f"Runs{listed.about and ' ' + listed.about}", style="font-size:16px")
    again = None if live else "run the cell again to see how it is now"
    return box(tag("div", title), note(listed.note), inside, foot(listed.at, again))


def _row(run: RunState, page: str, at: float) -> Markup:
    summary = summarise(run, at)
    title = formatting.cut(summary.title, 120)
    name = link(page.replace("{}", run.run), title) if page else title
    started = run.started if run.started is not None else run.created
    when = "" if started is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(max(started, 0.0)))
    failed = f"{summary.failed:,}" if summary.failed else ""
    cells = (name, chip(summary), summary.progress, failed, when)
    return tag("tr", *(tag("td", cell, style=_CELL) for cell in cells))
