"""`Hub`: carries what was stored to the subscribers of streams: one write each for all that happened meanwhile.

A subscriber is a cursor. It has no queue, task or future. A subscriber that is behind the tail reads the log, so a slow
reader costs nothing and loses nothing. The log's thread calls `publish`; all else runs in the event loop.

Why one module: each step of a fan-out moves the same cursors, and the order of the steps is the promise.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

from tornado.iostream import IOStream

from streamer.protocol.frames import Removed, removed_frame
from streamer.server.fan_out.heartbeat import Heartbeat
from streamer.server.fan_out.relay import relay
from streamer.server.fan_out.subscriber import End, Style, Subscriber, prepare
from streamer.server.fan_out.tail import ENTRIES_PER_WRITE, TERMINAL_KINDS, Frames, Tail, fitting
from streamer.server.log.base import Appended, EventLog, LogError
from streamer.server.metrics import StreamCounts
from streamer.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: A fan-out is followed by a rest of this part of the time it took: more comes together meanwhile, and requests are
#: served. Why not a quarter: what is published then is too little to be worth a write for each reader.
_REST: Final = 1.0
#: Seconds that a fan-out writes before the loop has its turn: a thousand readers are written to before the producer
#: has its answer, which costs as much as a hundred writes. And how many are written to between two looks at the clock.
_TURN_SECONDS: Final = 0.005
_TOGETHER: Final = 50
#: How many places in the tail are remembered for those that follow at the same place.
_PLACES: Final = 16
#: Where readers reconnect together, as after a restart, so many milliseconds lie between two of them on average.
_MILLISECONDS_PER_READER: Final = 1.0
#: A single reader that is asked to reconnect need not wait: this part of the usual delay is enough.
_ROTATION: Final = 0.1


class Hub:
    """See the module. `on_appended` is told of every append, in the loop, before subscribers are written to.

    `on_removed` is told of every run that was removed.
    """

    def __init__(
        self,
        log: EventLog,
        settings: Settings,
        *,
        readers: Executor,
        counts: StreamCounts,
        on_appended: Callable[[Appended], None],
        on_removed: Callable[[str], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._log = log
        self._settings = settings
        self._readers = readers
        self._counts = counts
        self._on_appended = on_appended
        self._on_removed = on_removed
        self._chance = chance or random.Random()  # noqa: S311 - jitter
        self._loop = asyncio.get_running_loop()
        # The listener first: what is stored in between comes twice rather than never, and twice does no harm.
        log.set_listener(self.publish)
        self._tail = Tail(log.head(), settings.tail_bytes)
        self._places: dict[tuple[str | None, int], Frames] = {}
        #: By run, in the order in which they came: a fan-out goes through memory, the kernel's too, as it was taken.
        self._subscribers: dict[str | None, dict[Subscriber, None]] = {}
        self._number = 0
        #: Runs with entries that were not fanned out yet, and when those were published.
        self._changed: set[str] = set()
        self._published: list[float] = []
        #: Runs of the fan-out that goes on: not all of their subscribers have all.
        self._fanned_out: frozenset[str] = frozenset()
        self._fan_out_handle: asyncio.Handle | None = None
        self._rests_until = 0.0
        self._heartbeat = Heartbeat(self._loop, settings, self._all, rotate=self._rotate)
        #: By place, who waits for a read of the log, and the read.
        self._reads: dict[tuple[str | None, int], tuple[list[Subscriber], asyncio.Task[Frames]]] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def subscribers(self) -> int:
        """How many streams are being followed."""
        return self._number

    @property
    def head(self) -> int:
        """The offset up to which everything was taken, and `on_appended` told. The log may be farther already."""
        return self._tail.head

    @property
    def is_closing(self) -> bool:
        """Whether subscribers were asked to leave."""
        return self._closing

    # -- what was stored -----------------------------------------------------------------------------------------------

    def publish(self, appended: Sequence[Appended | Removed]) -> None:
        """Take what was committed. Called from the log's thread; the one crossing from it to the loop.

        Args:
            appended: The entries of one commit, and the states after them.

        """
        # RuntimeError: the loop is closed, so nobody follows any more.
        try:
            self._loop.call_soon_threadsafe(self._take, tuple(appended), self._loop.time())
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _take(self, appended: Sequence[Appended | Removed], published: float) -> None:
        for batch in appended:
            run_id = batch.run_id
            if isinstance(batch, Removed):
                self._changed.add(run_id)
                if self._on_removed is not None:
                    self._on_removed(run_id)
                self._tail.append_word(batch.offset, removed_frame(batch, self._log.epoch))
                continue
            if batch.entries and run_id not in self._tail:
                self._bring_forward(run_id, batch.entries[0].offset - 1)
            self._changed.add(run_id)
            self._tail.append(batch.entries, batch.frames)
            self._counts.appended += len(batch.entries)
            self._counts.appended_bytes += sum(map(len, batch.frames))
            self._on_appended(batch)
        self._places.clear()
        self._published.append(published)
        if self._fan_out_handle is None and not self._closing:
            self._plan()

    def _bring_forward(self, run_id: str, offset: int) -> None:
        """Move cursors that fell behind the tail, while others went on, over what is not of their run."""
        if run_id in self._changed or run_id in self._fanned_out:
            return
        for subscriber in self._subscribers.get(run_id, ()):
            if subscriber.is_ready:
                subscriber.after = max(subscriber.after, offset)

    def _plan(self) -> None:
        now = self._loop.time()
        if now >= self._rests_until:
            self._fan_out()
        else:
            self._fan_out_handle = self._loop.call_at(self._rests_until, self._fan_out)

    def _fan_out(self) -> None:
        """Begin to write, to everybody concerned, what was published since the last time."""
        published, self._published = self._published, []
        self._fanned_out = frozenset(self._changed)
        self._changed.clear()
        self._write_some(self._writes((*self._fanned_out, None)), published, self._loop.time())

    def _writes(self, keys: Sequence[str | None]) -> Iterator[None]:
        """Write what there is now to the subscribers of these runs: at each step once, to a few of one run."""
        # The next fan-out takes the entries of the meantime; else the first subscribers would hold up the others.
        head = self._tail.head
        for key in keys:
            group = list(self._subscribers.get(key, ()))
            for first in range(0, len(group), _TOGETHER):
                subscribers = group[first : first + _TOGETHER]
                while subscribers:
                    subscribers = [one for one in self._write_to(subscribers) if one.after < head]
                    yield

    def _write_some(self, writes: Iterator[None], published: list[float], began: float) -> None:
        """Write to some of those that are due, and let requests have their turn before the others have theirs."""
        until = self._loop.time() + _TURN_SECONDS
        for _ in writes:
            if self._loop.time() > until and not self._closing:
                self._fan_out_handle = self._loop.call_soon(self._write_some, writes, published, began)
                return
        self._fan_out_handle = None
        self._fanned_out = frozenset()
        now = self._loop.time()
        self._rests_until = now + _REST * (now - began)
        for when in published:
            self._counts.lagged(now - when)
        if self._changed and not self._closing:
            self._plan()

    def _write_to(self, subscribers: list[Subscriber]) -> list[Subscriber]:
        """Write once to some subscribers of one run, and return those for whom there may be more.

        It costs less where they are at the same place, as most of them are.
        """
        first = next((one for one in subscribers if one.is_ready), None)
        if first is None:
            return []
        run_id, after, style = first.run_id, first.after, first.style
        frames = self._frames(run_id, after)
        if frames is None or frames.ended or not frames.frames:
            return [one for one in subscribers if self._step(one)]
        data, last, now = style.entries(frames), frames.last, self._loop.time()
        others: list[Subscriber] = []
        for subscriber in subscribers:
            # Nothing is being read for who is here: this place is in the tail.
            if subscriber.after == after and subscriber.style is style and subscriber.takes_more:
                subscriber.after = last
                subscriber.write(data, now)
            else:
                others.append(subscriber)
        number = len(subscribers) - len(others)
        self._counts.delivered += number * len(frames.frames)
        self._counts.delivered_bytes += number * len(data)
        waiting = [one for one in others if self._step(one)]
        more = self._frames(run_id, last)
        return subscribers if more is None or more.frames else waiting

    # -- subscribers ---------------------------------------------------------------------------------------------------

    def follow(
        self,
        connection: socket.socket | IOStream,
        first: bytes,
        *,
        run_id: str | None,
        after: int,
        style: Style,
        ends: bool = False,
        rotates: bool = False,
        on_end: Callable[[End], None] | None = None,
    ) -> None:
        """Write `first`, then what one run (None: all) has after an offset and will have; owns the connection.

        The end of the run ends it. `ends`: so do the first bytes, as nothing will follow. `rotates`: the reader is
        asked to reconnect when the stream is old. `on_end` is told when it is over.

        Args:
            connection: The reader's connection, its head already written by the handler or with `first`.
            first: Bytes to be written before all else.
            run_id: The run; None: all runs.
            after: The offset after which the reader goes on.
            style: How frames are written for this reader.
            ends: Whether the stream ends with the run.
            rotates: Whether the stream ends when it is older than the setting allows.
            on_end: Called once, when the stream is over.

        """
        settings = self._settings
        if isinstance(connection, IOStream):
            connection = self._relayed(connection)
        prepare(connection, silence_seconds=settings.write_timeout_seconds)
        age = settings.max_stream_seconds if rotates else 0.0
        expires = self._loop.time() + age * self._chance.uniform(0.5, 1.0) if age else float("inf")
        subscriber = Subscriber(
            self, connection, run_id=run_id, after=after, style=style, expires=expires, on_end=on_end
        )
        self._subscribers.setdefault(run_id, {})[subscriber] = None
        self._number += 1
        self._counts.opened += 1
        self._empty.clear()
        self._heartbeat.start()
        subscriber.write(first, self._loop.time())
        if ends:
            subscriber.ended = True
            subscriber.finish()
        elif self._closing:
            self._dismiss(subscriber)
        else:
            self._catch_up(subscriber)

    def _relayed(self, stream: IOStream) -> socket.socket:
        """Return a socket whose bytes go to a reader through Tornado's stream."""
        near, far = socket.socketpair()
        for end in (near, far):
            end.setblocking(False)
        stream.set_nodelay(True)
        self._spawn(relay(far, stream, write_seconds=self._settings.write_timeout_seconds))
        return near

    def drained(self, subscriber: Subscriber) -> None:
        """Go on with a subscriber that took all it was given."""
        self._catch_up(subscriber)

    def left(self, subscriber: Subscriber, *, stalled: bool) -> None:
        """Forget a subscriber whose connection is closed.

        Args:
            subscriber: The subscriber.
            stalled: Whether it took nothing for too long.

        """
        group = self._subscribers[subscriber.run_id]
        group.pop(subscriber, None)
        if not group:
            del self._subscribers[subscriber.run_id]
        self._number -= 1
        self._counts.stalled += stalled
        if not self._number:
            self._empty.set()

    def _catch_up(self, subscriber: Subscriber) -> None:
        before = self._counts.delivered
        self._advance(subscriber)
        self._counts.replays_from_memory += self._counts.delivered > before

    def _advance(self, subscriber: Subscriber) -> None:
        """Write what comes after the cursor, until the subscriber has all or takes no more."""
        while self._step(subscriber):
            pass

    def _step(self, subscriber: Subscriber) -> bool:
        """Write once what comes after the cursor, or begin to read it; say whether there may be more to write."""
        if not subscriber.is_ready:
            return False
        frames = self._frames(subscriber.run_id, subscriber.after)
        if frames is None:
            subscriber.is_reading = True
            self._spawn(self._read_log(subscriber))
            return False
        self._deliver(subscriber, frames)
        return bool(frames.frames)

    def _frames(self, run_id: str | None, after: int) -> Frames | None:
        """Return what the tail has after an offset, once for all who are there; None: ask the log."""
        place = run_id, after
        frames = self._places.get(place)
        if frames is None:
            frames = self._tail.after(*place)
            if frames is not None:
                if len(self._places) >= _PLACES:
                    self._places.clear()
                self._places[place] = frames
        return frames

    def _deliver(self, subscriber: Subscriber, frames: Frames) -> None:
        subscriber.after = frames.last
        if frames.frames:
            data = subscriber.style.entries(frames)
            subscriber.write(data, self._loop.time())
            self._counts.delivered += len(frames.frames)
            self._counts.delivered_bytes += len(data)
        if frames.ended and subscriber.is_open:
            subscriber.ended = True
            subscriber.finish()

    async def _read_log(self, subscriber: Subscriber) -> None:
        """Bring a subscriber that is behind the tail nearer to it, by one read of the log."""
        try:
            frames = await self._read(subscriber)
        except LogError:
            # The reader will try again, and be told what is wrong with a status.
            subscriber.close()
            return
        except Exception:
            logger.exception("the log could not be read for a stream")
            subscriber.close()
            return
        finally:
            subscriber.is_reading = False
        if not subscriber.takes_more:
            return
        self._deliver(subscriber, frames)
        self._advance(subscriber)

    async def _read(self, subscriber: Subscriber) -> Frames:
        """Read the log after a subscriber's place, once for all who ask for the same at a time."""
        place = subscriber.run_id, subscriber.after
        reading = self._reads.get(place)
        if reading is None:
            waiting: list[Subscriber] = []
            reading = self._reads[place] = waiting, self._spawn(self._read_in_turn(place, waiting))
            reading[1].add_done_callback(lambda _: self._reads.pop(place))
        reading[0].append(subscriber)
        return await asyncio.shield(reading[1])

    async def _read_in_turn(self, place: tuple[str | None, int], waiting: Sequence[Subscriber]) -> Frames:
        # One read at a time, begun by the loop when it has come to it: a thread that reads one piece after the other
        # would keep the interpreter from it, and what is live from its readers.
        async with self._turn:
            if not any(one.takes_more for one in waiting):
                # All have left. A subscriber of this very moment stays where it was, and asks again.
                return Frames((), place[1], ended=False)
            self._counts.replays_from_log += 1
            # The tail's start before the log is read: it moves on meanwhile.
            return await self._loop.run_in_executor(self._readers, self._stored, *place, self._tail.start)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task that `abort` ends."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _stored(self, run_id: str | None, after: int, start: int) -> Frames:
        stored = self._log.read(after, limit=ENTRIES_PER_WRITE, run_id=run_id)
        frames = [one.frame for one in stored]
        end = fitting(frames)
        if not end:
            # Nothing of this run lies between the cursor and the tail.
            return Frames((), max(after, start), ended=False)
        last = stored[end - 1]
        ended = run_id is not None and last.kind in TERMINAL_KINDS
        return Frames(frames[:end], last.offset, ended=ended)

    # -- words without a place in the log ------------------------------------------------------------------------------

    def is_followed(self, run_id: str) -> bool:
        """Return whether somebody follows a run, or all runs."""
        return run_id in self._subscribers or None in self._subscribers

    def tell(self, run_id: str, kind: str, data: bytes) -> None:
        """Write a word to those who follow a run and are up to date. It is in no log; others never get it.

        Args:
            run_id: The run.
            kind: The event's name.
            data: Its JSON.

        """
        now = self._loop.time()
        for key in (run_id, None):
            for subscriber in tuple(self._subscribers.get(key, ())):
                if subscriber.is_ready:
                    subscriber.write(subscriber.style.word(kind, data), now)

    # -- time ----------------------------------------------------------------------------------------------------------

    def _all(self) -> Iterator[Subscriber]:
        for group in tuple(self._subscribers.values()):
            yield from tuple(group)

    def _rotate(self, subscriber: Subscriber) -> None:
        self._counts.rotated += 1
        self._dismiss(subscriber, _ROTATION * self._settings.retry_milliseconds)

    def retry_milliseconds(self, about: float | None = None) -> float:
        """Return a delay for one reader, half as long to half as long again as the setting says, or as `about`."""
        return (about or self._settings.retry_milliseconds) * self._chance.uniform(0.5, 1.5)

    def _dismiss(self, subscriber: Subscriber, about: float | None = None) -> None:
        """Ask a reader to reconnect, after a delay of its own."""
        style = subscriber.style
        subscriber.finish(style.part(style.retry(self.retry_milliseconds(about))))

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ask every subscriber to leave."""
        if self._closing:
            return
        self._closing = True
        self._log.set_listener(None)
        if self._fan_out_handle is not None:
            self._fan_out_handle.cancel()
        about = max(self._settings.retry_milliseconds, self._number * _MILLISECONDS_PER_READER)
        for group in tuple(self._subscribers.values()):
            for subscriber in tuple(group):
                self._advance(subscriber)
                self._dismiss(subscriber, about)

    async def empty(self) -> None:
        """Return when nobody follows any more."""
        await self._empty.wait()

    async def abort(self) -> None:
        """Close what is left of connections and tasks."""
        for group in tuple(self._subscribers.values()):
            for subscriber in tuple(group):
                subscriber.close()
        self._heartbeat.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
