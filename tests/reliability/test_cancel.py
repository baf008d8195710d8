"""Cancelling is proven: asked, acknowledged, ended; and whatever a run started ends with it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.api_support import running
from tests.server.test_survival import TERMINAL, history, with_processes

PIPELINES = str(Path(__file__).with_name("pipelines.py"))
CHILDREN = ("same", "group", "session")


@pytest.mark.slow
async def test_a_cooperative_cancel_runs_the_code_s_own_endings_and_says_where_it_was(tmp_path):
    async with with_processes(tmp_path, pipelines=(PIPELINES,)) as api:
        run = await api.start("Careful", folder=str(tmp_path))
        await api.until((tmp_path / "ready").exists)
        await api.http.post(f"/api/runs/{run}/cancel", json={"by": "ada"})
        state = await api.status(run, *TERMINAL)
        assert {"ready", "released", "interrupted", "finally"} <= {path.name for path in tmp_path.iterdir()}
        cancel = state["cancel"]
        assert ("cancelled", "cooperative", "ada", "work", "item beta") == (
            state["status"],
            *(cancel[key] for key in ("how", "by", "phase", "item")),
        )
        assert cancel["asked"] <= cancel["acknowledged"]
        assert (None, None) == (cancel["terminated"], cancel["killed"])
        events = await history(api, run)
        steps = [one["step"] for one in events if one.get("step")]
        assert ["asked", "acknowledged"] == steps
        assert "stopping in work at item beta" in [one.get("message") for one in events]
        assert ("cancelled", "cooperative") == (events[-1]["event"], events[-1]["how"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deaf", "to_sigterm", "how", "steps"),
    [
        (False, False, "cooperative", ["asked", "acknowledged"]),
        (True, False, "terminated", ["asked", "acknowledged", "terminated"]),
        (True, True, "killed", ["asked", "acknowledged", "terminated", "killed"]),
    ],
)
async def test_however_a_cancel_ends_nothing_that_the_run_started_is_left(
    tmp_path, deaf, to_sigterm, how, steps
):
    async with with_processes(
        tmp_path, pipelines=(PIPELINES,), cancel_grace_seconds=2.5 if deaf else 20, kill_grace_seconds=0.5
    ) as api:
        run = await api.start("Parent", folder=str(tmp_path), deaf=deaf, deaf_to_sigterm=to_sigterm)
        await api.until((tmp_path / "pid").exists)
        started = [int((tmp_path / name).read_text()) for name in ("pid", *CHILDREN)]
        assert all(map(psutil.pid_exists, started))
        await api.http.post(f"/api/runs/{run}/cancel")
        state = await api.status(run, *TERMINAL)
        assert ("cancelled", how) == (state["status"], state["cancel"]["how"])
        assert steps == [one["step"] for one in await history(api, run) if one.get("step")]
        await api.until(lambda: not any(map(is_alive, started)))


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_run_that_somebody_else_executes_acknowledges_and_ends_its_cancel_itself(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register()
        await producer.log("begun")
        await api.http.post(f"{producer.path}/cancel", json={"by": "ada"})
        answer = await producer.send(
            {"event": "status", "status": "cancelling", "phase": "fit", "item": "model 3"}
        )
        assert ["cancel"] == answer["requests"]
        state = await producer.state()
        assert ("cancelling", "model 3", "") == (
            state["status"],
            state["cancel"]["item"],
            state["cancel"]["how"],
        )
        await producer.send({"event": "cancelled", "message": "as asked"})
        state = await producer.state()
        assert ("cancelled", "as asked", "cooperative") == (
            state["status"],
            state["message"],
            state["cancel"]["how"],
        )


async def test_a_run_that_was_cancelled_in_the_queue_was_never_started_and_says_so(tmp_path):
    async with running(tmp_path, max_runs=1) as api:
        await api.started()
        run = await api.start()
        await api.http.post(f"/api/runs/{run}/cancel", json={"by": "ada"})
        state = await api.state(run)
        assert ("cancelled", "unstarted", None) == (state["status"], state["cancel"]["how"], state["started"])
        assert run not in api.backend.handles
