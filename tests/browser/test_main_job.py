"""The main job, as its users do it: start a pipeline from the form, watch it, share its address, read its result."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support import ServerProcess, wait_until
from tests.terminal_support import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.dashboards(tmp_path_factory.mktemp("main-job")) as running:
        yield running


@pytest.fixture
def open_page(browser: Browser) -> Iterator:
    """Return a function that opens an address in a browser context of its own, as another person would."""
    contexts = []

    def open_(url: str, **options) -> Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()


def start(server: ServerProcess, pipeline: str = "Count", **parameters: object) -> str:
    answer = httpx.post(f"{server.api_url}/api/pipelines/{pipeline}/runs", json=parameters, timeout=30)
    return answer.json()["run"]


def register(server: ServerProcess, title: str, **more: object) -> tuple[str, Callable[..., None]]:
    """Return a run that is executed here, and what sends events of it."""
    made = httpx.post(f"{server.api_url}/api/runs", json={"title": title, **more}, timeout=30).json()

    def send(*events: dict) -> None:
        httpx.post(
            f"{server.api_url}/api/runs/{made['run']}/events",
            content="\n".join(json.dumps(event) for event in events),
            headers={"Authorization": f"Bearer {made['token']}", "Content-Type": "application/x-ndjson"},
            timeout=30,
        ).raise_for_status()

    return made["run"], send


def state(server: ServerProcess, run_id: str) -> dict:
    return httpx.get(f"{server.api_url}/api/runs/{run_id}", timeout=30).json()


def percent(page: Page) -> int:
    return int(re.sub(r"\D", "", page.locator(".pct").inner_text()) or 0)


def until_percent(page: Page, least: int) -> int:
    page.locator(".pct").wait_for()
    wait_until(lambda: percent(page) >= least, timeout=180, message=lambda: f"{percent(page)} % of {least} %")
    return percent(page)


def run_id_of(page: Page) -> str:
    return page.url.partition("run=")[2].partition("&")[0]


@pytest.mark.newer
def test_a_pipeline_is_started_from_the_form_watched_shared_and_its_result_read(server, open_page):
    page = open_page(f"{server.page_url}?start=ImportPrices")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"run=\w+"))
    seen = until_percent(page, 11)
    assert page.get_by_text("Running", exact=True).first.is_visible()

    colleague = open_page(page.url)
    assert until_percent(colleague, seen) < 100
    assert colleague.get_by_role("heading", name="Import prices").is_visible()

    page.reload()
    assert until_percent(page, seen) >= seen
    for one in (page, colleague):
        until_percent(one, 100)
        one.get_by_text("Complete", exact=True).first.wait_for()
    page.get_by_role("tab", name="Result").click()
    for symbol in ("AAPL", "GOOG", "MSFT"):
        page.get_by_text(symbol, exact=True).first.wait_for()
    phases = state(server, run_id_of(page))["phases"]
    assert ["finished"] * 3 == [phase["status"] for phase in phases]


def test_a_run_is_cancelled_after_a_question(server, open_page):
    run_id = start(server, n=100_000, delay=0.05)
    page = open_page(f"{server.page_url}?run={run_id}")
    page.get_by_text("Running", exact=True).first.wait_for()
    page.get_by_role("button", name="Cancel", exact=True).click()
    assert "running" == state(server, run_id)["status"]
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_text("Cancelled", exact=True).first.wait_for()
    assert "cancelled" == state(server, run_id)["status"]


def test_a_failing_run_shows_its_traceback(server, open_page):
    run_id = start(server, n=20, delay=0.0, fail=True)
    page = open_page(f"{server.page_url}?run={run_id}")
    page.get_by_text("Failed", exact=True).first.wait_for()
    error = state(server, run_id)["error"]
    page.get_by_text(error["message"]).first.wait_for()
    assert "Traceback" in error["traceback"]
    page.get_by_text("Traceback (most recent call last)").first.wait_for(state="attached")


def test_a_failed_item_is_listed_and_the_rest_went_on(server, open_page):
    run_id = start(server, n=20, delay=0.0, fail_at=7)
    page = open_page(f"{server.page_url}?run={run_id}")
    page.get_by_text(re.compile("1 of 20 failed")).first.wait_for()
    page.get_by_role("tab", name="Failed items").click()
    page.locator(".items summary").first.click()
    assert "Traceback" in page.locator(".items pre:visible").inner_text()


def test_what_is_logged_is_shown_never_run(server, open_page):
    run_id, send = register(server, "<img src=x onerror=alert(1)>")
    send({"seq": 1, "event": "log", "message": '<img src=x onerror="document.title=1"> seen'})
    page = open_page(f"{server.page_url}?run={run_id}")
    page.get_by_text('<img src=x onerror="document.title=1"> seen').wait_for()
    assert 0 == page.locator("img[src=x]").count()
    assert "1" != page.title()


def test_the_page_and_a_terminal_say_the_same_of_a_run_under_way_and_at_its_end(server, open_page):
    phases = [{"name": "load", "weight": 3}, {"name": "fit", "weight": 1}]
    run_id, send = register(server, "Told twice", phases=phases)
    bad = [
        {"seq": n, "event": "failure", "item": f"row {n}", "error": {"type": "ValueError"}} for n in (2, 3, 4)
    ]
    send(
        {"seq": 1, "event": "phase", "phase": "load", "phaseStatus": "started"},
        *bad,
        {
            "seq": 5,
            "event": "progress",
            "done": 1204,
            "total": 2000,
            "unit": "rows",
            "results": {"success": 1201},
        },
    )
    page = open_page(f"{server.page_url}?run={run_id}")
    command = [sys.executable, "-m", "streamer", "watch", run_id, "--url", server.api_url]
    with Terminal(command, server.environment, columns=100) as shown:

        def compare() -> None:
            for said in ("1,204 of 2,000 rows", "3 failed"):
                shown.wait_for(said)
            page.get_by_text(re.compile("1,204 of 2,000")).first.wait_for()
            for number in ("1,201", "3"):
                page.locator(".stats").get_by_text(number, exact=True).first.wait_for()
            assert "1,201 succeeded" in shown.text
            (told,) = set(re.findall(r"^[━╸╺]+ +(\d+) %$", shown.text, re.MULTILINE))
            assert (45, 45) == (percent(page), int(told))

        compare()
        send({"seq": 6, "event": "failed", "error": {"type": "ValueError", "message": "no disk"}})
        assert 1 == shown.wait()
        page.get_by_text("Failed", exact=True).first.wait_for()
        compare()
        page.get_by_text("no disk").first.wait_for()
        assert "no disk" in shown.text


def test_a_run_that_does_not_exist_is_said(server, open_page):
    page = open_page(f"{server.page_url}?run=nobody", viewport={"width": 400, "height": 800})
    page.get_by_text("No such run").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.newer
def test_the_runs_are_listed_and_a_click_opens_one(server, open_page):
    run_id = start(server, n=5, delay=0.0)
    page = open_page(server.page_url)
    page.locator(f'a[href*="run={run_id}"]').first.click()
    page.wait_for_url(re.compile(f"run={run_id}"))
    until_percent(page, 100)


def click_slowly(page, target, until_changed):
    """Press the mouse on something, and let go when its surroundings were drawn anew meanwhile."""
    before = until_changed.inner_text()
    target.hover()
    page.mouse.down()
    wait_until(lambda: until_changed.inner_text() != before, timeout=30)
    page.mouse.up()


def test_a_click_is_not_lost_to_an_update_that_comes_while_it_is_made(server, open_page):
    repeated = start(server, n=1, delay=0.0)
    wait_until(lambda: "complete" == state(server, repeated)["status"], timeout=60)
    again = f"{server.api_url}/api/runs/{repeated}/retry?time_limit_seconds=3600"
    parameters = {"n": 100_000, "delay": 0.05}
    run_id = httpx.post(again, json={"items": "all", "parameters": parameters}, timeout=30).json()["run"]
    page = open_page(server.page_url)
    row = page.locator("tbody tr", has=page.locator(f'a[href*="run={run_id}"]'))
    click_slowly(page, row.get_by_role("link"), row)
    page.wait_for_url(re.compile(f"run={run_id}"))
    facts = page.locator(".facts", has_text="left of")
    click_slowly(page, facts.get_by_role("link", name=repeated), facts)
    page.wait_for_url(re.compile(f"run={repeated}"))
    httpx.post(f"{server.api_url}/api/runs/{run_id}/cancel", json={}, timeout=30)


def test_what_is_typed_is_not_undone_by_an_update_before_it_is_sent(server, open_page):
    run_id, send = register(server, "Searched")
    page = open_page(f"{server.page_url}?run={run_id}")
    send({"seq": 1, "event": "log", "message": "a needle"})
    page.get_by_text("a needle").wait_for()
    # Its time stands still: what is typed waits to be sent.
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    search = page.get_by_role("searchbox", name="Search the whole log")
    search.fill("needle")
    search.blur()
    send({"seq": 2, "event": "log", "message": "hay"})
    page.get_by_text("hay").wait_for()
    page.clock.resume()
    page.get_by_text("hay").wait_for(state="detached")
    assert ("needle", 1) == (search.input_value(), page.get_by_text("a needle").count())


def test_a_run_that_ends_while_its_page_is_made_is_shown_as_over(server, open_page):
    run_id = start(server, n=10, delay=60.0)
    page = open_page(f"{server.page_url}?run={run_id}")
    page.locator(".pct").wait_for()
    # The end comes after the page was read, and before its browser says that it is drawn.
    ended = []
    page.context.route_web_socket(lambda _url: True, lambda socket: relay(socket, run_id, server, ended))
    page.reload()
    page.get_by_text("Cancelled", exact=True).first.wait_for()
    assert [run_id] == ended


def relay(socket, run_id, server, ended):
    """Pass everything on; when the page has been read, end its run first, and let the browser go on only then."""
    other = socket.connect_to_server()
    other.on_message(socket.send)

    def to_server(message):
        if "document_ready" in str(message) and not ended:
            httpx.post(f"{server.api_url}/api/runs/{run_id}/cancel", json={}, timeout=30)
            wait_until(lambda: state(server, run_id)["status"] == "cancelled", timeout=60)
            ended.append(run_id)
        other.send(message)

    socket.on_message(to_server)


def test_a_page_says_that_the_streamer_is_away_and_recovers_by_itself(tmp_path, open_page):
    with (
        ServerProcess.streamer(tmp_path / "streamer") as streamer,
        ServerProcess.dashboards(tmp_path / "pages", environment={"STREAMER_URL": streamer.url}) as pages,
    ):
        run_id = start(streamer, n=400, delay=0.02)
        page = open_page(f"{pages.page_url}?run={run_id}")
        seen = until_percent(page, 5)
        streamer.kill()
        page.get_by_text(re.compile("away|cannot be reached|not reached", re.IGNORECASE)).first.wait_for()
        streamer.restart()
        assert until_percent(page, 100) > seen
        assert 400 == state(streamer, run_id)["results"]["success"]


def test_a_page_says_that_it_lost_its_server_and_comes_back_with_it(tmp_path, open_page):
    with ServerProcess.dashboards(tmp_path) as server:
        run_id = start(server, n=2_000, delay=0.02)
        page = open_page(f"{server.page_url}?run={run_id}&tab=parameters")
        until_percent(page, 1)
        server.kill()
        page.get_by_text("The connection is lost.").wait_for()
        server.restart()
        page.get_by_text("The connection is lost.").wait_for(state="detached")
        until_percent(page, 2)
        assert "true" == page.get_by_role("tab", name="Parameters").get_attribute("aria-selected")


def test_a_page_whose_address_its_server_refuses_says_with_what_it_has_to_be_started(server, open_page):
    page = open_page(server.page_url.replace("127.0.0.1", "team.localhost"))
    page.get_by_role("heading", name="Not served").wait_for()
    page.get_by_text(f"--allow-websocket-origin=team.localhost:{server.port}").wait_for()
    page.goto(server.page_url)
    page.get_by_role("heading", name="Runs", exact=True).wait_for()


def test_a_page_that_lost_its_server_before_it_was_drawn_comes_back_with_it(tmp_path, open_page):
    with ServerProcess.dashboards(tmp_path) as server:
        page = open_page("about:blank")

        def kill_first(route):
            answer = route.fetch()
            server.kill()
            route.fulfill(response=answer)

        page.route("**/panel.min.js*", kill_first, times=1)
        page.goto(server.page_url)
        page.get_by_text("The page is loaded anew when its server answers.").wait_for()
        server.restart()
        page.get_by_role("heading", name="Runs", exact=True).wait_for()
