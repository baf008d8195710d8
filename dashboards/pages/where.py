"""Where the reader of each page is: links that lead there, the window's title, the address that shows the same."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from dashboards.indicators.base import Indicator
from dashboards.pages.address import Address
from dashboards.session import CHOSEN, RunModel, RunsModel, Session, StartModel
from dashboards.shell import HOME, make_where
from streamer.model import formatting

#: How a run's page, the form and the list are reached from any of them; paths stay as they are, whatever the prefix.
RUN_HREF: Final = "?run={}"
START_HREF: Final = "?start="
AGAIN_HREF: Final = "?start={}&again={}"
RUNS_HREF: Final = HOME
#: How many characters of a run's id name it where it stands beside its title.
SHORT_ID: Final = 4


class Where(Indicator):
    """Where the reader of a page is, for the bar of the page. `owner` is who reads."""

    script = "Where"

    def __init__(self, model: Session, owner: str) -> None:
        self.owner = owner
        super().__init__(model)

    def looks_at(self) -> tuple[Any, ...]:
        return (*super().looks_at(), self.owner)


class OfRun(Where):
    """On the page of a run."""

    watched = ("run_id", "state", "level", "search", "tab", "connection", "retry_run")
    model_class = RunModel

    def present(self) -> dict[str, Any]:
        model, state, summary = self.model, self.model.state, self.model.summary
        tab = "" if model.tab == "log" else model.tab
        query = Address(run=model.run_id, level=model.level, search=model.search, tab=tab).query()
        if state is None or summary is None:
            crumbs = [("Runs", RUNS_HREF), (formatting.cut(model.run_id, 20), "")]
            name = {"missing": "No such run", "away": "Streamer away"}.get(model.connection, "Run")
            return make_where(crumbs, f"{name} · Streamer", owner=self.owner, query=query)
        title, left = summary.title, summary.remaining
        of_pipeline = "" if state.pipeline is None else Address(pipeline=state.pipeline).query()
        go = RUN_HREF.format(quote(model.retry_run, safe="")) if model.retry_run else ""
        return make_where(
            [("Runs", RUNS_HREF), (title, of_pipeline), (state.run[:SHORT_ID], "")],
            " · ".join(part for part in (summary.headline, left.short if left else "", title) if part),
            owner=self.owner,
            query=query,
            go=go,
        )


class OfRuns(Where):
    """On the list of runs."""

    watched = (*CHOSEN, "counts")
    model_class = RunsModel

    def present(self) -> dict[str, Any]:
        model = self.model
        query = Address(**{name: getattr(model, name) for name in CHOSEN}).query()
        running = model.counts.get("running") or 0
        title = f"{running:,} running · Streamer" if running else "Runs · Streamer"
        return make_where([("Runs", "")], title, owner=self.owner, query=query)


class OfStart(Where):
    """On the form that starts a pipeline; `address` is what was asked for, which stays until something is chosen."""

    watched = ("pipelines", "chosen", "again", "run_id")
    model_class = StartModel

    def __init__(self, model: StartModel, owner: str, address: Address) -> None:
        self.address = address
        super().__init__(model, owner)

    def looks_at(self) -> tuple[Any, ...]:
        return (*super().looks_at(), self.address)

    def present(self) -> dict[str, Any]:
        model, spec = self.model, self.model.pipeline
        title = "Start a pipeline" if spec is None else f"Start {spec.title}"
        query = Address(
            start=model.chosen or self.address.start or "",
            again=model.again if model.chosen else self.address.again,
            items="" if model.chosen and model.items == "all" else self.address.items,
        ).query()
        return make_where(
            [("Runs", RUNS_HREF), ("Start a pipeline", "")],
            f"{title} · Streamer",
            owner=self.owner,
            query=query,
            go=RUN_HREF.format(quote(model.run_id, safe="")) if model.run_id else "",
        )
