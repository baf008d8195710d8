"""The number first: overall progress, and where the run is at and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import View
from streamer.model import formatting
from streamer.model.summary import Summary


class ProgressView(View):
    """Overall progress of a run, large; the phase, how much of it is done, and the rate."""

    part = "progress"
    names = ("state",)
    model: RunModel

    def present(self) -> dict[str, Any]:
        state, summary = self.model.state, self.model.summary
        if state is None or summary is None:
            return {
                "number": formatting.NOT_KNOWN,
                "unit": "",
                "value": None,
                "phase": "",
                "now": "",
                "spoken": "not known",
                "result": False,
            }
        is_unknown = summary.number == formatting.NOT_KNOWN
        return {
            "number": summary.number,
            "unit": summary.unit,
            "value": summary.percent,
            "phase": formatting.cut(_place(summary), 80),
            "now": summary.now,
            "spoken": _spoken(summary),
            "tone": "soft" if is_unknown else "",
            "result": state.status == "complete" and state.result is not None,
        }

    def receive(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "result":
            self.model.update(tab="result")


def _place(summary: Summary) -> str:
    """Return the phase in which the run is; of a run that is over, how it ended."""
    return summary.phase if summary.outcome is None else summary.headline


def _spoken(summary: Summary) -> str:
    if summary.number == formatting.NOT_KNOWN:
        return summary.word.lower()
    reached = f"{summary.number} {summary.unit}".strip()
    return ", ".join(part for part in (reached, _place(summary), summary.now) if part)
