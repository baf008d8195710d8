"""A producer's lines to events: numbered, of one run, all of them or none. Knows neither HTTP nor files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streamer.model.events import KINDS, decode_envelope, decode_event
from streamer.model.timestamps import parse_time
from streamer.server.log.base import Draft


class LineRefused(ValueError):
    """A line is not what a producer sends: in its `field`, what was `expected` and what was `received`.

    ├── NoEvent: it cannot be read as an event; its cause says why
    └── OutOfOrder: its number does not follow the one before it
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
    """Return events and the number of the first one, None when there is none. Raises `LineRefused`.

    `now`: POSIX seconds, for events that do not say their time; None: all have to.
    """
    return _read_plain(lines, run, now) or _read_each(lines, run, now)


def _read_plain(lines: Sequence[bytes], run: str, now: float | None) -> tuple[list[Draft], int] | None:
    """Return what `_read_each` does, for less, of lines that are as they should be; None of any others."""
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
    """Return what `read_lines` does; what it raises is of the first line that is not as it should be."""
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
