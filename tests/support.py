"""What the tests share: bounded waits, a fake clock, free ports, servers in processes of their own, and Chromium.

Holds no assertions about the project and no fixtures (those are in `conftest.py`). Nothing here sleeps: a wait ends
as soon as its condition holds, and fails, saying why, when it does not hold in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import httpx
import psutil

if TYPE_CHECKING:
    from playwright.sync_api import Browser

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parent.parent
#: Every process a `ServerProcess` starts carries this in its environment, and so do all processes that those start.
MARK: Final = "PANEL_STREAMER_TEST_SERVER"
#: Begins every mark: two test sessions on one machine must not end each other's servers.
_SESSION: Final = uuid.uuid4().hex
#: Nothing here is encrypted, and reading the authorities' certificates takes longer than most tests.
NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
#: How much of a server's output is shown when something fails, in characters.
OUTPUT_SHOWN: Final = 8_000


# -- waiting -----------------------------------------------------------------------------------------------------------


def wait_until(
    condition: Callable[[], T | None],
    *,
    timeout: float = 30.0,
    interval: float = 0.02,
    message: str | Callable[[], str] = "",
    ignore: tuple[type[BaseException], ...] = (),
) -> T:
    """Call `condition` until its value is truthy, and return that value. Blocks the calling thread.

    `timeout` and `interval` are seconds. Exceptions of the types in `ignore` count as "not yet". Raises
    `AssertionError` with `message` (called when it is a function) and what was last seen.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        seen: T | BaseException | None
        try:
            seen = condition()
            if seen:
                return seen
        except ignore as error:
            seen = error
        if time.monotonic() >= deadline:
            raise AssertionError(_late(condition, timeout, message, seen))
        pause.wait(interval)


async def wait_until_async(
    condition: Callable[[], Awaitable[T | None] | T | None],
    *,
    timeout: float = 30.0,  # noqa: ASYNC109 - it bounds many calls, not one
    interval: float = 0.02,
    message: str | Callable[[], str] = "",
    ignore: tuple[type[BaseException], ...] = (),
) -> T:
    """Do as `wait_until` does, and let the event loop run meanwhile. `condition` may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        seen: T | BaseException | None
        try:
            seen = value = await _settled(condition(), max(interval, deadline - time.monotonic()))
            if value:
                return value
        except ignore as error:
            seen = error
        if time.monotonic() >= deadline:
            raise AssertionError(_late(condition, timeout, message, seen))
        await asyncio.sleep(interval)


async def _settled(value: Awaitable[T] | T, seconds: float) -> T:
    if isinstance(value, Awaitable):
        return await asyncio.wait_for(value, seconds)
    return value


def _late(
    condition: Callable[[], Any], timeout: float, message: str | Callable[[], str], seen: object
) -> str:
    what = (message() if callable(message) else message) or getattr(
        condition, "__qualname__", repr(condition)
    )
    return f"not within {timeout:g} s: {what}; last seen: {seen!r}"


# -- time --------------------------------------------------------------------------------------------------------------


class FakeClock:
    """A clock that stands still until it is told: calling it gives seconds, as `time.time` and `time.monotonic` do.

    Any thread may call it.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the seconds it shows."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> float:
        """Go forward (or, with a negative number, back, as a wall clock may) and return the new time."""
        with self._lock:
            self._now += seconds
            return self._now

    def set(self, now: float) -> None:
        """Show `now`."""
        with self._lock:
            self._now = now


# -- ports -------------------------------------------------------------------------------------------------------------

_given: set[int] = set()
_PORTS_OF_A_WORKER: Final = 4_000


def ports_of(worker: int) -> range:
    """Return the ports of a worker of one test session: a range of its own, below those that the system gives away."""
    first = 12_000 + worker % 5 * _PORTS_OF_A_WORKER
    return range(first, first + _PORTS_OF_A_WORKER)


_PORTS: Final = ports_of(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))
#: Begins anywhere in the range, so that two sessions on one machine seldom try the same port.
_candidates = itertools.islice(itertools.cycle(_PORTS), random.randrange(len(_PORTS)), None)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on; never the same one twice in a session."""
    for port in itertools.islice(_candidates, len(_PORTS)):
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError(f"no free port in {_PORTS}")


# -- servers -----------------------------------------------------------------------------------------------------------


class ServerProcess:
    """A server in a process group of its own, on a free port, with its own `STREAMER_DATA`; a context manager.

    Entering starts it and waits until it answers. Leaving ends it *and every process it started*, however they were
    started; when the body failed, its exception gets the end of the server's output as a note, which pytest shows.

        with ServerProcess.streamer(tmp_path) as server:
            httpx.get(f"{server.url}/api/pipelines")
            server.kill()       # kill -9 of the server alone: its runs live on
            server.restart()    # on the same port and the same data

    Attributes: `url` (of the server, without a slash at the end), `api_url` (of the HTTP API), `page_url` (of the
    dashboards; None for a streamer alone), `port`, `data`, `process`, `output_path`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        data: Path,
        ready_path: str,
        environment: Mapping[str, str] | None = None,
        api_url: str | None = None,
        page_path: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.command = list(command)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.api_url = api_url or self.url
        self.page_url = None if page_path is None else self.url + page_path
        self.data = data
        self.timeout = timeout
        self.output_path = data / f"server-{port}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._ready_url = self.url + ready_path
        self._mark = f"{_SESSION}-{uuid.uuid4().hex}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
        self.environment = {
            **kept,
            "PYTHONUNBUFFERED": "1",
            "STREAMER_DATA": str(data),
            **(environment or {}),
            MARK: self._mark,
        }

    @classmethod
    def streamer(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        timeout: float = 60.0,
    ) -> ServerProcess:
        """Prepare `streamer serve`, whose log is in ``folder/data``."""
        port = port or free_port()
        return cls(
            [sys.executable, "-m", "streamer", "serve", *arguments],
            port=port,
            data=folder / "data",
            ready_path="/api/health/ready",
            environment={"STREAMER_PORT": str(port), **(environment or {})},
            timeout=timeout,
        )

    @classmethod
    def dashboards(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        timeout: float = 90.0,
    ) -> ServerProcess:
        """Prepare `panel serve dashboards` with an embedded streamer, both on ports of their own.

        With ``environment={"STREAMER_URL": ...}`` it uses that streamer, and `api_url` is that one.
        """
        port = port or free_port()
        api_port = free_port()
        environment = {"STREAMER_PORT": str(api_port), **(environment or {})}
        address = ["--address", "127.0.0.1", "--port", str(port)]
        address += ["--allow-websocket-origin", f"127.0.0.1:{port}"]
        return cls(
            [sys.executable, "-m", "panel", "serve", str(ROOT / "dashboards"), *address, *arguments],
            port=port,
            data=folder / "data",
            ready_path="/dashboards",
            environment=environment,
            api_url=environment.get("STREAMER_URL") or f"http://127.0.0.1:{api_port}",
            page_path="/dashboards",
            timeout=timeout,
        )

    def __enter__(self) -> Self:
        """Start the server and wait until it answers; see `start`."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End everything; add the end of the output to the body's exception."""
        self.close()
        if error is not None:
            error.add_note(f"--- output of {' '.join(self.command)}\n{self.output()}")

    def start(self) -> None:
        """Start the server and wait until it answers. Raises `AssertionError`, with its output, when it does not."""
        self.data.mkdir(parents=True, exist_ok=True)
        with self.output_path.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(
                self._answers,
                timeout=self.timeout,
                interval=0.1,
                message=lambda: f"{self._ready_url} answers\n{self.output()}",
                ignore=(httpx.TransportError,),
            )
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}\n{self.output()}")
        return httpx.get(self._ready_url, timeout=self.timeout, verify=NO_CERTIFICATES).status_code == 200

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = 20.0) -> int:
        """Send the server a signal, wait until it has ended, and return its exit code (negative: the signal's)."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End the server as `kill -9` does, and it alone."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port with the same data; ends it first (SIGTERM) when it still runs."""
        self.stop()
        self.start()

    def processes(self) -> list[psutil.Process]:
        """Return the live processes that the server started, at any remove, without the server itself."""
        return [found for found in marked_processes(self._mark) if not self._is_server(found)]

    def _is_server(self, process: psutil.Process) -> bool:
        return self.process is not None and process.pid == self.process.pid

    def output(self, limit: int = OUTPUT_SHOWN) -> str:
        """Return the end of what the server wrote, `limit` characters at most."""
        try:
            return self.output_path.read_text(errors="replace")[-limit:]
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """End the server (SIGTERM, five seconds, SIGKILL) and then all it started. May be called again."""
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop(timeout=5.0)
        end_processes(marked_processes(self._mark))
        self.process.wait(10.0)


def marked_processes(mark: str | None = None) -> list[psutil.Process]:
    """Return the live processes of servers this session started; with `mark`, of that one only. Not this process."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            seen = process.environ().get(MARK)
            if seen is not None and seen.startswith(mark or _SESSION):
                found.append(process)
    return found


def end_processes(processes: Iterable[psutil.Process], *, timeout: float = 1.0) -> None:
    """End them: SIGTERM, `timeout` seconds, SIGKILL."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, 10.0)


# -- browser -----------------------------------------------------------------------------------------------------------

#: Names under which Chromium is installed; Google's own build serves as well.
CHROMIUM_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS: Final = (
    "--no-sandbox",  # containers and CI run as root, where Chromium refuses to start with its sandbox
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium_path() -> str | None:
    """Return the installed Chromium; None: Playwright's own is used."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@contextlib.contextmanager
def chromium(**options: Any) -> Iterator[Browser]:
    """Start Chromium without a window and yield Playwright's `Browser`; closes everything afterwards.

    Playwright's synchronous side holds the thread's event loop while it is open: in a test that is a coroutine, and in
    a fixture that lives longer than one module, it cannot be used.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=list(CHROMIUM_ARGUMENTS), **options
        )
        try:
            yield browser
        finally:
            browser.close()
