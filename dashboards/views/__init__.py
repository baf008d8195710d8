"""The views: each shows one part of a run, of the list of runs or of the start form, over a model. No network."""

from dashboards.views.bars import BarsView
from dashboards.views.care import CareView
from dashboards.views.failures import FailuresView
from dashboards.views.header import ErrorView, HeaderView, NoticeView
from dashboards.views.log import LogView
from dashboards.views.phases import PhasesView
from dashboards.views.progress import ProgressView
from dashboards.views.run import DetailsView, RunView
from dashboards.views.runs import RunsView
from dashboards.views.start import StartView
from dashboards.views.stats import StatsView
from dashboards.views.throughput import ThroughputView
from dashboards.views.values import ParametersView, ResultView

__all__ = [
    "BarsView",
    "CareView",
    "DetailsView",
    "ErrorView",
    "FailuresView",
    "HeaderView",
    "LogView",
    "NoticeView",
    "ParametersView",
    "PhasesView",
    "ProgressView",
    "ResultView",
    "RunView",
    "RunsView",
    "StartView",
    "StatsView",
    "ThroughputView",
]
