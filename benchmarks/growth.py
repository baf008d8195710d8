"""How costs grow, each beside its peer, as one chart: `growth.html` and `growth.png` beside this program.

    python benchmarks/growth.py [--short] [--out FOLDER]

- Server CPU time for a delivery, against the readers of one run; nchan.
- Seconds until Chromium has drawn the log of a run's page, against its lines; a plain Panel page with a Tabulator.
- Memory of the dashboards' process, against viewers of one run; a plain Panel page.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import Div
from bokeh.plotting import figure
from bokeh.resources import CDN, INLINE

from benchmarks.fanout import PEERS, Result, present, raised_limit
from benchmarks.fanout import measure as deliver
from benchmarks.sight import seconds_to_see
from benchmarks.size import fill
from benchmarks.viewers import PLAIN, ROOT, Producer, Server, Viewer
from streamer.server.log.sqlite import SqliteLog
from tests.support import chromium

HERE = Path(__file__).resolve().parent
COLOURS = {"ours": "#0b6bcb", "nchan": "#b4532a", "plain Panel page": "#b4532a"}
Series = dict[str, list[tuple[float, float]]]


def per_delivery(readers: Sequence[int], seconds: float) -> Series:
    """Return microseconds of the server's processor for a delivery, for each number of readers."""
    found: Series = {name: [] for name in present(("ours", "nchan"))}
    for number in readers:
        for name, points in found.items():
            result = Result()
            deliver(PEERS[name], number, seconds, result)
            points.append((number, 1e6 * result.busy[0] / result.deliveries[0]))
    return found


def opened(url: str, pattern: str, times: int) -> float:
    """Return the median of the seconds until Chromium has drawn what matches, once the first time is over."""
    with chromium() as browser:
        return statistics.median([seconds_to_see(browser, url, pattern) for _ in range(times + 1)][1:])


def page_open(lines: Sequence[int], most_rows: int) -> Series:
    """Return seconds to see the log in a page that is opened, for each number of its lines."""
    found: Series = {"ours": [], "plain Panel page": []}
    for number in lines:
        with tempfile.TemporaryDirectory() as folder:
            log = SqliteLog(Path(folder) / "log.sqlite")
            fill(log, "long", number)
            log.close()
            server = Server(ROOT / "dashboards", "/dashboards", STREAMER_DATA=folder)
            try:
                newest = f"item {number} of {number} was read"
                found["ours"].append((number, opened(f"{server.url}?run=long", newest, 5)))
            finally:
                server.close()
        if number <= most_rows:
            server = Server(PLAIN, "/plain_page", PLAIN_PAGE_ROWS=str(number))
            try:
                found["plain Panel page"].append((number, opened(server.url, "row 0 was loaded", 3)))
            finally:
                server.close()
    return found


async def _fill_with_viewers(server: Server, url: str, viewers: Sequence[int]) -> list[tuple[float, float]]:
    points, here = [], []
    async with httpx.AsyncClient(timeout=300) as client:
        for number in viewers:
            while len(here) < number:
                here.append(Viewer())
                await here[-1].open(url, client)
            points.append((float(number), server.memory() / 1e6))
        for viewer in here:
            await viewer.close()
    return points


def memory(viewers: Sequence[int]) -> Series:
    """Return megabytes of the dashboards' process, for each number of viewers."""
    found: Series = {}
    server = Server(ROOT / "dashboards", "/dashboards")
    try:
        producer = Producer(server.api)
        found["ours"] = asyncio.run(_fill_with_viewers(server, f"{server.url}?run={producer.run}", viewers))
    finally:
        server.close()
    server = Server(PLAIN, "/plain_page")
    try:
        found["plain Panel page"] = asyncio.run(_fill_with_viewers(server, server.url, viewers))
    finally:
        server.close()
    return found


def chart(title: str, x: str, y: str, series: Series, *, wide: bool) -> figure:
    scales = {"x_axis_type": "log"} if wide else {}
    plot = figure(title=title, x_axis_label=x, y_axis_label=y, width=760, height=280, **scales)
    for name, points in series.items():
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        plot.line(xs, ys, line_width=2, color=COLOURS[name], legend_label=name)
        plot.scatter(xs, ys, size=7, color=COLOURS[name], legend_label=name)
    plot.y_range.start = 0
    plot.add_layout(plot.legend[0], "right")
    plot.toolbar_location = None
    return plot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="few points: a minute")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the chart")
    asked = parser.parse_args()
    short = asked.short
    raised_limit()
    deliveries = per_delivery([100, 1000] if short else [100, 300, 1000, 3000, 5000], 1.0 if short else 3.0)
    pages = page_open([1000, 10_000] if short else [1000, 10_000, 100_000, 1_000_000], 100_000)
    megabytes = memory([1, 10] if short else [1, 10, 20, 40, 80])
    parts = {
        "Server CPU time for a delivery, µs": deliveries,
        "Seconds to open a run's page": pages,
        "Memory of the dashboards' process, MB": megabytes,
    }
    for name, series in parts.items():
        for peer, points in series.items():
            print(f"{name}, {peer}: " + ", ".join(f"{x:,.0f}: {y:.2f}" for x, y in points))
    axes = {
        "Server CPU time for a delivery, µs": ("readers of one run", "µs", True),
        "Seconds to open a run's page": ("lines of its log", "s", True),
        "Memory of the dashboards' process, MB": ("viewers of one run", "MB", False),
    }
    plots = [chart(name, axes[name][0], axes[name][1], s, wide=axes[name][2]) for name, s in parts.items()]
    page = column(Div(text="<h2>How costs grow</h2>"), *plots)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "growth.html").write_text(file_html(page, CDN, title="How costs grow"))
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        whole = Path(folder) / "growth.html"
        whole.write_text(file_html(page, INLINE, title="How costs grow"))
        tab = browser.new_page(viewport={"width": 800, "height": 960})
        tab.goto(whole.as_uri())
        tab.wait_for_selector(".bk-Figure")
        tab.wait_for_timeout(500)
        tab.screenshot(path=asked.out / "growth.png")


if __name__ == "__main__":
    main()
