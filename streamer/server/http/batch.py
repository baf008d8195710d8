"""A producer's batch: an ingest body to events, all of them or none. Knows neither the run nor what is stored."""

from __future__ import annotations

from streamer.server.batches import LineRefused, NoEvent, OutOfOrder, read_lines
from streamer.server.http.handler import ApiError, invalid, not_valid
from streamer.server.log.base import Draft


def read_batch(body: bytes, run_id: str, *, now: float, most: int) -> tuple[list[Draft], int | None]:
    """Return the events of an ingest body and the number of the first one, None when there is none.

    `now`: POSIX seconds, for events that do not say their time; `most`: how many there may be. Raises `ApiError` naming
    the line and the field that are not as expected, and what was.
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
