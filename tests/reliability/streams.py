"""What can happen to streams, as scenarios of any size: tests run them small, `benchmarks/soak.py` at length.

Each drives real sockets, ends by itself within bounds, and raises `AssertionError` when a promise was not kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from streamer.client.client import Client
from streamer.model.events import Completed, Entry
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.protocol import sse
from streamer.protocol.frames import Snapshot, read_frame
from tests.api_support import PATIENCE, Producer, running
from tests.proxy import CuttingProxy
from tests.support import NO_CERTIFICATES, ServerProcess, wait_until_async

#: Seconds that a whole scenario may take.
LONGEST = 600.0
#: Of a reader that takes nothing, the streamer holds the rest of one write (`tail.BYTES_PER_WRITE`), and little else.
BYTES_PER_STALLED_READER = 60_000
#: What a busy process takes beside that, and what its allocator keeps.
SLACK_BYTES = 20_000_000


def allow_files(number: int) -> None:
    """Let this process open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(number, hard)))


async def no_pause(seconds: float) -> None:
    """Take the place of `asyncio.sleep` between two attempts."""
    await asyncio.sleep(0)


class Api:
    """The HTTP API of a server, as the scenarios need it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def register(self, title: str) -> Producer:
        answer = await self.http.post("/api/runs", json={"title": title})
        assert answer.status_code == 201, answer.text
        return Producer(self.http, answer.json()["run"], answer.json()["token"])

    async def metric(self, name: str) -> float:
        text = (await self.http.get("/metrics")).text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found is not None, text
        return float(found[1])


@contextlib.asynccontextmanager
async def api_of(url: str) -> AsyncIterator[Api]:
    """Open a client of a server in another process."""
    async with httpx.AsyncClient(base_url=url, timeout=60.0, verify=NO_CERTIFICATES) as http:
        yield Api(http)


class Reader:
    """A reader of a stream without chunks, as an old client of HTTP/1.0 gets it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = sse.Decoder()
        self.body = b""
        #: When it saw the end, on the monotonic clock.
        self.ended: float | None = None

    @classmethod
    async def open(cls, port: int, path: str) -> Self:
        reader = cls(*await asyncio.open_connection("127.0.0.1", port))
        reader._writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        head = await reader._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return reader

    async def chunk(self) -> bytes:
        """Return some bytes; none at the end."""
        data = await self._reader.read(65_536)
        if not data:
            self.ended = time.monotonic()
            self._writer.close()
        self.body = (self.body + data)[-10_000:]
        return data

    async def frames(self) -> AsyncIterator[sse.Frame]:
        while data := await self.chunk():
            for frame in self._decoder.feed(data):
                yield frame

    def leave(self) -> None:
        self._writer.transport.abort()


# -- any number of disconnects -----------------------------------------------------------------------------------------


def install_event_source(folder: Path) -> Path:
    """Put an EventSource from npm beside its script in a folder that is kept; return the script."""
    script = folder / "event_source.mjs"
    if not (folder / "node_modules" / "eventsource").exists():
        npm = shutil.which("npm")
        assert npm is not None, "npm is missing; make test installs it"
        (folder / "package.json").write_text("{}")
        command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "eventsource@3"]
        subprocess.run(command, cwd=folder, check=True, timeout=120)
    script.write_text(Path(__file__).with_name(script.name).read_text())
    return script


async def disconnects(server: ServerProcess, node: Path, *, entries: int, cuts: int, seed: int) -> None:
    """Follow a run through a proxy that cuts, with the project's client and with npm's EventSource."""
    rng = random.Random(seed)
    # Enough for all cuts before the end: the longest reach is cut in the middle, on average.
    reaches = (500, 4_000, max(10_000, entries * 200 // cuts))
    async with (
        asyncio.timeout(LONGEST),
        api_of(server.url) as api,
        CuttingProxy(server.port, cuts, rng, reaches=reaches, most=65_536) as to_client,
        CuttingProxy(server.port, cuts, rng, reaches=reaches, most=65_536) as to_node,
        Client(to_client.url, sleep=no_pause) as client,
    ):
        producer = await api.register("Cut")
        first = entries // 2
        await _log(producer, first)
        url = f"{to_node.url}{producer.path}/events?from=start"
        event_source = await asyncio.create_subprocess_exec(
            "node", str(node), url, stdout=asyncio.subprocess.PIPE
        )
        try:
            rest = asyncio.ensure_future(_end(producer, entries - first))
            # "queued" and "running" come before the lines, "complete" after them.
            expected = 0
            async for entry in client.entries(producer.run, from_start=True):
                expected += 1
                assert expected == entry.seq
            assert isinstance(entry.event, Completed)
            await rest
            output, _ = await event_source.communicate()
        finally:
            if event_source.returncode is None:
                event_source.kill()
                await event_source.wait()
        assert entries + 3 == expected
        told = json.loads(output)
        assert (entries + 3, []) == (told["seqs"], told["wrong"]), told
        assert {"status": 2, "log": entries, "complete": 1} == told["kinds"]
        for proxy in (to_client, to_node):
            assert cuts == len(proxy.cuts)
            assert {"in order", "by a reset"} == {how for _, how in proxy.cuts}


async def _log(producer: Producer, number: int) -> None:
    for start in range(0, number, 1000):
        await producer.log(*(f"line {n} größer 日本 💥" for n in range(start, min(start + 1000, number))))


async def _end(producer: Producer, number: int) -> None:
    await _log(producer, number)
    await producer.complete()


# -- joining -----------------------------------------------------------------------------------------------------------


class Pulse:
    """Something that happens again and again, and can be waited for."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def beat(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def next(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


async def joining(folder: Path, *, readers: int, seed: int) -> None:
    """Join while a producer runs at full speed; between a reader's snapshot and its first read, some batches pass."""
    allow_files(3 * readers + 200)
    rng = random.Random(seed)
    async with asyncio.timeout(LONGEST), running(folder, retry_milliseconds=1) as api:
        producer = await api.register("Joined")
        port = int(api.streamer.url.rpartition(":")[2])
        stored, joined, ended = Pulse(), 0, False
        state_of = api.streamer.runs.state
        passed: list[int] = []

        async def old_state(run_id: str) -> RunState:
            """Return a state that is no longer the present one when it is used."""
            state = await state_of(run_id)
            for _ in range(rng.randrange(4)):
                if not ended:
                    await stored.next()
            passed.append((await state_of(run_id)).seq - state.seq)
            return state

        api.streamer.runs.state = old_state
        entries: dict[str, Any] = {}

        async def join() -> RunState:
            nonlocal joined
            # All at once would be one moment: they come in groups of some ten, each with a batch of its own.
            for _ in range(rng.randrange(readers // 10)):
                if not ended:
                    await stored.next()
            reader = await Reader.open(port, f"{producer.path}/events")
            state = None
            async for frame in reader.frames():
                if state is None:
                    snapshot = read_frame(frame)
                    assert isinstance(snapshot, Snapshot)
                    state = snapshot.state
                    joined += 1
                    continue
                if frame.event == "estimate":
                    continue
                entry = entries.get(frame.id)
                if entry is None:
                    entry = entries[frame.id] = read_frame(frame)
                assert isinstance(entry, Entry)
                assert entry.seq == state.seq + 1
                state = apply(state, entry)
            assert state is not None
            return state

        async def produce() -> None:
            nonlocal ended
            while joined < readers:
                await producer.log("a", "b")
                stored.beat()
            await producer.complete()
            ended = True
            stored.beat()

        *states, _ = await asyncio.gather(*(join() for _ in range(readers)), produce())
        final = await state_of(producer.run)
        assert final.is_over
        assert [final] * readers == states
        assert max(passed) > 1, "nothing happened between snapshot and first read"


# -- readers that stop reading -----------------------------------------------------------------------------------------


async def stalled_readers(
    server: ServerProcess, *, stalled: int, healthy: int, megabytes: int, beats: int
) -> list[float]:
    """Have some never read, and others read as ever; return the seconds from each publication to each reader.

    The server has a write timeout of a few seconds.
    """
    allow_files(stalled + healthy + 200)
    async with asyncio.timeout(LONGEST), api_of(server.url) as api:
        large, small = await api.register("Large"), await api.register("Small")
        for _ in range(megabytes):
            await large.log(*(["x" * 8_000] * 125))
        process = psutil.Process(server.process.pid if server.process else 0)
        readers = [await Reader.open(server.port, f"{small.path}/events") for _ in range(healthy)]
        before = process.memory_full_info().uss
        connections = [_never_read(server.port, f"{large.path}/events?from=start") for _ in range(stalled)]
        try:
            sent: dict[str, float] = {}
            lags: list[float] = []

            async def read(reader: Reader) -> list[str]:
                messages = []
                async for frame in reader.frames():
                    if frame.event == "log":
                        messages.append(json.loads(frame.data)["message"])
                        lags.append(time.monotonic() - sent[messages[-1]])
                return messages

            async def produce() -> int:
                most = 0
                for number in range(beats):
                    sent[f"{number}"] = time.monotonic()
                    await small.log(f"{number}")
                    most = max(most, process.memory_full_info().uss)
                await small.complete()
                return most

            *heard, most = await asyncio.gather(*(read(reader) for reader in readers), produce())
            assert [[f"{number}" for number in range(beats)]] * healthy == heard
            assert most - before < stalled * BYTES_PER_STALLED_READER + SLACK_BYTES

            async def all_closed() -> bool:
                return await api.metric("streamer_stalled_readers_closed_total") == stalled

            await wait_until_async(all_closed, timeout=60)
            await _gone(api)
        finally:
            for connection in connections:
                connection.close()
        return lags


def _never_read(port: int, path: str) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


async def _gone(api: Api) -> None:
    """Wait until nobody follows any more."""

    async def nobody() -> bool:
        return await api.metric("streamer_subscribers") == 0

    await wait_until_async(nobody, timeout=60)


# -- peers that vanish -------------------------------------------------------------------------------------------------


class Vanishing:
    """The ways in which a peer goes; each is called with a port and a request, and returns what must stay open."""

    @staticmethod
    def _begin(port: int, request: bytes, *, read: bool = True) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        connection.sendall(request)
        if read:
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        return connection

    @classmethod
    def fin(cls, port: int, request: bytes) -> None:
        cls._begin(port, request).close()

    @classmethod
    def rst(cls, port: int, request: bytes) -> None:
        connection = cls._begin(port, request)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    @classmethod
    def half_close(cls, port: int, request: bytes) -> socket.socket:
        connection = cls._begin(port, request)
        connection.shutdown(socket.SHUT_WR)
        return connection

    @classmethod
    def pipelined_then_fin(cls, port: int, request: bytes) -> socket.socket:
        connection = cls._begin(port, request + request + b"and more")
        connection.shutdown(socket.SHUT_WR)
        return connection

    @classmethod
    def before_the_first_byte(cls, port: int, request: bytes) -> None:
        cls._begin(port, request, read=False).close()

    @classmethod
    def in_the_request(cls, port: int, request: bytes) -> None:
        cls._begin(port, request[: len(request) // 2], read=False).close()

    @classmethod
    def black_hole(cls, port: int, request: bytes) -> socket.socket:
        """Have the kernel throw away all that comes: nothing is acknowledged any more, as if the cable were out."""
        connection = cls._begin(port, request)
        # A program for the socket's packet filter of one instruction: return 0 bytes of the packet.
        instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(instruction))
        so_attach_filter = 26
        connection.setsockopt(socket.SOL_SOCKET, so_attach_filter, program)
        return connection


WAYS: dict[str, Callable[[int, bytes], socket.socket | None]] = {
    "FIN": Vanishing.fin,
    "RST": Vanishing.rst,
    "half-close": Vanishing.half_close,
    "pipelined bytes, then FIN": Vanishing.pipelined_then_fin,
    "in the request": Vanishing.in_the_request,
    "before the first byte": Vanishing.before_the_first_byte,
}
if hasattr(socket, "TCP_USER_TIMEOUT"):  # elsewhere the kernel takes its own time to give up
    WAYS["black hole"] = Vanishing.black_hole


def vanish(way: str, port: int, path: str, times: int) -> list[socket.socket]:
    """Vanish so many times in one way; return the connections that the streamer cannot close."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    unreachable = []
    for start in range(0, times, 200):
        kept = [WAYS[way](port, request) for _ in range(start, min(start + 200, times))]
        for connection in filter(None, kept):
            if way == "black hole":
                unreachable.append(connection)
                continue
            # The streamer closes its side though ours is still there.
            with contextlib.suppress(ConnectionError):
                while connection.recv(65_536):
                    pass
            connection.close()
    return unreachable


async def vanishing(server: ServerProcess, *, times: dict[str, int]) -> None:
    """Vanish in these ways so many times, all of it twice; look whether the second time left anything in the server.

    The server has heartbeats and a write timeout of a second or less.
    """
    async with asyncio.timeout(LONGEST), api_of(server.url) as api:
        producer = await api.register("Left")
        assert server.process is not None
        process = psutil.Process(server.process.pid)

        async def once() -> None:
            unreachable = []
            for way, number in times.items():
                unreachable += await asyncio.to_thread(
                    vanish, way, server.port, f"{producer.path}/events", number
                )
            await _gone(api)
            for connection in unreachable:
                connection.close()

        await once()
        await wait_until_async(lambda: process.num_fds() < 100)
        files, threads, memory = process.num_fds(), process.num_threads(), process.memory_full_info().uss
        await once()
        # A thread that reads the log opens its files when it is first needed: three each, four threads at most. A thing
        # that a reader leaves behind is there hundreds of times.
        await wait_until_async(lambda: process.num_fds() <= files + 12)
        assert process.num_threads() <= threads
        assert process.memory_full_info().uss - memory < 5_000_000
        # The kernel gave up on those who acknowledged nothing; all others said that they left.
        assert await api.metric("streamer_stalled_readers_closed_total") == 2 * times.get("black hole", 0)


# -- drain -------------------------------------------------------------------------------------------------------------


async def drain(server: ServerProcess, *, readers: int, seconds: float) -> None:
    """Ask the server to end while it has many readers: each is told when to come back, and not all at once."""
    allow_files(readers + 200)
    async with asyncio.timeout(LONGEST), api_of(server.url) as api:
        producer = await api.register("Drained")
        crowd = []
        for start in range(0, readers, 100):
            opened = (
                Reader.open(server.port, f"{producer.path}/events")
                for _ in range(start, min(start + 100, readers))
            )
            crowd += await asyncio.gather(*opened)

        async def farewell(reader: Reader) -> float:
            """Return when this reader would come back."""
            while await reader.chunk():
                pass
            said = re.search(rb"\n\n(?::\n)*retry: (\d+)\n$", reader.body)
            assert said is not None, reader.body[-500:]
            assert reader.ended is not None
            return reader.ended + int(said[1]) / 1000

        leaving = [asyncio.ensure_future(farewell(reader)) for reader in crowd]
        assert await api.metric("streamer_subscribers") == readers
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(server.process.wait, seconds)
        assert code == 0
        back = sorted(await asyncio.gather(*leaving))
        tenths: dict[int, int] = {}
        for when in back:
            tenth = int((when - back[0]) * 10)
            tenths[tenth] = tenths.get(tenth, 0) + 1
        assert max(tenths.values()) < 3 * readers / (max(tenths) + 1)
