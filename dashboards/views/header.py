"""The head of a run's page: its name, how it is, who started it, Copy link, Cancel; and what to know first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.session import RunModel
from dashboards.views.base import View, run_soon
from streamer.model import formatting
from streamer.model.state import RunState


class HeaderView(View):
    """The head of a run's page: title, status, sign of life; Copy link; Cancel, after a question."""

    part = "header"
    names = ("state", "run_id", "now", "cancel_asked", "connection", "link")
    model: RunModel

    def looks_at(self) -> tuple[Any, ...]:
        return (*super().looks_at(), self.model.away_seconds)

    def present(self) -> dict[str, Any]:
        model, state, summary = self.model, self.model.state, self.model.summary
        if state is None or summary is None:
            return {
                "known": False,
                "title": model.run_id,
                "word": "",
                "tone": "wait",
                "about": [],
                "cancel": "none",
                "link": "",
            }
        return {
            "known": True,
            "title": summary.title,
            "word": summary.word,
            "tone": summary.tone,
            "live": summary.live,
            "about": _about(state),
            "life": summary.life,
            "quiet": summary.quiet,
            "link": model.link,
            **self._cancel(state),
        }

    def _cancel(self, state: RunState) -> dict[str, str]:
        if state.is_over:
            return {"cancel": "none", "why": ""}
        if state.status == "cancelling":
            told = state.cancel is not None and state.cancel.acknowledged is not None
            why = (
                "The run has acknowledged the cancel and is stopping."
                if told
                else "The cancel was sent. The run has not acknowledged it yet."
            )
            return {"cancel": "cancelling", "why": why}
        if self.model.cancel_asked:
            return {"cancel": "asked", "why": "The cancel was sent. The run has not acknowledged it yet."}
        if self.model.commands is None:
            return {"cancel": "disabled", "why": "There is no streamer here to ask."}
        if self.model.connection != "live":
            return {"cancel": "disabled", "why": "The streamer is away."}
        return {"cancel": "ask", "why": ""}

    def receive(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "cancel":
            run_soon(self.model.cancel)


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


class NoticeView(View):
    """Says that a run is missing, the streamer away, or that something asked for did not work."""

    part = "notice"
    names = ("connection", "connection_message", "notice", "state", "run_id")
    model: RunModel

    def looks_at(self) -> tuple[Any, ...]:
        model, state = self.model, self.model.state
        live = None if state is None else state.is_over
        return model.connection, model.connection_message, model.notice, live, model.run_id

    def present(self) -> dict[str, Any]:
        model = self.model
        known = model.state is not None
        if model.connection == "missing" and not known:
            return notice(
                "missing",
                "No such run",
                model.connection_message
                or "The streamer knows no run with this id. The page will show it as soon as there is one.",
                code=model.run_id,
                link=("?", "All runs"),
                page=True,
            )
        if model.connection == "away":
            text = model.connection_message or "Trying again until it is back."
            if known and model.state is not None and not model.state.is_over:
                text += " The page shows the last known state. The run itself goes on."
            return notice("away", "The streamer is away", text, page=not known)
        if model.connection == "connecting" and not known:
            return notice("connecting", "Connecting", "Asking the streamer about this run…", page=True)
        if model.notice:
            return notice("notice", "That did not work", model.notice)
        return notice("", "", "")


def notice(
    kind: str,
    title: str,
    text: str,
    *,
    code: str = "",
    link: tuple[str, str] | None = None,
    page: bool = False,
) -> dict[str, Any]:
    """Return what a notice shows; on a `page` there is nothing else."""
    return {
        "kind": kind,
        "title": title,
        "text": formatting.cut(text, 2_000),
        "code": formatting.cut(code, 200),
        "link": list(link) if link else [],
        "page": page,
    }


class ErrorView(View):
    """Why a run failed or how it was cancelled; nothing while neither is so. Its traceback is one click away."""

    part = "error"
    names = ("state",)
    model: RunModel

    def present(self) -> dict[str, Any]:
        state = self.model.state
        if state is None or state.status != "failed":
            return {"shown": False, "type": "", "message": "", "traceback": "", "where": ""}
        error = state.error
        where = next((p.name for p in state.phases if p.status == "failed"), "")
        return {
            "shown": True,
            "type": error.type if error else "Failed",
            "message": (error.message if error else "") or state.message,
            "traceback": error.traceback if error else "",
            "where": where,
        }
