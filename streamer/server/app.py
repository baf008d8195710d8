"""The composition root: from settings it builds a running streamer. It joins the parts and decides nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import logging
import os
import resource
import secrets
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Final

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from streamer.client.discovery import DataFolderBusy
from streamer.model.estimate import Estimated
from streamer.model.state import RunState
from streamer.protocol.frames import ESTIMATE, EstimateSaid, estimate_line
from streamer.protocol.private_files import create_private, make_private
from streamer.server.catalog import Catalog
from streamer.server.estimates.live import LiveEstimates
from streamer.server.execution.base import Backend
from streamer.server.execution.process import ProcessBackend
from streamer.server.fan_out.hub import Hub
from streamer.server.http.badge import BadgeHandler, LineHandler
from streamer.server.http.bodies import Bodies
from streamer.server.http.cancel import CancelHandler, TicketHandler
from streamer.server.http.cancel_tickets import Tickets
from streamer.server.http.event_streams import AllEventsHandler
from streamer.server.http.handler import NotFoundHandler, Parts
from streamer.server.http.history import EstimatesHandler, HistoryHandler
from streamer.server.http.ingest import IngestHandler
from streamer.server.http.lines import FailuresHandler, LinesHandler
from streamer.server.http.pipelines import EstimateHandler, FormHandler, PipelinesHandler
from streamer.server.http.runs import RetryHandler, RunHandler, RunsHandler, StartHandler
from streamer.server.http.service import LiveHandler, MetricsHandler, OpenApiHandler, ReadyHandler
from streamer.server.log.base import Appended
from streamer.server.log.retention import Retention
from streamer.server.log.sqlite import SqliteLog
from streamer.server.metrics import Metrics
from streamer.server.runs.runs import Runs
from streamer.settings import Settings

logger = logging.getLogger(__name__)

_RUN: Final = r"([A-Za-z0-9_-]{1,64})"
_READERS: Final = 4
#: Seconds without a request, whole with its head, after which a kept connection is closed.
_IDLE_SECONDS: Final = 120.0
#: Connections that may wait to be accepted: all readers return after a restart. The system may allow fewer.
_BACKLOG: Final = 4096
#: Open files besides those of the streams: connections, workers, the log.
_OTHER_FILES: Final = 1000
#: Seconds a stopping streamer gives its streams to end.
_LEAVE_SECONDS: Final = 3.0


def routes(parts: Parts) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the API's routes, for any Tornado application.

    Args:
        parts: The streamer's parts, which the handlers use.

    Returns:
        Pairs of a pattern and a handler, with the parts.

    """
    arguments = {"parts": parts}
    return [
        (pattern, handler, arguments)
        for pattern, handler in (
            (r"/api/pipelines", PipelinesHandler),
            (r"/api/pipelines/([^/]+)/runs", StartHandler),
            (r"/api/pipelines/([^/]+)/form", FormHandler),
            (r"/api/pipelines/([^/]+)/estimate", EstimateHandler),
            (r"/api/runs", RunsHandler),
            (rf"/api/runs/{_RUN}", RunHandler),
            (rf"/api/runs/{_RUN}/events", IngestHandler),
            (rf"/api/runs/{_RUN}/log", LinesHandler),
            (rf"/api/runs/{_RUN}/failures", FailuresHandler),
            (rf"/api/runs/{_RUN}/cancel", CancelHandler),
            (rf"/api/runs/{_RUN}/ticket", TicketHandler),
            (rf"/api/runs/{_RUN}/retry", RetryHandler),
            (rf"/api/runs/{_RUN}/badge\.svg", BadgeHandler),
            (rf"/api/runs/{_RUN}/line", LineHandler),
            (rf"/api/runs/{_RUN}/estimates", EstimatesHandler),
            (r"/api/history", HistoryHandler),
            (r"/api/events", AllEventsHandler),
            (r"/api/health/live", LiveHandler),
            (r"/api/health/ready", ReadyHandler),
            (r"/api/openapi\.json", OpenApiHandler),
            (r"/metrics", MetricsHandler),
            (r"/api/.*", NotFoundHandler),
        )
    ]


class Streamer:
    """A streamer: its log, hub, runs and HTTP server. One event loop alone calls it; `open` and `close` it there.

    `listen`: whether it gets a port of its own. `page` is the address of its dashboards, empty when it is not known.
    `backend` replaces local processes, for tests.
    """

    log: SqliteLog
    hub: Hub
    runs: Runs
    catalog: Catalog
    estimates: LiveEstimates

    def __init__(
        self,
        settings: Settings,
        *,
        listen: bool = True,
        page: str = "",
        backend: Callable[[Settings], Backend] | None = None,
    ) -> None:
        self.settings = settings
        #: Address of the dashboards that show this streamer's runs; empty when it is not known.
        self.page = page
        #: Address of the API, once it listens.
        self.url = ""
        # Requests that come before the streamer is open are checked, too.
        self.tickets = Tickets(secrets.token_bytes(32))
        #: It also counts requests that are refused before the streamer is open.
        self.metrics = Metrics()
        self.bodies = Bodies(settings.max_bodies_bytes)
        self._listen = listen
        self._backend_factory = backend or (lambda settings: ProcessBackend(settings.data))
        self._server: HTTPServer | None = None
        self._opening: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()

    async def ready(self) -> None:
        """Open the streamer, unless it is open. Any number of tasks may wait for it. Raises as `open`.

        After a failure the next call tries again.
        """
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._opening = asyncio.get_running_loop().create_task(self._open())
        await asyncio.shield(opening)

    async def open(self) -> None:
        """Open the log, take up the runs of an earlier streamer, and listen.

        Raises:
            DataFolderBusy: Another streamer uses the data folder.
            LogUnavailable: The log cannot be opened.
            LogVersionError: A newer version wrote the log.
            OSError: The port is taken.
        """
        await self.ready()

    async def _open(self) -> None:
        settings, loop = self.settings, asyncio.get_running_loop()
        if settings.token and not settings.files:
            logger.warning(
                "whoever has the token may name any file of this user to a pipeline; STREAMER_FILES names folders"
            )
        async with contextlib.AsyncExitStack() as stack:
            # The stack closes in reverse order, also after a failure half-way.
            stack.callback(_lock(settings.data).close)
            sockets = bind_sockets(settings.port, settings.host, backlog=_BACKLOG) if self._listen else []
            stack.callback(_close_all, sockets)
            keep = Retention(
                settings.keep_seconds, settings.keep_runs, settings.keep_bytes, settings.compact_seconds
            )
            self.log = SqliteLog(
                settings.data / "log.sqlite", commit_seconds=settings.commit_seconds, keep=keep
            )
            stack.push_async_callback(loop.run_in_executor, None, self.log.close)
            readers = ThreadPoolExecutor(_READERS, thread_name_prefix="streamer-read")
            stack.callback(readers.shutdown)
            self.catalog = Catalog(settings.pipelines)
            backend = self._backend_factory(settings)
            stack.push_async_callback(backend.close)
            self.estimates = LiveEstimates(
                self.log, settings.data / "estimates.sqlite", states=self._live_states
            )
            stack.push_async_callback(self.estimates.close)
            self.runs = Runs(
                log=self.log,
                catalog=self.catalog,
                backend=backend,
                settings=settings,
                readers=readers,
                with_estimate=self.estimates.with_estimate,
            )
            stack.push_async_callback(self.runs.close)
            self.hub = Hub(
                self.log,
                settings,
                readers=readers,
                counts=self.metrics.counts,
                on_appended=self._appended,
                on_removed=self.estimates.removed,
            )
            stack.push_async_callback(self._end_streams)
            self.estimates.is_followed = self.hub.is_followed
            self.estimates.tell = self._tell
            if sockets:
                self._server = HTTPServer(
                    self.application(), max_header_size=32_768, idle_connection_timeout=_IDLE_SECONDS
                )
                self.announce(_address(settings.host, sockets[0].getsockname()[1]))
                stack.callback((settings.data / "streamer.json").unlink, missing_ok=True)
            await self.runs.open()
            await self.estimates.resume()
            estimating = loop.create_task(self.estimates.run_forever(), name="streamer-estimates")
            stack.push_async_callback(_cancelled, estimating)
            if self._server is not None:
                self._server.add_sockets(sockets)
            self._stack = stack.pop_all()

    def _live_states(self) -> list[RunState]:
        return self.runs.live_states()

    def _appended(self, appended: Appended) -> None:
        self.runs.on_appended(appended)
        if appended.state.is_over:
            self.estimates.ended(appended.state)

    def _tell(self, run_id: str, estimate: Estimated) -> None:
        self.hub.tell(run_id, ESTIMATE, estimate_line(EstimateSaid(run_id, estimate)))

    async def _end_streams(self) -> None:
        if self._server is not None:
            self._server.stop()
        self.hub.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self.hub.empty()
        await self.hub.abort()
        if self._server is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await self._server.close_all_connections()

    def announce(self, url: str) -> None:
        """Tell workers, and programs on this machine (`streamer.json`), where this streamer is reached.

        Args:
            url: Address of the API.
        """
        self.url = self.runs.url = url
        path = self.settings.data / "streamer.json"
        fresh = path.with_suffix(".new")
        create_private(fresh)
        fresh.write_text(json.dumps({"url": url, "pid": os.getpid(), "page": self.page}))
        fresh.replace(path)

    def application(self) -> Application:
        """Return the Tornado application of the API alone."""
        return Application(
            routes(self),
            default_handler_class=NotFoundHandler,
            default_handler_args={"parts": self},
        )

    async def close(self) -> None:
        """Stop listening, let streams end, and close the log. Workers go on. Idempotent."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
            await self._stack.aclose()


def _address(host: str, port: int) -> str:
    """Return the URL at which a server bound to `host` is reached from this machine."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task, and return when it has ended."""
    task.cancel()
    await asyncio.wait([task])


def _close_all(sockets: list[socket.socket]) -> None:
    for bound in sockets:
        bound.close()


def _lock(data: Path) -> IO[str]:
    """Take the data folder for this process until the file returned is closed. Raises `DataFolderBusy` or `OSError`."""
    make_private(data)
    create_private(data / "lock")
    lock = (data / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DataFolderBusy(data) from None
    return lock


def _allow_files(streams: int) -> None:
    """Raise the limit of open files to the need of so many streams, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


async def serve(settings: Settings, *, on_open: Callable[[Streamer], None] | None = None) -> None:
    """Run a streamer until SIGINT or SIGTERM. Raises as `Streamer.open`.

    Args:
        settings: The settings of this process.
        on_open: Called once the streamer listens.

    """
    _allow_files(settings.max_streams)
    streamer = Streamer(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await streamer.open()
        # The present objects stay: the collector need not walk through them while readers wait.
        gc.freeze()
        if on_open is not None:
            on_open(streamer)
        await stop.wait()
    finally:
        await streamer.close()
