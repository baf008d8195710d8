"""The tests run in steps: each test in exactly one, and no step hides a failure of another."""

from __future__ import annotations

import pytest

from tests import conftest, support
from tools import suite


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([0, 0], 0),
        ([0, 5], 0),
        ([5, 0], 0),
        ([5, 5], 5),
        ([1, 0], 1),
        ([0, 1], 1),
        ([5, 1], 1),
        ([2], 2),
        ([0, 4], 4),
    ],
)
def test_the_outcome_is_that_of_the_step_that_failed(codes, code):
    assert code == suite.outcome(codes)


@pytest.mark.parametrize("interrupted", [2, 3, 4])
def test_after_an_interruption_no_further_step_runs(monkeypatch, interrupted):
    commands = []

    def run(command, **_):
        commands.append(command)
        return suite.subprocess.CompletedProcess(command, interrupted)

    monkeypatch.setattr(suite.subprocess, "run", run)
    assert interrupted == suite.main(["-k", "log"])
    (command,) = commands
    assert "--step=together" in command
    assert ["-k", "log"] == command[-2:]


@pytest.mark.parametrize(
    ("marker", "step"),
    [(None, "together"), ("slow", "together"), ("browser", "alone"), ("notebook", "alone"), ("long", "long")],
)
def test_a_marker_tells_the_step_of_a_test(request, marker, step):
    if marker:
        request.node.add_marker(marker)
    assert step == conftest.step_of(request.node)


def test_every_step_that_conftest_knows_is_run_by_make():
    makefile = (support.ROOT / "Makefile").read_text()
    assert {"together", "alone"} == suite.STEPS.keys()
    assert "--step=long" in makefile
    assert "tools/suite.py" in makefile


def test_workers_take_ports_of_their_own():
    ranges = [set(support.ports_of(worker)) for worker in range(5)]
    assert sum(map(len, ranges)) == len(set().union(*ranges))
    given = [support.free_port() for _ in range(20)]
    assert 20 == len(set(given))
    assert set(given) <= set(support._PORTS)
