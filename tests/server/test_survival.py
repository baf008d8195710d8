"""Survival, with real processes: whatever is killed, a run has one end, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from streamer.protocol import sse
from streamer.server.app import Streamer
from streamer.server.execution.process_table import RUN_VARIABLE
from streamer.settings import Settings
from tests.api_support import PATIENCE, PIPELINES, STREAM, Api, data_of
from tests.pipeline_files import source, write
from tests.support import NO_CERTIFICATES, ROOT, ServerProcess, end_processes, wait_until, wait_until_async

pytestmark = pytest.mark.slow

TERMINAL = {"complete", "failed", "cancelled"}


@contextlib.asynccontextmanager
async def with_processes(folder: Path, **settings: Any) -> AsyncIterator[Api]:
    """A streamer in this process whose runs have real ones; those that are left are ended."""
    given = {"data": folder / "data", "port": 0, "pipelines": (PIPELINES,), **settings}
    before = set(psutil.Process().children(recursive=True))
    streamer = Streamer(Settings(**given))
    await streamer.open()
    try:
        async with httpx.AsyncClient(base_url=streamer.url, timeout=PATIENCE, verify=NO_CERTIFICATES) as http:
            yield Api(streamer, http, None)  # type: ignore[arg-type]  # its processes are real
    finally:
        await streamer.close()
        end_processes(set(psutil.Process().children(recursive=True)) - before)


@pytest.fixture
async def api(tmp_path):
    async with with_processes(tmp_path, cancel_grace_seconds=0.3, kill_grace_seconds=0.3) as api:
        yield api


async def pid_of(folder: Path) -> int:
    """Return the process id that a pipeline wrote into a folder, once it has."""
    return int(await wait_until_async((folder / "pid").read_text, ignore=(FileNotFoundError,)))


async def history(api: Api, run: str) -> list[dict[str, Any]]:
    """Return all events of a run that is over."""
    async with api.stream(f"/api/runs/{run}/events?from=start") as stream:
        return [data_of(frame) for frame in await stream.rest()]


def ends(events: list[dict[str, Any]]) -> list[str]:
    return [one["event"] for one in events if one["event"] in TERMINAL]


# -- an exit in the middle --------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_an_exit_with_code_0_in_the_middle_has_one_answer(tmp_path):
    before = """
        import sys
        class Exits(Pipeline):
            @phase(weight=1)
            def first(self): ...
            @phase(weight=5)
            def second(self):
                for n in self.track(range(10)):
                    if n == 4:
                        sys.exit(0)
            @phase(weight=4)
            def third(self):
                raise AssertionError("not reached")
    """
    path = write(tmp_path / "jobs.py", "Fine", before=before)
    async with with_processes(tmp_path, pipelines=(path,)) as api:
        run = await api.start("Exits")
        state = await api.status(run, *TERMINAL)
        assert ("complete", "complete", 100) == (state["status"], state["outcome"], state["progress"])
        assert [("first", "finished"), ("second", "finished"), ("third", "skipped")] == [
            (one["name"], one["status"]) for one in state["phases"]
        ]
        assert "exited with code 0" == state["phases"][1]["message"]
        assert state["error"] is None
        messages = [one.get("message") for one in await history(api, run)]
        assert "the pipeline exited in phase second with code 0; skipped: third" in messages


@pytest.mark.slow
async def test_a_file_that_exits_in_the_worker_alone_has_failed(tmp_path):
    path = tmp_path / "jobs.py"
    text = 'import os, sys\nif "STREAMER_RUN" in os.environ: sys.exit(0)\n'
    path.write_text(text.replace("STREAMER_RUN", RUN_VARIABLE) + source("Fine"))
    async with with_processes(tmp_path, pipelines=(str(path),)) as api:
        state = await api.status(await api.start("Fine"), *TERMINAL)
        assert "failed" == state["status"]
        assert "exited while it was imported" in state["message"]


# -- what can happen to a run's process --------------------------------------------------------------------------------


async def test_a_run_goes_through_its_phases_to_its_result(api):
    async with api.stream("/api/pipelines/Plain/runs", "POST", json={"n": 3}, headers=STREAM) as stream:
        events = [data_of(frame) for frame in await stream.rest()]
    assert list(range(1, len(events) + 1)) == [one["seq"] for one in events]
    assert ["complete"] == ends(events)
    assert ("complete", 100, {"n": 3}) == tuple(events[-1][key] for key in ("status", "progress", "result"))
    phases = [(one["phase"], one["phaseStatus"]) for one in events if one["event"] == "phase"]
    assert [
        ("first", "started"),
        ("first", "finished"),
        ("second", "started"),
        ("second", "finished"),
    ] == phases
    progress = [one["overallProgress"] for one in events if "overallProgress" in one]
    assert sorted(progress) == progress


async def test_kill_9_of_a_run_s_process_is_one_failed_event_within_two_seconds(api, tmp_path):
    run = await api.start("Waits", folder=str(tmp_path))
    async with api.stream(f"/api/runs/{run}/events") as stream:
        os.kill(await pid_of(tmp_path), signal.SIGKILL)
        async with asyncio.timeout(2.0):
            frames = await stream.rest()
    assert "failed" == frames[-1].event
    assert "killed by signal 9 (SIGKILL)" == data_of(frames[-1])["message"]
    assert ["failed"] == ends(await history(api, run))


@pytest.mark.parametrize(
    ("how", "message", "kind", "trace"),
    [
        ("raise", "it went <b>wrong</b>", "ValueError", "raise ValueError"),
        ("exit0", "exited with code 0 without finishing", "ProcessDied", ""),
        ("exit3", "exited with code 3 without finishing", "ProcessDied", ""),
        ("sysexit", "5", "SystemExit", "raise SystemExit"),
        ("segfault", "killed by signal 11 (SIGSEGV)", "ProcessDied", "Segmentation fault"),
        ("abort", "killed by signal 6 (SIGABRT)", "ProcessDied", "Aborted"),
    ],
)
async def test_however_user_code_ends_its_process_the_run_has_failed_and_says_how(
    api, how, message, kind, trace
):
    run = await api.start("Ends", how=how)
    state = await api.status(run, *TERMINAL)
    assert "failed" == state["status"]
    assert message in state["message"]
    assert kind == state["error"]["type"]
    assert trace in state["error"]["traceback"]
    events = await history(api, run)
    assert ["failed"] == ends(events)
    assert list(range(1, len(events) + 1)) == [one["seq"] for one in events]
    assert "error" == events[-1]["status"]


async def test_a_run_that_fails_takes_no_other_with_it(api):
    others = [await api.start("Plain") for _ in range(2)]
    await api.status(await api.start("Ends", how="segfault"), "failed")
    for other in others:
        assert "complete" == (await api.status(other, *TERMINAL))["status"]


async def test_a_message_of_ten_million_characters_is_cut_with_a_note_and_markup_is_text(api):
    run = await api.start("Loud")
    await api.status(run, "complete")
    lines = (await api.http.get(f"/api/runs/{run}/log")).json()["lines"]
    long, markup = [one["message"] for one in lines]
    assert len(long) <= 8_000
    assert "10,000,000 characters in all" in long
    assert "<img src=x onerror=alert(1)>" == markup


# -- cancelling --------------------------------------------------------------------------------------------------------


async def test_a_cancel_ends_a_running_run_cooperatively(api, tmp_path):
    run = await api.start("Waits", folder=str(tmp_path))
    pid = await pid_of(tmp_path)
    await api.http.post(f"/api/runs/{run}/cancel", json={"by": "ada"})
    await api.status(run, "cancelled")
    events = await history(api, run)
    assert ["cancelled"] == ends(events)
    assert "cancelling" in [one.get("status") for one in events]
    await api.until(lambda: not psutil.pid_exists(pid))


async def test_a_run_that_ignores_a_cancel_and_sigterm_is_killed_and_says_so(api, tmp_path):
    run = await api.start("Ignores", folder=str(tmp_path))
    pid = await pid_of(tmp_path)
    await api.http.post(f"/api/runs/{run}/cancel", json={"by": "ada"})
    state = await api.status(run, "cancelled", "failed")
    assert "cancelled by ada, terminated after 0.3 s, killed after 0.3 s" == state["message"]
    assert ["cancelled"] == ends(await history(api, run))
    assert not psutil.pid_exists(pid)


# -- what can happen to the streamer -----------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    environment = {
        "STREAMER_PIPELINES": PIPELINES,
        "STREAMER_MAX_RUNS": "1",
        "STREAMER_CANCEL_GRACE_SECONDS": "0.3",
    }
    with ServerProcess.streamer(tmp_path, environment=environment) as server:
        yield server


def start(server: ServerProcess, pipeline: str, **parameters: Any) -> str:
    answer = httpx.post(f"{server.url}/api/pipelines/{pipeline}/runs", json=parameters, timeout=60)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["run"])


def state_of(server: ServerProcess, run: str) -> dict[str, Any]:
    state: dict[str, Any] = httpx.get(f"{server.url}/api/runs/{run}", timeout=60).json()
    return state


def until_status(server: ServerProcess, run: str, *wanted: str) -> dict[str, Any]:
    """Return a run's state once its status is one of those."""

    def reached() -> dict[str, Any] | None:
        state = state_of(server, run)
        return state if state["status"] in wanted else None

    return wait_until(reached, timeout=30, message=server.output)


def events_of(server: ServerProcess, run: str, cursor: str | None = None) -> list[sse.Frame]:
    """Return the frames of a stream up to its end, or up to the death of the streamer."""
    decoder = sse.Decoder()
    frames: list[sse.Frame] = []
    headers = {} if cursor is None else {"Last-Event-ID": cursor}
    url = f"{server.url}/api/runs/{run}/events?from=start"
    with (
        contextlib.suppress(httpx.TransportError),
        httpx.stream("GET", url, headers=headers, timeout=30) as response,
    ):
        for chunk in response.iter_raw():
            frames += decoder.feed(chunk)
    return frames


def wait_for_lines(server: ServerProcess, run: str, number: int) -> None:
    def enough() -> bool:
        return sum(state_of(server, run)["logCounts"].values()) >= number

    wait_until(enough, timeout=30)


def test_kill_9_of_the_streamer_in_the_middle_of_a_run_loses_and_doubles_nothing(server):
    run = start(server, "Steady", n=400, pause=0.005)
    for lines in (20, 150):
        wait_for_lines(server, run, lines)
        server.kill()
        server.restart()
    until_status(server, run, *TERMINAL)
    events = [data_of(frame) for frame in events_of(server, run)]
    assert list(range(1, len(events) + 1)) == [one["seq"] for one in events]
    assert ["complete"] == ends(events)
    lines = [one["message"] for one in events if one["event"] == "log"]
    assert [f"line {number}" for number in range(1, 401)] == lines
    assert 400 == events[-1]["result"]


def test_a_reader_resumes_over_a_kill_9_of_the_streamer_and_sees_every_entry_once(server, tmp_path):
    run = start(server, "Waits", folder=str(tmp_path), n=50)
    wait_for_lines(server, run, 50)
    seen = []

    def read() -> None:
        seen.extend(events_of(server, run, seen[-1].id if seen else None))

    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(ThreadPoolExecutor(1)).submit(read)
        wait_until(
            lambda: b"streamer_subscribers 1.0" in httpx.get(f"{server.url}/metrics", timeout=60).content
        )
        server.kill()
        reader.result(30)
    server.restart()
    (tmp_path / "go").touch()
    until_status(server, run, "complete")
    read()
    data = [data_of(frame) for frame in seen]
    assert list(range(1, len(data) + 1)) == [one["seq"] for one in data]
    assert ["complete"] == ends(data)
    headers = {"Last-Event-ID": seen[-1].id}
    assert 204 == httpx.get(f"{server.url}/api/runs/{run}/events", headers=headers, timeout=60).status_code


def test_runs_that_wait_are_still_waiting_after_a_kill_9_and_are_started_in_their_turn(server, tmp_path):
    first = start(server, "Waits", folder=str(tmp_path))
    waiting = [start(server, "Plain", n=n) for n in (1, 2)]
    wait_until((tmp_path / "pid").exists)
    server.kill()
    server.restart()
    assert ["queued", "queued"] == [state_of(server, run)["status"] for run in waiting]
    (tmp_path / "go").touch()
    assert "went on" == until_status(server, first, "complete")["result"]
    results = [until_status(server, run, "complete")["result"] for run in waiting]
    assert [{"n": 1}, {"n": 2}] == results


def test_a_run_that_was_killed_while_the_streamer_was_away_has_failed_once(server, tmp_path):
    run = start(server, "Waits", folder=str(tmp_path))
    pid = int(wait_until((tmp_path / "pid").read_text, ignore=(FileNotFoundError,)))
    server.kill()
    os.kill(pid, signal.SIGKILL)
    server.restart()
    state = until_status(server, run, *TERMINAL)
    assert ("failed", "its process ended while the streamer was away") == (state["status"], state["message"])
    assert ["failed"] == ends([data_of(frame) for frame in events_of(server, run)])


def test_a_run_that_finished_while_the_streamer_was_away_is_complete(server, tmp_path):
    run = start(server, "Waits", folder=str(tmp_path))
    wait_until((tmp_path / "pid").exists)
    server.kill()
    (tmp_path / "go").touch()
    server.restart()
    assert "went on" == until_status(server, run, *TERMINAL)["result"]


def test_a_cancel_reaches_a_run_that_an_earlier_streamer_started(server, tmp_path):
    run = start(server, "Waits", folder=str(tmp_path))
    wait_until((tmp_path / "pid").exists)
    server.kill()
    server.restart()
    assert 202 == httpx.post(f"{server.url}/api/runs/{run}/cancel", json={}, timeout=60).status_code
    assert "cancelled" == until_status(server, run, *TERMINAL)["status"]
    wait_until(lambda: not server.processes())


def test_sigterm_ends_streams_and_streamer_cleanly_and_runs_go_on(server, tmp_path):
    run = start(server, "Waits", folder=str(tmp_path))
    wait_until((tmp_path / "pid").exists)
    with httpx.stream("GET", f"{server.url}/api/runs/{run}/events", timeout=30) as response:
        chunks = response.iter_raw()
        next(chunks)
        assert 0 == server.stop(signal.SIGTERM, timeout=30)
        assert [] == [chunk for chunk in chunks if b"event: " in chunk and b"event: status" not in chunk]
    assert not (server.data / "streamer.json").exists()
    assert [int((tmp_path / "pid").read_text())] == [one.pid for one in server.processes()]
    server.restart()
    (tmp_path / "go").touch()
    assert "went on" == until_status(server, run, *TERMINAL)["result"]


def test_sigterm_without_runs_leaves_nothing(server):
    assert 0 == server.stop(signal.SIGTERM, timeout=30)
    assert [] == server.processes()
    assert "Traceback" not in server.output()


def test_a_second_streamer_on_the_same_data_says_in_a_sentence_where_the_first_is(server):
    environment = {**server.environment, "STREAMER_PORT": "0"}
    command = [sys.executable, "-m", "streamer", "serve"]
    second = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert 2 == second.returncode
    assert f"another streamer at {server.url} uses {server.data}" in second.stderr
    assert "Traceback" not in second.stderr
    assert 200 == httpx.get(f"{server.url}/api/health/ready", timeout=60).status_code


def test_after_the_log_was_deleted_a_reader_of_before_is_told(server):
    old = start(server, "Plain")
    cursor = until_status(server, old, "complete")["cursor"]
    server.stop()
    for path in server.data.glob("log.sqlite*"):
        path.unlink()
    server.start()
    run = start(server, "Plain")
    until_status(server, run, "complete")
    frames = events_of(server, run, cursor)
    assert ["reset", "snapshot"] == [frame.event for frame in frames]
