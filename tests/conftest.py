"""Fixtures for all tests: each has an empty data folder of its own, and the session leaves nothing running behind."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psutil
import pytest

from tests.support import chromium, end_processes, marked_processes, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

#: The first test after which a thread was seen, by the thread's identity.
_seen_after: dict[int, str] = {}


#: Markers of tests that share the machine with no other test.
ALONE = ("browser", "notebook", "alone")
#: The tests of the dashboards, which use Panel and Bokeh most.
DASHBOARDS = Path(__file__).resolve().parent / "dashboards"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which `tools/suite.py` runs the tests in steps."""
    parser.addoption(
        "--step",
        choices=("together", "alone", "newer", "long"),
        help="run only the tests of this step; see tools/suite.py",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the step that was asked for; without one, all but those marked long."""
    step = config.getoption("--step")
    if step == "newer":
        kept = [item for item in items if is_for_newer(item)]
    else:
        kept = [item for item in items if step_of(item) == step or (step is None and step_of(item) != "long")]
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in {id(one) for one in kept}])
    items[:] = kept


def step_of(item: pytest.Item) -> str:
    """Return the step that runs a test: `long`, `alone` or `together`."""
    if item.get_closest_marker("long"):
        return "long"
    return "alone" if any(item.get_closest_marker(name) for name in ALONE) else "together"


def is_for_newer(item: pytest.Item) -> bool:
    """Say whether a test is repeated on a newer Python: a quick one of the dashboards, or one marked so."""
    if item.get_closest_marker("newer"):
        return True
    slow = any(item.get_closest_marker(name) for name in (*ALONE, "slow", "long"))
    return not slow and DASHBOARDS in item.path.parents


def pytest_report_header() -> str:
    """Say with which versions the tests run."""
    names = ("panel", "bokeh", "param", "tornado", "httpx", "msgspec")
    return "versions: " + ", ".join(f"{name} {metadata.version(name)}" for name in names)


def pytest_configure(config: pytest.Config) -> None:
    """Forget the settings of whoever runs the tests, before anything is imported that reads them."""
    for name in [name for name in os.environ if name.startswith("STREAMER_")]:
        del os.environ[name]
    # A worker of pytest-xdist gets the width of its parent's terminal; a program on a terminal of its own must not.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    # The processes that tests start, some hundreds, would each compile again what they import.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # How long an example takes says how busy the machine is, nothing about the code.
    for name, examples in (("tests", 100), ("soak", 5000)):
        hypothesis.settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            suppress_health_check=[hypothesis.HealthCheck.too_slow],
        )
    hypothesis.settings.load_profile(config.getoption("--hypothesis-profile") or "tests")


def pytest_collection_finish() -> None:
    """Let the collector pass over what was imported: it stays to the end, and a look at it takes 0.2 s."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Remember where a thread came from, so that one that stays can be told to its test."""
    for thread in threading.enumerate():
        _seen_after.setdefault(id(thread), nodeid)


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty data folder; what it starts inherits it."""
    folder = tmp_path / "data"
    monkeypatch.setenv("STREAMER_DATA", str(folder))
    return folder


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Give each test the signal handlers that there were: a Panel server leaves its own behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one for each module that asks; a module that uses it cannot have coroutine tests."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail the session when a process, a thread or a listening port of the tests outlives them."""
    before = {id(thread) for thread in threading.enumerate()}
    ports_before = set(_listening_ports())
    yield
    gc.collect()
    try:
        wait_until(lambda: not _left_behind(before, ports_before))
    except AssertionError:
        left = _left_behind(before, ports_before)
        end_processes(marked_processes())
        pytest.fail("the tests left behind:\n" + "\n".join(f"  {one}" for one in left), pytrace=False)


def _left_behind(threads_before: set[int], ports_before: set[int]) -> list[str]:
    threads = [
        f"thread {thread.name}, first seen after {_seen_after.get(id(thread), 'the last test')}"
        for thread in threading.enumerate()
        if id(thread) not in threads_before and thread.is_alive()
    ]
    ports = [f"listening port {port}" for port in set(_listening_ports()) - ports_before]
    return threads + ports + [_describe(process) for process in _processes()]


def _processes() -> list[psutil.Process]:
    children = {process.pid: process for process in psutil.Process().children(recursive=True)}
    children.update((process.pid, process) for process in marked_processes())
    return [process for process in children.values() if not _is_resource_tracker(process)]


def _is_resource_tracker(process: psutil.Process) -> bool:
    # multiprocessing starts one helper for the life of the interpreter; it ends with it.
    try:
        return "multiprocessing.resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return True  # it has just ended


def _describe(process: psutil.Process) -> str:
    try:
        return f"process {process.pid}: {' '.join(process.cmdline())[:300] or process.status()}"
    except psutil.Error:
        return f"process {process.pid}, ended meanwhile"


def _listening_ports() -> list[int]:
    connections = psutil.Process().net_connections(kind="inet")
    return [one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN]
