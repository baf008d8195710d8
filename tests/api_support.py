"""What the tests of the HTTP API share: a streamer in this process, producers, streams read byte by byte.

Runs no process of a pipeline: `FakeBackend` takes the place of the processes, and ends them when a test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from streamer.protocol import sse
from streamer.protocol.worker_spec import WorkerSpec
from streamer.server.app import Streamer
from streamer.server.execution.base import Exit
from streamer.settings import Settings
from tests.support import NO_CERTIFICATES, wait_until_async

#: Seconds after which something that must come soon counts as not coming.
PATIENCE = 60.0
#: The pipelines that misbehave, and the plain ones beside them.
PIPELINES = str(Path(__file__).with_name("api_pipelines.py"))

JSON = {"Content-Type": "application/json"}
STREAM = {"Accept": "text/event-stream"}


class FakeHandle:
    """A process that is none: it ends when a test calls `end`."""

    def __init__(self, spec: WorkerSpec, number: int) -> None:
        self.spec = spec
        self.pid = 1_000_000 + number
        self.identity: dict[str, Any] = {"run": spec.run_id, "pid": self.pid}
        self.asked: list[str] = []
        self.swept = False
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    def end(self, exit_: Exit | None = None) -> None:
        if not self._exit.done():
            self._exit.set_result(exit_ or Exit(code=0))

    def doing(self) -> str:
        return "sleeping"

    def sweep(self) -> None:
        self.swept = True

    def terminate(self) -> None:
        self.asked.append("terminate")

    def kill(self) -> None:
        self.asked.append("kill")
        self.end(Exit(signal=9))


class FakeBackend:
    """Starts nothing, and notes what it was asked to start."""

    def __init__(self, settings: Settings) -> None:
        self.handles: dict[str, FakeHandle] = {}
        self._numbers = itertools.count()
        self.fails: OSError | None = None

    async def start(self, spec: WorkerSpec) -> FakeHandle:
        if self.fails is not None:
            raise self.fails
        handle = self.handles[spec.run_id] = FakeHandle(spec, next(self._numbers))
        return handle

    def attach(self, identity: Mapping[str, Any]) -> FakeHandle | None:
        return None

    def examine(self, identity: Mapping[str, Any]) -> Exit:
        return Exit(output_tail="its last words")

    async def close(self) -> None:
        for handle in self.handles.values():
            handle._exit.cancel()


class Producer:
    """What executes a registered run: it sends events with the run's token."""

    def __init__(self, http: httpx.AsyncClient, run: str, token: str) -> None:
        self.http = http
        self.run = run
        self.token = token
        self.seq = 0

    @property
    def path(self) -> str:
        return f"/api/runs/{self.run}"

    async def post(self, body: str | bytes, token: str | None = None) -> httpx.Response:
        """Send an ingest body as it stands."""
        headers = {
            "Authorization": f"Bearer {token or self.token}",
            "Content-Type": "application/x-ndjson",
        }
        return await self.http.post(f"{self.path}/events", content=body, headers=headers)

    async def send(self, *events: Mapping[str, Any]) -> dict[str, Any]:
        """Send events with the numbers that come next; they must be taken."""
        body = ndjson(*events, first=self.seq + 1)
        answer = await self.post(body)
        assert answer.status_code == 200, answer.text
        self.seq += len(events)
        answered: dict[str, Any] = answer.json()
        return answered

    async def log(self, *messages: str, level: str = "INFO") -> None:
        """Send log lines."""
        await self.send(*({"event": "log", "message": text, "level": level} for text in messages))

    async def complete(self, **fields: Any) -> None:
        """Send the terminal event of a run that came to its end."""
        await self.send({"event": "complete", **fields})

    async def state(self) -> dict[str, Any]:
        """Return the run's state as the API gives it."""
        answer = await self.http.get(self.path)
        state: dict[str, Any] = answer.json()
        return state


def ndjson(*events: Mapping[str, Any], first: int = 1) -> bytes:
    """Return an ingest body; events that have no `seq` are numbered from `first` on."""
    return b"".join(
        json.dumps({"seq": seq, **event}).encode() + b"\n" for seq, event in enumerate(events, first)
    )


class Stream:
    """An event stream that is being read, through httpx and the project's decoder."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.headers = response.headers
        self.bytes = b""
        self._decoder = sse.Decoder()
        self._chunks = response.aiter_raw()
        self._frames: list[sse.Frame] = []

    async def _more(self) -> bool:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            return False
        self.bytes += chunk
        self._frames += self._decoder.feed(chunk)
        return True

    async def take(self, number: int) -> list[sse.Frame]:
        """Return the next frames, exactly so many."""
        # The whole is bounded, not each read: heartbeats come for ever.
        async with asyncio.timeout(PATIENCE):
            while len(self._frames) < number:
                assert await self._more(), f"ended after {len(self._frames)} of {number} frames"
        taken, self._frames = self._frames[:number], self._frames[number:]
        return taken

    async def next(self) -> sse.Frame:
        """Return the next frame."""
        return (await self.take(1))[0]

    async def rest(self) -> list[sse.Frame]:
        """Return all frames up to the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            while await self._more():
                pass
        taken, self._frames = self._frames, []
        return taken

    async def until(self, wanted: bytes) -> bytes:
        """Read on until the bytes received so far contain `wanted`, and return them all."""
        async with asyncio.timeout(PATIENCE):
            while wanted not in self.bytes:
                assert await self._more(), f"ended without {wanted!r}: {self.bytes[-2000:]!r}"
        return self.bytes


class Api:
    """A streamer in this process and a client of it."""

    def __init__(self, streamer: Streamer, http: httpx.AsyncClient, backend: FakeBackend) -> None:
        self.streamer = streamer
        self.http = http
        self.backend = backend

    async def register(self, title: str = "A run", **fields: Any) -> Producer:
        """Register a run that this test executes."""
        answer = await self.http.post("/api/runs", json={"title": title, **fields})
        assert answer.status_code == 201, answer.text
        return Producer(self.http, answer.json()["run"], answer.json()["token"])

    async def start(self, pipeline: str = "Plain", **parameters: Any) -> str:
        """Start a run of a pipeline and return its id."""
        answer = await self.http.post(f"/api/pipelines/{pipeline}/runs", json=parameters)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["run"])

    async def started(self, pipeline: str = "Plain", **parameters: Any) -> Producer:
        """Start a run, and return its producer once its (fake) process is there."""
        run = await self.start(pipeline, **parameters)
        handle = await self.handle(run)
        return Producer(self.http, run, handle.spec.token)

    async def handle(self, run: str) -> FakeHandle:
        """Return a run's process once it was started."""
        await self.until(lambda: run in self.backend.handles)
        return self.backend.handles[run]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let the loop run until something holds."""
        await wait_until_async(condition, timeout=PATIENCE, interval=0.005)

    async def state(self, run: str) -> dict[str, Any]:
        """Return a run's state as the API gives it."""
        answer = await self.http.get(f"/api/runs/{run}")
        state: dict[str, Any] = answer.json()
        return state

    async def status(self, run: str, *wanted: str) -> dict[str, Any]:
        """Return a run's state once its status is one of those."""

        async def reached() -> dict[str, Any] | None:
            state = await self.state(run)
            return state if state["status"] in wanted else None

        return await wait_until_async(reached, timeout=PATIENCE, interval=0.005)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, method: str = "GET", **options: Any) -> AsyncIterator[Stream]:
        """Open a stream and read it; it is closed on leaving."""
        async with self.http.stream(method, path, **options) as response:
            assert response.status_code == 200, (response.status_code, await response.aread())
            yield Stream(response)

    async def raw(self, request: bytes | str) -> Raw:
        """Send bytes as they stand."""
        address = urlsplit(self.streamer.url)
        return await Raw.open(address.hostname or "", address.port or 0, request)


class Raw:
    """A connection whose bytes a test writes and reads as they stand; `async with` closes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.bytes = b""

    @classmethod
    async def open(cls, host: str, port: int, request: bytes | str) -> Self:
        self = cls(*await asyncio.open_connection(host, port))
        self.writer.write(request.encode() if isinstance(request, str) else request)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def until(self, wanted: bytes) -> bytes:
        """Read until what came contains `wanted`, and return all that came."""
        async with asyncio.timeout(PATIENCE):
            while wanted not in self.bytes:
                chunk = await self.reader.read(65_536)
                assert chunk, f"closed without {wanted!r}: {self.bytes[-2000:]!r}"
                self.bytes += chunk
        return self.bytes

    async def all(self) -> bytes:
        """Read until the server closes the connection, and return all that came."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while chunk := await self.reader.read(65_536):
                    self.bytes += chunk
        return self.bytes


@contextlib.asynccontextmanager
async def running(folder: Path, *, page: str = "", **settings: Any) -> AsyncIterator[Api]:
    """Run a streamer in this loop, on a free port, with the log in ``folder/data``."""
    given = {
        "data": folder / "data",
        "port": 0,
        "pipelines": (PIPELINES,),
        "commit_seconds": 0.001,
        **settings,
    }
    backends: list[FakeBackend] = []

    def backend(settings: Settings) -> FakeBackend:
        backends.append(FakeBackend(settings))
        return backends[-1]

    streamer = Streamer(Settings(**given), page=page, backend=backend)
    await streamer.open()
    try:
        headers = {"Authorization": f"Bearer {given['token']}"} if given.get("token") else {}
        async with httpx.AsyncClient(
            base_url=streamer.url, headers=headers, timeout=PATIENCE, verify=NO_CERTIFICATES
        ) as http:
            yield Api(streamer, http, backends[0])
    finally:
        await streamer.close()


def error_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the error of an answer, after looking at what every error must have."""
    assert (status, code) == (answer.status_code, answer.json()["error"]["code"]), answer.text
    assert {"error"} == set(answer.json())
    error: dict[str, Any] = answer.json()["error"]
    assert {"code", "message", "details"} == set(error)
    assert error["message"]
    assert answer.headers["content-type"] == "application/json"
    return error


def data_of(frame: sse.Frame) -> dict[str, Any]:
    """Return the JSON of a frame."""
    data: dict[str, Any] = json.loads(frame.data)
    return data
