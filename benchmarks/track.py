"""What a loop pays, per item, for being shown: `streamer.track` beside tqdm, rich and alive-progress, in one process.

    pip install alive-progress
    python benchmarks/track.py [--items 5000000] [--rounds 7]

Each form loops over the same range, in turn, each round in another order; the medians over the bare loop's count.
Measured is processor time, which others on the machine do not change: of the loop's thread, and of the process. All
draw into a pseudo-terminal that is read away; `streamer.track` also begins a run, reports it and ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import pty
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

Form = Callable[[range], Iterable[int]]


def bare(items: range) -> Iterable[int]:
    return items


def streamer_track(items: range) -> Iterable[int]:
    import streamer

    return streamer.track(items, "Loop")


def tqdm_bar(items: range) -> Iterable[int]:
    from tqdm import tqdm

    return tqdm(items)


def rich_track(items: range) -> Iterable[int]:
    from rich.console import Console
    from rich.progress import track

    return track(items, console=Console(stderr=True))


def alive(items: range) -> Iterable[int]:
    # By name: nothing else of this project needs it.
    found: Iterable[int] = importlib.import_module("alive_progress").alive_it(
        items, file=sys.stderr, enrich_print=False
    )
    return found


FORMS: dict[str, Form] = {
    "bare loop": bare,
    "streamer.track": streamer_track,
    "tqdm": tqdm_bar,
    "rich": rich_track,
    "alive-progress": alive,
}


def measure(form: Form, items: range) -> tuple[float, float]:
    """Return processor time in nanoseconds an item: of the loop's thread, and of the process."""
    if form is alive:
        items = items[: len(items) // 20]  # it takes its time
    thread, process = time.thread_time(), time.process_time()
    for _ in form(items):
        pass
    thread = time.thread_time() - thread
    if form is streamer_track:
        # A run goes on for half a second in case another loop follows. A peer must not begin under its display: both
        # put something into the place of sys.stdout, and whoever ends last puts back what has ended already.
        from streamer.producer.scripts.exit import leave

        leave()
    process = time.process_time() - process
    each = 1e9 / len(items)
    return thread * each, process * each


@contextlib.contextmanager
def on_a_terminal() -> Iterator[None]:
    """Make standard error a terminal that is read away; what fails is told on the one that there was."""
    master, slave = pty.openpty()
    before = os.dup(2)
    os.dup2(slave, 2)

    def read() -> None:
        while os.read(master, 65_536):
            pass

    threading.Thread(target=read, daemon=True).start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    items = range(arguments.items)
    with tempfile.TemporaryDirectory() as data, on_a_terminal():
        os.environ |= {"STREAMER_DATA": data, "STREAMER_PORT": "0"}
        root = Path(__file__).resolve().parent.parent
        sys.path.insert(0, str(root))
        command = [sys.executable, "-m", "streamer", "serve"]
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            try:
                assert server.stdout is not None
                server.stdout.readline()
                forms = dict(FORMS)
                for name, form in FORMS.items():
                    try:
                        measure(form, range(10_000))
                    except ModuleNotFoundError as missing:
                        del forms[name]
                        print(f"{name} is left out: it needs {missing.name}, of the extra bench")
                seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
                for _ in range(arguments.rounds):
                    for name in random.sample(list(forms), len(forms)):
                        seconds[name].append(measure(FORMS[name], items))
            finally:
                server.terminate()
    print(f"{arguments.items:,} items, {arguments.rounds} rounds, medians over the bare loop, processor time")
    for number, words in enumerate(("the loop's thread", "the whole process")):
        medians = {name: statistics.median(each[number] for each in found) for name, found in seconds.items()}
        cost = {name: median - medians["bare loop"] for name, median in medians.items()}
        print(words)
        for name in list(forms)[1:]:
            print(f"  {name:15} {cost[name]:7.1f} ns an item, {cost[name] / cost['tqdm']:.3f} of tqdm's")


if __name__ == "__main__":
    main()
