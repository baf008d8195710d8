"""Workers: real processes that execute pipelines, and end well or badly; what of it reaches the streamer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from streamer.producer.worker import EXIT_AWAY, EXIT_REFUSED, EXIT_USAGE
from streamer.protocol.worker_spec import WorkerSpec, encode_spec
from streamer.server.execution.base import Exit
from streamer.server.execution.process import ProcessBackend, ProcessHandle
from tests.fake_ingest import FakeIngest
from tests.support import ROOT, free_port, wait_until_async

HEADER = """
import ctypes, logging, os, signal, subprocess, sys, threading, time, warnings
from pathlib import Path
import param
from streamer import Pipeline, phase
from streamer.model.pipeline import SkipPhase

HERE = Path(__file__).parent


class Work(Pipeline):
    count = param.Integer(default=3, bounds=(0, 100))

    @phase(weight=3)
    def work(self):
"""


class Stage:
    """Writes a pipeline, starts it in a worker, and says what became of it."""

    def __init__(self, folder: Path, ingest: FakeIngest) -> None:
        self.folder = folder
        self.ingest = ingest
        self.backend = ProcessBackend(folder)
        self.handles: list[ProcessHandle] = []

    async def start(self, body: str, *, more: str = "", **spec: Any) -> ProcessHandle:
        """Start a pipeline whose first phase has that body, and in whose class there is `more`."""
        path = self.folder / "work.py"
        path.write_text(HEADER + _indented(body, 8) + "\n" + _indented(more, 4))
        return await self.start_reference(f"{path}:Work", **spec)

    async def start_reference(self, reference: str, **spec: Any) -> ProcessHandle:
        made = WorkerSpec(
            **{
                "run_id": self.ingest.run,
                "url": self.ingest.url,
                "token": "secret",
                "data": str(self.folder),
                "pipeline": reference,
                **spec,
            }
        )
        self.handles.append(await self.backend.start(made))
        return self.handles[-1]

    async def play(self, body: str, **options: Any) -> tuple[Exit, dict[str, Any]]:
        """Execute a pipeline to its end; return how its process ended, and the run's terminal event."""
        handle = await self.start(body, **options)
        exit_ = await asyncio.wait_for(handle.wait(), 30)
        return exit_, self.ingest.terminal() or {}

    async def reached(self, name: str) -> None:
        """Wait until the pipeline has made that file."""
        await wait_until_async((self.folder / name).exists, timeout=20)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for handle in self.handles:
            handle._end_all()
            with_exit = asyncio.ensure_future(handle.wait())
            await asyncio.wait([with_exit], timeout=10)
        await self.backend.close()


def _indented(text: str, columns: int) -> str:
    return "\n".join(" " * columns + line for line in text.strip("\n").split("\n"))


@pytest.fixture
def ingest() -> Iterator[FakeIngest]:
    with FakeIngest() as ingest:
        # A run's processes are found on the whole machine by its id: workers of the tests need one of their own.
        ingest.run = f"r1-{os.getpid()}"
        yield ingest


@pytest.fixture
async def stage(tmp_path: Path, ingest: FakeIngest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.chdir(ROOT)  # where the worker finds the package when it is not installed
    async with Stage(tmp_path, ingest) as stage:
        yield stage


def logs(ingest: FakeIngest) -> list[tuple[str, str, str]]:
    return [(e["logger"], e["level"], e["message"]) for e in ingest.of(kind="log")]


slow = pytest.mark.slow


# -- a run that ends well ----------------------------------------------------------------------------------------------


@slow
async def test_a_pipeline_runs_its_phases_and_returns_its_result(stage: Stage, ingest: FakeIngest) -> None:
    more = """
@phase(weight=1)
def last(self):
    self.log.info("counted", extra={"item": "all"})
    return {"count": self.count}
"""
    exit_, end = await stage.play(
        "for _ in self.track(range(self.count)): pass", more=more, parameters={"count": 5}
    )
    assert exit_ == Exit(code=0)
    assert ("complete", {"count": 5}) == (end["event"], end["result"])
    phases = [(e["phase"], e["phaseStatus"], e["weight"]) for e in ingest.of(kind="phase")]
    assert phases == [
        ("work", "started", 3),
        ("work", "finished", 3),
        ("last", "started", 1),
        ("last", "finished", 1),
    ]
    assert [(5, 5)] == [(e["done"], e["total"]) for e in ingest.of(kind="progress")]
    assert ingest.of()[0] | {"time": ""} == ingest.of(kind="status")[0] | {"time": ""}
    assert [("Work", "INFO", "counted")] == logs(ingest)
    assert {"Bearer secret"} == {h["Authorization"] for h in ingest.headers}
    assert not (stage.folder / "output" / f"{stage.ingest.run}.txt").exists()


@slow
async def test_what_is_printed_logged_and_warned_of_becomes_the_log(stage: Stage, ingest: FakeIngest) -> None:
    body = """
print("one", 1)
print("two\\r\\x1b[31mtwo and a half\\x1b[0m")
print("to stderr", file=sys.stderr)
sys.stdout.write("no newline")
warnings.warn("old")
logging.getLogger("lib").info("told")
logging.getLogger("lib").debug("not told")
thread = threading.Thread(target=lambda: 1 / 0, name="sums"); thread.start(); thread.join()
subprocess.run([sys.executable, "-c", "print('of a child')"])
time.sleep(0.01)
assert sys.stdin.read() == ""
os.write(1, b"past Python")
sys.exit(0)
"""
    _, end = await stage.play(body)
    assert end["event"] == "complete"
    found = logs(ingest)
    assert ("stdout", "INFO", "one 1") in found
    assert ("stdout", "INFO", "two and a half") in found
    assert ("stdout", "INFO", "no newline") in found
    assert ("stderr", "INFO", "to stderr") in found
    assert ("lib", "INFO", "told") in found
    assert [m for name, level, m in found if name == "py.warnings" and level == "WARNING" and "old" in m]
    assert [m for name, level, m in found if name == "threading" and level == "ERROR" and "ZeroDivision" in m]
    assert not [m for _, _, m in found if "not told" in m or "past Python" in m or "of a child" in m]


@slow
async def test_a_skipped_phase_lets_the_rest_go_on(stage: Stage, ingest: FakeIngest) -> None:
    more = "@phase\ndef last(self):\n    return 'done'"
    _, end = await stage.play("raise SkipPhase('nothing to do')", more=more)
    assert ("complete", "done") == (end["event"], end["result"])
    assert ("skipped", "nothing to do") == tuple(
        ingest.of(kind="phase")[1][key] for key in ("phaseStatus", "message")
    )


@slow
async def test_threads_left_running_do_not_keep_the_process(stage: Stage) -> None:
    exit_, end = await stage.play("threading.Thread(target=lambda: time.sleep(60)).start()")
    assert (0, "complete") == (exit_.code, end["event"])


# -- a run that ends badly ---------------------------------------------------------------------------------------------


@slow
async def test_an_exception_is_told_with_the_users_part_of_its_traceback(stage: Stage) -> None:
    exit_, end = await stage.play("raise ValueError('bad row')")
    assert exit_.code == 0
    assert ("failed", "ValueError: bad row", "ValueError", "bad row") == (
        end["event"],
        end["message"],
        end["error"]["type"],
        end["error"]["message"],
    )
    trace = end["error"]["traceback"]
    assert "work.py" in trace
    assert "worker.py" not in trace
    assert "runpy" not in trace


@slow
@pytest.mark.parametrize(
    ("body", "event", "message"),
    [
        ("sys.exit(3)", "failed", "exited with code 3"),
        ("sys.exit('no licence')", "failed", "exited: no licence"),
        ("sys.exit()", "complete", ""),
        ("raise KeyboardInterrupt", "cancelled", "interrupted"),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(30)", "cancelled", "interrupted"),
        ("raise MemoryError", "failed", "MemoryError"),
        ("x = bytearray(2**62)", "failed", "MemoryError"),
        ("raise BaseException('odd')", "failed", "BaseException: odd"),
        (
            "yield 1",
            "failed",
            "TypeError: Work.work: a phase is a plain method, neither async nor with yield",
        ),
    ],
)
async def test_every_end_is_one_terminal_event(body: str, event: str, message: str, stage: Stage) -> None:
    exit_, end = await stage.play(body)
    assert (0, event, message) == (exit_.code, end["event"], end["message"])
    assert len([e for e in stage.ingest.of() if e["event"] in ("complete", "failed", "cancelled")]) == 1


@slow
async def test_a_module_that_cannot_be_imported_is_a_failed_run(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nonexistent_thing\n")
    handle = await stage.start_reference(f"{tmp_path}/broken.py:Work")
    assert (await handle.wait()).code == 0
    end = stage.ingest.terminal()
    assert end is not None
    assert "nonexistent_thing" in end["message"]
    assert "broken.py" in end["error"]["traceback"]
    assert "importlib" not in end["error"]["traceback"]


@slow
async def test_parameters_that_are_refused_are_a_failed_run(stage: Stage) -> None:
    _, end = await stage.play("pass", parameters={"count": 1000})
    assert end["event"] == "failed"
    assert "count" in end["message"]


# -- a process that dies -----------------------------------------------------------------------------------------------


@slow
async def test_os_exit_loses_nothing_that_was_acknowledged_and_says_its_code(stage: Stage) -> None:
    exit_, end = await stage.play("print('before', flush=True); time.sleep(0.5); os._exit(3)")
    assert end == {}
    assert exit_.describe() == "exited with code 3 without finishing"
    assert [("stdout", "INFO", "before")] == logs(stage.ingest)


@slow
async def test_a_segmentation_fault_leaves_its_traceback(stage: Stage) -> None:
    exit_, end = await stage.play("ctypes.string_at(0)")
    assert end == {}
    assert exit_.signal == signal.SIGSEGV
    assert "Segmentation fault" in exit_.output_tail
    assert "work.py" in exit_.output_tail


@slow
async def test_a_worker_that_is_killed_takes_its_children_with_it(stage: Stage) -> None:
    handle = await stage.start(
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "(HERE / 'pid.tmp').write_text(str(child.pid)); (HERE / 'pid.tmp').rename(HERE / 'pid')\n"
        "time.sleep(60)"
    )
    await stage.reached("pid")
    child = psutil.Process(int((stage.folder / "pid").read_text()))
    os.kill(handle.pid, signal.SIGKILL)
    assert (await handle.wait()).describe() == "killed by signal 9 (SIGKILL)"
    await wait_until_async(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@slow
async def test_terminating_ends_it_at_once(stage: Stage) -> None:
    handle = await stage.start("(HERE / 'there').touch(); time.sleep(60)")
    await stage.reached("there")
    handle.terminate()
    assert (await asyncio.wait_for(handle.wait(), 30)).signal == signal.SIGTERM


# -- cancelling --------------------------------------------------------------------------------------------------------


@slow
@pytest.mark.parametrize(
    "work",
    [
        "time.sleep(60)",
        "for _ in self.track(range(10**12)): pass",
        "self.map(lambda n: time.sleep(0.001), range(10**6), on_error='collect')",
        "threading.Event().wait(60)",
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
        "import asyncio; asyncio.run(asyncio.sleep(60))",
    ],
    ids=["sleep", "loop", "map", "lock", "child", "asyncio"],
)
async def test_a_cancel_ends_the_work_and_runs_what_cleans_up(work: str, stage: Stage) -> None:
    handle = await stage.start(
        f"try:\n    (HERE / 'there').touch()\n    {work}\nfinally:\n"
        "    self.log.info('cleaning up'); (HERE / 'cleaned').touch()"
    )
    await stage.reached("there")
    stage.ingest.requests = ("cancel",)
    exit_ = await asyncio.wait_for(handle.wait(), 30)
    end = stage.ingest.terminal() or {}
    assert (0, "cancelled", "cancelled on request") == (exit_.code, end["event"], end["message"])
    assert (stage.folder / "cleaned").exists()
    assert ("Work", "INFO", "cleaning up") in logs(stage.ingest)


@slow
async def test_a_cancel_that_comes_before_the_work_ends_it_too(stage: Stage) -> None:
    stage.ingest.requests = ("cancel", "something else")
    handle = await stage.start("time.sleep(60)")
    assert (await asyncio.wait_for(handle.wait(), 30)).code == 0
    assert (stage.ingest.terminal() or {})["event"] == "cancelled"


@slow
async def test_an_except_exception_does_not_swallow_it(stage: Stage) -> None:
    handle = await stage.start(
        "(HERE / 'there').touch()\nwhile True:\n    try:\n        time.sleep(60)\n    except Exception:\n        pass"
    )
    await stage.reached("there")
    stage.ingest.requests = ("cancel",)
    assert (await asyncio.wait_for(handle.wait(), 30)).code == 0


@slow
async def test_whoever_swallows_it_gets_no_further_phase(stage: Stage) -> None:
    handle = await stage.start(
        "(HERE / 'there').touch()\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass",
        more="@phase\ndef last(self):\n    (HERE / 'last').touch()",
    )
    await stage.reached("there")
    stage.ingest.requests = ("cancel",)
    assert (await asyncio.wait_for(handle.wait(), 30)).code == 0
    assert (stage.ingest.terminal() or {})["event"] == "cancelled"
    assert not (stage.folder / "last").exists()


# -- a streamer that is away -------------------------------------------------------------------------------------------


@slow
async def test_a_run_that_ends_while_the_streamer_is_away_is_told_when_it_is_back(
    stage: Stage, tmp_path: Path
) -> None:
    handle = await stage.start("(HERE / 'done').touch(); return 7", url=f"http://127.0.0.1:{free_port()}")
    await stage.reached("done")
    assert stage.ingest.count == 0
    (tmp_path / "streamer.json").write_text(json.dumps({"url": stage.ingest.url, "pid": 1}))
    assert (await asyncio.wait_for(handle.wait(), 30)).code == 0
    assert (stage.ingest.terminal() or {})["result"] == 7


@slow
async def test_it_does_not_wait_for_ever(stage: Stage) -> None:
    handle = await stage.start("pass", url=f"http://127.0.0.1:{free_port()}", wait_seconds=0.3)
    exit_ = await asyncio.wait_for(handle.wait(), 30)
    assert exit_.code == EXIT_AWAY


@slow
async def test_a_run_that_nobody_wants_ends(stage: Stage) -> None:
    handle = await stage.start("(HERE / 'there').touch(); time.sleep(60)")
    await stage.reached("there")
    stage.ingest.refuse = (409, "run_ended", {})
    exit_ = await asyncio.wait_for(handle.wait(), 30)
    assert exit_.code == EXIT_REFUSED
    assert "run_ended" in exit_.output_tail


@slow
def test_without_a_spec_it_says_so() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "streamer.producer.worker"],
        input=b"{",
        capture_output=True,
        cwd=ROOT,
        check=False,
        timeout=30,
    )
    assert found.returncode == EXIT_USAGE
    assert b"spec" in found.stderr


@slow
async def test_the_streamers_death_does_not_touch_it(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        HEADER
        + "        (HERE / 'there').touch()\n        while not (HERE / 'go').exists(): time.sleep(0.01)\n"
    )
    spec = WorkerSpec(
        run_id=stage.ingest.run,
        url=stage.ingest.url,
        token="t",
        data=str(tmp_path),
        pipeline=f"{tmp_path}/work.py:Work",
    )
    (tmp_path / "spec").write_bytes(encode_spec(spec))
    starter = (
        "import asyncio, json, os, signal, sys; from pathlib import Path;"
        "from streamer.protocol.worker_spec import decode_spec;"
        "from streamer.server.execution.process import ProcessBackend;"
        "here = Path(sys.argv[1]);\n"
        "async def main():\n"
        "    handle = await ProcessBackend(here).start(decode_spec((here / 'spec').read_bytes()))\n"
        "    (here / 'identity').write_text(json.dumps(handle.identity))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())"
    )
    found = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [sys.executable, "-c", starter, str(tmp_path)], cwd=ROOT, check=False, timeout=30
    )
    assert found.returncode == -signal.SIGKILL
    handle = stage.backend.attach(json.loads((tmp_path / "identity").read_text()))
    assert handle is not None
    stage.handles.append(handle)
    await stage.reached("there")
    (tmp_path / "go").touch()
    await asyncio.wait_for(handle.wait(), 30)
    assert (stage.ingest.terminal() or {})["event"] == "complete"


# -- loops and bars of other kinds in a phase --------------------------------------------------------------------------


@slow
async def test_streamer_track_in_a_phase_counts_for_the_phase(stage: Stage, ingest: FakeIngest) -> None:
    body = """
import streamer
for _ in streamer.track(range(4), "Loading", unit="rows"):
    for _ in streamer.track(range(2), "inner"):
        pass
"""
    more = """
@phase
def after(self):
    import streamer
    for _ in streamer.track(iter(range(3)), total=3):
        pass
"""
    _, end = await stage.play(body, more=more)
    assert "complete" == end["event"]
    phases = {event["phase"]: event for event in ingest.of(kind="progress")}
    assert {"work": (4, 4, "rows"), "after": (3, 3, "items")} == {
        name: (event["done"], event["total"], event["unit"]) for name, event in phases.items()
    }
    assert {"work", "after"} == {event["phase"] for event in ingest.of(kind="phase")}


@slow
async def test_adopted_bars_in_a_phase_count_for_the_phase(stage: Stage, ingest: FakeIngest) -> None:
    body = """
import streamer
from tqdm import tqdm
self._adoption = streamer.adopt()
for _ in tqdm(range(40), unit="rows"):
    time.sleep(0.02)  # the work that the bar counts
"""
    more = """
@phase
def after(self):
    from tqdm import tqdm
    for _ in tqdm(range(30), unit="rows"):
        time.sleep(0.02)  # the work that the bar counts
    self._adoption.close()
"""
    _, end = await stage.play(body, more=more)
    assert "complete" == end["event"]
    counts: dict[str, Any] = {}
    for event in ingest.of(kind="progress"):
        if event.get("done") is not None:
            counts[event["phase"]] = event["done"], event["total"]
    assert {"work": (40, 40), "after": (30, 30)} == counts
