"""One run, many readers: what each of several servers delivers at saturation, and what an idle reader costs it.

    python benchmarks/fanout.py [--short] [--subscribers 1000 5000] [--seconds 5] [--rounds 3] [--only ours nchan]

Starts the servers itself, on loopback, one after the other in each round, each on the first processor; the load
(readers and publisher, one process, epoll) has the second one. The publisher keeps 64 events of 200 bytes under way, on
one connection: to ours in one batch, as producers of ours send them, to the others in 64 requests ahead of the answers,
since they take one event a request. Events are numbered: each is counted at every reader, and one that
is missing, double or in the wrong order ends the program. Needs nginx with nchan, uvicorn and sse-starlette: see
README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import resource
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import httpx
import psutil

HERE = Path(__file__).resolve().parent
#: Bytes of an event's message.
EVENT = 200
#: Events that the publisher sends before it reads an answer.
AHEAD = 64
#: The number of an event follows this in its message, in eight digits.
MARK = b"number="
#: The first is the server's, the others are the load's.
PROCESSORS = sorted(os.sched_getaffinity(0))
#: Descriptors that a process needs beside those of the readers, at most.
SPARE = 200
#: Seconds after which something that must come soon counts as not coming.
PATIENCE = 60.0


def message(number: int) -> bytes:
    return (MARK + b"%08d " % number).ljust(EVENT, b"x")


# -- servers -----------------------------------------------------------------------------------------------------------


class Peer:
    """A server on a port of its own; a context manager. `get`: the request of a reader."""

    name = ""
    #: Events that a request carries at saturation.
    batch = 1
    #: Modules that it needs.
    modules: tuple[str, ...] = ()
    get = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.folder = Path(tempfile.mkdtemp())

    @classmethod
    def missing(cls) -> str:
        """Say what it needs and is not there; empty: nothing."""
        missing = [name for name in cls.modules if find_spec(name) is None]
        return f"{' and '.join(missing)}, of the extra bench" if missing else ""

    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "peers" / f"{self.name}.py"), str(self.port)]

    def post(self, number: int, count: int = 1) -> bytes:
        """Return the request that publishes `count` events, `number` the first of them."""
        assert count == self.batch == 1
        body = message(number)
        return b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def prepare(self) -> None:
        """Do what is to be done before there are readers."""

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        environment = {
            name: text for name, text in os.environ.items() if not name.startswith("STREAMER_")
        } | self.environment()
        # A process inherits its processors.
        os.sched_setaffinity(0, PROCESSORS[:1])
        self.process = subprocess.Popen(
            self.command(), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.sched_setaffinity(0, PROCESSORS[1:] or PROCESSORS)
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{self.name} does not listen")
            time.sleep(0.05)  # a server says in no other way that it listens

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        try:
            self.prepare()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        return {}

    def processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def memory(self) -> int:
        """Return the bytes that the server's processes have for themselves."""
        return sum(process.memory_full_info().uss for process in self.processes())

    def used(self) -> float:
        """Return the seconds of processor time that the server has used."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())


class Naive(Peer):
    name = "naive"


class Starlette(Peer):
    name = "starlette_sse"
    modules = "sse_starlette", "uvicorn"


class Nchan(Peer):
    name = "nchan"
    module = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

    @classmethod
    def missing(cls) -> str:
        there = shutil.which("nginx") and cls.module.exists()
        return "" if there else f"nginx with {cls.module} (apt-get install nginx libnginx-mod-nchan)"

    def command(self) -> list[str]:
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            f"""load_module {self.module}; {user}
daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 15000; }}
http {{ access_log off; keepalive_requests 100000000; nchan_max_reserved_memory 512M;
  client_body_temp_path {self.folder}; proxy_temp_path {self.folder}; fastcgi_temp_path {self.folder};
  uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
  server {{ listen 127.0.0.1:{self.port} backlog=4096;
    location = /events {{ nchan_pubsub eventsource http; nchan_publisher http; nchan_channel_id run;
      nchan_message_buffer_length 100000; nchan_message_timeout 10m; nchan_subscriber_first_message newest; }} }} }}
"""
        )
        return ["nginx", "-p", str(self.folder), "-c", str(configuration)]


class Ours(Peer):
    name = "ours"
    batch = AHEAD

    def command(self) -> list[str]:
        return [sys.executable, "-m", "streamer", "serve"]

    def environment(self) -> dict[str, str]:
        return {"STREAMER_PORT": str(self.port), "STREAMER_DATA": str(self.folder)}

    def prepare(self) -> None:
        answer = httpx.post(f"http://127.0.0.1:{self.port}/api/runs", json={"title": "fan-out"}).json()
        self.path = f"/api/runs/{answer['run']}/events"
        self.authorization = {"Authorization": f"Bearer {answer['token']}"}
        start = f"{self.path} HTTP/1.1\r\nHost: localhost\r\n"
        self.get = f"GET {start}Accept: text/event-stream\r\n\r\n".encode()
        self.head = f"POST {start}Authorization: Bearer {answer['token']}\r\n".encode()

    def post(self, number: int, count: int = 1) -> bytes:
        body = b"\n".join(
            b'{"seq":%d,"event":"log","message":"%b"}' % (each, message(each))
            for each in range(number, number + count)
        )
        return self.head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


PEERS = {"ours": Ours, "nchan": Nchan, "starlette": Starlette, "naive": Naive}


def present(names: Iterable[str]) -> list[str]:
    """Return those of the servers that can be started, and say of the others why not."""
    missing = {name: PEERS[name].missing() for name in names}
    for name, what in missing.items():
        if what:
            print(f"{name} is left out: it needs {what}", flush=True)
    return [name for name, what in missing.items() if not what]


def raised_limit() -> int:
    """Let this process, and those it starts, have as many descriptors as the system allows; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# -- load --------------------------------------------------------------------------------------------------------------


class Block:
    """What a reader read last, to the byte: who reads the same at the same place has read the same events."""

    __slots__ = ("_before", "_data", "rest", "seen")

    def __init__(self) -> None:
        self._data = b""
        self._before = self.seen = 0
        self.rest = b""

    def is_same(self, buffer: bytearray, size: int, seen: int) -> bool:
        return size == len(self._data) and seen == self._before and buffer.startswith(self._data)

    def keep(self, data: bytes, before: int, reader: Reader) -> None:
        self._data, self._before, self.seen, self.rest = data, before, reader.seen, reader.rest


class Reader:
    """A subscriber: counts its events, and looks at the number of the last one of each read."""

    __slots__ = ("connection", "last", "rest", "seen", "started")

    def __init__(self, connection: socket.socket, last: Block | None = None) -> None:
        self.connection = connection
        self.last = last
        self.seen = 0
        self.rest = b""
        self.started = False

    def receive(self, buffer: bytearray) -> int | None:
        """Read what is there, by way of a buffer; return how many events came, None when the connection is closed.

        The buffer is looked at where it is: a copy of it would cost the load as much as the call of the system. And it
        is compared with `last`, which readers may share, before it is counted: that takes a thirtieth of the time.
        """
        kept = len(self.rest)
        buffer[:kept] = self.rest
        size = self.connection.recv_into(memoryview(buffer)[kept:])
        if not size:
            return None
        seen, size = self.seen, kept + size
        if self.last is None:
            return self._count(buffer, size)
        if self.last.is_same(buffer, size, seen):
            self.seen, self.rest = self.last.seen, self.last.rest
            return self.seen - seen
        count = self._count(buffer, size)
        self.last.keep(bytes(memoryview(buffer)[:size]), seen, self)
        return count

    def take(self, data: bytes) -> int:
        """Return how many events came; stop when they are not the ones that come next."""
        data = self.rest + data
        return self._count(data, len(data))

    def _count(self, data: bytes | bytearray, size: int) -> int:
        count = data.count(MARK, 0, size)
        last = data.rfind(MARK, 0, size)
        if last < 0:
            self.rest = bytes(data[max(size - len(MARK), 0) : size])
            return 0
        end = last + len(MARK) + 8
        if end > size:
            # The last one is cut in its number: it counts when that is whole.
            count -= 1
            self.rest = bytes(data[last:size])
            last = data.rfind(MARK, 0, last)
        else:
            self.rest = bytes(data[max(end, size - len(MARK)) : size])
        if not count:
            return 0
        self.seen += count
        number = int(data[last + len(MARK) : last + len(MARK) + 8])
        if number != self.seen:
            raise SystemExit(f"expected event {self.seen:,} as the last so far, received {number:,}")
        return count


@dataclass
class Result:
    """Of one peer, by rounds: deliveries and events per second, bytes of memory per idle reader.

    `busy` and `load_busy`: which part of its processor the server, and the load, used.
    """

    deliveries: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    load_busy: list[float] = field(default_factory=list)
    events: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


class Load:
    """All readers of a server and its publisher, in this thread."""

    def __init__(self, peer: Peer, subscribers: int) -> None:
        self.peer = peer
        self.epoll = select.epoll()
        self.readers: dict[int, Reader] = {}
        self.buffer = bytearray(1 << 20)
        last = Block()
        for _ in range(subscribers):
            connection = socket.create_connection(("127.0.0.1", peer.port))
            connection.setblocking(False)
            connection.send(peer.get)
            self.readers[connection.fileno()] = Reader(connection, last)
            self.epoll.register(connection, select.EPOLLIN)
        self.publisher = socket.create_connection(("127.0.0.1", peer.port))
        self.publisher.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.publisher.setblocking(False)
        self.published = self.acknowledged = 0
        self.unsent = b""
        self.deadline = time.monotonic() + PATIENCE
        while not all(reader.started for reader in self.readers.values()):
            self.turn()

    def turn(self, wait: float = 1.0) -> int:
        """Read what is there; return how many events came."""
        if time.monotonic() > self.deadline:
            raise SystemExit(f"{self.peer.name} did not deliver everything within {PATIENCE:g} s")
        came = 0
        for fd, _ in self.epoll.poll(wait):
            reader = self.readers.get(fd)
            if reader is None:
                self.answers()
                continue
            count = reader.receive(self.buffer)
            if count is None:
                raise SystemExit(f"{self.peer.name} closed a reader's connection")
            came += count
            reader.started = True
        return came

    def answers(self) -> None:
        data = self.publisher.recv(1 << 20)
        if not data:
            raise SystemExit(f"{self.peer.name} closed the publisher's connection")
        # Each status line once; the heads of all these servers come whole, as they are short.
        good = data.count(b"HTTP/1.1 20")
        if good != data.count(b"HTTP/1.1 "):
            raise SystemExit(f"{self.peer.name} refused an event: {data[:2000]!r}")
        self.acknowledged += good * self.peer.batch

    def publish(self) -> None:
        """Keep so many requests under way as may be."""
        while self.unsent or self.published < self.acknowledged + AHEAD:
            if not self.unsent:
                self.unsent = self.peer.post(self.published + 1, self.peer.batch)
                self.published += self.peer.batch
            try:
                sent = self.publisher.send(self.unsent)
            except BlockingIOError:
                return
            self.unsent = self.unsent[sent:]

    def saturate(self, seconds: float) -> tuple[float, float]:
        """Return deliveries, and events, per second, the time counted until the last one has come."""
        self.epoll.register(self.publisher, select.EPOLLIN)
        began = time.monotonic()
        self.deadline = began + seconds + PATIENCE
        came = 0
        while time.monotonic() < began + seconds:
            self.publish()
            came += self.turn(0.01)
        while self.unsent:
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self.publisher.send(self.unsent) :]
            came += self.turn(0.01)
        while came < self.published * len(self.readers):
            came += self.turn()
        taken = time.monotonic() - began
        return came / taken, self.published / taken

    def close(self) -> None:
        for reader in self.readers.values():
            reader.connection.close()
        self.publisher.close()
        self.epoll.close()


def measure(peer_type: type[Peer], subscribers: int, seconds: float, result: Result) -> None:
    with peer_type() as peer:
        warm = Load(peer, 10)
        before = peer.memory()
        load = Load(peer, subscribers)
        result.memory.append((peer.memory() - before) / subscribers)
        warm.close()
        gc.disable()
        used, own, began = peer.used(), time.process_time(), time.monotonic()
        try:
            deliveries, events = load.saturate(seconds)
            taken = time.monotonic() - began
            result.busy.append((peer.used() - used) / taken)
            result.load_busy.append((time.process_time() - own) / taken)
        finally:
            gc.enable()
            load.close()
        result.deliveries.append(deliveries)
        result.events.append(events)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="1,000 readers, 2 s, 1 round: half a minute")
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--json", type=Path, help="write the medians there too")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.subscribers, arguments.seconds, arguments.rounds = [1000], 2.0, 1
    limit, names = raised_limit(), present(arguments.only)
    medians = {}
    for subscribers in arguments.subscribers:
        if limit < subscribers + SPARE:
            print(f"{subscribers:,} readers are left out: the system allows {limit:,} descriptors a process")
            continue
        results = {name: Result() for name in names}
        for _ in range(arguments.rounds):
            for name in list(results):
                try:
                    measure(PEERS[name], subscribers, arguments.seconds, results[name])
                except SystemExit as failure:
                    if name == "ours":
                        raise
                    del results[name]
                    print(f"{name} is left out with {subscribers:,} readers: {failure}", flush=True)
        print(
            f"\n{subscribers:,} readers, events of {EVENT} bytes, {arguments.seconds:g} s; "
            f"medians of {arguments.rounds} rounds"
        )
        print(
            f"{'':>12} {'deliveries/s':>14} {'events/s':>10} {'/ nchan':>8} {'kB/reader':>10} {'server':>7} {'load':>5}"
        )
        base = statistics.median(results["nchan"].deliveries) if "nchan" in results else None
        for name, result in results.items():
            deliveries, events = statistics.median(result.deliveries), statistics.median(result.events)
            memory = statistics.median(result.memory) / 1000
            ratio = f"{deliveries / base:8.2f}" if base else f"{'':>8}"
            busy = f"{statistics.median(result.busy):7.0%} {statistics.median(result.load_busy):5.0%}"
            print(f"{name:>12} {deliveries:14,.0f} {events:10,.0f} {ratio} {memory:10.1f} {busy}")
            medians[f"{name} {subscribers}"] = {"deliveries": deliveries, "events": events, "kB": memory}
    if arguments.json:
        arguments.json.write_text(json.dumps(medians, indent=1))


if __name__ == "__main__":
    main()
