"""The estimates that were said of a run, and the earlier runs of a pipeline or title. It computes no estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streamer.model.state import PhaseState, RunState
from streamer.model.timestamps import format_time
from streamer.protocol.frames import estimate_data
from streamer.protocol.paging import MOST_PER_PAGE, RUNS_PER_PAGE
from streamer.protocol.run_filter import RunFilter
from streamer.server.http.handler import BaseHandler

if TYPE_CHECKING:
    from streamer.server.estimates.past import Past

#: The shares of a run's time at which its history tells what was said.
SHARES: Final = (0.1, 0.25, 0.5, 0.75)


class EstimatesHandler(BaseHandler):
    """``GET /api/runs/ID/estimates``: what was said over the run, thinned, oldest first."""

    async def get(self, run_id: str) -> None:
        state = await self.parts.runs.state(run_id)
        said = await self.parts.estimates.said_of(state)
        self.answer({"run": run_id, "estimates": [estimate_data(one) for one in said]})


class HistoryHandler(BaseHandler):
    """``GET /api/history``: runs that are over, newest first, of a pipeline or title where one is given."""

    async def get(self) -> None:
        pipeline, title = self.text("pipeline") or None, self.text("title") or None
        limit = self.number("limit", RUNS_PER_PAGE, most=MOST_PER_PAGE)
        wanted = RunFilter(status=("complete", "failed", "cancelled"), pipeline=pipeline, title=title)
        log = self.parts.log
        runs = await self.parts.runs.read(lambda: log.runs(wanted, limit=limit))
        pasts = await self.parts.estimates.past_of(runs)
        self.answer({"runs": [earlier_run(run, pasts.get(run.run)) for run in runs]})


def earlier_run(run: RunState, past: Past | None) -> dict[str, Any]:
    """Return an earlier run as plain data.

    Args:
        run: Its state.
        past: What is kept of it; None: nothing.

    """
    return {
        "run": run.run,
        "title": run.title,
        "owner": run.owner,
        "created": _time(run.created),
        "started": _time(run.started),
        "ended": _time(run.ended),
        "outcome": run.outcome,
        "duration": run.duration(run.ended or 0.0),
        "phases": [{"name": phase.name, "duration": _seconds(phase, run)} for phase in run.phases],
        "parameters": run.parameters,
        "failed": run.results.failed,
        "retryOf": run.retry_of,
        "said": [] if past is None else _said(past),
    }


def _said(past: Past) -> list[dict[str, Any]]:
    """Return what was said at some shares of a run's time, and the seconds that were left then."""
    if past.running is None or past.over is None:
        return []
    whole = past.over - past.running
    found = []
    for share in SHARES:
        before = [one for one in past.said if one.since <= share * whole]
        if not before:
            continue
        said, known = before[-1], before[-1].p50 is not None
        # The end that was said stands until the next one.
        passed = share * whole - said.since
        remaining = {name: max((getattr(said, name) or 0.0) - passed, 0.0) for name in ("p10", "p50", "p90")}
        found.append(
            {"share": share, "remaining": remaining if known else None, "actual": (1.0 - share) * whole}
        )
    return found


def _time(time: float | None) -> str | None:
    return None if time is None else format_time(time)


def _seconds(phase: PhaseState, run: RunState) -> float | None:
    if phase.started is None:
        return None
    ended = phase.ended if phase.ended is not None else run.ended
    return None if ended is None else max(ended - phase.started, 0.0)
