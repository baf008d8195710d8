"""What a page asks of a run of a million log lines and fifty thousand failed items, beside one of four thousand lines.

Both are stored through the log, in batches as producers send them, and read as the API reads them.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from streamer.model.events import (
    Completed,
    ErrorInfo,
    ItemFailed,
    Logged,
    PhaseSpec,
    Progressed,
    StatusChanged,
)
from streamer.server.log.base import Draft, EventLog
from streamer.server.log.sqlite import SqliteLog

SMALL = 4_000
BATCH = 5_000
TRACE = 'Traceback (most recent call last):\n  File "prices.py", line 118, in load\nValueError: no date\n'


def fill(log: EventLog, run: str, lines: int) -> None:
    """Store a run that logs a line for each item, one in twenty of which fails."""
    first = StatusChanged(status="running", title=run, phases=(PhaseSpec("load"),))
    log.create(run, [Draft(first, 1000.0)], note=b"{}").result()
    for start in range(1, lines + 1, BATCH):
        drafts: list[Draft] = []
        for number in range(start, min(start + BATCH, lines + 1)):
            when = 1000.0 + number / 1000
            level = "ERROR" if number % (lines // 10) == 0 else "INFO"
            drafts.append(Draft(Logged(level=level, message=f"item {number} of {lines} was read"), when))
            if number % 20 == 0:
                drafts.append(
                    Draft(
                        ItemFailed(item=f"item {number}", error=ErrorInfo("ValueError", "no date", TRACE)),
                        when,
                    )
                )
            if number % 100 == 0:
                drafts.append(Draft(Progressed(phase="load", done=number, total=lines), when))
        log.append(run, drafts).result()
    log.append(run, [Draft(Completed(), 1000.0 + lines / 1000)]).result()


def asked(log: EventLog, run: str) -> dict[str, Callable[[], object]]:
    """What a page asks when it opens, and then what its reader may ask."""
    return {
        "state": lambda: log.run(run),
        "last 200 lines": lambda: log.lines(run, limit=200),
        "first 100 failed items": lambda: log.failures(run, limit=100),
        "runs and counts": lambda: (log.runs(limit=50), log.counts()),
        "200 lines in the middle": lambda: log.lines(run, before=log.head() // 2 + 2000, limit=200),
        "lines of level ERROR": lambda: log.lines(run, level=40, limit=200),
        "search, found at once": lambda: log.search(run, "was read", limit=200),
        "search, one request": lambda: log.search(run, "nowhere to be found", limit=200),
    }


def timed(call: Callable[[], object], rounds: int = 7) -> float:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def whole_search(log: EventLog, run: str) -> int:
    """Search to the end, as a reader who goes on; return the number of requests."""
    before, requests = None, 0
    while True:
        found = log.search(run, "nowhere to be found", before=before, limit=200)
        requests += 1
        if found.reached is None:
            return requests
        before = found.reached


def compare(folder: Path, lines: int) -> str:
    """Store a run of so many lines and a short one; return what asking for the same of both takes, line by line."""
    path = folder / "log.sqlite"
    log = SqliteLog(path)
    fill(log, "small", SMALL)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    fill(log, "large", lines)
    taken = time.perf_counter() - start
    large, small = asked(log, "large"), asked(log, "small")
    size = path.stat().st_size / 1e6
    said = [f"{lines:,} lines and {lines // 20:,} failed items: stored in {taken:.0f} s, {size:,.0f} MB"]
    for name in large:
        ours, theirs = timed(large[name]), timed(small[name])
        said.append(
            f"{name:<26} {ours:9.2f} ms   of {SMALL:,} lines {theirs:9.2f} ms   ratio {ours / theirs:.2f}"
        )
    start = time.perf_counter()
    requests = whole_search(log, "large")
    said.append(f"search to the end: {time.perf_counter() - start:.2f} s in {requests} requests")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    said.append(f"memory grew by {grown / 1000:.1f} MB")
    log.close()
    return "\n".join(said)


def main() -> None:
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        print(compare(Path(folder), lines))


if __name__ == "__main__":
    main()
