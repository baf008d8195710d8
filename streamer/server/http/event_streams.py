"""Streams: where a reader begins. Writes the head, and hands the connection to the hub, which does the rest."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from typing import Final, cast

from tornado.iostream import IOStream

from streamer.model.state import RunState
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import Reset, Snapshot, SnapshotOfAll
from streamer.server.fan_out.subscriber import End, Style, style_of
from streamer.server.http.errors import ApiError
from streamer.server.http.handler import BaseHandler
from streamer.server.log.base import LogError
from streamer.server.request_log import access, log_request

#: How many of the newest runs a snapshot of all runs holds, beside those under way.
_NEWEST: Final = 50


class StreamHandler(BaseHandler):
    """Base of handlers that answer with a stream."""

    def stream_style(self) -> Style:
        """Return what `?format=` and the version of HTTP ask for. Raises `ApiError` 400."""
        data_only = self.choice("format", {"sse": False, "data": True}, "sse")
        return style_of(data_only=data_only, chunked=self.request.version != "HTTP/1.0")

    async def stream_run(self, run_id: str) -> None:
        """Answer with the stream of one run. Raises `UnknownRun`."""
        style, cursor = self.stream_style(), self._cursor()
        state = await self.parts.runs.state(run_id)
        reset = await self._reset(run_id, cursor)
        if state.is_over and cursor is not None and reset is None and cursor.offset >= state.offset:
            # Nothing will ever follow: an EventSource takes 204 as the word to stop.
            self.set_status(204)
            self.clear_header("Content-Type")
            self.finish()
            return
        first = b""
        if reset is not None:
            first = style.reset(reset, run_id)
        if cursor is None or reset is not None:
            first += style.snapshot(Snapshot(state, Cursor(self.parts.log.epoch, state.offset)))
            after = state.offset
        else:
            after = cursor.offset
        ends = state.is_over and after >= state.offset
        self.begin_stream(run_id, after=after, style=style, first=first, ends=ends)

    async def stream_all(self) -> None:
        """Answer with the stream of all runs."""
        style, cursor = self.stream_style(), self._cursor()
        reset = await self._reset(None, cursor)
        first = b""
        if reset is not None:
            first = style.reset(reset, None)
        if cursor is None or reset is not None:
            # The head first: a state may be newer than that, and what is applied twice changes nothing. Not the log's:
            # what was stored, and is not known to the loop yet, is in no state of a run under way.
            after = self.parts.hub.head
            states = await self._states()
            first += style.snapshot(SnapshotOfAll(states, Cursor(self.parts.log.epoch, after)))
        else:
            after = cursor.offset
        self.begin_stream(None, after=after, style=style, first=first)

    async def _states(self) -> tuple[RunState, ...]:
        live = self.parts.runs.live_states()
        newest = await self.parts.runs.read(lambda: self.parts.log.runs(limit=_NEWEST))
        known = {state.run: state for state in (*newest, *live)}
        return tuple(known.values())

    def begin_stream(
        self,
        run_id: str | None,
        *,
        after: int,
        style: Style,
        first: bytes = b"",
        ends: bool = False,
        on_end: Callable[[End], None] | None = None,
    ) -> None:
        """Answer with a stream: `first`, then the entries after an offset. See `Hub.follow`.

        With this the request is over for Tornado. Raises `ApiError` 503, else `on_end` is called in any case.

        Args:
            run_id: The run; None: all runs.
            after: The offset after which the reader goes on.
            style: How frames are written.
            first: Bytes before all else, such as a snapshot.
            ends: Whether the stream ends with the run.
            on_end: Called once, when the stream is over.

        """
        self.check_room()
        hub = self.parts.hub
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache, no-store, no-transform")
        self.set_header("X-Accel-Buffering", "no")
        self.set_header("Connection", "close")
        if style.chunked:
            self.set_header("Transfer-Encoding", "chunked")
        self.count_request()
        head = self.head_bytes()
        # First bytes at once: a proxy or a browser calls a stream open only then.
        first = style.part(style.retry(hub.retry_milliseconds()) + first) or style.heartbeat
        on_end = self._logging(on_end)
        connection = self._take_connection()
        if connection is None:
            if on_end is not None:
                on_end(End("reader left"))
            return
        # Only an EventSource knows how to go on, so only its connections may be ended before their streams are.
        rotates = self.request.method == "GET" and not style.data_only
        hub.follow(
            connection,
            head + first,
            run_id=run_id,
            after=after,
            style=style,
            ends=ends,
            rotates=rotates,
            on_end=on_end,
        )

    def _logging(self, on_end: Callable[[End], None] | None) -> Callable[[End], None] | None:
        """Return what writes this stream's line when it has ended, and then calls `on_end`."""
        if not access.isEnabledFor(logging.INFO):
            return on_end
        # Not the request itself: it would stay in memory as long as its stream.
        request, arrived = self.logged, time.monotonic() - self.request.request_time()

        def ended(end: End) -> None:
            log_request(request, status=200, seconds=time.monotonic() - arrived, sent=end.sent, end=end.how)
            if on_end is not None:
                on_end(end)

        return ended

    def _take_connection(self) -> socket.socket | IOStream | None:
        """Take the connection out of Tornado's hands; None when the client has left.

        Returns:
            The connection's socket, by public means: a second descriptor, after which Tornado closes its own. With TLS,
            which Tornado's stream alone can write, that stream.
        """
        # None: Tornado has seen the connection's end and forgotten it.
        stream = cast(IOStream | None, self.detach())
        if stream is None or stream.closed():
            return None
        # Tornado says "a descriptor, or an object that has one"; a plain socket is what a subscriber can write to.
        theirs = cast(object, stream.fileno())
        if type(theirs) is not socket.socket:
            return stream
        try:
            connection = theirs.dup()
        except OSError:
            # As many files are open as may be.
            return stream
        connection.setblocking(False)
        stream.close()
        return connection

    def check_room(self) -> None:
        """Raise `ApiError` 503 when as many streams are open as may be, or no more may be opened."""
        hub = self.parts.hub
        if hub.is_closing:
            raise ApiError(503, "closing", "the streamer is being stopped", retry=True)
        if hub.subscribers >= self.parts.settings.max_streams:
            raise ApiError(
                503, "too_many_streams", f"{hub.subscribers:,} streams are open already", retry=True
            )

    async def cancel_quietly(self, run_id: str, *, by: str) -> None:
        """Cancel a run that may have ended meanwhile.

        Args:
            run_id: The run.
            by: The name that the run's log gives for who asked.

        """
        with contextlib.suppress(LogError):
            await self.or_leave(self.parts.runs.cancel(run_id, by=by))

    # -- where a reader begins -----------------------------------------------------------------------------------------

    def _cursor(self) -> Cursor | None:
        """Return where the reader wants to go on; the header wins, and both win over ``?from=start``.

        A text of another form is a cursor of no log. None: the reader knows nothing yet.
        """
        start = self.choice("from", {"": False, "start": True}, "")
        text = self.request.headers.get("Last-Event-ID") or self.text("last_event_id")
        if text:
            return Cursor.parse(text[:200]) or Cursor(f"?{text[:20]!r}", 0)
        return Cursor(self.parts.log.epoch, 0) if start else None

    async def _reset(self, run_id: str | None, cursor: Cursor | None) -> Reset | None:
        """Return why the reader cannot go on from its cursor; None when it can."""
        if cursor is None:
            return None
        log, after = self.parts.log, cursor.offset
        if cursor.epoch != log.epoch:
            reset = Reset("the cursor is of another log")
        elif after > log.head():
            reset = Reset("the cursor lies beyond the end of the log")
        elif not await self.parts.runs.read(lambda: log.holds(run_id, after)):
            reset = Reset("the log does not hold all that comes after the cursor any more")
        else:
            return None
        self.parts.metrics.counts.resets += 1
        return reset


class AllEventsHandler(StreamHandler):
    """``GET /api/events``: the stream of all runs, on one connection."""

    async def get(self) -> None:
        await self.stream_all()
