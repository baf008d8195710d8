"""A producer's events: taken in, stored, acknowledged, those that it sent ahead of its answers together."""

from __future__ import annotations

import time
from typing import Any, Final

from tornado.httputil import format_timestamp

from streamer.model.events import TERMINAL_TYPES
from streamer.protocol.frames import to_json
from streamer.server.http.ahead import Ahead
from streamer.server.http.batch import read_batch
from streamer.server.http.event_streams import StreamHandler
from streamer.server.http.handler import ApiError
from streamer.server.log.base import Draft, LogError

#: Seconds without a request after which a connection is closed.
IDLE_SECONDS: Final = 120.0


class IngestHandler(StreamHandler):
    """``GET /api/runs/ID/events``: the stream. ``POST``: a producer's events, as NDJSON."""

    body_limit = "max_ingest_bytes"
    #: Whether this request was answered, and counted, with others that were sent ahead.
    _is_answered = False
    #: The head of answers but for their size, which says in which second it was made.
    _head = b""
    _head_second = 0

    def _check_token(self) -> None:
        # A producer has its run's token, which `Runs.ingest` checks; readers have the operators'.
        if self.request.method != "POST":
            super()._check_token()

    async def get(self, run_id: str) -> None:
        await self.stream_run(run_id)

    async def post(self, run_id: str) -> None:
        token = self.bearer()
        if not token:
            raise ApiError(
                401,
                "unauthorized",
                "expected `Authorization: Bearer` with the run's token",
                {"field": "Authorization"},
            )
        drafts, first_seq = self._read(self.body(), run_id)
        answer = await self.or_leave(self._take(run_id, token, drafts, first_seq))
        if answer is not None:
            self.answer(answer)
        else:
            self.finish()

    async def _take(
        self, run_id: str, token: str, drafts: list[Draft], first_seq: int | None
    ) -> dict[str, Any] | None:
        """Store these events, and what was sent ahead; return what answers this request, None if it was answered.

        The requests that follow on its connection are handled and answered here too: one with all that Tornado does for
        it costs as much as dozens of these, and half a millisecond until its events are on their way to readers.
        """
        if first_seq is None:
            return await self._store(run_id, token, drafts, None)
        began, most = time.monotonic(), self.parts.settings.max_ingest_bytes
        with Ahead(self.request, idle_seconds=IDLE_SECONDS) as ahead:
            more, ends = self._sent_ahead(ahead, run_id, drafts, first_seq)
            try:
                answer = await self._store(run_id, token, drafts + more, first_seq)
            except LogError:
                if not ends:
                    raise
                # It may be the fault of those that were taken along: each for itself, then.
                return await self._store(run_id, token, drafts, first_seq)
            if not ends and not ahead.is_part(most):
                return answer
            # Past Tornado, which has nothing to add, whatever happens from here on.
            self._is_answered = self._headers_written = True
            ahead.skip(ends[-1] if ends else 0)
            await ahead.answer(self._answers(answer, 1 + len(ends), time.monotonic() - began))
            await self._go_on(ahead, run_id, token, first_seq + len(drafts) + len(more))
        return None

    async def _go_on(self, ahead: Ahead, run_id: str, token: str, next_seq: int) -> None:
        """Store and answer what comes for as long as it is plainly the same; what is not has its turn behind this."""
        most = self.parts.settings.max_ingest_bytes
        while True:
            began = time.monotonic()
            drafts, ends = self._sent_ahead(ahead, run_id, [], next_seq)
            if not ends:
                if not ahead.is_part(most) or not await ahead.more():
                    return
                continue
            try:
                answer = await self._store(run_id, token, drafts, next_seq)
            except LogError:
                return
            ahead.skip(ends[-1])
            await ahead.answer(self._answers(answer, len(ends), time.monotonic() - began))
            next_seq += len(drafts)

    async def _store(
        self, run_id: str, token: str, drafts: list[Draft], first_seq: int | None
    ) -> dict[str, Any]:
        acknowledged, requests = await self.parts.runs.ingest(run_id, token, drafts, first_seq)
        return {"acknowledged": acknowledged, "requests": requests}

    def _answers(self, answer: dict[str, Any], number: int, seconds: float) -> bytes:
        """Return what answers so many requests like this one, which took so long, and count them."""
        data = to_json(answer)
        self.count_request(number)
        if self.is_logged:
            for _ in range(number):
                self.write_line(len(data), seconds)
        second = int(time.time())
        if second != self._head_second:
            self.set_header("Date", format_timestamp(second))
            self._head, self._head_second = self.head_bytes().removesuffix(b"\r\n"), second
        return (self._head + b"Content-Length: %d\r\n\r\n%b" % (len(data), data)) * number

    def _log(self) -> None:
        if not self._is_answered:
            super()._log()

    # -- what is sent --------------------------------------------------------------------------------------------------

    def _read(self, body: bytes, run_id: str) -> tuple[list[Draft], int | None]:
        runs, settings = self.parts.runs, self.parts.settings
        return read_batch(body, run_id, now=runs.now(), most=settings.max_ingest_events)

    def _sent_ahead(
        self, ahead: Ahead, run_id: str, drafts: list[Draft], first_seq: int
    ) -> tuple[list[Draft], list[int]]:
        """Return the events of requests that continue `drafts`, and where each of them ends."""
        settings = self.parts.settings
        bodies = ahead.bodies(settings.max_ingest_bytes)
        more: list[Draft] = []
        ends: list[int] = []
        if not bodies:
            return more, ends
        together = self._together([body for body, _ in bodies], run_id, drafts, first_seq)
        if together:
            return together, [end for _, end in bodies]
        last = drafts
        for body, end in bodies:
            # What follows the end of a run is refused, each for itself.
            if _has_end(last):
                break
            try:
                last, seq = self._read(body, run_id)
            except ApiError:
                break
            number = len(drafts) + len(more)
            if seq != first_seq + number or number + len(last) > settings.max_ingest_events:
                break
            more += last
            ends.append(end)
        return more, ends

    def _together(self, bodies: list[bytes], run_id: str, drafts: list[Draft], first_seq: int) -> list[Draft]:
        """Return the events of bodies that plainly continue each other, read as one; none when each needs a look."""
        if not all(body.strip() for body in bodies):
            return []
        try:
            more, seq = self._read(b"\n".join(bodies), run_id)
        except ApiError:
            return []
        continues = seq == first_seq + len(drafts)
        fits = len(drafts) + len(more) <= self.parts.settings.max_ingest_events
        return more if continues and fits and not _has_end(drafts) and not _has_end(more) else []


def _has_end(drafts: list[Draft]) -> bool:
    return not {type(draft.event) for draft in drafts}.isdisjoint(TERMINAL_TYPES)
