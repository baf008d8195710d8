"""`RunsTable`: the list of runs, live, with what it is filtered by; when there are none, how to start one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import param

from dashboards.indicators.base import Following, encode, text_of
from dashboards.session import CHOSEN, RunsModel
from streamer.model import formatting
from streamer.model.state import RunState
from streamer.model.summary import summarise

#: The most rows that are drawn; older ones are found with the filters.
ROWS_SHOWN: Final = 500
#: The parameters on which the rows depend.
ROWS_OF: Final = frozenset({"rows", "now", "connection", *CHOSEN})
#: The most names that a filter offers.
_OFFERED: Final = 200
#: How many characters of a run's id tell it from others of its name.
SHORT_ID: Final = 4


class RunsTable(Following):
    """The runs at hand that match the filters: ``RunsTable(runs)``. Only rows that changed are sent."""

    run_href = param.String(default="?run={}", doc="A run's address, with {} for its id; empty: no link.")
    start_href = param.String(
        default="?start=", doc="The address of the form that starts a pipeline; empty: no link."
    )

    script = "RunsTable"
    watched = (
        "rows",
        "counts",
        *CHOSEN,
        "pipelines",
        "beyond",
        "has_older",
        "busy",
        "connection",
        "first_pipeline",
        "now",
    )
    model_class = RunsModel

    def __init__(self, model: Any, **params: Any) -> None:
        self._shown: dict[str, dict[str, Any]] = {}
        super().__init__(model, **params)

    def _rows(self) -> dict[str, dict[str, Any]]:
        now, away = self.model.now, self.model.away_seconds
        return {row.run: self._row(row, now, away) for row in self.model.visible[:ROWS_SHOWN]}

    def whole(self) -> str:
        self._shown = self._rows()
        return encode({"rows": list(self._shown.values()), "order": list(self._shown)})

    def changed(self, names: set[str]) -> None:
        if not names.isdisjoint(ROWS_OF):
            self.tell(self._changes())
        super().changed(names)

    def _changes(self) -> str:
        shown, self._shown = self._shown, self._rows()
        rows = [row for run, row in self._shown.items() if shown.get(run) != row]
        order = list(self._shown) if list(shown) != list(self._shown) else None
        return encode({"rows": rows, "order": order}) if rows or order is not None else ""

    def looks_at(self) -> tuple[Any, ...]:
        model = self.model
        said = (getattr(model, name) for name in self.watched if name != "now")
        return (*said, model.commands is None, self.start_href)

    def _row(self, state: RunState, now: float, away_seconds: float | None) -> dict[str, Any]:
        said = summarise(state, now, away_seconds=away_seconds)
        queued = state.status == "queued"
        # The program is the last, as what finds no room is left out, and this is the longest.
        about = (state.owner, state.host, state.run[:SHORT_ID], formatting.cut(state.program_beside, 60))
        return {
            "run": state.run,
            "href": self.run_href.format(quote(state.run, safe="")) if self.run_href else "",
            "title": said.title,
            "about": formatting.cut(" · ".join(part for part in about if part), 200),
            "word": said.word,
            "tone": said.tone,
            "live": said.live,
            "progress": said.progress,
            "left": "" if said.remaining is None else said.remaining.short,
            "value": round(said.fraction * 100, 1),
            "moving": said.moving,
            "phase": formatting.NOT_KNOWN if queued or not state.phase else formatting.cut(state.phase, 100),
            "elapsed": formatting.clock(said.elapsed),
            "failed": formatting.NOT_KNOWN if queued else formatting.count(said.failed),
            "bad": said.failed > 0,
            "when": state.started if state.started is not None else state.created,
        }

    def present(self) -> dict[str, Any]:
        model = self.model
        pipelines = {row.pipeline for row in model.rows if row.pipeline} | {*model.pipelines}
        titles = {row.title for row in model.rows if not row.pipeline}
        owners = {row.owner for row in model.rows}
        filtered = model.is_filtered
        return {
            "counts": _counts(model) if model.rows or filtered else "",
            **{name: getattr(model, name) for name in CHOSEN},
            "pipelines": _offered(pipelines, model.pipeline),
            "titles": _offered(titles, model.title),
            "owners": _offered(owners, model.owner),
            "shown": _shown(model),
            "older": model.has_older,
            "busy": model.busy or (model.connection == "connecting" and not model.rows),
            "asks": model.commands is not None,
            "empty": not model.rows,
            "filtered": filtered,
            "start": self.start_href,
            "snippet": _snippet(model.first_pipeline),
        }

    def receive(self, message: Mapping[str, Any]) -> None:
        model = self.model
        match message["type"]:
            case "choose":
                chosen = {name: text_of(message, name) for name in CHOSEN if name in message}
                model.run(lambda: model.filter(**chosen))
            case "clear":
                model.run(lambda: model.filter(**dict.fromkeys(CHOSEN, "")))
            case "older":
                model.run(model.load_older)
            case _:
                super().receive(message)


def _shown(model: RunsModel) -> str:
    """Return how many of all matching runs have a row."""
    shown = min(len(model.visible), ROWS_SHOWN)
    return f"{shown:,} of {_runs(model.total)}" if model.total is not None else f"{_runs(shown)}"


def _runs(number: int) -> str:
    return f"{number:,} {formatting.plural(number, 'run')}"


def _offered(names: Iterable[str], chosen: str) -> list[str]:
    """Return the names that a filter offers, in order; the chosen one is among them."""
    return sorted({formatting.cut(name, 100) for name in names if name} | ({chosen} if chosen else set()))[
        :_OFFERED
    ]


def _counts(model: RunsModel) -> str:
    parts = []
    for key, text in (("running", "running"), ("queued", "queued"), ("week", "in the last week")):
        value = model.counts.get(key)
        if isinstance(value, int) and (value or key == "running"):
            parts.append(f"{value:,} {text}")
    total = model.total
    if total is not None and model.is_filtered:
        parts.append(f"{_runs(total)} {'matches' if total == 1 else 'match'}")
    elif total is not None and total > model.counts.get("week", 0):
        parts.append(f"{total:,} in all")
    return " · ".join(parts)


def _snippet(pipeline: str) -> str:
    return (
        "import streamer\n\n"
        'for name in streamer.track(names, "Loading"):\n'
        "    load(name)\n\n"
        f"# or from a terminal:  streamer run {pipeline}"
    )
