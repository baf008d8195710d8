"""What a user declares: phases in order, names in words, and a pipeline that runs alone."""

from __future__ import annotations

import logging
from typing import Any

import param
import pytest

from streamer import Pipeline, phase
from streamer.model.events import PhaseSpec
from streamer.model.pipeline import SkipPhase, doc_of, phases_of, title_of


class Bake(Pipeline):
    """Bake a loaf.

    Slowly.
    """

    loaves = param.Integer(2)

    @phase(weight=1)
    def knead(self) -> None:
        """Knead."""

    @phase(weight=8)
    def bake(self) -> list[int]:
        return self.map(self.one, range(self.loaves + 1), on_error="collect")

    @phase
    def cool(self) -> int:
        return sum(1 for _ in self.track("abc"))

    def one(self, item: int) -> int:
        return 10 // item


class BakeAndSlice(Bake):
    @phase(weight=2)
    def slice(self) -> None: ...


class BakeAtOnce(Bake):
    def knead(self) -> None: ...

    @phase(weight=80)
    def bake(self) -> list[int]:
        return []


def test_phases_come_in_the_order_they_are_written() -> None:
    assert (PhaseSpec("knead", 1.0), PhaseSpec("bake", 8.0), PhaseSpec("cool", 1.0)) == phases_of(Bake)


def test_a_subclass_adds_its_phases_after_those_of_its_base() -> None:
    assert ["knead", "bake", "cool", "slice"] == [spec.name for spec in phases_of(BakeAndSlice)]


def test_a_phase_that_is_overridden_keeps_its_place_and_one_that_is_no_phase_any_more_goes() -> None:
    assert (PhaseSpec("bake", 80.0), PhaseSpec("cool", 1.0)) == phases_of(BakeAtOnce)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_is_a_positive_number(weight: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        phase(weight=weight)


def test_a_weight_that_is_not_named_is_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"@phase\(weight=…\)"):
        phase(10)  # type: ignore[call-overload]  # the mistake in question


def test_a_pipeline_without_phases_is_refused() -> None:
    class Empty(Pipeline):
        pass

    with pytest.raises(TypeError, match="expected 1 to 500 @phase methods, found 0"):
        phases_of(Empty)


def test_a_phase_with_arguments_is_refused() -> None:
    class Wrong(Pipeline):
        @phase
        def load(self, path: str) -> None: ...

    with pytest.raises(TypeError, match=r"Wrong\.load: a phase takes no arguments"):
        phases_of(Wrong)


def test_a_phase_may_have_arguments_with_defaults() -> None:
    class Right(Pipeline):
        @phase
        def load(self, path: str = "", *rest: Any, **more: Any) -> None: ...

    assert (PhaseSpec("load", 1.0),) == phases_of(Right)


async def _coroutine(self: Pipeline) -> None: ...


def _generator(self: Pipeline) -> Any:
    yield


async def _async_generator(self: Pipeline) -> Any:
    yield


@pytest.mark.parametrize("function", [_coroutine, _generator, _async_generator])
def test_a_phase_that_would_run_nothing_when_called_is_refused(function: Any) -> None:
    wrong = type("Wrong", (Pipeline,), {"load": phase(function)})
    with pytest.raises(TypeError, match="a phase is a plain method"):
        phases_of(wrong)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("ImportPrices", "Import prices"),
        ("Count", "Count"),
        ("HTTPServer", "HTTP server"),
        ("LoadCSV", "Load CSV"),
        ("snake_case_name", "Snake case name"),
        ("V2Import", "V2 import"),
    ],
)
def test_a_class_name_is_written_in_words(name: str, title: str) -> None:
    assert title == title_of(type(name, (Pipeline,), {}))


def test_a_docstring_is_dedented() -> None:
    assert doc_of(Bake) == "Bake a loaf.\n\nSlowly."


def test_a_class_without_a_docstring_has_none_though_param_writes_one() -> None:
    assert doc_of(BakeAndSlice) == ""


def test_a_pipeline_runs_without_a_streamer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pipeline = Bake(loaves=2)
    pipeline.message("kneading")
    with pipeline.counter(5, unit="g") as counter:
        counter.advance(2)
    assert [10, 5] == pipeline.bake()
    assert pipeline.cool() == 3
    assert ["kneading", "0 failed"] == [record.getMessage() for record in caplog.records]


def test_without_a_streamer_an_error_that_is_not_collected_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        Bake().map(lambda item: 1 // item, [0])


def test_skipping_a_phase_is_an_outcome_that_says_why() -> None:
    assert str(SkipPhase("nothing to do")) == "nothing to do"
