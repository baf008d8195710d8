"""The wording of runs in terminals: lines that are safe to print, true and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.model.events import (
    Entry,
    ErrorInfo,
    FailedItem,
    ItemFailed,
    Logged,
    Progressed,
    Results,
    StatusChanged,
)
from streamer.model.summary import summarise
from streamer.terminal import wording
from tests.gallery.runs import RUNS
from tests.model.test_summary import COUNTING, LOADING, NOW

STATES = {name: made.state for name, make in RUNS.items() if (made := make()).state is not None}


@pytest.mark.parametrize("name", sorted(STATES))
def test_what_is_said_at_the_end_is_printable(name):
    assert all(line.isprintable() or "\u200d" in line for line in wording.closing(STATES[name]))


@given(st.text(max_size=200))
def test_no_text_reaches_the_terminal_with_anything_but_what_can_be_seen(text):
    events = (
        StatusChanged(status="running", message=text),
        Logged(level=text, message=text),
        ItemFailed(item=text, error=ErrorInfo(text, text)),
        Progressed(phase=text, done=1, unit=text),
    )
    shown = replace(LOADING, title=text, message=text, unit=text, owner=text)
    for event in events:
        for line in wording.entry_lines(Entry(1, "r", 1, NOW, event), shown):
            assert "".join(line).replace("\u200c", "").replace("\u200d", "").isprintable()


def test_a_line_with_an_escape_is_shown_not_obeyed():
    line = wording.entry_lines(Entry(1, "r", 1, NOW, Logged(message="\x1b[2J\x1b]0;title\x07 red")), LOADING)
    assert [("INFO", r"\x1b[2J\x1b]0;title\x07 red")] == line


def test_failed_items_are_listed_at_the_end_and_those_beyond_are_counted():
    errors = tuple(FailedItem(f"row {n}", "load", ErrorInfo("ValueError", "high < low")) for n in range(30))
    lines = wording.closing(replace(LOADING, status="complete", errors=errors, results=Results(4782, 30)))
    assert "failed in load: row 0: ValueError: high < low" == lines[0]
    assert [20, "failed: 10 more"] == [sum(line.startswith("failed in") for line in lines), lines[-1]]


def test_a_long_result_is_cut_and_says_where_the_rest_is():
    lines = wording.closing(
        replace(LOADING, status="complete", result=list(range(1000)), results=Results(1, 0))
    )
    assert ["result:", "[", "  0,"] == lines[:3]
    assert "… 972 more lines; the page shows the whole result" == lines[-1]


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "—"), (0.44, "0.4 s"), (9.96, "10.0 s"), (12.9, "12 s"), (185, "3 min 5 s")]
)
def test_durations_have_a_tenth_while_they_are_short(seconds, said):
    assert said == wording.duration(seconds)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "running, 3 failed"),
        ({"status": "complete", "ended": NOW}, "complete, 3 of 3,664 failed, 28 s"),
        ({"status": "failed", "ended": NOW - 20.5}, "failed at 63 %, 3 of 3,664 failed, 7.5 s"),
        ({"status": "cancelled", "ended": NOW, "results": Results(9)}, "cancelled at 63 %, 28 s"),
    ],
)
def test_a_list_says_how_a_run_stands_or_ended(changes, said):
    assert said == wording.standing(summarise(replace(LOADING, **changes), NOW))


def test_progress_is_never_rounded_up_to_the_end():
    almost = replace(LOADING, overall_progress=99.99)
    assert [("99 %", "load 3,664 of 4,812 rows · 128 rows/s")] == wording.entry_lines(
        Entry(1, "r", 1, NOW, Progressed(phase="load")), almost
    )


def test_progress_that_is_not_known_is_said_to_be_work():
    assert [("working", "12 files")] == wording.entry_lines(Entry(1, "r", 1, NOW, Progressed()), COUNTING)
