"""What is said of runs under way, from logs with real entries and a clock of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from streamer.model.estimate import NOT_KNOWN_YET, Estimated
from streamer.model.events import (
    Completed,
    Event,
    FinalResults,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    RunFailed,
    StatusChanged,
)
from streamer.model.state import RunState
from streamer.server.estimates.following import Following
from streamer.server.estimates.live import LiveEstimates
from streamer.server.log.base import Draft
from streamer.server.log.sqlite import SqliteLog
from tests.support import FakeClock

BEGAN = 1_700_000_000.0


class Bench:
    """A log, and the estimates of its runs. Every run has one phase of 100 items."""

    def __init__(self, folder: Path, *, followed: bool = True) -> None:
        self.folder = folder
        self.clock = FakeClock(BEGAN)
        self.log = SqliteLog(folder / "log.sqlite", commit_seconds=0.0)
        self.told: list[tuple[str, Estimated]] = []
        self.followed = followed
        self.live: dict[str, None] = {}
        self.looks = 0
        self.estimates = self.new_estimates()

    def new_estimates(self) -> LiveEstimates:
        estimates = LiveEstimates(
            self.log, self.folder / "estimates.sqlite", states=self.states, clock=self.clock
        )
        estimates.is_followed = lambda run_id: self.followed
        estimates.tell = lambda run_id, estimate: self.told.append((run_id, estimate))
        return estimates

    def states(self) -> list[RunState]:
        found = [self.log.run(run_id) for run_id in self.live]
        return [record.state for record in found if record is not None]

    def append(self, run_id: str, *events: Event) -> RunState:
        appended = self.log.append(run_id, [Draft(event, self.clock()) for event in events]).result(10)
        if appended.state.is_over:
            self.live.pop(run_id, None)
            self.estimates.ended(appended.state)
        return appended.state

    def begin(self, run_id: str, pipeline: str | None = "Import", **more: object) -> None:
        first = StatusChanged(
            status="queued", pipeline=pipeline, phases=(PhaseSpec("load"),), **{"title": "Import", **more}
        )
        self.log.create(run_id, [Draft(first, self.clock())], note=b"{}").result(10)
        self.live[run_id] = None
        self.append(
            run_id, StatusChanged(status="running"), PhaseChanged(phase="load", phase_status="started")
        )

    async def work(self, run_id: str, items: int, *, seconds: float = 1.0, begin: int = 0) -> None:
        """Do items, so many seconds each, and look after each."""
        for done in range(begin + 1, begin + items + 1):
            self.clock.advance(seconds)
            self.append(run_id, Progressed(phase="load", done=done, total=100))
            await self.estimates.look()

    async def whole(
        self, run_id: str, *, seconds: float = 1.0, end: Event | None = None, **more: object
    ) -> None:
        self.begin(run_id, **more)
        for done in range(10, 101, 10):
            self.clock.advance(10 * seconds)
            self.append(run_id, Progressed(phase="load", done=done, total=100))
        self.append(run_id, end or Completed(results=FinalResults(100, 0)))
        await self.estimates.look()

    async def slow_at_the_end(self, runs: int) -> None:
        """Do whole runs. The second half of their items takes nine times as long as the first."""
        for number in range(runs):
            self.begin(f"r{number}")
            for done in range(10, 101, 10):
                self.clock.advance(10 if done <= 50 else 90)
                self.append(f"r{number}", Progressed(phase="load", done=done, total=100))
            self.append(f"r{number}", Completed())
            await self.estimates.look()

    async def restart(self) -> None:
        """Close the log and the estimates, and open them again."""
        await self.estimates.close()
        self.log.close()
        self.log = SqliteLog(self.folder / "log.sqlite", commit_seconds=0.0)
        self.estimates = self.new_estimates()
        await self.estimates.resume()

    async def close(self) -> None:
        await self.estimates.close()
        self.log.close()

    def said(self, run_id: str) -> Estimated:
        record = self.log.run(run_id)
        assert record is not None
        estimate = self.estimates.with_estimate(record.state).estimate
        assert estimate is not None
        return estimate


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[..., Bench]]:
    async with AsyncExitStack() as stack:

        def open_bench(**options: bool) -> Bench:
            bench = Bench(tmp_path, **options)
            stack.push_async_callback(bench.close)
            return bench

        yield open_bench


async def test_a_first_run_says_that_nothing_is_known_and_then_its_pace(opened: Callable[..., Bench]) -> None:
    bench = opened()
    bench.begin("r1")
    await bench.estimates.look()
    assert (None, NOT_KNOWN_YET, 0) == (
        bench.said("r1").remaining,
        bench.said("r1").basis,
        bench.said("r1").runs,
    )
    await bench.work("r1", 20)
    said = bench.said("r1")
    assert said.remaining is not None
    assert 79 == pytest.approx(said.remaining.p50, abs=3)
    assert ("the pace of this run", 0) == (said.basis, said.runs)


async def test_a_run_is_estimated_from_earlier_ones_and_those_who_follow_are_told(
    opened: Callable[..., Bench],
) -> None:
    bench = opened()
    for number in range(3):
        await bench.whole(f"r{number}")
    bench.begin("now")
    await bench.work("now", 50)
    said = bench.said("now")
    assert said.remaining is not None
    assert said.fraction is not None
    assert 50 == pytest.approx(said.remaining.p50, abs=4)
    assert said.remaining.p10 <= said.remaining.p50 <= said.remaining.p90
    assert 0.5 == pytest.approx(said.fraction, abs=0.03)
    assert ("3 earlier runs", 3) == (said.basis, said.runs)
    assert 100 == pytest.approx(said.weights["load"])
    assert [("now", said)] == bench.told[-1:]


async def test_the_progress_of_events_is_the_share_of_time_where_earlier_runs_tell(
    opened: Callable[..., Bench],
) -> None:
    bench = opened()
    await bench.slow_at_the_end(3)
    bench.begin("now")
    await bench.work("now", 40)
    state = bench.append("now", Progressed(phase="load", done=41, total=100))
    assert 41 == state.overall_progress
    assert 4 <= state.progress <= 15
    assert state.progress == int(100 * (bench.said("now").fraction or 0))
    bench.clock.advance(1)
    over = bench.append("now", RunFailed(message="no"))
    assert state.progress == over.progress


async def test_the_percentage_never_falls_when_the_streamer_is_restarted(
    opened: Callable[..., Bench],
) -> None:
    bench = opened()
    for number in range(3):
        await bench.whole(f"r{number}")
    bench.begin("now")
    await bench.work("now", 60)
    before = bench.said("now")
    await bench.estimates.close()
    bench.estimates = bench.new_estimates()
    # It is slower from now on, so that less of it is over than was thought.
    await bench.work("now", 2, seconds=60, begin=60)
    assert (bench.said("now").fraction or 0) >= (before.fraction or 1)
    state = bench.append("now", Progressed(phase="load", done=63, total=100))
    assert state.progress >= int(100 * (before.fraction or 1))
    assert len(await bench.estimates.said_of(state)) > 60


async def test_after_a_restart_the_percentage_goes_on_before_anything_is_computed(
    opened: Callable[..., Bench],
) -> None:
    bench = opened()
    await bench.slow_at_the_end(3)
    bench.begin("now")
    await bench.work("now", 40)
    before = bench.append("now", Progressed(phase="load", done=41, total=100)).progress
    await bench.restart()
    after = bench.append("now", Progressed(phase="load", done=42, total=100))
    assert (before, 42) == (after.progress, after.overall_progress)
    assert before < 20


async def test_after_a_restart_a_run_without_history_goes_on_by_its_weights(
    opened: Callable[..., Bench],
) -> None:
    bench = opened()
    bench.begin("now")
    await bench.work("now", 40)
    await bench.restart()
    assert 60 == bench.append("now", Progressed(phase="load", done=60, total=100)).progress


async def test_what_was_said_before_a_restart_stays_though_the_run_ends_before_the_first_look(
    opened: Callable[..., Bench],
) -> None:
    bench = opened()
    await bench.whole("r0")
    bench.begin("now")
    await bench.work("now", 60)
    await bench.restart()
    over = bench.append("now", Progressed(phase="load", done=100, total=100), Completed())
    await bench.estimates.look()
    assert 60 == len(await bench.estimates.said_of(over))
    assert (await bench.estimates.past_of([over]))["now"].end == "complete"


async def test_what_was_said_stays_though_the_run_ended_while_no_streamer_looked(
    opened: Callable[..., Bench],
) -> None:
    bench = opened()
    await bench.whole("r0")
    bench.begin("now")
    await bench.work("now", 60)
    over = bench.append("now", Progressed(phase="load", done=100, total=100), Completed())
    await bench.restart()
    assert 60 == len((await bench.estimates.past_of([over]))["now"].said)
    assert 60 == len(await bench.estimates.said_of(over))


async def test_without_its_history_a_run_has_its_own_pace_again(opened: Callable[..., Bench]) -> None:
    bench = opened()
    await bench.whole("r0")
    bench.begin("now")
    await bench.work("now", 20)
    assert 1 == bench.said("now").runs
    bench.begin("other", pipeline="Another")
    await bench.work("other", 20)
    assert 0 == bench.said("other").runs


async def test_failed_runs_and_retries_teach_a_whole_run_nothing(opened: Callable[..., Bench]) -> None:
    bench = opened()
    await bench.whole("r0", end=RunFailed(message="no"))
    await bench.whole("r1", retry_of="r0", seconds=0.1)
    bench.begin("now")
    await bench.work("now", 10)
    assert 0 == bench.said("now").runs
    bench.begin("again", retry_of="r0")
    await bench.work("again", 10, seconds=0.1)
    assert 1 == bench.said("again").runs


async def test_scripts_whose_titles_differ_in_numbers_have_one_history(opened: Callable[..., Bench]) -> None:
    bench = opened()
    await bench.whole("r0", pipeline=None, title="load 2026-11-01", program="load.py")
    await bench.whole("r1", pipeline=None, title="load 2026-11-02", program="other.py")
    bench.begin("now", pipeline=None, title="load 2026-11-03", program="load.py")
    await bench.work("now", 10)
    assert 1 == bench.said("now").runs


async def test_a_run_that_takes_longer_than_earlier_ones_says_so(opened: Callable[..., Bench]) -> None:
    bench = opened()
    for number in range(4):
        await bench.whole(f"r{number}")
    bench.begin("now")
    await bench.work("now", 60, seconds=2)
    assert "longer than 4 of 4 earlier runs" == bench.said("now").basis


async def test_a_run_that_nobody_follows_is_estimated_some_sixty_times(opened: Callable[..., Bench]) -> None:
    bench = opened(followed=False)
    await bench.whole("r0", seconds=10)
    bench.begin("now")
    await bench.work("now", 100, seconds=10)
    record = bench.log.run("now")
    assert record is not None
    said = await bench.estimates.said_of(record.state)
    assert 40 <= len(said) <= 80


async def test_what_was_said_of_a_long_run_is_thinned_evenly(opened: Callable[..., Bench]) -> None:
    bench = opened()
    await bench.whole("r0", seconds=10)
    bench.begin("now")
    for number in range(900):
        bench.clock.advance(1)
        await bench.estimates.look()
        if number == 350:
            assert 200 >= len(await bench.estimates.said_of(bench.states()[0]))
    bench.append("now", Progressed(phase="load", done=100, total=100), Completed())
    await bench.estimates.look()
    record = bench.log.run("now")
    assert record is not None
    said = await bench.estimates.said_of(record.state)
    assert 100 <= len(said) <= 200
    gaps = [later.time - one.time for one, later in pairwise(said)]
    assert max(gaps) <= 20


async def test_a_damaged_file_is_begun_again(
    opened: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    bench = opened()
    await bench.whole("r0")
    await bench.estimates.close()
    (bench.folder / "estimates.sqlite").write_bytes(b"no database" * 500)
    bench.estimates = bench.new_estimates()
    bench.begin("now")
    await bench.work("now", 10)
    assert "was damaged" in caplog.text
    # The log has the run, and what it teaches.
    assert 1 == bench.said("now").runs
    assert {"r0"} == (await bench.estimates.past_of([bench.log.run("r0").state])).keys()


async def test_a_removed_run_is_forgotten(opened: Callable[..., Bench]) -> None:
    bench = opened()
    await bench.whole("r0")
    state = bench.log.run("r0").state
    assert await bench.estimates.said_of(state) is not None
    bench.estimates.removed("r0")
    await bench.estimates.look()
    assert [] == await bench.estimates.said_of(state)


async def test_a_run_that_cannot_be_estimated_takes_nothing_from_the_others(
    opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = opened()
    bench.begin("bad")
    bench.begin("good")
    say = Following.say

    def broken(self: Following, now: float) -> Estimated | None:
        if self.timeline.run == "bad":
            raise ZeroDivisionError
        return say(self, now)

    monkeypatch.setattr(Following, "say", broken)
    await bench.work("good", 20)
    assert bench.said("good").remaining is not None
    assert 1 == caplog.text.count("no more estimates of run bad")
    bench.append("bad", Completed())
    await bench.estimates.look()
