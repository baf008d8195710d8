"""The time that a run takes, in a browser: not known, then a pace; with earlier runs a band, also before the start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support import ServerProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CODE = '''
import threading
import param
from streamer import Pipeline, phase


class Steps(Pipeline):
    """Work of a known pace: its seconds are the test's subject."""

    n = param.Integer(20)
    seconds = param.Number(0.05)

    @phase
    def go(self):
        for _ in self.track(range(self.n)):
            threading.Event().wait(self.seconds)
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("estimates")
    (folder / "steps.py").write_text(CODE)
    environment = {"STREAMER_PIPELINES": str(folder / "steps.py")}
    with ServerProcess.dashboards(folder, environment=environment) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def start(server: ServerProcess, n: int) -> str:
    path = f"{server.api_url}/api/pipelines/Steps/runs"
    run: str = httpx.post(path, json={"n": n}, timeout=30).json()["run"]
    return run


def status(server: ServerProcess, run: str) -> str:
    found: str = httpx.get(f"{server.api_url}/api/runs/{run}", timeout=30).json()["status"]
    return found


def percent(page: Page) -> int:
    return int(page.locator(".pct").get_attribute("aria-valuenow") or 0)


def test_a_first_run_says_that_nothing_is_known_and_later_ones_a_band_before_and_after_the_start(
    server: ServerProcess, page: Page
) -> None:
    page.goto(f"{server.page_url}?start=Steps")
    page.get_by_text("Duration not known yet: no earlier run has completed").wait_for()
    first = start(server, 100)
    page.goto(f"{server.page_url}?run={first}")
    page.get_by_text("from the pace of this run").wait_for()
    others = [first, *(start(server, n) for n in (10, 20, 30, 40))]
    wait_until(lambda: {"complete"} == {status(server, run) for run in others}, timeout=60)
    page.goto(f"{server.page_url}?start=Steps")
    page.get_by_text("from 5 earlier runs").wait_for()
    page.get_by_text(re.compile(r"Usually [12] s")).wait_for()
    page.locator("[name=n]").fill("160")
    page.get_by_text(re.compile(r"Usually ([6-9]|1[0-5]) s")).wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"[?&]run=\w+"))
    page.get_by_text(re.compile(r"about \d+ s left")).first.wait_for()
    page.get_by_text(re.compile(r"done around \d\d:\d\d · .*from 5 earlier runs")).wait_for()
    wait_until(lambda: percent(page) >= 5, timeout=30)
    shown = percent(page)
    assert re.match(r"\d+ % · \d+ s · Steps", page.title())
    page.reload()
    page.locator(".pct").wait_for()
    wait_until(lambda: page.locator(".pct").get_attribute("aria-valuenow") is not None, timeout=30)
    assert percent(page) >= shown
    page.goto(server.page_url)
    page.get_by_text(re.compile(r"^\d+ s left$")).first.wait_for()
