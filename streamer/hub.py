"""`Hub`: wakes the followers of streams, and keeps the tail of encoded frames that serves all who are near the head.

A follower is a cursor. There is no queue per follower: who is behind the tail reads the log, so a slow reader costs
nothing and loses nothing. All of it runs in the event loop, but for `publish`, which the log's thread calls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from streamer.events import TERMINAL_TYPES, kind
from streamer.log.base import Appended, EventLog

#: Most entries, and about the most bytes, that one read gives to a follower.
_ENTRIES_PER_READ: Final = 1000
_BYTES_PER_READ: Final = 1_000_000
_TERMINAL_KINDS: Final = frozenset(str(t.__struct_config__.tag) for t in TERMINAL_TYPES)


class Chunk(Struct, frozen=True):
    """Frames for one write, `ended` when the last one is the run's terminal event."""

    frames: tuple[bytes, ...]
    ended: bool


class _Kept(Struct, frozen=True):
    offset: int
    run_id: str
    frame: bytes
    ends: bool


class Hub:
    """See the module. `on_appended` is told of every append, in the loop, before followers are woken."""

    def __init__(
        self, log: EventLog, *, tail_bytes: int, readers: Executor, on_appended: Callable[[Appended], None]
    ) -> None:
        self._log = log
        self._readers = readers
        self._on_appended = on_appended
        self._loop = asyncio.get_running_loop()
        self._tail_bytes = tail_bytes
        self._bytes = 0
        # Everything after offset `_start` is in the tail: once for all runs, and once by run.
        self._start = log.head()
        self._all: deque[_Kept] = deque()
        self._by_run: dict[str, deque[_Kept]] = {}
        self._followers: set[Follower] = set()
        self._closing = False
        self._empty = asyncio.Event()
        self.replays_from_log = 0
        self.entries_published = 0
        log.set_listener(self.publish)

    @property
    def followers(self) -> int:
        """How many streams are being followed."""
        return len(self._followers)

    @property
    def is_closing(self) -> bool:
        """Whether followers are asked to leave."""
        return self._closing

    def publish(self, appended: Sequence[Appended]) -> None:
        """Take what was committed. Called from the log's thread; the one crossing from it to the loop."""
        # RuntimeError: the loop is closed, so nobody follows any more.
        try:
            self._loop.call_soon_threadsafe(self._take, tuple(appended))
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _take(self, appended: Sequence[Appended]) -> None:
        runs = set()
        for batch in appended:
            run_id = batch.run_id
            runs.add(run_id)
            tail = self._by_run.setdefault(run_id, deque())
            for entry, frame in zip(batch.entries, batch.frames, strict=True):
                kept = _Kept(entry.offset, run_id, frame, kind(entry.event) in _TERMINAL_KINDS)
                self._all.append(kept)
                tail.append(kept)
                self._bytes += len(frame)
            self.entries_published += len(batch.entries)
            self._on_appended(batch)
        while self._bytes > self._tail_bytes and len(self._all) > 1:
            oldest = self._all.popleft()
            self._start = oldest.offset
            self._bytes -= len(oldest.frame)
            tail = self._by_run[oldest.run_id]
            tail.popleft()
            if not tail:
                del self._by_run[oldest.run_id]
        for follower in self._followers:
            if follower.run_id is None or follower.run_id in runs:
                follower.wake()

    def follow(self, run_id: str | None, after: int) -> Follower:
        """Return a follower of one run, or of all (None), from an offset on. Use it as a context manager."""
        return Follower(self, run_id, after)

    def close(self) -> None:
        """Ask every follower to leave."""
        self._closing = True
        self._log.set_listener(None)
        for follower in self._followers:
            follower.wake()

    # -- for followers -------------------------------------------------------------------------------------------------

    @property
    def start(self) -> int:
        """The offset after which everything is in the tail."""
        return self._start

    def enter(self, follower: Follower) -> None:
        self._followers.add(follower)

    def leave(self, follower: Follower) -> None:
        self._followers.discard(follower)
        if self._closing and not self._followers:
            self._empty.set()

    async def empty(self) -> None:
        """Return when, after `close`, the last follower has left."""
        if self._followers:
            await self._empty.wait()

    def near(self, run_id: str | None, after: int) -> list[_Kept] | None:
        """Return what the tail has after an offset; None when that lies before the tail."""
        if after < self._start:
            return None
        tail: Sequence[_Kept] = self._all if run_id is None else self._by_run.get(run_id, ())
        found: list[_Kept] = []
        size = 0
        # From the end: a reader near the head pays for what is new, not for the whole tail.
        for kept in reversed(tail):
            if kept.offset <= after:
                break
            found.append(kept)
        found.reverse()
        for number, kept in enumerate(found):
            size += len(kept.frame)
            if size > _BYTES_PER_READ or number == _ENTRIES_PER_READ:
                return found[: max(number, 1)]
        return found

    async def far(self, run_id: str | None, after: int) -> list[_Kept]:
        """Read after an offset from the log."""
        self.replays_from_log += 1
        stored = await self._loop.run_in_executor(
            self._readers, lambda: self._log.read(after, limit=_ENTRIES_PER_READ, run_id=run_id)
        )
        return [_Kept(s.offset, s.run_id, s.frame, s.kind in _TERMINAL_KINDS) for s in stored]


class Follower:
    """A reader's place in the log. One task uses it; `wake` may be called from anything in the loop."""

    def __init__(self, hub: Hub, run_id: str | None, after: int) -> None:
        self.run_id = run_id
        self._hub = hub
        self._after = after
        self._woken = asyncio.Event()

    def __enter__(self) -> Self:
        self._hub.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hub.leave(self)

    @property
    def woken(self) -> bool:
        """Whether `next` returned, or will return, because of `wake` and not after silence."""
        return self._woken.is_set()

    def wake(self) -> None:
        """Have `next` look again."""
        self._woken.set()

    async def next(self, silence_seconds: float) -> Chunk | None:
        """Return what comes after the cursor and move it on; None when nothing came, or somebody only woke it.

        `silence_seconds`: how long to wait for something to come.
        """
        self._woken.clear()
        kept = self._hub.near(self.run_id, self._after)
        if kept is None:
            # Read the start before the log: the tail may move on while the log is read.
            start = self._hub.start
            kept = await self._hub.far(self.run_id, self._after)
            if not kept:
                # Nothing of this run lies between the cursor and the tail.
                self._after = max(self._after, start)
        if not kept:
            if not self._woken.is_set():
                try:
                    async with asyncio.timeout(silence_seconds):
                        await self._woken.wait()
                except TimeoutError:
                    return None
            kept = self._hub.near(self.run_id, self._after)
            if not kept:
                return None
        self._after = kept[-1].offset
        return Chunk(tuple(k.frame for k in kept), ended=self.run_id is not None and kept[-1].ends)
