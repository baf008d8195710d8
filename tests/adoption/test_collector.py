"""`inside` and `Collector`: nothing is added to an item, nobody waits, and no process is trusted."""

from __future__ import annotations

import inspect
import json
import socket
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import tqdm.std
from rich.progress import Progress

from streamer.adoption import inside
from streamer.adoption.collector import Collector
from streamer.adoption.messages import Record
from streamer.model.events import Bar, Progressed
from tests.support import wait_until

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
