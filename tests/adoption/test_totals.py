"""The run's own count and rate, from its bars."""

from __future__ import annotations

from typing import Any

from streamer.adoption.totals import Rate, Totals
from streamer.model.events import Bar


def headline(*bars: Bar) -> tuple[Any, ...]:
    made = Totals()
    for bar in bars:
        made.take(bar)
    return (*made.read(), made.unit)


def test_outer_bars_of_one_unit_are_summed() -> None:
    bars = Bar("a", done=5, total=10, unit="it"), Bar("b", done=1, total=2, unit="it")
    assert (6, 12, "it") == headline(*bars, Bar("c", "a", done=99, total=100, unit="it"))


def test_a_bar_in_another_unit_begins_anew_and_those_before_do_not_come_back() -> None:
    before, after = Bar("a", done=5, total=10, unit="it"), Bar("b", done=1, total=2, unit="B")
    assert (1, 2, "B") == headline(before, after, Bar("a", done=6, total=10, unit="it"))


def test_a_total_that_is_not_known_is_known_at_the_end() -> None:
    assert (5, None, "") == headline(Bar("a", done=5))
    assert (5, 5, "") == headline(Bar("a", done=5, status="finished"))


def test_the_rate_is_that_of_the_last_seconds_and_begins_anew_with_the_count() -> None:
    rate = Rate()
    assert None is rate.add(0, 10.0)
    assert [20.0, 20.0] == [rate.add(20, 11.0), rate.add(40, 12.0)]
    assert 20.0 > (rate.add(40, 13.0) or 0) > (rate.add(40, 20.0) or 0) > 0
    assert None is rate.add(5, 21.0)


def test_a_phase_counts_what_begins_in_it() -> None:
    made = Totals()
    made.take(Bar("a", done=5, total=10))
    made.restart()
    made.take(Bar("a", done=6, total=10))
    made.take(Bar("b", done=1, total=2))
    assert (1, 2) == made.read()
