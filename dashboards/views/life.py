"""The sentence about a run's life: how long ago something last happened, the longest gap so far, and its process."""

from __future__ import annotations

from streamer.model import formatting
from streamer.model.state import RunState

#: A run in which nothing happened for longer than this, in seconds, says so in the tone of a warning.
QUIET_SECONDS = 30.0
_DOING = {"stopped": "is stopped", "waiting": "is alive, waiting for a device"}


def life(state: RunState, now: float) -> tuple[str, bool]:
    """Return the sentence, and whether it is a reason to look: the run is silent. Empty for a run that is over."""
    if state.is_over or state.last_time is None:
        return "", False
    if state.status == "queued":
        since = state.last_time if state.created is None else state.created
        return f"waiting for {formatting.duration(max(now - since, 0.0))}", False
    age = max(now - state.last_time, 0.0)
    said = [
        f"last event {formatting.ago(age)}",
        f"longest gap {formatting.duration(max(state.longest_gap, age))}",
    ]
    if state.status == "stalled":
        sign = state.last_time if state.last_sign is None else state.last_sign
        said.insert(0, f"no sign of life for {formatting.duration(max(now - sign, 0.0))}")
    if process := _process(state):
        said.append(process)
    return " · ".join(said), state.status == "stalled" or age > QUIET_SECONDS


def _process(state: RunState) -> str:
    process = state.process
    if process is None:
        return ""
    if process.alive is None:
        return f"whether process {process.pid} lives is not known"
    if not process.alive:
        return f"process {process.pid} is gone"
    return f"process {process.pid} {_DOING.get(process.doing, 'is alive')}"
