"""Runs that make no sense, with histories that make none, raise nothing and keep their quantiles in order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.model.events import (
    Completed,
    Entry,
    Event,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    RunFailed,
    StatusChanged,
)
from streamer.model.state import RunState
from streamer.server.estimates.following import Following
from streamer.server.estimates.moves import take
from streamer.server.estimates.past import Past

NAMES = st.sampled_from(("a", "b", "late"))
COUNTS = st.sampled_from((None, 0, 1, 5, 3.5, 10**15))
PARAMETERS = st.dictionaries(
    st.just("n"), st.sampled_from((0, -1, 1e308, 1e-308, None, "x", [1], True, 7)), max_size=1
)
MIDDLE = st.one_of(
    st.builds(Progressed, phase=st.none() | NAMES, done=COUNTS, total=COUNTS),
    st.builds(
        PhaseChanged,
        phase=NAMES,
        phase_status=st.sampled_from(("started", "finished", "skipped", "failed")),
    ),
)
STEPS = st.sampled_from((0.0, 0.001, 1.0, -5.0, 3600.0, 1e6))


@st.composite
def runs(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[Event, float]]]:
    """Return a run's parameters, and its events with their times."""
    time, told = draw(st.sampled_from((0.0, 1e9))), []
    first = StatusChanged(status="running", phases=(PhaseSpec("a", draw(st.sampled_from((1.0, 1e-9, 1e9)))),))
    for event in [
        first,
        *draw(st.lists(MIDDLE, max_size=25)),
        draw(st.sampled_from((Completed(), RunFailed()))),
    ]:
        time = max(time + draw(STEPS), 0.0)
        told.append((event, time))
    return draw(PARAMETERS), told


def following(number: int, run: tuple[dict[str, Any], list[tuple[Event, float]]], earlier: Any) -> Following:
    parameters, told = run
    state = RunState(run=f"r{number}", pipeline="P", parameters=parameters, created=told[0][1])
    made = Following(state, earlier)
    for seq, (event, time) in enumerate(told, 1):
        take(made.timeline, Entry(seq, state.run, seq, time, event))
    return made


@settings(deadline=None, max_examples=60)
@given(st.lists(runs(), min_size=1, max_size=6), st.lists(STEPS, min_size=1, max_size=4))
def test_whatever_a_run_and_its_history_are_an_estimate_makes_sense_or_is_none(
    drawn: list[tuple[dict[str, Any], list[tuple[Event, float]]]], waits: list[float]
) -> None:
    earlier: list[tuple[str, Past]] = []
    for number, run in enumerate(drawn):
        made = following(number, run, earlier)
        now, fractions = run[1][-1][1], []
        for wait in waits:
            now += wait
            said = made.say(max(now, 0.0))
            assert said is not None
            if said.remaining is None:
                continue
            assert 0 <= said.remaining.p10 <= said.remaining.p50 <= said.remaining.p90
            fractions.append(said.fraction or 0.0)
        assert fractions == sorted(fractions)
        assert all(0 <= fraction < 1 for fraction in fractions)
        assert made.spacing() >= 1
        earlier.append((f"r{number}", made.past()))
