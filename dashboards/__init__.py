"""The dashboards of panel-streamer: indicators for Panel apps and notebooks, and pages made of them.

Imports nothing of Panel before an indicator or a model is asked for: a notebook's views do without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dashboards.indicators import (
        Bars,
        Counts,
        FailureTable,
        LogTable,
        Notice,
        Percent,
        PhaseBar,
        RunControls,
        RunsTable,
        Status,
        Throughput,
        Values,
    )
    from dashboards.models import Run, Runs, Start
    from dashboards.notebook import RunsView, RunView, StartForm

__all__ = [
    "Bars",
    "Counts",
    "FailureTable",
    "LogTable",
    "Notice",
    "Percent",
    "PhaseBar",
    "Run",
    "RunControls",
    "RunView",
    "Runs",
    "RunsTable",
    "RunsView",
    "Start",
    "StartForm",
    "Status",
    "Throughput",
    "Values",
]

_MODELS: Final = frozenset({"Run", "Runs", "Start"})
_VIEWS: Final = frozenset({"RunView", "RunsView", "StartForm"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'dashboards' has no attribute {name!r}")
    package = "models" if name in _MODELS else "notebook" if name in _VIEWS else "indicators"
    return getattr(importlib.import_module(f"dashboards.{package}"), name)
