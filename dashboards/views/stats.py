"""Four numbers: what succeeded, what failed, how long it took, how many warnings there were."""

from __future__ import annotations

from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import View
from streamer.model import formatting


class StatsView(View):
    """The numbers of a run."""

    part = "stats"
    names = ("state", "now")
    model: RunModel

    def present(self) -> dict[str, Any]:
        state, summary = self.model.state, self.model.summary
        if state is None or summary is None or state.started is None:
            return {
                "cells": [
                    _cell(name, formatting.NOT_KNOWN)
                    for name in ("Succeeded", "Failed", "Elapsed", "Warnings")
                ]
            }
        return {
            "cells": [
                _cell("Succeeded", formatting.count(summary.succeeded)),
                _cell("Failed", formatting.count(summary.failed), "bad" if summary.failed else ""),
                _cell("Elapsed", formatting.clock(summary.elapsed)),
                _cell("Warnings", formatting.count(summary.warnings), "warn" if summary.warnings else ""),
            ]
        }


def _cell(label: str, value: str, tone: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "tone": tone}
