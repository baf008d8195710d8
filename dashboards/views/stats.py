"""Four numbers: what succeeded, what failed, how long it took, how many warnings there were."""

from __future__ import annotations

from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import Component, View
from streamer import words


class RunStats(Component):
    """Numbers with their names."""


class StatsView(View):
    """The numbers of a run."""

    names = ("state", "now")
    component_class = RunStats
    model: RunModel

    def present(self) -> dict[str, Any]:
        state = self.model.state
        if state is None or state.started is None:
            return {
                "cells": [
                    _cell(name, words.NOT_KNOWN) for name in ("Succeeded", "Failed", "Elapsed", "Warnings")
                ]
            }
        failed, warnings = state.results.failed, state.warnings
        return {
            "cells": [
                _cell("Succeeded", words.count(state.results.success)),
                _cell("Failed", words.count(failed), "bad" if failed else ""),
                _cell("Elapsed", words.clock(state.duration(self.model.now))),
                _cell("Warnings", words.count(warnings), "warn" if warnings else ""),
            ]
        }


def _cell(label: str, value: str, tone: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "tone": tone}
