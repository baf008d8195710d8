"""`streamer.adopt()`, notebooks, and what adoption is made of: nothing is added to an item, and nobody waits."""

from __future__ import annotations

import inspect
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
import tqdm.std
from nbclient import NotebookClient
from rich.progress import Progress

from streamer.adoption import inside
from streamer.adoption.collector import Collector, Headline, Rate, Record
from streamer.model.events import Bar, Progressed
from tests.exec_support import environment, find_run
from tests.support import ROOT, ServerProcess, wait_until

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


# -- nothing is added to an item ---------------------------------------------------------------------------------------


class Collected:
    """A collector, and what it told."""

    def __init__(self) -> None:
        self.events: list[Progressed] = []
        self.records: list[Record] = []
        self.collector = Collector(self.events.append, self.records.append, inside.look)
        self.collector.start()

    @property
    def bars(self) -> dict[str, Bar]:
        return {bar.id: bar for event in tuple(self.events) for bar in event.bars}

    def connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.connect(self.collector.address.partition(":")[2])
        return link

    def hello(self, link: socket.socket) -> None:
        link.sendall(json.dumps({"secret": self.collector.address.partition(":")[0]}).encode() + b"\n")


@pytest.fixture
def collected() -> Iterator[Collected]:
    made = Collected()
    yield made
    made.collector.close()


@pytest.fixture
def adopting(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    # tqdm's own thread would outlive the test.
    monkeypatch.setattr(tqdm.std.tqdm, "monitor_interval", 0)
    inside.install(collected.collector.address, logs=False)
    yield collected
    inside.uninstall()


def test_what_a_loop_iterates_is_tqdm_s_own_generator(adopting: Collected) -> None:
    own = inspect.unwrap(tqdm.std.tqdm.__iter__).__code__
    bar = tqdm.std.tqdm(range(3), file=StringIO())
    assert own is iter(bar).gi_code
    bar.close()


def test_what_rich_s_loop_iterates_is_its_own_generator(adopting: Collected) -> None:
    own = inspect.unwrap(Progress.track).__code__
    assert own is Progress(disable=True).track(range(3)).gi_code
    assert not hasattr(Progress.advance, "__wrapped__")
    assert not hasattr(tqdm.std.tqdm.update, "__wrapped__")


def test_a_count_is_exact_while_tqdm_s_own_lags_behind(adopting: Collected, tmp_path: Path) -> None:
    with (tmp_path / "bars").open("w") as output:
        bar = tqdm.std.tqdm(range(1000), file=output, mininterval=1000, miniters=1000)
        items = iter(bar)
        for _ in range(501):
            next(items)
        wait_until(lambda: any(one.done == 500 for one in adopting.bars.values()))
        assert 0 == bar.n
        items.close()
    wait_until(lambda: any(one.status == "stopped" for one in adopting.bars.values()))


def test_in_the_collectors_own_process_bars_need_no_thread_and_end_with_their_adoption(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tqdm.std.tqdm, "monitor_interval", 0)
    bars = []
    for name in ("first", "second"):
        inside.install(collected.collector.address, logs=False, take=collected.collector.take)
        bars.append(tqdm.std.tqdm(range(9), desc=name, file=StringIO()))
        items = iter(bars[-1])
        next(items)
        next(items)
        wait_until(lambda name=name: (name, 1) in [(bar.name, bar.done) for bar in collected.bars.values()])
        assert 1 == [thread.name for thread in threading.enumerate()].count("streamer-adopt")
        inside.uninstall()
        items.close()
    collected.collector.close()
    assert [("first", 1, "stopped"), ("second", 1, "stopped")] == [
        (bar.name, bar.done, bar.status) for bar in collected.bars.values()
    ]


def test_the_libraries_are_left_as_they_were() -> None:
    before = [
        tqdm.std.tqdm.__init__,
        tqdm.std.tqdm.__iter__,
        tqdm.std.tqdm.close,
        Progress.add_task,
        sys.meta_path[:],
    ]
    inside.install("secret:/nowhere")
    inside.uninstall()
    assert before == [
        tqdm.std.tqdm.__init__,
        tqdm.std.tqdm.__iter__,
        tqdm.std.tqdm.close,
        Progress.add_task,
        sys.meta_path,
    ]


# -- nobody waits, and nobody is trusted -------------------------------------------------------------------------------


def test_a_process_whose_collector_reads_nothing_goes_on_and_drops_the_oldest(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "s"))
        deaf.listen()
        link = inside._Link(f"secret:{tmp_path / 's'}")
        for n in range(3 * inside.WAITING):
            link.put({"log": {"message": "x" * 500, "number": n}}, log=True)
            link.flush()
        assert len(link.waiting) == inside.WAITING
        assert link.dropped > 0
        link.close()


def test_a_collector_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    link = inside._Link(f"secret:{tmp_path / 'nothing'}")
    link.put({"bars": []})
    assert link.flush()
    assert link.dead


@pytest.mark.parametrize(
    "said",
    [
        b'{"secret": "wrong"}\n{"bars": [{"id": "1"}]}\n',
        b"GET / HTTP/1.1\r\n\r\n",
        b"x" * 2_000_000,
        b"[1]\n",
    ],
    ids=["wrong secret", "http", "endless", "no message"],
)
def test_who_does_not_know_the_secret_is_not_heard(collected: Collected, said: bytes) -> None:
    link = collected.connect()
    with link:
        try:
            link.sendall(said)
            assert b"" == link.recv(1)
        except ConnectionError:
            pass  # the other end was closed before all was sent
    collected.collector.close()
    assert [] == collected.events


def test_what_comes_is_bounded(collected: Collected) -> None:
    link = collected.connect()
    with link:
        collected.hello(link)
        told = {"id": "1", "name": "n" * 100_000, "unit": "u" * 1000, "done": 1e300, "total": -5}
        link.sendall(json.dumps({"bars": [told]}).encode() + b"\n")
        wait_until(lambda: collected.bars)
    (bar,) = collected.bars.values()
    assert (None, None) == (bar.done, bar.total)
    assert len(bar.name) <= 300
    assert len(bar.unit) <= 40


def test_the_bars_of_a_process_that_is_gone_are_over(collected: Collected) -> None:
    with collected.connect() as link:
        collected.hello(link)
        bars = [{"id": "1", "done": 5, "total": 5}, {"id": "2", "done": 1, "total": 5, "parent": "1"}]
        link.sendall(json.dumps({"bars": bars}).encode() + b"\n")
    wait_until(lambda: {"finished", "stopped"} == {bar.status for bar in collected.bars.values()})
    assert ["1.1", None] == sorted((bar.parent for bar in collected.bars.values()), key=str)


def test_the_socket_is_ours_alone_and_leaves_nothing_behind() -> None:
    made = Collector(print, print)
    folder = Path(made.address.partition(":")[2]).parent
    assert 0o700 == folder.stat().st_mode & 0o777
    made.close()
    assert not folder.exists()


# -- what counts -------------------------------------------------------------------------------------------------------


def headline(*bars: Bar) -> tuple[Any, ...]:
    made = Headline()
    for bar in bars:
        made.take(bar)
    return (*made.read(), made.unit)


def test_outer_bars_of_one_unit_are_summed() -> None:
    bars = Bar("a", done=5, total=10, unit="it"), Bar("b", done=1, total=2, unit="it")
    assert (6, 12, "it") == headline(*bars, Bar("c", "a", done=99, total=100, unit="it"))


def test_a_bar_in_another_unit_begins_anew_and_those_before_do_not_come_back() -> None:
    before, after = Bar("a", done=5, total=10, unit="it"), Bar("b", done=1, total=2, unit="B")
    assert (1, 2, "B") == headline(before, after, Bar("a", done=6, total=10, unit="it"))


def test_a_total_that_is_not_known_is_known_at_the_end() -> None:
    assert (5, None, "") == headline(Bar("a", done=5))
    assert (5, 5, "") == headline(Bar("a", done=5, status="finished"))


def test_the_rate_is_that_of_the_last_seconds_and_begins_anew_with_the_count() -> None:
    rate = Rate()
    assert None is rate.add(0, 10.0)
    assert [20.0, 20.0] == [rate.add(20, 11.0), rate.add(40, 12.0)]
    assert 20.0 > (rate.add(40, 13.0) or 0) > (rate.add(40, 20.0) or 0) > 0
    assert None is rate.add(5, 21.0)


def test_a_phase_counts_what_begins_in_it() -> None:
    made = Headline()
    made.take(Bar("a", done=5, total=10))
    made.begin_anew()
    made.take(Bar("a", done=6, total=10))
    made.take(Bar("b", done=1, total=2))
    assert (1, 2) == made.read()
