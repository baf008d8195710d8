"""The life of runs, with a backend whose processes the test holds in its hand."""

from __future__ import annotations

import asyncio
import itertools
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace as changed
from typing import Any

import pytest

from streamer.model.events import Completed, Logged, PhaseSpec, RunCancelled, RunFailed, decode_event
from streamer.model.parameters.json_schema import ParametersRefused
from streamer.protocol.registration import Registration
from streamer.protocol.worker_spec import WorkerSpec
from streamer.server.catalog import Catalog
from streamer.server.execution.base import Exit
from streamer.server.fan_out.hub import Hub
from streamer.server.log.base import Draft, LogUnavailable, RunEnded, SequenceGap, UnknownRun
from streamer.server.log.sqlite import SqliteLog
from streamer.server.metrics import StreamCounts
from streamer.server.runs.producers import Forbidden
from streamer.server.runs.queue import QueueFull
from streamer.server.runs.runs import Runs
from streamer.server.runs.start import UnknownPipeline
from streamer.settings import Settings
from tests.support import wait_until_async


class Process:
    """A process that ends when the test says so."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.identity = {"pid": pid}
        self.asked: list[str] = []
        self.swept = False
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self.exit)

    def doing(self) -> str:
        return "sleeping"

    def sweep(self) -> None:
        self.swept = True

    def terminate(self) -> None:
        self.asked.append("terminate")

    def kill(self) -> None:
        self.asked.append("kill")
        self.end(Exit(signal=9))

    def end(self, how: Exit) -> None:
        if not self.exit.done():
            self.exit.set_result(how)


class Processes:
    """A backend of such processes; it outlives the `Runs` that use it, as real processes do."""

    def __init__(self) -> None:
        self.started: list[tuple[WorkerSpec, Process]] = []
        self.refuse: OSError | None = None

    async def start(self, spec: WorkerSpec) -> Process:
        if self.refuse is not None:
            raise self.refuse
        self.started.append((spec, Process(100 + len(self.started))))
        return self.started[-1][1]

    def attach(self, identity: dict[str, Any]) -> Process | None:
        return next((p for _, p in self.started if p.identity == identity and not p.exit.done()), None)

    def examine(self, identity: dict[str, Any]) -> Exit:
        return Exit(output_tail="its last words")

    async def close(self) -> None:
        pass


class Bench:
    """A streamer without HTTP: `open` and `close` it any number of times over the same log."""

    def __init__(self, folder, **settings: Any) -> None:
        self.settings = Settings(
            data=folder,
            **{"max_runs": 2, "cancel_grace_seconds": 0.02, "kill_grace_seconds": 0.02, "commit_seconds": 0.0}
            | settings,
        )
        self.backend = Processes()
        self.seconds = 0.0
        self.ids = itertools.count(1)

    async def open(self) -> None:
        self.log = SqliteLog(self.settings.data / "log.sqlite", commit_seconds=0.0)
        self.readers = ThreadPoolExecutor(2)
        self.runs = Runs(
            log=self.log,
            catalog=Catalog(()),
            backend=self.backend,
            settings=self.settings,
            readers=self.readers,
            clock=lambda: 1000.0 + self.seconds,
            monotonic=lambda: self.seconds,
            new_id=lambda: f"run{next(self.ids)}",
        )
        self.hub = Hub(
            self.log,
            self.settings,
            readers=self.readers,
            counts=StreamCounts(),
            on_appended=self.runs.on_appended,
        )
        await self.runs.open()

    async def close(self) -> None:
        await self.runs.close()
        self.hub.close()
        self.readers.shutdown()
        self.log.close()

    async def status(self, run_id: str) -> str:
        return (await self.runs.state(run_id)).status

    async def until(self, run_id: str, status: str) -> None:
        await wait_until_async(lambda: self._is(run_id, status), message=f"{run_id} is not {status}")

    async def _is(self, run_id: str, status: str) -> bool:
        return await self.status(run_id) == status

    async def worker(self, number: int) -> tuple[WorkerSpec, Process]:
        await wait_until_async(lambda: len(self.backend.started) > number)
        return self.backend.started[number]

    def events(self, run_id: str) -> list[Any]:
        found = self.log.read(0, limit=1000, run_id=run_id)
        return [decode_event(s.frame.split(b"\ndata: ", 1)[1].strip()) for s in found]


#: A run whose producer chose its id and token.
CHOSEN = Registration(title="t", run="abcdefghjk", token="t" * 20)


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    await bench.open()
    yield bench
    await bench.close()


def line(message: str = "x") -> list[Draft]:
    return [Draft(Logged(message=message), 1000.0)]


def done(result: Any = None) -> list[Draft]:
    return [Draft(Completed(result=result), 1001.0)]


@contextmanager
def locked(bench, milliseconds: int) -> Iterator[None]:
    """Let the log not be written: who tries waits for so long."""
    bench.log._db.execute(f"PRAGMA busy_timeout = {milliseconds}")
    other = sqlite3.connect(bench.settings.data / "log.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def test_a_run_is_queued_started_and_complete(bench):
    state = await bench.runs.start("Count", {"n": 3}, owner="ada")
    assert ("queued", "Count", 3, "ada") == (state.status, state.pipeline, state.parameters["n"], state.owner)
    spec, process = await bench.worker(0)
    await bench.until(state.run, "running")
    assert (1, []) == await bench.runs.ingest(state.run, spec.token, done({"rows": 3}), 1)
    process.end(Exit(code=0))
    await bench.until(state.run, "complete")
    assert {"rows": 3} == (await bench.runs.state(state.run)).result


async def test_what_param_refuses_is_refused_and_no_run_is_made(bench):
    with pytest.raises(ParametersRefused):
        await bench.runs.start("Count", {"n": -1})
    with pytest.raises(UnknownPipeline, match=r"on offer: .*Count"):
        await bench.runs.start("Nothing", {})
    assert {} == bench.log.counts()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Exit(signal=9), r"killed by signal 9 \(SIGKILL\)"),
        (Exit(code=0), "exited with code 0 without finishing"),
        (Exit(code=3, output_tail="Fatal Python error"), "exited with code 3"),
        (Exit(signal=9, out_of_memory=True), "out-of-memory"),
    ],
)
async def test_a_process_that_is_gone_is_one_failed_event_that_says_how(bench, how, said):
    state = await bench.runs.start("Count", {})
    _, process = await bench.worker(0)
    process.end(how)
    await bench.until(state.run, "failed")
    (failed,) = [e for e in bench.events(state.run) if isinstance(e, RunFailed)]
    assert failed.message == failed.error.message
    assert re.search(said, failed.message)
    assert how.output_tail == failed.error.traceback


async def test_a_process_that_cannot_be_started_is_a_failed_run(bench):
    bench.backend.refuse = OSError("no more processes")
    state = await bench.runs.start("Count", {})
    await bench.until(state.run, "failed")
    assert "no more processes" in (await bench.runs.state(state.run)).message


async def test_a_process_that_ends_after_its_terminal_event_adds_none(bench):
    state = await bench.runs.start("Count", {})
    spec, process = await bench.worker(0)
    await bench.runs.ingest(state.run, spec.token, done(), 1)
    process.end(Exit(signal=9))
    other = await bench.runs.start("Count", {})
    await bench.worker(1)
    assert 1 == sum(isinstance(e, Completed | RunFailed | RunCancelled) for e in bench.events(state.run))
    await bench.runs.cancel(other.run)


async def test_a_process_that_stays_after_its_end_is_ended(bench):
    state = await bench.runs.start("Count", {})
    spec, process = await bench.worker(0)
    await bench.runs.ingest(state.run, spec.token, done(), 1)
    await wait_until_async(lambda: process.asked == ["terminate", "kill"])


async def test_only_so_many_run_at_once_and_the_others_see_their_place(bench):
    states = [await bench.runs.start("Count", {}) for _ in range(5)]
    await bench.worker(1)
    ids = [s.run for s in states]
    await wait_until_async(lambda: _message(bench, ids[4], "2 runs are executing, 2 are ahead of this one"))
    assert "2 runs are executing, this one is next" == (await bench.runs.state(ids[2])).message
    assert 2 == len(bench.backend.started)
    bench.backend.started[0][1].end(Exit(code=1))
    await bench.worker(2)
    assert ids[2] == bench.backend.started[2][0].run_id
    await wait_until_async(lambda: _message(bench, ids[3], "2 runs are executing, this one is next"))


async def _message(bench: Bench, run_id: str, message: str) -> bool:
    return (await bench.runs.state(run_id)).message == message


async def test_a_full_queue_refuses_one_more(tmp_path):
    bench = Bench(tmp_path, max_queue=1, max_runs=1)
    await bench.open()
    await bench.runs.start("Count", {})
    await bench.worker(0)
    await bench.runs.start("Count", {})
    with pytest.raises(QueueFull):
        await bench.runs.start("Count", {})
    await bench.close()


async def test_starts_that_come_together_make_the_queue_no_longer_than_it_may_be(tmp_path):
    bench = Bench(tmp_path, max_queue=2, max_runs=1)
    await bench.open()
    starts = [bench.runs.start("Count", {}) for _ in range(9)]
    refused = [isinstance(one, QueueFull) for one in await asyncio.gather(*starts, return_exceptions=True)]
    assert (6, 2) == (sum(refused), bench.runs.queue_length())
    await bench.close()


@pytest.mark.parametrize("size", [256_001, 900_000])
async def test_parameters_that_no_event_could_hold_are_refused(bench, size):
    with pytest.raises(ParametersRefused, match="at most 256,000 bytes"):
        await bench.runs.start("AuditFolder", {"skip": ["x" * size]})
    assert {} == bench.log.counts()


# -- producers ---------------------------------------------------------------------------------------------------------


async def test_a_registered_run_is_running_with_its_first_sign_of_life(bench):
    state, token = await bench.runs.register(
        Registration(
            title="Fit", phases=(PhaseSpec("fit", 7),), owner="ada", host="build-7", program="fit.py"
        )
    )
    assert ("queued", "Fit", "build-7", "fit.py") == (state.status, state.title, state.host, state.program)
    assert (0, []) == await bench.runs.ingest(state.run, token, [], None)
    assert "running" == await bench.status(state.run)


async def test_a_run_that_is_registered_twice_at_once_is_one_that_is_looked_after(bench):
    both = [bench.runs.register(CHOSEN) for _ in range(2)]
    assert [1, 1] == [state.seq for state, _ in await asyncio.gather(*both)]
    await bench.runs.ingest("abcdefghjk", "t" * 20, line(), 1)
    assert "running" == await bench.status("abcdefghjk")
    assert "cancelling" == (await bench.runs.cancel("abcdefghjk")).status


async def test_a_run_that_was_not_stored_is_none_for_those_who_look(bench):
    with locked(bench, 200):
        register = asyncio.create_task(bench.runs.register(CHOSEN))
        await wait_until_async(lambda: "abcdefghjk" in bench.runs._live)
        assert [] == bench.runs.live_states()
        with pytest.raises(UnknownRun):
            await bench.runs.state("abcdefghjk")
        with pytest.raises(LogUnavailable):
            await register
    assert [] == bench.runs.live_states()


async def test_a_token_of_another_run_is_forbidden(bench):
    (one, _), (_, other) = [await bench.runs.register(Registration(title="t")) for _ in range(2)]
    for token in (other, "", "x"):
        with pytest.raises(Forbidden):
            await bench.runs.ingest(one.run, token, line(), 1)
    with pytest.raises(UnknownRun):
        await bench.runs.ingest("nobody", other, line(), 1)


async def test_a_gap_says_what_comes_next(bench):
    state, token = await bench.runs.register(Registration(title="t"))
    with pytest.raises(SequenceGap) as caught:
        await bench.runs.ingest(state.run, token, line(), 5)
    assert 1 == caught.value.expected


async def test_after_the_end_a_producer_is_told(bench):
    state, token = await bench.runs.register(Registration(title="t"))
    await bench.runs.ingest(state.run, token, done(), 1)
    with pytest.raises(RunEnded):
        await bench.runs.ingest(state.run, token, line(), 2)
    assert 1 == (await bench.runs.ingest(state.run, token, done(), 1))[0]


# -- liveness ----------------------------------------------------------------------------------------------------------


async def test_a_silent_run_is_stalled_and_running_again_with_the_next_sign(bench):
    state, token = await bench.runs.register(Registration(title="t"))
    await bench.runs.ingest(state.run, token, [], None)
    bench.seconds += bench.settings.stall_seconds + 1
    await bench.runs.tick()
    assert ("stalled", "no sign of life for 16 s") == (
        await bench.status(state.run),
        (await bench.runs.state(state.run)).message,
    )
    await bench.runs.tick()
    await bench.runs.ingest(state.run, token, line(), 1)
    assert "running" == await bench.status(state.run)
    assert ["queued", "running", "stalled", "running"] == [
        e.status for e in bench.events(state.run) if not isinstance(e, Logged)
    ]


async def test_nobody_is_lost_for_the_time_in_which_the_streamer_itself_was_stopped(bench):
    state, token = await bench.runs.register(Registration(title="t"))
    await bench.runs.ingest(state.run, token, line(), 1)
    bench.seconds += bench.settings.lost_seconds + 1
    bench.runs._liveness.begin_silences_again()
    await bench.runs.tick()
    assert "running" == await bench.status(state.run)
    bench.seconds += bench.settings.lost_seconds + 1
    await bench.runs.tick()
    assert "failed" == await bench.status(state.run)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_registered_run_of_which_nothing_is_heard_is_lost(bench, begun):
    state, token = await bench.runs.register(Registration(title="t"))
    if begun:
        await bench.runs.ingest(state.run, token, line(), 1)
    bench.seconds += bench.settings.lost_seconds + 1
    await bench.runs.tick()
    assert "failed" == await bench.status(state.run)
    assert "lost: no sign of life" in (await bench.runs.state(state.run)).message


# -- cancelling --------------------------------------------------------------------------------------------------------


async def test_a_queued_run_is_cancelled_without_being_started(bench):
    states = [await bench.runs.start("Count", {}) for _ in range(3)]
    await bench.worker(1)
    assert "cancelled" == (await bench.runs.cancel(states[2].run, by="ada")).status
    assert "cancelled by ada before it was started" == (await bench.runs.state(states[2].run)).message
    assert 2 == len(bench.backend.started)


async def test_a_cooperative_cancel_is_asked_of_the_producer(tmp_path):
    bench = Bench(tmp_path, cancel_grace_seconds=60)
    await bench.open()
    state = await bench.runs.start("Count", {})
    spec, process = await bench.worker(0)
    assert (0, []) == await bench.runs.ingest(state.run, spec.token, [], None)
    assert "cancelling" == (await bench.runs.cancel(state.run, by="ada")).status
    assert "cancelling" == (await bench.runs.cancel(state.run)).status
    assert (0, ["cancel"]) == await bench.runs.ingest(state.run, spec.token, [], None)
    await bench.runs.ingest(state.run, spec.token, [Draft(RunCancelled(message="by user code"), 1.0)], 1)
    process.end(Exit(code=0))
    await bench.until(state.run, "cancelled")
    assert [] == process.asked
    await bench.close()


async def test_a_run_that_ignores_its_cancel_is_terminated_then_killed(bench):
    state = await bench.runs.start("Count", {})
    _, process = await bench.worker(0)
    await bench.until(state.run, "running")
    await bench.runs.cancel(state.run, by="ada")
    await bench.until(state.run, "cancelled")
    assert ["terminate", "kill"] == process.asked
    message = (await bench.runs.state(state.run)).message
    assert "cancelled by ada, terminated after 0.02 s, killed after 0.02 s" == message


async def test_those_who_cancel_at_once_are_told_the_same(bench):
    running, queued = [await bench.runs.start("Count", {}) for _ in range(3)][1:]
    await bench.worker(1)
    await bench.until(running.run, "running")
    asked = await asyncio.gather(*(bench.runs.cancel(running.run, by=by) for by in ("ada", "bob")))
    assert ["cancelling", "cancelling"] == [state.status for state in asked]
    both = (bench.runs.cancel(queued.run) for _ in range(2))
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert ("cancelled", RunEnded) == (first.status, type(second))


async def test_a_cancel_that_could_not_be_stored_can_be_asked_again_and_is_enforced(bench):
    state = await bench.runs.start("Count", {})
    _, process = await bench.worker(0)
    await bench.until(state.run, "running")
    with locked(bench, 1), pytest.raises(LogUnavailable):
        await bench.runs.cancel(state.run, by="ada")
    assert "cancelling" == (await bench.runs.cancel(state.run, by="bob")).status
    await bench.until(state.run, "cancelled")
    assert ["terminate", "kill"] == process.asked
    assert (await bench.runs.state(state.run)).message.startswith("cancelled by bob, ")


async def one_ends_and_one_waits(tmp_path):
    """Return a bench with room for one run, the process of one whose last event is stored, and one in the queue."""
    bench = Bench(tmp_path, max_runs=1)
    await bench.open()
    first, second = [await bench.runs.start("Count", {}) for _ in range(2)]
    spec, process = await bench.worker(0)
    await bench.runs.ingest(first.run, spec.token, done(), 1)
    return bench, process, second


async def test_a_queued_run_whose_cancel_could_not_be_stored_is_started_in_its_turn(tmp_path):
    bench, process, _ = await one_ends_and_one_waits(tmp_path)
    with locked(bench, 200):
        cancel = asyncio.create_task(bench.runs.cancel("run2"))
        await wait_until_async(lambda: not bench.runs.queue_length())
        process.end(Exit(code=0))
        with pytest.raises(LogUnavailable):
            await cancel
    assert "run2" == (await bench.worker(1))[0].run_id
    await bench.close()


async def test_a_run_whose_begin_could_not_be_stored_begins_when_it_can_be(tmp_path):
    bench, process, second = await one_ends_and_one_waits(tmp_path)
    await wait_until_async(
        lambda: bench.events(second.run)[-1].message == "1 run is executing, this one is next"
    )
    # Its note can be stored, and its first event can not.
    bench.log._db.execute(
        "CREATE TRIGGER no BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    process.end(Exit(code=0))
    await wait_until_async(lambda: bench.log.trouble() is not None)
    bench.log._db.execute("DROP TRIGGER no")
    assert second.run == (await bench.worker(1))[0].run_id
    await bench.until(second.run, "running")
    await bench.close()


async def test_a_run_that_is_over_cannot_be_cancelled(bench):
    state, token = await bench.runs.register(Registration(title="t"))
    await bench.runs.ingest(state.run, token, done(), 1)
    with pytest.raises(RunEnded):
        await bench.runs.cancel(state.run)
    with pytest.raises(UnknownRun):
        await bench.runs.cancel("nobody")


# -- a streamer that comes back ----------------------------------------------------------------------------------------


async def test_a_restart_finds_running_queued_and_registered_runs_again(tmp_path):
    bench = Bench(tmp_path, max_runs=1)
    await bench.open()
    running = (await bench.runs.start("Count", {})).run
    spec, process = await bench.worker(0)
    await bench.until(running, "running")
    queued = (await bench.runs.start("Count", {})).run
    external, token = await bench.runs.register(Registration(title="t"))
    await bench.runs.ingest(external.run, token, line("one"), 1)
    await bench.close()

    await bench.open()
    assert 1 == (await bench.runs.ingest(running, spec.token, line("a"), 1))[0]
    assert 2 == (await bench.runs.ingest(external.run, token, [*line("one"), *line("two")], 1))[0]
    await bench.runs.ingest(running, spec.token, done(), 2)
    process.end(Exit(code=0))
    spec, process = await bench.worker(1)
    assert queued == spec.run_id
    await bench.runs.ingest(queued, spec.token, done(), 1)
    process.end(Exit(code=0))
    await bench.until(queued, "complete")
    assert ["complete", "complete", "running"] == [
        await bench.status(r) for r in (running, queued, external.run)
    ]
    await bench.close()


async def test_a_process_that_ended_while_the_streamer_was_away_is_failed(tmp_path):
    bench = Bench(tmp_path)
    await bench.open()
    state = await bench.runs.start("Count", {})
    _, process = await bench.worker(0)
    await wait_until_async(lambda: b'"pid":100' in bench.log.run(state.run).note)
    await bench.close()
    process.end(Exit(signal=9))
    await bench.open()
    await bench.until(state.run, "failed")
    failed = await bench.runs.state(state.run)
    assert ("its process ended while the streamer was away", "its last words") == (
        failed.message,
        failed.error.traceback,
    )
    await bench.close()


async def test_a_cancel_goes_on_after_a_restart(tmp_path):
    bench = Bench(tmp_path, cancel_grace_seconds=60)
    await bench.open()
    state = await bench.runs.start("Count", {})
    _, process = await bench.worker(0)
    await wait_until_async(lambda: b'"pid":100' in bench.log.run(state.run).note)
    await bench.runs.cancel(state.run)
    await bench.close()
    bench.settings = changed(bench.settings, cancel_grace_seconds=0.01)
    await bench.open()
    await bench.until(state.run, "cancelled")
    assert "terminate" == process.asked[0]
    await bench.close()
