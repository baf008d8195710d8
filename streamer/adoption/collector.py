"""`Collector`: brings the bars and log records of a process tree into one run. The other end of `inside`.

It listens on a Unix socket in a folder that no other user can enter, and takes messages only from processes that know
its secret. Messages are still not trusted: their number and size are bounded, and they hold only text and numbers.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import selectors
import shutil
import socket
import tempfile
import threading
import time as _time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from streamer.adoption.messages import BarMessage, Record, decode
from streamer.adoption.totals import BARS, Before, Rate, Totals
from streamer.model.bounds import BARS_LIMIT, bounded, counted
from streamer.model.events import Bar, Progressed
from streamer.producer.publishing.publisher import THREAD_PREFIX

#: The folder whose `sitecustomize` Python imports at its start.
SITE: Final = Path(__file__).parent / "site"
#: The environment variable that tells a process where to report, as ``SECRET:PATH``. Not for users.
ADDRESS: Final = "_STREAMER_ADOPT"
#: Seconds between two progress events.
EVERY_SECONDS: Final = 0.1
#: Seconds that `close` waits for messages on their way.
LAST_SECONDS: Final = 2.0
#: Processes that may report at the same time.
CONNECTIONS: Final = 500
#: Bytes of one message.
MESSAGE_BYTES: Final = 1_000_000
#: Unread messages of this process. The collector drops older ones.
MESSAGES: Final = 5_000
#: The longest path of a Unix socket that every system takes.
_LONGEST_PATH: Final = 100


class _Connection:
    """A process that reports. `number` tells it from the others; `link` is None for this process itself."""

    def __init__(self, number: int, link: socket.socket | None) -> None:
        self.number = number
        self.link = link
        self.known = False
        self.buffer = bytearray()
        self.open: dict[str, Bar] = {}
        self.seen = 0


class Collector:
    """Takes reports of processes in a thread of its own, and passes them to a run.

    A process that adopts its own bars needs no second thread and no socket: it passes `look`, and gives its messages to
    `take`. The collector's thread calls `look(address)` ten times a second.

    Args:
        report: Called with progress, at most ten times a second.
        record: Called with each log record.
        printed: Called with the text that handlers of log records wrote to a process's outputs; None: nobody asks.
        look: See above; None where only other processes report.
        where: Returns the phase that is under way, for which bars count that begin; None: the run's own.

    The collector's thread calls all of them; `close` calls `report` once more.
    """

    def __init__(
        self,
        report: Callable[[Progressed], object],
        record: Callable[[Record], object],
        look: Callable[[str], object] | None = None,
        *,
        printed: Callable[[str], object] | None = None,
        where: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._report = report
        self._record = record
        self._look = look
        self._printed = printed
        self._where = where
        self._phase = where()
        self._secret = secrets.token_hex(16)
        self._folder = _make_folder()
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
        self._taken: deque[tuple[bytes, str | None]] = deque(maxlen=MESSAGES)
        self._changed: dict[str, Bar] = {}
        self._totals = Totals()
        self._restart = False
        self._rate = Rate()
        self._reported_at = -1.0
        self._told: tuple[float | None, float | None] = (None, None)
        self._due = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{THREAD_PREFIX}adopt", daemon=True)

    @property
    def address(self) -> str:
        """The secret and the socket, for `inside.install`."""
        return f"{self._secret}:{self._path}"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that a process needs in order to report here, beside the given ones."""
        path = given.get("PYTHONPATH", "")
        # An empty part is the current folder to Python; the site folder takes itself out again.
        parts = [part for part in path.split(os.pathsep) if part != str(SITE)] if path else []
        return {"PYTHONPATH": os.pathsep.join((str(SITE), *parts)), ADDRESS: self.address}

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def restart(self) -> None:
        """Count only bars that begin from now on, since another phase has begun. Any thread may call it."""
        self._restart = True

    def take(self, message: bytes) -> None:
        """Take a message of this process; an empty one ends its bars. Any thread may call it."""
        self._taken.append((message, self._where()))

    def close(self, *, is_well: bool = False) -> None:
        """Take the messages on their way, end all bars, and remove the socket. Idempotent.

        Args:
            is_well: The work has ended well; the rest of a bar that was left is no work then.
        """
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LAST_SECONDS + 2.0)
        self._take_here()
        for connection in tuple(self._connections):
            self._leave(connection)
        self._flush(is_last=True, is_well=is_well)
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
            # The first change after a silence is reported at once.
            if now >= self._due or (self._changed and now - self._reported_at >= EVERY_SECONDS):
                self._due = now + EVERY_SECONDS
                self._flush()
            if self._stop.is_set():
                if until is not None and quiet:
                    return
                until = now + LAST_SECONDS if until is None else until

    def _take(self, timeout: float) -> bool:
        """Wait for messages and take them; return whether there were any."""
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
        """Take the messages of this process."""
        while self._taken:
            if self._here is None:
                self._here = self._connected(None)
                self._here.known = True
            message, phase = self._taken.popleft()
            self._enter(phase)
            if message:
                self._understand(self._here, message)
            else:
                self._leave(self._here)
                self._here = None

    def _read(self, connection: _Connection) -> None:
        assert connection.link is not None
        self._enter(self._where())
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
        """Take one message; return False when its sender does not know the secret, or it is not a message."""
        message = decode(line)
        if message is None:
            return False
        if not connection.known:
            connection.known = hmac.compare_digest(message.secret.encode(), self._secret.encode())
            return connection.known
        self._note(
            [
                (bar, Before(told.starts, counted(told.earlier) or 0))
                for told in message.bars
                if (bar := self._bar(connection, told))
            ]
        )
        if message.printed and self._printed is not None:
            with contextlib.suppress(Exception):
                self._printed(message.printed)
        if message.log is not None:
            self._log(message.log)
        if message.dropped > 0:
            text = f"{message.dropped:,} log records were dropped: there were too many at once"
            self._log(Record("WARNING", 30, "streamer.adoption", text))
        return True

    def _log(self, record: Record) -> None:
        with contextlib.suppress(Exception):
            self._record(record)

    def _bar(self, connection: _Connection, told: BarMessage) -> Bar | None:
        """Return a bar as the run shows it; None when its process has too many."""
        if told.id not in connection.open:
            if len(connection.open) >= BARS:
                return None
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
        return bar

    def _note(self, bars: Sequence[tuple[Bar, Before | None]]) -> None:
        """Note bars that were read at the same time, each with what it counted before it started over."""
        if self._restart:
            self._restart = False
            self._totals.restart()
        self._totals.take(bars, _time.monotonic())
        for bar, _ in bars:
            self._changed[bar.id] = bar
            if len(self._changed) >= BARS_LIMIT:
                self._flush()

    def _enter(self, phase: str | None) -> None:
        """Count for a phase from now on."""
        if phase != self._phase:
            self._flush(is_last=True, is_well=True)
            self._totals.restart()
            self._phase, self._told = phase, (None, None)

    def _leave(self, connection: _Connection) -> None:
        """End the bars of a process that has ended."""
        ended: list[tuple[Bar, Before | None]] = []
        for bar in connection.open.values():
            whole = bar.done is not None and bar.total is not None and bar.done >= bar.total
            ended.append((replace(bar, status="finished" if whole else "stopped"), None))
        self._note(ended)
        connection.open.clear()
        self._connections.discard(connection)
        if connection.link is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection.link)
            connection.link.close()

    def _flush(self, *, is_last: bool = False, is_well: bool = False) -> None:
        now = _time.monotonic()
        done, total = self._totals.read(now, is_last=is_last, is_well=is_well)
        if not self._changed and (done, total) == self._told:
            return
        bars = tuple(self._changed.values())
        self._changed.clear()
        self._reported_at, self._told = now, (done, total)
        rate = None if done is None else self._rate.add(done, self._reported_at)
        event = Progressed(
            phase=self._phase, done=done, total=total, unit=self._totals.unit, rate=rate, bars=bars
        )
        with contextlib.suppress(Exception):
            self._report(_checked(event))


def _checked(event: Progressed) -> Progressed:
    kept: Any = bounded(event)
    assert isinstance(kept, Progressed)
    return kept


def _make_folder() -> Path:
    """Make a folder with mode 0700 whose path is short enough for a socket in it."""
    folder = tempfile.mkdtemp(prefix="streamer-")
    if len(folder) > _LONGEST_PATH - 10:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="streamer-", dir="/tmp")
    return Path(folder)
