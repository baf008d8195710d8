"""Secret parameters: in no log and on no page, in a file of their own until the run has ended, and asked for again."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streamer.server.execution.base import Exit
from tests.api_support import Api, running
from tests.pipeline_files import write
from tests.server.test_survival import TERMINAL, history, with_processes

BEFORE = """
    import sys
    import param
    import streamer

    class Connects(Pipeline):
        login = streamer.Secret(doc="Not for everybody")
        password = param.String("")
        credentials = param.Dict({})
        database = param.String("sqlite:///x")
        token_limit = param.Integer(5)
        separator = param.String(", ")
        builtin = streamer.Secret("default-hunter2")

        @phase
        def go(self):
            print("connecting with", self.login)
            self.log.warning("database is %s", self.database)
            sys.__stderr__.write(f"raw {self.login}\\n")
            for value in (self.password, self.builtin):
                self.map(str.upper, [value], on_error="collect")
            if self.password == "raise-hunter2":
                raise ValueError(f"refused {self.credentials}")
            return {"login": self.login, "whole": self.login == "login-hunter2", "limit": self.token_limit}
"""

GIVEN = {
    "login": "login-hunter2",
    "password": "raise-hunter2",
    "credentials": {"user": "ada", "key": "dict-hunter2"},
    "database": "postgresql://ada:url-hunter2@db/x",
}
SHOWN = {
    "login": "…",
    "password": "…",
    "credentials": "…",
    "database": "postgresql://ada:…@db/x",
    "token_limit": 5,
    "separator": ", ",
}


@pytest.fixture
def jobs(tmp_path: Path) -> str:
    return write(tmp_path / "jobs.py", "Fine", before=BEFORE)


@pytest.fixture
async def api(tmp_path: Path, jobs: str) -> AsyncIterator[Api]:
    async with running(tmp_path, pipelines=(jobs,), max_runs=1) as api:
        yield api


def files(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "secrets").glob("*"))


def kept(folder: Path) -> bytes:
    """Return all bytes of the data folder but the files of secrets."""
    paths = [
        path for path in (folder / "data").rglob("*") if path.is_file() and path.parent.name != "secrets"
    ]
    return b"".join(path.read_bytes() for path in paths)


async def test_secrets_are_shown_as_an_ellipsis_and_reach_the_worker(tmp_path: Path, api: Api) -> None:
    run = await api.start("Connects", **GIVEN)
    assert SHOWN == (await api.state(run))["parameters"]
    assert GIVEN == (await api.handle(run)).spec.secrets
    assert b"hunter2" not in kept(tmp_path)


async def test_the_file_of_secrets_is_for_this_user_alone_and_goes_with_the_run(
    tmp_path: Path, api: Api
) -> None:
    run = await api.start("Connects", **GIVEN)
    (path,) = files(tmp_path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    (await api.handle(run)).end(Exit(code=1, output_tail="raw login-hunter2"))
    state = await api.status(run, "failed")
    await api.until(lambda: not files(tmp_path))
    assert "raw …" == state["error"]["traceback"]
    assert b"hunter2" not in kept(tmp_path)


async def test_a_queued_run_keeps_its_secrets_over_a_restart(tmp_path: Path, jobs: str) -> None:
    async with running(tmp_path, pipelines=(jobs,), max_runs=1) as api:
        first = await api.start("Fine")
        await api.handle(first)
        run = await api.start("Connects", **GIVEN)
    (tmp_path / "data" / "secrets" / "gone.json").write_text("{}")
    async with running(tmp_path, pipelines=(jobs,), max_runs=1) as api:
        assert GIVEN == (await api.handle(run)).spec.secrets
        assert [f"{run}.json"] == [path.name for path in files(tmp_path)]


async def test_a_run_whose_secrets_are_gone_fails_and_says_so(tmp_path: Path, jobs: str) -> None:
    async with running(tmp_path, pipelines=(jobs,), max_runs=1) as api:
        await api.handle(await api.start("Fine"))
        run = await api.start("Connects", **GIVEN)
    for path in files(tmp_path):
        path.unlink()
    async with running(tmp_path, pipelines=(jobs,), max_runs=1) as api:
        state = await api.status(run, "failed")
        assert "its secret parameters are gone: login, password, credentials, database" == state["message"]


async def test_what_is_empty_or_the_pipelines_own_needs_no_file(tmp_path: Path, api: Api) -> None:
    run = await api.start("Connects", login="")
    assert {} == (await api.handle(run)).spec.secrets
    shown = (await api.state(run))["parameters"]
    assert ("", "", {}) == (shown["login"], shown["password"], shown["credentials"])
    assert "builtin" not in shown
    assert [] == files(tmp_path)


async def test_a_retry_asks_for_the_secrets_again(api: Api) -> None:
    run = await api.start("Connects", **GIVEN)
    (await api.handle(run)).end(Exit(code=1))
    await api.status(run, "failed")
    refused = await api.http.post(f"/api/runs/{run}/retry", json={"items": "all"})
    assert 422 == refused.status_code
    details = {one["field"]: one["message"] for one in refused.json()["error"]["details"]}
    assert {"login", "password", "credentials", "database"} == details.keys()
    assert "is a secret, and was not kept: give it again" == details["login"]
    again = await api.http.post(f"/api/runs/{run}/retry", json={"items": "all", "parameters": GIVEN})
    assert 201 == again.status_code, again.text
    assert GIVEN == (await api.handle(again.json()["run"])).spec.secrets


async def test_a_text_that_only_looks_hidden_is_none(api: Api) -> None:
    run = await api.start("Connects", separator="…")
    assert "…" == (await api.handle(run)).spec.parameters["separator"]


async def test_the_schema_marks_secrets_and_has_no_default_of_them(api: Api) -> None:
    answer = (await api.http.get("/api/pipelines")).json()["pipelines"]
    properties = next(one for one in answer if one["name"] == "Connects")["schema"]["properties"]
    marked = {name for name, one in properties.items() if one.get("writeOnly")}
    assert {"login", "password", "credentials", "builtin"} == marked
    assert "password" == properties["login"]["format"]
    assert "default" not in properties["builtin"]
    assert "hunter2" not in json.dumps(properties)


@pytest.mark.parametrize(
    "given",
    [{"password": ["hunter2"]}, {"login": 5, "password": "hunter2"}, {"nothing": 1, "login": "hunter2"}],
)
async def test_what_is_refused_is_not_repeated(api: Api, given: dict[str, Any]) -> None:
    answer = await api.http.post("/api/pipelines/Connects/runs", json=given)
    assert 422 == answer.status_code
    assert "hunter2" not in answer.text


async def test_parameters_of_a_registered_run_hide_secrets_by_their_names(api: Api) -> None:
    given = {"api_key": "hunter2", "tokens": 5, "url": "redis://:hunter2@x", "max_token": "7"}
    producer = await api.register(parameters=given)
    shown = (await producer.state())["parameters"]
    assert {"api_key": "…", "tokens": 5, "url": "redis://:…@x", "max_token": "7"} == shown


@pytest.mark.slow
async def test_nothing_that_a_pipeline_does_with_its_secrets_is_in_its_log(tmp_path: Path, jobs: str) -> None:
    async with with_processes(tmp_path, pipelines=(jobs,)) as api:
        complete = await api.start("Connects", **{**GIVEN, "password": "fine-hunter2"})
        failed = await api.start("Connects", **GIVEN)
        state = await api.status(complete, *TERMINAL)
        assert {"login": "…", "whole": True, "limit": 5} == state["result"]
        messages = [one.get("message") for one in await history(api, complete)]
        assert "connecting with …" in messages
        assert "database is postgresql://ada:…@db/x" in messages
        error = (await api.status(failed, *TERMINAL))["error"]
        assert "refused {'user': 'ada', 'key': '…'}" == error["message"]
        await api.until(lambda: not files(tmp_path))
    # The raw output of a process is a file of this user, outside the log.
    logged = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("log.sqlite*"))
    assert b"hunter2" not in logged
    assert os.listdir(tmp_path / "data" / "secrets") == []  # noqa: PTH208 - by name, as an administrator would look
