"""Streams: where a reader begins, and the loop that carries entries to it until it leaves or the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Final

from msgspec import Struct
from tornado.iostream import StreamClosedError

from streamer import sse
from streamer.handlers.base import ApiError, BaseHandler
from streamer.log.base import LogError
from streamer.state import RunState
from streamer.wire import (
    Cursor,
    Reset,
    Snapshot,
    SnapshotOfAll,
    reset_data,
    reset_frame,
    snapshot_data,
    snapshot_frame,
)

#: How many of the newest runs a snapshot of all runs holds, beside those under way.
_NEWEST: Final = 50


class Style(Struct, frozen=True):
    """How frames are written: as event streams are, or with nothing but `data:` lines."""

    data_only: bool

    @property
    def heartbeat(self) -> bytes:
        """What keeps an idle connection open."""
        return sse.HEARTBEAT_DATA_ONLY if self.data_only else sse.HEARTBEAT

    def entries(self, frames: tuple[bytes, ...]) -> bytes:
        """Return encoded frames of entries in this style, joined for one write."""
        if not self.data_only:
            return b"".join(frames)
        # A frame of ours is three lines, the last of them the data.
        return b"".join(frame[frame.index(b"\ndata: ") + 1 :] for frame in frames)

    def snapshot(self, snapshot: Snapshot | SnapshotOfAll) -> bytes:
        """Return a snapshot's frame."""
        return sse.encode_data_only(snapshot_data(snapshot)) if self.data_only else snapshot_frame(snapshot)

    def reset(self, reset: Reset, run_id: str | None) -> bytes:
        """Return a reset's frame."""
        return (
            sse.encode_data_only(reset_data(reset, run_id)) if self.data_only else reset_frame(reset, run_id)
        )


class StreamHandler(BaseHandler):
    """Base of handlers that answer with a stream. One task writes to the connection: the request's own."""

    _left = False

    def stream_style(self) -> Style:
        """Return what `?format=` asks for. Raises `ApiError` 400."""
        return self.choice("format", {"sse": Style(data_only=False), "data": Style(data_only=True)}, "sse")

    async def stream_run(self, run_id: str) -> None:
        """Answer with the stream of one run. Raises `UnknownRun`."""
        style, start, cursor = self.stream_style(), self._from_start(), self._cursor()
        state = await self.parts.runs.state(run_id)
        reset = self._reset(cursor)
        if state.is_over and cursor is not None and reset is None and cursor.offset >= state.offset:
            # Nothing will ever follow: an EventSource takes 204 as the word to stop.
            self.set_status(204)
            self.clear_header("Content-Type")
            self.finish()
            return
        first = b""
        if reset is not None:
            first = style.reset(reset, run_id)
        if start and cursor is None:
            after = 0
        elif cursor is None or reset is not None:
            first += style.snapshot(Snapshot(state, Cursor(self.parts.log.epoch, state.offset)))
            after = state.offset
        else:
            after = cursor.offset
        await self.stream_entries(run_id, after=after, style=style, first=first, over=state)

    async def stream_all(self) -> None:
        """Answer with the stream of all runs."""
        style, start, cursor = self.stream_style(), self._from_start(), self._cursor()
        reset = self._reset(cursor)
        first = b""
        if reset is not None:
            first = style.reset(reset, None)
        if start and cursor is None:
            after = 0
        elif cursor is None or reset is not None:
            # The head first: a state may be newer than that, and what is applied twice changes nothing.
            after = self.parts.log.head()
            states = await self._states()
            first += style.snapshot(SnapshotOfAll(states, Cursor(self.parts.log.epoch, after)))
        else:
            after = cursor.offset
        await self.stream_entries(None, after=after, style=style, first=first)

    async def _states(self) -> tuple[RunState, ...]:
        live = self.parts.runs.live_states()
        newest = await self.parts.runs.read(lambda: self.parts.log.runs(limit=_NEWEST))
        known = {state.run: state for state in (*newest, *live)}
        return tuple(known.values())

    async def stream_entries(
        self,
        run_id: str | None,
        *,
        after: int,
        style: Style,
        first: bytes = b"",
        over: RunState | None = None,
    ) -> bool:
        """Write entries after an offset until the run ends or the reader leaves; say whether the run ended.

        `first` goes before them. `over`: a state; when it is terminal and nothing follows, the stream ends.
        """
        hub, settings, metrics = self.parts.hub, self.parts.settings, self.parts.metrics
        self.check_room()
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache, no-store, no-transform")
        self.set_header("X-Accel-Buffering", "no")
        metrics.streams.inc()
        if not style.data_only:
            retry = round(settings.retry_milliseconds * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            first = sse.encode_retry(retry) + first
        with hub.follow(run_id, after) as follower:
            self._wake = follower.wake
            # First bytes at once: a proxy or a browser calls a stream open only then.
            if not await self._send(first or style.heartbeat):
                return False
            if over is not None and over.is_over and after >= over.offset:
                return True
            while not hub.is_closing and not self._left:
                chunk = await follower.next(settings.heartbeat_seconds)
                if chunk is None:
                    if not follower.woken and not await self._send(style.heartbeat):
                        return False
                    continue
                data = style.entries(chunk.frames)
                if not await self._send(data):
                    return False
                metrics.delivered.inc(len(chunk.frames))
                metrics.delivered_bytes.inc(len(data))
                if chunk.ended:
                    return True
        return False

    def check_room(self) -> None:
        """Raise `ApiError` 503 when as many streams are open as may be."""
        number = self.parts.hub.followers
        if number >= self.parts.settings.max_streams:
            raise ApiError(503, "too_many_streams", f"{number:,} streams are open already", retry=True)

    async def _send(self, data: bytes) -> bool:
        """Write and wait until it is taken; False when the reader has left or takes nothing for too long."""
        if self._left:
            return False
        self.write(data)
        try:
            async with asyncio.timeout(self.parts.settings.write_timeout_seconds):
                await self.flush()
        except TimeoutError:
            self.parts.metrics.stalled_readers.inc()
            self._close_connection()
            return False
        except StreamClosedError:
            return False
        return not self._left

    def _close_connection(self) -> None:
        self._left = True
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.close()

    def on_connection_close(self) -> None:
        # Tornado's own ends the wait for a body that will never be whole.
        super().on_connection_close()
        self._left = True
        wake = getattr(self, "_wake", None)
        if wake is not None:
            wake()

    async def cancel_quietly(self, run_id: str, *, by: str) -> None:
        """Cancel a run that may have ended meanwhile."""
        with contextlib.suppress(LogError):
            await self.or_leave(self.parts.runs.cancel(run_id, by=by))

    # -- where a reader begins -----------------------------------------------------------------------------------------

    def _from_start(self) -> bool:
        return self.choice("from", {"": False, "start": True}, "")

    def _cursor(self) -> Cursor | None:
        """Return where the reader wants to go on; the header wins. A text of another form is a cursor of no log."""
        text = self.request.headers.get("Last-Event-ID") or self.text("last_event_id")
        if not text:
            return None
        return Cursor.parse(text[:200]) or Cursor(f"?{text[:20]!r}", 0)

    def _reset(self, cursor: Cursor | None) -> Reset | None:
        """Return why the reader cannot go on from its cursor; None when it can."""
        if cursor is None:
            return None
        log = self.parts.log
        if cursor.epoch != log.epoch:
            self.parts.metrics.resets.inc()
            return Reset("the cursor is of another log")
        if cursor.offset > log.head():
            self.parts.metrics.resets.inc()
            return Reset("the cursor lies beyond the end of the log")
        return None


class AllEventsHandler(StreamHandler):
    """``GET /api/events``: the stream of all runs, on one connection."""

    async def get(self) -> None:
        await self.stream_all()
