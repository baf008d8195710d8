"""One run's page: its views in the order in which they are read. Knows no network: it is handed a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import panel as pn
import param
from panel.viewable import Child, Viewer

from dashboards import theme
from dashboards.session import TABS, RunModel
from dashboards.views.bars import BarsView
from dashboards.views.base import Component, View, text_of, when_drawn
from dashboards.views.care import CareView
from dashboards.views.failures import FailuresView
from dashboards.views.header import ErrorView, HeaderView, NoticeView
from dashboards.views.log import LogView
from dashboards.views.phases import PhasesView
from dashboards.views.progress import ProgressView
from dashboards.views.stats import StatsView
from dashboards.views.throughput import ThroughputView
from dashboards.views.values import ParametersView, ResultView


class DetailTabs(Component):
    """Tabs with counts; the four children are there all the time, one is seen."""

    log = Child()
    failures = Child()
    parameters = Child()
    result = Child()


class DetailsView(View):
    """Log, failed items, parameters and result of a run."""

    names = ("state", "tab", "failures")
    component_class = DetailTabs
    model: RunModel

    def build(self) -> Component:
        self.log, self.failures = LogView(self.model), FailuresView(self.model)
        self.parameters, self.result = ParametersView(self.model), ResultView(self.model)
        return DetailTabs(
            state=self.present(),
            log=self.log.component,
            failures=self.failures.component,
            parameters=self.parameters.component,
            result=self.result.component,
        )

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
    is the streamer's (None: as configured). `run_href` and `again_href` are where other pages are: see
    `CareView`. Raises `TypeError` when neither a run id nor a model is given, or both are.
    """

    compact = param.Boolean(default=False, doc="Without the page's margins, as in a notebook's cell.")

    def __init__(
        self,
        run_id: str | None = None,
        url: str | None = None,
        *,
        model: RunModel | None = None,
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
        self.details = DetailsView(model)
        self._known = self._build_known()
        self._known_at_first = self._known.visible
        outer = theme.STACK_CSS if self.compact else theme.PAGE_CSS
        self.layout = pn.Column(
            self.notice.component,
            self._known,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[outer],
        )
        model.listen(self._show, ("state",))
        when_drawn(self._show_again)

    def _build_known(self) -> pn.Column:
        hero = pn.Column(
            self.progress.component,
            self.phases.component,
            self.bars.component,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[theme.CARD_CSS + theme.HERO_CSS],
        )
        grid = pn.Column(
            self.throughput.component,
            self.stats.component,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[theme.GRID_CSS],
        )
        return pn.Column(
            self.header.component,
            self.care.component,
            self.error.component,
            hero,
            grid,
            self.details.component,
            visible=self.model.state is not None,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[theme.STACK_CSS],
        )

    def _show(self, *_events: Any) -> None:
        known = self.model.state is not None
        if known != self._known.visible:
            self._known.visible = known

    def _show_again(self) -> None:
        if self._known.visible and not self._known_at_first:
            self._known.visible = False
            self._known.visible = True

    def close(self) -> None:
        """End what keeps the view up to date."""
        self.model.close()

    def __panel__(self) -> pn.Column:
        return self.layout
