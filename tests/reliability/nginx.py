"""nginx in a process of its own: a configuration of `docs/nginx.md` within what matters of Debian's default one.

And what is done behind it, at the length that a test or `benchmarks/soak.py` wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from streamer import Client
from streamer.model.events import Logged
from tests.api_support import Producer, Stream
from tests.support import ROOT, ServerProcess, free_port, wait_until, wait_until_async
from tools.packages import find_program

#: Debian's nginx.conf, but for paths and the workers' user.
_MAIN: Final = """\
daemon off;
worker_processes 1;
MAIN
pid FOLDER/nginx.pid;
error_log FOLDER/error.log;
events { worker_connections 768; }
http {
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log FOLDER/access.log;
    gzip on;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    SITE
}
"""


def documented(name: str) -> str:
    """Return the configuration of that name in `docs/nginx.md`."""
    text = (ROOT / "docs" / "nginx.md").read_text()
    (found,) = re.findall(rf"<!-- nginx: {name} -->\n```nginx\n(.*?)```", text, re.DOTALL)
    return str(found)


class Nginx(ServerProcess):
    """nginx with one site: `documented(name)`, its ports replaced by ours, and `changes` made to its text.

    `streamer` and `dashboards` are the ports behind it. `main` goes to the top of the configuration.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        streamer: int,
        dashboards: int = 1,
        changes: dict[str, str] | None = None,
        main: str = "",
    ) -> None:
        port = free_port()
        self.folder = folder / "nginx"
        self.folder.mkdir(parents=True)
        site = documented(name)
        for shown, ours in {
            "listen 80;": f"listen 127.0.0.1:{port};",
            "http://127.0.0.1:5007;": f"http://127.0.0.1:{streamer};",
            "http://127.0.0.1:5006;": f"http://127.0.0.1:{dashboards};",
            **(changes or {}),
        }.items():
            assert shown in site or name == "default", f"expected {shown!r} in the configuration {name}"
            site = site.replace(shown, ours)
        # Its workers would be another user's, who may not enter the tests' folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        configuration = self.folder / "nginx.conf"
        text = _MAIN.replace("MAIN", user + main).replace("SITE", site).replace("FOLDER", str(self.folder))
        configuration.write_text(text)
        program = find_program("nginx")
        assert program is not None, "nginx is not installed: python tools/packages.py"
        super().__init__(
            [program, "-p", str(self.folder), "-c", str(configuration), "-e", str(self.folder / "error.log")],
            port=port,
            data=self.folder,
            ready_path="/api/health/live",
        )

    def workers(self) -> set[int]:
        """Return the processes that serve, those that are only ending included."""
        assert self.process is not None
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def reload(self) -> None:
        """Have it read its configuration again, and return when a new process serves."""
        assert self.process is not None
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.workers() - before, timeout=30, message="a new worker serves")


# -- what is done behind it --------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def produced(nginx: Nginx) -> AsyncIterator[Producer]:
    """Register a run through nginx and yield its producer."""
    # Each request on a connection of its own: a reload closes those that are kept, also while one is being used again.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=nginx.url, timeout=60, limits=limits) as http:
        answer = (await http.post("/api/runs", json={"title": "behind nginx"})).json()
        yield Producer(http, answer["run"], answer["token"])


async def one_by_one(nginx: Nginx, number: int) -> list[float]:
    """Send log lines, each when the one before has arrived; return the milliseconds that each took."""
    taken = []
    async with produced(nginx) as producer, Client(nginx.url) as client:
        await producer.log("before")
        async with client.entries(producer.run) as stream:
            entries = aiter(stream)
            while not isinstance((await anext(entries)).event, Logged):
                pass
            for line in range(number):
                sent = time.perf_counter()
                await producer.log(f"line {line}")
                event = (await anext(entries)).event
                taken.append(1000 * (time.perf_counter() - sent))
                assert isinstance(event, Logged)
                assert f"line {line}" == event.message
    return taken


async def silent(nginx: Nginx, heartbeats: int) -> None:
    """Read a stream that has so many heartbeats and nothing else, and then an event, on one connection."""
    async with produced(nginx) as producer:
        await producer.log("before")
        async with producer.http.stream("GET", f"{producer.path}/events") as response:
            stream = Stream(response)
            assert "snapshot" == (await stream.next()).event
            while stream.bytes.splitlines().count(b":") < heartbeats:
                assert await stream._more(), "cut"
            await producer.log("after")
            # A producer that is silent for so long may be shown as stalled, and then as running again.
            while "after" not in (await stream.next()).data:
                pass


async def reloads(nginx: Nginx, number: int, *, cuts: bool) -> int:
    """Reload nginx under a stream so often; return how often the client had to resume. `cuts`: old streams are cut."""
    async with produced(nginx) as producer, Client(nginx.url) as client:
        reader = Reader(client, producer.run)
        sent = 0

        async def send() -> None:
            nonlocal sent
            await producer.log(*(f"line {sent + line}" for line in range(50)))
            sent += 50

        await send()
        await reader.until(sent)
        for _ in range(number):
            nginx.reload()
            await send()
            if cuts:
                await wait_until_async(lambda: len(nginx.workers()) == 1, timeout=60)
            await send()
            await reader.until(sent)
        await reader.end(producer)
    assert [f"line {line}" for line in range(sent)] == reader.messages
    return reader.connections - 1


class Reader:
    """The project's client as it follows a run in a task: what came, and how often it was connected."""

    def __init__(self, client: Client, run: str) -> None:
        self.messages: list[str] = []
        self.connections = 0
        self._stream = client.entries(run, on_connection=self._connected)
        self.task = asyncio.create_task(self._read())

    def _connected(self, state: Any, detail: str) -> None:
        self.connections += state == "live"

    async def _read(self) -> None:
        async for entry in self._stream:
            if isinstance(entry.event, Logged):
                self.messages.append(entry.event.message)

    async def until(self, number: int) -> None:
        """Return when so many lines came."""
        await wait_until_async(lambda: len(self.messages) >= number, timeout=60)

    async def end(self, producer: Producer) -> None:
        """End the run, and read to the end."""
        await producer.complete()
        await asyncio.wait_for(self.task, 60)
