"""Throughput of the phase under way, or of the longest one of a run that is over, as a small Bokeh plot."""

from __future__ import annotations

from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import View
from streamer.model import formatting
from streamer.model.state import PhaseState, RunState


class ThroughputView(View):
    """Units per second over the time since the phase started."""

    part = "throughput"
    names = ("state",)
    model: RunModel

    def figure(self) -> str:
        # Why not at the top: see `PhasesView.figure`.
        from dashboards.views.figures import throughput_figure

        return throughput_figure()

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        return shown_phase(state), _nothing(state)

    def present(self) -> dict[str, Any]:
        state = self.model.state
        phase = shown_phase(state)
        if state is None or phase is None or len(phase.curve.points) < 2:
            return {
                "known": False,
                "label": "Throughput",
                "span": "",
                "text": _nothing(state),
                "spoken": "",
                **_columns(()),
                "format": _format(""),
            }
        name = formatting.cut(phase.name, 100) or "the run"
        per = "bytes/s" if formatting.in_bytes(phase.unit) else f"{phase.unit or 'items'}/s"
        seconds = phase.curve.points[-1][0]
        highest = max(rate for _, rate in phase.curve.points)
        return {
            "known": True,
            "label": f"Throughput, {formatting.cut(per, 40)}",
            "span": " · ".join(filter(None, (formatting.cut(phase.name, 40), formatting.took(seconds)))),
            "text": "",
            "spoken": f"Throughput of {name}, at most {formatting.rate(highest, phase.unit)}",
            **_columns(phase.curve.points),
            "format": _format(phase.unit),
        }


def shown_phase(state: RunState | None) -> PhaseState | None:
    """Return the phase whose curve says most: the one under way when it has one, else the longest that has one."""
    if state is None:
        return None
    current = state.find_phase(state.phase)
    if current is not None and len(current.curve.points) > 1 and not state.is_over:
        return current
    # What was counted outside of all phases counts where there is nothing else to show.
    places = state.phases or ((state.outside,) if state.outside is not None else ())
    known = [phase for phase in places if len(phase.curve.points) > 1]
    if not known:
        return None
    if not state.is_over:
        return known[-1]
    return max(known, key=lambda phase: phase.curve.points[-1][0])


def _nothing(state: RunState | None) -> str:
    if state is None or state.status == "queued":
        return "Nothing to measure yet"
    if not state.is_over:
        return "Not known yet"
    counted = any(phase.done for phase in state.phases) or (state.outside is not None and state.outside.done)
    return "Over before it could be measured" if counted else "Nothing was counted in this run"


def _columns(points: tuple[tuple[float, float], ...]) -> dict[str, Any]:
    # A range that follows its data needs some; the plot is not seen until there are two points.
    points = points or ((0.0, 0.0),)
    return {"t": [t for t, _ in points], "rate": [rate for _, rate in points]}


def _format(unit: str) -> str:
    return "0.[0] b" if formatting.in_bytes(unit) else "0.[0]a"
