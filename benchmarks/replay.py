"""Replay a run of 100,000 log lines to one reader, and to 100 at once while another run's events go out.

    python benchmarks/replay.py [--short] [--entries 100000] [--readers 100] [--live 100] [--seconds 5]

Starts a streamer on loopback, on the first processor, stores the run, and starts it again, so that nothing of it is in
memory. The readers (this process, and one more for the other run) have the second processor. Each reader must see all
entries, in order. The other run's events carry the time at which they were sent, `LIVE_RATE` of them a second to
`--live` readers; their latency is measured for `--seconds` while nobody replays, and while all do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.connection
import os
import select
import socket
import statistics
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fanout import PATIENCE, Ours, Reader, message

LIVE_RATE = 25
#: Events in a request that stores the run.
BATCH = 500
_SENT = b"sent="
_READ_BYTES = 1 << 18


def store(peer: Ours, entries: int) -> None:
    line = b'{"seq":%d,"event":"log","message":"%b"}'
    with httpx.Client(base_url=f"http://127.0.0.1:{peer.port}", headers=peer.authorization) as client:
        for first in range(1, entries + 1, BATCH):
            numbers = range(first, min(first + BATCH, entries + 1))
            body = b"\n".join([line % (number, message(number)) for number in numbers])
            client.post(peer.path, content=body).raise_for_status()


def open_stream(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    connection.setblocking(False)
    return connection


def replay(peer: Ours, entries: int, readers: int) -> tuple[float, float]:
    """Return entries a second in all, and seconds of the server's processor an entry."""
    used, began = peer.used(), time.monotonic()
    poll = select.epoll()
    reading = {}
    for _ in range(readers):
        connection = open_stream(peer.port, f"{peer.path}?from=start")
        reading[connection.fileno()] = Reader(connection)
        poll.register(connection, select.EPOLLIN)
    buffer = bytearray(_READ_BYTES)
    while reading:
        ready = poll.poll(PATIENCE)
        if not ready:
            raise SystemExit("the streamer does not send")
        for fd, _ in ready:
            reader = reading[fd]
            if reader.receive(buffer) is None:
                raise SystemExit(f"a reader's connection was closed after {reader.seen:,} entries")
            if reader.seen == entries:
                del reading[fd]
                poll.unregister(fd)
                reader.connection.close()
    delivered = entries * readers
    return delivered / (time.monotonic() - began), (peer.used() - used) / delivered


def live(port: int, readers: int, pipe: multiprocessing.connection.Connection) -> None:
    """Publish and read another run's events until told to end; answer when each came, and how late it was."""
    url = f"http://127.0.0.1:{port}"
    run = httpx.post(f"{url}/api/runs", json={"title": "live"}).json()
    path = f"/api/runs/{run['run']}/events"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {run['token']}\r\n".encode()
    poll = select.epoll()
    connections = {}
    for _ in range(readers):
        connection = open_stream(port, path)
        connections[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    publisher = socket.create_connection(("127.0.0.1", port))
    publisher.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    poll.register(publisher, select.EPOLLIN)
    poll.register(pipe, select.EPOLLIN)
    came: list[tuple[float, float]] = []
    number, due = 0, time.monotonic()
    while True:
        for fd, _ in poll.poll(max(due - time.monotonic(), 0)):
            if fd == pipe.fileno():
                pipe.send(came)
                return
            if fd == publisher.fileno():
                answers = publisher.recv(1 << 16)
                if answers.count(b"HTTP/1.1 200") != answers.count(b"HTTP/1.1 "):
                    raise SystemExit(f"the streamer refused an event: {answers!r}")
                continue
            data = connections[fd].recv(1 << 16)
            now = time.monotonic()
            came += [(now, now - float(part[:20])) for part in data.split(_SENT)[1:]]
        now = time.monotonic()
        if now >= due:
            number += 1
            due += 1 / LIVE_RATE
            body = b'{"seq":%d,"event":"log","message":"%b%020.6f"}' % (number, _SENT, now)
            publisher.sendall(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


def percentiles(came: list[tuple[float, float]], begin: float, end: float) -> dict[str, float]:
    latencies = sorted(late for when, late in came if begin <= when < end)
    if len(latencies) < 100:
        raise SystemExit(f"only {len(latencies)} live events came within {end - begin:.1f} s")
    return {"p50": latencies[len(latencies) // 2], "p99": latencies[len(latencies) * 99 // 100]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--short", action="store_true", help="20,000 entries, 50 readers: less than half a minute"
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--live", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.entries, arguments.readers, arguments.seconds = 20_000, 50, 3.0
    with Ours() as peer:
        store(peer, arguments.entries)
        peer.stop()
        peer.start()
        alone = [replay(peer, arguments.entries, 1) for _ in range(3)]
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=live, args=(peer.port, arguments.live, there), daemon=True)
        process.start()
        # Readers share a processor: those that replay are always busy there, and would keep the live ones from what has
        # come already. What is measured is the streamer.
        os.nice(15)
        # What goes with the start is not counted.
        time.sleep(1)  # readers connect meanwhile
        quiet = time.monotonic()
        time.sleep(arguments.seconds)  # the time that is measured: live readers alone
        begin = time.monotonic()
        together = replay(peer, arguments.entries, arguments.readers)
        end = time.monotonic()
        here.send("end")
        came = here.recv()
        process.join()
    rate, cost = (statistics.median(values) for values in zip(*alone, strict=True))
    before, meanwhile = percentiles(came, quiet, begin), percentiles(came, begin, end)
    print(f"{arguments.entries:,} entries\n{'readers':>10} {'entries/s':>12} {'CPU µs/entry':>13}")
    print(f"{1:>10} {rate:12,.0f} {cost * 1e6:13.2f}")
    print(f"{arguments.readers:>10} {together[0]:12,.0f} {together[1] * 1e6:13.2f}")
    print(f"\n{LIVE_RATE} events/s to {arguments.live} readers of another run; milliseconds")
    for name, found in (("while nobody replays", before), ("while all do", meanwhile)):
        print(f"{name:>22}: p50 {1000 * found['p50']:7.2f}  p99 {1000 * found['p99']:7.2f}")
    print(
        f"{'ratio':>22}: p50 {meanwhile['p50'] / before['p50']:7.2f}  p99 {meanwhile['p99'] / before['p99']:7.2f}"
    )
    if arguments.json:
        figures = {"one": rate, "many": together[0], "before": before, "meanwhile": meanwhile}
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
