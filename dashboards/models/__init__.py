"""The models of a dashboard: reactive mirrors of a run, of the list of runs and of the form. They draw nothing."""

from dashboards.models.run import Run
from dashboards.models.runs import Runs
from dashboards.models.start import Start

__all__ = ["Run", "Runs", "Start"]
