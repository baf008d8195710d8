"""A producer's batch of events: parsed, stored by `Runs.ingest`, acknowledged. Does not know how events are stored."""

from __future__ import annotations

from typing import Final

from streamer.server.batch_lines import LineRefused, NoEvent, OutOfOrder, read_lines
from streamer.server.http.errors import ApiError, invalid, not_valid
from streamer.server.http.event_streams import StreamHandler
from streamer.server.log.base import Draft

#: A body up to this size is read before its sender is refused.
_SMALL_BYTES: Final = 65_536


class IngestHandler(StreamHandler):
    """``GET /api/runs/ID/events``: the stream. ``POST``: a producer's events, as NDJSON."""

    body_limit = "max_ingest_bytes"

    def _check_token(self) -> None:
        # A producer has its run's token, which `Runs.ingest` checks. Readers have the operators' token.
        if self.request.method != "POST":
            super()._check_token()

    async def check_head(self) -> None:
        """Refuse a large batch for its token or its run before a byte of it is kept.

        A small one is read first: so the connection stays in step, and its next request is served.
        """
        announced = self.request.headers.get("Content-Length", "")
        is_small = announced.isdigit() and int(announced[:18]) <= _SMALL_BYTES
        if self.request.method != "POST" or is_small:
            return
        await self.parts.runs.check_token(self.path_args[0], self._producer_token())

    def _producer_token(self) -> str:
        """Return the token that came with the batch. Raises `ApiError` 401."""
        token = self.bearer()
        if not token:
            raise ApiError(
                401,
                "unauthorized",
                "expected `Authorization: Bearer` with the run's token",
                {"field": "Authorization"},
            )
        return token

    async def get(self, run_id: str) -> None:
        await self.stream_run(run_id)

    async def post(self, run_id: str) -> None:
        token = self._producer_token()
        runs, most = self.parts.runs, self.parts.settings.max_ingest_events
        drafts, first_seq = read_batch(self.body(), run_id, now=runs.now(), most=most)
        acknowledged, requests = await self.or_leave(runs.ingest(run_id, token, drafts, first_seq))
        self.answer({"acknowledged": acknowledged, "requests": requests})


def read_batch(body: bytes, run_id: str, *, now: float, most: int) -> tuple[list[Draft], int | None]:
    """Parse the body of an ingest request: all of its events, or none.

    Args:
        body: NDJSON, one event a line.
        run_id: the run that the events belong to.
        now: POSIX seconds, for events without a time of their own.
        most: how many events are accepted.

    Returns:
        The events, and the number of the first one; None when there is no event.

    Raises:
        ApiError: 409, 413 or 422. It names the line and the field, and says the value received and the one expected.
    """
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > most:
        raise ApiError(
            413,
            "too_large",
            f"expected at most {most:,} events, received {len(lines):,}",
            {"field": "body", "expected": most, "received": len(lines)},
        )
    try:
        return read_lines(lines, run_id, now=now)
    except OutOfOrder as gap:
        raise ApiError(
            409,
            "sequence_gap",
            f"line {gap.line}: expected seq {gap.expected}, received {gap.received}",
            {"field": "seq", "line": gap.line, "expected": int(gap.expected), "received": gap.received},
        ) from gap
    except NoEvent as none:
        cause = none.__cause__
        assert isinstance(cause, Exception)
        raise not_valid(cause, none.expected, line=none.line) from none
    except LineRefused as wrong:
        raise invalid(wrong.field, wrong.received, wrong.expected, line=wrong.line) from wrong
