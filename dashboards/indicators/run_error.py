"""`RunError`: why a run failed; nothing while it has not. Its traceback is one click away."""

from __future__ import annotations

from typing import Any

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel


class RunError(Indicator):
    """Why a run failed: ``RunError(run)``. It takes no room while the run has not failed."""

    script = "RunError"
    watched = ("state",)
    model_class = RunModel

    def present(self) -> dict[str, Any]:
        state = self.model.state
        if state is None or state.status != "failed":
            return {"shown": False, "type": "", "message": "", "traceback": "", "where": ""}
        error = state.error
        where = next((p.name for p in state.phases if p.status == "failed"), "")
        return {
            "shown": True,
            "type": error.type if error else "Failed",
            "message": (error.message if error else "") or state.message,
            "traceback": error.traceback if error else "",
            "where": where,
        }
