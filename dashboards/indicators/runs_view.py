"""`RunsView`: the list of runs, a layout of its indicators."""

from __future__ import annotations

from typing import Any

from panel.custom import Child

from dashboards.indicators.base import Indicator
from dashboards.indicators.notice import Notice
from dashboards.indicators.runs_table import RunsTable
from dashboards.models.runs import Runs
from dashboards.session import RunsModel


class RunsView(Indicator):
    """The list of runs as its page shows it: ``RunsView()``, or ``RunsView(runs)`` of a `Runs`.

    `url` is the streamer's; None: as configured.
    """

    notice = Child(doc="What to know first.")
    table = Child(doc="The list.")

    is_widget = False
    script = "RunsView"
    model_class = RunsModel

    def __init__(
        self,
        runs: RunsModel | None = None,
        url: str | None = None,
        *,
        run_href: str = "?run={}",
        start_href: str = "?start=",
        **params: Any,
    ) -> None:
        model = Runs(url) if runs is None else runs

        params.setdefault("notice", Notice(model))
        params.setdefault("table", RunsTable(model, run_href=run_href, start_href=start_href))
        super().__init__(model, **params)

    def close(self) -> None:
        """End what keeps the view up to date."""
        self.model.close()
