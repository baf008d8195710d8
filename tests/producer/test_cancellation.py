"""A cancelled run interrupts its code: each thread once, the main thread while it blocks, nobody after the end."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from streamer.model.events import (
    Event,
    Logged,
    StatusChanged,
)
from streamer.producer.cancellation import Cancelled, Interrupter
from streamer.producer.run import Run
from tests.producer.recorder import Recorder, messages
from tests.support import wait_until

# -- cancelling --------------------------------------------------------------------------------------------------------


def test_each_thread_is_told_once(run: Run) -> None:
    run.request_cancel()
    run.request_cancel()
    with pytest.raises(Cancelled):
        run.log.info("x")
    run.log.info("cleaning up")
    caught: list[BaseException] = []

    def work() -> None:
        try:
            run.map(str, "abc")
        except KeyboardInterrupt as error:
            caught.append(error)
        run.message("cleaning up")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [Cancelled] == [type(error) for error in caught]


def test_whoever_swallows_it_gets_no_further_phase(run: Run, told: Recorder) -> None:
    run.request_cancel()
    with contextlib.suppress(KeyboardInterrupt):
        run.checkpoint()
    with pytest.raises(Cancelled), run.phase("load"):
        pytest.fail("the phase's body ran")
    (heard,) = told.events
    assert ("cancelling", "acknowledged") == (heard.status, heard.step)


@pytest.mark.parametrize("report", ["track", "map", "counter", "message", "phase", "log"])
def test_whatever_reports_hears_of_it(report: str, run: Run) -> None:
    run.request_cancel()
    calls = {
        "track": lambda: list(run.track("ab")),
        "map": lambda: run.map(str, "ab"),
        "counter": lambda: run.counter().__enter__(),
        "message": lambda: run.message("x"),
        "phase": lambda: run.phase("load").__enter__(),
        "log": lambda: run.log.info("x"),
    }
    with pytest.raises(Cancelled):
        calls[report]()


def test_a_loop_of_another_thread_hears_of_it_between_items(run: Run) -> None:
    seen = []

    def loop() -> None:
        for item in run.track("abc"):
            seen.append(item)
            if item == "b":
                run.request_cancel()

    with pytest.raises(Cancelled):
        loop()
    assert seen == ["a", "b"]


def test_the_main_thread_is_interrupted_while_it_blocks(interrupted: Run) -> None:
    timer = threading.Timer(0.05, interrupted.request_cancel)
    timer.start()
    cleaned = threading.Event()

    def work() -> None:
        try:
            threading.Event().wait(30)
        finally:
            cleaned.set()

    with pytest.raises(Cancelled):
        work()
    timer.join()
    assert cleaned.is_set()


def test_a_loop_at_full_speed_is_interrupted(interrupted: Run) -> None:
    timer = threading.Timer(0.05, interrupted.request_cancel)
    timer.start()
    with pytest.raises(Cancelled):
        for _ in interrupted.track(range(10**12)):
            pass
    timer.join()


def test_reporting_is_never_interrupted_half_way(told: Recorder) -> None:
    with Interrupter() as interrupter:
        seen = []

        def emit(event: Event, time: float) -> None:
            run.request_cancel()
            threading.Event().wait(0.01)
            seen.append(event)

        run = Run(emit, interrupter=interrupter)
        with pytest.raises(Cancelled):
            run.report_line("x")
        assert [Logged, StatusChanged] == [type(event) for event in seen]
        assert run._lock.acquire(blocking=False)
        run._lock.release()


def test_a_request_that_met_a_finaliser_is_sent_again(told: Recorder) -> None:
    class Slow:
        def __del__(self) -> None:
            run.request_cancel()
            threading.Event().wait(0.05)

    def work() -> None:
        slow = Slow()
        del slow
        threading.Event().wait(30)

    with (
        Interrupter() as interrupter,
        pytest.raises(Cancelled),
        Run(told, sample_seconds=0.01, interrupter=interrupter) as run,
    ):
        work()


def test_ctrl_c_means_what_it_meant(interrupted: Run) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(signal.SIGINT)
    assert not isinstance(caught.value, Cancelled)


def test_ctrl_c_inside_reporting_comes_after_it(told: Recorder) -> None:
    with Interrupter() as interrupter:

        def emit(event: Event, time: float) -> None:
            signal.raise_signal(signal.SIGINT)
            told(event, time)

        run = Run(emit, interrupter=interrupter)
        with pytest.raises(KeyboardInterrupt):
            run.report_line("x")
    assert messages(told) == ["x"]


def test_after_the_end_nobody_is_interrupted(interrupted: Run) -> None:
    interrupted.complete()
    interrupted.request_cancel()
    threading.Event().wait(0.02)


def test_the_signal_is_given_back(told: Recorder) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupter():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_the_sampler_sends_a_signal_that_was_not_heard(told: Recorder) -> None:
    with Interrupter() as interrupter:
        run = Run(told, sample_seconds=0.01, interrupter=interrupter)
        sent = []
        interrupter.interrupt = lambda: sent.append(1)  # type: ignore[method-assign]  # a signal that is lost
        with run:
            run.request_cancel()
            wait_until(lambda: len(sent) >= 3)
