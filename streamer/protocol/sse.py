"""The event-stream codec: events to bytes, and bytes to events as they arrive. Does no I/O and no reconnecting.

After the WHATWG HTML standard, section 9.2 "Server-sent events". It does not know the meaning of the data.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

#: Sent while nothing happens. One newline: after a blank line, some clients dispatch an empty event.
HEARTBEAT: Final = b":\n"
#: The same for clients that split the stream on blank lines and know nothing else of the format.
HEARTBEAT_DATA_ONLY: Final = b":\n\n"

#: Default bound, in bytes, of one line and of the data of one event.
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
#: A server that asks for a longer delay than a day before reconnecting is granted a day.
MAX_RETRY_MILLISECONDS: Final = 24 * 60 * 60 * 1000

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry"})
_LF: Final = 0x0A
_CR: Final = 0x0D


class StreamError(Exception):
    """An event stream cannot be read on.

    StreamError
    └── EventTooLarge    a line, or the data of one event, is longer than the decoder keeps
    """


class EventTooLarge(StreamError):
    """A line, or the data of one event, is longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"expected lines and events of at most {limit:,} bytes, received a longer one")
        self.limit: Final = limit


class Frame(Struct, frozen=True, gc=False):
    """One event: its type, its data (lines joined by LF), and the last event id in force with it ("" for none)."""

    event: str
    data: str
    id: str


class Decoder:
    """Read an event stream from chunks of bytes, cut anywhere. One thread at a time.

    It starts from `last_event_id`, the id that the connection resumes after. At the end of a stream nothing needs
    to be called: an event without its blank line is not an event, and its id does not count. Between calls it keeps
    at most a small multiple of `max_event_bytes`, whatever is fed.
    """

    def __init__(self, last_event_id: str = "", max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        if max_event_bytes < 1:
            raise ValueError(f"expected max_event_bytes of at least 1, received {max_event_bytes}")
        #: The id to resume after. It changes at the blank line that ends a block, also a block without data.
        self.last_event_id = last_event_id
        #: The delay before reconnecting that the server asked for, cut to MAX_RETRY_MILLISECONDS; None: it did not.
        self.retry_milliseconds: int | None = None
        self.max_event_bytes: Final = max_event_bytes
        self._forget()

    def _forget(self) -> None:
        self._at_start = True
        self._after_cr = False
        self._failed = False
        self._line = bytearray()
        self._event = b""
        self._id: bytes | None = None
        self._data: bytes | bytearray | None = None

    def reconnected(self) -> None:
        """Begin a new stream: forget what was incomplete; keep `last_event_id` and `retry_milliseconds`."""
        self._forget()

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the events that `chunk` completes, in order.

        Raises `EventTooLarge` where a line or an event's data passes the bound, and then until `reconnected`. Events
        that were complete before it are returned first: then the next call raises, whatever it is given.
        """
        if self._failed:
            raise EventTooLarge(self.max_event_bytes)
        if self._after_cr and chunk:
            # The CR ended its line when it came, as nothing more may come for hours: its LF is no second line end.
            self._after_cr = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
        if not chunk:
            return []
        # bytes.splitlines, unlike str.splitlines, knows the standard's line ends (CRLF, LF, CR) and no others.
        lines = chunk.splitlines()
        rest = b""
        if chunk[-1] == _CR:
            self._after_cr = True
        elif chunk[-1] != _LF:
            rest = lines.pop()
        if lines and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line.clear()
        self._line += rest
        fits = self._drop_too_long(lines)
        frames, data_fits = self._interpret(lines)
        if not (fits and data_fits):
            self._forget()
            self._failed = True
            if not frames:
                raise EventTooLarge(self.max_event_bytes)
        return frames

    def _drop_too_long(self, lines: list[bytes]) -> bool:
        """Remove the first line that is too long and all after it; tell whether every line, begun ones too, fits."""
        limit = self.max_event_bytes
        if lines and max(map(len, lines)) > limit:
            del lines[next(index for index, line in enumerate(lines) if len(line) > limit) :]
            return False
        return len(self._line) <= limit

    def _interpret(self, lines: list[bytes]) -> tuple[list[Frame], bool]:
        """Process whole lines (section 9.2.6); tell whether each event's data kept within the bound.

        Why bytes, not text: no byte of a name, a colon or a line end is part of a longer UTF-8 sequence, so that only
        the values in use need decoding, each whole.
        """
        if lines and self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        frames: list[Frame] = []
        event, data = self._event, self._data
        for line in lines:
            if not line:
                if self._id is not None:
                    self.last_event_id = self._id.decode("utf-8", "replace")
                    self._id = None
                # An empty `data` field makes an event, no `data` field at all makes none.
                if data is not None:
                    frames.append(
                        Frame(
                            event.decode("utf-8", "replace") if event else "message",
                            data.decode("utf-8", "replace"),
                            self.last_event_id,
                        )
                    )
                    data = None
                event = b""
                continue
            # Nearly every field has the one space that does not belong to its value: cut at both together, and at
            # the colon alone only where that gave no field. It saves a sixth of the time.
            name, _, value = line.partition(b": ")
            if name not in _FIELDS:
                name, _, value = line.partition(b":")
            if name == b"data":
                if data is None:
                    data = value
                    continue
                if len(data) + 1 + len(value) > self.max_event_bytes:
                    return frames, False
                if not isinstance(data, bytearray):
                    # Most events have one line of data and need no second copy; more are appended in place.
                    data = bytearray(data)
                data += b"\n"
                data += value
            elif name == b"event":
                event = value
            elif name == b"id":
                if 0 not in value:
                    self._id = value
            elif name == b"retry" and value.isdigit():
                self.retry_milliseconds = _retry_milliseconds(value)
        self._event, self._data = event, data
        return frames, True


def _retry_milliseconds(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    # int() refuses thousands of digits, and what has more digits than the bound is above it.
    if len(digits) > len(str(MAX_RETRY_MILLISECONDS)):
        return MAX_RETRY_MILLISECONDS
    return min(int(digits or b"0"), MAX_RETRY_MILLISECONDS)


def encode(data: bytes | str, *, event: str | None = None, id: str | None = None) -> bytes:
    r"""Return one event as ``event:``, ``id:`` and ``data:`` lines and the blank line that ends it.

    `data` as bytes is UTF-8 and is not checked. It may have line ends: each CRLF, CR or LF begins another
    ``data:`` line and is read back as LF. Without `event` the type is "message"; without `id` the last one stays
    in force, and an empty `id` clears it.

    Raises `ValueError` for an empty `event`, for CR, LF or NUL in `event` or `id`, and for text that has no UTF-8.
    """
    raw = data.encode() if isinstance(data, str) else data
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" in raw:
        raw = raw.replace(b"\n", b"\ndata: ")
    head = b""
    if event is not None:
        if not event:
            raise ValueError("expected an event type of at least one character, received an empty one")
        head = b"event: %b\n" % _field("event", event)
    if id is not None:
        head += b"id: %b\n" % _field("id", id)
    return b"%bdata: %b\n\n" % (head, raw)


def encode_data_only(data: bytes | str) -> bytes:
    """Return one event of nothing but ``data:`` lines, for clients that know no other. Raises as `encode`."""
    return encode(data)


def encode_retry(milliseconds: int) -> bytes:
    """Return the line that sets the client's delay before it reconnects. Write it between two events.

    Why no blank line: some clients dispatch an event at every one. So it belongs to the event that follows.

    Raises `ValueError` for a delay below 0 or above `MAX_RETRY_MILLISECONDS`.
    """
    if not 0 <= milliseconds <= MAX_RETRY_MILLISECONDS:
        raise ValueError(f"expected 0 to {MAX_RETRY_MILLISECONDS} milliseconds, received {milliseconds}")
    return b"retry: %d\n" % milliseconds


def _field(name: str, value: str) -> bytes:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(f"expected {name} without CR, LF and NUL, received {value[:60]!r}")
    return value.encode()
