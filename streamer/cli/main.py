"""The command ``streamer``: serve, run, retry, watch, runs, pipelines, cancel, exec. Reads arguments and calls.

Exit codes: 0; of a run that was shown, 1 when it failed and 130 when it was cancelled or left by Ctrl-C; 2 when what
was asked could not be done, with a sentence on the standard error. `exec` exits as its command does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import streamer
from streamer.server.request_log import configure
from streamer.settings import SettingError, Settings

if TYPE_CHECKING:
    from streamer.client.client import Client, Created, Message, Offer, Stream
    from streamer.model.state import RunState
    from streamer.terminal.display import Display

T = TypeVar("T")

FAILED: Final = 1
NOT_DONE: Final = 2
INTERRUPTED: Final = 130
#: Log lines that `watch` shows of what was before.
_LINES_BEFORE: Final = 10


class UsageError(Exception):
    """What was asked cannot be done; the message says why and what would."""


# -- arguments ---------------------------------------------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="streamer", description="Live progress for batch work.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"panel-streamer {streamer.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}.", allow_abbrev=False
        )
        sub.set_defaults(call=call)
        return sub

    def reader(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub.add_argument("--url", help="the streamer's URL (STREAMER_URL; else the one on this machine)")
        sub.add_argument("--json", action="store_true", help="JSON for programs, one object a line")
        return sub

    def starter(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "-p",
            "--param",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a parameter: text, or JSON where the parameter is no text; repeat it for more",
        )
        sub.add_argument(
            "--time-limit",
            type=float,
            metavar="SECONDS",
            help="how long it may take; 0: any time (the pipeline's own limit, or that of the run done again)",
        )
        sub.add_argument("--detach", action="store_true", help="start it, say its id, and leave")

    serve = command("serve", serve_command, "serve the HTTP API and execute runs until it is stopped")
    serve.add_argument("--host", help="address to listen on (STREAMER_HOST; 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on, 0 for any (STREAMER_PORT; 5007)")
    serve.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the log (STREAMER_DATA)")
    serve.add_argument(
        "--pipelines",
        action="append",
        metavar="MODULE_OR_PATH",
        help="modules or paths with pipelines, comma separated or repeated (STREAMER_PIPELINES)",
    )
    serve.add_argument("--verbose", action="store_true", help="log every request")

    run = reader(command("run", run_command, "start a run of a pipeline and show it"))
    run.add_argument("pipeline", help="the pipeline's name, as `streamer pipelines` lists it")
    starter(run)

    retry = reader(
        command("retry", retry_command, "do a run's failed items again, as a run of their own, and show it")
    )
    retry.add_argument("run", metavar="RUN_ID")
    retry.add_argument("--all", action="store_true", help="do everything again, not only what failed")
    starter(retry)

    watch = reader(command("watch", watch_command, "show a run"))
    watch.add_argument("run", metavar="RUN_ID")

    runs = reader(command("runs", runs_command, "list runs, newest first"))
    runs.add_argument("--status", help="only of these, comma separated: queued, running, complete, failed, …")
    runs.add_argument("--pipeline", help="only of this pipeline")
    runs.add_argument("--search", help="only with this text in what describes them")
    runs.add_argument("--limit", type=int, default=20, help="how many, 1 to 1000 (20)")

    reader(command("pipelines", pipelines_command, "list the pipelines on offer and their parameters"))

    execute = command("exec", exec_command, "run any command as a run, with its output, its bars and its end")
    execute.add_argument("--title", default="", help="what the run is called (the command)")
    execute.add_argument(
        "--phases",
        default="",
        metavar="NAME=PATTERN,…",
        help="phases, each from the first line of output in which its pattern is found; NAME*WEIGHT=PATTERN weighs it",
    )
    execute.add_argument("--url", help="the streamer's URL (STREAMER_URL; else the one on this machine)")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="what to run")

    cancel = reader(command("cancel", cancel_command, "ask a run to end"))
    cancel.add_argument("run", metavar="RUN_ID")

    send = reader(command("send", send_command, "send what producers left while their streamer was away"))
    send.add_argument("--data", type=Path, metavar="FOLDER", help="folder they left it in (STREAMER_DATA)")
    send.add_argument(
        "--seconds", type=float, default=10.0, help="how long a streamer may take to answer (10)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    for output in (sys.stdout, sys.stderr):
        # What a terminal cannot show is shown by its code; it must not end the command.
        if hasattr(output, "reconfigure"):
            output.reconfigure(errors="backslashreplace")
    parsed = build_parser().parse_args(arguments)
    try:
        code: int = parsed.call(parsed)
        sys.stdout.flush()
    except (UsageError, SettingError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has read enough. Python flushes once more at its exit, which must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _complain(message: str) -> int:
    from streamer.terminal.display import printable_lines

    print("streamer:", "\n".join(printable_lines(message)), file=sys.stderr)
    return NOT_DONE


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


# -- serve -------------------------------------------------------------------------------------------------------------


def serve_command(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    from streamer.client.discovery import DataFolderBusy
    from streamer.server.app import Streamer, serve
    from streamer.server.log.base import LogError

    changes: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("host", "port", "data")
        if getattr(arguments, name) is not None
    }
    if arguments.pipelines is not None:
        parts = ",".join(arguments.pipelines).split(",")
        changes["pipelines"] = tuple(part.strip() for part in parts if part.strip())
    settings = Settings.from_environment(**changes)
    configure(settings.log_format, "info" if arguments.verbose else settings.log_level)

    def opened(server: Streamer) -> None:
        _say(f"Streamer at {server.url} (data in {settings.data}); Ctrl-C ends it, runs go on")

    try:
        asyncio.run(serve(settings, on_open=opened))
    except (DataFolderBusy, LogError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(
            f"cannot listen on {settings.host}:{settings.port}, or not use {settings.data}: {error.strerror or error}"
        ) from error
    return 0


# -- run and watch -----------------------------------------------------------------------------------------------------


def run_command(arguments: argparse.Namespace) -> int:
    """Start a run and show it until it ends."""
    return asyncio.run(_asking(_run(arguments)))


def watch_command(arguments: argparse.Namespace) -> int:
    """Show a run until it ends."""
    return asyncio.run(_asking(_watch(arguments)))


async def _run(arguments: argparse.Namespace) -> int:
    async with _client(arguments) as client:
        with _Signals() as signals:
            offers = {offer.name: offer for offer in (await client.pipelines()).pipelines}
            if arguments.pipeline not in offers:
                names = ", ".join(offers) or "none"
                raise UsageError(f"no pipeline {arguments.pipeline!r}; on offer: {names}")
            parameters = read_parameters(offers[arguments.pipeline], arguments.param)
            limit = arguments.time_limit
            created = await client.create(arguments.pipeline, parameters, time_limit_seconds=limit)
            return await _show_created(arguments, client, signals, created)


def retry_command(arguments: argparse.Namespace) -> int:
    """Do a run's failed items again, or all of it, and show that run until it ends."""
    return asyncio.run(_asking(_retry(arguments)))


async def _retry(arguments: argparse.Namespace) -> int:
    async with _client(arguments) as client:
        with _Signals() as signals:
            parameters: dict[str, Any] = {}
            if arguments.param:
                old = (await client.run(arguments.run)).state
                offers = {offer.name: offer for offer in (await client.pipelines()).pipelines}
                if old.pipeline not in offers:
                    raise UsageError(f"the pipeline of run {arguments.run}, {old.pipeline}, is not on offer")
                parameters = read_parameters(offers[old.pipeline], arguments.param)
            created = await client.retry(
                arguments.run,
                items="all" if arguments.all else "failed",
                params=parameters,
                time_limit_seconds=arguments.time_limit,
            )
            return await _show_created(arguments, client, signals, created)


async def _show_created(
    arguments: argparse.Namespace, client: Client, signals: _Signals, created: Created
) -> int:
    """Show a run that was just started until it ends, or only say its id; return the exit code."""
    if arguments.detach:
        _say(_json_line({"run": created.run, "page": created.page}) if arguments.json else created.run)
        return 0
    display = _display(arguments)
    display.begin(created.run, created.page or _page(client, created.run))
    # From the first entry on: what it logged before we came to look is the reader's too.
    stream = client.follow(created.run, from_start=True, on_connection=display.connection)
    return await _Showing(client, created.run, display, stream).until_the_end(
        signals, interactive=_is_interactive(arguments), owns_run=True
    )


async def _watch(arguments: argparse.Namespace) -> int:
    async with _client(arguments) as client:
        with _Signals() as signals:
            await client.run(arguments.run)
            display = _display(arguments)
            display.begin(arguments.run, _page(client, arguments.run))
            stream = client.follow(arguments.run, on_connection=display.connection)
            return await _Showing(client, arguments.run, display, stream).until_the_end(
                signals, interactive=False, owns_run=False
            )


class _Signals:
    """SIGINT and SIGTERM, in a queue instead of in the middle of something; a context manager in the event loop."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.queue.put_nowait, number)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class _Showing:
    """Shows one run until it ends or somebody leaves."""

    def __init__(self, client: Client, run_id: str, display: Display, stream: Stream[Message]) -> None:
        self._client = client
        self._run_id = run_id
        self._display = display
        self._stream = stream
        self._cancelling = False

    async def until_the_end(self, signals: _Signals, *, interactive: bool, owns_run: bool) -> int:
        """Return the exit code. `owns_run`: leaving cancels the run, after a question when `interactive`."""
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
                    self._display.pause()
                    answer = await self._question(reading, signals)
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
        from streamer.model.events import Entry
        from streamer.model.state import RunState, apply
        from streamer.protocol.frames import Reset, Snapshot

        state = RunState(run=self._run_id)
        async for message in self._stream:
            if isinstance(message, Entry):
                state = apply(state, message)
                self._display.show(message, state)
            elif isinstance(message, Snapshot):
                state = message.state
                self._display.know(state)
                await self._show_lines_before(message)
            elif isinstance(message, Reset):
                state = RunState(run=self._run_id)
                self._display.say(f"the streamer's log is another one: {message.reason}")
        self._display.end(state)
        return state

    async def _show_lines_before(self, snapshot: Any) -> None:
        page = await self._client.log(
            self._run_id, before=str(snapshot.cursor.offset + 1), limit=_LINES_BEFORE
        )
        for line in page.lines:
            self._display.show(line, snapshot.state)

    async def _question(self, reading: asyncio.Future[RunState], signals: _Signals) -> str:
        """Ask what Ctrl-C means: "c" to cancel, "l" to leave, "" to go on. A second Ctrl-C cancels."""
        print("\nCancel the run (c), leave it running (l), or go on watching (Enter)? ", end="", flush=True)
        async with _typed_line() as line:
            answering = asyncio.ensure_future(line)
            try:
                number = await _first(answering, signals.queue.get(), reading)
                if number is not None:
                    return "c"
                return answering.result().strip().lower()[:1] if answering.done() else ""
            finally:
                answering.cancel()

    async def _cancel(self) -> None:
        from streamer.client.client import Conflict, StreamerError

        self._cancelling = True
        try:
            await self._client.cancel(self._run_id)
        except Conflict:
            return  # it has ended meanwhile, and says so
        except StreamerError as error:
            self._cancelling = False
            self._display.say(f"could not cancel run {self._run_id}: {error}")
            return
        self._display.say("cancelling; Ctrl-C again leaves at once")


async def _first(
    awaited: asyncio.Future[Any], signal_: Awaitable[int], *others: asyncio.Future[Any]
) -> int | None:
    """Wait for futures or a signal; return the signal's number, None when a future was done before."""
    asked = asyncio.ensure_future(signal_)
    try:
        await asyncio.wait({awaited, asked, *others}, return_when=asyncio.FIRST_COMPLETED)
        return asked.result() if asked.done() and not awaited.done() else None
    finally:
        asked.cancel()


@contextlib.asynccontextmanager
async def _typed_line() -> AsyncIterator[asyncio.Future[str]]:
    """Give a future of the next line that is typed. Why not `input` in a thread: it could not be given up."""
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


def _display(arguments: argparse.Namespace) -> Display:
    from streamer.terminal.display import choose_display

    return choose_display(sys.stdout, as_json=arguments.json)


def _is_interactive(arguments: argparse.Namespace) -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json


def _page(client: Client, run_id: str) -> str | None:
    """Return a run's page where the streamer on this machine knows the dashboards."""
    from streamer.client.discovery import read_address

    address = read_address(client.settings.data)
    if address is None or not address.page or address.url.rstrip("/") != client.url:
        return None
    return f"{address.page}?run={run_id}"


# -- parameters --------------------------------------------------------------------------------------------------------


def read_parameters(offer: Offer, given: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` texts by the schema of a pipeline's parameters.

    A value is text where the parameter takes text, else JSON; what is no JSON is sent as text, and the streamer says
    what is wrong with it. Raises `UsageError` for what has no name, or one that is not known or given twice.
    """
    properties = offer.schema.get("properties", {})
    parameters: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"-p {text}: expected NAME=VALUE")
        if name not in properties:
            raise UsageError(
                f"-p {name}: {offer.name} has no such parameter; it has: {', '.join(properties) or 'none'}"
            )
        if name in parameters:
            raise UsageError(f"-p {name}: given twice")
        parameters[name] = read_value(properties[name], value)
    return parameters


def read_value(schema: dict[str, Any], text: str) -> Any:
    """Read one value by its JSON schema: see `read_parameters`."""
    import msgspec

    for choice in schema.get("enum", ()):
        if text == (choice if isinstance(choice, str) else _json_line(choice)):
            return choice
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if text == "null" and "null" in types:
        return None
    if "string" in types:
        return text
    if "boolean" in types and text.lower() in ("true", "yes", "on", "false", "no", "off"):
        return text.lower() in ("true", "yes", "on")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


# -- lists -------------------------------------------------------------------------------------------------------------


def runs_command(arguments: argparse.Namespace) -> int:
    """List runs."""
    return asyncio.run(_asking(_runs(arguments)))


async def _runs(arguments: argparse.Namespace) -> int:
    from streamer.protocol.frames import state_data
    from streamer.terminal.display import outcome, percent, printable

    async with _client(arguments) as client:
        page = await client.runs(
            status=arguments.status,
            pipeline=arguments.pipeline,
            search=arguments.search,
            limit=arguments.limit,
        )
    if arguments.json:
        _say(*(_json_line(state_data(run)) for run in page.runs))
        return 0
    if not page.runs:
        _say("no runs; start one: streamer run PIPELINE")
        return 0
    rows = [
        (
            printable(run.run),
            printable(run.title or run.pipeline or ""),
            percent(run),
            outcome(run),
            printable(run.owner),
            _when(run.created),
        )
        for run in page.runs
    ]
    _table(("RUN", "TITLE", "PROGRESS", "STATUS", "BY", "SINCE"), rows)
    if page.next is not None:
        _say(f"… and more: --limit {min(arguments.limit * 10, 1000)}")
    return 0


def pipelines_command(arguments: argparse.Namespace) -> int:
    """List pipelines."""
    return asyncio.run(_asking(_pipelines(arguments)))


async def _pipelines(arguments: argparse.Namespace) -> int:
    import msgspec

    from streamer.terminal.display import printable, printable_lines

    async with _client(arguments) as client:
        offers = await client.pipelines()
    if arguments.json:
        _say(*(_json_line(msgspec.to_builtins(offer)) for offer in offers.pipelines))
        return 0
    for offer in offers.pipelines:
        _say(printable(offer.name), *(f"    {line}" for line in printable_lines(offer.doc)[:1]))
        required = offer.schema.get("required", [])
        for name, schema in offer.schema.get("properties", {}).items():
            default = "required" if name in required else f"{_json_line(schema.get('default'))}"
            words = printable(str(schema.get("description", "")))
            _say(printable(f"    -p {name}={default}") + (f"  {words}" if words else ""))
    for problem in offers.problems:
        _say(f"not on offer: {printable(problem.reference)}: {printable(problem.message)}")
    if not offers.pipelines:
        _say("no pipelines; name some: streamer serve --pipelines MODULE_OR_PATH")
    return 0


def send_command(arguments: argparse.Namespace) -> int:
    """Send left spools; 2 when one of them could not be sent."""
    from streamer.client.discovery import find_streamer
    from streamer.client.spool_delivery import NotDelivered, deliver
    from streamer.protocol.spool import FOLDER, spools
    from streamer.terminal.display import printable

    settings = Settings.from_environment(**({} if arguments.data is None else {"data": arguments.data}))
    code = 0
    for path in sorted(spools(settings.data / FOLDER)):
        problem, where = "", None
        try:
            where = deliver(path, arguments.url or find_streamer(settings), settings.token, arguments.seconds)
        except NotDelivered as error:
            code, problem = NOT_DONE, printable(str(error))
        if arguments.json:
            _say(_json_line({"run": path.stem, "url": where, "problem": problem or None}))
        elif problem:
            print(f"streamer: run {path.stem} was not sent: {problem}", file=sys.stderr)
        else:
            _say(f"run {path.stem} is at {where}" if where else f"run {path.stem} is sent by its own process")
    return code


def cancel_command(arguments: argparse.Namespace) -> int:
    """Ask a run to end."""
    return asyncio.run(_asking(_cancel(arguments)))


def exec_command(arguments: argparse.Namespace) -> int:
    """Run any command as a run; the exit code is the command's."""
    from streamer.adoption.command import execute, read_phases

    words = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not words:
        raise UsageError("expected a command: streamer exec -- COMMAND …")
    try:
        phases = read_phases(arguments.phases) if arguments.phases else ()
    except ValueError as error:
        raise UsageError(str(error)) from error
    return execute(words, title=arguments.title, phases=phases, url=arguments.url)


async def _cancel(arguments: argparse.Namespace) -> int:
    from streamer.client.client import Conflict

    async with _client(arguments) as client:
        try:
            status = await client.cancel(arguments.run)
        except Conflict as error:
            raise UsageError(error.message) from error
    _say(_json_line({"run": arguments.run, "status": status}) if arguments.json else status)
    return 0


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(cell_len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    # The title gives way on a narrow terminal; in a pipe nothing is cut.
    if sys.stdout.isatty():
        wide = shutil.get_terminal_size().columns
        widths[1] = max(10, min(widths[1], wide - sum(widths) + widths[1] - 2 * len(widths)))
    for row in (head, *rows):
        cells = []
        for width, cell in zip(widths, row, strict=True):
            shown = cell if cell_len(cell) <= width else f"{cell[: width - 1]}…"
            cells.append(shown + " " * (width - cell_len(shown)))
        _say("  ".join(cells).rstrip())


def _when(seconds: float | None) -> str:
    import time

    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _json_line(value: Any) -> str:
    from streamer.protocol.frames import to_json

    return to_json(value).decode("ascii")


# -- the client --------------------------------------------------------------------------------------------------------


def _client(arguments: argparse.Namespace) -> Client:
    from streamer.client.client import Client

    try:
        return Client(arguments.url)
    except ValueError as error:
        raise UsageError(str(error)) from error


async def _asking(work: Awaitable[T]) -> T:
    """Await something that asks the streamer; turn what it answers into a sentence."""
    from streamer.client.client import ApiError, Forbidden, StreamerAway, StreamerError

    try:
        return await work
    except StreamerAway as error:
        raise UsageError(
            f"{error}\nstart one with `streamer serve`, or say where it is with --url"
        ) from error
    except Forbidden as error:
        raise UsageError(f"{error}\nthe token is read from STREAMER_TOKEN") from error
    except ApiError as error:
        raise UsageError(_sentence(error)) from error
    except StreamerError as error:
        raise UsageError(str(error)) from error


def _sentence(error: Any) -> str:
    problems = error.details if isinstance(error.details, list) else []
    lines = [
        f"{one.get('field') or 'parameters'}: {one.get('message', '')}"
        for one in problems
        if isinstance(one, dict)
    ]
    return "\n".join(lines) or error.message
