"""The served description against the streamer that serves it: Schemathesis sends what is allowed and what is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.support import ROOT, ServerProcess

TOKEN = "an-operators-secret"
#: Endless streams are read up to their first event. Which parameters a pipeline takes is not in the document but with
#: the pipeline, so that 422 may be the answer to any.
CONFIGURATION = """
hooks = "tests.reliability.openapi_hooks"
max-stream-events = 1
request-timeout = 30
[auth.openapi]
operators = {{ bearer = "{token}" }}
run = {{ bearer = "{run_token}" }}
[[operations]]
include-path-regex = "run_id"
parameters = {{ run_id = "{run}" }}
[[operations]]
include-name = "POST /api/runs/{{run_id}}/events"
headers = {{ Authorization = "Bearer {run_token}" }}
[[operations]]
include-path = "/api/pipelines/{{name}}/runs"
parameters = {{ name = "Plain" }}
checks.positive_data_acceptance.expected-statuses = ["2xx", 422]
[[operations]]
include-path = "/api/pipelines/{{name}}/estimate"
parameters = {{ name = "Plain" }}
checks.positive_data_acceptance.expected-statuses = ["2xx", 422]
"""


@pytest.mark.slow
def test_schemathesis_finds_nothing_that_is_not_as_described(tmp_path):
    environment = {
        "STREAMER_TOKEN": TOKEN,
        "STREAMER_PIPELINES": str(ROOT / "tests" / "api_pipelines.py"),
        "STREAMER_MAX_RUNS": "1",
        "STREAMER_MAX_QUEUE": "100000",
    }
    with ServerProcess.streamer(tmp_path, environment=environment) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        run = httpx.post(
            f"{server.url}/api/runs", json={"title": "A run"}, headers=headers, timeout=60
        ).json()
        configuration = tmp_path / "schemathesis.toml"
        configuration.write_text(CONFIGURATION.format(token=TOKEN, run=run["run"], run_token=run["token"]))
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run"]
        command += [f"{server.url}/api/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"]
        command += ["--seed", "20261125", "--max-examples", "10", "--no-color"]
        command += ["--generation-database", "none", "--continue-on-failure"]
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert 0 == ended.returncode, ended.stdout[-20_000:] + ended.stderr[-2000:]
        assert re.search(r"Selected: (\d+)/\1\n\s+Tested: \1\n", ended.stdout), ended.stdout
        assert "Authentication failed" not in ended.stdout, ended.stdout
        assert "Traceback" not in server.output(100_000)
