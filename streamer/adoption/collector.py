"""`Collector`: brings the bars and log records of a process tree into one run. The other end of `inside`.

It listens on a Unix socket in a folder of its own that nobody else can enter, and takes only who knows the secret. What
comes is untrusted all the same: bounded, and no more than text and numbers.
"""

from __future__ import annotations

import contextlib
import hmac
import math
import os
import secrets
import selectors
import shutil
import socket
import tempfile
import threading
import time as _time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from streamer.model.bounds import BARS_LIMIT, bounded, counted
from streamer.model.events import (
    LEVELS,
    Bar,
    BarStatus,
    Progressed,
)
from streamer.model.rates import RATE_SECONDS
from streamer.producer.publisher import THREAD_PREFIX
from streamer.producer.run import Run

#: The folder whose `sitecustomize` Python imports at its start.
SITE: Final = Path(__file__).parent / "site"
#: The variable that tells a process where to report: ``SECRET:PATH``. Not for users.
ADDRESS: Final = "_STREAMER_ADOPT"
#: Seconds between two progress events, and how long the end waits for last words that are on their way.
EVERY_SECONDS: Final = 0.1
LAST_SECONDS: Final = 2.0
#: Bounds of what is taken: processes at once, bytes of a message, bars of one process.
CONNECTIONS: Final = 500
MESSAGE_BYTES: Final = 1_000_000
#: Bound of the messages of this process that are not looked at yet; beyond it the oldest are dropped.
MESSAGES: Final = 5_000
BARS: Final = 2_000
#: The longest path of a Unix socket that every system takes.
_LONGEST_PATH: Final = 100


class Record(Struct, frozen=True):
    """A log record of some process; `number` is its level as `logging` counts."""

    level: str = "INFO"
    number: int = 20
    logger: str = ""
    message: str = ""

    def report(self, run: Run) -> None:
        """Make it a log line of a run; a level that somebody invented counts as the next lower one."""
        known = [name for name, number in LEVELS.items() if number <= max(self.number, LEVELS["DEBUG"])]
        run.report_line(self.message, level=known[-1], logger=self.logger)


class _Bar(Struct, frozen=True):
    id: str
    parent: str | None = None
    name: str = ""
    done: float | int | None = None
    total: float | int | None = None
    unit: str = ""
    status: BarStatus = "started"


class _Message(Struct, frozen=True):
    secret: str = ""
    bars: list[_Bar] = []
    log: Record | None = None
    dropped: int = 0


_decoder = msgspec.json.Decoder(_Message)


class Headline:
    """What a run counts without being told: its outer bars in the unit of the newest one, summed."""

    def __init__(self) -> None:
        self.unit = ""
        self._base: float = 0
        self._bars: OrderedDict[str, Bar] = OrderedDict()
        #: Bars that are still open, but do not count: they are in another unit, or of before.
        self._others: set[str] = set()

    def take(self, bar: Bar) -> None:
        """Note what became of a bar; only outer ones count."""
        if bar.parent is not None:
            return
        if bar.id in self._others:
            if bar.status != "started":
                self._others.discard(bar.id)
            return
        if bar.id not in self._bars and bar.unit != self.unit:
            self.begin_anew()
            self.unit = bar.unit
        self._bars[bar.id] = bar
        if len(self._bars) > BARS:
            self._base += self._bars.popitem(last=False)[1].done or 0

    def begin_anew(self) -> None:
        """Count only bars that begin from now on."""
        self._others.update(bar.id for bar in self._bars.values() if bar.status == "started")
        self._bars.clear()
        self._base = 0

    def read(self) -> tuple[float | None, float | None]:
        """Return how much is done, and of how much (None: not known)."""
        if not self._bars:
            return None, None
        done, total = self._base, self._base
        known = True
        for bar in self._bars.values():
            done += bar.done or 0
            if bar.total is not None:
                total += max(bar.total, bar.done or 0)
            elif bar.status == "finished":
                total += bar.done or 0
            else:
                known = False
        return done, total if known else None


class Rate:
    """Units per second over the last `RATE_SECONDS` or so; None while that is not known."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._then: tuple[float, float] | None = None

    def add(self, done: float, now: float) -> float | None:
        """Return the rate when `done` units are done at `now`; a count that begins anew begins it anew."""
        if self._then is None or done < self._then[0]:
            self._rate, self._then = None, (done, now)
        elif now > self._then[1]:
            seconds = now - self._then[1]
            newest = (done - self._then[0]) / seconds
            share = 1 - math.exp(-seconds / RATE_SECONDS)
            self._rate = newest if self._rate is None else self._rate + (newest - self._rate) * share
            self._then = (done, now)
        return self._rate


class _Connection:
    """One process that reports, this one without a link; `number` tells it from the others."""

    def __init__(self, number: int, link: socket.socket | None) -> None:
        self.number = number
        self.link = link
        self.known = False
        self.buffer = bytearray()
        self.open: dict[str, Bar] = {}
        self.seen = 0


class Collector:
    """Takes what processes report, in a thread of its own, and tells a run of it.

    `report(event)` gets progress at most ten times a second; `record(record)` each log record. Both are called from the
    collector's thread, and once more from `close`.

    A process that adopts its own bars gives it `look(address)`, which is called there ten times a second, and the
    messages themselves by `take`: so it needs neither another thread nor calls of the system.
    """

    def __init__(
        self,
        report: Callable[[Progressed], object],
        record: Callable[[Record], object],
        look: Callable[[str], object] | None = None,
    ) -> None:
        self._report = report
        self._record = record
        self._look = look
        self._secret = secrets.token_hex(16)
        self._folder = _folder()
        self._path = str(self._folder / "s")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self._path)
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._count = 0
        self._connections: set[_Connection] = set()
        self._here: _Connection | None = None
        self._taken: deque[bytes] = deque(maxlen=MESSAGES)
        self._changed: dict[str, Bar] = {}
        self._headline = Headline()
        self._anew = False
        self._rate = Rate()
        self._told = -1.0
        self._due = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{THREAD_PREFIX}adopt", daemon=True)

    @property
    def address(self) -> str:
        """Where a process reports to, and the secret: for `inside.install`."""
        return f"{self._secret}:{self._path}"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return what a process needs in its environment, beside what is `given`, to report here."""
        paths = [str(SITE), *(part for part in given.get("PYTHONPATH", "").split(os.pathsep) if part)]
        own = list(dict.fromkeys(paths))
        return {"PYTHONPATH": os.pathsep.join(own), ADDRESS: self.address}

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def begin_anew(self) -> None:
        """Count, from now on, only what begins from now on: another phase has begun. Any thread may call it."""
        self._anew = True

    def take(self, message: bytes) -> None:
        """Take a message of this process; an empty one says that nothing follows. Any thread may call it."""
        self._taken.append(message)

    def close(self) -> None:
        """Take the last words that are on their way, end all bars, and leave nothing behind. Idempotent."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LAST_SECONDS + 2.0)
        self._take_here()
        for connection in tuple(self._connections):
            self._leave(connection)
        self._tell()
        self._selector.close()
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        until: float | None = None
        while until is None or _time.monotonic() < until:
            wait = self._due - _time.monotonic() if until is None else 0.02
            quiet = not self._take(max(wait, 0.0))
            now = _time.monotonic()
            if now >= self._due:
                if self._look is not None:
                    self._look(self.address)
                self._take_here()
            # What comes after a silence is told at once.
            if now >= self._due or (self._changed and now - self._told >= EVERY_SECONDS):
                self._due = now + EVERY_SECONDS
                self._tell()
            if self._stop.is_set():
                if until is not None and quiet:
                    return
                until = now + LAST_SECONDS if until is None else until

    def _take(self, timeout: float) -> bool:
        """Wait for something, and take it; tell whether there was any."""
        ready = self._selector.select(timeout)
        for key, _ in ready:
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._read(key.data)
        return bool(ready)

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:
            return
        if len(self._connections) >= CONNECTIONS:
            link.close()
            return
        link.setblocking(False)
        connection = self._connected(link)
        self._selector.register(link, selectors.EVENT_READ, connection)

    def _connected(self, link: socket.socket | None) -> _Connection:
        self._count += 1
        connection = _Connection(self._count, link)
        self._connections.add(connection)
        return connection

    def _take_here(self) -> None:
        """Take what this process has said."""
        while self._taken:
            if self._here is None:
                self._here = self._connected(None)
                self._here.known = True
            if message := self._taken.popleft():
                self._understand(self._here, message)
            else:
                self._leave(self._here)
                self._here = None

    def _read(self, connection: _Connection) -> None:
        assert connection.link is not None
        try:
            data = connection.link.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.buffer += data
        *lines, rest = bytes(connection.buffer).split(b"\n")
        connection.buffer = bytearray(rest)
        for line in lines:
            if not self._understand(connection, line):
                self._leave(connection)
                return
        if not data or len(rest) > MESSAGE_BYTES:
            self._leave(connection)

    def _understand(self, connection: _Connection, line: bytes) -> bool:
        """Take one message; False when it is not from who it should be."""
        try:
            message = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if not connection.known:
            connection.known = hmac.compare_digest(message.secret.encode(), self._secret.encode())
            return connection.known
        for bar in message.bars:
            self._bar(connection, bar)
        if message.log is not None:
            self._tell_record(message.log)
        if message.dropped > 0:
            text = f"{message.dropped:,} log records were not kept: there were too many at once"
            self._tell_record(Record("WARNING", 30, "streamer.adoption", text))
        return True

    def _tell_record(self, record: Record) -> None:
        with contextlib.suppress(Exception):
            self._record(record)

    def _bar(self, connection: _Connection, told: _Bar) -> None:
        if told.id not in connection.open:
            if len(connection.open) >= BARS:
                return
            connection.seen += 1
        prefix = connection.number
        bar = Bar(
            id=f"{prefix}.{told.id[:40]}",
            parent=None if told.parent is None else f"{prefix}.{told.parent[:40]}",
            name=told.name,
            done=counted(told.done),
            total=counted(told.total),
            unit=told.unit,
            status=told.status,
        )
        if bar.status == "started":
            connection.open[told.id] = bar
        else:
            connection.open.pop(told.id, None)
        self._note(bar)

    def _note(self, bar: Bar) -> None:
        if self._anew:
            self._anew = False
            self._headline.begin_anew()
        self._headline.take(bar)
        self._changed[bar.id] = bar
        if len(self._changed) >= BARS_LIMIT:
            self._tell()

    def _leave(self, connection: _Connection) -> None:
        """End a process' bars with it."""
        for bar in connection.open.values():
            whole = bar.done is not None and bar.total is not None and bar.done >= bar.total
            self._note(replace(bar, status="finished" if whole else "stopped"))
        connection.open.clear()
        self._connections.discard(connection)
        if connection.link is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection.link)
            connection.link.close()

    def _tell(self) -> None:
        if not self._changed:
            return
        bars = tuple(self._changed.values())
        self._changed.clear()
        self._told = _time.monotonic()
        done, total = self._headline.read()
        rate = None if done is None else self._rate.add(done, self._told)
        event = Progressed(done=done, total=total, unit=self._headline.unit, rate=rate, bars=bars)
        with contextlib.suppress(Exception):
            self._report(_checked(event))


def _checked(event: Progressed) -> Progressed:
    kept: Any = bounded(event)
    assert isinstance(kept, Progressed)
    return kept


def _folder() -> Path:
    """Make a folder of our own, 0700, whose path leaves room for a socket's."""
    folder = tempfile.mkdtemp(prefix="streamer-")
    if len(folder) > _LONGEST_PATH - 10:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="streamer-", dir="/tmp")
    return Path(folder)
