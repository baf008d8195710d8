"""Views of the gallery's states for tests, and the values that their parts present.

Holds no tests and no fixtures.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from dashboards.indicators import RunsView, RunView
from streamer.model.events import Results
from streamer.model.state import Curve, RunState
from tests.gallery.lists import OVERVIEWS
from tests.gallery.runs import RUNS

#: Where each part of a run's page is.
PARTS = {
    "header": "status",
    "progress": "percent",
    "phases": "phase_bar",
    "stats": "counts",
}


def view(state: str) -> RunView:
    return RunView(RUNS[state]())


def shown(state: str, part: str) -> dict[str, Any]:
    run = view(state)
    made: Any = run if part == "details" else getattr(run, PARTS.get(part, part))
    present: dict[str, Any] = made.present()
    return present


def further(state: RunState) -> RunState:
    """Return the state a tenth of a second later: more done, nothing else."""
    load = replace(
        state.phases[1],
        done=3677,
        progress=76.41,
        curve=Curve(state.phases[1].curve.step_seconds, (*state.phases[1].curve.points, (24.6, 131.0))),
    )
    return replace(
        state,
        phases=(state.phases[0], load, state.phases[2]),
        done=3677,
        overall_progress=63.48,
        results=Results(3674, 3),
    )


def begun(run: RunView) -> list[list[Any]]:
    """Return the log's lines with which a drawing starts."""
    rows: list[list[Any]] = json.loads(run.log.whole())["lines"]
    return rows


def rows_drawn(runs: RunsView) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(runs.table.whole())["rows"]
    return rows


def rows_of(state: str) -> list[dict[str, Any]]:
    return rows_drawn(RunsView(OVERVIEWS[state]()))
