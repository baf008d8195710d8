"""What being shown costs a job: under `streamer.run` and `track`, and adopted; beside the same job that is not shown.

    python benchmarks/job.py [--short] [--rounds 7] [--seconds 1.5]

The job does some 100 µs of work an item, and logs 200 lines a second. It is done in two ways: Python alone, which never
gives up the interpreter, and hashing, which does so for each item. In one process, with and without are done in turns,
a pair at a time and each first as often; the median of the pairs' ratios counts, and the quartiles say how sure it is.
Beginning and ending the run are not counted. The adopted job has a bar of tqdm, alone as well.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

import streamer

LINES_A_SECOND = 200
#: Seconds that are worked before counting begins: until threads and connection are there.
WARM = 0.3
BLOCK = b"x" * 60_000

log = logging.getLogger("job")
Work = Callable[[], object]
#: Wraps the items of a job.
Shown = Callable[[Iterable[int]], Iterable[int]]


def counting() -> object:
    return sum(n * n for n in range(1500))


def hashing() -> object:
    return hashlib.sha256(BLOCK).digest()


WORKS: dict[str, Work] = {"Python": counting, "hashing": hashing}


@contextlib.contextmanager
def not_shown() -> Iterator[Shown]:
    yield lambda items: items


@contextlib.contextmanager
def tracked() -> Iterator[Shown]:
    with streamer.run("Job", show=False) as run:
        yield run.track


@contextlib.contextmanager
def bar() -> Iterator[Shown]:
    with Path(os.devnull).open("w") as output:
        yield lambda items: tqdm(items, file=output)


@contextlib.contextmanager
def adopted() -> Iterator[Shown]:
    with streamer.adopt("Job"), bar() as shown:
        yield shown


#: Each with what it is measured against.
FORMS = {"run and track": (tracked, not_shown), "adopt": (adopted, bar)}


def worked(work: Work, items: Iterable[int], every: int) -> None:
    for n in items:
        work()
        if n % every == 0:
            log.info("item %d was done", n)


def measure(
    form: Callable[[], contextlib.AbstractContextManager[Shown]],
    work: Work,
    items: int,
    every: int,
    warm: int,
) -> tuple[float, float, float]:
    """Return seconds by the clock, of the job's thread, and of the other threads."""
    with form() as shown:
        worked(work, shown(range(warm)), every)
        clock, thread, process = time.perf_counter(), time.thread_time(), time.process_time()
        worked(work, shown(range(items)), every)
        clock, thread = time.perf_counter() - clock, time.thread_time() - thread
        return clock, thread, time.process_time() - process - thread


@contextlib.contextmanager
def server() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"STREAMER_DATA": folder, "STREAMER_PORT": "0"}
        command = [sys.executable, "-m", "streamer.cli", "serve"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield
            finally:
                process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="3 rounds of 0.7 s")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    asked = parser.parse_args()
    rounds, seconds = (3, 0.7) if asked.short else (asked.rounds, asked.seconds)
    logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()])
    print(
        f"{LINES_A_SECOND} log lines/s, {rounds} pairs of {seconds:g} s; medians and quartiles of with over without"
    )
    with server():
        for kind, work in WORKS.items():
            begun = time.thread_time()
            worked(work, range(2000), 2000)
            rate = 2000 / (time.thread_time() - begun)
            every = max(round(rate / LINES_A_SECOND), 1)
            items, warm = round(rate * seconds), round(rate * WARM)
            for name, pair in FORMS.items():
                found: list[list[tuple[float, float, float]]] = []
                for number in range(rounds):
                    order = pair if number % 2 else pair[::-1]
                    taken = {form: measure(form, work, items, every, warm) for form in order}
                    found.append([taken[form] for form in pair])
                said = []
                for i, clock in enumerate(("by the clock", "processor time of its thread")):
                    ratios = [with_it[i] / without[i] for with_it, without in found]
                    low, middle, high = statistics.quantiles(ratios, n=4)
                    said.append(f"{clock} {middle - 1:+.2%} ({low - 1:+.2%} to {high - 1:+.2%})")
                others = statistics.median(with_it[2] / with_it[0] for with_it, _ in found)
                print(
                    f"{kind:>8}, {name:>13}: {', '.join(said)}; other threads {others:.2%} of a processor",
                    flush=True,
                )


if __name__ == "__main__":
    main()
