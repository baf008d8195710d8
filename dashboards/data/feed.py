"""`Feed`: what this process knows of a streamer's runs, over one connection, told to many subscribers. Shows nothing.

Sessions share a feed and nothing else: each subscribes with a callback and gets back what ends that. A feed costs the
same however many browser tabs are open, and its memory does not grow with the runs.

Why one module: following and telling subscribers share one loop and one order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterable, Callable
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from dashboards.session import WINDOW_LINES, LogLine
from streamer.client.client import Connection, Message, NotFound, OnConnection, StreamerAway, StreamerError
from streamer.model.events import Entry, Logged
from streamer.model.reducer import apply, with_retry
from streamer.model.state import RunState
from streamer.protocol.frames import EstimateSaid, Removed, Reset, Snapshot, SnapshotOfAll

logger = logging.getLogger(__name__)

#: Seconds between two calls of a subscriber, at least.
INTERVAL_SECONDS: Final = 0.1
#: Seconds of the loop's time that calling subscribers takes before the loop has its turn, and how long that is, in
#: parts of what was taken: whoever opens a page is not to wait for hundreds of others.
TURN_SECONDS: Final = 0.01
REST: Final = 0.5
#: Seconds that the connection is kept after the last subscriber has left: a reload must not cost a new one.
LINGER_SECONDS: Final = 30.0
#: Seconds after which a run that is missing, or could not be read, is asked for again; they double up to the longest.
POLL_SECONDS: Final = 2.0
LONGEST_POLL_SECONDS: Final = 15.0
#: Seconds before a new stream is asked for when the streamer refused one.
REFUSED_SECONDS: Final = 5.0
#: How many states are kept of runs that are over, or under way, and that nobody looks at.
RUNS_KEPT: Final = 300
LIVE_RUNS_KEPT: Final = 2000
#: Entries of one run that wait while its state is being read; with more of them it is read again.
ENTRIES_WAITING: Final = 5000


class Update(NamedTuple):
    """The news for a subscriber: everything since the last time, joined.

    `states` are those that changed: for a subscriber to one run that run's, if it did. `lines` are the run's new log
    lines, the last `WINDOW_LINES` of them; `skipped` says that there were more. `missing`: the streamer knows no such
    run. `renewed`: what was known before is void (the first time, and when the log is another one), so what was read
    besides must be read again. `removed` are the runs that the streamer does not keep any more.
    """

    connection: Connection
    message: str
    states: tuple[RunState, ...] = ()
    lines: tuple[LogLine, ...] = ()
    skipped: bool = False
    missing: bool = False
    renewed: bool = False
    removed: frozenset[str] = frozenset()


class Upstream(Protocol):
    """The part of a streamer's client that a feed needs: `streamer.Client` has it."""

    def follow(
        self, run_id: str | None = None, *, on_connection: OnConnection | None = None
    ) -> AsyncIterable[Message]:
        """Return a snapshot of all runs, then their entries; reconnects and resumes by itself.

        Args:
            run_id: The run; None: all runs.
            on_connection: Called with the state of the connection, and why.

        """

    async def run(self, run_id: str) -> Snapshot:
        """Return a run's state. Raises `NotFound` or another `StreamerError`."""


class Timers(Protocol):
    """The part of an event loop that knows the time."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle: ...


class _Turns:
    """Calls who is due, first come, first served, and leaves the loop a part of its time however many there are."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._due: deque[Callable[[], None]] = deque()
        self._rest: asyncio.TimerHandle | None = None

    def add(self, call: Callable[[], None]) -> None:
        """Call it: now, unless others have their turn or the loop has."""
        self._due.append(call)
        if self._rest is None:
            self._go()

    def _go(self) -> None:
        self._rest = None
        began, taken = self._timers.time(), 0.0
        while self._due and taken < TURN_SECONDS:
            self._due.popleft()()
            taken = self._timers.time() - began
        if taken > 0:
            self._rest = self._timers.call_later(REST * taken, self._go)


class _Subscriber:
    """One callback and what it has not been told yet."""

    def __init__(
        self,
        run_id: str | None,
        callback: Callable[[Update], None],
        interval: float,
        timers: Timers,
        turns: _Turns,
    ) -> None:
        self.run_id = run_id
        self.interval = interval
        self.states: dict[str, RunState] = {}
        self.lines: deque[LogLine] = deque(maxlen=WINDOW_LINES)
        self.removed: set[str] = set()
        self.skipped = False
        self.renewed = True
        self.ended = False
        self._callback = callback
        self._timers = timers
        self._turns = turns
        # Waits for its interval, then for its turn: in both cases what comes meanwhile is told then.
        self._handle: asyncio.TimerHandle | None = None
        self._last: float | None = None

    def wake(self, update: Callable[[_Subscriber], Update]) -> None:
        """Have it called: now when it was quiet, else when its interval is over; once, whatever comes meanwhile."""
        if self._handle is None and not self.ended:
            since = None if self._last is None else self._timers.time() - self._last
            delay = 0.0 if since is None else max(self.interval - since, 0.0)
            self._handle = self._timers.call_later(delay, lambda: self._turns.add(lambda: self._call(update)))

    def _call(self, update: Callable[[_Subscriber], Update]) -> None:
        self._handle = None
        if self.ended:
            return
        told = update(self)
        self.states, self.skipped, self.renewed = {}, False, False
        self.lines.clear()
        self.removed.clear()
        try:
            self._callback(told)
        except Exception:
            # One session's trouble must not end the others' feed.
            logger.exception("a subscriber to %s failed", self.run_id or "all runs")
        # Counted from the end: whoever is slow gets the rest joined.
        self._last = self._timers.time()

    def take_line(self, line: LogLine) -> None:
        """Keep a line within the bound."""
        self.skipped = self.skipped or len(self.lines) == self.lines.maxlen
        self.lines.append(line)

    def end(self) -> None:
        """Never call it again."""
        self.ended = True
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Subscription(NamedTuple):
    """The handle of a subscriber: `end` it (idempotent), and `ask` to be called in its turn although nothing came."""

    end: Callable[[], None]
    ask: Callable[[], None]


class Feed:
    """See the module. Used in one event loop.

    `describe` turns the reason why the streamer is away into words for a viewer. `timers` takes the place of the loop's
    clock in tests. The connection is made for the first subscriber, and ends `linger_seconds` after the last has left.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        describe: Callable[[str], str] = str,
        timers: Timers | None = None,
        linger_seconds: float = LINGER_SECONDS,
        runs_kept: int = RUNS_KEPT,
    ) -> None:
        self._upstream = upstream
        self._describe = describe
        self._timers: Timers = timers or asyncio.get_running_loop()
        self._turns = _Turns(self._timers)
        self._linger_seconds = linger_seconds
        self._runs_kept = runs_kept
        self._subscribers: dict[str | None, set[_Subscriber]] = {}
        # In the order in which they last changed; those nobody needs go first.
        self._states: OrderedDict[str, RunState] = OrderedDict()
        self._reading: dict[str, _Reading] = {}
        self._missing: set[str] = set()
        self._polls: dict[str, tuple[float, asyncio.TimerHandle]] = {}
        self._task: asyncio.Task[None] | None = None
        # Whether the stream has begun: a state that is read before that could leave a gap behind it.
        self._begun = False
        self._linger: asyncio.TimerHandle | None = None
        self.connection: Connection = "connecting"
        self.message = ""

    # -- for subscribers -----------------------------------------------------------------------------------------------

    @property
    def subscribers(self) -> int:
        """How many callbacks are subscribed."""
        return sum(map(len, self._subscribers.values()))

    @property
    def is_connected(self) -> bool:
        """Whether the one connection is there, or is being made."""
        return self._task is not None

    def state(self, run_id: str) -> RunState | None:
        """Return what is known of a run now; None when nothing is."""
        return self._states.get(run_id)

    def states(self) -> tuple[RunState, ...]:
        """Return all states that are known now: those of the runs under way, and some others."""
        return tuple(self._states.values())

    def subscribe(
        self,
        run_id: str | None,
        callback: Callable[[Update], None],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> Subscription:
        """Have `callback` called with what becomes of a run, or of all runs (None), until the subscription is ended.

        It is called in the event loop, never from here: soon for the first time, and then at most every
        `interval_seconds`. The last change is always told.

        Args:
            run_id: The run; None: all runs.
            callback: Called with the news, joined.
            interval_seconds: Seconds between two calls, at least.

        """
        subscriber = _Subscriber(run_id, callback, interval_seconds, self._timers, self._turns)
        self._subscribers.setdefault(run_id, set()).add(subscriber)
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._task is None:
            self._start()
        if run_id is None:
            subscriber.states.update(self._states)
        elif run_id in self._states:
            subscriber.states[run_id] = self._states[run_id]
        elif run_id not in self._missing:
            self._read(run_id)
        self._wake(subscriber)
        return Subscription(end=lambda: self._unsubscribe(subscriber), ask=lambda: self._wake(subscriber))

    def _unsubscribe(self, subscriber: _Subscriber) -> None:
        if subscriber.ended:
            return
        subscriber.end()
        run_id = subscriber.run_id
        self._subscribers[run_id].discard(subscriber)
        if not self._subscribers[run_id]:
            del self._subscribers[run_id]
            if run_id is not None:
                self._forget_missing(run_id)
                self._bound()
        if not self._subscribers:
            self._linger = self._timers.call_later(self._linger_seconds, self._stop)

    async def close(self) -> None:
        """End the connection and every subscription."""
        for subscriber in [one for group in self._subscribers.values() for one in group]:
            subscriber.end()
        self._subscribers.clear()
        task = self._task
        self._stop()
        if task is not None:
            await asyncio.wait([task])

    # -- the connection ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="dashboards-feed")

    def _stop(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._void()
        # From here on the known states grow old, so the next subscriber begins with nothing.
        self._states.clear()
        self._begun = False
        self.connection, self.message = "connecting", ""

    def _void(self) -> None:
        for reading in self._reading.values():
            reading.task.cancel()
        self._reading.clear()
        for run_id in list(self._missing | self._polls.keys()):
            self._forget_missing(run_id)

    async def _run(self) -> None:
        while True:
            stream = self._upstream.follow(on_connection=self._connection_changed)
            try:
                async for message in stream:
                    self._take(message)
                problem = "the streamer ended the stream"
            except StreamerError as error:
                # Such as a token that is wrong. Somebody may put it right.
                problem = str(error)
            self._connection_changed("away", problem)
            pause = asyncio.Event()
            handle = self._timers.call_later(REFUSED_SECONDS, pause.set)
            try:
                await pause.wait()
            finally:
                handle.cancel()

    def _connection_changed(self, connection: Connection, reason: str) -> None:
        message = self._describe(reason) if connection == "away" else ""
        if (connection, message) == (self.connection, self.message):
            return
        is_back = connection == "live" and self.connection != "live"
        self.connection, self.message = connection, message
        if is_back:
            for run_id in self._subscribers:
                if run_id is not None and run_id not in self._states:
                    self._read(run_id)
        for group in self._subscribers.values():
            for subscriber in group:
                self._wake(subscriber)

    # -- what comes ----------------------------------------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        match message:
            case Entry():
                self._take_entry(message)
            case SnapshotOfAll():
                self._take_snapshot(message)
            case Snapshot():
                self._put(message.state)
            case EstimateSaid():
                self._take_estimate(message)
            case Removed():
                self._take_removed(message.run_id)
            case Reset():
                logger.info("the feed begins again: %s", message.reason)

    def _take_snapshot(self, snapshot: SnapshotOfAll) -> None:
        """Begin with what the streamer says: it comes first, and again after every reset."""
        before, self._states = self._states, OrderedDict()
        self._begun = True
        self._void()
        for state in sorted(snapshot.states, key=lambda state: (not state.is_over, state.offset)):
            self._put(state)
        for group in self._subscribers.values():
            for subscriber in group:
                # Only what was told already can be void.
                subscriber.renewed = subscriber.renewed or bool(before)
        for run_id in self._subscribers:
            if run_id is not None and run_id not in self._states:
                self._read(run_id)

    def _take_entry(self, entry: Entry) -> None:
        run_id = entry.run_id
        if isinstance(entry.event, Logged) and run_id in self._subscribers:
            line = log_line(entry)
            for subscriber in self._subscribers[run_id]:
                subscriber.take_line(line)
                self._wake(subscriber)
        reading = self._reading.get(run_id)
        if reading is not None:
            reading.add(entry)
            return
        state = self._states.get(run_id)
        if state is None and entry.seq == 1:
            state = RunState(run=run_id)
        if state is None or entry.seq > state.seq + 1:
            # Not known, or not wholly: what is missing is read, not guessed.
            if run_id in self._subscribers or None in self._subscribers:
                self._read(run_id, entry)
            return
        self._put(apply(state, entry))
        if entry.seq == 1:
            self._link(self._states[run_id])

    def _take_estimate(self, said: EstimateSaid) -> None:
        state = self._states.get(said.run_id)
        if state is not None and not state.is_over:
            self._put(replace(state, estimate=said.estimate))

    def _take_removed(self, run_id: str) -> None:
        """Forget a run that is not kept any more, and tell those who list it or look at it."""
        reading = self._reading.pop(run_id, None)
        if reading is not None:
            reading.task.cancel()
        self._states.pop(run_id, None)
        self._is_missing(run_id)
        for subscriber in self._subscribers.get(None, ()):
            subscriber.states.pop(run_id, None)
            subscriber.removed.add(run_id)
            self._wake(subscriber)

    def _link(self, retry: RunState) -> None:
        """Let the state of the run that a new one repeats say so: no entry of its own does."""
        repeated = None if retry.retry_of is None else self._states.get(retry.retry_of)
        if repeated is not None:
            self._put(with_retry(repeated, retry.run))

    def _put(self, state: RunState) -> None:
        run_id = state.run
        if self._states.get(run_id) is state:
            return
        self._states[run_id] = state
        self._states.move_to_end(run_id)
        self._forget_missing(run_id)
        for key in (run_id, None):
            for subscriber in self._subscribers.get(key, ()):
                subscriber.states[run_id] = state
                self._wake(subscriber)
        self._bound()

    def _bound(self) -> None:
        """Let go of the states that nobody looks at, oldest first, beyond how many are kept."""
        excess = len(self._states) - self._runs_kept
        if excess <= 0:
            return
        idle = [run for run, state in self._states.items() if state.is_over and run not in self._subscribers]
        for run_id in idle[:excess]:
            del self._states[run_id]
        excess = len(self._states) - LIVE_RUNS_KEPT
        if excess > 0:
            idle = [run for run in self._states if run not in self._subscribers]
            for run_id in idle[:excess]:
                del self._states[run_id]

    # -- runs that must be read ----------------------------------------------------------------------------------------

    def _read(self, run_id: str, entry: Entry | None = None) -> None:
        """Read a run's state; its entries wait meanwhile, so that nothing lies between the two."""
        if run_id in self._reading or not self._begun:
            return
        handle = self._polls.get(run_id)
        if handle is not None:
            handle[1].cancel()
        task = asyncio.get_running_loop().create_task(
            self._read_state(run_id), name=f"dashboards-read-{run_id}"
        )
        reading = self._reading[run_id] = _Reading(task)
        if entry is not None:
            reading.add(entry)

    async def _read_state(self, run_id: str) -> None:
        try:
            snapshot = await self._upstream.run(run_id)
        except NotFound:
            self._reading.pop(run_id, None)
            self._is_missing(run_id)
            return
        except StreamerError as error:
            self._reading.pop(run_id, None)
            if not isinstance(error, StreamerAway):
                logger.warning("run %s could not be read: %s", run_id, error)
            self._poll(run_id)
            return
        reading = self._reading.pop(run_id)
        if reading.overflowed:
            self._read(run_id)
            return
        state = snapshot.state
        for entry in reading.entries:
            if entry.seq > state.seq + 1:
                self._read(run_id, entry)
                return
            state = apply(state, entry)
        self._put(state)

    def _is_missing(self, run_id: str) -> None:
        if run_id not in self._subscribers:
            return
        self._missing.add(run_id)
        self._states.pop(run_id, None)
        for subscriber in self._subscribers[run_id]:
            subscriber.states.clear()
            self._wake(subscriber)
        self._poll(run_id)

    def _poll(self, run_id: str) -> None:
        if run_id not in self._subscribers:
            return
        last = self._polls[run_id][0] if run_id in self._polls else POLL_SECONDS / 2
        delay = min(2 * last, LONGEST_POLL_SECONDS)
        self._polls[run_id] = delay, self._timers.call_later(delay, lambda: self._read(run_id))

    def _forget_missing(self, run_id: str) -> None:
        self._missing.discard(run_id)
        poll = self._polls.pop(run_id, None)
        if poll is not None:
            poll[1].cancel()

    # -- telling -------------------------------------------------------------------------------------------------------

    def _wake(self, subscriber: _Subscriber) -> None:
        subscriber.wake(self._update)

    def _update(self, subscriber: _Subscriber) -> Update:
        return Update(
            self.connection,
            self.message,
            tuple(subscriber.states.values()),
            tuple(subscriber.lines),
            subscriber.skipped,
            subscriber.run_id in self._missing,
            subscriber.renewed,
            frozenset(subscriber.removed),
        )


class _Reading:
    """A run that is being read, and the entries that came meanwhile, within a bound."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.entries: list[Entry] = []
        self.overflowed = False

    def add(self, entry: Entry) -> None:
        if len(self.entries) == ENTRIES_WAITING:
            self.overflowed = True
            self.entries.clear()
        if not self.overflowed:
            self.entries.append(entry)


def _fields_text(fields: dict[str, Any]) -> str:
    """Return what was logged beside a line, one a line: texts as they are, anything else as JSON."""
    return "\n".join(
        f"{name}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
        for name, value in fields.items()
    )


def log_line(entry: Entry) -> LogLine:
    """Return a log entry as the views have it. Raises `TypeError` for an entry of another kind."""
    event = entry.event
    if not isinstance(event, Logged):
        raise TypeError(f"expected a log entry, received {type(event).__name__}")
    return LogLine(
        offset=entry.offset,
        time=entry.time,
        level=event.level,
        logger=event.logger,
        phase=event.phase,
        item=event.item,
        message=event.message,
        fields="" if event.fields is UNSET else _fields_text(event.fields),
    )
