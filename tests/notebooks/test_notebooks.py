"""Every notebook runs from its first cell to its last, against a streamer of its own, and is kept without outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support import ROOT, ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_is_a_notebook_to_begin_with():
    assert "01_first_run.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    assert [] == [cell.source for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.notebook
@pytest.mark.slow
def test_the_first_notebook_shows_a_run_and_ends_with_its_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with ServerProcess.streamer(tmp_path) as server:
        for name, value in {**server.environment, "STREAMER_URL": server.url}.items():
            monkeypatch.setenv(name, value)
        book = nbformat.read(ROOT / "notebooks" / "01_first_run.ipynb", as_version=4)
        NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if output.output_type in ("display_data", "execute_result")]
    views = [output.data for output in shown if "text/html" in output.data]
    # Nobody waits for the view: by the end of the notebook it may have shown the run's last moments, or its end.
    assert [True] == [view["text/plain"].startswith(("Count · Running · ", "Count · Complete · 100 %")) for view in views]
    assert "(" in shown[-2].data["text/plain"]
    assert "'Completed'" in shown[-2].data["text/plain"]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "complete, 1 of 40 failed" in said
    assert "40" in shown[-1].data["text/plain"]
