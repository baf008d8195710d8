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

from dashboards import literals
from streamer.model import formatting
from streamer.model.events import (
    Bar,
    Entry,
    ErrorInfo,
    FailedItem,
    ItemFailed,
    Logged,
    Progressed,
    Results,
    StatusChanged,
)
from streamer.model.state import PhaseState, RunState
from streamer.terminal import display
from tests.support import FakeClock

NOW = 1_700_000_000.0


def state(**changes: Any) -> RunState:
    phases = (
        PhaseState("validate", 10, "finished", 100.0, 50, 50, "rows", None, NOW - 28, NOW - 24),
        PhaseState("load", 70, "started", 76.14, 3664, 4812, "rows", 128.0, NOW - 24),
        PhaseState("summarise", 20),
    )
    fields: dict[str, Any] = {
        "run": "7k2m", "title": "Import prices", "status": "running", "phase": "load", "phases": phases,
        "overall_progress": 63.29, "done": 3664, "total": 4812, "unit": "rows", "rate": 128.0, "started": NOW - 28,
        "results": Results(3661, 3),
    }  # fmt: skip
    return RunState(**{**fields, **changes})


def drawn(shown: RunState, columns: int = 100, page: str | None = None) -> list[str]:
    output = io.StringIO()
    console = Console(
        file=output, width=columns, force_terminal=True, markup=False, emoji=False, highlight=False,
        color_system=None,
    )  # fmt: skip
    shown_on = display.LiveDisplay(console, clock=FakeClock(NOW))
    shown_on._state = shown
    shown_on._page = page or ""
    console.print(shown_on.render())
    return [line.rstrip() for line in output.getvalue().split("\n")]


def test_a_run_under_way_shows_overall_phases_weights_rate_and_counts():
    assert [
        "Import prices  running, 3 of 3,664 failed  28 s",
        "━━━━━━━━━━━━━━━━━━━━━━━━━                63.2 %",
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
    assert formatting.done_of(shown.done, shown.total, shown.unit) in text
    assert formatting.rate(shown.rate, shown.unit) in text
    assert formatting.duration(28) in text


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


STATES = {name: made.state for name, make in literals.RUNS.items() if (made := make()).state is not None}


@pytest.mark.parametrize("name", sorted(STATES))
@pytest.mark.parametrize("columns", [60, 140])
def test_every_state_of_the_gallery_fits_into_its_width(name, columns):
    lines = drawn(STATES[name], columns)
    assert STATES[name].status in lines[0] or lines[0].endswith("…")
    assert max(cell_len(line) for line in lines) <= columns


@pytest.mark.parametrize("name", sorted(STATES))
def test_what_is_said_at_the_end_is_printable(name):
    assert all(line.isprintable() or "\u200d" in line for line in display.closing(STATES[name]))


@given(st.text(max_size=200))
def test_no_text_reaches_the_terminal_with_anything_but_what_can_be_seen(text):
    events = (
        StatusChanged(status="running", message=text),
        Logged(level=text, message=text),
        ItemFailed(item=text, error=ErrorInfo(text, text)),
        Progressed(phase=text, done=1, unit=text),
    )
    shown = state(title=text, message=text, unit=text, owner=text)
    for event in events:
        for line in display.entry_lines(Entry(1, "r", 1, NOW, event), shown):
            assert "".join(line).replace("\u200c", "").replace("\u200d", "").isprintable()


def test_a_line_with_an_escape_is_shown_not_obeyed():
    line = display.entry_lines(Entry(1, "r", 1, NOW, Logged(message="\x1b[2J\x1b]0;title\x07 red")), state())
    assert [("INFO", r"\x1b[2J\x1b]0;title\x07 red")] == line


def test_failed_items_are_listed_at_the_end_and_those_beyond_are_counted():
    errors = tuple(FailedItem(f"row {n}", "load", ErrorInfo("ValueError", "high < low")) for n in range(30))
    lines = display.closing(state(status="complete", errors=errors, results=Results(4782, 30)))
    assert "failed in load: row 0: ValueError: high < low" == lines[0]
    assert [20, "failed: 10 more"] == [sum(line.startswith("failed in") for line in lines), lines[-1]]


def test_a_long_result_is_cut_and_says_where_the_rest_is():
    lines = display.closing(state(status="complete", result=list(range(1000)), results=Results(1, 0)))
    assert ["result:", "[", "  0,"] == lines[:3]
    assert "… 972 more lines; the page shows the whole result" == lines[-1]


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "—"), (0.44, "0.4 s"), (9.96, "10.0 s"), (12.9, "12 s"), (185, "3 min 5 s")]
)
def test_durations_have_a_tenth_while_they_are_short(seconds, said):
    assert said == display.duration(seconds)


def test_progress_is_never_rounded_up_to_the_end():
    assert "99.9 %" == display.percent(state(overall_progress=99.99))
