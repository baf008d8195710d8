"""The streamer is away: producers go on and end, what they said waits on disk, and arrives in order, each once."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamer.model.events import Completed, Logged
from streamer.producer.publishing.outbox import Outbox
from streamer.producer.publishing.publisher import Publisher
from streamer.producer.publishing.replies import Backoff
from streamer.protocol.spool import FOLDER, MOST_FILES, Header, Left, Spool, SpoolRefused
from streamer.server.log.base import LogUnavailable
from streamer.server.runs.spool_pickup import Pickup
from tests.api_support import PIPELINES
from tests.fake_ingest import FakeIngest
from tests.support import ROOT, ServerProcess, free_port, wait_until

TIME = 1_700_000_000.0
RUN = "abcdefghjk"
TERMINAL = {"complete", "failed", "cancelled"}


def spool_in(folder: Path, limit_bytes: int = 10_000_000, run: str = RUN, **header: Any) -> Spool:
    return Spool(folder / FOLDER, Header(run=run, token="t" * 30, **header), limit_bytes=limit_bytes)


def publisher_to(url: str, spool: Spool, **options: Any) -> Publisher:
    publisher = Publisher(lambda: url, "r1", "t" * 30, rng=random.Random(1), spool=spool, **options)
    publisher._backoff = Backoff(random.Random(1), first=0.005, longest=0.05)
    return publisher


def line(number: int, text: str = "") -> Logged:
    return Logged(message=f"line {number}{text}")


def messages(ingest: FakeIngest) -> list[str]:
    return [one["message"] for one in ingest.of(kind="log")]


# -- the outbox beside the disk ----------------------------------------------------------------------------------------


def test_what_is_set_aside_comes_back_in_order_between_the_numbered_and_what_is_put_later(
    tmp_path: Path,
) -> None:
    outbox, spool = Outbox(), spool_in(tmp_path)
    for number in range(10):
        outbox.put(line(number), TIME)
    sent = outbox.batch(2, 10**6)
    spool.append(outbox.set_aside(spool.last, spool.room))
    outbox.put(line(10), TIME)
    outbox.aside_written()
    assert (9, 2, 8) == (len(outbox) - outbox.waiting - 1, len(sent), outbox.on_disk)
    assert sent == outbox.batch(100, 10**6)
    outbox.acknowledge(2)
    assert [] == outbox.batch(100, 10**6)
    outbox.load(spool.read(outbox.loaded, max_events=100, max_bytes=10**6))
    numbers = [number for number, _ in outbox.batch(100, 10**6)]
    assert list(range(3, 12)) == numbers
    spool.clear()


def test_a_disk_that_is_full_changes_nothing(tmp_path: Path) -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.put(line(number), TIME)
    outbox.set_aside(0, 10**6)
    outbox.put(line(3), TIME)
    outbox.aside_failed()
    assert list(range(1, 5)) == [number for number, _ in outbox.batch(100, 10**6)]


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_spool_is_for_its_user_alone_and_goes_when_it_is_taken(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append([(1, b'{"seq":1}\n')])
    assert (0o600, 0o700) == tuple(
        stat.S_IMODE(path.stat().st_mode) for path in (spool.path, spool.path.parent)
    )
    spool.clear()
    assert not spool.path.exists()


def test_a_spool_that_is_held_is_its_producers_and_a_forked_child_does_not_hold_it(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append([(1, b'{"seq":1}\n')])
    assert Left.open(spool.path) is None
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    spool.close()
    left = Left.open(spool.path)
    os.write(go[1], b"x")
    os.waitpid(child, 0)
    for end in (*ready, *go):
        os.close(end)
    assert left is not None
    assert [b'{"seq":1}\n'] == left.lines(max_events=10, max_bytes=10**6)
    left.remove()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{",
        b"[]\n",
        b'{"run":"abcdefghjk"}\n',
        b'{"run":"zzzzzzzzzz","token":"x"}\n',
        b"x" * 3_000_000,
    ],
    ids=["nothing", "an empty line", "half a line", "a list", "no token", "another run", "no line"],
)
def test_a_file_that_is_no_spool_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"{RUN}.spool"
    path.write_bytes(content)
    with pytest.raises(SpoolRefused):
        Left.open(path)


def test_a_link_is_no_spool(tmp_path: Path) -> None:
    (tmp_path / "else").write_bytes(b'{"run":"abcdefghjk","token":"x"}\n')
    (tmp_path / f"{RUN}.spool").symlink_to(tmp_path / "else")
    with pytest.raises(SpoolRefused):
        Left.open(tmp_path / f"{RUN}.spool")


def left_in(data: Path, run: str, to: str = "") -> None:
    folder = data / FOLDER
    folder.mkdir(exist_ok=True)
    head = {"run": run, "token": "t" * 30, "to": to}
    event = {"event": "log", "message": "x", "time": "2026-11-25T09:00:00.000Z", "seq": 1}
    (folder / f"{run}.spool").write_text(f"{json.dumps(head)}\n{json.dumps(event)}\n")


class Taker:
    """A streamer's side of the spools: what `Pickup` needs of one, and the runs of which it got events."""

    def __init__(self, data: Path) -> None:
        self.runs: list[str] = []
        self.pickup = Pickup(data, read=self.read, ingest=self.ingest, register=self.ingest)

    async def read(self, function: Any) -> Any:
        return function()

    async def ingest(self, run: str, *_: Any) -> None:
        self.runs.append(run)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no further file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_spool_is_not_put_aside_because_its_reader_may_open_no_more_files(tmp_path: Path) -> None:
    left_in(tmp_path, RUN)
    taker = Taker(tmp_path)
    with no_more_files(), pytest.raises(LogUnavailable, match="Too many open files"):
        await taker.pickup.take(RUN)
    assert [f"{RUN}.spool"] == [path.name for path in (tmp_path / FOLDER).iterdir()]


@pytest.mark.slow
async def test_a_thousand_spools_for_a_streamer_elsewhere_do_not_hold_up_one_that_is_for_here(
    tmp_path: Path,
) -> None:
    for number in range(MOST_FILES):
        left_in(tmp_path, f"a{number:09d}", to="http://127.0.0.1:9")
    left_in(tmp_path, "zzzzzzzzzz")
    taker = Taker(tmp_path)
    assert ([], ["zzzzzzzzzz"]) == (await taker.pickup.look(), await taker.pickup.look())
    assert ["zzzzzzzzzz"] == taker.runs


def test_a_new_spool_is_not_begun_when_all_together_are_too_large(tmp_path: Path) -> None:
    first = spool_in(tmp_path, run="aaaaaaaaaa")
    first.append([(1, b"x" * 1000 + b":1}\n")])
    second = Spool(tmp_path / FOLDER, Header(run=RUN, token=""), limit_bytes=100, total_bytes=1000)
    with pytest.raises(OSError, match="1,000 bytes"):
        second.append([(1, b":1}\n")])
    assert not second.path.exists()
    first.clear()


# -- the publisher -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_waits_goes_to_disk_and_is_sent_in_order_once_when_the_streamer_is_back(tmp_path: Path) -> None:
    spool, port = spool_in(tmp_path), free_port()
    publisher = publisher_to(f"http://127.0.0.1:{port}", spool, max_events=50)
    publisher.start()
    for number in range(1_000):
        publisher.put(line(number), TIME)
    wait_until(lambda: spool.last == 1_000)
    assert 0 == publisher._outbox.waiting
    for number in range(1_000, 1_200):
        publisher.put(line(number), TIME)
    with FakeIngest(lambda n: "lose" if n % 7 == 3 else "ok", port=port) as ingest:
        assert publisher.flush(20), publisher.last_error
        publisher.put(Completed(), TIME)
        assert publisher.close(10)
    assert [f"line {number}" for number in range(1_200)] == messages(ingest)
    assert list(range(1, 1_202)) == ingest.seqs()
    assert not spool.path.exists()


@pytest.mark.slow
def test_the_disk_is_used_up_to_its_bound_then_memory_then_low_lines_are_dropped_and_counted(
    tmp_path: Path,
) -> None:
    spool, port = spool_in(tmp_path, limit_bytes=50_000), free_port()
    publisher = publisher_to(f"http://127.0.0.1:{port}", spool, limit_bytes=50_000)
    publisher.start()
    for number in range(300):
        publisher.put(line(number, "x" * 100), TIME)
    wait_until(lambda: spool.last > 0)
    for number in range(300, 2_000):
        publisher.put(line(number, "x" * 100), TIME)
    publisher.put(Completed(), TIME)
    assert spool.path.stat().st_size <= 50_000
    with FakeIngest(port=port) as ingest:
        assert publisher.flush(20), publisher.last_error
        assert publisher.close(20)
    kept = [text for text in messages(ingest) if text.startswith("line")]
    dropped = [int(text.split()[0].replace(",", "")) for text in messages(ingest) if "not kept" in text]
    assert dropped
    assert 2_000 == len(kept) + sum(dropped)
    assert "complete" == ingest.of()[-1]["event"]


def test_a_producer_that_ends_while_nobody_listens_leaves_all_at_once(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    publisher = publisher_to(f"http://127.0.0.1:{free_port()}", spool)
    publisher.start()
    for number in range(20):
        publisher.put(line(number), TIME)
    publisher.put(Completed(), TIME)
    assert publisher.close(60) is False
    assert spool.path == publisher.left_behind
    left = Left.open(spool.path)
    assert left is not None
    lines = [json.loads(one) for one in left.lines(max_events=100, max_bytes=10**6)]
    assert (list(range(1, 22)), "complete") == ([one["seq"] for one in lines], lines[-1]["event"])
    left.remove()


def test_a_producer_that_ends_while_its_streamer_hangs_leaves_what_is_in_hand(tmp_path: Path) -> None:
    spool, hold = spool_in(tmp_path), threading.Event()

    def hang(_: int) -> str:
        hold.wait(20)
        return "ok"

    with FakeIngest(hang) as ingest:
        publisher = publisher_to(ingest.url, spool)
        publisher.start()
        publisher.put(line(1), TIME)
        assert publisher.close(0.05) is False
        assert spool.path == publisher.left_behind
        hold.set()
        wait_until(lambda: publisher.finished)
    assert spool.path.exists()


# -- real processes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess.streamer(tmp_path, environment={"STREAMER_PIPELINES": PIPELINES}) as server:
        yield server


def state_of(server: ServerProcess, run: str) -> dict[str, Any]:
    state: dict[str, Any] = httpx.get(f"{server.url}/api/runs/{run}", timeout=60).json()
    return state


def over(server: ServerProcess, run: str) -> dict[str, Any]:
    return wait_until(
        lambda: (state := state_of(server, run)).get("status") in TERMINAL and state,
        timeout=30,
        message=server.output,
    )


def lines_of(server: ServerProcess, run: str) -> list[str]:
    answer = httpx.get(f"{server.url}/api/runs/{run}/log?limit=1000&after=0", timeout=60).json()
    return [one["message"] for one in answer["lines"]]


def spooled(data: Path) -> list[Path]:
    return sorted((data / FOLDER).glob("*.spool"))


def start(server: ServerProcess, pipeline: str, **parameters: Any) -> str:
    return str(
        httpx.post(f"{server.url}/api/pipelines/{pipeline}/runs", json=parameters, timeout=60).json()["run"]
    )


@pytest.mark.slow
def test_a_worker_that_ends_while_the_streamer_is_away_leaves_at_once_and_its_run_has_its_true_end(
    server: ServerProcess, tmp_path: Path
) -> None:
    run = start(server, "Waits", folder=str(tmp_path), n=50)
    wait_until((tmp_path / "pid").exists)
    worker = server.processes()[0]
    server.kill()
    (tmp_path / "go").touch()
    worker.wait(60)
    assert [f"{run}.spool"] == [path.name for path in spooled(server.data)]
    server.restart()
    state = over(server, run)
    assert ("complete", "went on") == (state["status"], state["result"])
    assert [f"line {number}" for number in range(1, 51)] == lines_of(server, run)
    wait_until(lambda: not spooled(server.data))


@pytest.mark.slow
def test_a_worker_that_is_killed_while_the_streamer_is_away_loses_nothing_that_was_on_disk(
    server: ServerProcess, tmp_path: Path
) -> None:
    run = start(server, "Steady", n=100_000, pause=0.005)
    wait_until(lambda: state_of(server, run)["logCounts"])
    worker = server.processes()[0]
    server.kill()
    wait_until(lambda: [path for path in spooled(server.data) if path.stat().st_size > 20_000], timeout=20)
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)
    on_disk = [json.loads(one) for one in spooled(server.data)[0].read_bytes().splitlines()[1:]]
    server.restart()
    state = over(server, run)
    assert ("failed", "its process ended while the streamer was away") == (state["status"], state["message"])
    lines = httpx.get(f"{server.url}/api/runs/{run}/log?limit=1000", timeout=60).json()["lines"]
    assert [one for one in on_disk if one["event"] == "log"][-1]["message"] == lines[-1]["message"]
    numbers = [int(one["message"].split()[1]) for one in lines]
    assert list(range(numbers[0], numbers[-1] + 1)) == numbers


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "job.py"
    path.write_text(text)
    return path


def environment(data: Path, port: int, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
    return {**kept, "PYTHONPATH": str(ROOT), "STREAMER_DATA": str(data), "STREAMER_PORT": str(port), **more}


ALONE = """
import streamer
with streamer.run("Fit models", phases={"load": 1, "fit": 7}, parameters={"n": 3}) as run:
    with run.phase("load"):
        run.log.info("hello")
    with run.phase("fit"):
        for _ in run.track(range(10)): pass
    run.complete({"rows": 3})
"""


@pytest.mark.slow
def test_a_script_that_ran_while_there_was_no_streamer_is_a_run_of_the_next_one(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    before = time.time()
    done = subprocess.run(
        [sys.executable, str(script(tmp_path, ALONE))],
        env=environment(data, port),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    after = time.time()
    assert 1 == done.stderr.count("streamer: "), done.stderr
    run = spooled(data)[0].stem
    with ServerProcess.streamer(tmp_path, port=port) as server:
        state = over(server, run)
    assert ("complete", "Fit models", {"rows": 3}, {"n": 3}) == tuple(
        state[key] for key in ("status", "title", "result", "parameters")
    )
    assert [("load", 1.0), ("fit", 7.0)] == [(one["name"], one["weight"]) for one in state["phases"]]
    assert "hello" == lines_of_state(state)
    created, ended = (httpx_time(state[key]) for key in ("created", "ended"))
    assert before - 0.01 <= created <= ended <= after
    assert state["owner"]
    assert state["host"]


def httpx_time(text: str) -> float:
    from streamer.model.timestamps import parse_time

    return parse_time(text)


def lines_of_state(state: dict[str, Any]) -> str:
    return "hello" if state["logCounts"] == {"INFO": 1} else str(state["logCounts"])


@pytest.mark.slow
def test_a_script_is_registered_once_by_a_streamer_that_comes_while_it_runs(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    text = (
        "import pathlib, sys, time, streamer\n"
        "with streamer.run('Long') as run:\n"
        "    run.log.info('first')\n"
        "    while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)  # work, until the test has seen enough\n"
    )
    go = tmp_path / "go"
    with subprocess.Popen(
        [sys.executable, str(script(tmp_path, text)), str(go)],
        env=environment(data, port),
        stderr=subprocess.PIPE,
    ) as job:
        wait_until(lambda: spooled(data), timeout=20)
        with ServerProcess.streamer(tmp_path, port=port) as server:
            run = spooled(data)[0].stem if spooled(data) else ""
            wait_until(lambda: httpx.get(f"{server.url}/api/runs", timeout=60).json()["runs"], timeout=20)
            go.touch()
            job.communicate(timeout=20)
            runs = httpx.get(f"{server.url}/api/runs", timeout=60).json()["runs"]
            assert ["Long"] == [one["title"] for one in runs]
            assert run in ("", runs[0]["run"])
            assert "complete" == over(server, runs[0]["run"])["status"]
            wait_until(lambda: not spooled(data))


@pytest.mark.slow
def test_a_file_with_another_token_changes_no_run(server: ServerProcess, tmp_path: Path) -> None:
    run = start(server, "Waits", folder=str(tmp_path))
    wait_until((tmp_path / "pid").exists)
    forged = spool_in(server.data, run=run)
    forged.append([(1, b'{"event":"failed","time":"2026-01-01T00:00:00.000Z","seq":1}\n')])
    forged.close()
    wait_until(lambda: list((server.data / FOLDER).glob("*.refused")), timeout=20)
    assert "running" == state_of(server, run)["status"]
    (tmp_path / "go").touch()
    assert "complete" == over(server, run)["status"]


@pytest.mark.slow
def test_what_was_left_for_a_streamer_elsewhere_is_sent_by_the_command(tmp_path: Path) -> None:
    data, port = tmp_path / "producer", free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(data, free_port(), STREAMER_URL=url)
    subprocess.run([sys.executable, str(script(tmp_path, ALONE))], env=env, timeout=60, check=True)
    run = spooled(data)[0].stem
    send = [sys.executable, "-m", "streamer", "send"]
    away = subprocess.run(send, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (2, True) == (away.returncode, run in away.stderr)
    with ServerProcess.streamer(tmp_path, port=port) as server:
        sent = subprocess.run(send, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        assert f"run {run} is at {url}/api/runs/{run}\n" == sent.stdout
        assert ("complete", {"rows": 3}) == tuple(over(server, run)[key] for key in ("status", "result"))
    assert [] == spooled(data)
