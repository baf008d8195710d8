"""What the tests of `tests/reliability` show, at length: the same scenarios, larger, and again and again.

    python benchmarks/soak.py [NAME ...] [--rounds 1]

Each raises `AssertionError` when a promise was not kept. Says what each round took, and what else it measured. A
scenario is a coroutine function that is given an empty folder, and may return a sentence.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import size as sizes
from tests.reliability import long_runs, nginx, streams
from tests.support import ROOT, ServerProcess, wait_until


def streamer(folder: Path, **settings: float) -> ServerProcess:
    environment = {f"STREAMER_{name.upper()}": str(value) for name, value in settings.items()}
    return ServerProcess.streamer(folder, environment=environment)


async def disconnects(folder: Path) -> None:
    script = streams.install_event_source(folder)
    with streamer(folder, retry_milliseconds=1) as server:
        await streams.disconnects(server, script, entries=1_000_000, cuts=2000, seed=time.time_ns())


async def joining(folder: Path) -> None:
    await streams.joining(folder, readers=3000, seed=time.time_ns())


async def stalled_readers(folder: Path) -> str:
    """Compare the lags of 500 healthy readers with and without 50 that never read."""
    p99: dict[int, list[float]] = {0: [], 50: []}
    for number in range(6):
        stalled = 50 * (number % 2)
        place = folder / f"{number}"
        place.mkdir()
        with streamer(place, write_timeout_seconds=10) as server:
            lags = await streams.stalled_readers(server, stalled=stalled, healthy=500, megabytes=8, beats=300)
        p99[stalled].append(statistics.quantiles(lags, n=100)[98])
    without, beside = (statistics.median(found) for found in p99.values())
    return (
        f"p99 of the healthy: {1000 * without:.1f} ms alone, {1000 * beside:.1f} ms beside 50 that never read,"
        f" {beside / without - 1:+.0%}"
    )


async def vanishing(folder: Path) -> None:
    with streamer(folder, heartbeat_seconds=0.3, write_timeout_seconds=1) as server:
        times = dict.fromkeys(streams.WAYS, 500) | {"before the first byte": 20_000}
        await streams.vanishing(server, times=times)


async def drain(folder: Path) -> None:
    with streamer(folder) as server:
        await streams.drain(server, readers=8000, seconds=5)


async def behind_nginx(folder: Path) -> str:
    """As documented: a timeout of 20 s and heartbeats of 15 s, a minute of silence, and reloads that cut streams."""
    with streamer(folder) as server:
        with nginx.Nginx(folder / "prompt", "site", streamer=server.port) as proxy:
            taken = await nginx.one_by_one(proxy, 1000)
            await nginx.silent(proxy, 4)
        cutting = "worker_shutdown_timeout 1s;"
        with nginx.Nginx(folder / "reloads", "site", streamer=server.port, main=cutting) as proxy:
            resumes = await nginx.reloads(proxy, 20, cuts=True)
    assert resumes <= 20
    p99 = statistics.quantiles(taken, n=100)[98]
    return f"an event came after {statistics.median(taken):.1f} ms, p99 {p99:.1f} ms; {resumes} resumes of 20"


async def long_run(folder: Path) -> str:
    """Open the page of a run of a million lines and fifty thousand failed items, keep one open, and halt one."""

    def both() -> str:
        with long_runs.pages(folder, lines=1_000_000) as pages:
            return "; ".join(
                (
                    long_runs.opened(pages, lines=1_000_000),
                    long_runs.growing(pages, lines=1_000_000, width=100),
                    long_runs.halted(pages, lines=400_000),
                )
            )

    return await asyncio.to_thread(both)


async def out_of_memory(folder: Path) -> str:
    """Have the kernel kill a worker that takes more memory than its control group may have; that is its reason."""
    return await asyncio.to_thread(_out_of_memory, folder)


def _out_of_memory(folder: Path) -> str:
    environment = {"STREAMER_PIPELINES": str(ROOT / "tests" / "reliability" / "pipelines.py")}
    with contextlib.ExitStack() as stack:
        try:
            group = stack.enter_context(memory_group(30_000_000))
        except OSError as error:
            return f"not tried: no control group with a bound on memory can be made here ({error})"
        server = stack.enter_context(ServerProcess.streamer(folder, environment=environment))
        url, spec = f"{server.url}/api/pipelines/Hoards/runs", {"group": str(group)}
        run = httpx.post(url, json=spec, timeout=30).json()["run"]
        state = wait_until(lambda: _ended(server, run), timeout=60)
    assert ("failed", "OutOfMemory") == (state["status"], state["error"]["type"]), state
    return str(state["message"])


def _ended(server: ServerProcess, run: str) -> dict[str, Any] | None:
    state: dict[str, Any] = httpx.get(f"{server.url}/api/runs/{run}", timeout=30).json()
    return state if state["ended"] is not None else None


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """Make a control group that may have so many bytes, by either version's names. Raises `OSError`."""
    root, name = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
    if not root.exists():
        root, name = Path("/sys/fs/cgroup"), "memory.max"
    group = root / f"panel-streamer-{os.getpid()}"
    group.mkdir()
    try:
        (group / name).write_text(str(limit))
        yield group
    finally:
        group.rmdir()


async def size(folder: Path) -> str:
    """Ask the log of a long run and of a short one for what their pages show."""
    return await asyncio.to_thread(sizes.compare, folder, 1_000_000)


def again(*names: str, times: int, options: tuple[str, ...] = ()) -> Callable[[Path], Awaitable[str]]:
    """Return a scenario of tests that are run so often: what meets in time meets otherwise each time."""

    async def scenario(folder: Path) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options]
        command += [
            f"--basetemp={folder / 'tests'}",
            *(f"tests/reliability/test_{name}.py" for name in names),
        ]
        for _ in range(times):
            ended = await asyncio.to_thread(
                subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr
        return f"{times} times {ended.stdout.splitlines()[-1]}"

    return scenario


SCENARIOS: dict[str, Callable[[Path], Awaitable[str | None]]] = {
    "disconnects": disconnects,
    "joining": joining,
    "stalled_readers": stalled_readers,
    "vanishing": vanishing,
    "drain": drain,
    "behind_nginx": behind_nginx,
    "long_run": long_run,
    "out_of_memory": out_of_memory,
    "size": size,
    "logs": again("log_restarts", "log_retention", "log_unwritable", times=20),
    "runs": again("life", "cancel", "limits", times=20),
    "retries": again("retry", times=1, options=("--hypothesis-profile=soak",)),
    "away": again("streamer_away", times=20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in SCENARIOS:
            parser.error(f"no scenario {name}; there are {', '.join(SCENARIOS)}")
    for _ in range(arguments.rounds):
        for name in arguments.names or SCENARIOS:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                said = asyncio.run(SCENARIOS[name](Path(folder)))
            print(f"{name:>20}  {time.monotonic() - began:6.1f} s  {said or 'kept'}", flush=True)


if __name__ == "__main__":
    main()
