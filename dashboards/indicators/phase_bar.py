"""`PhaseBar`: a run's phases as one bar, each as wide as its weight and filled as far as it is, named in words."""

from __future__ import annotations

from typing import Any

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting
from streamer.model.summary import Summary


class PhaseBar(Indicator):
    """A run's phases: ``PhaseBar(run)``. A run without phases has one segment: the whole."""

    script = "PhaseBar"
    watched = ("state", "now", "connection")
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        # Nothing goes by in a run that is over.
        over = state is None or state.is_over
        return (state, None, "") if over else (state, self.model.now, self.model.connection)

    def present(self) -> dict[str, Any]:
        said = self.model.summary
        phases = () if said is None else said.phases
        segments = [
            {"share": round(p.share, 5), "fill": round(p.fraction, 4), "kind": p.kind, "moving": p.moving}
            for p in phases
        ]
        labels = [{"name": p.name, "details": list(p.words), "kind": p.kind, "mark": p.mark} for p in phases]
        return {"segments": segments or [_whole(said)], "labels": labels, "spoken": _spoken(said)}


def _whole(said: Summary | None) -> dict[str, Any]:
    if said is None:
        return {"share": 1, "fill": 0, "kind": "waiting", "moving": False}
    return {"share": 1, "fill": round(said.fraction, 4), "kind": said.kind, "moving": said.moving}


def _spoken(said: Summary | None) -> str:
    if said is None:
        return "No phases"
    if not said.phases:
        return f"Overall progress, {said.progress}"
    names = "; ".join(f"{phase.name}: {phase.words[0]}" for phase in said.phases[:40])
    return f"Phases, as wide as their weights: {formatting.cut(names, 2_000)}"
