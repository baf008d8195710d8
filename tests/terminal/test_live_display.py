"""How a run looks in a terminal: drawn from states, for every width; nothing that others wrote gets through raw."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from streamer.model.events import (
    Bar,
)
from streamer.model.state import RunState
from streamer.model.summary import summarise
from streamer.terminal.live_display import LiveDisplay
from tests.gallery.runs import RUNS
from tests.model.test_summary import LOADING, NOW
from tests.support import FakeClock


def state(**changes: Any) -> RunState:
    return replace(LOADING, **changes)


def drawn(shown: RunState, columns: int = 100, page: str | None = None) -> list[str]:
    output = io.StringIO()
    console = Console(
        file=output, width=columns, force_terminal=True, markup=False, emoji=False, highlight=False,
        color_system=None,
    )  # fmt: skip
    shown_on = LiveDisplay(console, clock=FakeClock(NOW))
    shown_on._page = page or ""
    console.print(shown_on.render(shown))
    return [line.rstrip() for line in output.getvalue().split("\n")]


def test_a_run_under_way_shows_overall_phases_weights_rate_and_counts():
    assert [
        "Import prices  running, 3 failed  28 s",
        "━━━━━━━━━━━━━━━━━━━━━━━━━                63 %",
        "✓ validate  weight 10 % ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100 % 4.0 s 50 of 50 rows",
        "▸ load      weight 70 % ━━━━━━━━━━━━━━━━━━━━━━╸        76 %  24 s  3,664 of 4,812 rows",
        "· summarise weight 20 %",
        "3,664 of 4,812 rows · 128 rows/s",
        "3,661 succeeded, 3 failed",
        "http://127.0.0.1:5006/dashboards?run=7k2m",
        "",
    ] == drawn(state(), page="http://127.0.0.1:5006/dashboards?run=7k2m")


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 91, 92, 120, 200])
@pytest.mark.parametrize("name", ["load", "a-phase-with-a-name-that-goes-on-and-on-" * 5])
def test_every_phase_keeps_its_numbers_on_one_line_in_every_width(columns, name):
    phases = tuple(replace(p, name=name) if p.name == "load" else p for p in state().phases)
    lines = drawn(state(phases=phases, phase=name), columns)
    assert max(len(line) for line in lines) <= columns
    (row,) = [line for line in lines if line.startswith("▸")]
    assert "76 %" in row


@pytest.mark.parametrize("columns", [60, 100])
def test_the_terminal_and_the_page_say_the_same(columns):
    shown = state()
    text = "\n".join(drawn(shown, columns))
    summary = summarise(shown, NOW)
    for said in (summary.counts, summary.rate, summary.failures, summary.percent_words, "28 s"):
        assert said in text


def bars(*more: Bar) -> tuple[Bar, ...]:
    """Return bars of every kind: in one another, over, of no known phase, with no known end."""
    return (
        Bar("1", None, "load", "files", 3, 20, "files"),
        Bar("2", "1", "load", "rows", 3664, 4812, "rows"),
        Bar("3", "2", "load", "retries", 2, None, "it"),
        Bar("4", "1", "load", "checked", 5, 5, "rows", "finished"),
        Bar("5", None, None, "downloads", 1, 4, "MB"),
        *more,
    )


def test_bars_are_a_tree_under_their_phase():
    assert [
        "  downloads ━━━          1 of 4 MB",
        "✓ validate  weight 10 % ━━━━━━━━━━━━ 100 % 4.0 s",
        "▸ load      weight 70 % ━━━━━━━━━    76 %  24 s",
        "  files       ━╸           3 of 20 files",
        "  └ rows      ━━━━━━━━━    3,664 of 4,812 rows",
        "    └ retries ━━━━━━━━━━━━ 2 it",
        "· summarise weight 20 %",
    ] == drawn(state(bars=bars()), 60)[2:9]


def test_bars_of_a_run_of_one_phase_stand_by_themselves():
    one = state(phases=state().phases[1:2], bars=bars()[:2])
    assert [
        "  files  ━━━                  3 of 20 files",
        "  └ rows ━━━━━━━━━━━━━━━      3,664 of 4,812 rows",
    ] == drawn(one)[2:4]


def test_bars_are_bounded_in_number_and_those_left_out_are_counted():
    many = tuple(Bar(f"p{n}", "1", "load", f"process {n}", n, 100, "it") for n in range(40))
    lines = drawn(state(bars=bars(*many)), 60)
    assert [
        "  └ process 4              4 of 100 it",
        "· summarise weight 20 %",
        "  … and 36 more bars",
    ] == lines[-6:-3]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 12), st.text(max_size=90), st.booleans())))
@pytest.mark.slow
def test_whatever_bars_there_are_they_fit(found):
    made = tuple(
        Bar(
            str(n),
            None if outer < 0 else str(outer),
            "load" if known else None,
            name,
            n,
            n * 2 if known else None,
            name,
        )
        for n, outer, name, known in found
    )
    lines = drawn(state(bars=made), 60)
    assert max(cell_len(line) for line in lines) <= 60
    assert len(lines) <= len(drawn(state(), 60)) + 9


def test_a_run_that_is_over_shows_no_bars():
    over = state(status="complete", ended=NOW, bars=bars())
    assert drawn(state(status="complete", ended=NOW)) == drawn(over)


STATES = {name: made.state for name, make in RUNS.items() if (made := make()).state is not None}


@pytest.mark.parametrize("name", sorted(STATES))
@pytest.mark.parametrize("columns", [60, 140])
def test_every_state_of_the_gallery_fits_into_its_width(name, columns):
    lines = drawn(STATES[name], columns)
    assert STATES[name].status in lines[0] or lines[0].endswith("…")
    assert max(cell_len(line) for line in lines) <= columns
