"""`Summary`: a run in numbers and words, none of which is better than the run is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.model.estimate import NOT_KNOWN_YET, Duration, Estimated
from streamer.model.events import (
    Completed,
    Entry,
    PhaseChanged,
    ProcessInfo,
    Progressed,
    Results,
    StatusChanged,
)
from streamer.model.reducer import apply, fold
from streamer.model.state import PhaseState, RunState
from streamer.model.summary import PHASE_TONES, Summary, outcome, percent, summarise
from tests.model.test_reducer import histories, history

NOW = 1_700_000_000.0
LOADING = RunState(
    run="7k2m",
    title="Import prices",
    status="running",
    progress=63,
    overall_progress=63.29,
    phase="load",
    phases=(
        PhaseState("validate", 10, "finished", 100.0, 50, 50, "rows", None, NOW - 28, NOW - 24),
        PhaseState("load", 70, "started", 76.14, 3664, 4812, "rows", 128.0, NOW - 24),
        PhaseState("summarise", 20),
    ),
    done=3664,
    total=4812,
    unit="rows",
    rate=128.0,
    started=NOW - 28,
    last_time=NOW - 2,
    results=Results(3661, 3),
)
COUNTING = replace(
    LOADING,
    phases=(PhaseState("scan", status="started", done=12, unit="files"),),
    phase="scan",
    progress=0,
    overall_progress=0.0,
    done=12,
    total=None,
    unit="files",
    rate=None,
)
SILENT = replace(COUNTING, phases=(), phase=None, done=None, unit="")


def over(status: str, success: int, failed: int, **changes: object) -> RunState:
    reached = 100.0 if status == "complete" else 63.29
    return replace(
        LOADING,
        status=status,
        ended=NOW,
        rate=None,
        progress=int(reached),
        overall_progress=reached,
        results=Results(success, failed),
        **changes,
    )


def estimated(state, **more):
    """Return a state with an estimate of this moment."""
    fields = {"remaining": Duration(540, 720, 1020), "fraction": 0.4, "basis": "12 earlier runs", "runs": 12}
    return replace(state, estimate=Estimated(NOW, **{**fields, **more}))


def said(state: RunState, **more: object) -> Summary:
    return summarise(state, NOW, **more)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (LOADING, ("Running", "accent", None, "63 %", 63, "3,664 of 4,812 rows · 128 rows/s")),
        (replace(LOADING, status="stalled"), ("Stalled", "warn", None, "63 %", 63, "3,664 of 4,812 rows")),
        (replace(LOADING, status="cancelling"),
         ("Cancelling", "warn", None, "63 %", 63, "3,664 of 4,812 rows · 128 rows/s")),
        (COUNTING, ("Running", "accent", None, "12 files", None, "total not known")),
        (replace(COUNTING, overall_progress=30.0),
         ("Running", "accent", None, "30 %", 30, "12 files, total not known")),
        (SILENT, ("Running", "accent", None, "Working", None, "Working")),
        (replace(SILENT, message="14 tasks before ours"),
         ("Running", "accent", None, "Working", None, "14 tasks before ours")),
        (replace(LOADING, status="queued", overall_progress=0.0),
         ("Queued", "wait", None, "Queued", None, "Waiting for a free place")),
        (over("complete", 4812, 0), ("Complete", "ok", "complete", "Complete", 100, "4,812 succeeded")),
        (over("complete", 4809, 3), ("Partial", "warn", "partial", "Complete, 3 of 4,812 failed", 100, "")),
        (over("complete", 0, 12), ("All failed", "bad", "partial", "Complete, 12 of 12 failed", 100, "")),
        (over("failed", 3661, 3), ("Failed", "bad", "failed", "Failed at 63 %", 63, "in load · 3,664 of 4,812 rows")),
        (over("cancelled", 3661, 0),
         ("Cancelled", "wait", "cancelled", "Cancelled at 63 %", 63, "in load · 3,664 of 4,812 rows")),
        (replace(COUNTING, status="failed"),
         ("Failed", "bad", "failed", "Failed after 12 files", None, "in scan · 12 files")),
        (RunState(run="r", status="failed"), ("Failed", "bad", "failed", "Failed", None, "")),
    ],
)  # fmt: skip
def test_a_run_in_words(state, expected):
    summary = said(state)
    assert expected == (
        summary.word,
        summary.tone,
        summary.outcome,
        summary.headline,
        summary.percent,
        summary.now,
    )


@pytest.mark.parametrize(
    ("state", "fraction", "shown"),
    [
        (LOADING, 0.418, 41),
        (LOADING, 1.0, 99),
        (LOADING, -0.1, 0),
        (COUNTING, 0.5, 50),
        (over("failed", 1, 0), 0.5, 63),
        (over("complete", 1, 0), 0.5, 100),
    ],
)
def test_an_estimate_gives_the_percentage_while_a_run_goes_on(state, fraction, shown):
    assert shown == said(estimated(state, fraction=fraction)).percent


@pytest.mark.parametrize(
    ("estimate", "left", "band", "basis"),
    [
        ({}, "about 12 min left", "9 to 17 min", "from 12 earlier runs"),
        ({"basis": "longer than 11 of 12 earlier runs"},
         "about 12 min left", "9 to 17 min", "longer than 11 of 12 earlier runs"),
        ({"remaining": Duration(41, 42, 43)}, "about 40 s left", "40 to 45 s", "from 12 earlier runs"),
        ({"remaining": Duration(4, 4, 4)}, "about 4 s left", "", "from 12 earlier runs"),
        ({"remaining": Duration(1800, 5000, 90_000)},
         "about 1 h 25 min left", "30 min to 1 d 1 h", "from 12 earlier runs"),
        ({"remaining": None, "fraction": None, "runs": 0, "basis": NOT_KNOWN_YET},
         "time left not known yet", "", ""),
    ],
)  # fmt: skip
def test_the_remaining_time_is_said_roughly_with_its_range_and_basis(estimate, left, band, basis):
    remaining = said(estimated(LOADING, **estimate)).remaining
    assert (left, band, basis) == (remaining.left, remaining.band, remaining.basis)


def test_the_time_that_is_left_is_not_known_before_an_estimate_and_no_matter_after_the_end():
    assert "time left not known yet" == said(LOADING).remaining.left
    assert said(estimated(over("complete", 1, 0))).remaining is None


def test_the_time_that_is_left_passes_until_the_next_estimate():
    state = estimated(LOADING, remaining=Duration(5, 25, 60))
    later = summarise(state, NOW + 15)
    assert ("about 10 s left", "0 to 45 s") == (later.remaining.left, later.remaining.band)


def test_phases_have_the_weights_of_their_usual_times_where_earlier_runs_tell():
    weights = {"validate": 10.0, "load": 80.0, "summarise": 0.0}
    shares = [phase.share for phase in said(estimated(LOADING, weights=weights)).phases]
    assert [10, 80, 0.9] == [round(share * 90.9, 3) for share in shares]
    own = estimated(LOADING, weights=weights, runs=0)
    assert [phase.share for phase in said(LOADING).phases] == [phase.share for phase in said(own).phases]


def test_phases_have_mark_tone_and_wordings_for_every_width():
    validate, load, summary = said(LOADING).phases
    assert ("done", "✓", "ok", 100, ("100 % · 4 s", "100 %")) == (
        validate.kind, validate.mark, validate.tone, validate.percent, validate.words
    )  # fmt: skip
    assert ("active", "accent", 76, ("weight 70 · 76 % · 24 s", "76 % · 24 s", "76 %")) == (
        load.kind, load.tone, load.percent, load.words
    )  # fmt: skip
    assert ("waiting", None, 0.2, ("weight 20 · waiting", "waiting")) == (
        summary.kind, summary.percent, summary.share, summary.words
    )  # fmt: skip


def test_a_phase_that_ended_with_a_cancelled_run_is_stopped_and_not_failed():
    phases = (PhaseState("load", 1, "failed", 76.14, started=NOW - 9, ended=NOW), PhaseState("save"))
    stopped, waiting = said(over("cancelled", 1, 0, phases=phases)).phases
    assert ("stopped", "wait", "stopped at 76 % · 9 s") == (stopped.kind, stopped.tone, stopped.words[0])
    assert "not reached" == waiting.words[-1]
    assert "failed" == said(over("failed", 1, 0, phases=phases)).phases[0].kind


@pytest.mark.parametrize(
    ("success", "failed", "kind", "tone"),
    [(9, 0, "done", "ok"), (8, 1, "partial", "warn"), (0, 9, "spoilt", "bad")],
)
def test_the_bar_of_a_run_in_which_items_failed_is_not_green(success, failed, kind, tone):
    state = over("complete", success, failed)
    (phase, *_) = said(state).phases
    assert (kind, kind, tone, "100 % · 4 s") == (said(state).kind, phase.kind, phase.tone, phase.words[0])
    assert tone == PHASE_TONES[said(state).kind]


def test_no_time_is_negative_whatever_the_clocks():
    summary = summarise(LOADING, NOW - 3600)
    assert [0.0, 4.0, 0.0, None] == [summary.elapsed, *(phase.seconds for phase in summary.phases)]
    assert "last event just now · longest gap 0 s" == summary.life


@pytest.mark.parametrize(
    ("changes", "life", "quiet"),
    [
        ({}, "last event 2 s ago · longest gap 2 s", False),
        ({"last_time": NOW - 31, "longest_gap": 40.0}, "last event 31 s ago · longest gap 40 s", True),
        ({"status": "stalled", "last_time": NOW, "last_sign": NOW - 70},
         "no sign of life for 1 min 10 s · last event just now · longest gap 0 s", True),
        ({"process": ProcessInfo(4711, "b", True)},
         "last event 2 s ago · longest gap 2 s · process 4711 is alive", False),
        ({"status": "queued", "created": NOW - 41}, "waiting for 41 s", False),
        ({"status": "complete"}, "", False),
    ],
)  # fmt: skip
def test_a_sentence_says_whether_it_lives(changes, life, quiet):
    summary = said(replace(LOADING, **changes))
    assert (life, quiet) == (summary.life, summary.quiet)


def test_nothing_is_said_of_the_life_of_a_run_while_the_streamer_is_away():
    summary = said(LOADING, away_seconds=75.0)
    assert ("no connection to the streamer for 1 min 15 s", True, False) == (
        summary.life,
        summary.quiet,
        summary.live,
    )
    assert ("Last seen running", "wait", "63 %") == (summary.word, summary.tone, summary.headline)
    ended = said(over("complete", 4812, 0), away_seconds=75.0)
    assert ("Complete", "ok", "") == (ended.word, ended.tone, ended.life)


@given(histories, st.floats(-1e6, 1e6), st.none() | st.floats(-1, 2), st.integers(0, 3))
def test_a_summary_is_never_better_than_the_run(drawn, later, share, runs):
    state = fold(RunState(run="r1"), history(drawn))
    if share is not None:
        state = estimated(state, remaining=Duration(1.0, 2.0, 3.0), fraction=share, runs=runs)
    summary = summarise(state, 1000.0 + later)
    assert (summary.percent == 100) == (state.status == "complete")
    assert summary.percent is None or 0 <= summary.percent <= 100
    assert summary.percent == percent(state)
    assert 0 <= summary.fraction <= 1
    assert (summary.outcome is None) == (not state.is_over)
    assert summary.outcome == outcome(state)
    assert (summary.tone == "ok") == (state.status == "complete" and not state.results.failed)
    assert summary.elapsed is None or summary.elapsed >= 0
    assert all(phase.seconds is None or phase.seconds >= 0 for phase in summary.phases)
    assert not summary.phases or abs(sum(phase.share for phase in summary.phases) - 1) < 1e-9
    if summary.percent is not None and state.status != "complete":
        assert f"{summary.percent} %" in summary.headline


def grown(*events, status="running"):
    state = apply(RunState("r"), Entry(1, "r", 1, NOW - 9, StatusChanged(status="running", title="t")))
    for number, event in enumerate(events, 2):
        state = apply(state, Entry(number, "r", number, NOW - 9 + number / 10, event))
    return state


def test_a_percentage_that_more_work_contradicts_is_not_known_until_the_counts_caught_up():
    events = [Progressed(done=19, total=20, unit="it"), Progressed(done=20, total=60, unit="it")]
    summary = said(grown(*events))
    assert (None, 0.0, True, "20") == (summary.percent, summary.fraction, summary.moving, summary.number)
    assert summary.now.startswith("20 of 60 it, more work came up")
    assert 95 == said(grown(*events, Progressed(done=55, total=60, unit="it"))).percent
    assert 95.0 == grown(*events).overall_progress


def test_a_phase_whose_total_grew_shows_its_counts():
    started = PhaseChanged(phase="load", phase_status="started")
    events = Progressed(done=19, total=20, unit="it"), Progressed(done=20, total=60, unit="it")
    (phase,) = said(grown(started, *events)).phases
    assert (None, True, "20 of 60 it", 0.0) == (phase.percent, phase.moving, phase.counts, phase.fraction)


def test_a_phase_whose_total_is_lost_is_not_known():
    started = PhaseChanged(phase="load", phase_status="started")
    state = grown(started, Progressed(done=20, total=20, unit="it"), Progressed(done=25, unit="it"))
    assert (None, True) == (state.phases[0].progress, state.indeterminate)


def test_a_phase_that_joins_takes_its_share_of_the_percentage():
    first = [PhaseChanged(phase="a", phase_status=one) for one in ("started", "finished")]
    second = [
        PhaseChanged(phase="b", phase_status="started"),
        Progressed(phase="b", done=5, total=100, unit="it"),
    ]
    summary = said(grown(*first, *second))
    assert (None, "5 of 100 it, more work came up") == (summary.percent, summary.now.partition(" · ")[0])


def test_a_total_that_was_passed_is_not_known():
    summary = said(grown(Progressed(done=12, total=10, unit="it")))
    assert (None, "12 it") == (summary.percent, summary.counts)


def test_the_rest_of_a_loop_that_was_left_is_no_part_of_a_complete_run():
    assert "23 it" == said(grown(Progressed(done=23, total=29, unit="it"), Completed())).counts
