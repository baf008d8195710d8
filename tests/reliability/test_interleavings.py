"""Whatever comes between what: readers join, dawdle, leave and resume, while runs are written, compacted and removed.

Each reader folds what it gets, as a page does, and has in the end what the log has: nothing is lost, doubled or told in
another order, where streams are renewed, the log is read, runs go, or the streamer is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from pathlib import Path

import pytest

from streamer.model.events import Completed, Event, Logged, Progressed
from streamer.model.reducer import apply
from streamer.model.state import RunState, encode_state
from streamer.protocol import sse
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import Entry, EstimateSaid, Removed, Reset, Snapshot, SnapshotOfAll, read_frame
from streamer.server.fan_out.subscriber import prepare
from streamer.server.log.base import Draft
from streamer.server.log.sqlite import SqliteLog
from tests.api_support import Api, running
from tests.support import wait_until_async

RUNS_KEPT = 1


def prepare_to_pass_little(connection: socket.socket, *, silence_seconds: float) -> None:
    prepare(connection, silence_seconds=silence_seconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_000)


class Reader:
    """A reader of one run (None: of all), with what it knows."""

    def __init__(self, run_id: str | None, chance: random.Random) -> None:
        self.run_id = run_id
        self.states: dict[str, RunState] = {}
        self.cursor: Cursor | None = None
        self.is_over = False
        self._chance = chance
        self._dawdles = chance.choice((5, 300))
        self._removed: set[str] = set()

    async def read(self, api: Api) -> None:
        """Read until the run is over, from one connection after the other."""
        while not self.is_over:
            with contextlib.suppress(ConnectionError):
                await self._read_some(api)

    async def _read_some(self, api: Api) -> None:
        chance, decoder = self._chance, sse.Decoder()
        if chance.random() < 0.3:
            self.states, self.cursor = {}, None
        resume = "" if self.cursor is None else f"Last-Event-ID: {self.cursor}\r\n"
        path = "/api/events" if self.run_id is None else f"/api/runs/{self.run_id}/events"
        path += chance.choice(("", "?from=start"))
        connection = socket.create_connection(("127.0.0.1", int(api.streamer.url.rpartition(":")[2])))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000)
        reader, writer = await asyncio.open_connection(sock=connection, limit=2000)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n{resume}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            self.is_over = status in (204, 404)
            if status != 200:
                return
            while chance.random() > 0.02 and (chunk := await reader.read(chance.randint(1, 3000))):
                for frame in decoder.feed(chunk):
                    self._take(frame)
                for _ in range(chance.choice((0, 0, 1, 5, self._dawdles))):
                    await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def _take(self, frame: sse.Frame) -> None:
        message = read_frame(frame)
        match message:
            case SnapshotOfAll():
                self.states = {state.run: state for state in message.states}
            case Snapshot():
                self.states = {message.state.run: message.state}
                self.is_over = message.state.is_over
            case Reset():
                self.states, self.cursor = {}, None
                return
            case Entry():
                state = self.states.get(message.run_id) or RunState(run=message.run_id)
                assert self.cursor is None or message.offset > self.cursor.offset
                assert message.seq <= state.seq + 1, "something is missing"
                assert message.run_id not in self._removed
                self.states[message.run_id] = state = apply(state, message)
                self.is_over = self.run_id is not None and state.is_over
            case EstimateSaid():
                # It has no place in the log.
                return
            case Removed():
                assert self.cursor is None or message.offset > self.cursor.offset
                assert message.run_id not in self._removed
                self._removed.add(message.run_id)
                self.states.pop(message.run_id, None)
        self.cursor = Cursor.parse(frame.id)


class World:
    """Producers and readers over the lives of a streamer."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.of_all = [Reader(None, chance) for _ in range(4)]
        self.of_one: list[Reader] = []
        self.ended: dict[str, RunState] = {}

    async def live(self, api: Api, *, to_the_end: bool) -> None:
        """Let runs be written and read, until they are over or until all who read all runs know all that is known."""
        log = api.streamer.log
        async with asyncio.TaskGroup() as readers:
            reading = [readers.create_task(reader.read(api)) for reader in self.of_all]
            async with asyncio.TaskGroup() as group:
                for _ in range(2):
                    group.create_task(self._produce(api, group))
            if to_the_end:
                await wait_until_async(lambda: self._is_settled(log), timeout=30)
            for task in reading:
                task.cancel()

    def _is_settled(self, log: SqliteLog) -> bool:
        at_head = {log.head()} == {reader.cursor and reader.cursor.offset for reader in self.of_all}
        return at_head and len(log.runs(limit=100)) == RUNS_KEPT

    async def _produce(self, api: Api, group: asyncio.TaskGroup) -> None:
        log, chance = api.streamer.log, self.chance
        for number in range(5):
            run = (await api.register(f"Run {number}")).run
            for reader in [Reader(run, chance) for _ in range(2)]:
                self.of_one.append(reader)
                group.create_task(reader.read(api))
            for _ in range(chance.randint(1, 10)):
                drafts = [Draft(self._event(), 1000.0) for _ in range(chance.choice((1, 3, 150)))]
                await asyncio.wrap_future(log.append(run, drafts))
                for _ in range(chance.randint(0, 5)):
                    await asyncio.sleep(0)
            last = await asyncio.wrap_future(log.append(run, [Draft(Completed(), 1001.0)]))
            self.ended[run] = last.state

    def _event(self) -> Event:
        chance = self.chance
        if chance.random() < 0.3:
            return Progressed(done=chance.randint(0, 100), total=100)
        return Logged(message="é" * chance.choice((1, 10, 10, 10, 2000)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_whoever_joins_dawdles_leaves_and_resumes_has_in_the_end_what_the_log_has(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SqliteLog.__init__.__kwdefaults__, "tend_seconds", 0.005)
    for name, value in (
        ("streamer.server.fan_out.hub.prepare", prepare_to_pass_little),
        ("streamer.server.fan_out.hub._TOGETHER", 1 + seed),
        ("streamer.server.fan_out.hub._TURN_SECONDS", 0.0),
        ("streamer.server.fan_out.hub._REST", (1.0, 50.0)[seed // 2]),
        ("streamer.server.log.retention._SLICE", 7),
        ("streamer.server.log.retention._WORDS_KEPT", 4),
        ("streamer.server.log.writer._BETWEEN_SLICES", 0.001),
    ):
        monkeypatch.setattr(name, value)
    world = World(random.Random(seed))
    for to_the_end in (False, True):
        async with running(
            tmp_path,
            tail_bytes=10_000,
            keep_runs=RUNS_KEPT,
            compact_seconds=0.05 * (seed % 2),
            heartbeat_seconds=0.1,
            max_stream_seconds=0.2,
        ) as api:
            await world.live(api, to_the_end=to_the_end)
            kept = {state.run: encode_state(state) for state in api.streamer.log.runs(limit=100)}
    for reader in world.of_all:
        assert kept == {run: encode_state(state) for run, state in reader.states.items()}
    for reader in world.of_one:
        # Or it was told that the run is not there any more.
        for run, state in reader.states.items():
            assert not state.is_over or encode_state(world.ended[run]) == encode_state(state)
