"""`Subscriber`: a reader of a stream as a socket, a cursor, and the rest of one write. Never waits, and reads no log.

Why not Tornado's `IOStream`: to 1,000 readers it delivered 0.64, 0.67, 0.77 and 1.20 of a socket's events in four
rounds (`benchmarks/fanout.py`). Where there is only an `IOStream`, as with TLS, `relay` writes to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from streamer.protocol import sse
from streamer.protocol.frames import (
    Reset,
    Snapshot,
    SnapshotOfAll,
    reset_data,
    reset_frame,
    snapshot_data,
    snapshot_frame,
)
from streamer.server.fan_out.tail import Frames

_NOT_NOW: Final = (BlockingIOError, InterruptedError)


class Style(Struct, frozen=True):
    """How a stream is written: with nothing but `data:` lines or with all fields, in chunks or plain (HTTP/1.0)."""

    data_only: bool
    chunked: bool = True

    @property
    def heartbeat(self) -> bytes:
        """The bytes that keep an idle connection open."""
        return self.part(sse.HEARTBEAT_DATA_ONLY if self.data_only else sse.HEARTBEAT)

    @property
    def end(self) -> bytes:
        """The bytes that say that the stream is whole."""
        return b"0\r\n\r\n" if self.chunked else b""

    def part(self, data: bytes) -> bytes:
        """Return bytes of the stream as they are sent."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked and data else data

    def retry(self, milliseconds: float) -> bytes:
        """Return what asks the reader to wait before it reconnects; clients of `data:` lines know no such thing."""
        return b"" if self.data_only else sse.encode_retry(round(milliseconds))

    def entries(self, frames: Frames) -> bytes:
        """Return encoded frames of entries as they are sent, joined once for all readers at the same place."""
        joined = frames.encoded.get(self)
        if joined is None:
            joined = frames.encoded[self] = self.part(self._join(frames.frames))
        return joined

    def _join(self, frames: Sequence[bytes]) -> bytes:
        if not self.data_only:
            return b"".join(frames)
        # A frame of ours is three lines, the last of them the data.
        return b"".join(frame[frame.index(b"\ndata: ") + 1 :] for frame in frames)

    def snapshot(self, snapshot: Snapshot | SnapshotOfAll) -> bytes:
        """Return a snapshot's frame."""
        return sse.encode_data_only(snapshot_data(snapshot)) if self.data_only else snapshot_frame(snapshot)

    def word(self, kind: str, data: bytes) -> bytes:
        """Return a frame without an id as it is sent: it has no place in the log.

        Args:
            kind: The event's name.
            data: Its JSON.

        """
        return self.part(
            sse.encode_data_only(data) if self.data_only else sse.encode(data, event=kind, id=None)
        )

    def reset(self, reset: Reset, run_id: str | None) -> bytes:
        """Return a reset's frame.

        Args:
            reset: The reason.
            run_id: The stream's run; None: the stream of all runs.

        """
        return (
            sse.encode_data_only(reset_data(reset, run_id)) if self.data_only else reset_frame(reset, run_id)
        )


@functools.cache
def style_of(*, data_only: bool, chunked: bool) -> Style:
    """Return a style, the same object for all who ask for the same.

    Args:
        data_only: Whether frames are `data:` lines alone (`?format=data`).
        chunked: Whether HTTP chunks are around the frames.

    """
    return Style(data_only, chunked)


class Owner(Protocol):
    """The owner of a subscriber, which is told of its end."""

    def drained(self, subscriber: Subscriber) -> None:
        """Learn that the reader took all that was written: there is room for more."""

    def left(self, subscriber: Subscriber, *, stalled: bool) -> None:
        """Learn that the connection is closed. `stalled`: because nobody read it.

        Args:
            subscriber: The subscriber.
            stalled: Whether it took nothing for too long.

        """


class End(Struct, frozen=True):
    """How a stream ended, in words; whether with the run's terminal event; after how many bytes."""

    how: str
    run_over: bool = False
    sent: int = 0


class Subscriber:
    """See the module. Used in the event loop, by its owner.

    `after`: everything up to that offset was written. `expires`: when, on the loop's clock, its reader is asked to
    reconnect. `on_end` is told, once, that the connection is closed. `ended`: the run's terminal event was written.
    `is_reading`: its owner reads the log for it. `takes_more`: it took all that was written, and its stream goes on.
    `written`: when the kernel last took something, and `sent`: how many bytes in all.
    """

    __slots__ = (
        "_connection",
        "_ending",
        "_loop",
        "_on_end",
        "_owner",
        "_rest",
        "after",
        "ended",
        "expires",
        "is_open",
        "is_reading",
        "run_id",
        "sent",
        "style",
        "takes_more",
        "written",
    )

    def __init__(
        self,
        owner: Owner,
        connection: socket.socket,
        *,
        run_id: str | None,
        after: int,
        style: Style,
        expires: float,
        on_end: Callable[[End], None] | None = None,
    ) -> None:
        self.run_id = run_id
        self.after = after
        self.style = style
        self.expires = expires
        self.ended = False
        self.is_open = True
        self.is_reading = False
        self.takes_more = True
        self._owner = owner
        self._connection = connection
        self._on_end = on_end
        self._ending = False
        self._rest: memoryview | None = None
        self._loop = asyncio.get_running_loop()
        self.written = self._loop.time()
        self.sent = 0
        self._loop.add_reader(connection, self._hear)

    @property
    def is_ready(self) -> bool:
        """Whether something can be written to it now: it takes more, and nothing is being read for it."""
        return self.takes_more and not self.is_reading

    @property
    def is_blocked(self) -> bool:
        """Whether its reader has not made room for what was written."""
        return self._rest is not None

    def write(self, data: bytes, now: float) -> None:
        """Give the kernel what it takes, `now` on the loop's clock, and keep the rest until the reader made room.

        Args:
            data: The bytes.
            now: Seconds on the loop's clock.

        """
        if self._rest is not None:
            self._rest = memoryview(bytes(self._rest) + data)
            return
        try:
            sent = self._connection.send(data)
        except _NOT_NOW:
            sent = 0
        except OSError as error:
            self._fail(error)
            return
        if sent:
            self.written = now
            self.sent += sent
        if sent < len(data):
            self.takes_more = False
            self._rest = memoryview(data)[sent:]
            self._loop.add_writer(self._connection, self._go_on)

    def finish(self, last_words: bytes = b"") -> None:
        """Write these and the stream's end, and close as soon as they are taken."""
        if self._ending:
            return
        data = last_words + self.style.end
        if data:
            self.write(data, self._loop.time())
        self._ending = True
        self.takes_more = False
        if self._rest is None:
            self.close()

    def close(self, *, stalled: bool = False) -> None:
        """Close the connection now. Idempotent."""
        if not self.is_open:
            return
        self.is_open = False
        how = "nobody read it" if stalled else "reader left"
        if self._ending and self._rest is None:
            how = "run over" if self.ended else "asked to reconnect"
        self._ending = True
        self.takes_more = False
        self._loop.remove_reader(self._connection)
        if self._rest is not None:
            self._loop.remove_writer(self._connection)
            self._rest = None
        # Closing over what was not read would reset the connection, and our last words with it.
        with contextlib.suppress(OSError):
            self._connection.recv(65_536)
        self._connection.close()
        self._owner.left(self, stalled=stalled)
        if self._on_end is not None:
            self._on_end(End(how, self.ended, self.sent))

    def _go_on(self) -> None:
        rest = self._rest
        assert rest is not None
        try:
            sent = self._connection.send(rest)
        except _NOT_NOW:
            return
        except OSError as error:
            self._fail(error)
            return
        self.written = self._loop.time()
        self.sent += sent
        if sent < len(rest):
            self._rest = rest[sent:]
            return
        self._rest = None
        self._loop.remove_writer(self._connection)
        if self._ending:
            self.close()
        else:
            self.takes_more = True
            self._owner.drained(self)

    def _hear(self) -> None:
        """Learn that the reader left; what it says after its request is of no interest."""
        try:
            if self._connection.recv(65_536):
                return
        except _NOT_NOW:
            return
        except OSError as error:
            self._fail(error)
            return
        self.close()

    def _fail(self, error: OSError) -> None:
        # The kernel gives up on a peer that acknowledges nothing; see `prepare`.
        self.close(stalled=error.errno == errno.ETIMEDOUT)


def prepare(connection: socket.socket, *, silence_seconds: float) -> None:
    """Have a connection send at once, and fail when its peer acknowledges nothing for so long, where it can be had.

    Args:
        connection: The reader's connection.
        silence_seconds: Seconds without an acknowledgement after which the connection fails.

    """
    with contextlib.suppress(OSError):  # not every socket is TCP
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            timeout = min(round(1000 * silence_seconds), 2**31 - 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout)
