"""The number first: overall progress, and where the run is at and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import View
from streamer.model import formatting
from streamer.model.state import RunState


class ProgressView(View):
    """Overall progress of a run, large; the phase, how much of it is done, and the rate."""

    part = "progress"
    names = ("state",)
    model: RunModel

    def present(self) -> dict[str, Any]:
        state = self.model.state
        if state is None:
            return {
                "number": formatting.NOT_KNOWN,
                "unit": "",
                "value": None,
                "phase": "",
                "now": "",
                "spoken": "not known",
                "result": False,
            }
        number, unit = _number(state)
        phase, now = _now(state)
        value = None if unit != "%" else state.progress
        spoken = ", ".join(part for part in (f"{number} {unit}".strip(), phase, now) if part)
        if number == formatting.NOT_KNOWN:
            spoken = formatting.status_word(state.status).lower()
        return {
            "number": number,
            "unit": unit,
            "value": value,
            "phase": formatting.cut(phase, 80),
            "now": now,
            "spoken": spoken,
            "tone": "soft" if number == formatting.NOT_KNOWN else "",
            "result": state.status == "complete" and state.result is not None,
        }

    def receive(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "result":
            self.model.update(tab="result")


def _number(state: RunState) -> tuple[str, str]:
    silent = not state.phases and state.done is None and state.indeterminate and not state.overall_progress
    if state.status == "queued" or silent:
        return formatting.NOT_KNOWN, ""
    if state.indeterminate and state.overall_progress == 0 and state.done is not None:
        # Nobody knows how much there is: a count is true, a percentage would be made up.
        text = formatting.amount(state.done, state.unit)
        number, _, unit = text.partition(" ")
        return number, unit
    return str(state.progress), "%"


def _now(state: RunState) -> tuple[str, str]:
    if state.status == "queued":
        return "", "Waiting for a place"
    if state.is_over:
        return _over(state)
    done = formatting.done_of(state.done, state.total, state.unit)
    if state.indeterminate and state.done is not None:
        # The count is the large number then, unless earlier phases gave a percentage.
        done = f"{done}, total not known" if state.overall_progress else "total not known"
    parts = [done, formatting.rate(state.rate, state.unit) if state.status != "stalled" else ""]
    if not any(parts) and state.message and state.status != "stalled":
        parts = [formatting.cut(state.message, 120)]
    if not any(parts):
        waiting = "Waiting for a sign of life" if state.status == "stalled" else "Working"
        parts = [waiting] if state.phase is None else []
    return state.phase or "", " · ".join(part for part in parts if part)


def _over(state: RunState) -> tuple[str, str]:
    failed, success = state.results.failed, state.results.success
    if state.status == "complete":
        if failed:
            return "Complete", f"{failed:,} of {failed + success:,} failed"
        return "Complete", f"{success:,} succeeded" if success else ""
    reached = f"in {formatting.cut(state.phase, 60)}" if state.phase else ""
    done = formatting.done_of(state.done, state.total, formatting.cut(state.unit, 20))
    return formatting.status_word(state.status), " · ".join(part for part in (reached, done) if part)
