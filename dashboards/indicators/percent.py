"""`Percent`: how far a run is as one large number, and beside it what the run does now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting
from streamer.model.summary import Remaining


def _when(left: Remaining) -> list[str | int]:
    """Return the line below the remaining time in parts; a number is a time, shown as the reader's clock says."""
    parts: list[str | int] = [] if left.end is None else ["done around ", left.end]
    for text in (left.band, left.basis):
        if text:
            parts += [f"{' · ' if parts else ''}{text}"]
    return parts


class Percent(Indicator):
    """A run's percentage: ``Percent(run)``. A run that does not know its total shows a count instead."""

    value = param.Integer(
        default=None, allow_None=True, doc="The whole percent; None: not known. Python sets it."
    )
    details = param.Boolean(
        default=True,
        doc="Whether the remaining time, the phase, the counts and the rate stand beside the number.",
    )

    script = "Percent"
    watched = ("state", "now")
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        said = self.model.summary
        left = None if said is None or said.remaining is None else said.remaining
        return (
            self.model.state,
            self.details,
            *(("", "", 0) if left is None else (left.left, left.band, left.end)),
        )

    def present(self) -> dict[str, Any]:
        state, said = self.model.state, self.model.summary
        if state is None or said is None:
            shown = {"number": formatting.NOT_KNOWN, "unit": "", "value": None, "spoken": "not known"}
            return {**shown, "phase": "", "now": "", "tone": "soft", "result": False, "left": "", "when": []}
        is_known = said.number != formatting.NOT_KNOWN
        place = said.phase if said.outcome is None else said.headline
        reached = f"{said.number} {said.unit}".strip()
        left = said.remaining if self.details else None
        # A reader of the screen is told what is known, not what is not.
        told = left.left if left is not None and left.short else ""
        return {
            "left": "" if left is None else left.left,
            "when": [] if left is None else _when(left),
            "number": said.number,
            "unit": said.unit,
            "value": said.percent,
            "phase": formatting.cut(place, 80) if self.details else "",
            "now": said.now if self.details else "",
            "spoken": ", ".join(filter(None, (reached, place, said.now, told)))
            if is_known
            else said.word.lower(),
            "tone": "" if is_known else "soft",
            "result": self.details and state.status == "complete" and state.result is not None,
        }

    def changed(self, names: set[str]) -> None:
        super().changed(names)
        said = self.model.summary
        self.value = None if said is None else said.percent

    def receive(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "result":
            self.model.update(tab="result")
