"""A producer's events: taken in, stored, acknowledged, those that it sent ahead of its answers together."""

from __future__ import annotations

from typing import Any, Final

from streamer.events import TERMINAL_TYPES
from streamer.handlers.ahead import Ahead
from streamer.handlers.base import ApiError
from streamer.handlers.batch import read_batch
from streamer.handlers.stream import StreamHandler
from streamer.log.base import Draft, LogError
from streamer.wire import to_json

#: How often a request goes on with what has come meanwhile, before others have their turn with its connection.
_ROUNDS: Final = 50


class IngestHandler(StreamHandler):
    """``GET /api/runs/ID/events``: the stream. ``POST``: a producer's events, as NDJSON."""

    body_limit = "max_ingest_bytes"

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
        self.answer(await self.or_leave(self._take(run_id, token, drafts, first_seq)))

    async def _take(
        self, run_id: str, token: str, drafts: list[Draft], first_seq: int | None
    ) -> dict[str, Any]:
        """Store these events, and what was sent ahead or comes meanwhile; return what answers this request.

        A request of its own, with all that Tornado does for one, costs as much as dozens of these. One answer is
        always left, as this request needs it; the others are written here.
        """
        if first_seq is None:
            return await self._store(run_id, token, drafts, None)
        ahead = Ahead(self.request)
        more, ends = self._sent_ahead(ahead, run_id, drafts, first_seq)
        try:
            answer = await self._store(run_id, token, drafts + more, first_seq)
        except LogError:
            if not ends:
                raise
            # It may be the fault of those that were taken along: each for itself, then.
            return await self._store(run_id, token, drafts, first_seq)
        if ends:
            ahead.skip(ends[-1])
            ahead.answer(self._answered(answer, len(ends)))
        next_seq = first_seq + len(drafts) + len(more)
        for _ in range(_ROUNDS):
            if not ahead.look():
                break
            more, ends = self._sent_ahead(ahead, run_id, [], next_seq)
            if not ends:
                break
            try:
                newer = await self._store(run_id, token, more, next_seq)
            except LogError:
                # None of these was taken away: each has its turn.
                break
            ahead.skip(ends[-1])
            ahead.answer(self._answered(answer, 1) + self._answered(newer, len(ends) - 1))
            answer, next_seq = newer, next_seq + len(more)
        return answer

    async def _store(
        self, run_id: str, token: str, drafts: list[Draft], first_seq: int | None
    ) -> dict[str, Any]:
        acknowledged, requests = await self.parts.runs.ingest(run_id, token, drafts, first_seq)
        return {"acknowledged": acknowledged, "requests": requests}

    def _answered(self, answer: dict[str, Any], number: int) -> bytes:
        """Return what answers so many requests beside this one, and count them."""
        if not number:
            return b""
        data = to_json(answer)
        self.count_request(number)
        if self.is_logged:
            for _ in range(number):
                self.write_line(len(data))
        head = self.head_bytes().removesuffix(b"\r\n")
        return (head + b"Content-Length: %d\r\n\r\n%b" % (len(data), data)) * number

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
