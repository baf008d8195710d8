"""`Status`: a run's name, how it is, who started it, the sentence about its life, and what was asked of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import param

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting, time_limit
from streamer.model.state import CancelState, RunState

#: How a cancel ended, in words.
ENDINGS = {
    "cooperative": "ended by itself",
    "terminated": "its process was terminated",
    "killed": "its process was killed",
    "unstarted": "it had not been started",
    "gone": "its process was gone without a word",
}


class Status(Indicator):
    """A run's head: ``Status(run)``. It says when the connection is lost, and how old the rest is then."""

    title = param.Boolean(default=True, doc="Whether the run's name stands above.")
    facts = param.Boolean(default=True, doc="Whether its time limit, cancel and retries stand below.")
    run_href = param.String(
        default="", doc="The address of another run's page, with {} for its id; empty: no link."
    )

    script = "Status"
    watched = ("state", "run_id", "now", "connection")
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        return (*super().looks_at(), self.model.away_seconds, self.title, self.facts, self.run_href)

    def present(self) -> dict[str, Any]:
        model, state, said = self.model, self.model.state, self.model.summary
        if state is None or said is None:
            empty = {
                "word": "",
                "tone": "wait",
                "live": False,
                "about": [],
                "life": "",
                "quiet": False,
                "facts": [],
            }
            return {"title": model.run_id if self.title else "", **empty}
        return {
            "title": said.title if self.title else "",
            "word": said.word,
            "tone": said.tone,
            "live": said.live,
            "about": _about(state),
            "life": said.life,
            "quiet": said.quiet,
            "facts": self._facts(state) if self.facts else [],
        }

    def _facts(self, state: RunState) -> list[dict[str, Any]]:
        return [*_limit(state, self.model.now), *_cancel(state), *_unreached(state), *self._retries(state)]

    def _retries(self, state: RunState) -> list[dict[str, Any]]:
        facts = []
        if state.retry_of is not None:
            whats = {"failed": "the failed items of", "rest": "the failed and the unreached items of"}
            what = whats.get(state.retry_items, "all of")
            facts.append(_fact("Retry", [f"of {what} run ", self._link(state.retry_of)]))
        if state.retried_by:
            parts: list[Any] = ["by run "]
            for number, run_id in enumerate(state.retried_by):
                parts += [", ", self._link(run_id)] if number else [self._link(run_id)]
            facts.append(_fact("Done again", parts))
        return facts

    def _link(self, run_id: str) -> list[str]:
        """Return a run's id, and where its page is."""
        return [run_id, self.run_href.format(quote(run_id, safe="")) if self.run_href else ""]


def _about(state: RunState) -> list[Any]:
    """Say when, by whom and where; numbers are times, which the browser writes in its own zone."""
    if state.started is None:
        parts: list[Any] = ["Queued "] if not state.is_over else ["Asked for "]
        when = state.created
    else:
        parts, when = ["Started "], state.started
    if when is not None:
        parts.append(when)
    if state.owner:
        parts.append(f" by {state.owner}")
    if state.host:
        parts.append(f" on {state.host}")
    if state.program_beside:
        parts.append(f" · {formatting.cut(state.program_beside, 100)}")
    if state.is_over and state.ended is not None:
        parts += [" · ended ", state.ended]
        seconds = state.duration(state.ended)
        if seconds is not None:
            parts.append(f", after {formatting.took(seconds)}")
    return parts


def _fact(name: str, parts: list[Any], tone: str = "") -> dict[str, Any]:
    """Return a fact; a part is a text, or a text with where it leads to."""
    return {"name": name, "parts": parts, "tone": tone}


def _limit(state: RunState, now: float) -> list[dict[str, Any]]:
    limit = state.time_limit_seconds
    if limit is None or state.is_over:
        return []
    left = time_limit.seconds_left(state, now)
    if left is None:
        return [_fact("Time limit", [formatting.duration(limit)])]
    if state.status == "cancelling":
        return []
    text = f"{formatting.clock(left)} left of {formatting.duration(limit)}"
    if not time_limit.will_miss(state, now):
        return [_fact("Time limit", [text])]
    expected = time_limit.expected_seconds(state, now)
    return [
        _fact(
            "Time limit", [f"{text}, but about {formatting.duration(expected)} needed at this pace"], "warn"
        )
    ]


def _unreached(state: RunState) -> list[dict[str, Any]]:
    """Return the facts about items that a run left when it was cancelled or failed."""
    facts = []
    for one in state.unreached:
        number = "" if one.total is None else f"{max(one.total - one.reached, 0):,} of {one.total:,} items"
        words = number or f"all after the first {one.reached:,} items"
        facts.append(_fact("Never reached", [f"{words} in {one.phase}"]))
    return facts


def _cancel(state: RunState) -> list[dict[str, Any]]:
    cancel = state.cancel
    if cancel is None:
        return []
    steps = [cancel.reason or (f"asked by {cancel.by}" if cancel.by else "asked")]
    if cancel.acknowledged is not None:
        steps.append(_acknowledged(cancel))
    elif cancel.asked is not None and not cancel.how:
        steps.append("not acknowledged yet")
    if state.is_over and state.status != "cancelled":
        steps.append("the run ended before")
    elif cancel.how:
        steps.append(ENDINGS.get(cancel.how, cancel.how))
    elif cancel.killed is not None:
        steps.append("its process is killed")
    elif cancel.terminated is not None:
        steps.append("its process is terminated")
    return [_fact("Cancel", [" → ".join(steps)], "" if state.is_over else "warn")]


def _acknowledged(cancel: CancelState) -> str:
    where = ""
    if cancel.phase:
        where += f" in {formatting.cut(cancel.phase, 100)}"
    if cancel.item is not None:
        where += f" at {formatting.cut(cancel.item, 100)}"
    return f"acknowledged{where}"
