"""`Publisher`: brings a producer's events to a streamer, in order, each once. It knows nothing of their meaning.

The publisher's thread sends over HTTP the events that an `Outbox` numbers and keeps. It resends unacknowledged events,
so a streamer can be killed and restarted under a running producer. While the streamer is away, the thread writes the
events to a `Spool`, which outlives the producer.

Why one module: outbox, spool and thread share one lock, and every method here takes it or relies on it.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import sys
import threading
import time as _time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import UNSET

from streamer.model.events import Event, Logged, Progressed
from streamer.producer.publishing.outbox import WAITING_BYTES, Outbox, remains
from streamer.producer.publishing.replies import NO_JSON, Backoff, error_of, read_acknowledgement, retry_after
from streamer.protocol.registration import Created, Registration
from streamer.protocol.spool import Spool
from streamer.settings import Settings

if TYPE_CHECKING:
    from streamer.producer.publishing.connection import Answer, Exchange

#: Names of the threads that report begin so; what they log themselves is not reported, or it would never end.
THREAD_PREFIX: Final = "streamer-"
#: A streamer that did not take anything for so many seconds is away: what waits goes to disk, this often.
AWAY_SECONDS: Final = 1.0
_SPOOL_SECONDS: Final = 0.5
_FLUSH_EVENTS: Final = 500
#: So many events are encoded together by the publisher's thread; whoever puts one more helps.
_LATE_EVENTS: Final = 100
_BATCH_EVENTS: Final = 2_000
_BATCH_BYTES: Final = 2_000_000


def _ignore(_: object) -> None:
    pass


def _headers(content: str, token: str) -> dict[str, str]:
    return {"Content-Type": content, **({"Authorization": f"Bearer {token}"} if token else {})}


class Publisher:
    """Sends a run's events from a thread of its own. Any thread may call it; `put` never waits for the network.

    `url_provider` says where the streamer is; it is asked again after an error. `on_request(name)` is called from the
    publisher's thread for what the streamer asks ("cancel"), at each answer that asks it; `on_refused(reason)` once,
    when the streamer will not have this producer's events any more: from then on everything is dropped.
    `alive_seconds` is how often an idle producer gives a sign of life; `linger_seconds` how long what comes in a stream
    is kept, to be sent together: a request costs the running code half a millisecond of the interpreter's time.
    `clock` measures delays, `rng` jitters them.

    `spool` is where events go while the streamer is away. `registration` is told to it, with the operators'
    `operators_token`, before anything else, of a run that it does not know; then `on_registered(answer)` is called.
    """

    def __init__(
        self,
        url_provider: Callable[[], str],
        run_id: str,
        token: str,
        *,
        on_request: Callable[[str], None] = _ignore,
        on_refused: Callable[[str], None] = _ignore,
        clock: Callable[[], float] = _time.monotonic,
        rng: random.Random | None = None,
        linger_seconds: float = 0.2,
        alive_seconds: float = 1.0,
        limit_bytes: int = WAITING_BYTES,
        max_events: int = _BATCH_EVENTS,
        max_bytes: int = _BATCH_BYTES,
        spool: Spool | None = None,
        registration: Registration | None = None,
        operators_token: str = "",
        on_registered: Callable[[Created], None] = _ignore,
        on_away: Callable[[str], None] = _ignore,
    ) -> None:
        self._url_provider = url_provider
        self._run_id = run_id
        self._path = f"/api/runs/{run_id}/events"
        self._spool = spool
        self._spooled_at = -math.inf
        # Held by whoever writes to the spool: the publisher's thread, or at the end the one that closes.
        self._disk = threading.RLock()
        self._writer = 0
        self._registration = registration
        self._operators_token = operators_token
        self._on_registered = on_registered
        self._on_away = on_away
        self._away_since: float | None = None
        self._reached = False
        self._finishing = False
        self._token = token
        self._headers = _headers("application/x-ndjson", token)
        self._on_request = on_request
        self._on_refused = on_refused
        self._clock = clock
        self._linger_seconds = linger_seconds
        self._alive_seconds = alive_seconds
        self._most_events = self._max_events = min(max_events, _DEFAULTS.max_ingest_events)
        self._max_bytes = min(max_bytes, _DEFAULTS.max_ingest_bytes)
        self._backoff = Backoff(rng or random.Random())  # noqa: S311 - jitter
        self._outbox = Outbox(limit_bytes)
        self._late: deque[tuple[Event, float]] = deque()
        self._busy = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._url = ""
        self._disowning = 0
        self._flushing = 0
        # Whether the thread looks by itself before long, and need not be woken: that costs whoever reports something.
        self._looks_soon = False
        self._closing = False
        self._retry_at = -math.inf
        self._last_sent = -math.inf
        #: Why the streamer does not take our events; None while it does.
        self.refused: str | None = None
        #: The error of the last attempt to send; empty after one that succeeded.
        self.last_error = ""
        #: The error of the last failed attempt to write to the spool.
        self.disk_error = ""

    def start(self) -> None:
        """Start the thread."""
        name = f"{THREAD_PREFIX}publisher"
        self._thread = threading.Thread(target=self._send_forever, name=name, daemon=True)
        self._thread.start()

    def put(self, event: Event, time: float) -> None:
        """Take an event that happened at `time`, in POSIX seconds. Never raises; does nothing in a forked child."""
        # The child of a fork has no publisher thread, and its copy of the lock may be held for ever.
        if os.getpid() != self._pid or self.refused is not None:
            return
        self._late.append((event, time))
        # In this order: the thread looks once more after it has said that it will not look soon.
        if self._looks_soon and len(self._late) < _LATE_EVENTS and _is_settled(event):
            return
        with self._wake:
            self._take()
            is_full = self._outbox.waiting_bytes > self._outbox.limit_bytes * 3 // 4
        if (
            is_full
            and self._spool is not None
            and not self._busy
            and not self.disk_error
            # A log line of a signal handler, in the middle of a write.
            and self._writer != threading.get_ident()
        ):
            # Before a line is dropped: whoever reports so much waits for the disk.
            self._put_on_disk()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[Outbox]:
        """Give the outbox to the body; what is put meanwhile, by the body's own thread too, comes after it."""
        with self._wake:
            self._take()
            self._busy = True
            try:
                yield self._outbox
            finally:
                self._busy = False
                self._take()

    def _take(self) -> None:
        """Bring what was put to the outbox, unless this thread is at it; the lock is held."""
        # The garbage collector may run somebody's __del__, which logs, in the middle of what is done here.
        if self._busy or not self._late:
            return
        had = self._outbox.waiting
        self._busy = True
        try:
            while self._late:
                event, time = self._late.popleft()
                try:
                    self._outbox.put(event, time)
                except Exception as error:  # noqa: BLE001 - an object that cannot be shown must not end the run
                    self._outbox.put(remains(event, f"{type(error).__name__} while it was encoded"), time)
        finally:
            self._busy = False
        if (not had and not self._looks_soon) or self._outbox.waiting >= _FLUSH_EVENTS:
            self._wake.notify_all()

    @property
    def away(self) -> bool:
        """Whether the streamer has taken nothing for `AWAY_SECONDS` and more."""
        since = self._away_since
        return since is not None and self._clock() - since >= AWAY_SECONDS

    def _is_gone(self) -> bool:
        """Tell whether it is not worth while to wait for the streamer: it is away, or was never there."""
        return self.away or (self._away_since is not None and not self._reached)

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is acknowledged; False when it was not within `timeout` seconds."""
        return self._flush(timeout, leaving=False)

    def _flush(self, timeout: float, *, leaving: bool) -> bool:
        deadline = _time.monotonic() + timeout
        with self._wake:
            self._take()
            # Joining and dropping only lower the number that the last event will have.
            target = self._outbox.last + self._outbox.waiting
            self._flushing += 1
            self._wake.notify_all()
            try:
                while len(self._outbox) and self._outbox.acknowledged < target:
                    left = deadline - _time.monotonic()
                    if self.refused is not None or left <= 0 or (leaving and self._is_gone()):
                        return False
                    self._wake.wait(min(left, 0.1) if leaving else left)
            finally:
                self._flushing -= 1
        return self.refused is None

    def close(self, timeout: float) -> bool:
        """Send what is left for at most `timeout` seconds, then end the thread; tell whether all was acknowledged.

        With a spool it is not waited for a streamer that is away: what is left goes there, see `left_behind`.
        """
        sent = self._flush(timeout, leaving=self._spool is not None)
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread is not None:
            # A request under way ends by its own time limit; the thread is a daemon and is not waited for so long.
            self._thread.join(2.0 if sent or self._spool is None else 0.1)
        if self._spool is not None and os.getpid() == self._pid:
            self._leave(self._spool)
        return sent

    def finish(self) -> None:
        """Take no more; the thread ends by itself when all is acknowledged. Does not wait: see `finished`."""
        with self._wake:
            self._finishing = True
            self._wake.notify_all()

    @property
    def is_ours(self) -> bool:
        """Whether this process made it; a forked child has a copy, without a thread."""
        return os.getpid() == self._pid

    @property
    def finished(self) -> bool:
        """Whether the thread has ended."""
        return self._thread is not None and not self._thread.is_alive()

    @property
    def left_behind(self) -> Path | None:
        """The file in which the streamer finds what this producer could not send; None when there is nothing."""
        if self._spool is None or self.refused is not None:
            return None
        return self._spool.path if len(self._outbox) and self._spool.last >= self._outbox.last else None

    # -- the publisher's thread ----------------------------------------------------------------------------------------

    def _send_forever(self) -> None:
        # Imported here because it takes a while, which the thread that works need not spend.
        from streamer.producer.publishing.connection import Exchange

        self._url = self._url_provider()
        with contextlib.closing(Exchange()) as exchange:
            self._send_with(exchange)
        self._looks_soon = False
        if not self._closing and self._spool is not None:
            self._leave(self._spool)

    def _send_with(self, exchange: Exchange) -> None:
        while (lines := self._next_batch()) is not None:
            try:
                self._url = self._url or self._url_provider()
                if self._registration is None:
                    body = b"".join(line for _, line in lines)
                    answer = exchange.post(self._url + self._path, body, self._headers)
                else:
                    answer = self._register(exchange, self._registration)
            except Exception as error:  # noqa: BLE001 - whatever the network does, the events are kept and sent later
                self._failed(f"{type(error).__name__}: {error}")
                continue
            if self._closing and self._spool is not None:
                # The closing thread has left the waiting events in the spool; sent twice, they are stored once.
                return
            if self._registration is not None:
                self._registered(answer)
            else:
                self._answered(answer, [seq for seq, _ in lines])

    def _register(self, exchange: Exchange, registration: Registration) -> Answer:
        described = registration.named(self._run_id, self._token)
        headers = _headers("application/json", self._operators_token)
        return exchange.post(f"{self._url}/api/runs", msgspec.json.encode(described), headers)

    def _next_batch(self) -> list[tuple[int, bytes]] | None:
        """Wait until something is to be sent; an empty list is a sign of life, None the end."""
        while True:
            with self._wake:
                turn = self._wait()
            if turn == "end":
                return None
            if turn == "keep":
                self._put_on_disk()
                continue
            if self._registration is not None:
                return []
            self._load_from_disk()
            with self._alone() as outbox:
                return outbox.batch(self._max_events, self._max_bytes)

    def _wait(self) -> Literal["send", "keep", "end"]:
        """Wait until something is to be sent, or to be kept on disk, or nothing any more. The lock is held."""
        while not self._closing and self.refused is None:
            self._take()
            if self._finishing and not len(self._outbox) and self._registration is None:
                break
            now = self._clock()
            due, spool_due = self._due(now), self._spool_due(now)
            together = self._last_sent + self._linger_seconds
            # While it sends, and while what comes is sent together, it looks again by itself.
            self._looks_soon = due <= now or now < together
            if min(due, spool_due) <= now:
                return "send" if due <= now else "keep"
            if not self._late:
                self._wake.wait(min(due, spool_due, together if self._looks_soon else math.inf) - now)
        return "end"

    def _due(self, now: float) -> float:
        """Return when to send next."""
        outbox = self._outbox
        if self._registration is not None:
            due = now
        elif not len(outbox):
            due = self._last_sent + self._alive_seconds
        elif self._flushing or outbox.waiting < len(outbox) or outbox.waiting >= _FLUSH_EVENTS:
            due = now
        else:
            # An event after a silence is sent at once; events of a stream are sent together.
            due = self._last_sent + self._linger_seconds
        return max(due, self._retry_at)

    # -- the spool -----------------------------------------------------------------------------------------------------

    def _spool_due(self, now: float) -> float:
        """Return when to put on disk what waits; never while the streamer takes it."""
        spool, outbox = self._spool, self._outbox
        if spool is None or not (outbox.waiting or outbox.numbered_last > spool.last):
            return math.inf
        due = self._spooled_at + _SPOOL_SECONDS
        if self._away_since is not None:
            return max(due, self._away_since + AWAY_SECONDS)
        # It is there, but slower than this producer.
        return due if outbox.waiting_bytes > outbox.limit_bytes // 2 else math.inf

    def _put_on_disk(self) -> None:
        with self._disk:
            if not self._closing and self._spool is not None:
                self._write(self._spool, self._spool.room)

    def _leave(self, spool: Spool) -> None:
        """Put all on disk that is not acknowledged, whatever room there is: what is in memory is bounded."""
        with self._disk:
            if self.refused is None and len(self._outbox):
                self._write(spool, sys.maxsize)
            else:
                spool.clear()
            spool.close()

    def _write(self, spool: Spool, room: int) -> None:
        self._spooled_at = self._clock()
        self._writer = threading.get_ident()
        try:
            self._write_lines(spool, room)
        finally:
            self._writer = 0

    def _write_lines(self, spool: Spool, room: int) -> None:
        with self._alone() as outbox:
            lines = outbox.set_aside(spool.last, room)
        try:
            spool.append(lines)
        except (OSError, ValueError) as error:
            with self._alone() as outbox:
                outbox.aside_failed()
            self.disk_error = str(error)
            return
        with self._alone() as outbox:
            outbox.aside_written()
            self._wake.notify_all()

    def _load_from_disk(self) -> None:
        """Bring back from the spool what the next batch takes; remove the file when all of it was acknowledged."""
        spool, outbox = self._spool, self._outbox
        if spool is None or not spool.last:
            return
        with self._disk:
            if self._closing:
                return
            if outbox.acknowledged >= spool.last:
                spool.clear()
            elif outbox.on_disk and outbox.numbered_last <= outbox.acknowledged:
                try:
                    lines = spool.read(
                        max(outbox.loaded, outbox.acknowledged),
                        max_events=self._max_events,
                        max_bytes=self._max_bytes,
                    )
                except (OSError, ValueError) as error:
                    self._refuse(f"what was kept on disk cannot be read: {error}")
                    return
                with self._alone():
                    outbox.load(lines)

    # -- answers -------------------------------------------------------------------------------------------------------

    def _registered(self, response: Answer) -> None:
        if response.status_code in (200, 201):
            try:
                answer = msgspec.json.decode(response.content, type=Created)
            except NO_JSON as error:
                self._failed(f"not a streamer's answer: {error}")
                return
            self._registration = None
            self._done()
            with contextlib.suppress(Exception):
                self._on_registered(answer)
            return
        code, message, _ = error_of(response)
        said = f"{response.status_code} {code} {message}".strip()
        if code and response.status_code not in (429, 503) and response.status_code < 500:
            self._refuse(said)
        else:
            self._failed(said, retry_after(response) if response.status_code in (429, 503) else None)

    def _answered(self, response: Answer, numbers: list[int]) -> None:
        status = response.status_code
        if 200 <= status < 300:
            self._succeeded(response, numbers)
            return
        code, message, details = error_of(response) if status >= 400 else ("", "", {})
        said = f"{status} {code} {message}".strip()
        expected = details.get("expected")
        if status == 409 and code == "run_ended":
            self._refuse(said)
        elif status == 409 and isinstance(expected, int):
            self._resume(expected, numbers, said)
        elif status in (401, 403, 404) and code:
            self._disowned(said)
        elif status in (400, 413, 422) and numbers:
            self._divide(numbers, said)
        else:
            wait = retry_after(response) if status in (429, 503) else None
            self._failed(said, wait)

    def _succeeded(self, response: Answer, numbers: list[int]) -> None:
        try:
            answer = read_acknowledgement(response.content)
        except NO_JSON as error:
            self._failed(f"not a streamer's answer: {error}")
            return
        if answer.acknowledged > self._outbox.last:
            self._refuse(
                f"the streamer has event {answer.acknowledged} of this run, but {self._outbox.last} were sent: "
                "somebody else reports it"
            )
            return
        with self._wake:
            news = self._outbox.acknowledge(answer.acknowledged)
            if news or not numbers:
                self._done()
            self._wake.notify_all()
        if numbers and not news:
            self._failed(f"acknowledged {answer.acknowledged}, expected {numbers[0]} or more")
        for name in answer.requests:
            # The caller's own function; this thread must outlive it.
            with contextlib.suppress(Exception):
                self._on_request(name)

    def _resume(self, expected: int, numbers: list[int], said: str) -> None:
        with self._wake:
            held = self._outbox.resume(expected)
            self._wake.notify_all()
        if not held:
            self._refuse(said)
        elif numbers and expected == numbers[0]:
            # It asks for what it was given: sending that again at once would go round for ever.
            self._failed(said)
        else:
            self._done()

    def _disowned(self, said: str) -> None:
        """Believe that this producer is not wanted, unless the streamer moved and left its port to another one."""
        other, self._disowning = self._url_provider(), self._disowning + 1
        if other == self._url or self._disowning > 1:
            self._refuse(said)
        else:
            self._failed(said)
            self._url = other

    def _divide(self, numbers: list[int], said: str) -> None:
        """Find the event that is refused by sending fewer at a time, and put a smaller one in its place."""
        if len(numbers) > 1:
            self._max_events = len(numbers) // 2
            return
        with self._wake:
            replaced = self._outbox.replace_first(said)
        if not replaced:
            self._refuse(said)

    def _done(self) -> None:
        self.last_error = ""
        self._away_since = None
        self._reached = True
        self._disowning = 0
        self._backoff.reset()
        self._retry_at = -math.inf
        self._last_sent = self._clock()
        self._max_events = min(self._max_events * 2, self._most_events)

    def _failed(self, reason: str, wait: float | None = None) -> None:
        self.last_error = reason
        self._url = ""
        self._last_sent = self._clock()
        self._retry_at = self._last_sent + (self._backoff.next() if wait is None else wait)
        if self._away_since is None:
            self._away_since = self._last_sent
            with contextlib.suppress(Exception):
                self._on_away(reason)

    def _refuse(self, reason: str) -> None:
        with self._disk, self._wake:
            self.refused = self.last_error = reason
            self._outbox = Outbox()
            self._late.clear()
            self._wake.notify_all()
            if self._spool is not None:
                self._spool.clear()
        with contextlib.suppress(Exception):
            self._on_refused(reason)


def _is_settled(event: Event) -> bool:
    """Say whether all of an event is its own; what belongs to the running code may be another the next moment."""
    return type(event) is Progressed or (type(event) is Logged and event.fields is UNSET)


_DEFAULTS: Final = Settings(data=Path())
