"""The remaining time of runs, from earlier runs and from their own pace."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.model.estimates.calibration import factor_of, miss_of
from streamer.model.estimates.estimator import Estimator
from streamer.model.estimates.parameters import columns_of, select
from streamer.model.estimates.regression import student90
from streamer.model.estimates.shown import Shown
from streamer.model.estimates.timeline import Timeline


def a_run(
    phases: list[tuple[str, float, int]],
    *,
    run: str = "r",
    speed: float = 1.0,
    parameters: dict[str, object] | None = None,
    end: str = "complete",
    until: float = math.inf,
) -> Timeline:
    """Return a run of phases: name, seconds, items reported evenly (0: none). It is known `until` a time."""
    timeline = Timeline(run, "P", parameters or {}, None, 0.0, running=0.0)
    for name, _, _ in phases:
        timeline.phase(name, 1.0).declared = True
    now = 0.0
    for name, seconds, items in phases:
        length = seconds * speed
        if now > until:
            break
        timeline.mark(now, name, "started")
        for item in range(items + 1):
            at = now + length * item / max(items, 1)
            if items and at <= until:
                timeline.phases[name].rows.append((at, float(item), float(items), 100.0 * item / items))
        now += length
        if now <= until:
            timeline.mark(now, name, "finished")
    if now <= until:
        timeline.over, timeline.end = now, end
    return timeline


WORK = [("load", 20.0, 40), ("fit", 100.0, 50), ("save", 10.0, 0)]


def at(timeline: Timeline, earlier: list[Timeline], *times: float) -> np.ndarray:
    return Estimator(timeline, earlier).estimate(np.array(times)).p50


def test_a_run_like_the_earlier_ones_takes_as_long_as_they_did() -> None:
    earlier = [a_run(WORK, run=str(n)) for n in range(5)]
    for now, left in ((0.0, 130.0), (10.0, 120.0), (70.0, 60.0), (125.0, 5.0)):
        assert left == pytest.approx(at(a_run(WORK, until=now), earlier, now)[0], rel=0.05, abs=1.0)


def test_declared_weights_mean_nothing_once_there_are_earlier_runs() -> None:
    earlier = [a_run(WORK, run=str(n)) for n in range(3)]
    middle = at(a_run(WORK, until=20.0), earlier, 20.0)[0]
    assert 110.0 == pytest.approx(middle, rel=0.05)


def test_a_slower_run_is_said_to_take_longer_the_more_so_the_more_is_over() -> None:
    earlier = [a_run(WORK, run=str(n)) for n in range(6)]
    slow = a_run(WORK, speed=2.0)
    early, late = at(slow, earlier, 20.0, 200.0)
    assert early < 240.0
    assert 60.0 == pytest.approx(late, rel=0.25)


def test_a_first_run_has_its_own_pace_and_says_nothing_at_its_beginning() -> None:
    work = [("a", 50.0, 50), ("b", 50.0, 50)]
    begin, middle = at(a_run(work), [], 0.5, 25.0)
    assert math.isnan(begin)
    assert 75.0 == pytest.approx(middle, rel=0.1)


def test_failed_runs_teach_nothing() -> None:
    failed = [a_run([("load", 1.0, 10)], run=str(n), end="failed") for n in range(5)]
    assert 0 == Estimator(a_run(WORK, until=10.0), failed).estimate(np.array([10.0])).ghosts[0]


def test_a_silent_phase_counts_down_with_the_runs_that_took_longer() -> None:
    earlier = [a_run([("wait", 60.0 + n, 0)], run=str(n)) for n in range(6)]
    first, later = at(a_run([("wait", 60.0, 0)], until=50.0), earlier, 10.0, 50.0)
    assert 52.0 == pytest.approx(first, rel=0.1)
    assert 12.0 == pytest.approx(later, rel=0.3)


def test_a_parameter_that_matters_is_found_and_others_are_not() -> None:
    random_ = random.Random(1)
    runs = [{"rows": 10 * 2**n, "seed": random_.random(), "day": f"2026-01-{n + 1:02d}"} for n in range(8)]
    chosen = select(runs, [float(run["rows"]) for run in runs])  # type: ignore[arg-type]  # they are numbers
    assert ["rows"] == [one.name for one in chosen]
    assert (8, 1) == columns_of(chosen, runs, {"rows": 20}).shape


def test_ten_times_the_rows_take_ten_times_as_long_from_the_beginning() -> None:
    earlier = [
        a_run([("work", 10.0, 10)], run=str(n), speed=2.0**n, parameters={"rows": 100 * 2**n})
        for n in range(6)
    ]
    asked = Timeline("now", "P", {"rows": 6400}, None, 0.0, running=0.0)
    asked.phase("work").declared = True
    assert 640.0 == pytest.approx(at(asked, earlier, 0.0)[0], rel=0.35)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_bands_are_in_order_the_fraction_never_falls_and_nothing_later_shows(seed: int) -> None:
    random_ = random.Random(seed)

    def work(scale: float) -> list[tuple[str, float, int]]:
        return [
            (f"p{n}", scale * random_.choice([0.0, 0.5, 5.0, 1e4]), random_.choice([0, 1, 7, 60]))
            for n in range(3)
        ]

    earlier = [
        a_run(work(1.0), run=str(n), speed=random_.uniform(0.1, 9.0)) for n in range(random_.randint(0, 7))
    ]
    whole = a_run(work(random_.uniform(0.2, 5.0)), run="now")
    times = np.unique(np.round([random_.uniform(0.0, whole.seconds) for _ in range(40)], 3))
    raw = Estimator(whole, earlier).estimate(times)
    known = ~np.isnan(raw.p50)
    assert (raw.p10[known] <= raw.p50[known]).all()
    assert (raw.p50[known] <= raw.p90[known]).all()
    assert (raw.p10[known] >= 0).all()
    shown, last = Shown(), 0.0
    for index, time in enumerate(times):
        said = shown.say(time, raw.p10[index], raw.p50[index], raw.p90[index], "")
        if said is not None:
            assert 0 <= said.p10 <= said.p50 <= said.p90 < math.inf
            assert last <= said.fraction < 1
            last = said.fraction
    half = len(times) // 2
    assert np.array_equal(
        raw.p50[:half], Estimator(whole, earlier).estimate(times[:half]).p50, equal_nan=True
    )


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_earlier_runs_that_took_as_long_makes_no_difference(order: list[int]) -> None:
    earlier = [a_run(WORK, run=str(n), speed=1.0 + 0.1 * n) for n in range(6)]
    now = a_run(WORK, until=50.0)
    expected, found = at(now, earlier, 50.0), at(now, [earlier[n] for n in order], 50.0)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "rows", [[(0.0, math.nan, math.nan, math.nan)], [(0.0, -1.0, 0.0, 0.0)], [(5.0, 1e300, 1.0, 1e9)]]
)
def test_absurd_reports_never_raise(rows: list[tuple[float, float, float, float]]) -> None:
    odd = a_run(WORK, until=0.0)
    odd.phases["load"].rows[:] = rows
    raw = Estimator(odd, [a_run(WORK), a_run([("load", 0.0, 0)])]).estimate(np.array([0.0, 5.0, 1e9]))
    assert not np.isinf(raw.p90).any()


def test_a_pipeline_that_was_wider_off_than_said_gets_wider_bands() -> None:
    times = np.linspace(0.0, 99.0, 100)
    left = 100.0 - times
    right, wrong = miss_of(times, left, 2 * left, 100.0), miss_of(times, 3 * left, 4 * left, 100.0)
    assert right is not None
    assert wrong is not None
    assert factor_of([right] * 5) < factor_of([]) < factor_of([wrong] * 5)
    assert miss_of(times[:0], left[:0], left[:0], 100.0) is None


def test_student_s_t_is_that_of_the_tables() -> None:
    assert [3.078, 1.372, 1.2816] == pytest.approx(list(student90(np.array([1.0, 10.0, 1e9]))), abs=1e-3)
