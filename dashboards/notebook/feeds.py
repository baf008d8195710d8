"""What keeps a cell's output in step with a streamer: one coroutine for each kind of view, run by `background()`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

from dashboards.notebook.cell import Cell, Frame, Message, Painter
from dashboards.notebook.record import LINES_SHOWN, Seen, run_html, run_text
from streamer.answers import Conflict, NotFound, StreamerError
from streamer.client import Client
from streamer.events import Entry, Logged
from streamer.following import Connection
from streamer.state import RunState, apply
from streamer.wire import Reset, Snapshot, SnapshotOfAll

#: Seconds after which a streamer is asked again for what it did not know or would not give.
AGAIN_SECONDS: Final = 2.0
#: Most seconds between two attempts to reach a streamer: somebody looks at the cell and waits.
LONGEST_AWAY_SECONDS: Final = 4.0


def client_of(url: str | None) -> Client:
    """Return a client that comes back to its streamer soon. Raises `ValueError`, `SettingError`."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, LONGEST_AWAY_SECONDS))

    return Client(url, sleep=sleep)


class RunFeed:
    """Follows a run for one cell, until the run is over."""

    def __init__(self, cell: Cell, run_id: str, url: str | None) -> None:
        self._cell = cell
        self._run_id = run_id
        self._url = url
        self._state: RunState | None = None
        self._lines: deque[Entry] = deque(maxlen=LINES_SHOWN)
        self._page = ""
        self._note = ""
        self._at = time.time()
        self._connection: Connection = "connecting"
        self._painter = Painter(cell, self._draw)
        self._has_secret = False
        self._tasks: set[asyncio.Task[None]] = set()
        cell.on_message(self._receive)

    async def run(self) -> None:
        """Feed the cell. Ends with the run."""
        async with client_of(self._url) as client:
            self._client = client
            self._page = f"{client.url}/api/runs/{self._run_id}"
            following = asyncio.create_task(self._follow())
            try:
                await self._painter.run()
            finally:
                following.cancel()
                for task in self._tasks:
                    task.cancel()

    def _draw(self) -> Frame:
        if self._connection == "live":
            self._at = time.time()
            if not self._has_secret:
                # Nobody confirms a message to a view that is still being made: it is said again until one does.
                self._cell.tell()
        return run_frame(
            Seen(self._run_id, self._at, self._state, tuple(self._lines), self._page, self._note)
        )

    # -- the streamer --------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while self._state is None or not self._state.is_over:
            try:
                async for message in self._client.follow(self._run_id, on_connection=self._connected):
                    await self._take(message)
            except NotFound:
                self._say("The streamer knows no such run. It is asked again.")
            except StreamerError as error:
                self._say(f"The run cannot be read: {error}")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _take(self, message: Entry | Snapshot | SnapshotOfAll | Reset) -> None:
        match message:
            case Snapshot():
                self._state = message.state
                await self._read_lines()
            case Entry() if self._state is not None:
                self._state = apply(self._state, message)
                if isinstance(message.event, Logged):
                    self._lines.append(message)
        self._note = ""
        state = self._state
        # Whoever executes a notebook without a browser reads on for as long as cells run, and no longer.
        self._painter.changed(pressing=state is not None and state.is_over)

    async def _read_lines(self) -> None:
        with contextlib.suppress(StreamerError):
            page = await self._client.log(self._run_id, limit=LINES_SHOWN)
            self._lines.clear()
            self._lines.extend(page.lines)

    def _connected(self, connection: Connection, reason: str) -> None:
        self._connection = connection
        if connection == "away":
            self._say(f"The streamer is away ({reason}). This is how it was; the run itself goes on.")
        elif connection == "live":
            self._start(self._fetch_secret())

    def _say(self, text: str) -> None:
        self._note = text
        self._painter.changed()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch_secret(self) -> None:
        # Another streamer process issues other tickets: after each connection there is a new one.
        with contextlib.suppress(StreamerError):
            ticket = await self._client.ticket(self._run_id)
            self._page = ticket.page or self._page
            url = f"{self._client.url}/api/runs/{self._run_id}"
            self._cell.secret = {"type": "ticket", "url": url, "ticket": ticket.ticket}
            self._has_secret = False
            self._painter.changed()

    # -- the reader ----------------------------------------------------------------------------------------------------

    def _receive(self, message: Message) -> None:
        match message["type"]:
            case "got":
                self._has_secret = True
            case "cancel":
                self._start(self._cancel())

    async def _cancel(self) -> None:
        try:
            await self._client.cancel(self._run_id, by="a notebook")
        except Conflict:
            pass
        except StreamerError as error:
            self._say(f"Cancel did not go through: {error}")


def run_frame(seen: Seen) -> Frame:
    """Return what a cell shows of a run. Its file is renewed when the status changes, and every ten percent."""
    state = seen.state
    mark = "" if state is None else f"{state.status} {state.progress // 10} {seen.page}"
    over = state is not None and state.is_over
    return Frame(run_html(seen, live=not over), run_html(seen), run_text(seen), mark, over)
