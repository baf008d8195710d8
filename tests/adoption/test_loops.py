"""Bars of tqdm and rich in the ways that people use them: what is a bar's, what is the run's, and what is inside."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.exec_support import Executed, executed
from tests.support import ServerProcess

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "programs" / "loops.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path_factory.mktemp("loops")) as running:
        yield running


def program(server: ServerProcess, name: str) -> Executed:
    ran = executed(server, "--", sys.executable, str(PROGRAM), name)
    assert (0, "complete") == (ran.code, ran.state["status"]), ran.err.decode()
    return ran


def progress_of(server: ServerProcess, ran: Executed) -> list[dict[str, Any]]:
    """Return the run's progress events in their order."""
    query = {"from": "start", "format": "data"}
    answer = httpx.get(f"{server.url}/api/runs/{ran.state['run']}/events", params=query, timeout=60)
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [event for event in map(json.loads, lines) if event.get("event") == "progress"]


@pytest.mark.parametrize(
    ("name", "bars", "counts"),
    [
        ("by_hand_in_a_loop", {"decompress": (200, 200, "finished")}, (200, 200)),
        ("fewer_items", {"fewer": (10, 10, "finished")}, (10, 10)),
        ("steps_back", {"back": (20, 20, "finished")}, (20, 20)),
        ("total_of_zero", {"zero": (50, None, "finished")}, (50, 50)),
        ("no_items", {"nothing": (0, None, "finished")}, (0, 0)),
        ("tasks", {"task 1": (5, 5, "finished"), "task 2": (6, 6, "finished")}, (11, 11)),
        ("zipped", {"left": (12, 12, "finished"), "right": (12, 12, "finished")}, (24, 24)),
        ("zipped_bars", {"left": (12, 12, "finished"), "right": (12, 12, "finished")}, (24, 24)),
        ("rich_reset", {"outer": (4, 4, "finished"), "inner": (20, 20, "finished")}, (4, 4)),
        ("rich_set_to_zero", {"outer": (4, 4, "finished"), "inner": (20, 20, "finished")}, (4, 4)),
        ("rich_reset_afterwards", {"outer": (4, 4, "finished"), "inner": (20, 20, "finished")}, (4, 4)),
        ("zero_before_its_end", {"zero at last": (20, 20, "finished")}, (20, 20)),
        ("resumed", {"resumed": (100, 100, "finished")}, (100, 100)),
        ("shrinks", {"shrinks": (30, 30, "finished")}, (30, 30)),
        ("scaled", {"scaled": (2000, 2000, "finished")}, (4000, 4000)),
        ("short_and_long", {"short": (5, 5, "finished"), "long": (100, 100, "finished")}, (105, 105)),
        ("rich_side_by_side", {f"file {n}": (30 + n, 30 + n, "finished") for n in range(3)}, (93, 93)),
        ("epochs", {"epoch": (20, 20, "finished")}, (60, 60)),
        ("manual", {"outer": (4, 4, "finished"), "inner": (10, 10, "finished")}, (4, 4)),
        ("disabled", {"shown": (5, 5, "finished")}, (5, 5)),
    ],
)
def test_bars_count_what_was_done(
    server: ServerProcess, name: str, bars: dict[str, tuple[Any, Any, str]], counts: tuple[Any, Any]
) -> None:
    ran = program(server, name)
    assert bars == ran.bars()
    assert {None} == {bar["parent"] for bar in ran.state["bars"]}
    assert counts == (ran.state["done"], ran.state["total"])
    reached = [event["overallProgress"] for event in progress_of(server, ran)]
    assert reached == sorted(reached)


@pytest.mark.parametrize(("name", "counts"), [("wrapped", (3, 3)), ("nested_progress", (3, 3))])
def test_a_loop_in_a_loop_s_body_is_inside(server: ServerProcess, name: str, counts: tuple[Any, Any]) -> None:
    ran = program(server, name)
    names = {bar["id"]: bar["name"] for bar in ran.state["bars"]}
    assert [("inner", "outer")] * 3 == [
        (bar["name"], names[bar["parent"]]) for bar in ran.state["bars"] if bar["parent"]
    ]
    assert counts == (ran.state["done"], ran.state["total"])


def test_a_bar_over_a_generator_that_has_one_stands_beside_it(server: ServerProcess) -> None:
    ran = program(server, "pipeline")
    assert {"source": (12, 12, "finished"), "sink": (12, 12, "finished")} == ran.bars()
    assert {None} == {bar["parent"] for bar in ran.state["bars"]}


def test_bars_of_workers_do_not_count_beside_the_bar_over_their_results(server: ServerProcess) -> None:
    assert (6, 6) == counts_of(program(server, "threads_in_a_loop"))
    assert (3, 3) == counts_of(program(server, "gathered_in_a_loop"))


def test_a_short_bar_before_a_long_one_is_no_percentage(server: ServerProcess) -> None:
    events = progress_of(server, program(server, "short_and_long"))
    for event in events:
        long = [bar for bar in event["bars"] if bar["name"] == "long"]
        if not long or long[0]["done"] < 50:
            assert event["overallProgress"] < 60


def counts_of(ran: Executed) -> tuple[Any, Any]:
    return ran.state["done"], ran.state["total"]


def test_the_inner_bar_does_not_carry_the_run_beyond_the_outer_one(server: ServerProcess) -> None:
    ran = program(server, "rich_reset")
    for event in progress_of(server, ran):
        outer = [bar for bar in event["bars"] if bar["name"] == "outer"]
        if outer and event["total"]:
            assert event["overallProgress"] <= outer[0]["done"] / outer[0]["total"] * 100 + 1
