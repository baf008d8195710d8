"""A bare loop over `sqlite3`: stores rows of the log's columns in one plain table, so many in a transaction.

Reads lines ``EVENTS SIZE FILE`` and answers each with the seconds it took, and those of its processor.
"""

from __future__ import annotations

import sqlite3
import sys
import time

BODY = b'{"event":"log","type":"log","level":"INFO","message":"%b"}' % (b"x" * 200)


def store(events: int, size: int, path: str) -> tuple[float, float]:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE entries (offset INTEGER PRIMARY KEY, run, seq, time, kind, level, body)")
    began, used = time.perf_counter(), time.process_time()
    for first in range(1, events + 1, size):
        db.execute("BEGIN")
        rows = [(n, 1, n, 2.0, "log", 20, BODY) for n in range(first, first + size)]
        db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
    taken = time.perf_counter() - began, time.process_time() - used
    db.close()
    return taken


if __name__ == "__main__":
    for line in sys.stdin:
        events, size, path = line.split()
        print(*store(int(events), int(size), path), flush=True)
