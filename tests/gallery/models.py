"""A model of one run that is made of literals; its commands are answered by a fake server."""

from __future__ import annotations

from typing import Any

from dashboards.session import (
    FailuresPage,
    LogLine,
    LogWindow,
    RunModel,
)
from streamer.model.events import (
    Completed,
    Entry,
    Event,
    FailedItem,
    Logged,
    Progressed,
    Results,
)
from streamer.model.reducer import fold
from streamer.model.state import RunState
from tests.gallery.commands import LiteralRun
from tests.gallery.samples import NOW
from tests.gallery.states import FAILURES, RESULT, lines, running


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
