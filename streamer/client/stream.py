"""`Stream`: a streamer's event stream as an iterator that reconnects and resumes. Folds nothing.

Why one module: connecting, reading and resuming are steps of one iterator.
"""

from __future__ import annotations

import abc
import math
import random
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Final, Generic, Literal, Protocol, Self, TypeVar, cast

import httpx
import msgspec

from streamer.model.events import TERMINAL_TYPES, Entry, decode_envelope
from streamer.protocol import sse
from streamer.protocol.api import (
    MAX_ERROR_BYTES,
    ProtocolError,
    StreamerError,
    StreamReset,
    api_error,
    read_body,
    reason_of,
)
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import (
    EstimateSaid,
    Removed,
    Reset,
    Snapshot,
    SnapshotOfAll,
    WireError,
    read_frame,
)

#: The messages that `Client.follow` yields.
Message = Entry | Snapshot | SnapshotOfAll | Reset | Removed | EstimateSaid
#: The states that `on_connection` is told: a connection is being made, it is open, or the last attempt failed.
Connection = Literal["connecting", "live", "away"]
OnConnection = Callable[[Connection, str], None]

#: Bound, in bytes, of one event: snapshots hold results and parameters.
MAX_EVENT_BYTES: Final = 64_000_000
#: Longest cursor, in bytes of UTF-8, that is sent or accepted; ours have about thirty.
MAX_CURSOR_BYTES: Final = 1_000
#: Seconds to wait before reconnecting where the streamer never said, and where it said but does not come back.
RETRY_SECONDS: Final = 2.0
LONGEST_RETRY_SECONDS: Final = 30.0

M = TypeVar("M")


class Source(Protocol):
    """The part of a client that a stream needs; see `Client`."""

    strict: bool
    max_event_bytes: int
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    rng: random.Random

    async def open_stream(self, path: str, params: dict[str, str], cursor: str | None) -> httpx.Response:
        """Ask for a stream; return the answer, its body unread. Raises `httpx.TransportError` or `ProtocolError`.

        Args:
            path: The stream's path.
            params: The query.
            cursor: The cursor to resume after; None: the beginning that the query names.

        Raises:
            httpx.TransportError: If the streamer cannot be reached.
            ProtocolError: If the answer is no stream.

        """


class Stream(abc.ABC, Generic[M]):
    """An iterator over a stream that reconnects and resumes. One task at a time iterates it.

    Leaving a loop, or being cancelled in it, lets go of the connection, and the next loop resumes after what was taken
    last. `aclose` ends it for good. A caller of `anext` without a loop closes it, or uses ``async with``.
    """

    def __init__(
        self,
        client: Source,
        path: str,
        run_id: str | None,
        cursor: Cursor | None,
        from_start: bool,
        on_connection: OnConnection | None,
    ) -> None:
        self.run_id: Final = run_id
        #: Where to resume: the position of the last message that was taken; None at the beginning.
        self.cursor = cursor
        self._client = client
        self._path = path
        self._params = {"from": "start"} if from_start and cursor is None else {}
        self._on_connection = on_connection
        self._said: tuple[str, str] | None = None
        self._decoder = sse.Decoder(max_event_bytes=client.max_event_bytes)
        self._frames: deque[sse.Frame] = deque()
        self._response: httpx.Response | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._opened = math.inf
        self._failures = 0
        self._delay: float | None = None
        self._iterating = False
        self._over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and let go of its connection. Idempotent.

        A task that waits in `anext` meanwhile finds the stream ended; while it pauses before a new attempt, after that.
        """
        self._over = True
        self._frames.clear()
        await self._disconnect()

    def is_over(self) -> bool:
        """Whether nothing more will come: it ended, was closed, or raised."""
        return self._over

    # Why a generator, and `anext` beside it: asyncio closes a generator that a loop has left, which lets go of the
    # connection; and a generator that was cancelled is over, which would look like the end of the run.
    async def __aiter__(self) -> AsyncIterator[M]:
        try:
            while True:
                try:
                    message = await self.__anext__()
                except StopAsyncIteration:
                    return
                yield message
        finally:
            await self._disconnect()

    async def __anext__(self) -> M:
        if self._iterating:
            raise RuntimeError("this stream is being iterated by another task already")
        self._iterating = True
        try:
            return await self._next()
        except BaseException as error:
            # A connection cannot be read on after a cancelled read: the next call makes a new one.
            self._over = self._over or isinstance(error, StreamerError)
            self._iterating = False
            await self._disconnect()
            raise
        finally:
            self._iterating = False

    async def _next(self) -> M:
        while True:
            while self._frames:
                message = self._interpret(self._frames.popleft())
                if self._over:
                    self._frames.clear()
                    await self._disconnect()
                if message is not None:
                    return message
            if self._over:
                raise StopAsyncIteration
            if self._chunks is None:
                await self._connect()
            else:
                await self._read_on(self._chunks)

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Make one attempt to open the stream, after the pause that is due."""
        client = self._client
        if self._delay is not None:
            await client.sleep(self._delay)
            self._delay = None
        if self.is_over():
            return
        if self._said is None or self._said[0] == "live":
            self._say("connecting", "")
        try:
            cursor = None if self.cursor is None else str(self.cursor)
            response = await client.open_stream(self._path, {} if cursor else self._params, cursor)
        except httpx.TransportError as error:
            self._failed("away", reason_of(error))
            return
        if self.is_over():
            await response.aclose()
            return
        self._response = response
        if response.status_code != 200:
            await self._refused(response)
            return
        kind = response.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            raise ProtocolError(f"expected Content-Type: text/event-stream, received {kind[:100]!r}")
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise ProtocolError("expected an uncompressed stream")
        self._chunks = cast(AsyncGenerator[bytes, None], response.aiter_raw())
        self._opened = client.clock()
        self._decoder.reconnected()
        self._decoder.last_event_id = cursor or ""
        self._say("live", "")

    async def _refused(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 204:
            self._over = True
            await self._disconnect()
            return
        try:
            body = await read_body(response, MAX_ERROR_BYTES)
        except httpx.TransportError:
            body = b""
        await self._disconnect()
        error = api_error(response, body, self._client.clock())
        if self._client.strict or not (status == 429 or status >= 500):
            raise error
        self._failed("away", str(error), error.retry_after_seconds)

    async def _read_on(self, chunks: AsyncGenerator[bytes, None]) -> None:
        reason = "the streamer ended the connection"
        # The decoder gave what came before an event that is too large, and raises from then on: no need for more.
        self._decode(b"")
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            chunk = None
        except httpx.TransportError as error:
            chunk, reason = None, reason_of(error)
        if self.is_over():
            return
        if chunk is None:
            await self._disconnect()
            self._failed("connecting", reason)
            return
        self._decode(chunk)

    def _decode(self, chunk: bytes) -> None:
        try:
            self._frames.extend(self._decoder.feed(chunk))
        except sse.EventTooLarge as error:
            raise ProtocolError(str(error)) from error

    async def _disconnect(self) -> None:
        response, chunks = self._response, self._chunks
        if response is None:
            return
        self._response = self._chunks = None
        # While another task reads, only the connection can be closed, which ends that reading.
        if chunks is not None and not self._iterating:
            await chunks.aclose()
        await response.aclose()

    def _failed(self, state: Connection, reason: str, retry_after: float | None = None) -> None:
        """Plan the next attempt: what the streamer asked for, then exponential with full jitter."""
        client, asked = self._client, self._decoder.retry_milliseconds
        if client.clock() - self._opened >= LONGEST_RETRY_SECONDS:
            # It was open for long: what cuts silent connections every minute is no streamer in trouble.
            self._failures = 0
        self._opened = math.inf
        base = RETRY_SECONDS * client.rng.uniform(0.5, 1.5) if asked is None else asked / 1000
        delay = base
        if self._failures:
            most = max(base, 0.1) * 2.0 ** min(self._failures, 30)
            delay = client.rng.uniform(0.0, min(most, max(base, LONGEST_RETRY_SECONDS)))
        self._failures += 1
        self._delay = max(delay, retry_after or 0.0)
        self._say(state, reason)

    def _say(self, state: Connection, detail: str) -> None:
        if self._on_connection is not None and self._said != (state, detail):
            self._on_connection(state, detail)
        self._said = state, detail

    # -- what comes ----------------------------------------------------------------------------------------------------

    def _interpret(self, frame: sse.Frame) -> M | None:
        """Return what the consumer gets of a frame, None for nothing, and move the cursor."""
        self._failures = 0
        if not _is_sound(frame.id):
            raise ProtocolError(
                f"expected an id of at most {MAX_CURSOR_BYTES:,} bytes, received a longer one"
            )
        try:
            message = read_frame(frame)
        except WireError as error:
            raise ProtocolError(str(error)) from error
        if isinstance(message, EstimateSaid):
            # It has no place in the log: the cursor stays.
            return self._estimate(message)
        if message is None or isinstance(message, Entry | Removed):
            cursor = Cursor.parse(frame.id)
            if cursor is None or not self._moves(cursor):
                return None
            if message is None:
                self._unknown(frame)
                self.cursor = cursor
                return None
            if isinstance(message, Removed):
                self.cursor = cursor
                return self._removed(message)
            if self.run_id not in (None, message.run_id):
                raise ProtocolError(
                    f"expected entries of run {self.run_id}, received one of {message.run_id}"
                )
            taken = self._entry(message)
            self.cursor = cursor
            self._over = self.run_id is not None and isinstance(message.event, TERMINAL_TYPES)
            return taken
        if isinstance(message, Reset):
            taken = self._reset(message)
            self.cursor = None
            return taken
        if not _is_sound(str(message.cursor)):
            raise ProtocolError(f"expected a cursor, received {str(message.cursor)[:100]!r}")
        taken = self._snapshot(message)
        self.cursor = message.cursor
        if isinstance(message, Snapshot) and self.run_id is not None:
            self._over = message.state.is_over
        return taken

    def _moves(self, cursor: Cursor) -> bool:
        """Say whether an entry is new."""
        if self.cursor is None:
            return True
        if cursor.epoch != self.cursor.epoch:
            raise ProtocolError(
                f"expected entries of log {self.cursor.epoch!r}, received one of {cursor.epoch[:100]!r} without a reset"
            )
        return cursor.offset > self.cursor.offset

    @abc.abstractmethod
    def _entry(self, entry: Entry) -> M | None: ...

    def _removed(self, removed: Removed) -> M | None:
        """Return what the consumer gets of the word that a run was removed: nothing, where it wants entries."""
        return None

    def _estimate(self, said: EstimateSaid) -> M | None:
        """Return what the consumer gets of an estimate: nothing, where it wants entries."""
        return None

    def _unknown(self, frame: sse.Frame) -> None:
        """Take note of an entry of a kind that this version does not know."""

    @abc.abstractmethod
    def _reset(self, reset: Reset) -> M | None: ...

    @abc.abstractmethod
    def _snapshot(self, snapshot: Snapshot | SnapshotOfAll) -> M | None: ...


class Following(Stream[Message]):
    """All there is, for those who fold."""

    def _entry(self, entry: Entry) -> Message:
        return entry

    def _removed(self, removed: Removed) -> Message:
        return removed

    def _estimate(self, said: EstimateSaid) -> Message:
        return said

    def _reset(self, reset: Reset) -> Message:
        return reset

    def _snapshot(self, snapshot: Snapshot | SnapshotOfAll) -> Message:
        return snapshot


class Entries(Stream[Entry]):
    """Entries alone, and none missing: a run's `seq` says so."""

    def __init__(
        self,
        client: Source,
        path: str,
        run_id: str | None,
        cursor: Cursor | None,
        from_start: bool,
        on_connection: OnConnection | None,
    ) -> None:
        super().__init__(client, path, run_id, cursor, from_start, on_connection)
        #: Whether entries before the next one may be missing without harm.
        self._may_skip = cursor is None and not from_start
        #: The `seq` before the next entry's; None when it is not known.
        self._seq = 0 if run_id is not None and cursor is None and from_start else None

    def _entry(self, entry: Entry) -> Entry:
        if self._seq is not None and entry.seq != self._seq + 1:
            raise StreamReset(
                f"run {entry.run_id}: expected entry {self._seq + 1}, received {entry.seq}: the log does not hold all"
            )
        if self.run_id is not None:
            self._seq = entry.seq
        self._may_skip = False
        return entry

    def _unknown(self, frame: sse.Frame) -> None:
        try:
            self._seq = decode_envelope(frame.data).seq if self.run_id is not None else None
        except (msgspec.DecodeError, RecursionError):
            self._seq = None

    def _reset(self, reset: Reset) -> None:
        if not self._may_skip:
            raise StreamReset(reset.reason)

    def _snapshot(self, snapshot: Snapshot | SnapshotOfAll) -> None:
        if not self._may_skip:
            raise StreamReset("the log no longer holds what comes next: the streamer sent a snapshot instead")
        if isinstance(snapshot, Snapshot):
            self._seq = snapshot.state.seq


def read_cursor(cursor: str | Cursor | None) -> Cursor | None:
    """Read where somebody wants to go on. Raises `ValueError`.

    Args:
        cursor: ``EPOCH-OFFSET``, or None.

    Raises:
        ValueError: If the text has another form.

    """
    if cursor is None:
        return None
    text = str(cursor)
    if not _is_sound(text):
        raise ValueError(
            f"expected a cursor of at most {MAX_CURSOR_BYTES:,} bytes without line ends, received {text[:100]!r}"
        )
    parsed = Cursor.parse(text)
    if parsed is None:
        raise ValueError(f"expected a cursor EPOCH-OFFSET, received {text[:100]!r}")
    return parsed


def _is_sound(cursor: str) -> bool:
    """Say whether a cursor can be sent as a header."""
    return len(cursor.encode()) <= MAX_CURSOR_BYTES and not any(character in cursor for character in "\r\n\0")
