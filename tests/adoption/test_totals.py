"""The run's own count and rate, from its bars."""

from __future__ import annotations

from typing import Any

from streamer.adoption.totals import LASTING_SECONDS, Before, Rate, Totals
from streamer.model.events import Bar


class History:
    """Bars that are read ten times a second, as `inside` reports them: those that changed."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.now = 100.0

    def tell(self, *bars: Bar, before: Before | None = None) -> tuple[Any, Any]:
        self.now += 0.1
        self.totals.take([(bar, before) for bar in bars], self.now)
        return self.totals.read(self.now)

    def wait(self, seconds: float = LASTING_SECONDS) -> tuple[Any, Any]:
        self.now += seconds
        return self.totals.read(self.now)

    def end(self) -> tuple[Any, Any]:
        return self.totals.read(self.now, is_last=True)


def bar(name: str, done: float | None, total: float | None = None, **more: Any) -> Bar:
    return Bar(f"1.{name}", done=done, total=total, **{"unit": "it", **more})


def test_bars_inside_of_others_do_not_count() -> None:
    history = History()
    history.tell(bar("a", 5, 10), bar("c", 99, 100, parent="1.a"))
    assert (5, 10) == history.wait()


def test_bars_of_several_processes_are_summed() -> None:
    history = History()
    history.tell(Bar("1.1", done=5, total=10, unit="it"), Bar("2.1", done=1, total=2, unit="it"))
    assert (6, 12) == history.wait()
    assert "it" == history.totals.unit


def test_bars_one_after_another_are_summed() -> None:
    history = History()
    history.tell(bar("a", 5, 10))
    history.wait()
    history.tell(bar("a", 10, 10, status="finished"))
    assert (11, 30) == history.tell(bar("b", 1, 20))


def test_a_short_bar_says_nothing_about_the_work_after_it() -> None:
    history = History()
    assert (1, None) == history.tell(bar("short", 1, 5))
    assert (4, None) == history.tell(bar("short", 4, 5))
    assert (5, None) == history.tell(bar("short", 5, 5, status="finished"))
    assert (5, None) == history.wait()
    history.tell(bar("long", 0, 1000))
    history.tell(bar("long", 10, 1000))
    assert (15, 1005) == history.wait(0.6)


def test_a_run_of_short_bars_alone_has_its_total_at_the_end() -> None:
    history = History()
    history.tell(bar("short", 1, 5))
    history.tell(bar("short", 5, 5, status="finished"))
    assert (5, 5) == history.end()


def test_a_bar_that_began_inside_a_manual_one_does_not_count_while_each_explains_the_other() -> None:
    history = History()
    history.tell(bar("outer", 0, 3))
    for step in range(3):
        for done in (0, 40, 80, 100):
            over = "finished" if done == 100 else "started"
            history.tell(bar(f"inner {step}", done, 100, status=over))
            assert (step, 3) == history.wait()
        history.tell(bar("outer", step + 1, 3))
    assert (3, 3) == history.wait()


def test_a_bar_that_starts_over_while_another_is_open_does_not_count() -> None:
    history = History()
    history.tell(bar("outer", 0, 6), bar("inner", 0, 50))
    history.tell(bar("inner", 49, 50))
    history.tell(bar("outer", 1, 6))
    history.tell(bar("inner", 3, 50), before=Before(1, 50))
    assert (1, 6) == history.wait()


def test_the_bar_that_starts_over_is_the_inner_one_also_when_it_began_first() -> None:
    history = History()
    history.tell(bar("inner", 0, 50), bar("outer", 0, 6))
    history.tell(bar("inner", 49, 50))
    history.tell(bar("inner", 1, 50), before=Before(1, 50))
    assert (0, 6) == history.wait()


def test_a_bar_that_starts_over_alone_counts_once_more() -> None:
    history = History()
    history.tell(bar("epoch", 0, 50))
    history.wait()
    history.tell(bar("epoch", 50, 50))
    assert (60, 100) == history.tell(bar("epoch", 10, 50), before=Before(1, 50))


def test_bars_side_by_side_that_both_move_are_summed() -> None:
    history = History()
    for done in range(5):
        history.tell(bar("a", done, 50), bar("b", done, 60))
    assert (8, 110) == history.wait()


def test_a_bar_that_outlives_the_one_it_began_beside_counts() -> None:
    history = History()
    history.tell(bar("a", 5, 10), bar("b", 1, 40))
    history.wait()
    assert (11, 50) == history.tell(bar("a", 10, 10, status="finished"))


def test_a_bar_of_another_unit_waits_until_the_bars_of_the_first_have_ended() -> None:
    history = History()
    history.tell(bar("files", 5, 10), Bar("2.1", done=1, total=200, unit="B"))
    assert (5, 10) == history.wait()
    history.tell(bar("files", 10, 10, status="finished"))
    assert ((1, 200), "B") == (history.wait(), history.totals.unit)


def test_a_total_that_is_not_known_is_known_at_the_end() -> None:
    history = History()
    assert (5, None) == history.tell(bar("a", 5))
    assert (5, None) == history.tell(bar("a", 5, status="finished"))
    assert (5, 5) == history.end()


def test_a_total_that_was_passed_is_not_known() -> None:
    history = History()
    history.tell(bar("a", 5, 10))
    history.wait()
    assert (12, None) == history.tell(bar("a", 12, 10))
    assert (12, 12) == history.tell(bar("a", 12, 10, status="finished"))


def test_the_rest_of_a_bar_that_was_left_counts_until_the_next_one_begins() -> None:
    history = History()
    history.tell(bar("a", 4, 100))
    history.wait()
    assert (4, 100) == history.tell(bar("a", 4, 100, status="stopped"))
    assert (5, 24) == history.tell(bar("b", 1, 20))
    history.tell(bar("b", 2, 20, status="stopped"))
    assert (6, 24) == history.end()
    assert (6, 6) == history.totals.read(history.now, is_last=True, is_well=True)


def test_the_rate_is_that_of_the_last_seconds_and_begins_anew_with_the_count() -> None:
    rate = Rate()
    assert None is rate.add(0, 10.0)
    assert [20.0, 20.0] == [rate.add(20, 11.0), rate.add(40, 12.0)]
    assert 20.0 > (rate.add(40, 13.0) or 0) > (rate.add(40, 20.0) or 0) > 0
    assert None is rate.add(5, 21.0)


def test_a_phase_counts_what_begins_in_it() -> None:
    history = History()
    history.tell(bar("a", 5, 10))
    history.totals.restart()
    history.tell(bar("a", 6, 10), bar("b", 1, 20))
    assert (1, 20) == history.wait()
