"""What becomes of runs, in Chromium: done again, limited, hanging, cancelled against their will."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support import ROOT, ServerProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {
        "STREAMER_PIPELINES": str(ROOT / "tests" / "reliability" / "pipelines.py"),
        "STREAMER_STALL_SECONDS": "2",
        "STREAMER_CANCEL_GRACE_SECONDS": "4",
        "STREAMER_KILL_GRACE_SECONDS": "1",
    }
    with ServerProcess.dashboards(tmp_path_factory.mktemp("care"), environment=environment) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    yield page
    page.close()


def start(server: ServerProcess, query: str = "", pipeline: str = "Count", **parameters: object) -> str:
    url = f"{server.api_url}/api/pipelines/{pipeline}/runs{query}"
    answer = httpx.post(url, json=parameters, timeout=30)
    return answer.json()["run"]


def state(server: ServerProcess, run_id: str) -> dict:
    return httpx.get(f"{server.api_url}/api/runs/{run_id}", timeout=30).json()


def run_of(url: str) -> str | None:
    return parse_qs(urlsplit(url).query).get("run", [None])[0]


def until_another(page: Page, *known: str) -> str:
    """Return the run whose page it is, once that is none of those."""
    page.wait_for_url(lambda url: run_of(url) not in (None, *known))
    found = run_of(page.url)
    assert found is not None
    return found


def test_failed_items_are_retried_and_a_run_is_done_again_with_other_values(server, page):
    run = start(server, n=20, delay=0.0, fail_at=7)
    page.goto(f"{server.page_url}?run={run}")
    page.get_by_role("button", name="Retry failed items").click()
    retry = until_another(page, run)
    page.get_by_role("link", name=run).wait_for()
    wait_until(lambda: state(server, retry)["status"] == "complete", timeout=30)
    assert {"success": 0, "failed": 1} == state(server, retry)["results"]
    page.get_by_role("link", name=run).click()
    page.get_by_role("link", name=retry).wait_for()
    page.get_by_role("link", name="Run again…").click()
    page.get_by_text(f"Filled with the values of run {run}").wait_for()
    assert ("20", "7") == tuple(page.locator(f"#field-{name}").input_value() for name in ("n", "fail_at"))
    page.locator("#field-fail_at").fill("0")
    page.locator("#field-time-limit").fill("3600")
    page.get_by_role("button", name="Start", exact=True).click()
    again = until_another(page, run, retry)
    wait_until(lambda: state(server, again)["status"] == "complete", timeout=30)
    ended = state(server, again)
    assert (run, {"success": 20, "failed": 0}, 3600.0) == (
        ended["retryOf"],
        ended["results"],
        ended["timeLimitSeconds"],
    )


def test_a_limited_run_counts_down_and_says_why_it_was_cancelled(server, page):
    run = start(server, "?time_limit_seconds=8", n=1000, delay=0.05)
    page.goto(f"{server.page_url}?run={run}")
    page.get_by_text("left of 8 s").wait_for()
    page.get_by_text("needed at this pace").wait_for()
    page.get_by_text("time limit of 8 s reached → acknowledged in count").wait_for()
    page.get_by_text("ended by itself").wait_for()


def sentence(page: Page, pattern: str) -> None:
    """Wait for the sentence about the run's life; its words are held together by spaces that do not break."""
    page.get_by_text(re.compile(pattern.replace(" ", r"\s"))).wait_for()


def test_a_run_that_hangs_says_for_how_long_and_that_it_is_stopped_and_goes_on(server, page):
    run = start(server, n=1000, delay=0.05)
    page.goto(f"{server.page_url}?run={run}")
    sentence(page, r"last event .+ · longest gap .+ · process \d+ is alive")
    pid = wait_until(lambda: state(server, run)["process"], timeout=30)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        said = rf"no sign of life for .+ · last event .+ ago · longest gap .+ · process {pid} is stopped"
        sentence(page, said)
        page.get_by_text("Stalled", exact=True).first.wait_for()
    finally:
        os.kill(pid, signal.SIGCONT)
    page.get_by_text("Running", exact=True).first.wait_for()
    httpx.post(f"{server.api_url}/api/runs/{run}/cancel", timeout=30)
    page.get_by_text("acknowledged in count").wait_for()
    page.get_by_text("ended by itself").wait_for()


def test_a_run_that_ignores_its_cancel_is_killed_and_says_so(server, page, tmp_path):
    run = start(server, pipeline="Parent", folder=str(tmp_path), deaf=True, deaf_to_sigterm=True)
    wait_until((tmp_path / "pid").exists, timeout=60)
    page.goto(f"{server.page_url}?run={run}")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_text("its process was killed").wait_for()
    page.get_by_text("Cancelled", exact=True).first.wait_for()
