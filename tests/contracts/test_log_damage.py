"""Damaged entries and states hold up no reader: the rest is read, and a line stands where something is missing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streamer.model.events import Completed, FinalResults, ItemFailed, Logged, Progressed, encode_event
from streamer.protocol.frames import read_frame
from streamer.protocol.run_filter import SORTS, RunFilter
from streamer.protocol.sse import Decoder
from streamer.server.log.sqlite import SqliteLog
from tests.contracts.test_event_log import ErrorInfo, create, drafts

EVENTS = (
    Logged(message="one"),
    Progressed(done=1, total=3),
    ItemFailed(item="a", error=ErrorInfo("E", "no")),
    Logged(message="two"),
    Completed(results=FinalResults(2, 1)),
)


def written(folder: Path) -> Path:
    """Return a log of two runs, closed."""
    path = folder / "log.sqlite"
    path.unlink(missing_ok=True)
    for more in folder.glob("log*"):
        more.unlink()
    log = SqliteLog(path, commit_seconds=0.0)
    for run in ("r1", "r2"):
        create(log, run)
        log.append(run, drafts(*EVENTS)).result(10)
    log.close()
    return path


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(
    which=st.integers(0, 10**6),
    at=st.integers(0, 10**6),
    data=st.binary(min_size=1, max_size=40),
)
def test_any_bytes_of_any_stored_body_may_be_overwritten(
    tmp_path: Path, which: int, at: int, data: bytes
) -> None:
    path = written(tmp_path)
    db = sqlite3.connect(path, isolation_level=None)
    rows = db.execute("SELECT \"offset\", body FROM entries WHERE kind <> 'removed'").fetchall()
    offset, body = rows[which % len(rows)]
    begin = at % len(body)
    overwritten = (body[:begin] + data + body[begin + len(data) :])[: len(body)]
    db.execute('UPDATE entries SET body = ? WHERE "offset" = ?', (overwritten, offset))
    db.close()
    log = SqliteLog(path, commit_seconds=0.0)
    try:
        for run in (None, "r1", "r2"):
            stored = log.read(0, limit=100, run_id=run)
            frames = [frame for one in stored for frame in Decoder().feed(one.frame)]
            entries = [read_frame(frame) for frame in frames]
            assert (12 if run is None else 6) == len(entries)
            for entry, one in zip(entries, stored, strict=True):
                assert entry is not None
                if one.offset != offset:
                    assert encode_event(entry.event) == dict(rows)[one.offset]
        for run in ("r1", "r2"):
            assert log.run(run) is not None
            assert len(log.lines(run)) >= 2
            assert 1 <= len(log.failures(run)) <= 2
            log.search(run, "o")
            log.moves(run)
    finally:
        log.close()


def test_a_damaged_entry_is_a_line_in_its_place_and_the_log_says_so(tmp_path: Path) -> None:
    path = written(tmp_path)
    db = sqlite3.connect(path, isolation_level=None)
    first = "(SELECT min(seq) FROM entries WHERE kind = 'log' AND run = 1)"
    db.execute(f"UPDATE entries SET body = x'78' WHERE run = 1 AND seq = {first}")
    db.close()
    log = SqliteLog(path, commit_seconds=0.0)
    try:
        assert "" == log.damage()
        messages = [entry.event.message for entry in log.lines("r1")]
        assert any("cannot be read" in message for message in messages)
        assert "1 entry or state of the log cannot be read" == log.damage()
    finally:
        log.close()


def test_a_damaged_state_is_made_again_from_the_entries_and_hides_no_other_run(tmp_path: Path) -> None:
    path = written(tmp_path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("UPDATE runs SET state = substr(state, 1, 50) WHERE id = 'r1'")
    db.close()
    log = SqliteLog(path, commit_seconds=0.0)
    try:
        record = log.run("r1")
        assert record is not None
        assert ("partial", "Run r1") == (record.state.outcome, record.state.title)
        for sort in SORTS:
            assert {"r1", "r2"} == {state.run for state in log.runs(sort=sort)}
        assert ["r2"] == [state.run for state in log.runs(RunFilter(title="Run r2"))]
    finally:
        log.close()
