"""Percentage, counts and sentences of a run agree, whatever its bars do: random histories of bars.

The honest fraction is `done / total` of what counts at that moment. The overall percentage never falls, and is never
above the highest honest fraction so far. A percentage that is shown is within `AGREES` points of the honest fraction.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamer.adoption.totals import Before, Totals
from streamer.model.events import Bar, Completed, Entry, Event, Progressed, StatusChanged
from streamer.model.percentages import AGREES
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.model.summary import Summary, summarise

TOTALS = st.one_of(st.none(), st.integers(1, 60))
SECONDS = st.sampled_from((0.1, 0.1, 0.4, 1.0, 3.0))
ACTIONS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(("1", "2")), st.sampled_from(("it", "it", "B")), TOTALS),
    st.tuples(st.just("nest"), st.integers(0, 9), TOTALS),
    st.tuples(st.just("move"), st.integers(0, 9), st.integers(1, 30)),
    st.tuples(st.just("total"), st.integers(0, 9), TOTALS),
    st.tuples(st.just("reset"), st.integers(0, 9)),
    st.tuples(st.just("close"), st.integers(0, 9)),
)


class History:
    """A run whose bars change in any order, and everything that is said of it."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.open: list[Bar] = []
        self.before: dict[str, Before] = {}
        self.count = 0
        self.now = 1000.0
        self.state = RunState("r")
        self.highest = 0.0
        self.note(StatusChanged(status="running", title="t"))

    def note(self, event: Event) -> Summary:
        reached, seq = self.state.overall_progress, self.state.seq + 1
        self.state = apply(self.state, Entry(seq, "r", seq, self.now, event))
        assert self.state.overall_progress >= reached
        return summarise(self.state, self.now)

    def act(self, kind: str, *more: Any) -> None:
        if kind in ("open", "nest"):
            self.begin(kind, *more)
        elif self.open:
            at = more[0] % len(self.open)
            bar = self.changed(kind, self.open[at], *more[1:])
            self.open[at] = bar
            if bar.status != "started":
                del self.open[at]
            self.tell(bar)

    def begin(self, kind: str, *more: Any) -> None:
        self.count += 1
        if kind == "open":
            process, unit, total = more
            bar = Bar(f"{process}.{self.count}", done=0, total=total, unit=unit)
        elif self.open:
            outer = self.open[more[0] % len(self.open)]
            number = f"{outer.id.partition('.')[0]}.{self.count}"
            bar = Bar(number, parent=outer.id, done=0, total=more[1], unit="it")
        else:
            return
        self.open.append(bar)
        self.tell(bar)

    def changed(self, kind: str, bar: Bar, *more: Any) -> Bar:
        done, total = bar.done or 0, bar.total
        if kind == "move":
            done += more[0]
        elif kind == "total":
            total = more[0]
        elif kind == "reset":
            before = self.before.get(bar.id, Before())
            self.before[bar.id] = Before(before.starts + 1, before.done + done)
            done = 0
        is_whole = total is None or done >= total
        status: Any = "started" if kind != "close" else "finished" if is_whole else "stopped"
        return Bar(bar.id, bar.parent, None, bar.name, done, total, bar.unit, status)

    def tell(self, bar: Bar) -> None:
        self.totals.take([(bar, self.before.get(bar.id))], self.now)
        self.check()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.check()

    def check(self, *, is_last: bool = False) -> None:
        done, total = self.totals.read(self.now, is_last=is_last)
        assert done is None or total is None or 0 <= done <= total
        said = self.note(Progressed(done=done, total=total, unit=self.totals.unit))
        if done is None:
            assert not said.counts
            return
        if total is None:
            assert said.percent is None
            assert "of" not in said.counts
            return
        honest = 100 * done / total if total else 100.0
        self.highest = max(self.highest, honest)
        assert self.state.overall_progress <= self.highest + 0.01
        if said.percent is None:
            assert "more work came up" in said.now
        else:
            assert honest - AGREES - 1.01 <= said.percent <= honest + AGREES
        if counts := re.fullmatch(r"(\d+) of (\d+) it", said.counts):
            assert (done, total) == tuple(map(int, counts.groups()))

    def end(self) -> Summary:
        while self.open:
            self.tell(self.changed("close", self.open.pop()))
        self.check(is_last=True)
        return self.note(Completed())


@given(st.lists(st.tuples(ACTIONS, SECONDS), max_size=60))
def test_percentage_counts_and_sentences_never_contradict_each_other(history: Any) -> None:
    run = History()
    for action, seconds in history:
        run.act(*action)
        run.wait(seconds)
    end = run.end()
    assert (100, 1.0) == (end.percent, end.fraction)
    assert " of " not in end.counts or run.state.done == run.state.total


@given(st.integers(1, 8), st.integers(1, 40), SECONDS, st.booleans())
def test_nested_bars_count_as_the_outer_one(steps: int, items: int, seconds: float, is_reset: bool) -> None:
    run = History()
    run.begin("open", "1", "it", steps)
    for step in range(steps):
        if not is_reset or not step:
            run.begin("nest", 0, items) if not is_reset else run.begin("open", "1", "it", items)
        else:
            run.act("reset", 1)
        for _ in range(items):
            run.wait(seconds)
            run.act("move", 1, 1)
            assert run.state.overall_progress <= 100 * (step + 1) / steps
        if not is_reset:
            run.act("close", 1)
        run.act("move", 0, 1)
    assert (steps, steps) == run.totals.read(run.now, is_last=True)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_bars_one_after_another_count_in_full(lengths: list[int]) -> None:
    run = History()
    for length in lengths:
        run.begin("open", "1", "it", length)
        for _ in range(length):
            run.wait(0.1)
            run.act("move", 0, 1)
        run.act("close", 0)
    assert (sum(lengths), sum(lengths)) == run.totals.read(run.now, is_last=True)
