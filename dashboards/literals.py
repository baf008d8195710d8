"""Runs, lists of runs and start forms as literals: every state that a view can be in, for the gallery and the tests.

Nothing here is read from anywhere; what can be asked of a literal is answered from the literal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from dashboards.session import (
    CommandError,
    FailuresPage,
    LogLine,
    LogWindow,
    PipelineSpec,
    RunModel,
    RunsModel,
    Session,
    StartModel,
    StartRefused,
)
from streamer.model.events import (
    LEVELS,
    Bar,
    Completed,
    Entry,
    ErrorInfo,
    Event,
    FailedItem,
    Logged,
    ProcessInfo,
    Progressed,
    Results,
)
from streamer.model.reducer import fold
from streamer.model.state import (
    CancelState,
    Curve,
    PhaseState,
    RunState,
)

#: 24 November 2026, 09:41:04 UTC: the gallery's time stands still.
STARTED = 1_795_513_264.0
NOW = STARTED + 28
MARKUP = "<img src=x onerror=\"document.title='markup ran'\">"
LONG = (
    "A title of three hundred characters, as somebody will give one sooner or later, "
    "with no thought of those who read it: "
    + ("quarterly reconciliation of prices, volumes and corporate actions; " * 3)
)
RTL = "استيراد الأسعار اليومية 📈 مع ملخص لكل رمز"
TRACEBACK = """Traceback (most recent call last):
  File "/srv/pipelines/prices.py", line 118, in load
    self.map(self.load_row, rows, on_error="collect")
  File "/srv/pipelines/prices.py", line 131, in load_row
    self.table.insert(symbol=row.symbol, day=row.day, **row.prices)
  File "/srv/pipelines/tables.py", line 57, in insert
    raise IntegrityError(f"duplicate key: {symbol}, {day}")
tables.IntegrityError: duplicate key: GOOG, 2010-04-19"""


# -- literals ----------------------------------------------------------------------------------------------------------


def curve(seconds: float, mean: float, points: int = 40) -> Curve:
    """Return a throughput curve that looks like work: it warms up, wavers, dips once."""
    step = seconds / points
    values = []
    for i in range(1, points + 1):
        x = i / points
        rate = mean * (1 - math.exp(-6 * x)) * (1 + 0.16 * math.sin(17 * x) + 0.07 * math.sin(47 * x))
        if 0.55 < x < 0.62:
            rate *= 0.7
        values.append((round(i * step, 3), round(rate, 2)))
    return Curve(step, tuple(values))


def running() -> RunState:
    """Return the run that the other states are made from: an import, 63 % done."""
    return RunState(
        run="7k2m",
        seq=1300,
        offset=9000,
        pipeline="ImportPrices",
        title="Import prices",
        parameters={
            "source": "/data/prices.csv",
            "batch": 500,
            "strict": False,
            "symbols": ["AAPL", "GOOG", "IBM"],
        },
        owner="data-team",
        host="build-7",
        status="running",
        progress=63,
        overall_progress=63.29,
        phase="load",
        phases=(
            PhaseState(
                "validate",
                10,
                "finished",
                100.0,
                4812,
                4812,
                "rows",
                None,
                STARTED,
                STARTED + 4,
                curve=curve(4, 1200),
            ),
            PhaseState(
                "load", 70, "started", 76.14, 3664, 4812, "rows", 128.2, STARTED + 4, curve=curve(24, 150)
            ),
            PhaseState("summarise", 20),
        ),
        done=3664,
        total=4812,
        unit="rows",
        rate=128.2,
        results=Results(3661, 3),
        errors=FAILURES[:3],
        log_counts={"INFO": 1196, "WARNING": 5, "ERROR": 3},
        created=STARTED - 1,
        started=STARTED,
        last_time=NOW - 2,
    )


FAILURES = (
    FailedItem(
        "GOOG 2010-04-19",
        "load",
        ErrorInfo(
            "ValueError",
            "high 541.2 is below low 549.0",
            TRACEBACK.replace("tables.IntegrityError", "ValueError"),
        ),
    ),
    FailedItem("IBM 2004-02-30", "load", ErrorInfo("ValueError", "day is out of range for month", TRACEBACK)),
    FailedItem("MSFT 2001-09-11", "load", ErrorInfo("LookupError", "no price: the exchange was closed", "")),
)

_LINES = (
    (2.118, "INFO", "AAPL 2009-03-02 … 2009-12-31 loaded, 211 rows"),
    (2.871, "INFO", "AAPL 2010-01-04 … 2010-12-31 loaded, 252 rows"),
    (3.402, "WARNING", "GOOG: 3 trading days missing in 2010-04"),
    (3.515, "ERROR", "GOOG 2010-04-19: high 541.2 is below low 549.0; row kept aside"),
    (4.090, "INFO", "GOOG 2010-01-04 … 2010-12-31 loaded, 248 rows"),
    (4.733, "INFO", "IBM 2000-03-01 … 2000-12-29 loaded, 212 rows"),
)


def lines(count: int = 6, phase: str = "load") -> tuple[LogLine, ...]:
    """Return the last lines of a log."""
    made = []
    for i in range(count):
        seconds, level, message = _LINES[i % len(_LINES)]
        time = STARTED + 20 + seconds + 4 * (i // len(_LINES))
        made.append(LogLine(i + 1, time, level, "prices", phase, None, message))
    return tuple(made)


class LiteralRun:
    """What can be asked of a run that is a literal: its lines are filtered and paged, cancelling it is refused."""

    def __init__(self, all_lines: tuple[LogLine, ...], failed: tuple[FailedItem, ...]) -> None:
        self.lines = all_lines
        self.failed = failed

    async def cancel(self) -> None:
        raise CommandError("this run is only shown here, it is a picture")

    async def retry(self) -> str:
        raise CommandError("this run is only shown here, it is a picture")

    async def log_window(
        self, *, level: str, search: str, before: int | None, after: int | None, limit: int
    ) -> LogWindow:
        found = [
            line
            for line in self.lines
            if LEVELS.get(line.level, 20) >= LEVELS.get(level, 0)
            and search.casefold() in line.message.casefold()
        ]
        part = [
            line
            for line in found
            if (before is None or line.offset < before) and (after is None or line.offset > after)
        ]
        part = part[:limit] if after is not None else part[-limit:]
        if not part:
            return LogWindow(total=len(found))
        return LogWindow(
            tuple(part), part[0].offset > found[0].offset, part[-1].offset < found[-1].offset, len(found)
        )

    async def failures(self, *, before: str | None, after: str | None, limit: int) -> FailuresPage:
        first = int(after) if after is not None else max(int(before or 0) - limit, 0)
        items = self.failed[first : first + limit]
        end = first + len(items)
        older = str(first) if first > 0 else None
        return FailuresPage(
            items, len(self.failed), first, older, str(end) if end < len(self.failed) else None
        )


def model(
    state: RunState | None, log: tuple[LogLine, ...] = (), failed: tuple[FailedItem, ...] = (), **params: Any
) -> RunModel:
    """Return a model of a literal run."""
    page = FailuresPage(failed[:50], len(failed), 0, None, "50" if len(failed) > 50 else None)
    window = LogWindow(log[-500:], len(log) > 500, False, len(log))
    params.setdefault("now", NOW)
    return RunModel(
        state=state, log=window, failures=page, commands=LiteralRun(log, failed), clock=lambda: NOW, **params
    )


def _phases(state: RunState, **changes: dict[str, Any]) -> tuple[PhaseState, ...]:
    return tuple(replace(phase, **changes.get(phase.name, {})) for phase in state.phases)


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


def scanning_state() -> RunState:
    """Return a run that counts, with no total known."""
    phases = (
        PhaseState(
            "scan", 20, "started", None, 12_408, None, "files", 1240.0, STARTED, curve=curve(10, 1240)
        ),
        PhaseState("hash", 70),
        PhaseState("report", 10),
    )
    return replace(
        running(),
        run="scan",
        title="Audit folder",
        pipeline="AuditFolder",
        phase="scan",
        phases=phases,
        progress=0,
        overall_progress=0.0,
        done=12_408,
        total=None,
        unit="files",
        rate=1240.0,
        results=Results(),
        errors=(),
        log_counts={"INFO": 6},
        parameters={"folder": "/usr/lib/python3.11"},
    )


def indeterminate() -> RunModel:
    """Return one that counts, with no total known."""
    return model(scanning_state(), lines(phase="scan"))


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
        phases=_phases(base, load={"status": "failed", "ended": NOW}),
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
        _complete(3),
        managed=True,
        retry_of="k3v8mzq2wd",
        retry_items="failed",
        retried_by=("85z9yqtavx", "d5xhfvxyj4"),
    )
    return model(state, lines(), FAILURES, now=NOW + 400)


def failed_state() -> RunState:
    """Return a run that failed, with its traceback."""
    base = running()
    error = ErrorInfo("tables.IntegrityError", "duplicate key: GOOG, 2010-04-19", TRACEBACK)
    return replace(
        base,
        status="failed",
        ended=NOW,
        rate=None,
        error=error,
        message="duplicate key: GOOG, 2010-04-19",
        phases=_phases(base, load={"status": "failed", "ended": NOW}),
    )


def failed() -> RunModel:
    """Failed, with a traceback."""
    return model(failed_state(), lines(), FAILURES, now=NOW + 7200)


RESULT = [
    {"symbol": "AAPL", "rows": 3270, "return": 27.4512, "volatility": 0.4381, "worst day": "2000-09-29"},
    {"symbol": "GOOG", "rows": 2147, "return": 7.0031, "volatility": 0.3402, "worst day": "2008-09-29"},
    {"symbol": "IBM", "rows": 3270, "return": 0.9127, "volatility": 0.2975, "worst day": "2000-10-18"},
    {"symbol": "MSFT", "rows": 3270, "return": 0.0214, "volatility": 0.3391, "worst day": "2000-04-24"},
]


def _complete(failures: int = 0) -> RunState:
    base = running()
    return replace(
        base,
        status="complete",
        progress=100,
        overall_progress=100.0,
        ended=STARTED + 47,
        phase="summarise",
        rate=None,
        results=Results(4812 - failures, failures),
        errors=FAILURES[:failures],
        result={"rows": 4812 - failures, "table": "prices.sqlite", "symbols": RESULT},
        phases=_phases(
            base,
            load={
                "status": "finished",
                "progress": 100.0,
                "ended": STARTED + 40,
                "done": 4812,
                "curve": curve(36, 134),
            },
            summarise={
                "status": "finished",
                "progress": 100.0,
                "started": STARTED + 40,
                "ended": STARTED + 47,
                "done": 5,
                "total": 5,
                "unit": "symbols",
            },
        ),
        log_counts={"INFO": 1610, "WARNING": 5} | ({"ERROR": failures} if failures else {}),
        last_time=STARTED + 47,
    )


def complete() -> RunModel:
    """Complete, with a table for a result."""
    return model(_complete(), lines(), now=NOW + 400, tab="result")


def complete_with_failures() -> RunModel:
    """Complete, with more failed items than a page holds."""
    many = tuple(
        FailedItem(f"{item.item} #{i}", item.phase, item.error) for i in range(20) for item in FAILURES
    )
    state = replace(_complete(3), results=Results(4752, 60))
    return model(state, lines(), many, now=NOW + 400, tab="failures")


def skipped() -> RunModel:
    """Complete, with a phase that was skipped."""
    base = _complete()
    return model(
        replace(base, phases=_phases(base, validate={"status": "skipped", "started": None, "ended": None})),
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


def nested_bars() -> RunModel:
    """With bars inside its phases: loops in loops, some of them over, one of which nobody knows the end."""
    inner = tuple(
        Bar(f"b{i}", "epochs", "load", f"epoch {i}", 400, 400, "batches", "finished") for i in range(1, 8)
    )
    bars = (
        Bar("epochs", None, "load", "epochs", 7, 30, "epochs"),
        *inner,
        Bar("b8", "epochs", "load", "epoch 8", 183, 400, "batches"),
        Bar("b9", "b8", "load", "validation", 12, None, "samples"),
        Bar(
            "w1",
            None,
            "load",
            "worker 1: a description that is rather long for a bar",
            4_812_000,
            9_000_000,
            "B",
        ),
        Bar("w2", None, "load", f"worker 2 {MARKUP}", 3, 9, "files", "stopped"),
        Bar("check", None, "validate", "check", 4812, 4812, "rows", "finished"),
    )
    return model(replace(running(), bars=bars, bars_folded=312), lines(), FAILURES)


def many_bars() -> RunModel:
    """With as many bars as a state holds, and no phases."""
    bars = tuple(Bar(f"p{i}", None, None, f"process {i}", i * 5, 1000, "it") for i in range(200))
    state = replace(running(), phases=(), phase=None, bars=bars, title="sixteen.py", pipeline=None)
    return model(state, lines())


def thirty_phases() -> RunModel:
    """With thirty phases."""
    phases = []
    for i in range(30):
        name, weight = f"partition {i + 1:02d} of the archive", 1 + i % 4
        start = STARTED + i * 1.4
        if i < 18:
            phases.append(
                PhaseState(name, weight, "finished", 100.0, 90, 90, "files", None, start, start + 1.4)
            )
        elif i == 18:
            phases.append(
                PhaseState(name, weight, "started", 41.0, 37, 90, "files", 22.0, start, curve=curve(3, 22))
            )
        else:
            phases.append(PhaseState(name, weight))
    state = replace(
        running(),
        title="Backfill 2024",
        phases=tuple(phases),
        phase=phases[18].name,
        done=37,
        total=90,
        unit="files",
        rate=22.0,
        overall_progress=58.7,
        progress=58,
        results=Results(1657),
    )
    return model(state, lines(phase=phases[18].name))


def long_names() -> RunModel:
    """With names, lines and items of every odd kind."""
    base = running()
    names = {"validate": f"validate {MARKUP}", "load": LONG[:180], "summarise": RTL}
    state = replace(
        base,
        title=LONG[:290] + " 🚀",
        owner=f"owner {MARKUP}",
        host="a-host-with-quite-a-long-name.eu-central-1.compute.internal",
        phases=tuple(replace(p, name=names[p.name]) for p in base.phases),
        phase=names["load"],
        parameters={
            "source": "/data/" + "very-long-folder-name/" * 12 + "prices.csv",
            MARKUP: MARKUP,
            "عنوان": RTL,
            "nested": {"a": [1, {"b": MARKUP}]},
        },
    )
    odd = (
        LogLine(1, NOW - 9, "INFO", "x", names["load"], None, MARKUP),
        LogLine(
            2, NOW - 8, "INFO", "x", "load", "item 7", "a line of many words " * 40, f"rows: 5\nwho: {MARKUP}"
        ),
        LogLine(3, NOW - 7, "WARNING", "x", "load", None, "unbroken" * 60),
        LogLine(
            4,
            NOW - 6,
            "ERROR",
            "x",
            "load",
            None,
            "several lines:\n  the second is indented\n\tthe third by a tab",
        ),
        LogLine(5, NOW - 5, "DEBUG", "x", None, None, RTL),
        LogLine(6, NOW - 4, "CRITICAL", "x", "load", MARKUP, "out of disk 💥 \x1b[31mred\x1b[0m"),
    )
    items = (
        FailedItem(MARKUP, MARKUP, ErrorInfo(MARKUP, MARKUP, MARKUP)),
        FailedItem(
            "item-" * 59,
            names["load"],
            ErrorInfo("a.module.with.a.long.path.CustomError", "message " * 80, TRACEBACK),
        ),
        FailedItem(RTL, RTL, ErrorInfo("ValueError", RTL, TRACEBACK)),
    )
    return model(state, odd, items)


def markup() -> RunModel:
    """With markup wherever a text can be."""
    error = ErrorInfo(MARKUP, MARKUP, MARKUP)
    state = replace(
        running(),
        title=MARKUP,
        owner=MARKUP,
        host=MARKUP,
        status="failed",
        ended=NOW,
        error=error,
        message=MARKUP,
        unit=MARKUP[:30],
        result=MARKUP,
        parameters={MARKUP: [MARKUP]},
        phases=tuple(
            replace(p, name=f"{MARKUP}{i}", unit=MARKUP[:30]) for i, p in enumerate(running().phases)
        ),
        phase=f"{MARKUP}1",
    )
    return model(
        state,
        (LogLine(1, NOW, "INFO", MARKUP, MARKUP, MARKUP, MARKUP, MARKUP),),
        (FailedItem(MARKUP, MARKUP, error),),
        notice=MARKUP,
    )


def many_lines() -> RunModel:
    """With more lines than a window holds."""
    return model(replace(running(), log_counts={"INFO": 3000}), lines(3000), FAILURES)


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


class Replay:
    """A run that goes on by itself: each `step` is a tenth of a second of it, through the reducer."""

    def __init__(self) -> None:
        self.time = NOW
        self.model = model(running(), lines(), FAILURES)

    def step(self) -> None:
        """Go a tenth of a second on; after the last row the run is complete, and stays so."""
        state = self.model.state
        assert state is not None
        if state.is_over:
            return
        self.time += 0.1
        done = min(int(state.done or 0) + 5, 4812)
        events: list[Event] = [
            Progressed(phase="load", done=done, total=4812, unit="rows", results=Results(done - 3)),
            Logged(level="INFO", message=f"row {done:,} loaded", phase="load"),
        ]
        if done == 4812:
            events.append(Completed(result=RESULT))
        entries = [
            Entry(state.offset + i, state.run, state.seq + i, round(self.time, 3), event)
            for i, event in enumerate(events, start=1)
        ]
        line = LogLine(entries[1].offset, self.time, "INFO", "prices", "load", None, f"row {done:,} loaded")
        self.model.advance(state=fold(state, entries), lines=[line], now=float(int(self.time)))


RUNS: dict[str, Callable[[], RunModel]] = {
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


# -- the list of runs --------------------------------------------------------------------------------------------------


class LiteralRuns:
    """What can be asked of a literal list of runs."""

    def __init__(self, rows: tuple[RunState, ...]) -> None:
        self.rows = rows

    async def runs(
        self, *, status: str, pipeline: str, search: str, before: str | None, limit: int
    ) -> tuple[tuple[RunState, ...], bool]:
        asked = RunsModel(status=status, pipeline=pipeline, search=search)
        found = [r for r in self.rows if asked.matches(r)]
        first = next((i + 1 for i, r in enumerate(found) if r.run == before), 0)
        return tuple(found[first : first + limit]), len(found) > first + limit


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
        _complete(), run="c004", owner="nightly", host="", started=NOW - 27_700, ended=NOW - 27_653
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
    "no-match": lambda: runs_model(some_runs(), search="nothing like it"),
    "away": lambda: runs_model(some_runs(), connection="away"),
    "connecting": lambda: runs_model((), connection="connecting"),
}


# -- the start form ----------------------------------------------------------------------------------------------------

PIPELINES = (
    PipelineSpec(
        "ImportPrices",
        "Import prices",
        "Load daily share prices into a database and summarise them.\n\n"
        "Every row is validated first; a bad row becomes a failed item and the rest goes on.",
        (("validate", 10), ("load", 70), ("summarise", 20)),
        {
            "type": "object",
            "properties": {
                "source": {
                    "type": "string",
                    "format": "path",
                    "description": "CSV file to load; empty: the prices that come with the examples.",
                },
                "database": {
                    "type": "string",
                    "format": "path",
                    "default": "prices.sqlite",
                    "description": "SQLite file to write.",
                },
                "repeat": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100,
                    "default": 1,
                    "description": "How many times over the rows are loaded, for a longer run.",
                },
                "since": {"type": "string", "format": "date", "description": "The first day that is loaded."},
                "on_duplicate": {
                    "enum": ["skip", "replace", "fail"],
                    "default": "skip",
                    "title": "When a row is there already",
                    "description": "What to do with a row whose symbol and day are in the database.",
                },
                "strict": {
                    "type": "boolean",
                    "default": False,
                    "description": "Fail the run at the first bad row instead of keeping it aside.",
                },
            },
            "required": ["repeat"],
        },
    ),
    PipelineSpec(
        "AuditFolder",
        "Audit folder",
        "Find duplicates and the largest files of a folder.",
        (("scan", 20), ("hash", 70), ("report", 10)),
        {
            "properties": {"folder": {"type": "string", "format": "path", "description": "Folder to read."}},
            "required": ["folder"],
        },
    ),
    PipelineSpec(
        "Count",
        "Count",
        "Count to n, with a delay.",
        (("count", 1),),
        {
            "properties": {
                "n": {"type": "integer", "minimum": 1, "default": 100, "description": "Count up to this."},
                "delay": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 10,
                    "default": 0.05,
                    "description": "Seconds between one and the next.",
                },
                "options": {"type": "object", "default": {"a": 1}, "description": "Anything else, as JSON."},
            }
        },
    ),
    PipelineSpec("NoParameters", "Rebuild the index", "", (), {}),
    PipelineSpec(
        "Odd",
        LONG[:120],
        MARKUP,
        ((MARKUP, 1), (RTL, 2)),
        {"properties": {MARKUP: {"type": "string", "description": MARKUP, "default": MARKUP}}},
    ),
)


class LiteralStart:
    """Refuses every start, as a streamer would that found something wrong."""

    async def start(
        self,
        pipeline: str,
        parameters: dict[str, Any],
        *,
        again: str = "",
        time_limit_seconds: float | None = None,
    ) -> str:
        name = next(iter(parameters), "")
        raise StartRefused(
            "The streamer refused it: this is only a picture.", {name: "Expected something that exists."}
        )


def start_model(**params: Any) -> StartModel:
    """Return a model of a literal form."""
    params.setdefault("pipelines", PIPELINES)
    params.setdefault("commands", LiteralStart())
    return StartModel(now=NOW, clock=lambda: NOW, **params)


STARTS: dict[str, Callable[[], StartModel]] = {
    "form": start_model,
    "errors": lambda: start_model(
        values={"repeat": "1000", "source": "/nowhere.csv"},
        errors={
            "source": "There is no file at /nowhere.csv.",
            "repeat": "Expected a whole number from 1 to 100, received 1000.",
        },
        notice="Two of the parameters were refused.",
    ),
    "busy": lambda: start_model(busy=True),
    "again": lambda: start_model(
        values={"source": "/data/prices.csv", "repeat": 3}, again="7k2m", time_limit=3600.0
    ),
    "json": lambda: start_model(chosen="Count"),
    "no-parameters": lambda: start_model(chosen="NoParameters"),
    "markup": lambda: start_model(chosen="Odd", errors={MARKUP: MARKUP}, notice=MARKUP),
    "away": lambda: start_model(connection="away"),
    "none": lambda: start_model(pipelines=()),
    "literal": lambda: start_model(commands=None),
}

VIEWS: dict[str, Mapping[str, Callable[[], Session]]] = {"run": RUNS, "runs": OVERVIEWS, "start": STARTS}
