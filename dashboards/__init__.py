"""The dashboards of panel-streamer: pages over a streamer's runs, and views for notebooks. Imports nothing of Panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboards.notebook import RunsView, RunView, StartForm

__all__ = ["RunView", "RunsView", "StartForm"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from dashboards import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'dashboards' has no attribute {name!r}")
