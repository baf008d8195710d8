"""The dashboards of panel-streamer: pages over a streamer's runs. Imports nothing of Panel until a name is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboards.notebook import RunView
    from dashboards.views import RunsView, StartView

__all__ = ["RunView", "RunsView", "StartView"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from importlib import import_module

        return getattr(
            import_module("dashboards.notebook" if name == "RunView" else "dashboards.views"), name
        )
    raise AttributeError(f"module 'dashboards' has no attribute {name!r}")
