"""The tests run in steps: each test in exactly one, and no step hides a failure of another."""

from __future__ import annotations

import pytest

from tests import conftest, support
from tools import newer, suite


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
    monkeypatch.setattr(newer, "find", lambda: None)
    assert interrupted == suite.main(["-k", "log"])
    (command,) = commands
    assert "--step=together" in command
    assert ["-k", "log"] == command[-2:]


@pytest.fixture
def commands(monkeypatch):
    """The command lines of the steps, none of which is started."""
    given = []

    def run(command, **_):
        given.append([str(part) for part in command])
        return suite.subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(suite.subprocess, "run", run)
    monkeypatch.setattr(newer, "is_running", lambda: False)
    return given


def test_the_newer_python_has_an_environment_and_a_step_of_its_own(commands, monkeypatch, tmp_path):
    monkeypatch.setattr(newer, "find", lambda: tmp_path / "python3.13")
    assert 0 == suite.main(["-k", "log"])
    *_, installs, tests = commands
    assert str(tmp_path / "python3.13") == installs[0]
    assert ["--folder=.venv-newer", "test"] == installs[2:]
    assert str(support.ROOT / ".venv-newer" / "bin" / "python") == tests[0]
    assert "--step=newer" in tests
    assert ["-k", "log"] == tests[-2:]


def test_without_a_newer_python_the_suite_says_so(commands, monkeypatch, capsys):
    monkeypatch.setattr(newer, "find", lambda: None)
    assert 0 == suite.main([])
    assert len(suite.STEPS) == len(commands)
    assert "no Python 3.12 or 3.13" in capsys.readouterr().out


def test_an_environment_that_could_not_be_made_is_said_and_counts_as_a_step_without_tests(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(newer, "prepare", lambda python: None)
    assert 5 == suite.run_newer(tmp_path / "python3.13", [])
    assert "these tests did not run" in capsys.readouterr().out


def test_a_python_that_only_complains_is_passed_over(monkeypatch, tmp_path):
    def program(path, code):
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\nexit {code}\n")
        path.chmod(0o755)
        return path

    shim = program(tmp_path / "shims" / "python3.12", 127)
    program(tmp_path / "root" / "versions" / "3.12.1" / "bin" / "python3", 1)
    works = program(tmp_path / "root" / "versions" / "3.13.2" / "bin" / "python3", 0)
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert works == newer.find()
    works.unlink()
    assert newer.find() is None


@pytest.mark.parametrize(
    ("module", "markers", "repeated"),
    [
        ("dashboards/test_start.py", (), True),
        ("dashboards/data/test_feed.py", (), True),
        ("dashboards/test_start.py", ("slow",), False),
        ("model/test_summary.py", (), False),
        ("browser/test_main_job.py", ("browser",), False),
        ("browser/test_main_job.py", ("browser", "slow", "newer"), True),
    ],
)
def test_the_dashboards_and_marked_tests_are_repeated_on_a_newer_python(
    request, monkeypatch, module, markers, repeated
):
    monkeypatch.setattr(request.node, "path", support.ROOT / "tests" / module)
    for marker in markers:
        request.node.add_marker(marker)
    assert repeated == conftest.is_for_newer(request.node)


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
