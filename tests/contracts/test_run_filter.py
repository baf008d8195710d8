"""What a log finds and how it sorts is what `RunFilter` and `sort_key` say. Each log is a parameter of the fixture."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streamer.model.events import (
    OUTCOMES,
    STATUSES,
    Completed,
    ErrorInfo,
    Event,
    FinalResults,
    ItemFailed,
    RunCancelled,
    RunFailed,
    StatusChanged,
)
from streamer.model.state import RunState
from streamer.protocol.run_filter import SORTS, RunFilter, sort_key
from streamer.server.log.base import Draft, EventLog
from tests.contracts.test_event_log import LOGS

TITLES = ("Import", "import", "Ärger", "", "'); --", "Audit of 100 %_")
OWNERS = ("ada", "Bob", "")


@pytest.fixture(scope="module", params=LOGS)
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    """Return a log with forty runs of every kind; the last ones were made out of the order of their times."""
    log = LOGS[request.param](tmp_path_factory.mktemp("log"))
    chance = random.Random(7)
    ends: tuple[Event | None, ...] = (
        None,
        StatusChanged(status="running"),
        Completed(results=FinalResults(3, 0)),
        RunFailed(results=FinalResults(0, 1)),
        RunCancelled(),
    )
    for number in range(40):
        began = 1000.0 + (number if number < 30 else chance.randrange(40))
        queued = StatusChanged(
            status="queued",
            title=chance.choice(TITLES),
            pipeline=chance.choice((None, "Import", "Audit")),
            owner=chance.choice(OWNERS),
            parameters={"source": f"/data/{number}.csv"},
        )
        log.create(f"r{number}", [Draft(queued, began)], note=b"{}").result(10)
        events: list[Event] = [] if chance.random() < 0.2 else [StatusChanged(status="running")]
        events += [ItemFailed(item="x", error=ErrorInfo("E"))] * chance.choice((0, 0, 1, 3))
        end = chance.choice(ends)
        events += [] if end is None else [end]
        if events:
            took = chance.choice((0, 5, 5, 90))
            log.append(f"r{number}", [Draft(event, began + took) for event in events]).result(10)
    yield log
    log.close()


FILTERS = st.builds(
    RunFilter,
    status=st.lists(st.sampled_from(STATUSES), max_size=3).map(tuple),
    outcome=st.lists(st.sampled_from(OUTCOMES), max_size=2).map(tuple),
    pipeline=st.sampled_from((None, "Import", "Nothing")),
    title=st.none() | st.sampled_from(TITLES),
    owner=st.none() | st.sampled_from(OWNERS),
    search=st.sampled_from(("", "IMPORT", "ärger", "1.csv", "ada r1", "%", "'")),
    since=st.none() | st.floats(995, 1050),
    until=st.none() | st.floats(995, 1050),
    failures=st.booleans(),
)


def in_order(runs: list[RunState], sort: str) -> list[str]:
    """Return the ids of runs, given newest first, in an order."""
    now, named = time.time(), sort.removeprefix("-")
    if named == "created":
        return [run.run for run in (runs if sort.startswith("-") else reversed(runs))]
    return [
        run.run
        for run in sorted(runs, key=lambda run: sort_key(run, named, now), reverse=sort.startswith("-"))
    ]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wanted=FILTERS, sort=st.sampled_from(SORTS), limit=st.integers(1, 50))
def test_a_log_finds_what_the_filter_lets_through_in_its_order_page_by_page(
    log: EventLog, wanted: RunFilter, sort: str, limit: int
) -> None:
    expected = in_order([run for run in log.runs(limit=100) if wanted.matches(run)], sort)
    found: list[str] = []
    while page := log.runs(wanted, sort=sort, before=found[-1] if found else None, limit=limit):
        found += [run.run for run in page]
    assert (expected, len(expected)) == (found, log.total(wanted))
