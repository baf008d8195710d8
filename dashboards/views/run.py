"""One run's page: its views in the order in which they are read. Knows no network: it is handed a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param
from panel.viewable import Viewer

from dashboards.session import TABS, RunModel
from dashboards.views.bars import BarsView
from dashboards.views.base import Board, View, around, text_of
from dashboards.views.care import CareView
from dashboards.views.failures import FailuresView
from dashboards.views.header import ErrorView, HeaderView, NoticeView
from dashboards.views.log import LogView
from dashboards.views.phases import PhasesView
from dashboards.views.progress import ProgressView
from dashboards.views.stats import StatsView
from dashboards.views.throughput import ThroughputView
from dashboards.views.values import ParametersView, ResultView


class DetailsView(View):
    """The tabs of log, failed items, parameters and result, with counts."""

    part = "details"
    names = ("state", "tab")
    model: RunModel

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        return self.model.tab, state and state.log_lines, state and state.results.failed

    def present(self) -> dict[str, Any]:
        state = self.model.state
        lines = 0 if state is None else state.log_lines
        failed = 0 if state is None else state.results.failed
        return {
            "tab": self.model.tab,
            "counts": {"log": f"{lines:,}" if lines else "", "failures": f"{failed:,}" if failed else ""},
        }

    def receive(self, message: Mapping[str, Any]) -> None:
        tab = text_of(message, "tab")
        if message["type"] == "tab" and tab in TABS:
            self.model.update(tab=tab)


class RunView(Viewer):
    """A run as a page shows it: ``RunView(run_id)`` follows a streamer's run, ``RunView(model=…)`` shows a model.

    With a run id, the model comes from `dashboards.live.connect_run`, which keeps it up to date until `close`; `url`
    is the streamer's (None: as configured). `where` is for the bar of a page; `run_href` and `again_href` are where
    other pages are: see `CareView`. Raises `TypeError` when neither a run id nor a model is given, or both are.
    """

    compact = param.Boolean(default=False, doc="Without the page's margins, as in a notebook's cell.")

    def __init__(
        self,
        run_id: str | None = None,
        url: str | None = None,
        *,
        model: RunModel | None = None,
        where: View | None = None,
        run_href: str = "",
        again_href: str = "",
        **params: Any,
    ) -> None:
        if (run_id is None) == (model is None):
            raise TypeError(
                "expected either a run's id or model=, received "
                + ("both" if model is not None else "neither")
            )
        if model is None:
            assert run_id is not None
            # Why not at the top: a page is handed its model, and needs no network to show it.
            from dashboards.live import connect_run

            model = connect_run(run_id, url)
            params.setdefault("compact", True)
        super().__init__(**params)
        self.model: RunModel = model
        self.notice = NoticeView(model)
        self.header = HeaderView(model)
        self.care = CareView(model, run_href=run_href, again_href=again_href)
        self.error = ErrorView(model)
        self.progress = ProgressView(model)
        self.phases = PhasesView(model)
        self.bars = BarsView(model)
        self.throughput = ThroughputView(model)
        self.stats = StatsView(model)
        self.log = LogView(model)
        self.failures = FailuresView(model)
        self.parameters = ParametersView(model)
        self.result = ResultView(model)
        self.details = DetailsView(model)
        above = (self.notice, self.header, self.care, self.error, self.progress, self.phases, self.bars)
        below = (self.throughput, self.stats, self.log, self.failures, self.parameters, self.result)
        views = [*above, *below, self.details, *around(where)]
        self.component = Board(model, "run" if self.compact else "run-page", views).component

    def close(self) -> None:
        """End what keeps the view up to date."""
        self.model.close()

    def __panel__(self) -> Any:
        return self.component
