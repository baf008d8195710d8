"""Lists of runs as literals, in every state of the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dashboards.session import (
    RunsModel,
)
from streamer.model.events import (
    Results,
)
from streamer.model.state import PhaseState, RunState
from tests.gallery.commands import LiteralRuns
from tests.gallery.samples import LONG, MARKUP, NOW, RTL
from tests.gallery.states import complete_state, failed_state, running, scanning_state


def some_runs() -> tuple[RunState, ...]:
    """Return the runs of an ordinary morning."""
    base = running()
    audit = replace(
        base,
        run="a91c",
        title="Audit folder",
        pipeline="AuditFolder",
        owner="ops",
        host="laptop-3",
        progress=22,
        overall_progress=22.4,
        phase="hash",
        started=NOW - 250,
        results=Results(800),
        phases=(PhaseState("hash", 1, "started", 22.4),),
    )
    waiting = RunState(
        run="n3tq",
        title="Train the models",
        owner="data-team",
        host="laptop-12",
        program="train.ipynb",
        created=NOW - 20,
        last_time=NOW - 20,
    )
    nightly = replace(
        complete_state(), run="c004", owner="nightly", host="", started=NOW - 27_700, ended=NOW - 27_653
    )
    backfill = replace(
        failed_state(),
        run="b2fe",
        title="Backfill 2024",
        owner="ci",
        progress=41,
        overall_progress=41.2,
        results=Results(9120, 57),
        started=NOW - 90_000,
        ended=NOW - 85_671,
    )
    return base, audit, waiting, nightly, backfill


def many_runs() -> tuple[RunState, ...]:
    """Return more runs than a page holds, in every state and with names of every kind."""
    statuses = ("complete", "complete", "failed", "cancelled", "complete", "stalled", "cancelling")
    rows = list(some_runs())
    rows.append(replace(rows[0], run="long", title=LONG[:290], owner=MARKUP, host="h" * 80, phase="p" * 80))
    rows.append(replace(rows[0], run="rtl", title=RTL, owner=RTL))
    rows.append(replace(rows[0], run="img", title=MARKUP, owner=MARKUP, phase=MARKUP))
    rows.append(replace(scanning_state(), run="scanning"))
    for i in range(60):
        status = statuses[i % len(statuses)]
        done = 100.0 if status == "complete" else float(i)
        rows.append(
            replace(
                rows[3],
                run=f"r{i:03d}",
                status=status,
                overall_progress=done,
                progress=int(done),
                started=NOW - 100_000 - 7000 * i,
                ended=NOW - 99_900 - 7000 * i,
            )
        )
    return tuple(rows)


def runs_model(rows: tuple[RunState, ...], **params: Any) -> RunsModel:
    """Return a model of a literal list."""
    params.setdefault("counts", {"running": 2, "queued": 1, "week": 38} if rows else {})
    return RunsModel(
        rows=rows[:50],
        has_older=len(rows) > 50,
        beyond=max(len(rows) - 50, 0),
        commands=LiteralRuns(rows),
        now=NOW,
        clock=lambda: NOW,
        **params,
    )


OVERVIEWS: dict[str, Callable[[], RunsModel]] = {
    "some": lambda: runs_model(some_runs()),
    "empty": lambda: runs_model(()),
    "many": lambda: runs_model(many_runs()),
    "filtered": lambda: runs_model(some_runs(), search="audit"),
    "sorted": lambda: runs_model(some_runs(), sort="-failed"),
    "no-match": lambda: runs_model(some_runs(), search="nothing like it"),
    "away": lambda: runs_model(some_runs(), connection="away"),
    "connecting": lambda: runs_model((), connection="connecting"),
}
