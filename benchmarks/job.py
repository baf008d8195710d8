"""What being shown costs a job: under `streamer.run` and `track`, and adopted; beside the same job that is not shown.

    python benchmarks/job.py [--short] [--rounds 10] [--seconds 0.5] [--only Python adopt]

The job does some 100 µs of work an item, and logs 200 lines a second. It is done in two ways: Python alone, which never
gives up the interpreter, and hashing, which does so for each item. Beginning and ending the run are not counted. The
adopted job has a bar of tqdm, alone as well.

By the clock: four pieces of the job, without, with, with and without, one after the other in one process, are one
ratio; what is said is their median, and between which bounds that lies in nineteen of twenty cases. The same job beside
itself says what such a figure is worth on this machine at this time.

By account: a log line is what it takes of the job's own processor time, between the job's items, when nothing of it is
in a cache. The other threads' processor time has the system's share in it, during which the job goes on. What it waits
for the interpreter, and how often, is the time in which its thread neither ran nor could have, had there been a free
processor. So a line and the waits are what the job pays; a busy machine makes them larger, but not by as much as the
clock.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

import streamer

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # not on Linux: the switches are not counted
    getrusage = None  # type: ignore[assignment]

LINES_A_SECOND = 200
#: Seconds that are worked before counting begins: until threads and connection are there.
WARM = 0.25
BLOCK = b"x" * 60_000

log = logging.getLogger("job")
Work = Callable[[], object]
#: Wraps the items of a job.
Shown = Callable[[Iterable[int]], Iterable[int]]
Form = Callable[[], contextlib.AbstractContextManager[Shown]]


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
FORMS: dict[str, tuple[Form, Form]] = {
    "itself": (not_shown, not_shown),
    "run and track": (tracked, not_shown),
    "adopt": (adopted, bar),
}


class Piece(NamedTuple):
    """A piece of the job, in seconds: by the clock, its lines' processor time, and that its thread just waited."""

    clock: float
    lines: float
    waited: float
    switches: int
    others: dict[str, float]


def worked(work: Work, items: Iterable[int], every: int) -> float:
    """Do the job; return the processor time of its log lines."""
    lines = 0.0
    for n in items:
        work()
        if n % every == 0:
            begun = time.thread_time()
            log.info("item %d was done", n)
            lines += time.thread_time() - begun
    return lines


def measure(form: Form, work: Work, items: int, every: int, warm: int) -> Piece:
    with form() as shown:
        worked(work, shown(range(warm)), every)
        others, before, clock, thread = of_others(), of_mine(), time.perf_counter(), time.thread_time()
        lines = worked(work, shown(range(items)), every)
        clock, thread = time.perf_counter() - clock, time.thread_time() - thread
        after = of_mine()
        others = {name: used - others.get(name, 0.0) for name, used in of_others().items()}
    return Piece(clock, lines, clock - thread - (after[0] - before[0]), after[1] - before[1], others)


def of_mine() -> tuple[float, int]:
    """Return for how long this thread could not run because others did, in seconds, and how often it waited."""
    try:
        delayed = int(Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1])
    except OSError:
        delayed = 0
    return delayed / 1e9, 0 if getrusage is None else getrusage(RUSAGE_THREAD).ru_nvcsw


def of_others() -> dict[str, float]:
    """Return the processor time of the other threads, by what they are called."""
    used: Counter[str] = Counter()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.ident is not None:
            with contextlib.suppress(OSError):
                clock = time.pthread_getcpuclockid(thread.ident)
                used[thread.name.removeprefix("streamer-")] += time.clock_gettime(clock)
    return dict(used)


def median_and_bounds(values: list[float]) -> tuple[float, float, float]:
    """Return the median, and between which of the values that of ever more would lie: by 95 %, from six on."""
    values = sorted(values)
    number, chance, left = len(values), 0.0, 0
    while (chance := chance + math.comb(number, left) / 2**number) <= 0.025:
        left += 1
    left = max(left - 1, 0)
    return statistics.median(values), values[left], values[number - 1 - left]


class Account:
    """What was found of one form."""

    def __init__(self) -> None:
        self.ratios: list[float] = []
        self.with_it: list[Piece] = []
        self.without: list[Piece] = []

    def add(self, pieces: list[Piece]) -> None:
        """Take four pieces: without, with, with, without."""
        without, with_it = [pieces[0], pieces[3]], pieces[1:3]
        self.ratios.append(sum(piece.clock for piece in with_it) / sum(piece.clock for piece in without))
        self.with_it += with_it
        self.without += without

    def clock(self) -> str:
        middle, low, high = median_and_bounds(self.ratios)
        return f"{middle - 1:+.2%} by the clock ({low - 1:+.2%} to {high - 1:+.2%})"

    def parts(self, items: int, every: int) -> str:
        seconds = statistics.median(piece.clock for piece in self.without)

        def more(part: Callable[[Piece], float]) -> float:
            return statistics.median(map(part, self.with_it)) - statistics.median(map(part, self.without))

        line = more(lambda piece: piece.lines) / math.ceil(items / every)
        waited = more(lambda piece: piece.waited) / seconds
        switches = more(lambda piece: piece.switches) / seconds
        others = {
            name: statistics.median(piece.others.get(name, 0.0) for piece in self.with_it) / seconds
            for name in sorted(self.with_it[0].others)
            if name not in self.without[0].others
        }
        each = ", ".join(f"{name} {1000 * used:.1f}" for name, used in others.items())
        return (
            f"a line {1e6 * line:.1f} µs ({line * LINES_A_SECOND:.2%}); waits {1000 * waited:.1f} ms/s "
            f"({waited:.2%}), {switches:.0f} times; other threads {1000 * sum(others.values()):.1f} ms/s ({each})"
        )


@contextlib.contextmanager
def server() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"STREAMER_DATA": folder, "STREAMER_PORT": "0"}
        command = [sys.executable, "-m", "streamer", "serve"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield
            finally:
                process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="2 rounds of 0.4 s")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument(
        "--only", nargs="*", choices=[*WORKS, *FORMS], help="leave the other jobs and forms out"
    )
    asked = parser.parse_args()
    rounds, seconds = (2, 0.4) if asked.short else (asked.rounds, asked.seconds)
    works = {kind: work for kind, work in WORKS.items() if kind in (asked.only or WORKS)} or WORKS
    forms = {name: form for name, form in FORMS.items() if name in (asked.only or FORMS)} or FORMS
    logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()])
    found = {(kind, name): Account() for kind in works for name in forms}
    sizes = {}
    for kind, work in works.items():
        begun = time.thread_time()
        worked(work, range(2000), 2000)
        rate = 2000 / (time.thread_time() - begun)
        sizes[kind] = round(rate * seconds), max(round(rate / LINES_A_SECOND), 1), round(rate * WARM)
    with server():
        for _ in range(rounds):
            for (kind, name), account in found.items():
                with_it, without = forms[name]
                order = (without, with_it, with_it, without)
                account.add([measure(form, works[kind], *sizes[kind]) for form in order])
    print(f"{LINES_A_SECOND} log lines/s, {rounds} times 4 pieces of {seconds:g} s, medians")
    for (kind, name), account in found.items():
        print(f"{kind:>8}, {name:>13}: {account.clock()}")
        if name != "itself":
            print(f"{'':24} {account.parts(*sizes[kind][:2])}")


if __name__ == "__main__":
    main()
