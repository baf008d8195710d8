"""A producer's batch: an ingest body to events, all of them or none. Knows neither the run nor what is stored."""

from __future__ import annotations

import msgspec

from streamer.events import KINDS, decode_envelope, decode_event, parse_time
from streamer.handlers.base import ApiError, invalid, not_valid
from streamer.log.base import Draft


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
    drafts: list[Draft] = []
    first: int | None = None
    for number, line in enumerate(lines, 1):
        try:
            envelope = decode_envelope(line)
            event = decode_event(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_valid(error, f"an event of kind {', '.join(KINDS)}", line=number) from error
        seq, expected = envelope.seq, None if first is None else first + len(drafts)
        if seq is None or not 1 <= seq < 2**53:
            raise invalid("seq", seq, "the event's number, 1 or more", line=number)
        if expected is not None and seq != expected:
            raise ApiError(
                409,
                "sequence_gap",
                f"line {number}: expected seq {expected}, received {seq}",
                {"field": "seq", "line": number, "expected": expected, "received": seq},
            )
        if envelope.run is not None and envelope.run != run_id:
            raise invalid("run", envelope.run, f"{run_id} or none", line=number)
        try:
            time = now if envelope.time is None else parse_time(envelope.time)
        except ValueError as error:
            raise invalid("time", envelope.time, "an RFC 3339 time from 1970 on", line=number) from error
        first = seq if first is None else first
        drafts.append(Draft(event, time))
    return drafts, first
