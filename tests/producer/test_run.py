"""A run's phases, counts, items, end and errors become events, in order."""

from __future__ import annotations

import gc
import os
import pickle
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from streamer.model.events import (
    Completed,
    ErrorInfo,
    Event,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseChanged,
    Progressed,
    Results,
    RunCancelled,
    RunFailed,
    kind,
)
from streamer.model.pipeline import Reporter, SkipPhase
from streamer.producer.cancellation import Cancelled
from streamer.producer.error_text import describe_error
from streamer.producer.run import Run
from tests.producer.recorder import Recorder, Unprintable, fail
from tests.support import wait_until


def test_a_run_is_a_reporter(run: Run) -> None:
    reporter: Reporter = run
    assert reporter.log is run.log


# -- phases ------------------------------------------------------------------------------------------------------------


def test_a_phase_is_started_and_finished_with_its_weight(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        pass
    assert told.events == [
        PhaseChanged(phase="load", weight=7, phase_status="started"),
        PhaseChanged(phase="load", weight=7, phase_status="finished"),
    ]


def test_a_phase_that_was_not_declared_brings_its_weight(run: Run, told: Recorder) -> None:
    with run.phase("extra", 2):
        pass
    assert told.of(PhaseChanged)[0].weight == 2


def test_a_phase_that_is_skipped_says_why_and_the_run_goes_on(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        raise SkipPhase("nothing new")
    last = told.of(PhaseChanged)[-1]
    assert ("skipped", "nothing new") == (last.phase_status, last.message)


def test_a_phase_that_raises_has_failed_and_raises(run: Run, told: Recorder) -> None:
    with pytest.raises(ValueError, match="bad 1"), run.phase("load"):
        fail(1)
    last = told.of(PhaseChanged)[-1]
    assert ("failed", "ValueError: bad 1") == (last.phase_status, last.message)


def test_a_phases_last_count_comes_before_its_end(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        list(run.track("abc"))
    assert told.kinds() == ["phase", "progress", "phase"]
    assert [(3, 3, "load")] == [(e.done, e.total, e.phase) for e in told.of(Progressed)]


def test_each_phase_counts_from_nothing(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        list(run.track("abc"))
    with run.phase("save"):
        list(run.track("ab"))
    assert [("load", 3, 3), ("save", 2, 2)] == [(e.phase, e.done, e.total) for e in told.of(Progressed)]


def test_a_phase_inside_another_leads_back_to_it(run: Run, told: Recorder) -> None:
    with run.phase("load"), run.phase("save"):
        pass
    with run.phase("load"):
        with run.phase("save"):
            pass
        run.report_line("x")
    assert told.of(Logged)[0].phase == "load"


# -- counting ----------------------------------------------------------------------------------------------------------


def test_samples_tell_what_was_done_when_they_were_taken(run: Run, told: Recorder) -> None:
    for _ in run.track("abcd", unit="letters"):
        run.sample()
    run.sample()
    assert [(e.done, e.total, e.unit) for e in told.of(Progressed)] == [
        (n, 4, "letters") for n in (0, 1, 2, 3, 4)
    ]


def test_nothing_is_emitted_when_nothing_changed(run: Run, told: Recorder) -> None:
    assert run.sample() is False
    items = run.track("abcd")
    next(items)
    next(items)
    assert run.sample() is True
    assert run.sample() is False
    assert len(told.events) == 1


def test_the_same_is_said_again_as_a_sign_of_life(run: Run, told: Recorder) -> None:
    told.clock.advance(4.9)
    assert run.sample() is False
    told.clock.advance(0.2)
    assert run.sample() is True
    told.clock.advance(4.9)
    assert run.sample() is False
    told.clock.advance(0.2)
    assert run.sample() is True


def test_samples_become_rarer_in_a_long_run(run: Run, told: Recorder) -> None:
    now = told.clock()
    assert [0.1, 0.1, 0.5, 1.0, 1.0] == [run.interval(now + age) for age in (0, 60, 300, 600, 86_400)]
    assert run.interval(now - 3600) == 0.1


def test_a_million_small_loops_are_not_a_million_events(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        for _ in range(1000):
            list(run.track("ab"))
    assert [2000] == [e.done for e in told.of(Progressed)]


def test_the_end_of_a_loop_is_told_when_it_is_time(run: Run, told: Recorder) -> None:
    told.clock.advance(0.2)
    list(run.track("abc"))
    assert [3] == [e.done for e in told.of(Progressed)]


def test_the_last_of_one_unit_is_told_before_another_begins(run: Run, told: Recorder) -> None:
    list(run.track("abc", unit="rows"))
    list(run.track("abcd", unit="files"))
    run.sample()
    assert [(3, "rows"), (4, "files")] == [(e.done, e.unit) for e in told.of(Progressed)]


def test_a_loop_without_a_known_end_is_indeterminate(run: Run, told: Recorder) -> None:
    items = run.track(letter for letter in "abc")
    next(items)
    next(items)
    run.sample()
    assert [(1, None)] == [(e.done, e.total) for e in told.of(Progressed)]
    assert list(items) == ["c"]


def test_a_loop_that_is_left_does_not_look_complete(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        for item in run.track("abcd"):
            if item == "c":
                break
        gc.collect()
    assert [(2, 4)] == [(e.done, e.total) for e in told.of(Progressed)]


class Odd:
    """Some other people's number: whatever is asked of it fails."""

    def __float__(self) -> float:
        raise RuntimeError("no number")

    __str__ = __float__  # type: ignore[assignment]  # that fails, too


@pytest.mark.parametrize("total", [-1, float("nan"), float("inf"), "many", [3], 10**400, Odd()], ids=range(7))
def test_a_total_that_is_none_is_not_known_and_never_raises(
    total: Any, run: Run, told: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    assert ["a", "b", "c"] == list(run.track("abc", total=total))
    with run.counter(total) as counter:
        counter.advance(2)
        assert None is counter.total  # type: ignore[attr-defined]  # it may be read and set
        counter.total = total  # type: ignore[attr-defined]
    run.sample()
    assert 5 == told.of(Progressed)[-1].done
    assert [True] * 3 == ["it counts as not known" in message for message in caplog.messages]


def test_a_step_back_counts_nothing_and_is_a_warning_once(
    run: Run, told: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    with run.counter(10) as counter:
        for amount in (4, -1, float("nan"), "x", None, Odd(), 2):
            counter.advance(amount)  # type: ignore[arg-type]  # that is the question
    run.sample()
    assert (6, 10) == (told.of(Progressed)[-1].done, told.of(Progressed)[-1].total)
    assert [True] == ["it counts nothing" in message for message in caplog.messages]


def test_more_than_the_total_is_a_total_that_is_not_known(run: Run, told: Recorder) -> None:
    with run.counter(10) as counter:
        counter.advance(12)
        run.sample()
        assert (12, None) == (told.of(Progressed)[-1].done, told.of(Progressed)[-1].total)
    run.sample()
    assert (12, 12) == (told.of(Progressed)[-1].done, told.of(Progressed)[-1].total)


def test_the_main_threads_loop_has_no_python_frame_for_each_item(interrupted: Run) -> None:
    assert type(interrupted.track("abc")).__name__ == "compress"


def test_a_counter_counts_by_amounts(run: Run, told: Recorder) -> None:
    with run.counter(10, unit="bytes") as counter:
        counter.advance(4)
        run.sample()
        counter.advance(6)
    run.sample()
    assert [(4, 10, "bytes"), (10, 10, "bytes")] == [(e.done, e.total, e.unit) for e in told.of(Progressed)]


def test_a_counters_total_may_become_known_later(run: Run, told: Recorder) -> None:
    with run.counter() as counter:
        counter.advance(1)
        run.sample()
        cast("Any", counter).total = 2
        run.sample()
    assert [None, 2] == [e.total for e in told.of(Progressed)]


def test_a_message_is_sent_once_with_the_next_sample(run: Run, told: Recorder) -> None:
    run.message("opening")
    run.sample()
    run.sample()
    assert ["opening"] == [e.message for e in told.of(Progressed)]


# -- map ---------------------------------------------------------------------------------------------------------------


def test_map_returns_the_results_in_order_and_counts_them(run: Run, told: Recorder) -> None:
    assert run.map(str.upper, "abc") == ["A", "B", "C"]
    run.sample()
    assert [(3, 3, Results(3, 0))] == [(e.done, e.total, e.results) for e in told.of(Progressed)]


def test_collected_failures_stop_nothing(run: Run, told: Recorder) -> None:
    def check(n: int) -> int:
        return n if n % 2 else fail(n)  # type: ignore[func-returns-value]  # it raises

    with run.phase("load"):
        assert run.map(check, range(5), on_error="collect", label=lambda n: f"row {n}") == [1, 3]
    run.complete()
    failures = told.of(ItemFailed)
    assert [("row 0", "load"), ("row 2", "load"), ("row 4", "load")] == [(e.item, e.phase) for e in failures]
    assert ("ValueError", "bad 2") == (failures[1].error.type, failures[1].error.message)
    assert told.of(Completed)[0].results == FinalResults(2, 3)
    assert told.state().message == "complete, 3 of 5 failed"


def test_an_items_traceback_shows_the_users_code_and_not_ours(run: Run, told: Recorder) -> None:
    run.map(fail, [1], on_error="collect")
    trace = told.of(ItemFailed)[0].error.traceback
    assert "in fail" in trace
    assert "streamer" not in trace
    assert trace.endswith("ValueError: bad 1\n")


def test_a_failure_that_is_not_collected_is_told_and_raised(run: Run, told: Recorder) -> None:
    with pytest.raises(ValueError, match="bad a"):
        run.map(fail, "abc")
    assert ["a"] == [e.item for e in told.of(ItemFailed)]


def test_results_are_cumulative_over_the_run(run: Run, told: Recorder) -> None:
    for name in ("load", "save"):
        with run.phase(name):
            run.map(str, "ab")
    assert [2, 4] == [e.results.success for e in told.of(Progressed)]


def test_progress_may_count_by_size(run: Run, told: Recorder) -> None:
    run.map(str, [10, 20], size=float, total=30, unit="bytes")
    run.sample()
    assert [(30, 30, "bytes")] == [(e.done, e.total, e.unit) for e in told.of(Progressed)]


def test_sizes_without_a_total_are_indeterminate(run: Run, told: Recorder) -> None:
    seen = []
    run.map(lambda n: (run.sample(), seen.append(n)), [10, 20], size=float)
    assert told.of(Progressed)[-1].total is None


@pytest.mark.parametrize("odd", [fail, lambda n: float("nan"), lambda n: -5, lambda n: "x"])
def test_a_size_or_label_that_fails_hurts_nothing(odd: Any, run: Run, told: Recorder) -> None:
    assert run.map(str, [1, 2], size=odd) == ["1", "2"]
    run.map(fail, [1], on_error="collect", label=fail)  # type: ignore[arg-type]  # a label that fails
    assert ["<int>"] == [e.item for e in told.of(ItemFailed)]


def test_an_interruption_is_not_collected(run: Run) -> None:
    def cancel(n: int) -> None:
        run.request_cancel()
        run.checkpoint()

    with pytest.raises(Cancelled):
        run.map(cancel, [1, 2], on_error="collect")


def test_skipping_from_inside_an_item_skips_the_phase(run: Run, told: Recorder) -> None:
    def skip(n: int) -> None:
        raise SkipPhase("enough")

    with run.phase("load"):
        run.map(skip, [1, 2], on_error="collect")
    assert told.of(PhaseChanged)[-1].phase_status == "skipped"
    assert told.of(ItemFailed) == []


def test_map_refuses_another_word(run: Run) -> None:
    with pytest.raises(ValueError, match="on_error"):
        run.map(str, "abc", on_error="ignore")  # type: ignore[arg-type]  # that is what is tested


def test_threads_that_map_at_once_lose_no_count(run: Run, told: Recorder) -> None:
    threads = [threading.Thread(target=lambda: run.map(str, range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.sample()
    assert (2000, 2000, Results(2000, 0)) == (
        told.of(Progressed)[-1].done,
        told.of(Progressed)[-1].total,
        told.of(Progressed)[-1].results,
    )


# -- the end -----------------------------------------------------------------------------------------------------------


def test_there_is_one_terminal_event_and_nothing_after_it(run: Run, told: Recorder) -> None:
    assert run.complete({"rows": 3}) is True
    assert run.complete() is False
    assert run.fail(ValueError()) is False
    assert run.cancelled() is False
    run.report_line("late")
    run.sample()
    assert told.events == [Completed(result={"rows": 3})]


def test_the_last_count_comes_before_the_end(run: Run, told: Recorder) -> None:
    list(run.track("abc"))
    run.complete()
    assert told.kinds() == ["progress", "complete"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, Completed(result=7)),
        (SystemExit(), Completed(result=7)),
        (SystemExit(0), Completed(result=7)),
        (Cancelled(), RunCancelled(message="cancelled on request")),
        (KeyboardInterrupt(), RunCancelled(message="interrupted")),
        (GeneratorExit(), RunCancelled(message="the loop was left before its end")),
        (BaseExceptionGroup("g", [Cancelled()]), RunCancelled(message="cancelled on request")),
        (
            BaseExceptionGroup("g", [ValueError(), BaseExceptionGroup("h", [Cancelled()])]),
            RunCancelled(message="cancelled on request"),
        ),
        (BaseExceptionGroup("g", [KeyboardInterrupt()]), RunCancelled(message="interrupted")),
        (BaseExceptionGroup("g", [SystemExit(0)]), Completed(result=7)),
    ],
)
def test_a_run_ends_as_its_code_ended(
    error: BaseException | None, expected: Event, run: Run, told: Recorder
) -> None:
    run.conclude(error, 7)
    assert told.events == [expected]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(3), "exited with code 3"),
        (SystemExit("no licence"), "exited: no licence"),
        (ValueError("bad\nvery"), "ValueError: bad"),
        (MemoryError(), "MemoryError"),
        (ExceptionGroup("two", [ValueError("x")]), "ExceptionGroup: two (1 sub-exception): ValueError: x"),
    ],
)
def test_a_run_that_raised_has_failed(error: BaseException, message: str, run: Run, told: Recorder) -> None:
    run.conclude(error)
    (event,) = told.of(RunFailed)
    assert message == event.message
    assert type(error).__name__ == event.error.type


def test_as_a_context_manager_it_ends_as_its_body_ends(told: Recorder) -> None:
    with Run(told):
        pass
    with pytest.raises(ValueError, match="bad"), Run(told):
        fail(1)
    with pytest.raises(KeyboardInterrupt), Run(told):
        raise KeyboardInterrupt
    with Run(told) as run:
        run.complete("early")
    assert told.kinds() == ["complete", "failed", "cancelled", "complete"]
    assert not [t for t in threading.enumerate() if t.name.startswith("streamer-")]


def test_a_forked_child_emits_nothing() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as said, os.fdopen(theirs, "wb", buffering=0) as telling:
        run = Run(lambda event, time: telling.write(kind(event).encode()))
        child = os.fork()
        if not child:
            run.report_line("child")
            os._exit(0)
        os.waitpid(child, 0)
        run.complete()
        telling.close()
        assert b"complete" == said.read()


def test_in_another_process_it_reports_to_nobody(run: Run) -> None:
    copy = pickle.loads(pickle.dumps(run))
    assert list(copy.track("ab")) == ["a", "b"]
    assert copy.log.name == "test"


# -- errors ------------------------------------------------------------------------------------------------------------


def test_an_error_without_a_text_is_described() -> None:
    info = describe_error(Unprintable())
    assert info.type.endswith("recorder.Unprintable")
    assert "RuntimeError" in info.message


def test_causes_and_groups_are_shown() -> None:
    try:
        try:
            fail(1)
        except ValueError as error:
            raise ExceptionGroup("two", [KeyError("k"), OSError("o")]) from error
    except ExceptionGroup as error:
        trace = describe_error(error).traceback
    assert all(text in trace for text in ("bad 1", "KeyError", "OSError", "direct cause"))


def test_the_message_of_a_group_names_its_causes() -> None:
    inner = ExceptionGroup("inner", [ValueError("no date"), KeyError("k")])
    many = ExceptionGroup("unhandled", [inner, OSError("o"), *map(TypeError, "abcd")])
    assert (
        "unhandled (6 sub-exceptions): ValueError: no date; KeyError: 'k'; OSError: o; 4 more"
        == describe_error(many).message
    )


def test_a_deep_recursion_is_described() -> None:
    def down() -> None:
        down()

    with pytest.raises(RecursionError) as caught:
        down()
    assert "repeated" in describe_error(caught.value).traceback


# -- with a real sampler -----------------------------------------------------------------------------------------------


def test_the_sampler_reports_a_loop_while_it_runs(told: Recorder) -> None:
    with Run(told, sample_seconds=0.005) as run, run.phase("load"):
        for n in run.track(range(3)):
            wait_until(lambda n=n: [e for e in told.of(Progressed) if e.done == n])
    state = told.state()
    assert ("complete", 100, 3) == (state.status, state.progress, state.done)


def test_what_it_emits_folds_to_a_state_that_never_goes_back(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        for _ in run.track(range(4)):
            told.clock.advance(1)
            run.sample()
    with run.phase("save"):
        run.map(fail, range(3), on_error="collect")
        told.clock.advance(1)
    reached = [told.state().overall_progress]
    run.fail(ErrorInfo("E", "m"))
    state = told.state()
    assert reached == [99.99]
    assert ("failed", 3, 0) == (state.status, state.results.failed, state.results.success)


# -- workers -----------------------------------------------------------------------------------------------------------


def square(number: int) -> int:
    if number == 7:
        raise ValueError("seven")
    return number * number


@pytest.mark.slow
@pytest.mark.parametrize("processes", [False, True])
def test_workers_return_results_in_order_and_collect_failures(processes: bool) -> None:
    events: list[Event] = []
    with Run(lambda event, time: events.append(event)) as run:
        found = run.map(square, range(10), workers=3, processes=processes, on_error="collect")
    assert [n * n for n in range(10) if n != 7] == found
    assert [("7", "ValueError")] == [
        (event.item, event.error.type) for event in events if isinstance(event, ItemFailed)
    ]
    ended = events[-1]
    assert isinstance(ended, Completed)
    assert (9, 1) == (ended.results.success, ended.results.failed)


def test_workers_take_no_more_than_two_items_each_in_advance() -> None:
    taken = 0
    most: list[int] = []

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(60):
            taken += 1
            most.append(taken - len(run_done))
            yield number

    run_done: list[int] = []
    with Run(lambda event, time: None) as run:
        run.map(run_done.append, items(), workers=3)
    assert 60 == taken
    assert max(most) <= 7


def test_an_error_of_a_worker_is_raised_and_no_further_item_is_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        raise ValueError(str(number))

    with pytest.raises(ValueError, match="0"), Run(lambda event, time: None) as run:
        run.map(work, range(1000), workers=2)
    assert len(begun) <= 6


@pytest.mark.parametrize("arguments", [{"workers": -1}, {"processes": True}])
def test_workers_that_cannot_be_are_refused(arguments: dict[str, Any]) -> None:
    with Run(lambda event, time: None) as run, pytest.raises(ValueError, match="workers"):
        run.map(square, [1], **arguments)
