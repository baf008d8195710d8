"""How long after it was published an event is seen in Chromium, when twenty look at its run; and where the time goes.

    python benchmarks/visible.py [--short] [--viewers 20] [--rate 10] [--seconds 20]

One viewer is a page in Chromium, the others are readers as `viewers.py` has them. Each event is a log line with its
number, beside progress. Noted for each, by the machine's one clock: when its publisher began to send it, had it
acknowledged, the readers had it, the page's WebSocket had it, the page's tree had it, and the frame with it was drawn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import time
from collections import defaultdict

import httpx
from playwright.async_api import Page, async_playwright

from benchmarks.sight import PATIENCE, VIEWPORT, watch
from benchmarks.viewers import ROOT, Server, Viewer
from dashboards.data.feed import INTERVAL_SECONDS
from tests.support import CHROMIUM_ARGUMENTS, chromium_path

#: Milliseconds that an event may take beyond the update interval.
TARGET = 150
#: Events that go before the ones that count: until the page has settled.
WARM = 20
PATTERN = r"event number (\d+) of this run"

STAGES = {
    "acknowledged": "acknowledged to its publisher",
    "readers": "at the other viewers",
    "socket": "at the page's WebSocket",
    "tree": "in the page's tree",
    "drawn": "drawn",
}


class Reader(Viewer):
    """A viewer that notes when it first had each event."""

    def __init__(self) -> None:
        super().__init__()
        self.had: dict[int, float] = {}

    def take(self, content: str) -> None:
        super().take(content)
        now = 1000 * time.time()
        for found in re.findall(PATTERN, content):
            self.had.setdefault(int(found), now)


async def publish(
    api: str, run: str, token: str, numbers: range, rate: float
) -> tuple[dict[int, float], ...]:
    """Publish events evenly; return when each was sent, and when it was acknowledged."""
    sent, acknowledged = {}, {}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    async with httpx.AsyncClient(timeout=60) as client:
        due = time.perf_counter()
        for number in numbers:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            due += 1 / rate
            events = (
                {"event": "progress", "phase": "load", "done": number, "total": 1_000_000},
                {"event": "log", "message": f"event number {number} of this run"},
            )
            lines = [json.dumps({"seq": 2 * number - 1 + i, **event}) for i, event in enumerate(events)]
            sent[number] = 1000 * time.time()
            answer = await client.post(
                f"{api}/api/runs/{run}/events", content="\n".join(lines), headers=headers
            )
            answer.raise_for_status()
            acknowledged[number] = 1000 * time.time()
    return sent, acknowledged


async def seen(page: Page, last: int) -> dict[str, dict[int, float]]:
    """Wait until a page has drawn an event; return when which came where."""
    await page.wait_for_function(f"window.seen.drawn[{last}] !== undefined", timeout=PATIENCE)
    line = page.get_by_text(f"event number {last} of this run", exact=True).first
    if not await line.evaluate("(node) => node.getBoundingClientRect().bottom <= innerHeight"):
        raise SystemExit("the newest line is outside of the window")
    found: dict[str, dict[str, float]] = await page.evaluate("window.seen")
    return {place: {int(number): when for number, when in times.items()} for place, times in found.items()}


async def measure(viewers: int, rate: float, seconds: float) -> dict[str, list[float]]:
    """Return the milliseconds from sending to each stage, of every event (and of every other viewer)."""
    server = Server(ROOT / "dashboards", "/dashboards")
    try:
        body = {"title": "Visible", "phases": [{"name": "load"}]}
        readers = [Reader() for _ in range(viewers - 1)]
        async with httpx.AsyncClient(timeout=120) as client, async_playwright() as playwright:
            made = (await client.post(f"{server.api}/api/runs", json=body)).json()
            url = f"{server.url}?run={made['run']}"
            for reader in readers:
                await reader.open(url, client)
            browser = await playwright.chromium.launch(
                executable_path=chromium_path(), args=list(CHROMIUM_ARGUMENTS)
            )
            page = await browser.new_page(viewport=VIEWPORT)
            await page.add_init_script(watch(PATTERN))
            await page.goto(url)
            await page.get_by_role("tab", name="Log").wait_for()
            last = WARM + round(rate * seconds)
            sent, acknowledged = await publish(
                server.api, made["run"], made["token"], range(1, last + 1), rate
            )
            stages = await seen(page, last)
            await browser.close()
        for reader in readers:
            await reader.close()
    finally:
        server.close()
    lags: dict[str, list[float]] = defaultdict(list)
    times = [
        ("acknowledged", acknowledged),
        *(("readers", reader.had) for reader in readers),
        *stages.items(),
    ]
    for stage, when in times:
        missing = sent.keys() - when.keys()
        if missing:
            raise SystemExit(f"{len(missing)} of {last} events were never {STAGES[stage]}")
        lags[stage] += [when[number] - sent[number] for number in range(WARM + 1, last + 1)]
    return lags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="six seconds instead of twenty")
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--rate", type=float, default=10.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    lags = asyncio.run(measure(asked.viewers, asked.rate, 6.0 if asked.short else asked.seconds))
    print(
        f"{asked.viewers} viewers of one run, one of them in Chromium, {asked.rate:g} events/s;"
        " milliseconds since an event was sent"
    )
    for stage, name in STAGES.items():
        p50, p95 = statistics.median(lags[stage]), statistics.quantiles(lags[stage], n=20)[-1]
        print(f"  {name:30} p50 {p50:7.1f}   p95 {p95:7.1f}")
    interval = 1000 * INTERVAL_SECONDS
    beyond = statistics.quantiles(lags["drawn"], n=20)[-1] - interval
    print(
        f"drawn, beyond the update interval of {interval:g} ms: p50 {statistics.median(lags['drawn']) - interval:.1f},"
        f" p95 {beyond:.1f} (at most {TARGET} wanted)"
    )


if __name__ == "__main__":
    main()
