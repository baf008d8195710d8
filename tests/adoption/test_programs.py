"""Programs that nobody here wrote, under `streamer exec`: the right bars, the right totals, the right end."""

from __future__ import annotations

import functools
import http.server
import random
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exec_support import Executed, executed
from tests.support import ServerProcess

pytestmark = pytest.mark.slow

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path_factory.mktemp("programs")) as running:
        yield running


def program(server: ServerProcess, name: str, *arguments: str) -> Executed:
    ran = executed(server, "--", sys.executable, str(PROGRAMS / f"{name}.py"), *arguments)
    assert (0, "complete") == (ran.code, ran.state["status"]), ran.err.decode()
    return ran


def test_the_examples_of_tqdm(server: ServerProcess) -> None:
    ran = program(server, "tqdm_examples")
    assert {
        "tqdm_examples.py": (4, 4, "finished"),
        "trange": (100, 100, "finished"),
        "Processing d": (4, 4, "finished"),
        "manual": (100, 100, "finished"),
        "closed by hand": (50, 100, "stopped"),
        "1st loop": (3, 3, "finished"),
        "2nd loop": (4, 4, "finished"),
        "3rd loop": (5, 5, "finished"),
        "enumerate": (7, 7, "finished"),
        "zip": (6, 6, "finished"),
        "thread_map": (50, 50, "finished"),
        "auto": (9, 9, "finished"),
        "no total": (12, None, "finished"),
        "left": (10, 1000, "stopped"),
        "download": (3_000_000, 3_000_000, "finished"),
        "to a string": (5, 5, "finished"),
    } == ran.bars()
    names = {bar["id"]: bar["name"] for bar in ran.state["bars"]}
    nested = {(names[bar["parent"]], bar["name"]) for bar in ran.state["bars"] if bar["parent"]}
    assert {("1st loop", "2nd loop"), ("2nd loop", "3rd loop")} == nested
    assert (3, 12) == tuple(list(names.values()).count(name) for name in ("2nd loop", "3rd loop"))


def test_the_examples_of_rich(server: ServerProcess) -> None:
    ran = program(server, "rich_examples")
    assert {
        "Downloading...": (1700, 1000, "finished"),
        "Processing...": (1020, 1000, "finished"),
        "Cooking...": (3060, 1000, "finished"),
        "left in the middle": (4, 10, "stopped"),
        "no total": (7, None, "finished"),
        "removed": (2, 2, "finished"),
        "outer": (3, 3, "finished"),
        "inner": (4, 4, "finished"),
        "Reading...": (4096, 4096, "finished"),
    } == ran.bars()
    names = {bar["id"]: bar["name"] for bar in ran.state["bars"]}
    assert ["outer"] * 3 == [names[bar["parent"]] for bar in ran.state["bars"] if bar["name"] == "inner"]
    assert {"B"} == {bar["unit"] for bar in ran.state["bars"] if bar["name"] == "Reading..."}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_bar_in_each_of_sixteen_processes(server: ServerProcess, method: str) -> None:
    ran = program(server, "sixteen", method)
    expected = {f"process {n:02d}": (1000 + n, 1000 + n, "finished") for n in range(16)}
    assert {"all": (16, 16, "finished"), **expected} == ran.bars()
    assert (16_136, 16_136, "it") == tuple(ran.state[key] for key in ("done", "total", "unit"))
    assert "done 16120" in ran.messages


def test_executors_records_and_a_process_that_is_killed(server: ServerProcess) -> None:
    ran = program(server, "executor")
    assert {
        "squares": (4, 4, "finished"),
        **{f"square {n}": (20, 20, "finished") for n in range(4)},
        "process_map": (30, 30, "finished"),
        "dies": (50, 100, "stopped"),
    } == ran.bars()
    records = [line for line in ran.lines if line["logger"] == "squares"]
    assert {("WARNING", f"square of {n}") for n in range(4)} == {(r["level"], r["message"]) for r in records}
    # What the handlers print of a record is the record, not one more line.
    assert 4 == sum("square of" in message for message in ran.messages)
    assert b"WARNING squares: square of 3" in ran.err


def test_a_grid_search_over_joblib(server: ServerProcess) -> None:
    ran = program(server, "grid_search")
    assert {
        "batches": (2, 2, "finished"),
        "worker 0": (2, 2, "finished"),
        "worker 2": (2, 2, "finished"),
    } == ran.bars()
    assert "best True 4" in ran.messages


def test_progress_apply_of_pandas(server: ServerProcess) -> None:
    ran = program(server, "frames")
    assert [("rows", 500, 500), ("rows", 5, 5)] == [
        (bar["name"], bar["done"], bar["total"]) for bar in ran.state["bars"]
    ]


# -- pip ---------------------------------------------------------------------------------------------------------------


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Two packages, one of which needs the other, for whoever asks here."""
    for name, needs in (("first_thing", "Requires-Dist: second-thing\n"), ("second_thing", "")):
        wheel = tmp_path / f"{name}-1.0-py3-none-any.whl"
        about = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}/data.bin", random.Random(name).randbytes(900_000))
            archive.writestr(
                f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}"
            )
            archive.writestr(
                f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{about}/RECORD", "")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()
        thread.join()


def test_pip_downloads_packages(server: ServerProcess, index: str, tmp_path: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--isolated",
        "--disable-pip-version-check",
        "download",
        "--no-cache-dir",
    ]
    ran = executed(
        server,
        *("--phases", r"resolve,download*9=^\s*Downloading,save=^Saved"),
        *("--", *pip, "--no-index", "--find-links", index, "-d", str(tmp_path / "got"), "first-thing"),
    )
    assert (0, "complete") == (ran.code, ran.state["status"]), ran.err.decode()
    bars = [(bar["phase"], bar["name"], bar["unit"], bar["status"]) for bar in ran.state["bars"]]
    assert [("pip", "B", "finished")] * 2 == [bar[1:] for bar in bars]
    assert all(bar["done"] == bar["total"] > 900_000 for bar in ran.state["bars"])
    assert {"first_thing-1.0-py3-none-any.whl", "second_thing-1.0-py3-none-any.whl"} == {
        path.name for path in (tmp_path / "got").iterdir()
    }
    assert ["finished"] * 3 == [phase["status"] for phase in ran.state["phases"]]
