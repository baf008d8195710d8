"""What is particular to the log in SQLite: its file, its versions, and what happens when it cannot be written."""

from __future__ import annotations

import sqlite3

import pytest

from streamer.model.events import Completed, ErrorInfo, ItemFailed, Logged, StatusChanged
from streamer.server.log import queries, run_states
from streamer.server.log.base import Draft, LogUnavailable
from streamer.server.log.sqlite import SqliteLog
from streamer.server.log.tables import SCHEMA_VERSION, LogVersionError
from tests.support import ROOT


@pytest.fixture
def log(tmp_path):
    log = SqliteLog(tmp_path / "log.sqlite", commit_seconds=0.0)
    yield log
    log.close()


FIRST = [Draft(StatusChanged(status="queued", title="t"), 1000.0)]
LINE = [Draft(Logged(message="a"), 1001.0)]


def test_a_log_of_a_newer_version_is_refused_with_a_sentence(tmp_path, log):
    log.close()
    with sqlite3.connect(tmp_path / "log.sqlite") as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(LogVersionError, match=f"schema version {SCHEMA_VERSION + 1}; this version"):
        SqliteLog(tmp_path / "log.sqlite")


def test_a_file_that_is_no_log_is_refused(tmp_path):
    (tmp_path / "log.sqlite").write_text("not a database, but long enough to look like one " * 100)
    with pytest.raises(LogUnavailable, match="cannot open the log"):
        SqliteLog(tmp_path / "log.sqlite")


#: As version 1 made it.
VERSION_1 = (ROOT / "tests" / "vectors" / "log-v1.sql").read_text()


def test_a_log_of_version_1_is_brought_to_this_one_and_a_copy_is_kept(tmp_path):
    path = tmp_path / "log.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
    db.close()
    log = SqliteLog(path, commit_seconds=0.0)
    assert ["live", "over"] == [state.run for state in log.runs()]
    assert ["20 of 20 items", "häß 😀"] == [line.event.message for line in log.lines("over")]
    assert ["7"] == [entry.event.item for entry in log.failures("over")]
    assert {"running": 1, "complete": 1} == log.counts()
    assert all(log.holds(run, 0) for run in ("over", "live", None))
    assert 4 == log.append("live", LINE, first_seq=4).result(10).acknowledged
    told = log._db.execute("SELECT id, ended, bytes > 0, gap, compact FROM runs ORDER BY key").fetchall()
    assert [("over", 1795394634.026, 1, 0, 0), ("live", None, 1, 0, 0)] == told
    fresh = SqliteLog(tmp_path / "fresh" / "log.sqlite")
    columns = "SELECT m.name, p.name, p.type FROM sqlite_master m JOIN pragma_table_info(m.name) p ORDER BY 1, p.cid"
    assert fresh._db.execute(columns).fetchall() == log._db.execute(columns).fetchall()
    fresh.close()
    log.close()
    with sqlite3.connect(tmp_path / "log.v1.sqlite") as db:
        assert VERSION_1.strip() == "\n".join(db.iterdump()).strip() + "\nPRAGMA user_version = 1;"
    db.close()


def test_where_no_copy_can_be_kept_the_old_log_stays_as_it_is(tmp_path):
    path = tmp_path / "log.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
    db.close()
    (tmp_path / "log.v1.part" / "in the way").mkdir(parents=True)
    with pytest.raises(LogUnavailable, match="cannot open the log"):
        SqliteLog(path)
    with sqlite3.connect(path) as db:
        assert (1,) == db.execute("PRAGMA user_version").fetchone()
    db.close()


def test_a_database_of_somebody_else_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "log.sqlite") as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(LogVersionError):
        SqliteLog(tmp_path / "log.sqlite")


def test_while_another_process_holds_the_file_nothing_is_stored_and_then_it_goes_on(tmp_path, log):
    log.create("r1", FIRST, note=b"").result(10)
    log._db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogUnavailable, match="locked"):
        log.append("r1", LINE, first_seq=1).result(10)
    with pytest.raises(LogUnavailable):
        log.create("r2", FIRST, note=b"").result(10)
    with pytest.raises(LogUnavailable):
        log.check().result(10)
    assert "cannot write the log: database is locked" == log.trouble()
    other.execute("ROLLBACK")
    other.close()
    stored = log.append("r1", LINE, first_seq=1).result(10)
    assert log.trouble() is None
    assert (1, 2, 2) == (stored.acknowledged, stored.state.seq, stored.entries[0].offset)
    assert log.run("r2") is None
    log.create("r2", FIRST, note=b"").result(10)


def test_a_disk_that_is_full_loses_nothing_that_was_acknowledged(log):
    log.create("r1", FIRST, note=b"").result(10)
    pages = log._db.execute("PRAGMA page_count").fetchone()[0]
    log._db.execute(f"PRAGMA max_page_count = {pages + 10}")
    large = [Draft(Logged(message="x" * 5000), 1.0)]
    attempts = (log.append("r1", large, first_seq=number).exception(10) for number in range(1, 1000))
    stored, error = next((n, error) for n, error in enumerate(attempts) if error is not None)
    assert stored > 0
    assert isinstance(error, LogUnavailable)
    assert "full" in str(error)
    log._db.execute("PRAGMA max_page_count = 100000")
    assert stored + 1 == log.append("r1", LINE, first_seq=stored + 1).result(10).acknowledged
    assert stored + 1 == len(log.lines("r1", limit=1000))
    assert list(range(1, stored + 3)) == [
        seq for (seq,) in log._db.execute("SELECT seq FROM entries WHERE run = 1 ORDER BY seq")
    ]


def test_states_of_runs_that_are_over_do_not_fill_the_memory(log, monkeypatch):
    monkeypatch.setattr("streamer.server.log.run_states._STATES_KEPT", 5)

    for number in range(20):
        log.create(f"r{number}", [*FIRST, Draft(Completed(), 1001.0)], note=b"").result(10)
    log.create("last", FIRST, note=b"").result(10)
    assert len(log._states) <= 6
    assert "complete" == log.run("r0").state.status


def test_requests_share_a_commit(tmp_path):
    commits = []
    log = SqliteLog(tmp_path / "log.sqlite", commit_seconds=0.05)
    log.set_listener(lambda batches: commits.append(len(batches)))
    log.create("r1", FIRST, note=b"").result(10)
    futures = [log.append("r1", LINE) for _ in range(200)]
    for future in futures:
        future.result(10)
    log.close()
    assert 201 == sum(commits)
    assert len(commits) < 50


def test_an_event_that_cannot_be_stored_takes_no_other_with_it(log, monkeypatch):
    log.create("r1", FIRST, note=b"").result(10)
    log.create("r2", FIRST, note=b"").result(10)

    real = run_states.encode_event

    def encode(event):
        if getattr(event, "message", "") == "poison":
            raise RecursionError("too deep")
        return real(event)

    monkeypatch.setattr(run_states, "encode_event", encode)
    good = [log.append("r1", LINE) for _ in range(5)]
    bad = log.append("r2", [Draft(Logged(message="poison"), 1.0)])
    good += [log.append("r1", LINE) for _ in range(5)]
    assert "too deep" in str(bad.exception(10))
    assert all(future.exception(10) is None for future in good)
    assert 10 == len(log.lines("r1"))
    assert [] == log.lines("r2")


@pytest.mark.parametrize("forward", [False, True])
def test_a_search_of_a_long_log_stops_and_goes_on_until_it_has_looked_at_all(log, monkeypatch, forward):
    monkeypatch.setattr(queries, "_LINES_PER_SEARCH", 10)
    log.create("r1", FIRST, note=b"").result(10)
    log.append("r1", [Draft(Logged(message=f"{n % 7 == 0} {n}"), 1.0) for n in range(95)]).result(10)
    found, pages, place = [], 0, {"after": 0} if forward else {}
    while place is not None:
        page = log.search("r1", "true", limit=50, **place)
        assert len(page.lines) <= 2
        found += page.lines
        pages += 1
        place = None if page.reached is None else {"after" if forward else "before": page.reached}
    assert 10 == pages
    assert [f"True {n}" for n in range(0, 95, 7)] == sorted(
        (line.event.message for line in found), key=lambda text: int(text[5:])
    )


@pytest.mark.slow
def test_what_a_page_asks_when_it_opens_costs_the_same_of_a_long_log_as_of_a_short_one(log):
    for run, lines in (("short", 300), ("long", 30_000)):
        log.create(run, FIRST, note=b"").result(10)
        for start in range(0, lines, 100):
            batch = [Draft(Logged(message=f"line {n}"), 2.0) for n in range(start, start + 100)]
            batch += [Draft(Logged(message="odd", level="ERROR"), 2.0)] if start == 0 else []
            failed = [
                Draft(ItemFailed(item=f"item {n}", error=ErrorInfo("E")), 2.0)
                for n in range(start, start + 50)
            ]
            log.append(run, batch + failed)
        log.append(run, [Draft(Completed(), 3.0)]).result(60)

    def steps(run: str) -> int:
        with log._queries.reading() as db:
            pass
        counted = []
        db.set_progress_handler(lambda: counted.append(1), 100)
        (
            log.run(run),
            log.lines(run, limit=200),
            log.failures(run, limit=100),
            log.runs(limit=50),
            log.counts(),
        )
        log.lines(run, level=40)
        log.lines(run, before=log.lines(run, limit=200)[0].offset, limit=50)
        db.set_progress_handler(None, 0)
        return len(counted)

    assert 0.8 < steps("long") / steps("short") < 1.2
