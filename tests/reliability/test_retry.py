"""Retry is exact: a linked run of exactly the failed items, whatever their names, their order and their number."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.model.bounds import bounded
from streamer.model.events import (
    Completed,
    ErrorInfo,
    Event,
    ItemFailed,
    Logged,
    RunCancelled,
    RunFailed,
    Unreached,
    decode_event,
    encode_event,
)
from streamer.model.text.cleaning import cleaned
from streamer.producer.cancellation import Cancelled
from streamer.producer.run import Run
from streamer.protocol.failed_items import FailedItems, write
from streamer.server.execution.base import Exit
from streamer.server.log.base import Draft
from streamer.server.runs.retry import NotRetryable
from tests.api_support import error_of, running
from tests.pipeline_files import write as pipeline_file
from tests.server.runs.test_runs import Bench
from tests.server.test_survival import with_processes
from tests.support import wait_until_async

PIPELINES = str(Path(__file__).with_name("pipelines.py"))
#: Few of them, so that names occur more than once; some that are cut to the same, and some that are awkward to store.
LONG = "x" * 300
NAMES = st.sampled_from(
    [
        "",
        "a",
        "A",
        " a",
        "a\n",
        '"',
        "\\",
        "é",
        "é",
        "🎈",
        "\ud800",
        "\\ud800",
        "\0",
        f"{LONG}1",
        f"{LONG}2",
        LONG,
    ]
) | st.text(max_size=400)
PHASES = ("load", "check")
_ERROR = ErrorInfo("ValueError", "as told")
_DONE = Completed()
_LEFT = Exit(code=0)


class Work:
    """Runs maps in phases, as a pipeline does, and remembers what was worked on and what was reported."""

    def __init__(self, again: FailedItems | None = None) -> None:
        self.events: list[Event] = []
        self.done: Counter[tuple[str, str]] = Counter()
        self.run = Run(lambda event, _: self.events.append(event))
        if again is not None:
            self.run.retry(again)

    def map(self, phase: str, names: list[str], failing: Counter[str]) -> None:
        left = Counter(failing)

        def work(name: str) -> None:
            self.done[phase, name] += 1
            if left[name] > 0:
                left[name] -= 1
                raise ValueError(name)

        with self.run.phase(phase):
            self.run.map(work, names, on_error="collect")

    def failures(self) -> list[ItemFailed]:
        """Return the failed items as the log has them."""
        stored = [decode_event(encode_event(bounded(cleaned(event)))) for event in self.events]
        return [event for event in stored if isinstance(event, ItemFailed)]


@st.composite
def works(draw: st.DrawFn) -> dict[str, tuple[list[str], Counter[str], list[str]]]:
    """Draw for each phase its items, how often which of them fail, and the items in another order."""
    drawn = {}
    for phase in PHASES:
        names = draw(st.lists(NAMES, max_size=12))
        failing = Counter(draw(st.lists(st.sampled_from(names), max_size=6))) if names else Counter()
        drawn[phase] = names, failing & Counter(names), draw(st.permutations(names))
    return drawn


@given(works())
def test_a_retry_works_on_exactly_the_items_that_failed(tmp_path_factory, drawn):
    first = Work()
    for phase, (names, failing, _) in drawn.items():
        first.map(phase, names, failing)
    path = tmp_path_factory.mktemp("retry") / "run.jsonl"
    assert sum(failing.total() for _, failing, _ in drawn.values()) == write(path, [first.failures()])
    again = Work(FailedItems.read(path))
    for phase, (_, _, others) in drawn.items():
        again.map(phase, others, Counter())
    expected: Counter[tuple[str, str]] = Counter()
    for phase, (names, failing, _) in drawn.items():
        # A phase in which nothing failed runs as always.
        expected.update({(phase, name): n for name, n in (failing or Counter(names)).items()})
    assert expected == again.done


def test_items_that_do_not_come_up_again_are_named_in_a_warning():
    failed = FailedItems()
    for item in ("gone", "gone", "here"):
        failed.add("load", item)
    again = Work(failed)
    again.map("load", ["here", "new", "gone"], Counter())
    assert Counter({("load", "here"): 1, ("load", "gone"): 1}) == again.done
    (line,) = [event for event in again.events if getattr(event, "level", "") == "WARNING"]
    assert "1 of the items that failed in phase load did not come up again: 'gone'" == line.message


@pytest.mark.parametrize(("on_error", "workers"), [("collect", 0), ("raise", 0), ("collect", 2)])
def test_a_run_that_ends_early_says_what_it_never_reached_and_its_rest_is_done(on_error, workers):
    first = Work()

    def work(name: str) -> str:
        if name == "2":
            raise ValueError(name)
        if name == "6" and on_error == "collect":
            raise Cancelled
        return name

    with suppress(Cancelled, ValueError), first.run:
        with first.run.phase("small"):
            first.run.map(str, ["a", "b"])
        with first.run.phase("load"):
            first.run.map(str, ["x", "y"])
            first.run.map(work, map(str, range(10)), total=10, on_error=on_error, workers=workers)
    (end,) = [event for event in first.events if isinstance(event, RunCancelled | RunFailed)]
    reached = 6 if on_error == "collect" else 2
    assert (Unreached("load", 2 + reached, 12),) == end.unreached
    again = FailedItems()
    again.add("load", "2")
    again.add_rest("load", 2 + reached)
    rest = Work(again)
    with rest.run.phase("load"):
        assert [] == rest.run.map(str, ["x", "y"])
        done = rest.run.map(str, map(str, range(10)), on_error=on_error, workers=workers)
    left = [str(number) for number in range(reached, 10)]
    assert (["2", *left] if reached > 2 else left) == done


def test_a_map_that_stops_at_the_first_error_and_a_loop_run_as_always():
    failed = FailedItems()
    failed.add("load", "2")
    again = Work(failed)
    with again.run.phase("load"):
        assert [1, 2, 3] == again.run.map(int, ["1", "2", "3"])
        assert ["1", "2"] == list(again.run.track(["1", "2"]))
    # It says so, and no item is missed.
    lines = [event.message for event in again.events if isinstance(event, Logged)]
    assert [
        'phase load does all of its items again, not only the 1 that failed: on_error="raise" ended it there'
    ] == lines


def test_the_progress_of_a_retry_counts_the_failed_items_alone():
    failed = FailedItems()
    for item in ("2", "4"):
        failed.add("load", item)
    again = Work(failed)
    with again.run.phase("load"):
        assert [2, 4] == again.run.map(int, map(str, range(10)), on_error="collect")
        again.run.sample()
    last = [event for event in again.events if getattr(event, "total", None)][-1]
    assert (2, 2, 2) == (last.done, last.total, last.results.success)


@pytest.mark.slow
def test_a_million_items_with_fifty_thousand_failed_ones_are_done_again(tmp_path):
    path = tmp_path / "run.jsonl"
    failed = [ItemFailed(item=f"item {n}", phase="load", error=_ERROR) for n in range(0, 1_000_000, 20)]
    assert 50_000 == write(path, [failed])
    again = Work(FailedItems.read(path))
    with again.run.phase("load"):
        results = again.run.map(
            lambda n: n, range(1_000_000), on_error="collect", label=lambda n: f"item {n}"
        )
    assert list(range(0, 1_000_000, 20)) == results


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    await bench.open()
    yield bench
    await bench.close()


async def failed_run(bench: Bench, items: list[str]) -> str:
    """Return a run that is complete but for those items."""
    state = await bench.runs.start("Count", {"n": 7})
    spec, process = await bench.worker(len(bench.backend.started))
    drafts = [Draft(ItemFailed(item=item, phase="count", error=_ERROR), 1000.0) for item in items]
    await bench.runs.ingest(state.run, spec.token, [*drafts, Draft(_DONE, 1001.0)], 1)
    process.end(_LEFT)
    await bench.until(state.run, "complete")
    return state.run


async def test_both_runs_know_of_each_other_also_after_a_restart(bench):
    old = await failed_run(bench, ["1", "2"])
    new = (await bench.runs.retry(old, owner="bob")).run
    spec, _ = await bench.worker(1)
    assert {("count", "1"), ("count", "2")} == {
        (phase, item) for phase in ("count",) for item in FailedItems.read(Path(spec.retry)).names_left(phase)
    }
    for _ in range(2):
        states = await bench.runs.state(old), await bench.runs.state(new)
        assert ((new,), None) == (states[0].retried_by, states[0].retry_of)
        assert (old, "failed", {"n": 7}) == (
            states[1].retry_of,
            states[1].retry_items,
            {"n": states[1].parameters["n"]},
        )
        assert [(new,)] == [state.retried_by for state in bench.log.runs() if state.run == old]
        await bench.close()
        await bench.open()


async def test_of_failed_items_that_are_not_all_kept_none_are_done_again(bench):
    old = await failed_run(bench, ["1", "2", "3"])
    bench.log._db.execute(
        "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries WHERE kind = 'failure')"
    )
    with pytest.raises(NotRetryable, match=r"of the 3 failed items .* 2 are kept"):
        await bench.runs.retry(old)
    assert [] == list((bench.settings.data / "retry").iterdir())
    assert {"complete": 1} == bench.log.counts()


async def test_what_was_kept_for_a_retry_goes_with_its_run(bench):
    new = await bench.runs.retry(await failed_run(bench, ["1"]))
    spec, process = await bench.worker(1)
    await bench.runs.ingest(new.run, spec.token, [Draft(_DONE, 1001.0)], 1)
    kept = bench.settings.data / "retry"
    assert 1 == len(list(kept.iterdir()))
    process.end(_LEFT)
    await bench.until(new.run, "complete")
    await bench.runs.start("Count", {})
    await bench.worker(2)
    assert [] == list(kept.iterdir())


async def test_a_retry_that_was_cancelled_in_the_queue_keeps_nothing(tmp_path):
    bench = Bench(tmp_path, max_runs=1)
    await bench.open()
    old = await failed_run(bench, ["1"])
    await bench.runs.start("Count", {})
    new = await bench.runs.retry(old)
    await bench.runs.cancel(new.run)
    assert [] == list((tmp_path / "retry").iterdir())
    await bench.close()


async def test_what_cannot_be_run_again_is_refused_with_a_sentence(tmp_path):
    async with running(tmp_path) as api:
        external = await api.register()
        await external.complete()
        error = error_of(await api.http.post(f"{external.path}/retry"), 409, "not_retryable")
        assert "executed by somebody else" in error["message"]
        ours = await api.started()
        error_of(await api.http.post(f"{ours.path}/retry"), 409, "run_not_over")
        await ours.complete()
        error_of(await api.http.post(f"{ours.path}/retry"), 409, "nothing_failed")
        error_of(await api.http.post("/api/runs/nobody/retry"), 404, "not_found")
        error_of(await api.http.post(f"{ours.path}/retry", json={"items": "some"}), 422, "invalid")
        changed = {"items": "all", "parameters": {"n": 0}}
        error_of(await api.http.post(f"{ours.path}/retry", json=changed), 422, "invalid")


async def test_everything_is_done_again_with_parameters_changed(tmp_path):
    async with running(tmp_path) as api:
        old = await api.started(n=5, kind="b")
        await old.complete()
        answer = await api.http.post(f"{old.path}/retry", json={"items": "all", "parameters": {"n": 6}})
        assert 201 == answer.status_code
        handle = await api.handle(answer.json()["run"])
        assert (6, "b", "") == (*(handle.spec.parameters[name] for name in ("n", "kind")), handle.spec.retry)


@pytest.mark.slow
async def test_a_retry_of_a_real_run_does_what_failed_and_can_be_done_again_itself(tmp_path):
    names = ["one", "two", "two", "<b>", "n\n", f"{LONG}1", f"{LONG}2", "é"]
    failing: dict[str, Any] = {"two": 1, "<b>": 1, f"{LONG}2": 1}
    async with with_processes(tmp_path, pipelines=(PIPELINES,)) as api:
        run = await api.start(
            "Loads", names=names, failing=failing, others=["x", "y"], others_failing={"y": 1}
        )
        state = await api.status(run, "complete")
        assert {"success": 6, "failed": 4} == state["results"]
        spec = {"parameters": {"failing": {"<b>": 1}, "others_failing": {}}}
        second = (await api.http.post(f"/api/runs/{run}/retry", json=spec)).json()["run"]
        state = await api.status(second, "complete")
        assert {"success": 3, "failed": 1} == state["results"]
        assert (run, [second]) == (state["retryOf"], (await api.state(run))["retriedBy"])
        third = (
            await api.http.post(f"/api/runs/{second}/retry", json={"parameters": {"failing": {}}})
        ).json()["run"]
        # Nothing of the second phase failed in the second run: it runs as always.
        assert {"success": 3, "failed": 0} == (await api.status(third, "complete"))["results"]
    async with with_processes(tmp_path):
        # What a run kept that ended while no streamer was there goes when one is.
        assert [] == list((tmp_path / "data" / "retry").iterdir())


@pytest.mark.slow
async def test_the_rest_of_a_cancelled_run_is_offered_and_done(tmp_path):
    before = f"""
        import time
        from pathlib import Path
        class Stops(Pipeline):
            @phase
            def load(self):
                return {{"done": self.map(self.item, range(20), on_error="collect")}}
            def item(self, number):
                if number == 3 and not Path({str(tmp_path / "go")!r}).exists():
                    raise ValueError("no date")
                while number == 8 and not Path({str(tmp_path / "go")!r}).exists():
                    self.message("waits")
                    time.sleep(0.01)  # the item waits for a file of the test
                return number
    """
    path = pipeline_file(tmp_path / "jobs.py", "Fine", before=before)
    async with with_processes(tmp_path, pipelines=(path,)) as api:
        run = await api.start("Stops")

        async def waits() -> bool:
            return (await api.state(run))["message"] == "waits" or (await api.state(run))["done"] == 8

        await wait_until_async(waits)
        await api.http.post(f"/api/runs/{run}/cancel")
        state = await api.status(run, "cancelled")
        assert [{"phase": "load", "reached": 8, "total": 20}] == state["unreached"]
        (tmp_path / "go").write_text("")
        answer = await api.http.post(f"/api/runs/{run}/retry", json={"items": "rest"})
        assert 201 == answer.status_code, answer.text
        state = await api.status(answer.json()["run"], "complete")
        assert {"done": [3, *range(8, 20)]} == state["result"]
        assert ("rest", run, 13) == (state["retryItems"], state["retryOf"], state["total"])
        # Nothing is left of this one.
        error_of(
            await api.http.post(f"/api/runs/{state['run']}/retry", json={"items": "rest"}),
            409,
            "nothing_left",
        )
