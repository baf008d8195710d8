"""Models of runs in every state that a page can show."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from dashboards.session import (
    RunModel,
)
from streamer.model.estimate import Duration, Estimated
from streamer.model.events import (
    FailedItem,
    ProcessInfo,
    Results,
)
from streamer.model.state import CancelState, PhaseState, RunState
from tests.gallery.extremes import long_names, many_bars, many_lines, markup, nested_bars, thirty_phases
from tests.gallery.models import model
from tests.gallery.samples import NOW, STARTED
from tests.gallery.states import (
    FAILURES,
    change_phases,
    complete_state,
    curve,
    failed_state,
    lines,
    running,
    scanning_state,
)


def queued() -> RunModel:
    """Return one that waits for a place."""
    waiting = tuple(PhaseState(p.name, p.weight) for p in running().phases)
    state = RunState(
        run="q1",
        pipeline="ImportPrices",
        title="Import prices",
        owner="data-team",
        host="build-7",
        phases=waiting,
        parameters=running().parameters,
        created=NOW - 41,
        last_time=NOW - 41,
    )
    return model(state)


def indeterminate() -> RunModel:
    """Return one that counts, with no total known."""
    return model(scanning_state(), lines(phase="scan"))


def estimated() -> RunState:
    """Under way, with the remaining time as earlier runs tell it."""
    said = Estimated(
        NOW,
        Duration(540.0, 720.0, 1020.0),
        0.634,
        "12 earlier runs",
        12,
        {"validate": 4.0, "load": 32.0, "summarise": 9.0},
    )
    return replace(running(), estimate=said)


def indeterminate_later() -> RunModel:
    """In a phase that counts nothing, after one that is done."""
    phases = (
        PhaseState(
            "fetch", 30, "finished", 100.0, 9, 9, "files", None, STARTED, STARTED + 9, curve=curve(9, 1)
        ),
        PhaseState("wait for the cluster", 50, "started", None, None, None, "", None, STARTED + 9),
        PhaseState("save", 20),
    )
    state = replace(
        running(),
        run="wait",
        title="Fit models",
        phase="wait for the cluster",
        phases=phases,
        progress=30,
        overall_progress=30.0,
        done=None,
        total=None,
        unit="",
        rate=None,
        message="14 tasks before ours",
        results=Results(9),
        errors=(),
        log_counts={"INFO": 2},
    )
    return model(state, lines(2, phase="fetch"))


def stalled() -> RunModel:
    """Silent for over two minutes."""
    return model(replace(running(), status="stalled", last_time=NOW), lines(), FAILURES, now=NOW + 140)


def cancelling() -> RunModel:
    """Return one that is cancelling."""
    return model(replace(running(), status="cancelling"), lines(), FAILURES)


def cancel_asked() -> RunModel:
    """Cancel asked by this viewer, not yet heard."""
    return model(running(), lines(), FAILURES, cancel_asked=True)


def cancelled() -> RunModel:
    """Return one that was cancelled."""
    base = running()
    state = replace(
        base,
        status="cancelled",
        ended=NOW,
        rate=None,
        phases=change_phases(base, load={"status": "failed", "ended": NOW}),
    )
    return model(state, lines(), FAILURES, now=NOW + 7200)


def stopped() -> RunModel:
    """Return one whose process was stopped."""
    state = replace(
        running(), status="stalled", last_sign=NOW, process=ProcessInfo(4711, "build-7", doing="stopped")
    )
    return model(state, lines(), FAILURES, now=NOW + 41)


def acknowledged() -> RunModel:
    """Return one that has heard of its cancel, and says where it is."""
    cancel = CancelState(
        by="data-team", asked=NOW - 3, acknowledged=NOW - 2, phase="load", item="GOOG 2010-04-19"
    )
    state = replace(
        running(), status="cancelling", cancel=cancel, longest_gap=41.0, process=ProcessInfo(4711, "build-7")
    )
    return model(state, lines(), FAILURES)


def killed() -> RunModel:
    """Return one that did not end by itself."""
    cancel = CancelState(
        reason="time limit of 28 s reached", asked=NOW - 15, terminated=NOW - 5, killed=NOW, how="killed"
    )
    state = cancelled().state
    assert isinstance(state, RunState)
    state = replace(state, cancel=cancel, managed=True, message=cancel.reason)
    return model(state, lines(), FAILURES, now=NOW + 7200)


def time_limit() -> RunModel:
    """Return one that will meet its time limit."""
    return model(replace(running(), time_limit_seconds=60.0), lines(), FAILURES)


def time_limit_missed() -> RunModel:
    """Return one that will not meet its time limit."""
    return model(replace(running(), time_limit_seconds=36.0), lines(), FAILURES)


def retried() -> RunModel:
    """Return one that does failed items again, of which some failed again, and were done a third time."""
    state = replace(
        complete_state(3),
        managed=True,
        retry_of="k3v8mzq2wd",
        retry_items="failed",
        retried_by=("85z9yqtavx", "d5xhfvxyj4"),
    )
    return model(state, lines(), FAILURES, now=NOW + 400)


def failed() -> RunModel:
    """Failed, with a traceback."""
    return model(failed_state(), lines(), FAILURES, now=NOW + 7200)


def complete() -> RunModel:
    """Complete, with a table for a result."""
    return model(complete_state(), lines(), now=NOW + 400, tab="result")


def complete_with_failures() -> RunModel:
    """Complete, with more failed items than a page holds."""
    many = tuple(
        FailedItem(f"{item.item} #{i}", item.phase, item.error) for i in range(20) for item in FAILURES
    )
    state = replace(complete_state(3), results=Results(4752, 60))
    return model(state, lines(), many, now=NOW + 400, tab="failures")


def skipped() -> RunModel:
    """Complete, with a phase that was skipped."""
    base = complete_state()
    return model(
        replace(
            base, phases=change_phases(base, validate={"status": "skipped", "started": None, "ended": None})
        ),
        lines(),
        now=NOW + 400,
    )


def no_phases() -> RunModel:
    """Without phases."""
    state = replace(
        running(),
        title="train.ipynb",
        pipeline=None,
        phases=(),
        phase=None,
        done=212,
        total=336,
        unit="models",
        rate=0.21,
        overall_progress=63.1,
        parameters={},
        results=Results(212),
        errors=(),
        log_counts={},
    )
    return model(state)


def away() -> RunModel:
    """Return one whose streamer is away."""
    return model(running(), lines(), FAILURES, connection="away", now=NOW + 35)


def away_at_first() -> RunModel:
    """Return one whose streamer was away from the beginning."""
    return model(None, connection="away", run_id="7k2m")


def missing() -> RunModel:
    """There is no such run."""
    return model(None, connection="missing", run_id="no-such-run")


def connecting() -> RunModel:
    """Nothing is known yet."""
    return model(None, connection="connecting", run_id="7k2m")


def notice() -> RunModel:
    """Something asked for did not work."""
    return model(
        running(), lines(), FAILURES, notice="Cancel did not go through: the streamer asks for a token."
    )


def literal() -> RunModel:
    """Return a model without any commands: what needs a streamer is disabled."""
    return RunModel(state=running(), log=lines(), failures=FAILURES, clock=lambda: NOW)


RUNS: dict[str, Callable[[], RunModel]] = {
    "estimated": lambda: model(estimated(), lines(), FAILURES),
    "running": lambda: model(running(), lines(), FAILURES),
    "queued": queued,
    "indeterminate": indeterminate,
    "indeterminate-later": indeterminate_later,
    "stalled": stalled,
    "cancel-asked": cancel_asked,
    "cancelling": cancelling,
    "cancelled": cancelled,
    "stopped": stopped,
    "acknowledged": acknowledged,
    "killed": killed,
    "time-limit": time_limit,
    "time-limit-missed": time_limit_missed,
    "retried": retried,
    "failed": failed,
    "complete": complete,
    "complete-with-failures": complete_with_failures,
    "skipped": skipped,
    "no-phases": no_phases,
    "nested-bars": nested_bars,
    "many-bars": many_bars,
    "thirty-phases": thirty_phases,
    "long-names": long_names,
    "markup": markup,
    "many-lines": many_lines,
    "away": away,
    "away-at-first": away_at_first,
    "missing": missing,
    "connecting": connecting,
    "notice": notice,
    "literal": literal,
}
