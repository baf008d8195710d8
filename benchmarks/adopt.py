"""Loops with a bar of tqdm and of rich, alone and adopted, interleaved in one process: what adoption costs an item.

Prints medians in nanoseconds per item above the bare loop, and the ratio adopted to alone; of very short loops too,
where a bar's beginning and end are all there is.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from tqdm import tqdm

from streamer.adoption import inside
from streamer.adoption.collector import Collector

ITEMS = 3_000_000
ROUNDS = 9
BARS = 500


def taken(items: Iterable[int]) -> float:
    start = time.perf_counter()
    deque(items, maxlen=0)
    return time.perf_counter() - start


def main() -> None:
    output = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program runs
    console = Console(file=output, force_terminal=True)

    def with_tqdm() -> float:
        return taken(tqdm(range(ITEMS), file=output))

    def with_rich() -> float:
        with Progress(console=console) as progress:
            return taken(progress.track(range(ITEMS)))

    def many_bars() -> float:
        start = time.perf_counter()
        for _ in range(BARS):
            for _ in tqdm(range(1), file=output):
                pass
        return (time.perf_counter() - start) / BARS * ITEMS  # as if it were per item

    cases: dict[str, Callable[[], float]] = {"tqdm": with_tqdm, "rich": with_rich, "a bar of tqdm": many_bars}
    alone: dict[str, list[float]] = {name: [] for name in cases}
    adopted: dict[str, list[float]] = {name: [] for name in cases}
    bare = []
    collector = Collector(lambda _: None, lambda _: None)
    collector.start()
    for _ in range(ROUNDS):
        bare.append(taken(range(ITEMS)))
        for name, case in cases.items():
            alone[name].append(case())
        inside.install(collector.address, logs=False)
        for name, case in cases.items():
            adopted[name].append(case())
        inside.uninstall()
    collector.close()
    floor = statistics.median(bare)
    for name in cases:
        one, other = (statistics.median(values[name]) - floor for values in (alone, adopted))
        one, other = 1e9 * one / ITEMS, 1e9 * other / ITEMS
        ratio = statistics.median(b / a for a, b in zip(alone[name], adopted[name], strict=True))
        print(f"{name:>14}: {one:10.1f} ns alone, {other:10.1f} ns adopted, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
