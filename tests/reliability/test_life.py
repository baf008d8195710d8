"""Life: a run that hangs is stalled in time and recovers, one that is gone has failed and says why."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from streamer.server.log.sqlite import SqliteLog
from tests.api_support import Api, running
from tests.server.test_survival import TERMINAL, history, pid_of, with_processes
from tests.support import wait_until_async

HOST = socket.gethostname()


async def known_process(api: Api, run: str) -> dict[str, Any]:
    """Return a run's state once it names its process."""

    async def named():
        state = await api.state(run)
        return state if state["process"] else None

    return await wait_until_async(named)


@pytest.mark.slow
async def test_a_worker_that_is_stopped_is_stalled_in_time_and_runs_again_when_it_goes_on(tmp_path):
    async with with_processes(tmp_path, stall_seconds=3.0) as api:
        run = await api.start("Waits", folder=str(tmp_path))
        pid = await pid_of(tmp_path)
        process = (await known_process(api, run))["process"]
        # What it does is asked only of a silent run, which on a slow machine it may have been already.
        assert (pid, HOST, True) == (process["pid"], process["host"], process["alive"])
        await api.status(run, "running")
        os.kill(pid, signal.SIGSTOP)
        state = await api.status(run, "stalled")
        stopped = {"pid": pid, "host": HOST, "alive": True, "doing": "stopped"}
        assert (stopped, stopped) == (state["process"], state["life"]["process"])
        assert state["life"]["silentSeconds"] >= 3.0
        assert f"process {pid} is stopped" in state["message"]
        os.kill(pid, signal.SIGCONT)
        state = await api.status(run, "running")
        assert "stopped" != state["process"]["doing"]
        (tmp_path / "go").touch()
        state = await api.status(run, "complete")
        assert state["longestGap"] >= 3.0
        statuses = [one["status"] for one in await history(api, run) if one["event"] == "status"]
        assert ["stalled", "running"] == statuses[-2:]


@pytest.mark.slow
async def test_a_stalled_worker_that_is_stopped_then_is_said_to_be(tmp_path):
    async with with_processes(tmp_path, stall_seconds=0.5) as api:
        run = await api.start("Hangs", folder=str(tmp_path))
        pid = await pid_of(tmp_path)
        assert f"process {pid} is alive" in (await api.status(run, "stalled"))["message"]
        for number, doing, word in (
            (signal.SIGSTOP, "stopped", "stopped"),
            (signal.SIGCONT, "sleeping", "alive"),
        ):
            os.kill(pid, number)

            async def told(doing: str = doing):
                state = await api.state(run)
                return state if state["process"]["doing"] == doing else None

            state = await wait_until_async(told)
            assert ("stalled", True) == (state["status"], f"process {pid} is {word}" in state["message"])


@pytest.mark.slow
async def test_a_stopped_worker_that_is_killed_has_failed_with_the_signal(tmp_path):
    async with with_processes(tmp_path, stall_seconds=1.0) as api:
        run = await api.start("Waits", folder=str(tmp_path))
        pid = await pid_of(tmp_path)
        os.kill(pid, signal.SIGSTOP)
        await api.status(run, "stalled")
        os.kill(pid, signal.SIGKILL)
        state = await api.status(run, *TERMINAL)
        assert ("failed", "killed by signal 9 (SIGKILL)") == (state["status"], state["message"])
        assert (None, None) == (state["life"], state["process"]["alive"])


@pytest.mark.slow
async def test_a_run_whose_machine_was_restarted_says_so(tmp_path):
    async with with_processes(tmp_path) as api:
        run = await api.start("Waits", folder=str(tmp_path))
        pid = await pid_of(tmp_path)
        await known_process(api, run)
    assert not psutil.pid_exists(pid)
    of_another_boot(tmp_path / "data" / "log.sqlite", run)
    async with with_processes(tmp_path) as api:
        state = await api.status(run, *TERMINAL)
        assert "the machine was restarted while it ran" == state["message"]
        assert "MachineRestarted" == state["error"]["type"]


async def test_a_process_id_of_another_boot_is_never_taken_for_the_worker(tmp_path):
    from streamer.server.execution.process import ProcessBackend
    from streamer.server.execution.process_table import started_at

    ours = os.getpid()
    started = started_at(ours)
    assert started is not None
    identity = {"run": "r1", "pid": ours, "started": started.replace(":", "0:"), "oomKills": 0}
    backend = ProcessBackend(tmp_path)
    assert backend.attach(identity) is None
    assert backend.examine(identity).restarted


def of_another_boot(path: Path, run: str) -> None:
    """Make the log say that a run's process was started in another life of the machine."""
    log = SqliteLog(path)
    record = log.run(run)
    assert record is not None
    note = msgspec.json.decode(record.note)
    _, ticks = note["identity"]["started"].split(":")
    note["identity"]["started"] = f"another-boot:{ticks}"
    log.annotate(run, msgspec.json.encode(note)).result(10)
    log.close()


@pytest.mark.slow
async def test_of_a_run_that_somebody_else_executes_the_last_sign_of_life_is_known_without_an_event(tmp_path):
    async with running(tmp_path, stall_seconds=0.3) as api:
        producer = await api.register(pid=4711, host="build-7")
        assert (await producer.state())["life"] is None
        await producer.post(b"")
        before = await api.status(producer.run, "running")
        assert {"pid": 4711, "host": "build-7", "alive": True, "doing": ""} == before["life"]["process"]
        state = await api.status(producer.run, "stalled")
        # Nobody can look at it: whether it lives is not known.
        assert (None, None) == (state["process"]["alive"], state["life"]["process"]["alive"])
        assert state["life"]["silentSeconds"] >= 0.3

        async def recovered():
            await producer.post(b"")
            state = await producer.state()
            return state if state["life"]["silentSeconds"] < 0.3 else None

        after = await wait_until_async(recovered)
        assert ("running", True) == (after["status"], after["process"]["alive"])
