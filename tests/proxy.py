"""A proxy that cuts connections at random bytes, in order or by a reset; what tests of disconnects share."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Sequence
from typing import Any, Self

from tests.support import wait_until_async


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that its other end meets a reset, and loses what it had not read."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class CuttingProxy:
    """Carries connections to a streamer and cuts each after a number of bytes, until it has cut so many times.

    Cuts come after fewer bytes than one of `reaches` says: the head of an answer has some four hundred, a frame about
    as many. `most`: how many bytes are carried at once.
    """

    def __init__(
        self,
        port: int,
        cuts: int,
        rng: random.Random,
        *,
        reaches: Sequence[int] = (500, 4_000, 40_000),
        most: int = 3_000,
    ) -> None:
        self._to = port
        self._left = cuts
        self._rng = rng
        self._reaches = reaches
        self._most = most
        self._connections: set[asyncio.Task[Any]] = set()
        self.cuts: list[tuple[int, str]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await wait_until_async(lambda: not self._connections)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
            asking = asyncio.ensure_future(self._pump(reader, up_writer))
            try:
                await self._answer(up_reader, writer)
            finally:
                asking.cancel()
                up_writer.transport.abort()
                await asyncio.wait([asking])
        finally:
            self._connections.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cuts = self._left > 0
        self._left -= cuts
        budget = self._rng.randrange(self._rng.choice(self._reaches))
        carried = 0
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(self._rng.randrange(1, self._most)):
                if cuts and carried + len(chunk) >= budget:
                    writer.write(chunk[: budget - carried])
                    await writer.drain()
                    how = self._rng.choice(("in order", "by a reset"))
                    self.cuts.append((budget, how))
                    if how == "by a reset":
                        reset(writer)
                    break
                writer.write(chunk)
                await writer.drain()
                carried += len(chunk)
        writer.close()
