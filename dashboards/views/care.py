"""What is to be known of a run besides its work: its time limit, its cancel, its retries; and to do it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dashboards.session import RunModel
from dashboards.views.base import View, run_soon
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


class CareView(View):
    """A run's time limit, cancel and retries; nothing while there is nothing to say of them.

    `run_href` is how another run's page is reached, with a place for its id, and `again_href` how the form is, with one
    for the pipeline and one for the run whose values fill it; empty: by no link.
    """

    part = "care"
    names = ("state", "now", "connection", "retry_busy", "retry_run")
    model: RunModel

    def __init__(self, model: RunModel, *, run_href: str = "", again_href: str = "") -> None:
        super().__init__(model)
        self.run_href = run_href
        self.again_href = again_href

    def looks_at(self) -> tuple[Any, ...]:
        return (*super().looks_at(), self.run_href, self.again_href)

    def present(self) -> dict[str, Any]:
        state = self.model.state
        if state is None:
            return {"facts": [], "retry": "none", "why": "", "again": ""}
        facts = [*_limit(state, self.model.now), *_cancel(state), *self._links(state)]
        return {"facts": facts, **self._retry(state), "again": self._again(state)}

    def _links(self, state: RunState) -> list[dict[str, Any]]:
        facts = []
        if state.retry_of is not None:
            what = "the failed items of" if state.retry_items == "failed" else "all of"
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

    def _retry(self, state: RunState) -> dict[str, str]:
        model = self.model
        if not (state.is_over and state.managed and state.results.failed):
            return {"retry": "none", "why": ""}
        if model.retry_busy or model.retry_run:
            return {"retry": "busy", "why": ""}
        if model.commands is None:
            return {"retry": "disabled", "why": "There is no streamer here to ask."}
        if model.connection != "live":
            return {"retry": "disabled", "why": "The streamer is away."}
        return {"retry": "ask", "why": "Starts a run of exactly the items that failed."}

    def _again(self, state: RunState) -> str:
        if not (state.is_over and state.managed and state.pipeline):
            return ""
        return self.again_href.format(quote(state.pipeline, safe=""), quote(state.run, safe=""))

    def receive(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "retry":
            run_soon(self.model.retry)


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
