"""Counting: what is read from a loop while it runs, and what several counts add up to."""

from __future__ import annotations

import gc
import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.producer.counting import Counter, Meter, Reading, Tally, total_of


class Failing:
    def __len__(self) -> int:
        raise RuntimeError("ask somebody else")

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])


class Guessing:
    def __length_hint__(self) -> int:
        return 7

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])


@pytest.mark.parametrize(
    ("items", "total"),
    [
        ([1, 2, 3], 3),
        (iter([1, 2, 3]), 3),
        (range(5), 5),
        (iter(range(5)), 5),
        (range(2**70), None),
        (iter(range(2**70)), None),
        ({"a": 1}.items(), 1),
        (iter({"a": 1}.items()), 1),
        (OrderedDict(a=1), 1),
        (deque([1, 2]), 2),
        ("abc", 3),
        (reversed([1, 2]), 2),
        (itertools.repeat(1, 4), None),
        (itertools.repeat(1), None),
        (itertools.count(), None),
        ((x for x in "abc"), None),
        (map(str, [1]), None),
        (Guessing(), None),
        (Failing(), None),
    ],
)
def test_a_total_is_known_for_certain_or_not_at_all(items: Any, total: int | None) -> None:
    assert total_of(items) == total


def test_the_item_in_hand_is_not_done_yet() -> None:
    tally = Tally(3)
    seen = [(item, tally.done, tally.in_hand) for item in tally.over("abc")]
    assert seen == [("a", 0, True), ("b", 1, True), ("c", 2, True)]
    assert (tally.done, tally.complete, tally.ended, tally.in_hand) == (3, True, True, False)


def test_before_the_first_item_nothing_is_done() -> None:
    tally = Tally(3)
    items = tally.over("abc")
    assert (tally.done, tally.in_hand, tally.ended) == (0, False, False)
    assert list(items) == ["a", "b", "c"]


def test_a_loop_over_nothing_is_complete() -> None:
    tally = Tally(0)
    assert list(tally.over([])) == []
    assert (tally.done, tally.complete) == (0, True)


def test_a_loop_that_is_left_has_ended_without_being_complete() -> None:
    tally = Tally(3)
    for _ in tally.over("abc"):
        break
    gc.collect()
    assert (tally.done, tally.complete, tally.ended) == (0, False, True)


def test_a_loop_that_raises_keeps_its_count() -> None:
    tally = Tally(3)

    def loop() -> None:
        for item in tally.over("abc"):
            if item == "c":
                raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        loop()
    gc.collect()
    assert (tally.done, tally.complete, tally.ended) == (2, False, True)


def test_items_that_cannot_be_iterated_are_refused_at_once() -> None:
    with pytest.raises(TypeError):
        Tally(None).over(3)  # type: ignore[arg-type]  # that is what is tested


def test_items_that_raise_are_passed_on() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    tally = Tally(None)
    with pytest.raises(OSError, match="disk"):
        list(tally.over(items()))
    assert tally.complete is False


def test_the_end_is_told_once_by_the_loops_own_thread() -> None:
    told: list[int] = []
    tally = Tally(2, lambda: told.append(threading.get_ident()))
    assert list(tally.over([1, 2])) == [1, 2]
    assert told == [threading.get_ident()]


def test_items_are_released_as_they_go_by() -> None:
    class Item:
        alive = 0

        def __init__(self) -> None:
            Item.alive += 1

        def __del__(self) -> None:
            Item.alive -= 1

    for item in Tally(None).over(Item() for _ in range(5)):
        assert item is not None
        del item
        assert Item.alive <= 1


def test_another_thread_reads_a_loop_while_it_runs() -> None:
    tally = Tally(100)
    reached, go_on = threading.Event(), threading.Event()

    def loop() -> None:
        for item in tally.over(range(100)):
            if item == 50:
                reached.set()
                assert go_on.wait(30)

    thread = threading.Thread(target=loop)
    thread.start()
    assert reached.wait(30)
    assert tally.done == 50
    go_on.set()
    thread.join()
    assert tally.done == 100


@given(st.lists(st.integers(), max_size=50), st.integers(0, 60))
def test_done_and_what_was_seen_agree(items: list[int], stop: int) -> None:
    tally = Tally(len(items))
    seen = []
    for n, item in enumerate(tally.over(items)):
        assert tally.done == n
        if n == stop:
            break
        seen.append(item)
    assert seen == items[:stop]
    assert tally.complete == (len(items) <= stop)


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf")])
def test_a_counter_goes_forward_only(amount: float, caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter()
    counter.advance(3)
    counter.advance(amount)
    assert 3 == counter.done
    assert ["0 or more" in message for message in caplog.messages] == [True]


def test_a_counter_counts_from_many_threads() -> None:
    counter = Counter(4000)
    threads = [threading.Thread(target=lambda: [counter.advance() for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.done == 4000


# -- what counts add up to ---------------------------------------------------------------------------------------------


def test_a_meter_shows_nothing_before_something_is_counted() -> None:
    assert Meter().read() == Reading(None, None, "")


def test_loops_one_after_another_are_summed() -> None:
    meter = Meter()
    shown = []
    for items in ("abcd", "ab"):
        tally = Tally(len(items))
        meter.begin(tally, "rows", 1)
        for _ in tally.over(items):
            shown.append(meter.read())  # noqa: PERF401 - read in the loop
    assert [(r.done, r.total) for r in shown] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 6), (5, 6)]
    assert meter.read() == Reading(6, 6, "rows")


def test_loops_of_several_threads_at_once_are_summed() -> None:
    meter = Meter()
    loops = []
    for thread, total in ((1, 10), (2, 20)):
        tally = Tally(total)
        meter.begin(tally, "rows", thread)
        loops.append(tally.over(range(total)))
        for _ in range(3):
            next(loops[-1])
    assert meter.read() == Reading(4, 30, "rows")


def test_a_loop_inside_another_says_how_far_the_outer_item_is() -> None:
    meter, outer = Meter(), Tally(2)
    meter.begin(outer, "folders", 1)
    shown = []
    for _ in outer.over("ab"):
        inner = Tally(4)
        meter.begin(inner, "files", 1)
        for _ in inner.over("wxyz"):
            shown.append(meter.read())  # noqa: PERF401 - read in the loop
    assert [r.done for r in shown] == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]
    assert {(r.total, r.unit) for r in shown} == {(2, "folders")}
    assert meter.read() == Reading(2, 2, "folders")


def test_three_loops_inside_one_another_refine_each_other() -> None:
    meter = Meter()
    a, b, c = Tally(2), Tally(2), Tally(2)
    loops = []
    for tally in (a, b, c):
        meter.begin(tally, "items", 1)
        loops.append(tally.over("xy"))
        next(loops[-1])
    next(loops[2])
    assert meter.read() == Reading(0.25, 2, "items")


def test_two_loops_inside_one_item_never_take_it_back() -> None:
    meter, outer = Meter(), Tally(2)
    meter.begin(outer, "items", 1)
    shown = []
    for _ in outer.over("ab"):
        for _ in range(2):
            inner = Tally(2)
            meter.begin(inner, "items", 1)
            for _ in inner.over("xy"):
                shown.append(meter.read().done)  # noqa: PERF401 - read in the loop
    assert shown == [0, 0.5, 0.99, 0.99, 1, 1.5, 1.99, 1.99]


def test_one_that_is_not_known_makes_the_sum_not_known_until_it_is_complete() -> None:
    meter = Meter()
    first = Tally(None)
    meter.begin(first, "rows", 1)
    items = first.over("abc")
    next(items)
    assert meter.read() == Reading(0, None, "rows")
    list(items)
    assert meter.read() == Reading(3, 3, "rows")


def test_a_loop_that_was_left_keeps_its_rest_until_the_next_begins() -> None:
    meter = Meter()
    first = Tally(10)
    meter.begin(first, "rows", 1)
    for n in first.over(range(10)):
        if n == 4:
            break
    gc.collect()
    assert meter.read() == Reading(4, 10, "rows")
    second = Tally(5)
    meter.begin(second, "rows", 1)
    assert meter.read() == Reading(4, 9, "rows")


def test_another_unit_begins_anew() -> None:
    meter = Meter()
    first, second = Counter(10), Counter(1000)
    assert not meter.begins_anew("rows", 1)
    meter.begin(first, "rows", 1)
    first.advance(10)
    first.end(complete=True)
    assert not meter.begins_anew("rows", 1)
    assert meter.begins_anew("bytes", 1)
    meter.begin(second, "bytes", 1)
    second.advance(1)
    assert meter.read() == Reading(1, 1000, "bytes")


def test_amounts_are_shown_as_plain_numbers() -> None:
    import numpy as np

    meter, counter = Meter(), Counter(np.int64(8))
    meter.begin(counter, "bytes", 1)
    counter.advance(np.float32(4))
    reading = meter.read()
    assert (4, 8) == (reading.done, reading.total)
    assert {int} == {type(reading.done), type(reading.total)}


def test_many_small_loops_take_no_memory() -> None:
    meter = Meter()
    for _ in range(1000):
        tally = Tally(2)
        meter.begin(tally, "rows", 1)
        list(tally.over("ab"))
    assert len(meter._entries) == 1
    assert meter.read() == Reading(2000, 2000, "rows")
