"""A streamer that was itself stopped, as on a laptop that slept, takes nobody for lost for its own absence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support import ROOT, ServerProcess, wait_until

pytestmark = pytest.mark.slow

LOST_SECONDS = 3.0
#: A job that works until a file is there, so that the test says when.
SCRIPT = """
import sys, threading
from pathlib import Path
import streamer
with streamer.run("Goes on") as run:
    for number in run.track(range(10**9)):
        threading.Event().wait(0.05)
        if Path(sys.argv[1]).exists():
            break
"""


def test_a_script_that_lives_is_not_lost_when_the_streamer_was_stopped(tmp_path: Path) -> None:
    environment = {"STREAMER_LOST_SECONDS": str(LOST_SECONDS), "STREAMER_STALL_SECONDS": "1"}
    with ServerProcess.streamer(tmp_path / "data", environment=environment) as server:
        go = tmp_path / "go"
        script = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(go)],
            cwd=ROOT,
            env={**server.environment, "STREAMER_URL": server.url, "STREAMER_DATA": str(tmp_path / "other")},
            stderr=subprocess.DEVNULL,
        )
        try:

            def runs() -> list[dict[str, object]]:
                found: list[dict[str, object]] = httpx.get(f"{server.url}/api/runs", timeout=30).json()[
                    "runs"
                ]
                return found

            wait_until(lambda: [run["status"] for run in runs()] == ["running"])
            os.kill(server.process.pid, signal.SIGSTOP)
            began = time.monotonic()
            # The time that it is stopped is the test's subject.
            wait_until(lambda: time.monotonic() - began > LOST_SECONDS + 1.5)
            os.kill(server.process.pid, signal.SIGCONT)
            go.touch()
            assert 0 == script.wait(60)
            wait_until(lambda: runs()[0]["status"] == "complete")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
            script.kill()
            script.wait()
