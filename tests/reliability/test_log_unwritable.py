"""A log that cannot be written: the disk is full, the file is locked, the folder is read-only. All real.

Nothing that was acknowledged is lost, who asks is told why, and all goes on as soon as it can.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer.model.events import TERMINAL
from tests.api_support import error_of, ndjson, running
from tests.support import ROOT, ServerProcess, wait_until

pytestmark = pytest.mark.slow

#: Bit of the capability to mount, in /proc/self/status.
CAP_SYS_ADMIN = 21


def may_mount() -> bool:
    status = Path("/proc/self/status").read_text()
    return bool(int(status.split("CapEff:")[1].split()[0], 16) >> CAP_SYS_ADMIN & 1)


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Disk:
    """A small file system of its own: full once a file takes all the room that is left."""

    def __init__(self, server: ServerProcess) -> None:
        self._filler = server.data / "filler"

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    def free(self) -> None:
        self._filler.unlink()


class Limit:
    """Where nobody may mount: a bound on the size of the process's files, so that the kernel refuses to write."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def fill(self) -> None:
        size = (self._server.data / "log.sqlite-wal").stat().st_size
        self._set(size + 1000)

    def free(self) -> None:
        self._set(resource.RLIM_INFINITY)

    def _set(self, size: int) -> None:
        assert self._server.process is not None
        resource.prlimit(self._server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class Device:
    """A disk that the kernel makes read-only because of errors: mended and mounted again, it can be written again."""

    def __init__(self, server: ServerProcess, image: Path) -> None:
        self._server = server
        self._image = image

    @classmethod
    def made(cls, server: ServerProcess) -> Device:
        device = cls(server, server.data.with_suffix(".ext4"))
        with device._image.open("wb") as file:
            file.truncate(64_000_000)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(device._image)], check=True)
        server.data.mkdir()
        device.attach()
        return device

    def fill(self) -> None:
        os.sync()
        subprocess.run(["mount", "-o", "remount,abort", str(self._server.data)], check=True)

    def free(self) -> None:
        self._server.kill()
        self.detach()
        # 1: there were errors, and all of them are mended.
        mended = subprocess.run(["fsck.ext4", "-y", str(self._image)], capture_output=True, check=False)
        assert mended.returncode <= 1, mended
        self.attach()
        self._server.start()

    def attach(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self._image), str(self._server.data)], check=True)

    def detach(self) -> None:
        subprocess.run(["umount", str(self._server.data)], check=True)


def kinds() -> list[str]:
    """Return the disks that may be had here."""
    mounts = ["tmpfs"] if may_mount() else []
    devices = Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4") is not None
    return ["limit", *mounts, *(["device"] if mounts and devices else [])]


@pytest.fixture(params=kinds())
def disk(request, tmp_path) -> Iterator[tuple[ServerProcess, Disk | Limit | Device]]:
    with contextlib.ExitStack() as stack:
        server = ServerProcess.streamer(tmp_path)
        server.output_path = tmp_path / "server.txt"
        room: Disk | Limit | Device = Limit(server)
        if request.param == "tmpfs":
            stack.enter_context(mounted(server.data, "size=3m"))
            room = Disk(server)
        if request.param == "device":
            room = Device.made(server)
            stack.callback(room.detach)
        stack.enter_context(server)
        yield server, room


class Sender:
    """Sends numbered lines, each as a batch, and knows which were acknowledged."""

    def __init__(self, server: ServerProcess) -> None:
        self.http = httpx.Client(base_url=server.url, timeout=60)
        answer = self.http.post("/api/runs", json={"title": "A run"}).json()
        self.path = f"/api/runs/{answer['run']}"
        self.headers = {"Authorization": f"Bearer {answer['token']}"}
        self.acknowledged = 0

    def send(self, *events: dict[str, Any]) -> httpx.Response:
        body = ndjson(*events, first=self.acknowledged + 1)
        answer = self.http.post(f"{self.path}/events", content=body, headers=self.headers)
        if answer.status_code == 200:
            self.acknowledged = answer.json()["acknowledged"]
        return answer

    def line(self) -> httpx.Response:
        return self.send({"event": "log", "message": self.message(self.acknowledged + 1)})

    @staticmethod
    def message(number: int) -> str:
        return f"line {number} {'x' * 5000}"

    def stored(self) -> list[str]:
        answer = self.http.get(f"{self.path}/log?limit=1000").json()
        return [line["message"] for line in answer["lines"]]


def test_on_a_disk_that_is_full_or_turned_read_only_nothing_acknowledged_is_lost_and_all_goes_on_when_it_can(
    disk,
):
    server, room = disk
    sender = Sender(server)
    for _ in range(10):
        assert 200 == sender.line().status_code
    room.fill()
    answer = next(answer for answer in iter(sender.line, None) if answer.status_code != 200)
    refused = error_of(answer, 503, "log_unavailable")
    assert refused["message"].startswith("cannot write the log: ")
    assert answer.headers["Retry-After"].isdigit()
    ready = sender.http.get("/api/health/ready")
    assert "cannot write the log: " in error_of(ready, 503, "log_unavailable")["message"]
    assert ready.headers["Retry-After"].isdigit()
    assert 200 == sender.http.get("/api/health/live").status_code
    # What is stored can be read meanwhile.
    acknowledged = [sender.message(number) for number in range(1, sender.acknowledged + 1)]
    assert acknowledged == sender.stored()
    room.free()
    wait_until(lambda: sender.http.get("/api/health/ready").status_code == 200)
    assert 200 == sender.line().status_code
    assert 200 == sender.send({"event": "complete"}).status_code
    epoch = sender.http.get("/api/health/ready").json()["epoch"]
    server.kill()
    server.start()
    assert [*acknowledged, sender.message(len(acknowledged) + 1)] == sender.stored()
    assert epoch == sender.http.get("/api/health/ready").json()["epoch"]
    assert "complete" == sender.http.get(sender.path).json()["status"]
    sender.http.close()


async def test_while_the_file_is_locked_ingest_says_so_and_then_goes_on(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register()
        await producer.log("a")
        api.streamer.log._db.execute("PRAGMA busy_timeout = 1")
        with contextlib.closing(
            sqlite3.connect(tmp_path / "data" / "log.sqlite", isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = await producer.post(ndjson({"event": "log", "message": "b"}, first=2))
            assert "database is locked" in error_of(answer, 503, "log_unavailable")["message"]
            assert answer.headers["Retry-After"].isdigit()
            error_of(await api.http.get("/api/health/ready"), 503, "log_unavailable")
            other.execute("ROLLBACK")
        assert 200 == (await api.http.get("/api/health/ready")).status_code
        await producer.log("b")
        lines = (await api.http.get(f"{producer.path}/log")).json()["lines"]
        assert ["a", "b"] == [line["message"] for line in lines]


@pytest.fixture
def obedient(tmp_path) -> Iterator[ServerProcess]:
    """Yield a streamer that may not write where permissions say so, also when root runs the tests."""
    server = ServerProcess.streamer(tmp_path)
    if os.geteuid() == 0:
        server.command[:0] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    server.output_path = tmp_path / "server.txt"
    with server:
        yield server


def test_in_a_folder_that_turns_read_only_runs_go_on_and_one_that_cannot_start_says_why(obedient):
    sender = Sender(obedient)
    obedient.data.chmod(0o555)
    try:
        run = sender.http.post("/api/pipelines/Count/runs", json={}).json()["run"]
        state = wait_until(lambda: over(sender.http, run))
        assert ("failed", True) == (state["status"], "Permission denied" in state["message"]), state
        assert 200 == sender.line().status_code
        assert 200 == sender.http.get("/api/health/ready").status_code
    finally:
        obedient.data.chmod(0o755)
    run = sender.http.post("/api/pipelines/Count/runs", json={"n": 1, "delay": 0.0}).json()["run"]
    assert "complete" == wait_until(lambda: over(sender.http, run), timeout=60)["status"]
    assert [sender.message(1)] == sender.stored()
    sender.http.close()


def over(http: httpx.Client, run: str) -> dict[str, Any] | None:
    state: dict[str, Any] = http.get(f"/api/runs/{run}").json()
    return state if state["status"] in TERMINAL else None


def read_only_mount(folder: Path, stack: contextlib.ExitStack) -> Path:
    stack.enter_context(mounted(folder / "mounted", "ro"))
    return folder / "mounted"


def nobody_s_folder(folder: Path, stack: contextlib.ExitStack) -> Path:
    return Path("/proc/panel-streamer")


@pytest.mark.parametrize("place", [nobody_s_folder, *([read_only_mount] if may_mount() else [])])
def test_in_a_folder_that_cannot_be_written_it_says_so_in_a_sentence(tmp_path, place: Callable[..., Path]):
    with contextlib.ExitStack() as stack:
        environment = {**os.environ, "STREAMER_DATA": str(place(tmp_path, stack)), "STREAMER_PORT": "0"}
        ended = subprocess.run(
            [sys.executable, "-m", "streamer", "serve"],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert 2 == ended.returncode
    assert environment["STREAMER_DATA"] in ended.stderr
    assert "Traceback" not in ended.stderr
