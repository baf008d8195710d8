"""States of runs as literals, and the log lines and failed items that belong to them."""

from __future__ import annotations

import math
from typing import Any

from msgspec.structs import replace

from dashboards.session import (
    LogLine,
)
from streamer.model.events import (
    ErrorInfo,
    FailedItem,
    Results,
)
from streamer.model.state import Curve, PhaseState, RunState
from tests.gallery.samples import NOW, STARTED, TRACEBACK


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
        phases=change_phases(base, load={"status": "failed", "ended": NOW}),
    )


RESULT = [
    {"symbol": "AAPL", "rows": 3270, "return": 27.4512, "volatility": 0.4381, "worst day": "2000-09-29"},
    {"symbol": "GOOG", "rows": 2147, "return": 7.0031, "volatility": 0.3402, "worst day": "2008-09-29"},
    {"symbol": "IBM", "rows": 3270, "return": 0.9127, "volatility": 0.2975, "worst day": "2000-10-18"},
    {"symbol": "MSFT", "rows": 3270, "return": 0.0214, "volatility": 0.3391, "worst day": "2000-04-24"},
]


def complete_state(failures: int = 0) -> RunState:
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
        phases=change_phases(
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


def change_phases(state: RunState, **changes: dict[str, Any]) -> tuple[PhaseState, ...]:
    """Return the phases of a run; each keyword names a phase and has the fields that change."""
    return tuple(replace(phase, **changes.get(phase.name, {})) for phase in state.phases)
