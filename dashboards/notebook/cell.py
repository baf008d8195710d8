"""A cell's output that is kept up to date from a thread of its own, so that it moves while the cell's code runs.

`Cell` is one output: the widget that a browser shows while the kernel lives, and the HTML and text that stay in the
saved file. `background()` is the kernel's one thread for all of them, with an event loop in which they are fed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, NamedTuple

from dashboards.notebook.markup import tag
from streamer.model.extras import how_to_install

#: Seconds between two updates of an output. With what else is sent, that is fewer than four messages a second.
PAINT_SECONDS: Final = 0.4
#: Seconds after which an output is painted again although nothing came: it says from when it is.
TICK_SECONDS: Final = 1.0
#: The most outputs of a kernel that are kept up to date; the oldest stay as they are then.
CELLS_KEPT: Final = 30

logger = logging.getLogger(__name__)

Message = Mapping[str, Any]


class Frame(NamedTuple):
    """The content of an output at one time: `html` while it is live, `saved` and `text` in the file.

    The file's version is renewed when `mark` changes: not with every frame, because a browser draws a renewed output
    from scratch. An empty mark: nothing is known yet. `over`:
    nothing will change any more, and plain HTML stays.
    """

    html: str
    saved: str
    text: str
    mark: str = ""
    over: bool = False

    def bundle(self) -> dict[str, Any]:
        """Return it as the data of an output."""
        return {"text/html": self.saved, "text/plain": self.text}


class Cell:
    """One output. Made and shown in the kernel's thread; `put` is called in the background's loop."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._display: str | None = None
        self._receive: Callable[[Message], None] = _ignore
        self.secret: Message | None = None
        self.task: asyncio.Task[None] | None = None
        self._widget = _make_widget(frame.html)
        if self._widget is not None:
            self._widget.on_msg(self._received)

    # -- in the kernel's thread ----------------------------------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        """Return the output's data: for browsers that show widgets, and for all others."""
        bundle = self._frame.bundle()
        if self._widget is not None and not self._frame.over:
            bundle |= self._widget.view_data()
        return bundle

    def wait(self, seconds: float) -> None:
        """Return when there is something to show, at most so much later."""
        self._ready.wait(seconds)

    def display(self) -> None:
        """Show it where the kernel is at."""
        from IPython.display import publish_display_data

        with self._lock:
            self._display = uuid.uuid4().hex
            publish_display_data(self.data(), transient={"display_id": self._display})

    def _received(self, _widget: object, content: Any, _buffers: object) -> None:
        # In whichever of the kernel's threads: a browser's message, so anything may be in it.
        if isinstance(content, Mapping) and isinstance(content.get("type"), str):
            background().call(lambda: self._take(content))

    # -- in the background's loop --------------------------------------------------------------------------------------

    def on_message(self, receive: Callable[[Message], None]) -> None:
        """Have what a reader does told to `receive`, in the background's loop."""
        self._receive = receive

    def _take(self, message: Message) -> None:
        if message["type"] == "hello":
            self.tell()
        else:
            self._receive(message)

    def put(self, frame: Frame) -> None:
        """Show a frame from now on."""
        with self._lock:
            before, self._frame = self._frame, frame
            if self._widget is not None:
                self._widget.put(frame.html, live=not frame.over)
            renew = frame.over or frame.mark != before.mark or self._widget is None
            if self._display is not None and renew and frame != before:
                self._publish(self.data())
        if frame.mark:
            self._ready.set()

    def tell(self) -> None:
        """Send the secret, which no saved file may hold: messages are not saved, the widget's state may be."""
        if self._widget is not None and self.secret is not None:
            self._widget.send(self.secret)

    def freeze(self) -> None:
        """Leave what is shown as plain HTML, for good."""
        if self.task is not None:
            self.task.cancel()
        self.put(self._frame._replace(over=True))
        if self._widget is not None:
            self._widget.close()

    def _publish(self, data: dict[str, Any]) -> None:
        from IPython.display import publish_display_data

        # In the name of whichever cell runs now: some readers, such as nbclient, hear of no other. The id says which
        # output is meant.
        publish_display_data(data, transient={"display_id": self._display}, update=True)


def _ignore(message: Message) -> None:
    """Take a message that nobody waits for."""


def _make_widget(html: str) -> Any:
    """Return the widget; None where its packages are missing. Then each update replaces the whole output."""
    try:
        from dashboards.notebook.widget import CellWidget
    except ImportError:
        _report_missing()
        return None
    return CellWidget(html=html)


@functools.cache
def _report_missing() -> None:
    """Say once how to install the widgets."""
    logger.warning(how_to_install("a view with buttons", "notebook"))


class Background:
    """A thread with an event loop, for as long as the process lives."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._cells: deque[Cell] = deque()
        threading.Thread(target=self._loop.run_forever, name="streamer-notebook", daemon=True).start()

    def call(self, action: Callable[[], object]) -> None:
        """Call something soon in the loop. Any thread."""
        # In a context of its own: the caller's says which cell's code it is, and that is another one a moment later.
        self._loop.call_soon_threadsafe(action, context=contextvars.Context())

    def keep(self, cell: Cell, feed: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Feed a cell until it is over, or too many younger ones are kept. Any thread.

        Args:
            cell: The cell's output.
            feed: Returns the coroutine that feeds it.

        """
        self.call(lambda: self._keep(cell, feed))

    def _keep(self, cell: Cell, feed: Callable[[], Coroutine[Any, Any, None]]) -> None:
        cell.task = self._loop.create_task(feed(), name="streamer-cell")
        cell.task.add_done_callback(functools.partial(_report, cell))
        self._cells.append(cell)
        while len(self._cells) > CELLS_KEPT:
            self._cells.popleft().freeze()


def _report(cell: Cell, task: asyncio.Task[None]) -> None:
    """Say in its cell why it is not kept up to date, such as a URL that is none."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.debug("a cell is not kept up to date any more", exc_info=error)
        text = f"This cannot be kept up to date: {str(error) or type(error).__name__}"
        cell.put(Frame(tag("div", text), tag("div", text), text, "failed", over=True))


@functools.cache
def _background(_process: int) -> Background:
    return Background()


def background() -> Background:
    """Return this process' `Background`; a forked child makes its own."""
    return _background(os.getpid())


class Painter:
    """Puts what `draw` returns into a cell when something changed and every second, until it is over. Loop only."""

    def __init__(self, cell: Cell, draw: Callable[[], Frame]) -> None:
        self._cell = cell
        self._draw = draw
        self._changed = asyncio.Event()
        self._pressing = asyncio.Event()

    def changed(self, *, pressing: bool = False) -> None:
        """Something changed; `pressing`: show it now, however lately something else was shown."""
        self._changed.set()
        if pressing:
            self._pressing.set()

    async def run(self) -> None:
        """Paint. Ends with a frame that is over."""
        while True:
            await _within(TICK_SECONDS, self._changed)
            self._changed.clear()
            self._pressing.clear()
            frame = self._draw()
            self._cell.put(frame)
            if frame.over:
                return
            await _within(PAINT_SECONDS, self._pressing)


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Return when an event is set, or so much later."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
