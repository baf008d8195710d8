"""The reducer: what is known of a run follows from its entries alone, whatever the order of looking."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

from streamer.model.bounds import BARS_LIMIT, ERRORS_LISTED
from streamer.model.events import (
    STREAMER_LOGGER,
    Bar,
    Completed,
    Entry,
    ErrorInfo,
    Event,
    ItemFailed,
    Logged,
    PhaseChanged,
    PhaseSpec,
    ProcessInfo,
    Progressed,
    Results,
    RunCancelled,
    RunFailed,
    StatusChanged,
)
from streamer.model.reducer import apply, fold
from streamer.model.settling import advance, settle
from streamer.model.state import (
    CURVE_POINTS,
    CancelState,
    Curve,
    RunState,
    decode_state,
    encode_state,
)

PHASES = (PhaseSpec("validate", 10), PhaseSpec("load", 70), PhaseSpec("summarise", 20))
FIRST = StatusChanged(
    status="queued", title="Import prices", pipeline="ImportPrices", phases=PHASES, owner="ada"
)


def numbered(events: list[Event], start: float = 1000.0, step: float = 1.0) -> list[Entry]:
    return [Entry(10 + n, "r1", n + 1, start + n * step, event) for n, event in enumerate(events)]


def state_after(*events: Event) -> RunState:
    return fold(RunState(run="r1"), numbered([FIRST, StatusChanged(status="running"), *events]))


# -- strategies --------------------------------------------------------------------------------------------------------

names = st.sampled_from([None, "validate", "load", "summarise", "not declared"])
absurd = st.sampled_from([-1, 1e308, -1e308, 2**70, 10**400])
amounts = st.none() | st.integers(0, 50) | st.floats(0, 50, allow_nan=False) | absurd
bars = st.builds(
    Bar,
    id=st.sampled_from("abcdef"),
    parent=st.none() | st.sampled_from("abcdef"),
    phase=names,
    name=st.text(max_size=3),
    done=amounts,
    total=amounts,
    status=st.sampled_from(["started", "finished", "stopped"]),
)
percents = st.none() | st.floats(-10, 200, allow_nan=False)
events = st.one_of(
    st.builds(
        StatusChanged,
        status=st.sampled_from(["running", "stalled", "cancelling"]),
        message=st.text(max_size=5),
        step=st.sampled_from([UNSET, "asked", "acknowledged", "terminated", "killed"]),
        by=st.sampled_from([UNSET, "ada"]),
        reason=st.sampled_from([UNSET, "time limit of 60 s reached"]),
        process=st.just(UNSET) | st.builds(ProcessInfo, st.integers(0, 9), alive=st.none() | st.booleans()),
    ),
    st.builds(
        PhaseChanged,
        phase=names.filter(lambda name: name is not None),
        phase_status=st.sampled_from(["started", "finished", "skipped", "failed"]),
        weight=st.none() | st.floats(0.1, 10) | st.sampled_from([1e308, float("inf"), 0.0, -1.0]),
    ),
    st.builds(
        Progressed,
        phase=names,
        done=amounts,
        total=amounts,
        phase_progress=percents,
        overall_progress=percents,
        unit=st.sampled_from(["", "rows"]),
        results=st.builds(Results, success=st.integers(0, 9), failed=st.integers(0, 9)),
        bars=st.lists(bars, max_size=3).map(tuple),
    ),
    st.builds(
        Logged,
        level=st.sampled_from(["INFO", "WARNING", "ERROR"]),
        logger=st.sampled_from(["", "a.b", STREAMER_LOGGER]),
        message=st.text(max_size=5),
        timestamp=st.sampled_from(["", "2026-01-31T09:41:32.118Z"]),
        phase=names,
    ),
    st.builds(ItemFailed, item=st.text(max_size=5), error=st.just(ErrorInfo("ValueError", "no"))),
)
endings = st.sampled_from(
    [[], [Completed(result=1)], [RunFailed(message="no")], [RunCancelled()], [RunCancelled(how="killed")]]
)
histories = st.tuples(
    st.lists(events, max_size=25), endings, st.lists(st.floats(-1, 3).map(lambda s: round(s, 3)), min_size=30)
)


def history(drawn: tuple[list[Event], list[Event], list[float]]) -> list[Entry]:
    middle, ending, steps = drawn
    time = 1000.0
    entries = []
    for number, event in enumerate([FIRST, StatusChanged(status="running"), *middle, *ending]):
        time = round(time + steps[number % len(steps)], 3)
        entries.append(Entry(100 + 3 * number, "r1", number + 1, time, event))
    return entries


@given(histories, st.data())
@pytest.mark.slow
def test_folding_the_rest_onto_a_snapshot_equals_folding_all(drawn, data):
    entries = history(drawn)
    cut = data.draw(st.integers(0, len(entries)))
    snapshot = decode_state(encode_state(fold(RunState(run="r1"), entries[:cut])))
    assert fold(RunState(run="r1"), entries) == fold(snapshot, entries[cut:])


@given(histories, st.data())
@pytest.mark.slow
def test_applying_an_entry_twice_changes_nothing(drawn, data):
    entries = history(drawn)
    again = data.draw(st.integers(0, len(entries) - 1))
    state = fold(RunState(run="r1"), entries[: again + 1])
    assert state == apply(state, entries[again])
    assert fold(RunState(run="r1"), entries) == fold(state, entries)


@given(histories)
@pytest.mark.slow
def test_a_state_is_read_back_as_it_was_written(drawn):
    state = RunState(run="r1")
    for entry in history(drawn):
        state = apply(state, entry)
        assert state == decode_state(encode_state(state))
        assert all(math.isfinite(rate) for phase in state.phases for _, rate in phase.curve.points)


@given(histories)
@example(
    # A phase that is over, and progress of none: what is filled in of the phase is not what is counted outside it.
    (
        [
            PhaseChanged(phase="validate", phase_status="finished"),
            Progressed(done=0, total=1),
            Progressed(),
        ],
        [],
        [0.0] * 30,
    )
)
@pytest.mark.slow
def test_a_settled_event_folds_as_the_bare_one_does(drawn):
    bare, settled = RunState(run="r1"), RunState(run="r1")
    for entry in history(drawn):
        bare = apply(bare, entry)
        settled = apply(settled, msgspec.structs.replace(entry, event=settle(bare, entry)))
        assert bare == settled


@given(histories, st.lists(events, max_size=3))
@pytest.mark.slow
def test_a_batch_advances_a_run_as_its_entries_do_one_by_one(drawn, behind):
    middle, ending, steps = drawn
    entries = history((middle, [*ending, *(behind if ending else [])], steps))
    state, settled = RunState(run="r1"), []
    for entry in entries[: len(entries) - len(behind)] if ending else entries:
        state = apply(state, entry)
        settled.append(msgspec.structs.replace(entry, event=settle(state, entry)))
    assert (state, settled) == advance(RunState(run="r1"), entries)


@given(histories)
def test_progress_never_falls_and_is_100_only_on_completion(drawn):
    state, reached = RunState(run="r1"), 0.0
    for entry in history(drawn):
        state = apply(state, entry)
        assert reached <= state.overall_progress
        assert int(state.overall_progress) == state.progress
        assert (state.progress == 100) == (state.status == "complete")
        reached = state.overall_progress


@given(histories)
@pytest.mark.slow
def test_a_phase_never_goes_back(drawn):
    state, reached = RunState(run="r1"), {}
    for entry in history(drawn):
        state = apply(state, entry)
        for phase in state.phases:
            assert reached.get(phase.name, 0) <= (phase.progress or 0) <= 100
            reached[phase.name] = phase.progress or 0


@given(histories)
@pytest.mark.slow
def test_nothing_changes_after_the_terminal_event(drawn):
    entries = history(drawn)
    state = fold(RunState(run="r1"), entries)
    if state.is_over:
        late = Entry(9999, "r1", len(entries) + 1, 9999.0, Progressed(phase="load", done=1, total=1))
        after = apply(state, late)
        assert msgspec.structs.replace(state, seq=after.seq, offset=9999) == after


def test_overall_progress_is_the_weighted_sum_of_the_phases():
    state = state_after(
        PhaseChanged(phase="validate", phase_status="started"),
        PhaseChanged(phase="validate", phase_status="finished"),
        PhaseChanged(phase="load", phase_status="started"),
        Progressed(phase="load", done=3664, total=4812, unit="rows"),
    )
    assert 63.3 == state.overall_progress
    assert 63 == state.progress
    assert ("load", 3664, 4812, "rows") == (state.phase, state.done, state.total, state.unit)


def test_all_phases_finished_is_not_complete_yet():
    state = state_after(*(PhaseChanged(phase=p.name, phase_status="finished") for p in PHASES))
    assert 99 == state.progress
    assert 100 == apply(state, Entry(99, "r1", state.seq + 1, 1010.0, Completed())).progress


def test_a_total_that_is_not_known_is_indeterminate():
    state = state_after(Progressed(phase="load", done=17, unit="files"))
    assert state.indeterminate
    assert state.find_phase("load").progress is None
    assert 17 == state.done


def test_nothing_to_do_is_all_done():
    state = state_after(Progressed(phase="load", done=0, total=0))
    assert 100 == state.find_phase("load").progress


def test_failed_items_are_counted_and_the_first_ones_listed():
    error = ErrorInfo("ValueError", "high below low", "Traceback …")
    failures = [ItemFailed(item=f"row {n}", error=error) for n in range(ERRORS_LISTED + 5)]
    state = state_after(
        Progressed(phase="load", done=1, total=1, results=Results(success=1000)), *failures, Completed()
    )
    assert Results(1000, ERRORS_LISTED + 5) == state.results
    assert ERRORS_LISTED == len(state.errors)
    assert ("row 0", "load", ErrorInfo("ValueError", "high below low")) == (
        state.errors[0].item,
        state.errors[0].phase,
        state.errors[0].error,
    )
    assert "complete, 105 of 1,105 failed" == state.message


def test_the_rate_follows_what_was_done_in_time():
    samples = [Progressed(phase="load", done=128 * n, total=10_000, unit="rows") for n in range(20)]
    state = state_after(PhaseChanged(phase="load", phase_status="started"), *samples)
    assert pytest.approx(128, rel=0.05) == state.rate


@pytest.mark.parametrize("waited", [0, 5])
def test_the_rate_is_right_from_the_first_second(waited):
    begin = PhaseChanged(phase="load", phase_status="started")
    samples = [
        Progressed(phase="load", done=max(n - waited * 10, 0), total=10_000) for n in range(waited * 10 + 6)
    ]
    entries = numbered([FIRST, StatusChanged(status="running"), begin, *samples], step=0.1)
    assert pytest.approx(10, rel=0.05) == fold(RunState(run="r1"), entries).rate


def test_the_rate_falls_while_nothing_moves():
    moving = [Progressed(phase="load", done=100 * n, total=10_000) for n in range(10)]
    stuck = [Progressed(phase="load", done=900, total=10_000) for _ in range(20)]
    assert state_after(*moving).rate > 90
    assert state_after(*moving, *stuck).rate < 1


def test_the_curve_of_a_long_phase_stays_bounded_and_spans_it_all():
    curve = Curve()
    for second in range(1, 100_001):
        curve = curve.add(float(second), 7 * second)
    assert CURVE_POINTS / 3 < len(curve.points) <= CURVE_POINTS
    assert 100_000 - curve.step_seconds <= curve.points[-1][0]
    assert curve.points[0][0] <= 2 * curve.step_seconds
    assert sorted(curve.points) == list(curve.points)
    assert {7.0} == {rate for _, rate in curve.points}


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 1000)), max_size=400))
def test_the_area_under_the_curve_is_what_was_done(steps):
    curve, seconds, done = Curve(), 0.0, 0
    for step, more in steps:
        seconds, done = round(seconds + step, 3), done + more
        curve = curve.add(seconds, done)
    starts = [0.0, *(t for t, _ in curve.points)]
    area = sum((t - start) * rate for start, (t, rate) in zip(starts, curve.points, strict=False))
    assert pytest.approx(curve.done, rel=1e-2, abs=0.1) == area
    assert len(curve.points) <= CURVE_POINTS


def test_a_count_that_begins_anew_leaves_no_hole_below_zero():
    curve = Curve().add(1.0, 100).add(2.0, 0).add(3.0, 50)
    assert ((1.0, 100.0), (3.0, 50.0)) == curve.points


def test_a_bar_is_what_was_last_said_of_it_and_stays_where_it_was():
    first = Progressed(bars=(Bar("a", name="outer", total=3), Bar("b", "a", name="inner")))
    state = state_after(
        PhaseChanged(phase="load", phase_status="started"),
        first,
        Progressed(bars=(Bar("a", name="outer", done=1),)),
    )
    assert (Bar("a", None, "load", "outer", 1), Bar("b", "a", "load", "inner")) == state.bars


def test_the_bars_of_a_run_that_is_over_are_over():
    bars = (Bar("a", done=3, total=3), Bar("b", done=1, total=3), Bar("c", done=2, status="finished"))
    state = state_after(Progressed(bars=bars), Completed())
    assert ["finished", "stopped", "finished"] == [bar.status for bar in state.bars]


def test_bars_stay_bounded_and_nested_ones_that_are_over_go_first():
    nested = [Progressed(bars=(Bar(f"n{i}", "top", status="finished"),)) for i in range(BARS_LIMIT + 50)]
    state = state_after(Progressed(bars=(Bar("top"), Bar("live", "top"))), *nested)
    assert (BARS_LIMIT, 52) == (len(state.bars), state.bars_folded)
    assert ["top", "live", "n52"] == [bar.id for bar in state.bars[:3]]


def test_levels_that_somebody_invents_do_not_grow_the_state():
    state = state_after(*(Logged(level=f"LEVEL{n}", message="x") for n in range(200)))
    assert len(state.log_counts) <= 21
    assert 200 == state.log_lines


def test_asked_to_cancel_stays_visible_until_the_end():
    state = state_after(StatusChanged(status="cancelling"), StatusChanged(status="running"))
    assert "cancelling" == state.status


def test_the_longest_gap_is_the_longest_silence():
    first, rest = numbered([FIRST, StatusChanged(status="running")]), [1002.0, 1009.5, 1010.0]
    entries = first + [Entry(20 + n, "r1", 3 + n, t, Logged(message="x")) for n, t in enumerate(rest)]
    assert 7.5 == fold(RunState(run="r1"), entries).longest_gap


def test_a_sign_of_life_that_says_the_same_again_is_no_news():
    working = Progressed(phase="load", done=5, total=9)
    state = state_after(working, working, working)
    assert (1002.0, 1004.0, 0.0) == (state.last_time, state.last_sign, state.longest_gap - 1.0)
    state = apply(state, Entry(99, "r1", 6, 1010.0, Progressed(phase="load", done=6, total=9)))
    assert (1010.0, 8.0) == (state.last_time, state.longest_gap)


def test_what_the_streamer_says_of_a_silent_run_is_no_sign_of_life():
    state = state_after(
        StatusChanged(status="stalled", process=ProcessInfo(4711, alive=True, doing="stopped")),
        Logged(logger=STREAMER_LOGGER, level="WARNING", message="its time limit will be reached"),
        StatusChanged(status="cancelling", step="asked", by="ada"),
    )
    assert (1001.0, 1001.0) == (state.last_time, state.last_sign)
    assert ProcessInfo(4711, "", True, "stopped") == state.process


def test_a_cancel_is_asked_acknowledged_and_ended_cooperatively():
    state = state_after(
        StatusChanged(status="cancelling", step="asked", by="ada"),
        StatusChanged(status="cancelling", step="acknowledged", phase="load", item="row 17"),
        RunCancelled(message="cancelled on request"),
    )
    expected = CancelState(
        by="ada", asked=1002.0, acknowledged=1003.0, phase="load", item="row 17", how="cooperative"
    )
    assert expected == state.cancel


def test_a_run_that_was_cancelled_for_a_reason_ends_with_it():
    limit = "time limit of 60 s reached"
    events = [
        FIRST,
        StatusChanged(status="cancelling", step="asked", reason=limit),
        RunCancelled(message="x"),
    ]
    entries = numbered(events)
    state = fold(RunState(run="r1"), entries)
    settled = settle(state, entries[-1])
    assert (limit, limit) == (state.message, state.cancel.reason)
    assert (limit, limit, "cooperative") == (settled.message, settled.reason, settled.how)


def test_only_the_first_event_says_what_a_run_repeats_and_how_long_it_may_take():
    first = StatusChanged(
        status="queued", title="t", managed=True, retry_of="r0", retry_items="failed", time_limit_seconds=60.0
    )
    later = StatusChanged(status="running", managed=False, retry_of="r9", time_limit_seconds=1.0)
    state = fold(RunState(run="r1"), numbered([first, later]))
    assert (True, "r0", "failed", 60.0) == (
        state.managed,
        state.retry_of,
        state.retry_items,
        state.time_limit_seconds,
    )


def test_a_run_without_phases_takes_its_producer_s_word():
    state = fold(
        RunState(run="r1"),
        numbered(
            [StatusChanged(status="running", title="t"), Progressed(progress=40), Progressed(progress=30)]
        ),
    )
    assert 40 == state.progress


def test_a_run_without_phases_has_a_rate_and_a_curve_of_its_own():
    moving = [Progressed(done=100 * n, total=10_000, unit="rows") for n in range(20)]
    state = fold(RunState(run="r1"), numbered([StatusChanged(status="running", title="t"), *moving]))
    assert pytest.approx(100, rel=0.06) == state.rate
    assert state.outside is not None
    assert 18 <= len(state.outside.curve.points)
    assert () == state.phases


def test_a_late_sample_does_not_take_the_headline_back():
    state = state_after(
        Progressed(phase="validate", done=5, total=5),
        PhaseChanged(phase="validate", phase_status="finished"),
        PhaseChanged(phase="load", phase_status="started"),
        Progressed(phase="load", done=1, total=9),
        Progressed(phase="validate", done=5, total=5),
    )
    assert ("load", 1, 9) == (state.phase, state.done, state.total)
