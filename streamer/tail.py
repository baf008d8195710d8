"""`Tail`: the encoded frames of the newest entries, in memory, found by offset. Reads no log and knows no readers."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final

from streamer.events import TERMINAL_TYPES, Entry, kind

#: Most entries, and about the most bytes, that a reader gets in one write.
ENTRIES_PER_WRITE: Final = 500
BYTES_PER_WRITE: Final = 256_000
TERMINAL_KINDS: Final = frozenset(str(t.__struct_config__.tag) for t in TERMINAL_TYPES)


class Frames:
    """Frames for one write, and where they lead.

    `last`: the offset that is known after them. `ended`: the run's terminal event is known then. Whoever encodes them
    keeps the result in `encoded`, by style, for the others at the same place.
    """

    __slots__ = ("encoded", "ended", "frames", "last")

    def __init__(self, frames: Sequence[bytes], last: int, *, ended: bool) -> None:
        self.frames = frames
        self.last = last
        self.ended = ended
        self.encoded: dict[object, bytes] = {}


def fitting(frames: Sequence[bytes], start: int = 0) -> int:
    """Return where a write ends that begins at index `start`: one frame at least, whatever its size."""
    size = 0
    for index in range(start, min(len(frames), start + ENTRIES_PER_WRITE)):
        size += len(frames[index])
        if size > BYTES_PER_WRITE:
            return max(index, start + 1)
    return min(len(frames), start + ENTRIES_PER_WRITE)


class _Line:
    """Offsets and frames of one run, or of all: appended at one end, dropped at the other."""

    __slots__ = ("first", "frames", "offsets", "terminal")

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.frames: list[bytes] = []
        #: Index of the oldest that was not dropped.
        self.first = 0
        #: Offset of the terminal event, once there is one.
        self.terminal: int | None = None

    def append(self, offset: int, frame: bytes) -> None:
        self.offsets.append(offset)
        self.frames.append(frame)

    def drop(self) -> tuple[int, int]:
        """Forget the oldest; return its offset and its size."""
        index = self.first
        dropped = self.offsets[index], len(self.frames[index])
        self.frames[index] = b""
        self.first += 1
        # The lists are made shorter seldom, so that dropping one costs the same whatever their length.
        if self.first > 1000 and 2 * self.first > len(self.offsets):
            del self.offsets[: self.first], self.frames[: self.first]
            self.first = 0
        return dropped

    @property
    def is_empty(self) -> bool:
        return self.first == len(self.offsets)

    def after(self, offset: int) -> Frames:
        begin = bisect_right(self.offsets, offset, lo=self.first)
        end = fitting(self.frames, begin)
        last = self.offsets[end - 1] if end > begin else offset
        ended = self.terminal is not None and last >= self.terminal
        return Frames(self.frames[begin:end], last, ended=ended)


class Tail:
    """Everything after the offset `start`, once for all runs and once by run, within about `limit_bytes`."""

    def __init__(self, start: int, limit_bytes: int) -> None:
        self.start = start
        self.bytes = 0
        self._limit = limit_bytes
        self._all = _Line()
        self._runs: deque[str] = deque()
        self._by_run: dict[str, _Line] = {}

    def __contains__(self, run_id: str) -> bool:
        """Say whether there is an entry of that run."""
        return run_id in self._by_run

    def append(self, entries: Sequence[Entry], frames: Sequence[bytes]) -> None:
        """Take entries, oldest first, of offsets beyond all that are here."""
        for entry, frame in zip(entries, frames, strict=True):
            line = self._by_run.get(entry.run_id)
            if line is None:
                line = self._by_run[entry.run_id] = _Line()
            line.append(entry.offset, frame)
            self._all.append(entry.offset, frame)
            self._runs.append(entry.run_id)
            self.bytes += len(frame)
            if kind(entry.event) in TERMINAL_KINDS:
                line.terminal = entry.offset
        while self.bytes > self._limit and len(self._runs) > 1:
            self.start, size = self._all.drop()
            self.bytes -= size
            run_id = self._runs.popleft()
            line = self._by_run[run_id]
            line.drop()
            if line.is_empty:
                del self._by_run[run_id]

    def after(self, run_id: str | None, offset: int) -> Frames | None:
        """Return what comes after an offset, of one run or of all, as much as fits in a write; None: ask the log."""
        if offset < self.start:
            return None
        line = self._all if run_id is None else self._by_run.get(run_id)
        return Frames((), offset, ended=False) if line is None else line.after(offset)
