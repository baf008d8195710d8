"""The phases as one Bokeh bar: segments as wide as their weights that fill as they go, each named in words."""

from __future__ import annotations

from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import View
from streamer.model import formatting
from streamer.model.state import PhaseState, RunState

_MARKS = {"done": "✓", "failed": "✕", "stopped": "■", "skipped": "↷"}


class PhasesView(View):
    """A run's phases. A run without phases has one segment: the whole."""

    part = "phases"
    names = ("state", "now")
    model: RunModel

    def figure(self) -> str:
        # Why not at the top: Bokeh's plotting takes long to load, and the first page, the list of runs, has no figure.
        from dashboards.views.figures import phases_figure

        return phases_figure()

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        # Nothing goes by in a run that is over.
        return state, None if state is None or state.is_over else self.model.now

    def present(self) -> dict[str, Any]:
        state = self.model.state
        labels = [] if state is None else [_label(phase, state, self.model.now) for phase in state.phases]
        return {**_columns(_segments(state)), "labels": labels, "spoken": _spoken(labels, state)}


def _segments(state: RunState | None) -> list[dict[str, Any]]:
    """Lay the phases out from 0 to 1, as wide as their weights; `fill` is where the filled part ends."""
    if state is None or not state.phases:
        return [_whole(state)]
    total = sum(phase.weight for phase in state.phases)
    segments, left = [], 0.0
    for phase in state.phases:
        width = phase.weight / total if total > 0 else 1 / len(state.phases)
        kind = _kind(phase, state)
        moving = kind == "active" and phase.progress is None and _works(state)
        fraction = 1.0 if kind == "done" else 0.0 if kind == "skipped" else phase.fraction
        right = left + width
        segments.append(
            {
                "left": round(left, 5),
                "right": round(right, 5),
                "fill": round(left + width * fraction, 4) if fraction < 1 else round(right, 5),
                "kind": kind,
                "moving": moving,
            }
        )
        left = right
    return segments


def _whole(state: RunState | None) -> dict[str, Any]:
    fraction = 0.0 if state is None else state.overall_progress / 100
    moving = state is not None and state.indeterminate and fraction == 0 and _works(state)
    kinds = {"queued": "waiting", "complete": "done", "failed": "failed", "cancelled": "stopped"}
    kind = "waiting" if state is None else kinds.get(state.status, "active")
    return {"left": 0.0, "right": 1.0, "fill": round(fraction, 4), "kind": kind, "moving": moving}


def _works(state: RunState) -> bool:
    return state.status in ("running", "cancelling")


def _kind(phase: PhaseState, state: RunState) -> str:
    if phase.status == "failed":
        return "stopped" if state.status == "cancelled" else "failed"
    return {"waiting": "waiting", "started": "active", "finished": "done", "skipped": "skipped"}[phase.status]


def _pattern(segment: dict[str, Any]) -> str:
    if segment["moving"]:
        return "right_diagonal_line"
    return {"failed": "cross", "stopped": "horizontal_line", "skipped": "left_diagonal_line"}.get(
        segment["kind"], "blank"
    )


def _columns(segments: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "left": [s["left"] for s in segments],
        "right": [s["right"] for s in segments],
        "fill": [s["fill"] for s in segments],
        "kind": [s["kind"] for s in segments],
        "pattern": [_pattern(s) for s in segments],
        "moving": [s["moving"] for s in segments],
    }


def _label(phase: PhaseState, state: RunState, now: float) -> dict[str, Any]:
    """Return what is said of a phase; `details` from the longest wording to the shortest, for narrow segments."""
    kind = _kind(phase, state)
    weight, took = f"weight {phase.weight:g}", _took(phase, state, now)
    if kind == "waiting":
        parts = [weight, "not reached" if state.is_over else "waiting"]
        details = [parts, parts[1:]]
    elif kind == "skipped":
        details = [[weight, "skipped"], ["skipped"]]
    elif kind == "done":
        details = [["100 %", took], ["100 %"]]
    else:
        reached = _reached(phase)
        if kind == "active":
            details = [[weight, reached, took], [reached, took], [reached]]
        else:
            word = "failed" if kind == "failed" else "stopped"
            at = f"{word} at {reached}" if phase.progress is not None or phase.done is not None else word
            details = [[at, took], [at], [word]]
    return {
        "name": formatting.cut(phase.name, 200),
        "details": [" · ".join(part for part in parts if part) for parts in details],
        "kind": kind,
        "mark": _MARKS.get(kind, ""),
    }


def _reached(phase: PhaseState) -> str:
    if phase.progress is not None:
        return formatting.percent(phase.progress)
    return formatting.done_of(phase.done, None, formatting.cut(phase.unit, 20)) or "working"


def _took(phase: PhaseState, state: RunState, now: float) -> str:
    if phase.started is None:
        return ""
    end = phase.ended if phase.ended is not None else (state.ended if state.is_over else now)
    seconds = (end if end is not None else now) - phase.started
    return (
        formatting.took(seconds) if phase.ended is not None or state.is_over else formatting.duration(seconds)
    )


def _spoken(labels: list[dict[str, Any]], state: RunState | None) -> str:
    if not labels:
        return (
            "No phases"
            if state is None
            else f"Overall progress, {formatting.percent(state.overall_progress)}"
        )
    names = "; ".join(f"{label['name']}: {label['details'][0]}" for label in labels[:40])
    return f"Phases, as wide as their weights: {formatting.cut(names, 2_000)}"
