"""What is particular to the log in SQLite: its file, its versions, and what happens when it cannot be written."""

from __future__ import annotations

import sqlite3

import pytest

from streamer.events import Completed, Logged, StatusChanged
from streamer.log import sqlite as module
from streamer.log.base import Draft, LogUnavailable
from streamer.log.sqlite import SCHEMA_VERSION, LogVersionError, SqliteLog


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
    other.execute("ROLLBACK")
    other.close()
    stored = log.append("r1", LINE, first_seq=1).result(10)
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
    monkeypatch.setattr("streamer.log.sqlite._STATES_KEPT", 5)

    for number in range(20):
        log.create(f"r{number}", [*FIRST, Draft(Completed(), 1001.0)], note=b"").result(10)
    log.create("last", FIRST, note=b"").result(10)
    assert len(log._runs) <= 6
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

    real = module.encode_event

    def encode(event):
        if getattr(event, "message", "") == "poison":
            raise RecursionError("too deep")
        return real(event)

    monkeypatch.setattr(module, "encode_event", encode)
    good = [log.append("r1", LINE) for _ in range(5)]
    bad = log.append("r2", [Draft(Logged(message="poison"), 1.0)])
    good += [log.append("r1", LINE) for _ in range(5)]
    assert "too deep" in str(bad.exception(10))
    assert all(future.exception(10) is None for future in good)
    assert 10 == len(log.lines("r1"))
    assert [] == log.lines("r2")
