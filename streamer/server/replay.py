"""`replay`: the estimates of recorded runs, as they would have been said, each run with the runs before it as history.

A recording is a file of NDJSON, one entry a line, as a stream sends it; gzip by its name. It starts nothing.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from streamer.model.estimate import NOT_KNOWN_YET
from streamer.model.estimates.calibration import factor_of, miss_of
from streamer.model.estimates.estimator import MOST_GHOSTS, UPPER, Estimator, Raw
from streamer.model.estimates.shown import Shown, basis_of
from streamer.model.estimates.timeline import Timeline
from streamer.model.timestamps import parse_time

#: Seconds between two estimates while nothing comes: at least one, and this share of the time so far.
EVERY_SECONDS: Final = 1.0
EVERY_SHARE: Final = 0.002
#: The most estimates between two entries.
_MOST: Final = 100_000
_TERMINAL: Final = frozenset(("complete", "failed", "cancelled"))


class RecordingError(ValueError):
    """A recording cannot be read; the message names the file and the line."""


class _Spec(Struct):
    name: str
    weight: float = 1.0


class _Results(Struct):
    failed: float = 0


class _Line(Struct, rename="camel"):
    run: str
    time: str
    event: str
    status: str = ""
    pipeline: str | None = None
    title: str = ""
    parameters: dict[str, Any] = {}
    phases: list[_Spec] = []
    phase: str | None = None
    weight: float | None = None
    phase_status: str = ""
    phase_progress: float | None = None
    overall_progress: float | None = None
    done: float | None = None
    total: float | None = None
    retry_of: str | None = None


class Recording:
    """A recorded run: its timeline, and the times at which an entry told something.

    Args:
        lines: Its entries, in their order.
    """

    def __init__(self, lines: Sequence[_Line]) -> None:
        first = lines[0]
        self.timeline = Timeline(
            first.run, first.pipeline or first.title, first.parameters, first.retry_of, parse_time(first.time)
        )
        for spec in first.phases:
            self.timeline.phase(spec.name, spec.weight).declared = True
        self.told: list[float] = []
        for line in lines:
            self._take(line)

    def _take(self, line: _Line) -> None:
        timeline = self.timeline
        time = parse_time(line.time)
        if line.event == "status" and line.status == "running" and timeline.running is None:
            timeline.running = time
        if timeline.running is None:
            return
        since = time - timeline.running
        if line.event == "phase" and line.phase is not None:
            timeline.phase(line.phase, line.weight)
            timeline.mark(since, line.phase, line.phase_status)
        elif line.event == "progress":
            name = line.phase or ""
            said = line.phase_progress if name else line.overall_progress
            row = tuple(np.nan if value is None else float(value) for value in (line.done, line.total, said))
            phase = timeline.phase(name)
            if not name and phase.started is None:
                phase.started = 0.0
            phase.rows.append((since, row[0], row[1], row[2]))
        elif line.event in _TERMINAL:
            timeline.over, timeline.end = time, line.event
            bare = timeline.phases.get("")
            if bare is not None:
                bare.ended = since
            return
        elif line.event != "status":
            return
        if not self.told or since > self.told[-1]:
            self.told.append(since)

    def moments(self) -> np.ndarray:
        """Return the times of its estimates, in seconds since running: at each entry, and from time to time between."""
        moments: list[float] = []
        told = self.told if self.timeline.over is None else [*self.told, self.timeline.seconds]
        for begin, end in pairwise(told):
            now = begin
            for _ in range(_MOST):
                # No two in one millisecond: that is how exactly times are told.
                if now > begin and now >= end - 0.001:
                    break
                moments.append(now)
                now += max(EVERY_SECONDS, EVERY_SHARE * now)
        if self.timeline.over is None and told:
            moments.append(told[-1])
        return np.array(moments)


def replay(folder: Path, *, workers: int = 2) -> Iterator[str]:
    """Yield the estimates of all runs in a folder, a line of JSON each.

    Args:
        folder: The folder, with `manifest.json`: ``{"families": [{"runs": [{"file": …}, …]}, …]}``, in order.
        workers: The processes that compute; 1: this one.

    Raises:
        RecordingError: If the manifest or a recording cannot be read.
    """
    try:
        families = json.loads((folder / "manifest.json").read_text())["families"]
        files = [[folder / run["file"] for run in family["runs"]] for family in families]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"{folder / 'manifest.json'}: expected families with runs: {error}") from error
    if workers == 1:
        for family in files:
            yield from replay_family(family)
        return
    with ProcessPoolExecutor(workers) as pool:
        for lines in pool.map(_family_lines, files):
            yield from lines


def _family_lines(files: Sequence[Path]) -> list[str]:
    return list(replay_family(files))


def replay_family(files: Iterable[Path]) -> Iterator[str]:
    """Yield the estimates of recordings, each with those as its history that had ended when it was created.

    Args:
        files: The recordings, in the order in which they ran.
    """
    recordings = [read(file) for file in files]
    misses: dict[str, float] = {}
    for recording in recordings:
        own = recording.timeline
        earlier = [
            other.timeline
            for other in recordings
            if other is not recording
            and other.timeline.pipeline == own.pipeline
            and other.timeline.over is not None
            and other.timeline.over <= own.created
        ]
        earlier.sort(key=lambda one: one.over or 0.0)
        said = [
            misses[one.run]
            for one in earlier
            if one.run in misses and (one.retry_of is None) == (own.retry_of is None)
        ]
        raw, miss = _computed(recording, earlier, factor_of(said[-MOST_GHOSTS:]))
        if miss is not None:
            misses[own.run] = miss
        yield from _said(recording, raw)


def _computed(recording: Recording, earlier: Sequence[Timeline], factor: float) -> tuple[Raw, float | None]:
    """Return the estimates of a recording, and how far they missed once it was over."""
    timeline = recording.timeline
    moments = recording.moments()
    if timeline.running is None:
        moments = moments[:0]
    raw = Estimator(timeline, earlier).estimate(moments, factor)
    rests_on_ghosts = raw.ghosts > 0
    if timeline.end != "complete" or not rests_on_ghosts.any():
        return raw, None
    middle = np.where(rests_on_ghosts, raw.p50, np.nan)
    unstretched = middle * (raw.p90 / raw.p50) ** (1.0 / (factor * UPPER))
    return raw, miss_of(moments, middle, unstretched, timeline.seconds)


def _said(recording: Recording, raw: Raw) -> Iterator[str]:
    """Yield what is said of a recording, a line of JSON for each estimate."""
    timeline = recording.timeline
    if timeline.running is None:
        return
    moments = recording.moments()
    shown = Shown()
    encoder = msgspec.json.Encoder()
    for index, since in enumerate(moments):
        basis = basis_of(int(raw.ghosts[index]))
        said = shown.say(
            float(since), float(raw.p10[index]), float(raw.p50[index]), float(raw.p90[index]), basis
        )
        remaining = None
        if said is not None:
            remaining = {"p10": round(said.p10, 3), "p50": round(said.p50, 3), "p90": round(said.p90, 3)}
        line = {
            "run": timeline.run,
            "time": round(timeline.running + float(since), 3),
            "remaining": remaining,
            "fraction": None if said is None else round(said.fraction, 5),
            "basis": basis if said is not None else NOT_KNOWN_YET,
        }
        yield encoder.encode(line).decode()


def read(file: Path) -> Recording:
    """Read a recording.

    Args:
        file: NDJSON, gzip if its name ends so.

    Raises:
        RecordingError: If it cannot be read.
    """
    try:
        data = file.read_bytes()
        data = gzip.decompress(data) if file.suffix == ".gz" else data
    except (OSError, EOFError) as error:
        raise RecordingError(f"{file}: {error}") from error
    decoder = msgspec.json.Decoder(_Line)
    lines = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            lines.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordingError(f"{file}, line {number}: expected an entry: {error}") from error
    if not lines:
        raise RecordingError(f"{file}: expected entries, found none")
    return Recording(lines)
