"""A recorder that takes a run's events in tests, and small helpers beside it.

Holds no tests and no fixtures.
"""

from __future__ import annotations

from typing import Any

from streamer.model.bounds import bounded
from streamer.model.events import (
    Entry,
    Event,
    Logged,
    kind,
)
from streamer.model.reducer import fold
from streamer.model.state import RunState
from tests.support import FakeClock


class Recorder:
    """Takes a run's events; `clock` stands still until it is told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.taken: list[tuple[Event, float]] = []

    def __call__(self, event: Event, time: float) -> None:
        self.taken.append((event, time))

    @property
    def events(self) -> list[Event]:
        return [event for event, _ in self.taken]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def kinds(self) -> list[str]:
        return [kind(event) for event in self.events]

    def state(self) -> RunState:
        entries = [Entry(n, "r", n, time, bounded(e)) for n, (e, time) in enumerate(self.taken, 1)]
        return fold(RunState("r"), entries)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def messages(told: Recorder) -> list[str]:
    return [event.message for event in told.of(Logged)]


def fail(item: object) -> None:
    raise ValueError(f"bad {item}")
