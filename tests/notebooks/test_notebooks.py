"""Every notebook runs from its first cell to its last, against a streamer of its own, and is kept without outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

from tests.notebooks.lab import Work
from tests.support import ROOT, ServerProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_the_notebooks_teach_in_order():
    names = ["01_first_run", "02_live_progress", "03_write_a_pipeline", "04_look_into_a_run"]
    assert [*names, "05_your_own_dashboard"] == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    assert [] == [cell.source for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path_factory.mktemp("streamer")) as running:
        yield running


@pytest.fixture
def execute(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Any]]:
    """Execute a notebook of ours, or cells, in an empty folder; return the data of what they show.

    An error in a cell is raised.
    """
    for name, value in {**server.environment, "STREAMER_URL": server.url}.items():
        monkeypatch.setenv(name, value)

    def run(name: str, *cells: str) -> list[Any]:
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book = made if cells else nbformat.read(ROOT / "notebooks" / name, as_version=4)
        resources = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(book, timeout=120, kernel_name="python3", resources=resources).execute()
        outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
        said = [
            {"text/plain": one.text}
            for one in outputs
            if one.output_type == "stream" and one.name == "stdout"
        ]
        return said + [one.data for one in outputs if one.output_type in ("display_data", "execute_result")]

    return run


def views(shown: list[Any]) -> list[str]:
    """Return the first lines of the views among what is shown."""
    return [data["text/plain"].splitlines()[0] for data in shown if "As of " in data["text/plain"]]


@pytest.mark.notebook
@pytest.mark.slow
def test_the_first_notebook_shows_a_run_and_ends_with_its_result(execute):
    shown = execute("01_first_run.ipynb")
    # Nobody waits for the view: by the end of the notebook it may have shown the run's last moments, or its end.
    assert [True] == [
        head.startswith(("Count · Running · ", "Count · Partial · 100 %")) for head in views(shown)
    ]
    assert "complete, 1 of 40 failed" in shown[0]["text/plain"]
    assert "{'counted': 39, 'n': 40}" == shown[-1]["text/plain"]


@pytest.mark.notebook
@pytest.mark.slow
def test_the_second_notebook_makes_runs_of_its_loops_and_lists_them(execute, server):
    shown = execute("02_live_progress.ipynb")
    assert "39" in [data["text/plain"] for data in shown]
    assert views(shown)[-1].startswith("Runs: ")
    _, fit, warm_up, *_ = shown[-1]["text/plain"].splitlines()
    # Code does not wait for what it reports: the list may have been drawn while the end of the last run was on its way.
    assert fit.startswith(("Fit models · Running · ", "Fit models · Partial · 100 %"))
    assert "Warm up · Complete · 100 %" == warm_up
    wait_until(lambda: newest(server)["status"] == "complete", message=lambda: str(newest(server)))
    assert ("Fit models", {"success": 39, "failed": 1}) == (
        newest(server)["title"],
        newest(server)["results"],
    )


def newest(server: ServerProcess) -> dict[str, Any]:
    run: dict[str, Any] = httpx.get(f"{server.api_url}/api/runs?limit=1", timeout=60).json()["runs"][0]
    return run


@pytest.mark.notebook
@pytest.mark.slow
def test_the_third_notebook_writes_a_pipeline_and_shows_a_form_and_a_run(execute):
    shown = execute("03_write_a_pipeline.ipynb")
    assert "{'resized': 12}" in [data["text/plain"] for data in shown]
    form, run = views(shown)
    assert "A form that starts Count; run the cell to use it." == form
    assert "Count · Complete · 100 %" == run
    assert {"text/html", "text/plain"} == shown[-1].keys()


@pytest.mark.notebook
@pytest.mark.slow
def test_the_fourth_notebook_reads_a_run_s_entries_into_pandas(execute):
    shown = execute("04_look_into_a_run.ipynb")
    assert "ValueError" in str(shown)
    assert "Completed" in shown[1]["text/plain"]
    assert ["Count · Partial · 100 %"] == views(shown)


@pytest.mark.notebook
@pytest.mark.slow
def test_the_fifth_notebook_builds_a_dashboard_of_three_runs(execute):
    shown = execute("05_your_own_dashboard.ipynb")
    # `pn.extension` shows scripts alone.
    said = [data["text/plain"] for data in shown if "text/plain" in data]
    assert 3 == said[-1].count("'complete'") + said[-1].count("'partial'")
    assert 1 == sum(text.startswith("Row") and text.count("PhaseBar") == 3 for text in said)


@pytest.mark.notebook
@pytest.mark.slow
def test_where_the_widgets_are_missing_the_output_is_renewed_as_a_whole(execute, server: ServerProcess):
    with Work(server.url, "Fit") as work:
        work.progress(10)
        missing = "import sys; sys.modules['anywidget'] = None"
        (shown,) = execute("", missing, f"from dashboards import RunView\nRunView({work.run!r})")
    assert {"text/html", "text/plain"} == shown.keys()
    assert ["Fit · Running · 10 %"] == views([shown])


@pytest.mark.notebook
@pytest.mark.slow
def test_a_view_that_cannot_be_kept_up_to_date_says_why(execute):
    (shown,) = execute("", "from dashboards import RunView\nRunView('7k2m', 'ftp://a.example')")
    assert "expected the URL of a streamer" in shown["text/plain"]
