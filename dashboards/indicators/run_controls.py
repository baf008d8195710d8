"""`RunControls`: what can be done for a run, in one row: copy its link, cancel, retry failed items, run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import param

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting
from streamer.model.parameters.secret import is_hidden
from streamer.model.state import RunState

#: The words for a cancel that no run has answered.
SENT = "The cancel was sent. The run has not acknowledged it yet."

_NO_RETRY = {"retry": "none", "why_retry": "", "rest": "", "why_rest": ""}


class RunControls(Indicator):
    """A run's buttons: ``RunControls(run)``. Cancel asks once more; nothing can be asked while the streamer is away."""

    copy_link = param.Boolean(default=True, doc="Whether Copy link is offered.")
    again_href = param.String(
        default="",
        doc="The address of the form that runs it again, with {} for pipeline and run; empty: no link.",
    )

    script = "RunControls"
    watched = ("state", "cancel_asked", "retry_busy", "retry_run", "connection", "link")
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        state, model = self.model.state, self.model
        known: tuple[Any, ...] = (None,)
        if state is not None:
            known = (state.status, state.managed, state.results.failed, state.cancel, state.unreached)
        asked = (model.cancel_asked, model.retry_busy, model.retry_run, model.connection, model.link)
        return (*known, *asked, model.run_id, model.commands is None, self.copy_link, self.again_href)

    def present(self) -> dict[str, Any]:
        model, state = self.model, self.model.state
        if state is None:
            return {
                "copy": False,
                "link": "",
                "cancel": "none",
                "why": "",
                **_NO_RETRY,
                "again": "",
                "asks": "",
            }
        return {
            "copy": self.copy_link,
            "link": model.link,
            **self._cancel(state),
            **self._retry(state),
            "again": self._again(state),
            "asks": self._asks(state),
        }

    def _cancel(self, state: RunState) -> dict[str, str]:
        if state.is_over:
            return {"cancel": "none", "why": ""}
        if state.status == "cancelling":
            told = state.cancel is not None and state.cancel.acknowledged is not None
            why = "The run has acknowledged the cancel and is stopping." if told else SENT
            return {"cancel": "cancelling", "why": why}
        if self.model.cancel_asked:
            return {"cancel": "asked", "why": SENT}
        return (
            {"cancel": "disabled", "why": why} if (why := self._why_not()) else {"cancel": "ask", "why": ""}
        )

    def _retry(self, state: RunState) -> dict[str, str]:
        model = self.model
        failed, unreached = state.results.failed, state.never_reached
        if not (state.is_over and state.managed and (failed or state.unreached)):
            return _NO_RETRY
        if model.retry_busy or model.retry_run:
            return {**_NO_RETRY, "retry": "busy"}
        why = self._why_not()
        found = _NO_RETRY
        if failed:
            left = f" {unreached:,} others were never reached." if unreached else ""
            said = f"Starts a run of exactly the items that failed.{left}"
            found = {**found, "retry": "disabled" if why else "ask", "why_retry": why or said}
        if state.unreached and not why:
            number = f"{unreached:,} unreached" if unreached else "the unreached"
            words = f"{failed:,} failed and {number}" if failed else number
            found = {
                **found,
                "rest": f"Do {words} {formatting.plural(failed + unreached, 'item')}",
                "why_rest": "The run ended before it reached these items. Items that succeeded are not repeated.",
            }
        return found

    def _why_not(self) -> str:
        """Return why nothing can be asked for; empty when it can."""
        if self.model.commands is None:
            return "There is no streamer here to ask."
        return "" if self.model.connection == "live" else "The streamer is away."

    def _again(self, state: RunState) -> str:
        if not (state.is_over and state.managed and state.pipeline):
            return ""
        return self.again_href.format(quote(state.pipeline, safe=""), quote(state.run, safe=""))

    def _asks(self, state: RunState) -> str:
        """Return the address of the form that asks for the run's secrets; empty when it has none."""
        values = state.parameters.values()
        secret = any(is_hidden(value, is_secret=either) for value in values for either in (True, False))
        return self._again(state) if secret else ""

    def receive(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "cancel":
                self.model.run(self.model.cancel)
            case "retry":
                self.model.run(self.model.retry)
            case "rest":
                self.model.run(lambda: self.model.retry(rest=True))
