"""Estimates of recorded runs, as `streamer estimate --replay` prints them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.cli.main import main
from streamer.model.timestamps import format_time
from streamer.server.replay import RecordingError, read, replay

BEGIN = 1_770_000_000.0


def record(folder: Path, number: int, *, seconds: float = 100.0, until: float = 1e9) -> dict[str, str]:
    """Write a run of one phase with a report each second, and return its entry of the manifest."""
    run, created = f"run{number:07d}", BEGIN + 1_000.0 * number
    entries: list[tuple[float, dict[str, object]]] = [
        (
            -1.0,
            {"event": "status", "status": "queued", "pipeline": "Count", "title": "Count", "parameters": {}},
        ),
        (0.0, {"event": "status", "status": "running"}),
        (0.0, {"event": "phase", "phase": "work", "weight": 1.0, "phaseStatus": "started"}),
    ]
    for second in range(1, int(seconds) + 1):
        done = {"done": second, "total": int(seconds), "phaseProgress": 100 * second / seconds}
        entries.append((float(second), {"event": "progress", "phase": "work", **done}))
    entries.append((seconds, {"event": "phase", "phase": "work", "weight": 1.0, "phaseStatus": "finished"}))
    entries.append((seconds, {"event": "complete", "status": "complete"}))
    entries[0][1]["phases"] = [{"name": "work", "weight": 1.0}]
    lines = [
        json.dumps({"run": run, "seq": seq, "time": format_time(created + 1 + time), **entry})
        for seq, (time, entry) in enumerate(entries, 1)
        if time <= until
    ]
    (folder / f"{run}.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return {"run": run, "file": f"{run}.ndjson.gz"}


def write(folder: Path, runs: list[dict[str, str]]) -> Path:
    (folder / "manifest.json").write_text(json.dumps({"families": [{"family": "count", "runs": runs}]}))
    return folder


def test_the_third_run_is_said_to_take_as_long_as_the_two_before(tmp_path: Path) -> None:
    folder = write(tmp_path, [record(tmp_path, number) for number in range(3)])
    last = [one for one in map(json.loads, replay(folder, workers=1)) if one["run"] == "run0000002"]
    assert "2 earlier runs" == last[0]["basis"]
    assert 100.0 == pytest.approx(last[0]["remaining"]["p50"], rel=0.05)
    middle = next(one for one in last if one["time"] == BEGIN + 2_000 + 1 + 50)
    assert (50.0, 0.5) == pytest.approx((middle["remaining"]["p50"], middle["fraction"]), rel=0.05)


def test_nothing_depends_on_what_comes_later(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder, until in ((whole, 1e9), (cut, 50.0)):
        folder.mkdir()
        write(folder, [*(record(folder, number) for number in range(3)), record(folder, 3, until=until)])
    known = {(one["run"], one["time"]): one for one in map(json.loads, replay(whole, workers=1))}
    lines = [json.loads(line) for line in replay(cut, workers=1)]
    assert lines == [known[one["run"], one["time"]] for one in lines]


def test_a_first_run_says_first_that_it_is_not_known_yet(tmp_path: Path) -> None:
    folder = write(tmp_path, [record(tmp_path, 0)])
    lines = [json.loads(line) for line in replay(folder, workers=1)]
    assert (None, None, "not known yet") == tuple(
        lines[0][name] for name in ("remaining", "fraction", "basis")
    )
    assert "the pace of this run" == lines[-1]["basis"]


def test_the_command_prints_a_line_for_each_estimate(tmp_path: Path) -> None:
    folder = write(tmp_path, [record(tmp_path, number, seconds=5) for number in range(2)])
    command = [sys.executable, "-m", "streamer", "estimate", "--replay", str(folder), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {"run", "time", "remaining", "fraction", "basis"} == set(lines[0])
    assert 2 * 5 <= len(lines)


def test_a_recording_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "a.ndjson"
    broken.write_text('{"run": "a", "time": "2026-01-01T00:00:00Z", "event": "status"}\nno JSON\n')
    with pytest.raises(RecordingError, match=r"a\.ndjson, line 2"):
        read(broken)
    write(tmp_path, [{"run": "a", "file": "a.ndjson"}])
    assert 2 == main(["estimate", "--replay", str(tmp_path), "--workers", "1"])
    assert "line 2: expected an entry" in capsys.readouterr().err
    assert 2 == main(["estimate", "--replay", str(tmp_path / "nowhere")])
