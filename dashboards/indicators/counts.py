"""`Counts`: four numbers of a run: what succeeded, what failed, how long it took, how many warnings there were."""

from __future__ import annotations

from typing import Any

import param

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting
from streamer.model.palette import Tone


class Counts(Indicator):
    """A run's numbers: ``Counts(run)``."""

    columns = param.Integer(default=2, bounds=(1, 4), doc="How many numbers stand side by side.")

    script = "Counts"
    watched = ("state", "now")
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        return state, None if state is None or state.is_over else self.model.now, self.columns

    def present(self) -> dict[str, Any]:
        return {"columns": self.columns, "cells": self._cells()}

    def _cells(self) -> list[dict[str, str]]:
        state, said = self.model.state, self.model.summary
        if state is None or said is None or state.started is None:
            names = ("Succeeded", "Failed", "Elapsed", "Warnings")
            return [_cell(name, formatting.NOT_KNOWN) for name in names]
        return [
            _cell("Succeeded", formatting.count(said.succeeded)),
            _cell("Failed", formatting.count(said.failed), "bad" if said.failed else ""),
            _cell("Elapsed", formatting.clock(said.elapsed)),
            _cell("Warnings", formatting.count(said.warnings), "warn" if said.warnings else ""),
        ]


def _cell(label: str, value: str, tone: Tone | str = "") -> dict[str, str]:
    return {"label": label, "value": value, "tone": tone}
