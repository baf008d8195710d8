"""A backup of a log that is being written opens with all that was acknowledged; a check says how much can be read."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streamer.model.events import Logged
from streamer.server.log.backup import Looked, back_up, look_through
from streamer.server.log.sqlite import SqliteLog
from tests.contracts.test_event_log import create, drafts
from tests.support import ROOT, wait_until


def test_a_backup_under_load_has_all_that_was_acknowledged_before_it(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite", commit_seconds=0.0)
    create(log)
    acknowledged, stop = [1], threading.Event()

    def write() -> None:
        while not stop.is_set():
            appended = log.append("r1", drafts(*(Logged(message="x") for _ in range(20)))).result(10)
            acknowledged.append(appended.entries[-1].seq)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: len(acknowledged) > 20)
        before = acknowledged[-1]
        back_up(tmp_path / "log.sqlite", tmp_path / "copy.sqlite")
        wait_until(lambda: acknowledged[-1] > before)
    finally:
        stop.set()
        writer.join()
        epoch = log.epoch
        log.close()
    assert 0o600 == stat.S_IMODE((tmp_path / "copy.sqlite").stat().st_mode)
    assert [] == list(tmp_path.glob("*.part"))
    (tmp_path / "other").mkdir()
    (tmp_path / "copy.sqlite").rename(tmp_path / "other" / "log.sqlite")
    copy = SqliteLog(tmp_path / "other" / "log.sqlite", commit_seconds=0.0)
    try:
        record = copy.run("r1")
        assert record is not None
        assert before <= record.state.seq
        assert record.state.seq == len(copy.read(0, limit=10**6, run_id="r1"))
        # Readers of the one know nothing of the other.
        assert epoch != copy.epoch
        copy.append("r1", drafts(Logged(message="goes on"))).result(10)
    finally:
        copy.close()


def test_a_backup_replaces_no_file_and_needs_a_log(tmp_path: Path) -> None:
    SqliteLog(tmp_path / "log.sqlite").close()
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
        back_up(tmp_path / "log.sqlite", tmp_path / "there")
    assert "mine" == (tmp_path / "there").read_text()
    with pytest.raises(FileNotFoundError, match="there is no log"):
        back_up(tmp_path / "none.sqlite", tmp_path / "new")


def test_a_check_counts_what_cannot_be_read(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite", commit_seconds=0.0)
    create(log)
    log.append("r1", drafts(Logged(message="x"), Logged(message="y"))).result(10)
    log.close()
    assert Looked(1, 3, "") == look_through(tmp_path / "log.sqlite", print)
    db = sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None)
    db.execute("UPDATE entries SET body = x'00' WHERE seq = 2")
    db.close()
    assert "1 entry or state" in look_through(tmp_path / "log.sqlite", print).damage


@pytest.mark.slow
def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite", commit_seconds=0.0)
    create(log)
    log.close()

    def called(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streamer", "log", *words, "--data", str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    checked = called("check", "--json")
    assert (0, {"runs": 1, "entries": 1, "damage": ""}) == (checked.returncode, json.loads(checked.stdout))
    target = str(tmp_path / "copy")
    assert 0 == called("backup", target).returncode
    again = called("backup", target)
    assert (2, True) == (again.returncode, "exists already" in again.stderr)
    assert 2 == called("backup").returncode
