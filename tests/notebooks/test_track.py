"""`streamer.track` in a kernel: the run's view stands in the cell, and the run ends as the loop did."""

from __future__ import annotations

from pathlib import Path

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

from tests.support import ServerProcess

pytestmark = [pytest.mark.notebook, pytest.mark.slow]

#: Goes on until its view is shown: that of a loop which is over sooner may come when another cell runs, or not at all.
LOOP = """import threading, streamer
from streamer.producer.scripts import session
for x in streamer.track(range(12), {title!r}):
    while not any(one._display for one in session.sessions): threading.Event().wait(0.05)
    {body}"""
#: Until the run that a cell began is over, and said so.
OVER = """import threading
while any(t.name == "streamer-sampler" for t in threading.enumerate()): threading.Event().wait(0.05)
threading.Event().wait(1)"""


def test_a_loop_in_a_cell_shows_its_view_and_ends_as_it_ended(
    tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [
        LOOP.format(title="Fit", body="pass"),
        OVER,
        "__vsc_ipynb_file__ = '/home/ada/bad.ipynb'\n"
        + LOOP.format(title="Bad", body="raise ValueError('no')"),
        OVER,
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with ServerProcess.streamer(tmp_path / "server") as server:
        monkeypatch.setenv("STREAMER_URL", server.url)
        # As Jupyter's server tells a kernel the notebook it is for; VS Code tells it in a name, see above.
        monkeypatch.setenv("JPY_SESSION_NAME", "work/fit.ipynb")
        NotebookClient(notebook, allow_errors=True, timeout=120).execute()
        runs = httpx.get(f"{server.url}/api/runs", timeout=60).json()["runs"]
    assert [("Bad", "failed", "ValueError: no"), ("Fit", "complete", "complete")] == [
        (one["title"], one["status"], one["message"]) for one in runs
    ]
    assert ["bad.ipynb", "fit.ipynb"] == [one["program"] for one in runs]
    said = [str(output.get("text", "")) for output in notebook.cells[0].outputs]
    assert any(text.startswith("streamer: http://") for text in said)
    shown = [
        output.data["text/plain"]
        for output in notebook.cells[0].outputs
        if output.output_type == "display_data"
    ]
    assert [True] == [text.startswith("Fit") for text in shown]
