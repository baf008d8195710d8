"""The list of pipelines whose files raise anything at their import: told as problems, while the streamer goes on."""

from __future__ import annotations

import asyncio

import pytest

from tests.api_support import PATIENCE, error_of, running
from tests.pipeline_files import write


@pytest.mark.parametrize(
    "text",
    [
        "raise KeyboardInterrupt",
        "import asyncio\nraise asyncio.CancelledError",
        "class Skipped(BaseException): pass\nraise Skipped('could not import torch')",
    ],
)
async def test_a_pipeline_whose_import_raises_a_base_exception_is_a_problem_and_the_streamer_goes_on(
    tmp_path, text
):
    broken = tmp_path / "broken.py"
    broken.write_text(text)
    async with running(tmp_path, pipelines=(str(broken),)) as api:
        async with asyncio.timeout(PATIENCE):
            answer = (await api.http.get("/api/pipelines")).json()
        assert "Count" in {one["name"] for one in answer["pipelines"]}
        assert [str(broken)] == [one["reference"] for one in answer["problems"]]
        assert 200 == (await api.http.get("/api/health/ready")).status_code


async def test_a_file_that_comes_to_raise_a_base_exception_is_a_problem_at_the_next_start(tmp_path):
    path = tmp_path / "jobs.py"
    write(path, "Fine")
    async with running(tmp_path, pipelines=(str(path),)) as api:
        assert 201 == (await api.http.post("/api/pipelines/Fine/runs")).status_code
        path.write_text("raise KeyboardInterrupt")
        assert 404 == (await api.http.post("/api/pipelines/Fine/runs")).status_code


@pytest.mark.parametrize("raised", ["KeyboardInterrupt()", "asyncio.CancelledError()", "GeneratorExit()"])
async def test_a_constructor_that_raises_a_base_exception_refuses_the_parameters(tmp_path, raised):
    before = f"""
        import asyncio
        class Refuses(Pipeline):
            def __init__(self, **values):
                raise {raised}
            @phase
            def go(self): ...
    """
    path = write(tmp_path / "jobs.py", "Fine", before=before)
    async with running(tmp_path, pipelines=(path,)) as api:
        async with asyncio.timeout(PATIENCE):
            answer = await api.http.post("/api/pipelines/Refuses/runs")
        assert 422 == answer.status_code
        assert raised.partition("(")[0].rpartition(".")[2] in answer.text


async def test_what_a_pipelines_code_raises_while_it_is_read_never_reaches_the_loop(api):
    def ends() -> None:
        raise KeyboardInterrupt

    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        await api.streamer.runs.read(ends)


async def test_a_path_outside_of_the_allowed_folders_is_refused_before_a_run_is_made(tmp_path):
    async with running(
        tmp_path, files=(str(tmp_path),), pipelines=("streamer.examples.audit_folder",)
    ) as api:
        answer = await api.http.post("/api/pipelines/AuditFolder/runs", json={"folder": "/etc"})
        error = error_of(answer, 422, "invalid")
        assert ["folder"] == [one["field"] for one in error["details"]]
        assert "STREAMER_FILES" in error["message"]
        assert [] == (await api.http.get("/api/runs")).json()["runs"]
