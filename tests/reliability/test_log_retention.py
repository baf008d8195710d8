"""What a log need not keep goes in slices; what stays is never presented as the whole."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamer.client.client import Client
from streamer.model.events import (
    Completed,
    ErrorInfo,
    ItemFailed,
    Logged,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    StatusChanged,
)
from streamer.model.state import RunState, encode_state
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import read_frame
from streamer.server.log import retention
from streamer.server.log.base import Draft, EntriesGone, UnknownRun
from streamer.server.log.retention import Retention
from streamer.server.log.salvage import salvage
from streamer.server.log.sqlite import SqliteLog
from tests.api_support import data_of, running
from tests.support import FakeClock, wait_until

Open = Callable[..., SqliteLog]


@pytest.fixture
def clock():
    return FakeClock(1_000_000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "log.sqlite"


@pytest.fixture
def open_log(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that opens the log, with what it is to keep; slices are small, and follow at once."""
    monkeypatch.setattr(retention, "_SLICE", 7)
    monkeypatch.setattr("streamer.server.log.writer._BETWEEN_SLICES", 0.001)
    opened: list[SqliteLog] = []

    def open_(**keep: float) -> SqliteLog:
        opened.append(
            SqliteLog(path, commit_seconds=0.0, keep=Retention(**keep), tend_seconds=0.01, now=clock)
        )
        return opened[-1]

    yield open_
    for log in opened:
        log.close()


def begin(log: SqliteLog, run: str) -> None:
    first = StatusChanged(status="running", title=run, phases=(PhaseSpec("load"),))
    log.create(run, [Draft(first, 1000.0)], note=b"{}").result(10)


def work(log: SqliteLog, run: str, steps: int = 40) -> None:
    """Append of every kind of event, progress the most."""
    drafts = [Draft(PhaseChanged(phase="load", phase_status="started"), 1000.0)]
    for step in range(1, steps + 1):
        time = 1000.0 + step
        drafts.append(Draft(Progressed(phase="load", done=step * step, total=steps * steps), time))
        if step % 10 == 0:
            drafts.append(Draft(Logged(message=f"line {step}"), time))
            drafts.append(Draft(ItemFailed(item=f"item {step}", error=ErrorInfo("E")), time))
    log.append(run, drafts).result(10)


def end(log: SqliteLog, run: str) -> RunState:
    return log.append(run, [Draft(Completed(), 2000.0)]).result(10).state


def kinds(path: Path, run: str) -> list[str]:
    with sqlite3.connect(path) as db:
        rows = db.execute(
            "SELECT kind FROM entries JOIN runs ON run = key WHERE id = ? ORDER BY offset", (run,)
        ).fetchall()
    db.close()
    return [row[0] for row in rows]


def test_progress_of_a_run_that_is_over_is_compacted_and_its_plot_is_the_same(open_log, path, clock):
    log = open_log(compact_seconds=60.0)
    begin(log, "r1")
    work(log, "r1")
    before = end(log, "r1")
    lines, failures = log.lines("r1"), log.failures("r1")
    clock.advance(61)
    wait_until(lambda: "progress" not in kinds(path, "r1"))
    stored = log.run("r1").state
    assert stored.phases[0].curve.points
    assert encode_state(before) == encode_state(stored)
    assert (lines, failures) == (log.lines("r1"), log.failures("r1"))
    assert ["status", "phase", *["log", "failure"] * 4, "complete"] == kinds(path, "r1")


def test_a_place_among_compacted_entries_is_refused_and_one_behind_them_is_not(open_log, path, clock):
    log = open_log(compact_seconds=60.0)
    for run in ("r1", "r2"):
        begin(log, run)
        work(log, run)
    over = end(log, "r1")
    clock.advance(61)
    wait_until(lambda: "progress" not in kinds(path, "r1"))
    for run, after in (("r1", 0), ("r1", 10), (None, 0)):
        assert not log.holds(run, after)
        with pytest.raises(EntriesGone):
            log.read(after, limit=10, run_id=run)
    assert log.holds("r1", over.offset - 1)
    assert ["complete"] == [one.kind for one in log.read(over.offset - 1, limit=10)]
    # One that is under way keeps everything.
    assert log.holds("r2", 0)
    assert log.run("r2").state.seq == len(log.read(0, limit=1000, run_id="r2"))
    assert "progress" in kinds(path, "r2")


def test_what_was_removed_is_known_after_a_restart_and_what_was_begun_is_finished(open_log, path, clock):
    log = open_log(seconds=60.0)
    begin(log, "r1")
    work(log, "r1", steps=300)
    end(log, "r1")
    clock.advance(61)
    wait_until(lambda: log.run("r1") is None)
    log.close()
    log = open_log()
    assert not log.holds(None, 0)
    with sqlite3.connect(path) as db:
        wait_until(
            lambda: not db.execute("SELECT count(*) FROM entries WHERE kind != 'removed'").fetchone()[0]
        )
        wait_until(lambda: not db.execute("SELECT count(*) FROM doomed").fetchone()[0])
    db.close()
    begin(log, "r2")
    assert log.head() == log.run("r2").state.offset > 300


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ({}, {"r1", "r2", "r3", "live"}),
        ({"seconds": 150.0}, {"r2", "r3", "live"}),
        ({"runs": 1}, {"r3", "live"}),
        ({"bytes": 20_000}, {"r3", "live"}),
        ({"seconds": 150.0, "runs": 3, "bytes": 10**9}, {"r2", "r3", "live"}),
    ],
)
def test_runs_that_are_over_go_by_age_number_and_bytes_and_the_others_stay(open_log, clock, keep, left):
    log = open_log(**keep)
    begin(log, "live")
    for run in ("r1", "r2", "r3"):
        begin(log, run)
        work(log, run)
        end(log, run)
        clock.advance(60)
    names = lambda: {state.run for state in log.runs()}  # noqa: E731
    wait_until(lambda: names() == left)
    log.append("live", [Draft(Logged(message="goes on"), 3000.0)]).result(10)
    assert left == names()
    for run in {"r1", "r2", "r3"} - left:
        assert log.run(run) is None
        assert isinstance(log.append(run, [Draft(Completed(), 1.0)]).exception(10), UnknownRun)


def test_the_bytes_of_a_run_are_those_of_its_entries(open_log, path, clock):
    log = open_log(compact_seconds=60.0)
    begin(log, "r1")
    work(log, "r1")
    end(log, "r1")
    told = "SELECT bytes, (SELECT sum(length(body)) FROM entries WHERE run = key) FROM runs"
    with sqlite3.connect(path) as db:
        whole = db.execute(told).fetchone()
        clock.advance(61)
        wait_until(lambda: "progress" not in kinds(path, "r1"))
        compacted = db.execute(told).fetchone()
    db.close()
    assert whole[0] == whole[1] > compacted[0] == compacted[1] > 0


async def test_readers_of_what_is_gone_are_told(open_log, path, clock, tmp_path):
    log = open_log(compact_seconds=60.0)
    begin(log, "r1")
    work(log, "r1")
    state = end(log, "r1")
    clock.advance(61)
    wait_until(lambda: "progress" not in kinds(path, "r1"))
    epoch = log.epoch
    log.close()
    async with running(tmp_path) as api:
        for place in ("from=start", f"last_event_id={epoch}-5"):
            async with api.stream(f"/api/runs/r1/events?{place}") as stream:
                frames = await stream.rest()
            assert ["reset", "snapshot"] == [frame.event for frame in frames]
            assert "does not hold all" in data_of(frames[0])["reason"]
            assert state.seq == data_of(frames[1])["lastSeq"]
            async with api.stream(f"/api/events?{place}") as stream:
                assert ["reset", "snapshot"] == [frame.event for frame in await stream.take(2)]
        async with api.stream(f"/api/runs/r1/events?last_event_id={epoch}-{state.offset - 1}") as stream:
            assert ["complete"] == [frame.event for frame in await stream.rest()]
        assert epoch == api.streamer.log.epoch


def two_of_which_one_is_kept(log, clock):
    """Have two runs end in a log that keeps one, and wait until the first is removed."""
    for run in ("r1", "r2"):
        begin(log, run)
        end(log, run)
        clock.advance(1)
    wait_until(lambda: log.run("r1") is None)


def test_that_a_run_was_removed_stands_among_the_entries_of_all(open_log, path, clock):
    log = open_log(runs=1)
    two_of_which_one_is_kept(log, clock)
    begin(log, "r3")
    assert ["complete", "removed", "status"] == [one.kind for one in log.read(3, limit=10)]
    assert [4, 5, 6] == [one.offset for one in log.read(3, limit=10)]
    assert (6, []) == (
        log.head(),
        [one for one in log.read(0, limit=10, run_id="r2") if one.kind == "removed"],
    )
    epoch = log.epoch
    log.close()
    assert (6, epoch) == ((again := open_log()).head(), again.epoch)


def test_who_was_away_for_longer_than_removals_are_kept_begins_anew(open_log, clock, monkeypatch):
    monkeypatch.setattr(retention, "_WORDS_KEPT", 2)
    log = open_log(seconds=60.0)
    for number in range(5):
        begin(log, f"r{number}")
        end(log, f"r{number}")
    clock.advance(61)
    wait_until(lambda: not log.runs())
    assert [14, 15] == [one.offset for one in log.read(13, limit=10)]
    assert not log.holds(None, 12)


async def test_who_follows_all_runs_is_told_of_one_that_was_removed_there_or_away(tmp_path, monkeypatch):
    monkeypatch.setitem(SqliteLog.__init__.__kwdefaults__, "tend_seconds", 0.01)
    async with running(tmp_path, keep_runs=1) as api, Client(api.streamer.url) as client:
        first = await api.register("first")
        await first.complete()
        cursor = str(Cursor(api.streamer.log.epoch, api.streamer.log.head()))
        async with api.stream("/api/events") as there, client.follow() as following:
            await there.take(1)
            await anext(following)
            second = await api.register("second")
            await second.complete()
            frames = await there.take(4)
            assert ["status", "status", "complete", "removed"] == [frame.event for frame in frames]
            assert {"run": first.run, "event": "removed"} == {
                k: data_of(frames[3])[k] for k in ("run", "event")
            }
            told = [await anext(following) for _ in range(4)][-1]
            assert first.run == told.run_id
            assert told == read_frame(frames[3])
        async with api.stream(f"/api/events?last_event_id={cursor}") as away:
            assert frames == await away.take(4)
        async with client.entries(cursor=cursor) as entries:
            third = asyncio.create_task(api.register("third"))
            runs = [(await anext(entries)).run_id for _ in range(4)]
            assert [*[second.run] * 3, (await third).run] == runs


def test_a_place_in_the_middle_of_a_run_that_was_removed_is_refused(open_log, clock):
    log = open_log(seconds=60.0)
    begin(log, "r1")
    work(log, "r1")
    over = end(log, "r1")
    clock.advance(61)
    wait_until(lambda: log.run("r1") is None)
    for after in (1, over.offset - 1):
        assert not log.holds("r1", after)
        with pytest.raises(EntriesGone):
            log.read(after, limit=10, run_id="r1")


def test_what_was_removed_does_not_come_back_when_the_log_is_salvaged(open_log, path, clock, monkeypatch):
    monkeypatch.setattr("streamer.server.log.writer._BETWEEN_SLICES", 60.0)
    log = open_log(seconds=60.0)
    for run in ("r1", "r2"):
        begin(log, run)
    end(log, "r1")
    clock.advance(61)
    wait_until(lambda: log.run("r1") is None)
    log.close()
    salvaged = salvage(path, head=log.head(), stamp="now")
    assert (1, 1) == (salvaged.runs, salvaged.entries)
    assert ["r2"] == [state.run for state in open_log().runs()]


async def test_a_run_that_was_removed_is_not_found(open_log, path, clock, tmp_path):
    log = open_log(runs=1)
    two_of_which_one_is_kept(log, clock)
    log.close()
    async with running(tmp_path) as api:
        for part in ("", "/events", "/log", "/failures"):
            assert 404 == (await api.http.get(f"/api/runs/r1{part}")).status_code
        assert ["r2"] == [one["run"] for one in (await api.http.get("/api/runs")).json()["runs"]]
