"""Store events through the log (fold, settle, encode, commit to disk), and the same bytes in a bare SQLite loop."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path

from streamer.model.events import Progressed, StatusChanged
from streamer.server.log.base import Draft
from streamer.server.log.sqlite import SqliteLog

EVENTS = 20_000
ROUNDS = 5
#: Batches that wait at a time, as from so many producers.
WAITING = 32


def through_the_log(folder: Path, batch: int) -> float:
    log = SqliteLog(folder / "log.sqlite", commit_seconds=0.01)
    log.create("r1", [Draft(StatusChanged(status="running", title="t"), 1.0)], note=b"").result()
    drafts = [[Draft(Progressed(phase="load", done=n + i, total=EVENTS), 2.0 + n / 100) for i in range(batch)]
              for n in range(0, EVENTS, batch)]  # fmt: skip
    start = time.perf_counter()
    waiting = deque()
    for part in drafts:
        waiting.append(log.append("r1", part))
        if len(waiting) >= WAITING:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    taken = time.perf_counter() - start
    log.close()
    return taken


def bare(folder: Path, batch: int) -> float:
    db = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE entries (offset INTEGER PRIMARY KEY, run, seq, time, body)")
    body = b"x" * 250
    start = time.perf_counter()
    # As many in a commit as the log may join.
    for n in range(0, EVENTS, batch * WAITING):
        db.execute("BEGIN")
        rows = [(n + i, 1, n + i, 2.0, body) for i in range(min(batch * WAITING, EVENTS - n))]
        db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
    taken = time.perf_counter() - start
    db.close()
    return taken


def main() -> None:
    for batch in (1, 20, 500):
        ours, theirs = [], []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                ours.append(through_the_log(Path(folder), batch))
                theirs.append(bare(Path(folder), batch))
        log, loop = EVENTS / statistics.median(ours), EVENTS / statistics.median(theirs)
        print(
            f"batches of {batch:>3}: log {log:>9,.0f} events/s  bare loop {loop:>9,.0f}  ratio {log / loop:.2f}"
        )


if __name__ == "__main__":
    main()
