"""The indicators: Panel components, each shows one thing of a `Run`, of `Runs` or of a `Start`. No network."""

from dashboards.indicators.bars import Bars
from dashboards.indicators.counts import Counts
from dashboards.indicators.failure_table import FailureTable
from dashboards.indicators.log_table import LogTable
from dashboards.indicators.notice import Notice
from dashboards.indicators.percent import Percent
from dashboards.indicators.phase_bar import PhaseBar
from dashboards.indicators.run_controls import RunControls
from dashboards.indicators.run_error import RunError
from dashboards.indicators.run_view import RunView
from dashboards.indicators.runs_table import RunsTable
from dashboards.indicators.runs_view import RunsView
from dashboards.indicators.start_form import StartForm
from dashboards.indicators.status import Status
from dashboards.indicators.throughput import Throughput
from dashboards.indicators.values import Values

__all__ = [
    "Bars",
    "Counts",
    "FailureTable",
    "LogTable",
    "Notice",
    "Percent",
    "PhaseBar",
    "RunControls",
    "RunError",
    "RunView",
    "RunsTable",
    "RunsView",
    "StartForm",
    "Status",
    "Throughput",
    "Values",
]
