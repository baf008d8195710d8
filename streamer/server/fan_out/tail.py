"""`Tail`: the encoded frames of the newest entries, in memory, found by offset. Reads no log and knows no readers."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final

from streamer.model.events import TERMINAL_TYPES, Entry

#: Most entries, and about the most bytes, that a reader gets in one write, and that are read of the log at a time:
#: what others get now waits for it. Why not more: no more entries a second are replayed then.
ENTRIES_PER_WRITE: Final = 100
BYTES_PER_WRITE: Final = 40_000
#: Most entries that are dropped together.
_ENTRIES_PER_PIECE: Final = 50
TERMINAL_KINDS: Final = frozenset(str(t.__struct_config__.tag) for t in TERMINAL_TYPES)


class Frames:
    """Frames for one write, and where they lead.

    `last`: the offset that is known after them. `ended`: the run's terminal event is known then. The encoding code
    keeps the result in `encoded`, by style, for the others at the same place.
    """

    __slots__ = ("encoded", "ended", "frames", "last")

    def __init__(self, frames: Sequence[bytes], last: int, *, ended: bool) -> None:
        self.frames = frames
        self.last = last
        self.ended = ended
        self.encoded: dict[object, bytes] = {}


def fitting(frames: Sequence[bytes], start: int = 0) -> int:
    """Return where a write ends that begins at index `start`: one frame at least, whatever its size.

    Args:
        frames: The frames, oldest first.
        start: The index of the first one of this write.

    Returns:
        The index after the last frame of the write.

    """
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

    def extend(self, offsets: Sequence[int], frames: Sequence[bytes]) -> None:
        self.offsets += offsets
        self.frames += frames

    def drop(self, number: int) -> None:
        """Forget the oldest ones."""
        begin = self.first
        self.first += number
        self.frames[begin : self.first] = [b""] * number
        # The lists are made shorter seldom, so that dropping one costs the same whatever their length.
        if self.first > 1000 and 2 * self.first > len(self.offsets):
            del self.offsets[: self.first], self.frames[: self.first]
            self.first = 0

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
        #: Entries that are dropped together: their run, their number, the offset of the last one, and their bytes.
        self._pieces: deque[tuple[str, int, int, int]] = deque()
        self._by_run: dict[str, _Line] = {}

    def __contains__(self, run_id: str) -> bool:
        """Say whether there is an entry of that run."""
        return run_id in self._by_run

    @property
    def head(self) -> int:
        """The offset of the newest entry, of those that were dropped too."""
        return self._pieces[-1][2] if self._pieces else self.start

    def append(self, entries: Sequence[Entry], frames: Sequence[bytes]) -> None:
        """Take entries of one run, oldest first, of offsets beyond all that are here; a terminal event is the last.

        Args:
            entries: The entries.
            frames: Their frames, in the same order.

        """
        if not entries:
            return
        newest = entries[-1]
        run_id = newest.run_id
        line = self._by_run.get(run_id)
        if line is None:
            line = self._by_run[run_id] = _Line()
        offsets = [entry.offset for entry in entries]
        for part in (line, self._all):
            part.extend(offsets, frames)
        if isinstance(newest.event, TERMINAL_TYPES):
            line.terminal = newest.offset
        for begin in range(0, len(frames), _ENTRIES_PER_PIECE):
            piece = frames[begin : begin + _ENTRIES_PER_PIECE]
            size = sum(map(len, piece))
            self._pieces.append((run_id, len(piece), offsets[begin + len(piece) - 1], size))
            self.bytes += size
        self._bound()

    def append_word(self, offset: int, frame: bytes) -> None:
        """Take a frame of no run, for those who read all, of an offset beyond all that are here."""
        self._all.extend((offset,), (frame,))
        self._pieces.append(("", 1, offset, len(frame)))
        self.bytes += len(frame)
        self._bound()

    def _bound(self) -> None:
        while self.bytes > self._limit and len(self._pieces) > 1:
            self._drop()

    def _drop(self) -> None:
        """Forget the oldest piece."""
        run_id, number, self.start, size = self._pieces.popleft()
        self.bytes -= size
        self._all.drop(number)
        line = self._by_run.get(run_id)
        if line is not None:
            line.drop(number)
            if line.is_empty:
                del self._by_run[run_id]

    def after(self, run_id: str | None, offset: int) -> Frames | None:
        """Return what comes after an offset, of one run or of all, as much as fits in a write; None: ask the log.

        Args:
            run_id: The run; None: all runs.
            offset: The offset after which the reader goes on.

        """
        if offset < self.start:
            return None
        line = self._all if run_id is None else self._by_run.get(run_id)
        return Frames((), offset, ended=False) if line is None else line.after(offset)
