"""`streamer.adopt()` and `%load_ext streamer`: bars of a script, its children and a notebook are bars of a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

from tests.exec_support import environment, find_run
from tests.support import ROOT, ServerProcess

SCRIPT = """
import logging, multiprocessing, sys, streamer
from tqdm import tqdm

def work(n):
    for _ in tqdm(range(30), desc=f"child {n}"):
        pass
    logging.getLogger("child").warning("worked")

if __name__ == "__main__":
    for _ in tqdm(range(3), desc="before", file=sys.stdout):
        pass
    with streamer.adopt("in a with statement") as run:
        run.log.info("open")
        for _ in tqdm(range(20), desc="mine", file=sys.stdout):
            pass
        for method in ("fork", "spawn"):
            process = multiprocessing.get_context(method).Process(target=work, args=(method,))
            process.start()
            process.join()
    for _ in tqdm(range(3), desc="after", file=sys.stdout):
        pass
    adoption = streamer.adopt("called alone")
    for _ in tqdm(range(40), desc="alone", file=sys.stdout):
        pass
    raise LookupError("nothing there")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path_factory.mktemp("adopt")) as running:
        yield running


def bars_of(state: dict[str, Any]) -> dict[str, tuple[Any, Any, str]]:
    return {bar["name"]: (bar["done"], bar["total"], bar["status"]) for bar in state["bars"]}


@pytest.mark.slow
def test_a_script_adopts_its_bars_and_those_of_its_children(server: ServerProcess, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, str(script)],
        env=environment(server),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "LookupError: nothing there\n" in ended.stderr
    assert ["before", "mine", "after", "alone"] == [
        line.partition(":")[0] for line in ended.stdout.splitlines() if "100%" in line
    ]
    first, second = find_run(server, "in a with statement"), find_run(server, "called alone")
    assert first is not None
    assert second is not None
    assert {
        "mine": (20, 20, "finished"),
        "child fork": (30, 30, "finished"),
        "child spawn": (30, 30, "finished"),
    } == bars_of(first)
    assert ("complete", {"INFO": 1, "WARNING": 2}) == (first["status"], first["logCounts"])
    assert {"alone": (40, 40, "finished")} == bars_of(second)
    assert ("failed", "LookupError: nothing there") == (second["status"], second["message"])


@pytest.mark.notebook
@pytest.mark.slow
def test_a_notebook_whose_cells_draw_bars(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    cells = [
        "%load_ext streamer\nfrom tqdm import tqdm",
        "# No bar, no run\n1 + 1",
        "# Train the models\nfor _ in tqdm(range(25), desc='models'): pass",
        "%%progress 'Fit them all'\nfor _ in tqdm(range(35), desc='fits'): pass\n'the value'",
        "%%progress Waited for\nimport asyncio\nfor _ in tqdm(range(15), desc='waits'):\n"
        "    await asyncio.sleep(0.001)\nawait asyncio.sleep(0, 'after it')",
        "%%progress\nfrom tqdm import tqdm\nfor _ in tqdm(range(12), desc='of no title'): pass",
        "%%time\nfrom tqdm import tqdm\nfor _ in tqdm(range(11)): pass",
        "%%progress Timed\n%%time\nfor _ in tqdm(range(13), desc='timed'): pass",
        "%unload_ext streamer\nfor _ in tqdm(range(5)): pass",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    runs = httpx.get(f"{server.url}/api/runs", timeout=60).json()["runs"]
    mine = {run["title"]: run for run in runs if run["title"] in ("Train the models", "Fit them all")}
    assert {"models": (25, 25, "finished")} == bars_of(mine["Train the models"])
    assert {"fits": (35, 35, "finished")} == bars_of(mine["Fit them all"])
    assert {"complete"} == {run["status"] for run in mine.values()}
    titles = [run["title"] for run in runs]
    assert [] == [title for title in titles if title.startswith(("No bar", "%"))]
    shown = [output for output in book.cells[3].outputs if output.output_type == "execute_result"]
    assert ["'the value'"] == [output.data["text/plain"] for output in shown]
    found = {run["title"]: run for run in runs}
    assert {"waits": (15, 15, "finished")} == bars_of(found["Waited for"])
    assert ["'after it'"] == [
        output.data["text/plain"]
        for output in book.cells[4].outputs
        if output.output_type == "execute_result"
    ]
    assert {"timed": (13, 13, "finished")} == bars_of(found["Timed"])
    assert {"complete"} == {found[title]["status"] for title in ("Waited for", "Timed")}
    assert "for _ in tqdm(range(11)): pass" in titles
    assert [] == [title for title in titles if title.startswith("from tqdm")]
