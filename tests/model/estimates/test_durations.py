"""The duration of a run that is to start, from the states of earlier ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.model.estimate import Duration, Usual
from streamer.model.estimates.durations import usual_duration
from streamer.model.state import RunState


def a_run(number: int, seconds: float, **fields: Any) -> RunState:
    """Return a complete run that began an hour after the one before it."""
    started = 1000.0 + 3600.0 * number
    given: dict[str, Any] = {
        "run": f"r{number}",
        "pipeline": "P",
        "status": "complete",
        "created": started - 5.0,
        "started": started,
        "ended": started + seconds,
    }
    return RunState(**(given | fields))


def middle(usual: Usual) -> float:
    assert usual.duration is not None
    return usual.duration.p50


def test_a_run_takes_as_long_as_earlier_ones_without_their_time_in_the_queue() -> None:
    usual = usual_duration([a_run(n, 240.0 + n) for n in range(12)], {})
    assert (12, "12 earlier runs") == (usual.runs, usual.basis)
    assert 245.0 == pytest.approx(middle(usual), rel=0.03)


def test_without_a_run_that_completed_the_duration_is_not_known_yet() -> None:
    failed = [a_run(0, 9.0, status="failed"), a_run(1, 5.0, status="cancelled"), a_run(2, 1.0, retry_of="r0")]
    assert Usual(None, 0, "not known yet") == usual_duration(failed, {})
    assert Usual(None, 0, "not known yet") == usual_duration([], {"n": 3})


def test_a_parameter_that_makes_a_difference_changes_the_duration() -> None:
    earlier = [a_run(n, 10.0 * 2**n, parameters={"rows": 100 * 2**n, "seed": 7 * n}) for n in range(6)]
    assert 80.0 == pytest.approx(middle(usual_duration(earlier, {"rows": 800, "seed": 1})), rel=0.15)
    assert 640.0 == pytest.approx(middle(usual_duration(earlier, {"rows": 6400, "seed": 1})), rel=0.35)


def test_one_run_gives_a_wider_band_than_many() -> None:
    one, many = (usual_duration([a_run(n, 60.0) for n in range(count)], {}).duration for count in (1, 20))
    assert isinstance(one, Duration)
    assert isinstance(many, Duration)
    assert many.p90 - many.p10 < one.p90 - one.p10


SECONDS = st.one_of(
    st.sampled_from([0.0, -5.0, 1e-9, 1e12, math.nan, math.inf]), st.floats(0.001, 1e7, allow_nan=False)
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=3),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
PARAMETERS = st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2)


@given(
    st.lists(
        st.tuples(SECONDS, PARAMETERS, st.sampled_from(["complete", "failed"])),
        max_size=8,
    ),
    PARAMETERS,
    st.randoms(use_true_random=False),
)
def test_any_history_gives_quantiles_in_order_whatever_its_order(runs: Any, asked: Any, random: Any) -> None:
    earlier = [
        a_run(n, seconds, parameters=parameters, status=status)
        for n, (seconds, parameters, status) in enumerate(runs)
    ]
    usual = usual_duration(earlier, asked)
    if usual.duration is not None:
        assert 0 <= usual.duration.p10 <= usual.duration.p50 <= usual.duration.p90 < math.inf
    random.shuffle(earlier)
    assert usual == usual_duration(earlier, asked)
