"""Hundreds of viewers of one run: how often each hears something, and how long a new page takes meanwhile.

    python benchmarks/crowd.py [--short] [--viewers 200 --processes 1]

The viewers are WebSocket clients that draw nothing (`viewers.py`), in processes of their own, so few in each that they
are not what is slow. Ten times a second the run says how far it is, and logs 20 lines.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from benchmarks.fanout import raised_limit
from benchmarks.viewers import ROOT, Producer, Server, Viewer

#: Viewers in each process of them.
TOGETHER = 250
#: Pages that each of these processes opens at once.
AT_ONCE = 2
#: Seconds before counting begins, with the run under way.
WARM = 3.0
#: Seconds that opening a viewer may take in all, however slow the machine; and all the rest.
PATIENCE_EACH, PATIENCE = 1.0, 120.0
NEW_PAGES = 5


async def watch(url: str, viewers: int) -> None:
    """Open viewers, and say so; then, for each line with seconds that is read, count for so long, and say what came."""
    opened = [Viewer() for _ in range(viewers)]
    gate = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=300) as client:

        async def one(viewer: Viewer) -> None:
            async with gate:
                await viewer.open(url, client)

        await asyncio.gather(*map(one, opened))
        print("opened", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            for viewer in opened:
                viewer.forget()
            used, began = time.process_time(), time.perf_counter()
            await asyncio.sleep(float(line))
            taken = time.perf_counter() - began
            slowest = min(viewer.patches for viewer in opened) / taken
            mean = sum(viewer.patches for viewer in opened) / taken / viewers
            longest = max(viewer.pause() for viewer in opened)
            busy = (time.process_time() - used) / taken
            print(
                json.dumps({"slowest": slowest, "mean": mean, "longest": longest, "busy": busy}), flush=True
            )
    for viewer in opened:
        await viewer.close()


class Watchers:
    """Viewers in a process of their own."""

    def __init__(self, url: str, viewers: int) -> None:
        self.viewers = viewers
        command = [sys.executable, str(Path(__file__)), "--watch", url, "--viewers", str(viewers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def says(self, seconds: float) -> str:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), seconds)
        if not line:
            raise SystemExit("viewers ended too early")
        return line

    def count(self, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


async def new_page(url: str) -> float:
    """Return the seconds until a new viewer has the page's document."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        viewer = Viewer()
        taken = await viewer.open(url, client)
        await viewer.close()
    return taken


async def measure(viewers: int, processes: int, seconds: float) -> str:
    with contextlib.ExitStack() as stack:
        server = Server(ROOT / "dashboards", "/dashboards", "--num-procs", str(processes))
        stack.callback(server.close)
        producer = Producer(server.api)
        url = f"{server.url}?run={producer.run}"
        watchers = []
        while viewers > sum(some.viewers for some in watchers):
            watchers.append(Watchers(url, min(TOGETHER, viewers - TOGETHER * len(watchers))))
            stack.callback(watchers[-1].close)
        began, memory = time.perf_counter(), server.memory()
        await asyncio.gather(*(some.says(PATIENCE + PATIENCE_EACH * viewers) for some in watchers))
        opening = time.perf_counter() - began
        memory = server.memory() - memory
        async with producer:
            await asyncio.sleep(WARM)
            used, began = server.cpu(), time.perf_counter()
            for some in watchers:
                some.count(seconds)
            news = [await new_page(url) for _ in range(NEW_PAGES)]
            found = [json.loads(await some.says(seconds + PATIENCE)) for some in watchers]
            busy = (server.cpu() - used) / (time.perf_counter() - began)
    of = "one process" if processes == 1 else f"{processes} processes"
    return (
        f"{viewers:,} viewers, {of}: {min(one['slowest'] for one in found):.1f} updates/s for the slowest,"
        f" {sum(one['mean'] for one in found) / len(found):.1f} for the mean,"
        f" longest pause {max(one['longest'] for one in found):.2f} s\n"
        f"    a new page in {sorted(news)[NEW_PAGES // 2]:.2f} s, the slowest of {NEW_PAGES} in {max(news):.2f} s;"
        f" opened in {1000 * opening / viewers:.0f} ms each, {memory / viewers / 1000:,.0f} kB each\n"
        f"    processors used: {busy:.2f} by the server, {sum(one['busy'] for one in found):.2f} by the viewers,"
        f" of {len(os.sched_getaffinity(0))}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="100 viewers of one process")
    parser.add_argument("--viewers", type=int)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.watch:
        asyncio.run(watch(asked.watch, asked.viewers))
        return
    raised_limit()
    crowds = [(200, 1), (1000, 2)]
    if asked.short:
        crowds = [(100, 1)]
    elif asked.viewers:
        crowds = [(asked.viewers, asked.processes)]
    for viewers, processes in crowds:
        print(asyncio.run(measure(viewers, processes, 5.0 if asked.short else 15.0)), flush=True)


if __name__ == "__main__":
    main()
