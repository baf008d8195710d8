"""`Run`: one run as reactive parameters, to be bound, watched and linked. Draws nothing.

run = Run("d5xhfvxyj4")
pn.bind(lambda percent: f"{percent} %", run.param.progress)
"""

from __future__ import annotations

from typing import Any

import param

from dashboards.data.connect import UPDATE_SECONDS, connect
from dashboards.data.run_link import RunLink
from dashboards.session import RunModel
from streamer.model.state import RunState
from streamer.model.summary import outcome, percent, title

#: The parameters that a state says as they are.
_SAID = (
    "status",
    "message",
    "phase",
    "done",
    "total",
    "unit",
    "rate",
    "warnings",
    "started",
    "ended",
    "result",
)


class Run(RunModel):
    """A run of a streamer: ``Run(run_id)``. ``Run(state=…)`` is a run that stays as it is.

    It may be made in a served session, a script or a notebook, before the loop runs and for a run that is over. It ends
    with its session, or by `close()`. Set none of the parameters below: the streamer does. Times are POSIX seconds.
    """

    status = param.String(
        default="",
        doc="queued, running, stalled, cancelling, complete, failed or cancelled; empty: not known.",
    )
    outcome = param.String(
        default=None,
        allow_None=True,
        doc="complete, partial, failed or cancelled; None while the run goes on.",
    )
    title = param.String(default="", doc="The run's name.")
    message = param.String(default="", doc="The last thing the run said about its status.")
    progress = param.Integer(
        default=None, allow_None=True, doc="The whole percent that is shown; None: not known."
    )
    overall_progress = param.Number(
        default=0.0, doc="Percent of the whole by the weights of the phases, 0 to 100."
    )
    phase = param.String(default=None, allow_None=True, doc="The phase under way; None: none.")
    phases = param.ClassSelector(
        class_=tuple,
        default=(),
        doc="The phases in order: name, weight, status, progress, done, total.",
    )
    done = param.Number(default=None, allow_None=True, doc="Units done in the phase; None: not counted.")
    total = param.Number(default=None, allow_None=True, doc="Units in the phase; None: not known.")
    unit = param.String(default="", doc="The unit of done, total and rate.")
    rate = param.Number(default=None, allow_None=True, doc="Units a second; None: not known.")
    succeeded = param.Integer(default=0, doc="Items that succeeded.")
    failed = param.Integer(default=0, doc="Items that failed.")
    warnings = param.Integer(default=0, doc="Log lines that are warnings.")
    started = param.Number(default=None, allow_None=True, doc="When the run started; None: not yet.")
    ended = param.Number(default=None, allow_None=True, doc="When the run ended; None: not yet.")
    remaining = param.Dict(
        default=None,
        allow_None=True,
        doc="Seconds that remain: p10, p50 and p90; None: not known.",
    )
    result = param.Parameter(default=None, doc="The value that the run returned, as plain data.")

    def __init__(self, run_id: str | None = None, url: str | None = None, **params: Any) -> None:
        fed = "state" in params or "connection" in params or params.get("commands") is not None
        if run_id is not None:
            params["run_id"] = str(run_id)[:100]
            if not fed:
                params["connection"] = "connecting"
        elif not fed:
            raise TypeError("expected a run's id, received None")
        super().__init__(**params)
        if self.state is not None:
            self.update(state=self.state)
        if not fed:
            connect(
                self, lambda source, place: RunLink(self, source, place, interval_seconds=UPDATE_SECONDS), url
            )

    def update(self, **changes: Any) -> None:
        if "state" not in changes:
            super().update(**changes)
            return
        said = _said(changes["state"])
        changes.update({name: value for name, value in said.items() if value != getattr(self, name)})
        super().update(**changes)


def _said(state: RunState | None) -> dict[str, Any]:
    """Return the parameters that a state says."""
    if state is None:
        return {}
    said = None if state.estimate is None else state.estimate.remaining
    remaining = None if said is None else {"p10": said.p10, "p50": said.p50, "p90": said.p90}
    return {
        **{name: getattr(state, name) for name in _SAID},
        "outcome": outcome(state),
        "title": title(state),
        "progress": percent(state),
        "overall_progress": state.overall_progress,
        "phases": state.phases,
        "succeeded": state.results.success,
        "failed": state.results.failed,
        "remaining": remaining,
    }
