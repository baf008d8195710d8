"""Keeps a cell's output in step with a streamer: one coroutine for each kind of view, run by `background()`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from msgspec.structs import replace

from dashboards.data.start_commands import ClientStart, spec_of
from dashboards.notebook.cell import TICK_SECONDS, Cell, Frame, Message, Painter
from dashboards.notebook.forms import Asked, asked_of, described_html, form_html, form_text
from dashboards.notebook.record import LINES_SHOWN, Seen, run_html, run_text
from dashboards.notebook.tables import Listed, runs_html, runs_text
from dashboards.session.start_model import StartModel
from streamer.client.client import Client
from streamer.client.stream import Connection
from streamer.client.stream import Message as Told
from streamer.model.events import Entry, Logged
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.model.summary import percent
from streamer.protocol.api import Conflict, NotFound, Offer, StreamerError
from streamer.protocol.frames import EstimateSaid, Snapshot

#: Seconds after which a streamer is asked again for what it did not know or would not give.
AGAIN_SECONDS: Final = 2.0
#: Most seconds between two attempts to reach a streamer: somebody looks at the cell and waits.
LONGEST_AWAY_SECONDS: Final = 4.0


def client_of(url: str | None) -> Client:
    """Return a client that comes back to its streamer soon. Raises `ValueError`, `SettingError`."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, LONGEST_AWAY_SECONDS))

    return Client(url, sleep=sleep)


class RunsFeed:
    """Lists runs in a cell, for as long as the cell is kept."""

    def __init__(
        self, cell: Cell, url: str | None, *, status: str | None, pipeline: str | None, limit: int
    ) -> None:
        self._url = url
        self._status, self._pipeline, self._limit = status, pipeline, limit
        self._listed = Listed(time.time(), about=about_runs(status, pipeline))
        self._painter = Painter(cell, self._draw)
        self._dirty = asyncio.Event()

    async def run(self) -> None:
        """Feed the cell. Does not end."""
        async with client_of(self._url) as client:
            self._client = client
            following = [asyncio.create_task(work()) for work in (self._follow, self._read_forever)]
            try:
                await self._painter.run()
            finally:
                for task in following:
                    task.cancel()

    def _draw(self) -> Frame:
        return runs_frame(self._listed)

    async def _follow(self) -> None:
        while True:
            try:
                async for _message in self._client.follow(on_connection=self._connected):
                    self._dirty.set()
            except StreamerError as error:
                self._show(note=f"The runs cannot be read: {error}")
            await asyncio.sleep(AGAIN_SECONDS)

    def _connected(self, connection: Connection, reason: str) -> None:
        if connection == "away":
            self._show(note=f"The streamer is away ({reason}). This is how it was.")

    async def _read_forever(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                page = await self._client.runs(
                    status=self._status, pipeline=self._pipeline, limit=self._limit
                )
                if page.runs and not self._listed.page:
                    self._show(page=await self._page(page.runs[0].run))
                self._show(runs=page.runs, at=time.time(), note="")
            except StreamerError as error:
                self._show(note=f"The runs cannot be read: {error}")
            # Lasting changes are asked for once a second.
            await asyncio.sleep(TICK_SECONDS)

    async def _page(self, run_id: str) -> str:
        page = (await self._client.ticket(run_id)).page or f"{self._client.url}/api/runs/{run_id}"
        return page.removesuffix(run_id) + "{}"

    def _show(self, **changes: Any) -> None:
        self._listed = self._listed._replace(**changes)
        self._painter.changed()


class StartFeed:
    """Shows a form in a cell, and then the run that was started with it."""

    def __init__(self, cell: Cell, name: str, url: str | None) -> None:
        self._cell = cell
        self._url = url
        self._asked = Asked(name, time.time())
        self._painter = Painter(cell, lambda: form_frame(self._asked))
        self._model = StartModel(now=0.0)
        self._started = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        cell.on_message(self._receive)

    async def run(self) -> None:
        """Feed the cell. Ends with the run that was started."""
        async with client_of(self._url) as client:
            painting = asyncio.create_task(self._painter.run())
            try:
                await self._serve(client)
            finally:
                for task in self._tasks:
                    task.cancel()
                # A wait that has just been answered loses its cancellation in Python 3.11.
                while not painting.done():
                    painting.cancel()
                    await asyncio.sleep(0)  # a turn of the loop, in which the cancellation arrives
        await RunFeed(self._cell, self._model.run_id, self._url).run()

    async def _serve(self, client: Client) -> None:
        spec = spec_of(await self._offer(client))
        self._model = model = StartModel(
            pipelines=(spec,), commands=ClientStart(client, lambda question: question())
        )
        model.listen(self._changed, ["values", "typed", "errors", "said", "busy", "notice", "run_id"])
        self._changed()
        self._do(model.ask())
        await self._started.wait()

    def _changed(self, *_events: Any) -> None:
        if self._model.run_id:
            # The cell shows the run from now on.
            self._started.set()
            return
        self._asked = asked_of(self._model, time.time())
        self._painter.changed(pressing=True)

    async def _offer(self, client: Client) -> Offer:
        while True:
            try:
                offers = (await client.pipelines()).pipelines
            except StreamerError as error:
                self._show(note=f"What is on offer cannot be read: {error}")
            else:
                found = next((offer for offer in offers if offer.name == self._asked.name), None)
                if found is not None:
                    return found
                known = ", ".join(offer.name for offer in offers[:20])
                self._show(note=f"There is no pipeline of this name on offer. There are: {known or 'none'}.")
            await asyncio.sleep(AGAIN_SECONDS)

    def _receive(self, message: Message) -> None:
        values, seen = message.get("values"), message.get("seen")
        if not isinstance(values, Mapping) or self._model.pipeline is None:
            return
        seen = seen if isinstance(seen, int) else 0
        if message["type"] == "start":
            self._do(self._model.submit(values, seen))
        elif message["type"] == "change" and isinstance(message.get("name"), str):
            self._do(self._model.change(message["name"], values, seen))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _show(self, **changes: Any) -> None:
        self._asked = self._asked._replace(**changes)
        self._painter.changed(pressing=True)


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

    async def _take(self, message: Told) -> None:
        match message:
            case Snapshot():
                self._state = message.state
                await self._read_lines()
            case EstimateSaid() if self._state is not None:
                self._state = replace(self._state, estimate=message.estimate)
            case Entry() if self._state is not None:
                self._state = apply(self._state, message)
                if isinstance(message.event, Logged):
                    self._lines.append(message)
        self._note = ""
        state = self._state
        # Without a browser, a notebook's reader goes on for as long as cells run.
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
    mark = "" if state is None else f"{state.status} {(percent(state) or 0) // 10} {seen.page}"
    over = state is not None and state.is_over
    return Frame(run_html(seen, live=not over), run_html(seen), run_text(seen), mark, over)


def about_runs(status: str | None, pipeline: str | None) -> str:
    """Say which runs are listed; empty for all.

    Args:
        status: Only this status; None: any.
        pipeline: Only this pipeline; None: any.

    """
    return " ".join(
        part for part in (f"of {pipeline}" if pipeline else "", f"({status})" if status else "") if part
    )


def runs_frame(listed: Listed) -> Frame:
    """Return what a cell shows of runs. Its file is renewed when there are other runs, or one has another status."""
    mark = (
        ""
        if listed.runs is None
        else " ".join(f"{run.run} {run.status}" for run in listed.runs) + listed.page + "."
    )
    return Frame(runs_html(listed, live=True), runs_html(listed), runs_text(listed), mark)


def form_frame(asked: Asked) -> Frame:
    """Return what a cell shows of a form."""
    return Frame(
        form_html(asked), described_html(asked), form_text(asked), asked.spec.name if asked.spec else ""
    )
