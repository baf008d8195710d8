"""The page of a long run in Chromium, at the length that a test or `benchmarks/soak.py` wants.

What it costs does not grow with the run: to open it, beside a short one; and to keep it open while the run grows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from msgspec import Struct

from benchmarks.size import SMALL, fill
from streamer.server.log.sqlite import SqliteLog
from streamer.settings import Settings
from tests.api_support import ndjson
from tests.support import ServerProcess, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: What a process may take beside what it had: garbage, caches, the allocator's own.
SLACK_BYTES = 28_000_000
#: And a page's heap without garbage.
HEAP_SLACK_BYTES = 5_000_000
#: What a page is sent that takes nothing for a while, until it shows what is newest: a few windows of lines.
HALTED_BYTES = 1_500_000
_BATCH = 500


class Opened(Struct):
    """What it took to open a page: seconds until its newest line is there, bytes of its WebSocket, elements, heap."""

    seconds: float
    received: int
    elements: int
    heap: int


class Pages(Struct):
    """A streamer with a log, dashboards that show it, and a browser."""

    streamer: ServerProcess
    dashboards: ServerProcess
    browser: Browser

    def memory(self) -> tuple[int, int]:
        """Return the bytes that the streamer and the dashboards have for themselves."""
        return _own(self.streamer), _own(self.dashboards)

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        page = self.browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        try:
            yield page
        finally:
            page.close()

    def open(self, page: Page, run: str, line: str) -> Opened:
        """Open a run's page, and return when it shows its newest line."""
        received = 0

        def took(payload: str | bytes) -> None:
            nonlocal received
            received += len(payload)

        page.once("websocket", lambda socket: socket.on("framereceived", took))
        began = time.perf_counter()
        page.goto(f"{self.dashboards.page_url}?run={run}")
        page.get_by_text(line, exact=True).first.wait_for()
        seconds = time.perf_counter() - began
        elements, heap = _page_size(page)
        return Opened(seconds, received, elements, heap)


def _own(server: ServerProcess) -> int:
    assert server.process is not None
    return int(psutil.Process(server.process.pid).memory_full_info().uss)


def _page_size(page: Page) -> tuple[int, int]:
    """Return how many elements a page has, and the bytes of its heap without garbage."""
    session = page.context.new_cdp_session(page)
    try:
        session.send("HeapProfiler.collectGarbage")
        heap = int(session.send("Runtime.getHeapUsage")["usedSize"])
        counters = session.send("Memory.getDOMCounters")
        return int(counters["nodes"]), heap
    finally:
        session.detach()


@contextlib.contextmanager
def pages(folder: Path, *, lines: int) -> Iterator[Pages]:
    """Fill a log with a short run and with one of so many lines and a twentieth as many failed items; start all."""
    log = SqliteLog(folder / "data" / "log.sqlite")
    fill(log, "short", SMALL)
    fill(log, "long", lines)
    log.close()
    with (
        ServerProcess.streamer(folder) as streamer,
        ServerProcess.dashboards(folder / "pages", environment={"STREAMER_URL": streamer.url}) as dashboards,
        chromium() as browser,
    ):
        yield Pages(streamer, dashboards, browser)


def opened(parts: Pages, *, lines: int) -> str:
    """Open the page of the long run beside that of the short one; look at its failed items, find an old line."""
    with parts.page() as page:
        newest = {run: f"item {n} of {n} was read" for run, n in (("short", SMALL), ("long", lines))}
        # What the first page of all costs is no run's.
        parts.open(page, "short", newest["short"])
        short = parts.open(page, "short", newest["short"])
        memory = parts.memory()
        long = parts.open(page, "long", newest["long"])
        page.get_by_role("tab", name="Failed items").click()
        page.get_by_text("item 20", exact=True).first.wait_for()
        page.get_by_role("tab", name="Log").click()
        page.get_by_label("Search the whole log").fill(f"item {lines // 2} ")
        page.get_by_text(f"item {lines // 2} of {lines} was read", exact=True).first.wait_for()
        grown = [after - before for before, after in zip(memory, parts.memory(), strict=True)]
    assert long.received < 1.5 * short.received, (short, long)
    assert long.elements < 1.5 * short.elements, (short, long)
    assert long.heap < short.heap + HEAP_SLACK_BYTES, (short, long)
    assert max(grown) < SLACK_BYTES, grown
    return (
        f"{lines:,} lines: opened in {long.seconds:.2f} s, {long.received:,} bytes, {long.heap / 1e6:.1f} MB of heap;"
        f" {SMALL:,} lines: {short.seconds:.2f} s, {short.received:,} bytes, {short.heap / 1e6:.1f} MB;"
        f" memory of the streamer {grown[0] / 1e6:+.1f} MB, of the dashboards {grown[1] / 1e6:+.1f} MB"
    )


def growing(parts: Pages, *, lines: int, width: int) -> str:
    """Keep a page open while its run logs so many lines, beside progress; look at what a fifth and all of them cost.

    `width` is the number of characters of a line: a million of a hundred are far more than what is allowed.
    """
    with parts.page() as page, httpx.Client(base_url=parts.streamer.url, timeout=60) as http:
        run = _Growing(http, lines, width)
        page.goto(f"{parts.dashboards.page_url}?run={run.id}")
        page.get_by_role("heading", name="Grows").wait_for()
        sizes = []
        for part in (10, 5, 1):
            page.get_by_text(run.grow(lines // part), exact=True).first.wait_for()
            sizes.append((*parts.memory(), *_page_size(page)))
    _, early, late = sizes
    streamer, dashboards, elements, heap = (after - before for before, after in zip(early, late, strict=True))
    # What the newest entries take in the streamer, so that many read them from memory, is bounded by a setting.
    assert streamer < SLACK_BYTES + 2 * Settings().tail_bytes, sizes
    assert dashboards < SLACK_BYTES, sizes
    assert elements < 500, sizes
    assert heap < HEAP_SLACK_BYTES, sizes
    return (
        f"from {lines // 5:,} to {lines:,} lines the streamer took {streamer / 1e6:.1f} MB more,"
        f" the dashboards {dashboards / 1e6:.1f} MB, the page {heap / 1e6:.1f} MB and {elements} elements"
    )


def halted(parts: Pages, *, lines: int) -> str:
    """Halt a page while its run logs so many lines; it must be waited for, and then be told what there is to see."""
    received = 0

    def took(payload: str | bytes) -> None:
        nonlocal received
        received += len(payload)

    with parts.page() as page, httpx.Client(base_url=parts.streamer.url, timeout=60) as http:
        page.on("websocket", lambda socket: socket.on("framereceived", took))
        run = _Growing(http, SMALL + lines, 100)
        page.goto(f"{parts.dashboards.page_url}?run={run.id}")
        page.get_by_text(run.grow(SMALL), exact=True).first.wait_for()
        memory, before = parts.memory(), received
        debugger = page.context.new_cdp_session(page)
        debugger.send("Debugger.enable")
        debugger.send("Debugger.pause")
        last = run.grow(SMALL + lines)
        grown = parts.memory()[1] - memory[1]
        debugger.send("Debugger.disable")
        page.get_by_text(last, exact=True).first.wait_for()
    # One message was on its way, and one follows that has all since; more while the dashboards themselves are behind.
    assert received - before < HALTED_BYTES, received - before
    assert grown < SLACK_BYTES, grown
    return (
        f"a page that was halted for {lines:,} lines took {received - before:,} bytes to show the last one;"
        f" the dashboards {grown / 1e6:+.1f} MB meanwhile"
    )


class _Growing:
    """A run that logs lines, as many as it is told."""

    def __init__(self, http: httpx.Client, lines: int, width: int) -> None:
        made = http.post("/api/runs", json={"title": "Grows", "phases": [{"name": "load"}]}).json()
        self.id = str(made["run"])
        self._http = http
        self._headers = {"Authorization": f"Bearer {made['token']}"}
        self._lines = lines
        self._width = width
        self._logged = self._seq = 0

    def grow(self, lines: int) -> str:
        """Log until there are so many lines; return the last one."""
        while self._logged < lines:
            numbers = range(self._logged + 1, min(self._logged + _BATCH, lines) + 1)
            events: list[dict[str, object]] = [{"event": "log", "message": self._line(n)} for n in numbers]
            events.append({"event": "progress", "phase": "load", "done": numbers[-1], "total": self._lines})
            body = ndjson(*events, first=self._seq + 1)
            self._http.post(
                f"/api/runs/{self.id}/events", content=body, headers=self._headers
            ).raise_for_status()
            self._logged, self._seq = numbers[-1], self._seq + len(events)
        return self._line(lines)

    def _line(self, number: int) -> str:
        return f"line {number} of {self._lines} ".ljust(self._width, "x")
