"""The phases as one Bokeh bar: segments as wide as their weights that fill as they go, each named in words."""

from __future__ import annotations

from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import View
from streamer.model import formatting
from streamer.model.summary import PhaseKind, PhaseSummary, Summary


class PhasesView(View):
    """A run's phases. A run without phases has one segment: the whole."""

    part = "phases"
    names = ("state", "now", "connection")
    model: RunModel

    def figure(self) -> str:
        # Why not at the top: Bokeh's plotting takes long to load, and the first page, the list of runs, has no figure.
        from dashboards.views.figures import phases_figure

        return phases_figure()

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        # Nothing goes by in a run that is over.
        over = state is None or state.is_over
        return (state, None, "") if over else (state, self.model.now, self.model.connection)

    def present(self) -> dict[str, Any]:
        summary = self.model.summary
        labels = [] if summary is None else [_label(phase) for phase in summary.phases]
        return {**_columns(_segments(summary)), "labels": labels, "spoken": _spoken(labels, summary)}


def _segments(summary: Summary | None) -> list[dict[str, Any]]:
    """Lay the phases out from 0 to 1, as wide as their weights; `fill` is where the filled part ends."""
    if summary is None or not summary.phases:
        return [_whole(summary)]
    segments, left = [], 0.0
    for phase in summary.phases:
        right = left + phase.share
        fill = round(left + phase.share * phase.fraction, 4) if phase.fraction < 1 else round(right, 5)
        segments.append(
            {
                "left": round(left, 5),
                "right": round(right, 5),
                "fill": fill,
                "kind": phase.kind,
                "moving": phase.moving,
            }
        )
        left = right
    return segments


def _whole(summary: Summary | None) -> dict[str, Any]:
    kind: PhaseKind = "waiting" if summary is None else summary.kind
    fraction, moving = (0.0, False) if summary is None else (summary.fraction, summary.moving)
    return {"left": 0.0, "right": 1.0, "fill": round(fraction, 4), "kind": kind, "moving": moving}


def _pattern(segment: dict[str, Any]) -> str:
    if segment["moving"]:
        return "right_diagonal_line"
    return {
        "failed": "cross",
        "spoilt": "cross",
        "stopped": "horizontal_line",
        "skipped": "left_diagonal_line",
    }.get(segment["kind"], "blank")


def _columns(segments: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "left": [s["left"] for s in segments],
        "right": [s["right"] for s in segments],
        "fill": [s["fill"] for s in segments],
        "kind": [s["kind"] for s in segments],
        "pattern": [_pattern(s) for s in segments],
        "moving": [s["moving"] for s in segments],
    }


def _label(phase: PhaseSummary) -> dict[str, Any]:
    """Return what is said of a phase; `details` from the longest wording to the shortest, for narrow segments."""
    return {"name": phase.name, "details": list(phase.words), "kind": phase.kind, "mark": phase.mark}


def _spoken(labels: list[dict[str, Any]], summary: Summary | None) -> str:
    if not labels:
        return "No phases" if summary is None else f"Overall progress, {summary.progress}"
    names = "; ".join(f"{label['name']}: {label['details'][0]}" for label in labels[:40])
    return f"Phases, as wide as their weights: {formatting.cut(names, 2_000)}"
