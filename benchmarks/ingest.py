"""Publish from one producer: events a second that a server takes and acknowledges, in batches of 1, 20 and 500.

    python benchmarks/ingest.py [--short] [--batches 1 20 500] [--seconds 4] [--rounds 3] [--kinds log progress]

Starts the servers itself, on loopback, one after the other in each round, on the first processor. The producer (this
process) has the second one. It keeps one connection and sends a batch when the one before it is acknowledged, which is
after its commit. The last acknowledged number must be the number of events sent, and the run's state must have come as
far.
Peer: a bare loop over `sqlite3`, as durable, in a process of its own, that commits each batch.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fanout import EVENT, HERE, PATIENCE, PROCESSORS, Ours, Peer

BATCHES = (1, 20, 500)
MESSAGE = b"x" * EVENT
#: An event's line by kind, but for its number.
LINES: dict[str, Callable[[int], bytes]] = {
    "log": lambda n: b'{"seq":%d,"time":"%b","event":"log","message":"%b"}' % (n, moment(n), MESSAGE),
    "progress": lambda n: (
        b'{"seq":%d,"time":"%b","event":"progress","phase":"load","done":%d,"total":9999999}'
        % (n, moment(n), n)
    ),
}


def moment(number: int) -> bytes:
    """Return when an event happened: each a millisecond after the one before it."""
    seconds, milliseconds = divmod(number, 1000)
    return b"2026-01-31T09:%02d:%02d.%03dZ" % (seconds // 60 % 60, seconds % 60, milliseconds)


@dataclass
class Result:
    """Of one row, by rounds: events a second, and microseconds of the server's processor an event."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def cost(self) -> float:
        return statistics.median(self.costs)


class Producer:
    """One connection to a server; `request` makes the request of the batch that begins with a number."""

    def __init__(self, peer: Peer, request: Callable[[int], bytes], batch: int) -> None:
        self.name, self._request, self._batch = peer.name, request, batch
        self._connection = socket.create_connection(("127.0.0.1", peer.port), timeout=PATIENCE)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0
        self.last = b""

    def publish(self, seconds: float) -> float:
        """Send for so long, each batch after the answer to the one before it; return the seconds that took."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            self._connection.sendall(self._request(self.sent * self._batch + 1))
            self.sent += 1
            self.last = self._answer()
        return time.monotonic() - began

    def _answer(self) -> bytes:
        data = b""
        # The body of an answer is one JSON object without another one in it.
        while not data.endswith(b"}"):
            more = self._connection.recv(65_536)
            if not more:
                raise SystemExit(f"{self.name} closed the connection")
            data += more
        if not data.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"{self.name} refused a batch: {data[:2000]!r}")
        return data

    def close(self) -> None:
        self._connection.close()


def with_ours(kind: str, batch: int, seconds: float, result: Result) -> None:
    with Ours() as peer:
        line, head = LINES[kind], peer.head

        def request(first: int) -> bytes:
            body = b"\n".join([line(number) for number in range(first, first + batch)])
            return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)

        producer = measure(peer, request, batch, seconds, result)
        events = producer.sent * batch
        run = peer.path.removesuffix("/events")
        acknowledged = json.loads(producer.last[producer.last.rindex(b"\r\n\r\n") :])["acknowledged"]
        state = httpx.get(f"http://127.0.0.1:{peer.port}{run}").json()
        # Before the first of the producer's events are two of the streamer's own.
        if (acknowledged, state["lastSeq"]) != (events, events + 2):
            raise SystemExit(
                f"sent {events:,}, acknowledged {acknowledged:,}, stored {state['lastSeq'] - 2:,}"
            )


def measure(
    peer: Peer, request: Callable[[int], bytes], batch: int, seconds: float, result: Result
) -> Producer:
    producer = Producer(peer, request, batch)
    used = peer.used()
    taken = producer.publish(seconds)
    events = producer.sent * batch
    result.rates.append(events / taken)
    result.costs.append((peer.used() - used) / events * 1e6)
    producer.close()
    return producer


class Bare:
    """The bare loop, in a process of its own; a context manager."""

    def __enter__(self) -> Self:
        os.sched_setaffinity(0, PROCESSORS[:1])
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "peers" / "bare_sqlite.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(0, PROCESSORS[1:] or PROCESSORS)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def store(self, events: int, size: int, result: Result) -> None:
        events = max(events // size, 1) * size
        assert self._process.stdin
        assert self._process.stdout
        with tempfile.TemporaryDirectory() as folder:
            self._process.stdin.write(f"{events} {size} {folder}/log.sqlite\n")
            self._process.stdin.flush()
            taken, used = map(float, self._process.stdout.readline().split())
        result.rates.append(events / taken)
        result.costs.append(used / events * 1e6)


def compare(batch: int, kinds: list[str], seconds: float, rounds: int) -> dict[str, Result]:
    results = {**{f"ours, {kind}": Result() for kind in kinds}, "bare": Result()}
    with Bare() as bare:
        for _ in range(rounds):
            for kind in kinds:
                with_ours(kind, batch, seconds, results[f"ours, {kind}"])
            # As long as ours, about; small transactions are bound by the disk.
            bare.store(int(seconds * {1: 4_000, 20: 80_000}.get(batch, 200_000)), batch, results["bare"])
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="1.5 s, 1 round, log lines: half a minute")
    parser.add_argument("--batches", type=int, nargs="+", choices=BATCHES, default=list(BATCHES))
    parser.add_argument("--kinds", nargs="+", choices=LINES, default=list(LINES))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the medians there too")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.kinds, arguments.seconds, arguments.rounds = ["log"], 1.5, 1
    medians = {}
    for batch in arguments.batches:
        results = compare(batch, arguments.kinds, arguments.seconds, arguments.rounds)
        base = results["bare"].rate
        print(f"\nbatches of {batch}; medians of {arguments.rounds} rounds")
        print(f"{'':>15} {'events/s':>10} {'/ bare':>8} {'CPU µs/event':>13}")
        for name, result in results.items():
            print(
                f"{name:>15} {result.rate:10,.0f} {result.rate / base:8.2f} {result.cost:13.1f}", flush=True
            )
            medians[f"{name} {batch}"] = {"events": result.rate, "microseconds": result.cost}
    if arguments.json:
        arguments.json.write_text(json.dumps(medians, indent=1))


if __name__ == "__main__":
    main()
