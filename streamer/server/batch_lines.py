"""Reads the lines of a producer's batch into numbered events of one run. It knows neither HTTP nor files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streamer.model.events import KINDS, decode_envelope, decode_event
from streamer.model.timestamps import parse_time
from streamer.server.log.base import Draft


class LineRefused(ValueError):
    """A line of a batch is wrong: in its `field`, `expected` and `received` differ.

    ├── NoEvent: the line is no event; its cause says why
    └── OutOfOrder: its number does not follow the number before it
    """

    def __init__(self, line: int, field: str, received: Any, expected: str) -> None:
        super().__init__(f"line {line}: {field}: expected {expected}, received {str(received)[:60]!r}")
        self.line = line
        self.field = field
        self.received = received
        self.expected = expected


class NoEvent(LineRefused):
    """See `LineRefused`."""


class OutOfOrder(LineRefused):
    """See `LineRefused`."""


def read_lines(lines: Sequence[bytes], run: str, *, now: float | None) -> tuple[list[Draft], int | None]:
    """Read the lines of a batch, all or none.

    Args:
        lines: One event each, as JSON.
        run: Id of the run.
        now: Time of the events that have none, POSIX seconds; None when every event must have its own.

    Returns:
        The events, and the number of the first one; None for an empty batch.

    Raises:
        LineRefused: A line is wrong.
    """
    return _read_plain(lines, run, now) or _read_each(lines, run, now)


def _read_plain(lines: Sequence[bytes], run: str, now: float | None) -> tuple[list[Draft], int] | None:
    """Return the same as `_read_each`, faster, when all lines are right; None otherwise."""
    try:
        envelopes = [decode_envelope(line) for line in lines]
        events = [decode_event(line) for line in lines]
        times = [
            now if each.time is None and now is not None else parse_time(each.time or "")
            for each in envelopes
        ]
    except (ValueError, RecursionError):
        return None
    first = envelopes[0].seq if envelopes else None
    if (
        first is None
        or not 1 <= first < 2**53 - len(lines)
        or [each.seq for each in envelopes] != list(range(first, first + len(lines)))
        or any(each.run is not None and each.run != run for each in envelopes)
    ):
        return None
    return list(map(Draft, events, times)), first


def _read_each(lines: Sequence[bytes], run: str, now: float | None) -> tuple[list[Draft], int | None]:
    """Return the same as `read_lines`. Raises `LineRefused` for the first wrong line."""
    drafts: list[Draft] = []
    first: int | None = None
    for number, line in enumerate(lines, 1):
        try:
            envelope = decode_envelope(line)
            event = decode_event(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NoEvent(number, "event", line[:60], f"an event of kind {', '.join(KINDS)}") from error
        seq = envelope.seq
        if seq is None or not 1 <= seq < 2**53:
            raise LineRefused(number, "seq", seq, "the event's number, 1 or more")
        if first is not None and seq != first + len(drafts):
            raise OutOfOrder(number, "seq", seq, str(first + len(drafts)))
        if envelope.run is not None and envelope.run != run:
            raise LineRefused(number, "run", envelope.run, f"{run} or none")
        try:
            time = now if envelope.time is None and now is not None else parse_time(envelope.time or "")
        except ValueError as error:
            raise LineRefused(number, "time", envelope.time, "an RFC 3339 time from 1970 on") from error
        first = seq if first is None else first
        drafts.append(Draft(event, time))
    return drafts, first
