"""`Outbox`: numbers, keeps and bounds a producer's events until they are acknowledged. No I/O, no thread, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from streamer.model.bounds import BARS_LIMIT, bounded, cut
from streamer.model.events import (
    Completed,
    ErrorInfo,
    Event,
    FinalResults,
    Logged,
    Progressed,
    RunCancelled,
    RunFailed,
    decode_event,
    encode_event,
    kind,
)
from streamer.model.text.cleaning import cleaned
from streamer.model.timestamps import format_time

#: Default bound, in bytes, of what waits to be sent.
WAITING_BYTES: Final = 32_000_000
#: Bytes of acknowledged events that are kept, for a streamer whose machine lost power and forgot the last ones.
KEPT_BYTES: Final = 1_000_000
#: The bytes of memory that an event costs beside its JSON, about.
_OVERHEAD: Final = 200
_SHORT_FAILURE: Final = 1_500
_NO_MESSAGE: Final = b'"message":""'
_NO_BARS: Final = b'"bars":[]'


class _Waiting(Struct):
    """An event that has no number yet. `line` is its JSON with its time, without the brace at the end."""

    kind: str
    level: str
    phase: str | None
    line: bytes


class Outbox:
    """Numbers a producer's events 1, 2, 3 …, and keeps them until they are acknowledged. One thread at a time; no I/O.

    `limit_bytes` bounds the events that have no number yet. Beyond it consecutive progress is joined, then DEBUG and
    INFO lines are dropped (a line says how many), then tracebacks of failed items are left out, then other lines are
    dropped. Failed items, phases and the terminal event are never dropped.

    Between the numbered and the others may lie what was put on disk: the caller writes what `set_aside` returns, and
    brings it back with `load`, as there is room in memory.
    """

    def __init__(self, limit_bytes: int = WAITING_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._compact_above = limit_bytes
        self._dropped = 0
        self._note: _Waiting | None = None
        self._noted = 0
        self._gap = ("", "")
        self._replaced = 0
        self._numbered: deque[tuple[int, bytes]] = deque()
        self._aside: deque[_Waiting] = deque()
        self._loaded = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        self._last = 0
        self.acknowledged = 0

    @property
    def last(self) -> int:
        """The last number that was given out."""
        return self._last

    @property
    def waiting(self) -> int:
        """How many events have no number yet."""
        return len(self._waiting) + len(self._aside)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the events without a number take, about."""
        return self._bytes

    @property
    def dropped(self) -> int:
        """How many log lines were dropped so far."""
        return self._dropped

    def __len__(self) -> int:
        """How many events are not acknowledged."""
        return self.waiting + self._last - self.acknowledged

    @property
    def on_disk(self) -> int:
        """How many events were set aside and not loaded."""
        return self._last - self._loaded

    def put(self, event: Event, time: float) -> None:
        """Take an event that happened at `time` (POSIX seconds). Texts that are too long are cut."""
        event = bounded(cleaned(event))
        line = b'%b,"time":"%b"' % (encode_event(event)[:-1], format_time(time).encode())
        level = event.level if isinstance(event, Logged) else ""
        phase = event.phase if isinstance(event, Progressed) else None
        self._waiting.append(_Waiting(kind(event), level, phase, line))
        self._bytes += len(line) + _OVERHEAD
        if self._bytes > self._compact_above:
            self._compact()

    def batch(self, max_events: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Return the first events not yet acknowledged, as (number, NDJSON line): one at least, if there is any.

        Args:
            max_events: Most events.
            max_bytes: Most bytes; one event is returned whatever its size.

        """
        lines: list[tuple[int, bytes]] = []
        size = 0
        for numbered in self._numbered:
            size += len(numbered[1])
            if lines and (len(lines) >= max_events or size > max_bytes):
                return lines
            lines.append(numbered)
        while self._waiting and len(lines) < max_events and not self.on_disk:
            line = _numbered(self._waiting[0].line, self._last + 1)
            size += len(line)
            if lines and size > max_bytes:
                break
            waiting = self._waiting.popleft()
            if waiting is self._note:
                self._note = None
            self._bytes -= len(waiting.line) + _OVERHEAD
            self._last = self._loaded = self._last + 1
            self._numbered.append((self._last, line))
            lines.append((self._last, line))
        if not self._waiting:
            self._compact_above = self.limit_bytes
        return lines

    def set_aside(self, beyond: int, room: int) -> list[tuple[int, bytes]]:
        """Return what is to be written to disk, within `room` bytes: all that waits, and before it what is numbered.

        `beyond` is the last number there. `aside_written` or `aside_failed` must follow.
        """
        self._join_progress()
        lines = [numbered for numbered in self._numbered if numbered[0] > beyond]
        room -= sum(len(line) for _, line in lines)
        if room < 0:
            return []
        number = self._last
        while self._waiting:
            line = _numbered(self._waiting[0].line, number + 1)
            room -= len(line)
            if room < 0:
                break
            number += 1
            waiting = self._waiting.popleft()
            if waiting is self._note:
                self._note = None
            self._aside.append(waiting)
            lines.append((number, line))
        self._put_back(self._waiting)
        return lines

    def aside_written(self) -> None:
        """Take note that what was set aside is on disk."""
        self._last += len(self._aside)
        self._aside.clear()
        if not self._waiting:
            self._compact_above = self.limit_bytes

    def aside_failed(self) -> None:
        """Take back what was set aside."""
        self._aside.extend(self._waiting)
        self._waiting, self._aside = self._aside, deque()
        self._put_back(self._waiting)

    def load(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """Take lines back from the disk, in order, to be sent."""
        for numbered in lines:
            self._loaded = numbered[0]
            if numbered[0] > self.acknowledged:
                self._numbered.append(numbered)

    @property
    def loaded(self) -> int:
        """The last number that is or was in memory."""
        return self._loaded

    @property
    def numbered_last(self) -> int:
        """The last number of what is in memory and not acknowledged; 0 when nothing is."""
        return self._numbered[-1][0] if self._numbered else 0

    def acknowledge(self, seq: int) -> bool:
        """Forget what is stored up to `seq`; tell whether that was anything new. A number never given is no news."""
        if not self.acknowledged < seq <= self._last:
            return False
        while self._numbered and self._numbered[0][0] <= seq:
            numbered = self._numbered.popleft()
            self._kept.append(numbered)
            self._kept_bytes += len(numbered[1]) + _OVERHEAD
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft()[1]) + _OVERHEAD
        self.acknowledged = seq
        self._loaded = max(self._loaded, seq)
        return True

    def resume(self, expected: int) -> bool:
        """Go on from number `expected`; False when it is not held any more, or was never given."""
        if expected > self._last + 1:
            return False
        if expected > self.acknowledged:
            self.acknowledge(expected - 1)
            return True
        if not self._kept or expected < self._kept[0][0]:
            return False
        while self._kept and self._kept[-1][0] >= expected:
            numbered = self._kept.pop()
            self._kept_bytes -= len(numbered[1]) + _OVERHEAD
            self._numbered.appendleft(numbered)
        self.acknowledged = expected - 1
        return True

    def replace_first(self, reason: str) -> bool:
        """Put a smaller event in place of the first one, which the streamer refuses; False when that was done before.

        A terminal event keeps its kind, without its details; another becomes a log line that says so.

        Args:
            reason: Why the streamer refuses it.

        """
        seq, line = self._numbered[0]
        if seq == self._replaced:
            return False
        self._replaced = seq
        told = remains(decode_event(line), f"refused by the streamer: {reason}")
        self._numbered[0] = (seq, _retold(told, line))
        return True

    # -- bounding ------------------------------------------------------------------------------------------------------

    def _compact(self) -> None:
        target = self.limit_bytes * 3 // 4
        self._join_progress()
        if self._bytes > target:
            self._drop_lines(frozenset(("DEBUG", "INFO")), target)
            self._join_progress()
        if self._bytes > self.limit_bytes:
            self._shorten_failures()
        if self._bytes > self.limit_bytes:
            self._drop_lines(None, target)
            self._join_progress()
        # When nothing more can be given up, each further event must not cost another pass over all of them.
        self._compact_above = max(self.limit_bytes, self._bytes + max(self.limit_bytes, self._bytes) // 4)

    def _join_progress(self) -> None:
        joined: deque[_Waiting] = deque()
        for one in self._waiting:
            before = joined[-1] if joined else None
            same = before and before.kind == one.kind == "progress" and before.phase == one.phase
            if before and same and (both := _joined(before, one)):
                joined[-1] = both
            else:
                joined.append(one)
        self._put_back(joined)

    def _drop_lines(self, levels: frozenset[str] | None, target: int) -> None:
        """Drop the oldest lines of those levels (None: any) until the rest fits; a line in their place counts them."""
        kept: deque[_Waiting] = deque()
        size, note = self._bytes, self._note
        before = self._dropped
        for one in self._waiting:
            if (
                size <= target
                or one.kind != "log"
                or one is note
                or (levels is not None and one.level not in levels)
            ):
                kept.append(one)
                continue
            size -= len(one.line) + _OVERHEAD
            self._dropped += 1
            time = _time_of(one.line)
            if note is None:
                note = self._note = _Waiting("log", "WARNING", None, one.line)
                self._noted = self._dropped - 1
                self._gap = time, time
                kept.append(note)
            self._gap = min(self._gap[0], time), max(self._gap[1], time)
        if note is not None and self._dropped > before:
            count, (first, last) = self._dropped - self._noted, self._gap
            message = (
                f"{count:,} log lines were not kept while the streamer was away or too slow, "
                f"the first of {first}, the last of {last}"
            )
            line = Logged(
                type="warning",
                level="WARNING",
                logger="streamer.publisher",
                message=message,
                fields={"count": count, "first": first, "last": last},
            )
            note.line = _retold(line, note.line)
        self._put_back(kept)

    def _shorten_failures(self) -> None:
        for one in self._waiting:
            if one.kind == "failure" and len(one.line) > _SHORT_FAILURE:
                one.line = _shortened(one.line)
        self._put_back(self._waiting)

    def _put_back(self, waiting: deque[_Waiting]) -> None:
        self._waiting = waiting
        self._bytes = sum(len(one.line) + _OVERHEAD for one in waiting)


def _joined(before: _Waiting, after: _Waiting) -> _Waiting | None:
    """Return the later of two progress events with the earlier one's bars, and its message where it has none itself.

    None when one event cannot carry all their bars.
    """
    if _NO_BARS in before.line and (_NO_MESSAGE in before.line or _NO_MESSAGE not in after.line):
        return after
    earlier, later = _read(before.line), _read(after.line)
    bars = {bar.id: bar for bar in (*earlier.bars, *later.bars)}
    if len(bars) > BARS_LIMIT:
        return None
    event = msgspec.structs.replace(
        later, message=later.message or earlier.message, bars=tuple(bars.values())
    )
    after.line = _retold(event, after.line)
    return after


def _shortened(line: bytes) -> bytes:
    event = _read(line)
    error = ErrorInfo(
        event.error.type, cut(event.error.message, 500), "(left out: too much was waiting to be sent)"
    )
    event = msgspec.structs.replace(event, error=error)
    return _retold(event, line)


def _retold(event: Event, line: bytes) -> bytes:
    """Return `line` with another event in it: its time, and its number if it has one, stay."""
    return encode_event(event)[:-1] + line[line.rindex(b',"time":"') :]


def _time_of(line: bytes) -> str:
    """Return the time in a line, in the form of RFC 3339: such times are in the order of their texts."""
    return line[line.rindex(b',"time":"') + 9 : -1].decode()


def _numbered(line: bytes, seq: int) -> bytes:
    return b'%b,"seq":%d}\n' % (line, seq)


def _read(line: bytes) -> Any:
    return decode_event(line + b"}")


def remains(event: Event, reason: str) -> Event:
    """Return what is left of an event that cannot be sent: its kind when it is terminal, else a log line.

    Args:
        event: The event.
        reason: Why it cannot be sent.

    """
    text = f"({cut(reason, 500)})"
    match event:
        case Completed(results=results):
            small: Event = Completed(message=text, results=_counts(results))
        case RunFailed(results=results):
            small = RunFailed(message=text, results=_counts(results))
        case RunCancelled(results=results):
            small = RunCancelled(message=text, results=_counts(results))
        case _:
            message = f"an event of kind {kind(event)} could not be kept {text}"
            small = Logged(level="ERROR", logger="streamer.publisher", message=message)
    return bounded(small)


def _counts(results: FinalResults) -> FinalResults:
    return FinalResults(int(results.success), int(results.failed))
