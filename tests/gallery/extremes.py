"""Models of runs at their limits: many phases, bars or lines, long names, markup in every text."""

from __future__ import annotations

from msgspec.structs import replace

from dashboards.session import (
    LogLine,
    RunModel,
)
from streamer.model.events import (
    Bar,
    ErrorInfo,
    FailedItem,
    Results,
)
from streamer.model.state import PhaseState
from tests.gallery.models import model
from tests.gallery.samples import LONG, MARKUP, NOW, RTL, STARTED, TRACEBACK
from tests.gallery.states import FAILURES, curve, lines, running


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
