"""From an event's publication to its arrival at each of a thousand readers, at rates that leave the servers time.

    python benchmarks/latency.py [--short] [--subscribers 1000] [--rates 5 25 50] [--only ours nchan]

Servers, readers and publisher are those of `fanout.py`: one process publishes and reads, so that one clock measures.
Ours answers only after the commit, and sends only what is stored.
"""

from __future__ import annotations

import argparse
import json
import select
import statistics
import time
from pathlib import Path

from benchmarks.fanout import PEERS, Load, Peer, Reader, present, raised_limit

#: What arrived is looked at only after so long without more: readers do not wait for others to be counted.
QUIET_SECONDS = 0.002
READ_BYTES = 1 << 13


def measure(
    peer_type: type[Peer], subscribers: int, rates: list[float], seconds: float
) -> dict[float, list[float]]:
    """Return the milliseconds of every delivery, for each rate."""
    found: dict[float, list[float]] = {}
    with peer_type() as peer:
        load = Load(peer, subscribers)
        load.epoll.register(load.publisher, select.EPOLLIN)
        sent: dict[int, float] = {}
        number = 0
        for rate in rates:
            lags = found[rate] = []
            arrived: list[tuple[Reader, bytes, float]] = []
            due, end = time.perf_counter(), time.perf_counter() + seconds
            while time.perf_counter() < end or arrived or len(lags) % subscribers:
                now = time.perf_counter()
                if now >= due and now < end:
                    number += 1
                    sent[number] = now
                    load.publisher.send(peer.post(number))
                    due += 1 / rate
                load.deadline = time.monotonic() + 60
                ready = load.epoll.poll(min(max(due - time.perf_counter(), 0.0), QUIET_SECONDS))
                for fd, _ in ready:
                    reader = load.readers.get(fd)
                    if reader is None:
                        load.answers()
                        continue
                    data = reader.connection.recv(READ_BYTES)
                    arrived.append((reader, data, time.perf_counter()))
                if not ready:
                    lags += lateness(arrived, sent)
                    arrived.clear()
        load.close()
    return found


def lateness(arrived: list[tuple[Reader, bytes, float]], sent: dict[int, float]) -> list[float]:
    """Return the milliseconds from publication to arrival of every event in what arrived."""
    lags: list[float] = []
    for reader, data, came in arrived:
        if not data:
            raise SystemExit("a reader's connection was closed")
        before = reader.seen
        reader.take(data)
        lags.extend(1000 * (came - sent[one]) for one in range(before + 1, reader.seen + 1))
    return lags


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="3 s a rate, 1 round, ours and nchan")
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--rates", type=float, nargs="+", default=[5.0, 25.0, 50.0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--json", type=Path, help="write the medians there too")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.seconds, arguments.rounds, arguments.only = 3.0, 1, ["ours", "nchan"]
    raised_limit()
    rounds: dict[str, list[dict[float, list[float]]]] = {name: [] for name in present(arguments.only)}
    for _ in range(arguments.rounds):
        for name in list(rounds):
            try:
                found = measure(PEERS[name], arguments.subscribers, arguments.rates, arguments.seconds)
            except SystemExit as failure:
                if name == "ours":
                    raise
                del rounds[name]
                print(f"{name} is left out: {failure}", flush=True)
            else:
                rounds[name].append(found)
    print(
        f"{arguments.subscribers:,} readers, milliseconds from publication to arrival, medians of the rounds"
    )
    medians: dict[str, dict[str, float]] = {}
    for name, measured in rounds.items():
        parts = []
        for rate in arguments.rates:
            p50, p99 = (
                statistics.median(percentile(one[rate], part) for one in measured) for part in (0.5, 0.99)
            )
            medians.setdefault(name, {}).update({f"p50 at {rate:g}/s": p50, f"p99 at {rate:g}/s": p99})
            parts.append(f"{rate:3g}/s: p50 {p50:7.2f} p99 {p99:7.2f}")
        print(f"{name:>12}  " + "   ".join(parts))
    if {"ours", "nchan"} <= medians.keys():
        ratios = (f"{key} {medians['ours'][key] / value:.2f}" for key, value in medians["nchan"].items())
        print("ours / nchan: " + ", ".join(ratios))
    if arguments.json:
        arguments.json.write_text(json.dumps(medians, indent=2))


if __name__ == "__main__":
    main()
