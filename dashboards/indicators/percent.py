"""`Percent`: how far a run is as one large number, and beside it what the run does now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting


class Percent(Indicator):
    """A run's percentage: ``Percent(run)``. A run that does not know its total shows a count instead."""

    value = param.Integer(
        default=None, allow_None=True, doc="The whole percent; None: not known. Python sets it."
    )
    details = param.Boolean(
        default=True, doc="Whether the phase, the counts and the rate stand beside the number."
    )

    script = "Percent"
    watched = ("state",)
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        return (self.model.state, self.details)

    def present(self) -> dict[str, Any]:
        state, said = self.model.state, self.model.summary
        if state is None or said is None:
            shown = {"number": formatting.NOT_KNOWN, "unit": "", "value": None, "spoken": "not known"}
            return {**shown, "phase": "", "now": "", "tone": "soft", "result": False}
        is_known = said.number != formatting.NOT_KNOWN
        place = said.phase if said.outcome is None else said.headline
        reached = f"{said.number} {said.unit}".strip()
        return {
            "number": said.number,
            "unit": said.unit,
            "value": said.percent,
            "phase": formatting.cut(place, 80) if self.details else "",
            "now": said.now if self.details else "",
            "spoken": ", ".join(filter(None, (reached, place, said.now))) if is_known else said.word.lower(),
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
