"""`RunView`: a run's whole page, a layout of its indicators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panel.custom import Child

from dashboards.indicators.bars import Bars
from dashboards.indicators.base import Indicator, text_of
from dashboards.indicators.counts import Counts
from dashboards.indicators.failure_table import FailureTable
from dashboards.indicators.log_table import LogTable
from dashboards.indicators.notice import Notice
from dashboards.indicators.percent import Percent
from dashboards.indicators.phase_bar import PhaseBar
from dashboards.indicators.run_controls import RunControls
from dashboards.indicators.run_error import RunError
from dashboards.indicators.status import Status
from dashboards.indicators.throughput import Throughput
from dashboards.indicators.values import Values
from dashboards.models.run import Run
from dashboards.session import TABS, RunModel


class RunView(Indicator):
    """A run as its page shows it: ``RunView(run_id)``, or ``RunView(run)`` of a `Run`. Its parts are its parameters.

    `url` is the streamer's; None: as configured.
    """

    notice = Child(doc="What to know first.")
    status = Child(doc="The head.")
    buttons = Child(doc="The buttons.")
    error = Child(doc="Why the run failed.")
    percent = Child(doc="How far the run is.")
    phase_bar = Child(doc="The phases.")
    bars = Child(doc="The bars inside the run.")
    throughput = Child(doc="Units per second.")
    counts = Child(doc="Four numbers.")
    log = Child(doc="The log.")
    failures = Child(doc="The failed items.")
    parameters = Child(doc="The parameters.")
    result = Child(doc="The result.")

    is_widget = False
    script = "RunView"
    watched = ("state", "tab")
    model_class = RunModel

    def __init__(
        self, run: Any, url: str | None = None, *, run_href: str = "", again_href: str = "", **params: Any
    ) -> None:
        model = run if isinstance(run, RunModel) else Run(run_id_of(run), url)
        made: dict[str, Any] = {
            "notice": lambda: Notice(model),
            "status": lambda: Status(model, run_href=run_href),
            "buttons": lambda: RunControls(model, again_href=again_href),
            "error": lambda: RunError(model),
            "percent": lambda: Percent(model),
            "phase_bar": lambda: PhaseBar(model),
            "bars": lambda: Bars(model),
            "throughput": lambda: Throughput(model),
            "counts": lambda: Counts(model),
            "log": lambda: LogTable(model),
            "failures": lambda: FailureTable(model),
            "parameters": lambda: Values(model),
            "result": lambda: Values(model, of="result"),
        }

        parts = {name: make() for name, make in made.items() if name not in params}
        super().__init__(model, **parts, **params)

    def looks_at(self) -> tuple[Any, ...]:
        state, model = self.model.state, self.model
        counted = (state and state.log_lines, state and state.results.failed)
        return (state is None, model.tab, *counted)

    def present(self) -> dict[str, Any]:
        state = self.model.state
        lines = 0 if state is None else state.log_lines
        failed = 0 if state is None else state.results.failed
        return {
            "known": state is not None,
            "tab": self.model.tab,
            "counts": {"log": f"{lines:,}" if lines else "", "failures": f"{failed:,}" if failed else ""},
        }

    def receive(self, message: Mapping[str, Any]) -> None:
        tab = text_of(message, "tab")
        if message["type"] == "tab" and tab in TABS:
            self.model.update(tab=tab)

    def close(self) -> None:
        """End what keeps the view up to date."""
        self.model.close()


def run_id_of(run: object) -> str:
    """Return the id of a run, or of what stands for one.

    Args:
        run: An id, or something with a `run_id`, an `id` or a `run` that is one.

    Returns:
        The id.

    Raises:
        TypeError: It names no run.
    """
    for found in (run, *(getattr(run, name, None) for name in ("run_id", "id", "run"))):
        if isinstance(found, str) and found:
            return found
    raise TypeError(f"expected a run or its id, received {str(run)[:100]!r} ({type(run).__name__})")
