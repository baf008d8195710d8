"""`map` in worker processes: what fails there, and what cannot cross over, is one failed item with its text."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from streamer.model.events import Completed, Event, ItemFailed, RunFailed
from streamer.producer.run import Run

pytestmark = pytest.mark.slow


class TwoArguments(Exception):
    """Cannot be unpickled: its message is one argument, and it takes two."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(f"row {row}: {why}")
        self.row = row


class Words(Exception):
    """Is unpickled with another text: its message is worded from its message."""

    def __init__(self, row: object) -> None:
        super().__init__(f"row {row}")


class KeywordOnly(Exception):
    def __init__(self, *, row: int) -> None:
        super().__init__(f"row {row}")


class HoldsLock(Exception):
    """Cannot be pickled."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row}")
        self.lock = threading.Lock()


class ReduceRaises(Exception):
    def __reduce__(self) -> str:
        raise RuntimeError("no reduce today")


class CannotBeLoaded:
    """Is pickled, and fails when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _fails_to_load, ()


def _fails_to_load() -> None:
    raise RuntimeError("not loaded")


def two_arguments(number: int) -> int:
    if number == 3:
        raise TwoArguments(number, "no date")
    return number


def words(number: int) -> int:
    if number == 3:
        raise Words(number)
    return number


def keyword_only(number: int) -> int:
    if number == 3:
        raise KeywordOnly(row=number)
    return number


def holds_lock(number: int) -> int:
    if number == 3:
        raise HoldsLock(number)
    return number


def local_class(number: int) -> int:
    class Local(Exception):
        pass

    if number == 3:
        raise Local(f"row {number}")
    return number


def reduce_raises(number: int) -> int:
    if number == 3:
        raise ReduceRaises(f"row {number}")
    return number


def group(number: int) -> int:
    if number == 3:
        raise ExceptionGroup("two went wrong", [TwoArguments(number, "no date"), KeyError("k")])
    return number


def result_cannot_be_loaded(number: int) -> object:
    return CannotBeLoaded() if number == 3 else number


def result_cannot_be_pickled(number: int) -> object:
    return threading.Lock() if number == 3 else number


def passes(item: object) -> object:
    return item


def collected(function: Callable[[Any], Any], items: list[Any]) -> tuple[list[Any], list[ItemFailed], Event]:
    events: list[Event] = []
    with Run(lambda event, time: events.append(event)) as run:
        results = run.map(function, items, workers=2, processes=True, on_error="collect", label=str)
    return results, [event for event in events if isinstance(event, ItemFailed)], events[-1]


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (two_arguments, "TwoArguments", "row 3: no date"),
        (words, "Words", "row 3"),
        (keyword_only, "KeywordOnly", "row 3"),
        (holds_lock, "HoldsLock", "row 3"),
        (local_class, "local_class.<locals>.Local", "row 3"),
        (reduce_raises, "ReduceRaises", "row 3"),
        (
            group,
            "ExceptionGroup",
            "two went wrong (2 sub-exceptions): TwoArguments: row 3: no date; KeyError: 'k'",
        ),
    ],
)
def test_an_exception_that_cannot_cross_over_is_one_failed_item_with_its_text(
    function: Callable[[int], int], kind: str, message: str
) -> None:
    results, (failed,), ended = collected(function, list(range(8)))
    assert [0, 1, 2, 4, 5, 6, 7] == results
    assert ("3", message) == (failed.item, failed.error.message)
    assert failed.error.type.endswith(kind)
    assert function.__name__ in failed.error.traceback
    assert "process_calls" not in failed.error.traceback
    assert isinstance(ended, Completed)
    assert (7, 1) == (ended.results.success, ended.results.failed)


@pytest.mark.parametrize("function", [result_cannot_be_loaded, result_cannot_be_pickled])
def test_a_result_that_cannot_cross_over_is_one_failed_item(function: Callable[[int], object]) -> None:
    results, (failed,), _ = collected(function, list(range(8)))
    assert [0, 1, 2, 4, 5, 6, 7] == results
    assert "3" == failed.item


@pytest.mark.parametrize("item", [CannotBeLoaded(), threading.Lock()])
def test_an_item_that_cannot_cross_over_is_one_failed_item(item: object) -> None:
    results, (failed,), _ = collected(passes, [0, item, 2])
    assert [0, 2] == results
    assert str(item) == failed.item


@pytest.mark.parametrize(
    ("function", "kind"),
    [(two_arguments, TwoArguments), (words, Words), (keyword_only, KeywordOnly)],
)
def test_an_exception_that_ends_the_map_is_of_its_own_class(
    function: Callable[[int], int], kind: type[Exception]
) -> None:
    events: list[Event] = []
    with pytest.raises(kind, match=r"^row 3"), Run(lambda event, time: events.append(event)) as run:
        run.map(function, range(8), workers=2, processes=True)
    ended = events[-1]
    assert isinstance(ended, RunFailed)
    assert ended.error is not None
    assert kind.__name__ == ended.error.type.rpartition(".")[2]
    # Where it happened in the worker, and where the map was called.
    assert function.__name__ in ended.error.traceback
    assert "run.map" in ended.error.traceback


def test_an_exception_that_ends_the_map_and_cannot_be_rebuilt_is_told_by_its_type_and_text() -> None:
    events: list[Event] = []
    with pytest.raises(Exception, match="row 3"), Run(lambda event, time: events.append(event)) as run:
        run.map(holds_lock, range(8), workers=2, processes=True)
    ended = events[-1]
    assert isinstance(ended, RunFailed)
    assert "HoldsLock: row 3" == ended.message
