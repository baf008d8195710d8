"""`Viewer`: shows one run in the terminal until it ends or the user leaves; `streamer watch`. Starts no runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, Final, Self

from streamer.cli.errors import FAILED, INTERRUPTED
from streamer.cli.remote import ask, client

if TYPE_CHECKING:
    from streamer.client.client import Client, Message, Stream
    from streamer.model.state import RunState
    from streamer.terminal.held_display import HeldDisplay

#: Log lines from before the command began that `watch` shows.
_EARLIER_LINES: Final = 10


def watch_command(arguments: argparse.Namespace) -> int:
    """Show a run until it ends; return the exit code."""
    return ask(_watch(arguments))


async def _watch(arguments: argparse.Namespace) -> int:
    async with client(arguments) as streamer:
        with Signals() as signals:
            await streamer.run(arguments.run)
            shown = display(arguments)
            shown.begin(arguments.run, page_of(streamer, arguments.run))
            stream = streamer.follow(arguments.run, on_connection=shown.connection)
            return await Viewer(streamer, arguments.run, shown, stream).until_the_end(
                signals, interactive=False, owns_run=False
            )


def display(arguments: argparse.Namespace) -> HeldDisplay:
    """Return the display that fits the standard output and `--json`."""
    from streamer.terminal.display import choose_display
    from streamer.terminal.held_display import HeldDisplay

    return HeldDisplay(choose_display(sys.stdout, as_json=arguments.json))


def is_interactive(arguments: argparse.Namespace) -> bool:
    """Return whether somebody can be asked a question."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json


def page_of(streamer: Client, run_id: str) -> str | None:
    """Return the address of a run's page; None unless the streamer on this machine knows where the pages are.

    Args:
        streamer: The client of the streamer.
        run_id: The run.

    """
    from streamer.client.discovery import read_address

    address = read_address(streamer.settings.data)
    if address is None or not address.page or address.url.rstrip("/") != streamer.url:
        return None
    return f"{address.page}?run={run_id}"


class Signals:
    """Puts SIGINT and SIGTERM into a queue; a context manager in the event loop."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()

    def __enter__(self) -> Self:
        """Begin to queue signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.queue.put_nowait, number)
        return self

    def __exit__(self, *_: object) -> None:
        """Give signals their usual meaning again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class Viewer:
    """Shows one run until it ends or the user leaves. Used in one event loop."""

    def __init__(self, streamer: Client, run_id: str, shown: HeldDisplay, stream: Stream[Message]) -> None:
        self._streamer = streamer
        self._run_id = run_id
        self._display = shown
        self._stream = stream
        self._cancelling = False

    async def until_the_end(self, signals: Signals, *, interactive: bool, owns_run: bool) -> int:
        """Show the run.

        Args:
            signals: Where signals arrive.
            interactive: Whether Ctrl-C asks before it cancels.
            owns_run: Whether leaving cancels the run.

        Returns:
            The exit code.
        """
        reading = asyncio.ensure_future(self._read())
        try:
            while True:
                number = await _first(reading, signals.queue.get())
                if number is None:
                    return _exit_code(reading.result())
                if not owns_run or self._cancelling:
                    return INTERRUPTED
                answer = "c"
                if interactive and number == signal.SIGINT:
                    self._display.hold()
                    try:
                        answer = await self._question(reading, signals)
                    finally:
                        self._display.release()
                if answer == "l":
                    self._display.say(f"run {self._run_id} goes on: streamer watch {self._run_id}")
                    return INTERRUPTED
                if answer == "c":
                    await self._cancel()
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            await self._stream.aclose()
            self._display.pause()

    async def _read(self) -> RunState:
        from msgspec.structs import replace

        from streamer.model.events import Entry
        from streamer.model.reducer import apply
        from streamer.model.state import RunState
        from streamer.protocol.frames import EstimateSaid, Reset, Snapshot

        state = RunState(run=self._run_id)
        async for message in self._stream:
            if isinstance(message, Entry):
                state = apply(state, message)
                self._display.show(message, state)
            elif isinstance(message, EstimateSaid):
                state = replace(state, estimate=message.estimate)
                self._display.renew(state)
            elif isinstance(message, Snapshot):
                state = message.state
                self._display.know(state)
                await self._show_earlier_lines(message)
            elif isinstance(message, Reset):
                state = RunState(run=self._run_id)
                self._display.say(f"the streamer has another log: {message.reason}")
        self._display.end(state)
        return state

    async def _show_earlier_lines(self, snapshot: Any) -> None:
        page = await self._streamer.log(
            self._run_id, before=str(snapshot.cursor.offset + 1), limit=_EARLIER_LINES
        )
        for line in page.lines:
            self._display.show(line, snapshot.state)

    async def _question(self, reading: asyncio.Future[RunState], signals: Signals) -> str:
        """Ask what Ctrl-C means: "c" cancels, "l" leaves, "" goes on.

        The question stays until it is answered or the run has ended. Another Ctrl-C asks it again; SIGTERM cancels.
        """
        while True:
            print(
                "\nCancel the run (c), leave it running (l), or go on watching (Enter)? ", end="", flush=True
            )
            async with _typed_line() as line:
                answering = asyncio.ensure_future(line)
                try:
                    number = await _first(answering, signals.queue.get(), reading)
                    if number == signal.SIGTERM:
                        return "c"
                    if number is None and not answering.done():
                        print(flush=True)
                        return ""
                    answer = answering.result().strip().lower()[:1] if answering.done() else "?"
                finally:
                    answering.cancel()
            if answer in ("c", "l", ""):
                return answer

    async def _cancel(self) -> None:
        from streamer.client.client import Conflict, StreamerError

        self._cancelling = True
        try:
            await self._streamer.cancel(self._run_id)
        except Conflict:
            return  # the run has ended meanwhile, and the stream says so
        except StreamerError as error:
            self._cancelling = False
            self._display.say(f"could not cancel run {self._run_id}: {error}")
            return
        self._display.say("cancelling; Ctrl-C again leaves at once")


async def _first(
    awaited: asyncio.Future[Any], signal_: Awaitable[int], *others: asyncio.Future[Any]
) -> int | None:
    """Wait for a future or a signal; return the signal's number, or None when a future was done first."""
    asked = asyncio.ensure_future(signal_)
    try:
        await asyncio.wait({awaited, asked, *others}, return_when=asyncio.FIRST_COMPLETED)
        return asked.result() if asked.done() and not awaited.done() else None
    finally:
        asked.cancel()


@contextlib.asynccontextmanager
async def _typed_line() -> AsyncIterator[asyncio.Future[str]]:
    """Give a future of the next typed line. Why not `input` in a thread: that thread could not be stopped."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        loop.remove_reader(sys.stdin)
        if not typed.done():
            typed.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin, read)
    try:
        yield typed
    finally:
        loop.remove_reader(sys.stdin)


def _exit_code(state: RunState) -> int:
    return {"complete": 0, "cancelled": INTERRUPTED}.get(state.status, FAILED)
