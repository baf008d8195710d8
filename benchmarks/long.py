"""How long the page of a long run takes to open in Chromium, beside that of a short one, in turns.

    python benchmarks/long.py [--short] [--lines 1000000] [--rounds 9]

The long run has a million log lines and fifty thousand failed items, the short one a thousand and fifty. Counted is
the time until a frame with the newest line was drawn, and, where the page is opened at its failed items, the first one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.sight import seconds_to_see
from benchmarks.size import fill
from benchmarks.viewers import ROOT, Server
from streamer.server.log.sqlite import SqliteLog
from tests.support import chromium

FEW = 1_000
TARGET = 1.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="a hundred thousand lines, five rounds")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    lines, rounds = (100_000, 5) if asked.short else (asked.lines, asked.rounds)
    runs = {"long": lines, "short": FEW}
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = SqliteLog(Path(folder) / "log.sqlite")
        for run, number in runs.items():
            fill(log, run, number)
        log.close()
        server = Server(ROOT / "dashboards", "/dashboards", STREAMER_DATA=folder)
        try:
            with chromium() as browser:
                for number in range(rounds + 1):
                    for run in list(runs)[:: 1 if number % 2 else -1]:
                        newest = f"item {runs[run]} of {runs[run]} was read"
                        for part, query, pattern in (
                            ("log", "", newest),
                            ("failed items", "&tab=failures", r"item 20(?!\d)"),
                        ):
                            seconds = seconds_to_see(browser, f"{server.url}?run={run}{query}", pattern)
                            # What the first page of all costs is no run's.
                            if number:
                                taken.setdefault(part, {}).setdefault(run, []).append(seconds)
        finally:
            server.close()
    print(
        f"{lines:,} log lines and {lines // 20:,} failed items beside {FEW:,} and {FEW // 20:,};"
        f" seconds until drawn in Chromium, medians of {rounds} rounds"
    )
    for part, found in taken.items():
        ours, theirs = (statistics.median(found[run]) for run in runs)
        print(f"  {part:12}  {ours:.3f} / {theirs:.3f}, ratio {ours / theirs:.2f} (at most {TARGET} wanted)")


if __name__ == "__main__":
    main()
