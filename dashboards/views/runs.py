"""The list of runs, live, with what it is filtered by; when there are none, how to start one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from panel.viewable import Viewer

from dashboards.session import RunsModel
from dashboards.views.base import Board, View, around, encode, run_soon, text_of
from dashboards.views.header import notice
from streamer.model import formatting
from streamer.model.state import RunState
from streamer.model.summary import summarise

#: The most rows a page draws; older ones are found with the filters.
ROWS_SHOWN: Final = 500
#: The parameters on which the rows depend.
ROWS_OF: Final = ("rows", "status", "pipeline", "search", "now", "connection")
#: How many characters of a run's id tell it from others of its name.
SHORT_ID: Final = 4


class RunsTableView(View):
    """The runs at hand that match the filters. Rows are news: those that changed, and their order when it did."""

    part = "runs"
    names = (
        "rows",
        "counts",
        "status",
        "pipeline",
        "search",
        "pipelines",
        "has_older",
        "busy",
        "connection",
        "first_pipeline",
        "now",
    )
    model: RunsModel

    def __init__(self, model: RunsModel, *, run_href: str, start_href: str) -> None:
        super().__init__(model)
        self.run_href, self.start_href = run_href, start_href
        self._shown = self._rows()
        self._is_stale = False

    def _rows(self) -> dict[str, dict[str, Any]]:
        now, away = self.model.now, self.model.away_seconds
        return {row.run: self._row(row, now, away) for row in self.model.visible[:ROWS_SHOWN]}

    def begin(self) -> str:
        return encode({"rows": list(self._shown.values()), "order": list(self._shown)})

    def note(self, changed: set[str]) -> None:
        self._is_stale = self._is_stale or not changed.isdisjoint(ROWS_OF)

    def news(self) -> str:
        if not self._is_stale:
            return ""
        self._is_stale = False
        shown, self._shown = self._shown, self._rows()
        rows = [row for run, row in self._shown.items() if shown.get(run) != row]
        order = list(self._shown) if list(shown) != list(self._shown) else None
        return encode({"rows": rows, "order": order}) if rows or order is not None else ""

    def looks_at(self) -> tuple[Any, ...]:
        model = self.model
        said = (getattr(model, name) for name in self.names if name != "now")
        return (*said, model.commands is None, self.start_href)

    def _row(self, state: RunState, now: float, away_seconds: float | None) -> dict[str, Any]:
        summary = summarise(state, now, away_seconds=away_seconds)
        queued = state.status == "queued"
        return {
            "run": state.run,
            "href": self.run_href.format(quote(state.run, safe="")),
            "title": summary.title,
            "about": formatting.cut(
                " · ".join(
                    part
                    for part in (
                        state.owner,
                        state.host,
                        state.run[:SHORT_ID],
                        # The last, as what finds no room is left out, and this is the longest.
                        formatting.cut(state.program_beside, 60),
                    )
                    if part
                ),
                200,
            ),
            "word": summary.word,
            "tone": summary.tone,
            "live": summary.live,
            "progress": summary.progress,
            "value": round(summary.fraction * 100, 1),
            "moving": summary.moving,
            "phase": formatting.cut(state.phase, 100) if state.phase and not queued else formatting.NOT_KNOWN,
            "elapsed": formatting.clock(summary.elapsed),
            "failed": formatting.NOT_KNOWN if queued else formatting.count(summary.failed),
            "bad": summary.failed > 0,
            "when": state.started if state.started is not None else state.created,
        }

    def present(self) -> dict[str, Any]:
        model = self.model
        names = {row.pipeline for row in model.rows if row.pipeline} | set(model.pipelines)
        if model.pipeline:
            names.add(model.pipeline)
        filtered = bool(model.status or model.pipeline or model.search)
        return {
            "counts": _counts(model) if model.rows or filtered else "",
            "status": model.status,
            "pipeline": model.pipeline,
            "pipelines": sorted(formatting.cut(name, 100) for name in names)[:200],
            "search": model.search,
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
            case "status":
                status = text_of(message, "status")
                run_soon(lambda: model.filter(status=status))
            case "pipeline":
                pipeline = text_of(message, "pipeline")
                run_soon(lambda: model.filter(pipeline=pipeline))
            case "search":
                search = text_of(message, "search")
                run_soon(lambda: model.filter(search=search))
            case "clear":
                run_soon(lambda: model.filter(status="", pipeline="", search=""))
            case "older":
                run_soon(model.load_older)


def _counts(model: RunsModel) -> str:
    parts = []
    for key, text in (("running", "running"), ("queued", "queued"), ("week", "in the last week")):
        value = model.counts.get(key)
        if isinstance(value, int) and (value or key == "running"):
            parts.append(f"{value:,} {text}")
    return " · ".join(parts)


def _snippet(pipeline: str) -> str:
    return (
        "import streamer\n\n"
        'for name in streamer.track(names, "Loading"):\n'
        "    load(name)\n\n"
        f"# or from a terminal:  streamer run {pipeline}"
    )


class RunsNoticeView(View):
    """Says that the streamer is away, or that something asked for did not work."""

    part = "notice"
    names = ("connection", "connection_message", "notice", "rows")
    model: RunsModel

    def looks_at(self) -> tuple[Any, ...]:
        model = self.model
        return model.connection, model.connection_message, model.notice, bool(model.rows)

    def present(self) -> dict[str, Any]:
        model = self.model
        if model.connection == "away":
            text = model.connection_message or "Trying again until it is back."
            return notice(
                "away", "The streamer is away", text + " What is listed is how it was." * bool(model.rows)
            )
        if model.notice:
            return notice("notice", "That did not work", model.notice)
        return notice("", "", "")


class RunsView(Viewer):
    """The list of runs as a page shows it. `run_href`: a run's address with ``{}`` for its id; `where`: for the bar."""

    def __init__(
        self,
        model: RunsModel,
        *,
        where: View | None = None,
        run_href: str = "?run={}",
        start_href: str = "?start=",
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.model = model
        self.notice = RunsNoticeView(model)
        self.table = RunsTableView(model, run_href=run_href, start_href=start_href)
        self.component = Board(model, "runs-page", [self.notice, self.table, *around(where)]).component

    def close(self) -> None:
        """End what keeps the view up to date."""
        self.model.close()

    def __panel__(self) -> Any:
        return self.component
