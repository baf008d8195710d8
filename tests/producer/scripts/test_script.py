"""Scripts that report themselves: with a streamer, without one, and cancelled from the page."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamer
from streamer.model.events import PhaseSpec
from streamer.producer.cancellation import Cancelled
from streamer.producer.run import Run
from streamer.producer.scripts.exit import leave
from streamer.producer.scripts.script import _specs
from tests.fake_ingest import FakeIngest
from tests.support import ROOT, free_port, wait_until


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIngest]:
    with FakeIngest() as ingest:
        monkeypatch.setenv("STREAMER_URL", ingest.url)
        yield ingest


@pytest.fixture(autouse=True)
def nothing_under_way() -> Iterator[None]:
    """End what a test left, as the end of a program would."""
    yield
    leave(0.5)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("streamer-")])


def terminal(ingest: FakeIngest, run: str = "r1") -> dict[str, Any]:
    """Return the end of a run, once it has arrived: nobody waits for that but a test."""
    return wait_until(lambda: ingest.terminal(run))


def test_a_script_is_registered_and_its_work_reported(
    ingest: FakeIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_TOKEN", "operators")
    with streamer.run("Fit models", phases={"load": 1, "fit": 7}, parameters={"n": 3}) as run:
        with run.phase("fit"):
            assert list(run.track("abc")) == ["a", "b", "c"]
        run.complete({"rows": 3})
    end = terminal(ingest)
    described = ingest.registered[0]
    assert ("Fit models", {"n": 3}) == (described["title"], described["parameters"])
    assert described["phases"] == [{"name": "load", "weight": 1.0}, {"name": "fit", "weight": 7.0}]
    assert {"owner", "host", "program"} <= set(described)
    assert end["result"] == {"rows": 3}
    token = f"Bearer {described['token']}"
    assert ["Bearer operators", token] == [h["Authorization"] for h in ingest.headers[:2]]
    assert ["status", "phase", "progress", "phase", "complete"] == [e["event"] for e in ingest.of()]


def phases(ingest: FakeIngest) -> list[tuple[str, str]]:
    return [(one["phase"], one["phaseStatus"]) for one in ingest.of(kind="phase")]


def test_its_page_is_said_once(ingest: FakeIngest, capsys: pytest.CaptureFixture[str]) -> None:
    ingest.page = "http://127.0.0.1:5006/dashboards?run=r1"
    with streamer.run("x"):
        pass
    terminal(ingest)
    assert capsys.readouterr().err == "streamer: http://127.0.0.1:5006/dashboards?run=r1\n"


def test_without_a_page_the_runs_own_address_is_said(
    ingest: FakeIngest, capsys: pytest.CaptureFixture[str]
) -> None:
    with streamer.run("x"):
        pass
    terminal(ingest)
    run = ingest.registered[0]["run"]
    assert capsys.readouterr().err == f"streamer: {ingest.url}/api/runs/{run}\n"


def test_a_body_that_ends_is_complete(ingest: FakeIngest) -> None:
    with streamer.run("x"):
        pass
    assert terminal(ingest)["event"] == "complete"


def test_a_body_that_raises_has_failed_and_raises(ingest: FakeIngest) -> None:
    with pytest.raises(ValueError, match="bad"), streamer.run("x"):
        raise ValueError("bad")
    assert ("failed", "ValueError: bad") == (terminal(ingest)["event"], terminal(ingest)["message"])
    trace = terminal(ingest)["error"]["traceback"]
    assert "test_script.py" in trace
    assert 'script.py", line' in trace.replace("test_script.py", "script.py")
    assert "streamer/" not in trace


def test_ctrl_c_is_cancelled_and_goes_on(ingest: FakeIngest) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, streamer.run("x"):
        signal.raise_signal(signal.SIGINT)
    assert not isinstance(caught.value, Cancelled)
    assert ("cancelled", "interrupted") == (terminal(ingest)["event"], terminal(ingest)["message"])


@pytest.mark.slow
def test_a_cancel_from_the_page_interrupts_the_script(ingest: FakeIngest) -> None:
    before = signal.getsignal(signal.SIGINT)

    def wait_for_cancel() -> None:
        ingest.requests = ("cancel",)
        threading.Event().wait(30)

    with pytest.raises(Cancelled), streamer.run("x"):
        wait_for_cancel()
    assert ("cancelled", "cancelled on request") == (terminal(ingest)["event"], terminal(ingest)["message"])
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.slow
def test_a_cancel_reaches_a_script_in_another_thread_when_it_reports(ingest: FakeIngest) -> None:
    ended: list[BaseException] = []

    def work() -> None:
        try:
            with streamer.run("x") as run:
                ingest.requests = ("cancel",)
                pause = threading.Event()
                for _ in run.track(range(10**9)):
                    pause.wait(0.01)
        except KeyboardInterrupt as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert [Cancelled] == [type(error) for error in ended]
    assert terminal(ingest)["event"] == "cancelled"


def test_nothing_is_left_behind(ingest: FakeIngest) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), signal.getsignal(signal.SIGINT))
    with streamer.run("x"):
        assert [t for t in threading.enumerate() if t.name.startswith("streamer-")]
    assert (root.level, list(root.handlers), signal.getsignal(signal.SIGINT)) == before
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("streamer-")])


def test_a_streamer_that_refuses_does_not_stop_the_code(
    ingest: FakeIngest, capsys: pytest.CaptureFixture[str]
) -> None:
    with streamer.run("x") as run:
        wait_until(lambda: ingest.of(kind="status"))
        ingest.refuse = (409, "run_ended", {})
        run.log.info("a")
        wait_until(lambda: "takes no more" in capsys.readouterr().err)
        assert list(run.track("ab")) == ["a", "b"]


# -- the one-liner -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_loop_is_a_run(ingest: FakeIngest) -> None:
    assert list(streamer.track([1, 2, 3], "Loading", unit="files")) == [1, 2, 3]
    assert terminal(ingest)["event"] == "complete"
    assert ingest.registered[0]["title"] == "Loading"
    assert [(3, 3, "files")] == [(e["done"], e["total"], e["unit"]) for e in ingest.of(kind="progress")]
    assert [("Loading", "started"), ("Loading", "finished")] == phases(ingest)


@pytest.mark.slow
def test_a_loop_without_a_description_is_called_as_the_program(
    ingest: FakeIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/somebody/load.py"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    list(streamer.track([1]))
    terminal(ingest)
    assert [ingest.registered[0][name] for name in ("title", "program")] == ["load.py", "load.py"]


@pytest.mark.slow
def test_a_loop_that_is_left_is_cancelled(ingest: FakeIngest) -> None:
    for item in streamer.track(range(10), "x"):
        if item == 3:
            break
    gc.collect()
    assert ("cancelled", "the loop was left before its end") == (
        terminal(ingest)["event"],
        terminal(ingest)["message"],
    )


def test_a_loop_that_is_never_begun_is_no_run(ingest: FakeIngest) -> None:
    streamer.track(range(10), "x")
    gc.collect()
    assert ingest.registered == []


def bars(ingest: FakeIngest) -> dict[str, dict[str, Any]]:
    """Return the bars of the first run, by name, as they were last."""
    return {bar["name"]: bar for event in ingest.of(kind="progress") for bar in event.get("bars", ())}


def counts(ingest: FakeIngest, phase: str) -> list[tuple[Any, Any]]:
    return [(one["done"], one["total"]) for one in ingest.of(kind="progress") if one["phase"] == phase]


@pytest.mark.slow
def test_a_loop_inside_a_loop_is_a_bar_of_the_same_run(ingest: FakeIngest) -> None:
    pause = threading.Event()
    for _ in streamer.track(range(2), "Folders"):
        for _ in streamer.track(range(3), "Files", unit="files"):
            pause.wait(0.08)
    assert "complete" == terminal(ingest)["event"]
    assert 1 == len(ingest.registered)
    assert {"Folders"} == {name for name, _ in phases(ingest)}
    assert ("Folders", 3, "files") == tuple(bars(ingest)["Files"][key] for key in ("phase", "total", "unit"))


@pytest.mark.slow
def test_loops_of_several_threads_are_phases_of_one_run_and_those_of_one_name_are_summed(
    ingest: FakeIngest,
) -> None:
    together = threading.Barrier(3)

    def work(name: str) -> None:
        for number in streamer.track(range(50), name):
            if number == 0:
                together.wait(20)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("Load", "Load", "Save")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "complete" == terminal(ingest)["event"]
    assert 1 == len(ingest.registered)
    assert [("Load", "finished"), ("Save", "finished")] == sorted(
        one for one in phases(ingest) if "finished" in one
    )
    assert ((100, 100), (50, 50)) == (counts(ingest, "Load")[-1], counts(ingest, "Save")[-1])


@pytest.mark.slow
def test_loops_that_follow_one_another_are_one_run(ingest: FakeIngest) -> None:
    for name in ("Load", "Fit"):
        for _ in streamer.track("abc", name):
            pass
    assert "complete" == terminal(ingest)["event"]
    assert [("Load", "finished"), ("Fit", "finished")] == [one for one in phases(ingest) if "finished" in one]
    assert ["Load"] == [one["title"] for one in ingest.registered]


def test_a_loop_inside_a_run_is_its_phase(ingest: FakeIngest) -> None:
    with streamer.run("Job"):
        assert ["a", "b"] == list(streamer.track("ab", "Letters"))
        assert [1, 2, 3] == list(streamer.track([1, 2, 3]))
    assert "complete" == terminal(ingest)["event"]
    assert [("Letters", "started"), ("Letters", "finished")] == phases(ingest)
    assert [(2, 2)] == counts(ingest, "Letters")


@pytest.mark.slow
def test_a_loop_of_unknown_length_says_so(ingest: FakeIngest) -> None:
    assert 10 == sum(1 for _ in streamer.track((n for n in range(10)), "Lines"))
    assert "complete" == terminal(ingest)["event"]
    assert (10, 10) == counts(ingest, "Lines")[-1]


@pytest.mark.slow
async def test_an_asynchronous_iterable_is_counted(ingest: FakeIngest) -> None:
    async def items() -> Any:
        for number in range(4):
            yield number

    assert [0, 1, 2, 3] == [number async for number in streamer.track(items(), "Rows", total=4)]
    assert "complete" == (await asyncio.to_thread(terminal, ingest))["event"]
    assert (4, 4) == counts(ingest, "Rows")[-1]


@pytest.mark.slow
async def test_loops_of_several_tasks_are_beside_each_other(ingest: FakeIngest) -> None:
    async def items(number: int) -> Any:
        for each in range(number):
            await asyncio.sleep(0)
            yield each

    async def work(name: str, number: int) -> int:
        return len([each async for each in streamer.track(items(number), name, total=number)])

    assert [3, 5] == await asyncio.gather(work("A", 3), work("B", 5))
    assert "complete" == (await asyncio.to_thread(terminal, ingest))["event"]
    assert ((3, 3), (5, 5)) == (counts(ingest, "A")[-1], counts(ingest, "B")[-1])


@pytest.mark.slow
def test_a_generator_that_is_closed_early_has_left_its_loop(ingest: FakeIngest) -> None:
    def numbers() -> Iterator[int]:
        yield from streamer.track(range(10), "x")

    generator = numbers()
    assert 0 == next(generator)
    generator.close()
    assert "cancelled" == terminal(ingest)["event"]
    assert ("x", "failed") == phases(ingest)[-1]


def test_a_loop_that_is_not_one_raises_at_once(ingest: FakeIngest) -> None:
    with pytest.raises(TypeError):
        streamer.track(3)  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "code", "end", "message"),
    [
        ("raise ValueError('bad item')", 1, "failed", "ValueError: bad item"),
        ("os.kill(os.getpid(), signal.SIGINT)", -2, "cancelled", "interrupted"),
        ("break", 0, "cancelled", "the loop was left before its end"),
        ("sys.exit(3)", 3, "cancelled", "the loop was left before its end"),
    ],
)
def test_a_loop_of_a_script_ends_as_the_script(
    body: str, code: int, end: str, message: str, ingest: FakeIngest, tmp_path: Path
) -> None:
    path = tmp_path / "job.py"
    path.write_text(
        f"import os, signal, sys, streamer\nfor n in streamer.track(range(9), 'Fit'):\n    {body}\n"
    )
    found = subprocess.run(
        [sys.executable, str(path)], env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False
    )
    assert code == found.returncode
    assert (end, message) == (terminal(ingest)["event"], terminal(ingest)["message"])


# -- functions ---------------------------------------------------------------------------------------------------------


def test_a_decorated_function_may_return_numbers_of_numpy_and_objects(ingest: FakeIngest) -> None:
    returned: list[Any] = [np.int64(42), {"mean": np.float32(0.5)}, object()]
    for value in returned:
        streamer.run("Return")(lambda value=value: value)()
    wait_until(lambda: len(ingest.registered) == 3)
    results = [terminal(ingest, one["run"])["result"] for one in ingest.registered]
    assert [42, None, {"mean": 0.5}] == sorted(results, key=str)


def test_each_call_of_a_decorated_function_is_a_run_with_its_result(ingest: FakeIngest) -> None:
    @streamer.run("Double")
    def double(number: int) -> dict[str, int]:
        """Double a number."""
        return {"doubled": sum(2 for _ in streamer.track(range(number), "Numbers"))}

    assert ("double", "Double a number.") == (double.__name__, double.__doc__)
    assert [{"doubled": 4}, {"doubled": 6}] == [double(2), double(3)]
    wait_until(lambda: len(ingest.registered) == 2)
    results = [terminal(ingest, one["run"])["result"] for one in ingest.registered]
    assert [{"doubled": 4}, {"doubled": 6}] == sorted(results, key=str)


def test_a_decorated_function_that_raises_has_failed(ingest: FakeIngest) -> None:
    @streamer.run("Bad")
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert "ValueError: no" == terminal(ingest)["message"]


async def test_coroutine_functions_and_generator_functions_are_decorated_too(ingest: FakeIngest) -> None:
    @streamer.run("Coroutine")
    async def later() -> int:
        await asyncio.sleep(0)
        return 7

    @streamer.run("Generator")
    def numbers() -> Iterator[int]:
        yield from (1, 2)

    assert (7, [1, 2]) == (await later(), list(numbers()))
    await asyncio.to_thread(wait_until, lambda: len(ingest.registered) == 2)
    ends = [await asyncio.to_thread(terminal, ingest, one["run"]) for one in ingest.registered]
    assert ["complete", "complete"] == [one["event"] for one in ends]


# -- log lines ---------------------------------------------------------------------------------------------------------


def test_what_is_logged_beside_the_text_is_kept_and_bounded(ingest: FakeIngest) -> None:
    with streamer.run("x"):
        extra = {"rows": 3, "path": Path("a/b"), "item": "r7"}
        logging.getLogger("other").warning("seen", extra=extra)
        logging.getLogger("other").warning("large", extra={"blob": "x" * 100_000})
        logging.getLogger("other").warning("plain")
    terminal(ingest)
    seen, large, plain = ingest.of(kind="log")
    assert ({"rows": 3, "path": "a/b"}, "r7") == (seen["fields"], seen["item"])
    assert "note" in large["fields"]
    assert "fields" not in plain


# -- without a streamer ------------------------------------------------------------------------------------------------


def test_without_a_streamer_the_code_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("STREAMER_URL", url)
    with streamer.run("x", phases=["a"]) as run, run.phase("a"):
        assert run.map(str, [1, 2]) == ["1", "2"]
        run.log.info("hello")
        run.message("there")
    leave()
    said = capsys.readouterr().err
    assert said.startswith(f"streamer: no streamer at {url} for this run: it waits on this machine")
    assert said.count("\n") == 1


def test_without_a_streamer_an_exception_is_raised_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ValueError, match="bad"), streamer.run("x"):
        raise ValueError("bad")
    assert list(streamer.track("ab", "x")) == ["a", "b"]


@pytest.mark.parametrize("mode", ["drop", "busy", "broken"])
def test_a_streamer_that_does_not_behave_is_none(
    mode: str, ingest: FakeIngest, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest.mode = lambda n: mode
    with streamer.run("x") as run:
        assert isinstance(run, Run)
    leave()
    assert "no streamer at" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://x", "http://["])
def test_an_address_that_is_none_does_not_stop_the_code(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with streamer.run("x", url=url):
        pass
    assert "this run is not shown" in capsys.readouterr().err


def test_settings_that_are_wrong_do_not_stop_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMER_PORT", "many")
    with streamer.run("x"):
        pass
    assert "STREAMER_PORT" in capsys.readouterr().err


def test_the_streamer_of_this_machine_is_found(own_data: Path) -> None:
    own_data.mkdir(parents=True)
    with FakeIngest() as ingest:
        (own_data / "streamer.json").write_text(json.dumps({"url": ingest.url, "pid": os.getpid()}))
        with streamer.run("x"):
            pass
        assert terminal(ingest)["event"] == "complete"


# -- phases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()),
        ([], ()),
        ({"a": 2, "b": 1.5}, (PhaseSpec("a", 2.0), PhaseSpec("b", 1.5))),
        (["a", "b"], (PhaseSpec("a"), PhaseSpec("b"))),
        ([("a", 2), PhaseSpec("b", 3)], (PhaseSpec("a", 2.0), PhaseSpec("b", 3))),
    ],
)
def test_phases_are_said_in_several_ways(given: Any, expected: tuple[PhaseSpec, ...]) -> None:
    assert _specs(given) == expected


@pytest.mark.parametrize("given", [{"a": 0}, {"a": float("nan")}, {"": 1}, ["a", "a"], [3], {"a": "x"}])
def test_phases_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="phases"), streamer.run("x", phases=given):
        pass


# -- a real script -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_script_that_is_killed_by_its_end_tells_all(ingest: FakeIngest, tmp_path: Path) -> None:
    path = tmp_path / "fit.py"
    path.write_text(
        "import sys, streamer\n"
        "for n in streamer.track(range(1000), 'Fit'): pass\n"
        "with streamer.run('Exit'):\n"
        "    sys.exit(3)\n"
    )
    found = subprocess.run(
        [sys.executable, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (3, 2) == (found.returncode, found.stderr.count("streamer: http")), found.stderr
    ends = {one["title"]: terminal(ingest, one["run"]) for one in ingest.registered}
    assert {"Fit": "complete", "Exit": "failed"} == {title: end["event"] for title, end in ends.items()}
    assert "exited with code 3" == ends["Exit"]["message"]


def test_the_name_run_is_the_function_whatever_was_imported_before() -> None:
    code = "import streamer, streamer.producer.worker, streamer.producer.scripts.script; assert callable(streamer.run)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "for _ in streamer.track(range(1000), 'Loop'): work()",
        "with streamer.run('Body'):\n    work()",
        "for _ in streamer.track((n for n in range(1000)), 'Generator'): work()",
    ],
)
def test_the_traceback_of_a_ctrl_c_ends_in_the_users_code(tmp_path: Path, body: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, threading, time\nimport streamer\n"
        "def work():\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(30)\n" + body
    )
    ended = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "STREAMER_DATA": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    trace = ended.stderr.partition("Traceback")[2].partition("KeyboardInterrupt\n")[0]
    assert "in work" in trace
    assert str(ROOT / "streamer") not in trace
    assert "no streamer uses the data folder" in ended.stderr
