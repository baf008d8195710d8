"""Time limits: a warning as soon as the estimate allows it, a cancel at the limit with its own reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from streamer.model import time_limit
from streamer.model.events import Event, Logged, PhaseChanged, Progressed, RunCancelled
from streamer.model.state import RunState
from streamer.server.log.base import Draft
from tests.api_support import error_of, running
from tests.server.runs.test_runs import Bench
from tests.server.test_survival import TERMINAL, history, with_processes

PIPELINES = str(Path(__file__).with_name("pipelines.py"))


class Limited(Bench):
    """A run with a limit of 60 s, on a clock that the test moves: its work began at second 1."""

    async def begin(self) -> None:
        await self.open()
        self.run = (await self.runs.start("Count", {}, time_limit_seconds=60)).run
        self.spec, self.process = await self.worker(0)
        await self.until(self.run, "running")
        self.seq = 0
        self.seconds = 1.0
        await self.say(PhaseChanged(phase="count", phase_status="started"))

    async def say(self, event: Event) -> list[str]:
        self.seq += 1
        draft = Draft(event, 1000.0 + self.seconds)
        return (await self.runs.ingest(self.run, self.spec.token, [draft], self.seq))[1]

    async def at(self, seconds: float, done: int | None = None) -> None:
        """Let it be that late, with so much of 100 done."""
        self.seconds = seconds
        await self.say(Progressed(done=done, total=100) if done is not None else Logged(message="at work"))
        await self.runs.tick()

    def warnings(self) -> list[str]:
        return [e.message for e in self.events(self.run) if isinstance(e, Logged) and e.level == "WARNING"]


@pytest.fixture
async def limited(tmp_path):
    limited = Limited(tmp_path, cancel_grace_seconds=60)
    await limited.begin()
    yield limited
    await limited.close()


async def test_a_run_that_will_miss_its_limit_says_so_once_also_over_a_restart(limited):
    await limited.at(10.0, 5)
    assert [] == limited.warnings()
    await limited.at(11.5, 6)
    (message,) = limited.warnings()
    assert message.startswith(
        "the time limit of 1 min will not be met at this pace: the run would take about 2 min 56 s"
    )
    await limited.at(20.0, 10)
    await limited.close()
    await limited.open()
    await limited.at(22.0, 11)
    await limited.at(30.0, 15)
    assert 1 == len(limited.warnings())


@pytest.mark.parametrize(
    ("moments", "why"),
    [
        ([(20.0, 40), (30.0, 60), (40.0, 80)], "it will meet its limit"),
        ([(1.5, 2), (2.5, 2)], "it has hardly begun"),
        ([(20.0, 0), (40.0, 1)], "too little is done to tell"),
        ([(10.0, 5), (10.5, 60), (12.0, 61)], "a slow start is no slow run"),
        ([(20.0, None), (50.0, None)], "how much there is to do is not known"),
    ],
)
async def test_there_is_no_warning_when(limited, moments, why):
    for seconds, done in moments:
        await limited.at(seconds, done)
    assert [] == limited.warnings(), why


async def test_at_its_limit_a_run_is_cancelled_with_that_as_its_reason(limited):
    await limited.at(59.5, 90)
    assert "running" == await limited.status(limited.run)
    limited.seconds = 60.0
    await limited.runs.tick()
    await limited.until(limited.run, "cancelling")
    assert ["cancel"] == await limited.say(Logged(message="x"))
    await limited.say(RunCancelled(message="cancelled on request"))
    state = await limited.runs.state(limited.run)
    reason = "time limit of 60 s reached"
    assert (reason, reason, "cooperative") == (state.message, state.cancel.reason, state.cancel.how)


async def test_a_limit_that_was_reached_while_the_streamer_was_away_is_kept_when_it_is_back(limited):
    await limited.at(30.0, 50)
    await limited.close()
    limited.seconds = 100.0
    await limited.open()
    await limited.until(limited.run, "cancelling")
    assert "time limit of 60 s reached" == (await limited.runs.state(limited.run)).cancel.reason


async def test_waiting_in_the_queue_takes_nothing_of_the_limit(tmp_path):
    bench = Bench(tmp_path, max_runs=1)
    await bench.open()
    await bench.runs.start("Count", {})
    await bench.worker(0)
    waiting = (await bench.runs.start("Count", {}, time_limit_seconds=60)).run
    bench.seconds = 1000.0
    await bench.runs.tick()
    assert "queued" == await bench.status(waiting)
    assert time_limit.seconds_left(await bench.runs.state(waiting), 2000.0) is None
    await bench.close()


def test_what_is_left_is_counted_down_to_nothing():
    state = RunState(run="r1", status="running", started=1000.0, time_limit_seconds=60.0)
    assert [60.0, 1.0, 0.0] == [time_limit.seconds_left(state, now) for now in (1000.0, 1059.0, 1100.0)]
    assert time_limit.seconds_left(replace(state, time_limit_seconds=None), 1000.0) is None
    assert time_limit.seconds_left(replace(state, status="complete"), 1000.0) is None


async def test_a_start_may_set_another_limit_than_the_pipeline_or_none(tmp_path):
    async with running(tmp_path, pipelines=(PIPELINES,)) as api:
        given = []
        for query in ("", "?time_limit_seconds=90.5", "?time_limit_seconds=0"):
            answer = await api.http.post(f"/api/pipelines/Slow/runs{query}")
            given.append((await api.state(answer.json()["run"]))["timeLimitSeconds"])
        assert [3.0, 90.5, None] == given
        for wrong in ("-1", "x", "nan", "inf"):
            answer = await api.http.post(f"/api/pipelines/Slow/runs?time_limit_seconds={wrong}")
            assert "time_limit_seconds" in error_of(answer, 400, "invalid")["message"]


async def test_a_run_that_somebody_else_executes_is_asked_to_end_at_its_limit(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register(timeLimitSeconds=0.2)
        await producer.log("begun")
        state = await api.status(producer.run, "cancelling")
        assert "time limit of 0.2 s reached" == state["cancel"]["reason"]
        assert ["cancel"] == (await producer.send({"event": "cancelled"}))["requests"]
        assert "time limit of 0.2 s reached" == (await producer.state())["message"]


@pytest.mark.slow
async def test_a_real_run_is_warned_of_and_cancelled_at_its_pipeline_s_limit(tmp_path):
    async with with_processes(tmp_path, pipelines=(PIPELINES,)) as api:
        run = await api.start("Slow", n=100)
        state = await api.status(run, *TERMINAL)
        assert ("cancelled", "time limit of 3 s reached") == (state["status"], state["message"])
        events = await history(api, run)
        warned = [one for one in events if one.get("level") == "WARNING"]
        assert ["streamer"] == [one["logger"] for one in warned]
        assert ("time limit of 3 s reached", "cooperative") == (events[-1]["reason"], events[-1]["how"])
