"""Fixtures for the producer's tests: a run that samples when it is told to, and its recorder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamer.model.events import (
    PhaseSpec,
)
from streamer.producer.cancellation import Interrupter
from streamer.producer.run import Run
from tests.producer.recorder import Recorder


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def run(told: Recorder) -> Run:
    """A run that samples only when it is told to."""
    return Run(told, [PhaseSpec("load", 7), PhaseSpec("save", 3)], clock=told.clock, name="test")


@pytest.fixture
def opened(told: Recorder) -> Iterator[Run]:
    """A run that captures what is logged; its sampler finds nothing to do."""
    run = Run(told, clock=told.clock, name="test", sample_seconds=60)
    run.open()
    yield run
    run.close()


@pytest.fixture
def interrupted(told: Recorder) -> Iterator[Run]:
    """A run of the main thread whose cancelling interrupts it."""
    with Interrupter() as interrupter:
        yield Run(told, clock=told.clock, interrupter=interrupter)
