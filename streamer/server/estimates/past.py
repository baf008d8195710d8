"""`Past`: a run that is over as it is kept for later ones, what was said of it, and how far that missed. Plain data."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from msgspec import Struct

from streamer.model.estimates.timeline import Timeline
from streamer.server.estimates.moves import Row, thin

#: The most rows of a phase that are kept.
ROWS_KEPT: Final = 240
#: The most estimates of a run that are kept, evenly over its length.
SAID_KEPT: Final = 200


class Said(Struct, frozen=True, array_like=True):
    """An estimate as it was said `since` seconds after the run came to be running. NaN is None: not known.

    `middle` and `upper` are the 50th and 90th percentile as they were computed: neither smoothed nor stretched.
    """

    since: float
    p10: float | None
    p50: float | None
    p90: float | None
    fraction: float | None
    runs: int = 0
    middle: float | None = None
    upper: float | None = None


class _Phase(Struct, array_like=True):
    name: str
    weight: float
    started: float | None
    ended: float | None
    skipped: float | None
    declared: bool
    #: Time, done, total and percent of each row; None: not known.
    rows: list[tuple[float, float | None, float | None, float | None]]


class Past(Struct, omit_defaults=True):
    """A run as it is kept: its timeline, thinned, what was said of it, and its `miss` as `miss_of` returns it."""

    pipeline: str
    created: float
    running: float | None = None
    over: float | None = None
    end: str = ""
    retry_of: str | None = None
    parameters: dict[str, Any] = {}
    failed: int = 0
    phases: list[_Phase] = []
    marks: list[tuple[float, str, str]] = []
    said: list[Said] = []
    miss: float | None = None

    @classmethod
    def of(cls, timeline: Timeline, said: list[Said], miss: float | None) -> Past:
        """Return a run in the form that is kept.

        Args:
            timeline: The run.
            said: What was said of it, in order.
            miss: How far that missed; None: not known.

        """
        return cls(
            timeline.pipeline,
            timeline.created,
            timeline.running,
            timeline.over,
            timeline.end,
            timeline.retry_of,
            dict(timeline.parameters),
            timeline.failed,
            [
                _Phase(
                    phase.name,
                    phase.weight,
                    phase.started,
                    phase.ended,
                    phase.skipped,
                    phase.declared,
                    [(row[0], *map(_known, row[1:])) for row in thin(phase.rows, ROWS_KEPT)],  # type: ignore[misc]
                )
                for phase in timeline.phases.values()
            ],
            timeline.marks,
            said,
            miss,
        )

    def timeline(self, run_id: str) -> Timeline:
        """Return the run's timeline, thinned."""
        made = Timeline(
            run_id,
            self.pipeline,
            self.parameters,
            self.retry_of,
            self.created,
            self.running,
            self.over,
            self.end,
            marks=list(self.marks),
            failed=self.failed,
        )
        for one in self.phases:
            phase = made.phase(one.name, one.weight)
            phase.started, phase.ended, phase.skipped = one.started, one.ended, one.skipped
            phase.declared = one.declared
            phase.rows = [_row(row) for row in one.rows]
        return made


def encode(past: Past) -> bytes:
    """Return a run as bytes."""
    return msgspec.json.encode(past)


def decode(data: bytes) -> Past:
    """Read what `encode` wrote. Raises `msgspec.DecodeError`, `msgspec.ValidationError` being one of them."""
    return msgspec.json.decode(data, type=Past)


def evenly(said: list[Said]) -> list[Said]:
    """Return at most `SAID_KEPT` of what was said, evenly over the time, with the first and the last."""
    if len(said) <= SAID_KEPT:
        return said
    begin, end = said[0].since, said[-1].since
    kept, due = [], begin
    step = (end - begin) / (SAID_KEPT - 2)
    for one in said[:-1]:
        if one.since >= due:
            kept.append(one)
            due = begin + step * (math.floor((one.since - begin) / step + 1e-9) + 1) if step else math.inf
    return [*kept[: SAID_KEPT - 1], said[-1]]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _row(row: tuple[float, float | None, float | None, float | None]) -> Row:
    done, total, percent = (math.nan if value is None else value for value in row[1:])
    return row[0], done, total, percent
