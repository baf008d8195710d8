"""What every `EventLog` promises. One body; each implementation is a parameter of the fixture."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streamer.model.events import (
    Completed,
    ErrorInfo,
    Event,
    FinalResults,
    ItemFailed,
    Logged,
    PhaseSpec,
    Progressed,
    RunCancelled,
    RunFailed,
    StatusChanged,
)
from streamer.model.reducer import fold
from streamer.model.state import RunState
from streamer.protocol.frames import read_frame
from streamer.protocol.run_filter import RunFilter
from streamer.protocol.sse import Decoder
from streamer.server.log.base import (
    Draft,
    EventLog,
    LogError,
    LogUnavailable,
    RunEnded,
    SequenceGap,
    UnknownRun,
)
from streamer.server.log.sqlite import SqliteLog

LOGS = {"sqlite": lambda folder: SqliteLog(folder / "log.sqlite", commit_seconds=0.0)}


@pytest.fixture(params=LOGS)
def open_log(request, tmp_path):
    """Return a function that opens the log; whatever was opened is closed afterwards."""
    opened: list[EventLog] = []

    def open_(folder: Path = tmp_path) -> EventLog:
        opened.append(LOGS[request.param](folder))
        return opened[-1]

    yield open_
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log):
    return open_log()


def drafts(*events: Event, time: float = 1000.0) -> list[Draft]:
    return [Draft(event, time + n) for n, event in enumerate(events)]


def create(log: EventLog, run_id: str = "r1", **more: object) -> None:
    first = StatusChanged(status="queued", title=f"Run {run_id}", phases=(PhaseSpec("load"),), **more)
    log.create(run_id, drafts(first), note=b"{}").result(10)


def lines(*messages: str, level: str = "INFO") -> list[Draft]:
    return drafts(*(Logged(message=message, level=level) for message in messages))


def entries(log: EventLog, run_id: str | None = None, after: int = 0) -> list:
    decoder = Decoder()
    frames = [frame for s in log.read(after, limit=10_000, run_id=run_id) for frame in decoder.feed(s.frame)]
    return [read_frame(frame) for frame in frames]


def messages(log: EventLog, run_id: str = "r1", **asked: object) -> list[str]:
    return [line.event.message for line in log.lines(run_id, **asked)]


# -- appending ---------------------------------------------------------------------------------------------------------


def test_entries_are_numbered_within_their_run_and_offsets_only_grow(log):
    create(log, "r1")
    create(log, "r2")
    log.append("r1", lines("a", "b")).result(10)
    log.append("r2", lines("c")).result(10)
    assert [("r1", 1), ("r2", 1), ("r1", 2), ("r1", 3), ("r2", 2)] == [
        (e.run_id, e.seq) for e in entries(log)
    ]
    offsets = [e.offset for e in entries(log)]
    assert sorted(set(offsets)) == offsets
    assert offsets[-1] == log.head()


def test_what_was_appended_is_what_is_read(log):
    create(log)
    appended = log.append("r1", lines("häß\n😀")).result(10)
    assert list(appended.entries) == entries(log)[1:]
    assert list(appended.frames) == [s.frame for s in log.read(0, limit=10)][1:]


def test_the_state_is_the_fold_of_the_entries(log):
    create(log)
    log.append(
        "r1", drafts(StatusChanged(status="running"), Progressed(phase="load", done=1, total=4))
    ).result(10)
    log.append(
        "r1", drafts(ItemFailed(item="x", error=ErrorInfo("E")), Completed(result=[1]), time=1100)
    ).result(10)
    assert fold(RunState(run="r1"), entries(log)) == log.run("r1").state


def test_a_batch_sent_twice_is_stored_once(log):
    create(log)
    first = log.append("r1", lines("a", "b"), first_seq=1).result(10)
    again = log.append("r1", lines("a", "b"), first_seq=1).result(10)
    assert (2, 2) == (first.acknowledged, again.acknowledged)
    assert () == again.entries
    assert ["a", "b"] == messages(log)


def test_a_batch_that_overlaps_adds_what_is_new(log):
    create(log)
    log.append("r1", lines("a", "b"), first_seq=1).result(10)
    assert 4 == log.append("r1", lines("b", "c", "d"), first_seq=2).result(10).acknowledged
    assert ["a", "b", "c", "d"] == messages(log)


def test_a_gap_is_refused_naming_the_number_expected(log):
    create(log)
    log.append("r1", lines("a"), first_seq=1).result(10)
    with pytest.raises(SequenceGap) as caught:
        log.append("r1", lines("c"), first_seq=3).result(10)
    assert (2, 3) == (caught.value.expected, caught.value.received)
    assert ["a"] == messages(log)


def test_the_streamer_s_own_events_do_not_count_for_the_producer(log):
    create(log)
    log.append("r1", drafts(StatusChanged(status="running"))).result(10)
    assert 1 == log.append("r1", lines("a"), first_seq=1).result(10).acknowledged


def test_after_the_terminal_event_nothing_is_appended(log):
    create(log)
    log.append("r1", drafts(Completed(), Logged(message="too late")), first_seq=1).result(10)
    with pytest.raises(RunEnded):
        log.append("r1", drafts(RunFailed())).result(10)
    with pytest.raises(RunEnded):
        log.append("r1", lines("x"), first_seq=3).result(10)
    assert ["complete"] == [s.kind for s in log.read(0, limit=10)][1:]


def test_the_last_batch_sent_again_after_the_end_is_acknowledged(log):
    create(log)
    log.append("r1", drafts(Completed()), first_seq=1).result(10)
    assert 1 == log.append("r1", drafts(Completed()), first_seq=1).result(10).acknowledged


def test_an_unknown_run_is_refused(log):
    with pytest.raises(UnknownRun):
        log.append("nobody", lines("a")).result(10)
    with pytest.raises(UnknownRun):
        log.annotate("nobody", b"").result(10)
    assert log.run("nobody") is None


def test_a_run_is_made_once(log):
    create(log)
    with pytest.raises(LogError):
        log.create("r1", lines("a"), note=b"").result(10)
    assert ["status"] == [s.kind for s in log.read(0, limit=10)]


def test_a_refused_batch_does_not_disturb_its_neighbours(log):
    create(log)
    futures: list[Future] = []
    for number in range(1, 30):
        futures.append(log.append("r1", lines(f"{number}"), first_seq=number))
        futures.append(log.append("nobody", lines("x")))
        futures.append(log.append("r1", lines("gap"), first_seq=number + 100))
    wait(futures, 10)
    assert [str(n) for n in range(1, 30)] == messages(log)


def test_a_note_is_kept(log):
    create(log)
    log.annotate("r1", b'{"pid": 7}').result(10)
    assert b'{"pid": 7}' == log.run("r1").note


# -- telling -----------------------------------------------------------------------------------------------------------


def test_the_listener_is_told_everything_once_in_order_after_it_is_stored(log):
    told = []
    log.set_listener(
        lambda batches: told.extend((e.offset, log.head() >= e.offset) for b in batches for e in b.entries)
    )
    create(log)
    wait([log.append("r1", lines(str(n))) for n in range(50)], 10)
    assert [(e.offset, True) for e in entries(log)] == told


def test_writers_of_many_threads_lose_nothing(log):
    create(log)

    def write(name: int) -> None:
        for number in range(40):
            log.append("r1", lines(f"{name}-{number}")).result(10)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"{n}-{i}" for n in range(6) for i in range(40)} == set(messages(log, limit=1000))
    assert list(range(1, 242)) == [e.seq for e in entries(log)]


# -- reading -----------------------------------------------------------------------------------------------------------


def test_entries_are_read_from_a_cursor_in_pages(log):
    create(log)
    log.append("r1", lines("a", "b", "c", "d")).result(10)
    found, after = [], 0
    while page := log.read(after, limit=2, run_id="r1"):
        found.extend(s.offset for s in page)
        after = page[-1].offset
    assert [e.offset for e in entries(log)] == found


def test_runs_are_listed_newest_first_in_pages(log):
    for number in range(5):
        create(log, f"r{number}")
    first = log.runs(limit=2)
    assert ["r4", "r3"] == [s.run for s in first]
    assert ["r2", "r1", "r0"] == [s.run for s in log.runs(before="r3")]
    with pytest.raises(UnknownRun):
        log.runs(before="nobody")


def test_runs_are_found_by_their_outcome(log):
    ends = {
        "complete": Completed(results=FinalResults(3, 0)),
        "partial": Completed(results=FinalResults(2, 1)),
        "failed": RunFailed(results=FinalResults(0, 1)),
        "cancelled": RunCancelled(),
    }
    create(log, "going")
    for name, end in ends.items():
        create(log, name)
        failed = [ItemFailed(item="x", error=ErrorInfo("E"))] * end.results.failed
        log.append(name, drafts(*failed, end)).result(10)
    for name in ends:
        assert [name] == [state.run for state in log.runs(RunFilter(outcome=(name,)))]
        assert name == log.run(name).state.outcome
    assert ["failed", "partial"] == [
        state.run for state in log.runs(RunFilter(outcome=("partial", "failed")))
    ]
    assert ["partial", "complete"] == [state.run for state in log.runs(RunFilter(status=("complete",)))]
    assert [] == log.runs(RunFilter(status=("queued",), outcome=("partial",)))


def test_runs_are_found_by_status_pipeline_and_words(log):
    create(log, "r1", pipeline="Import", owner="Ada", parameters={"source": "Prices.csv"})
    create(log, "r2", pipeline="Audit", owner="Bob")
    log.append("r2", drafts(Completed())).result(10)
    assert ["r2"] == [s.run for s in log.runs(RunFilter(status=("complete", "failed")))]
    assert ["r1"] == [s.run for s in log.runs(RunFilter(pipeline="Import"))]
    assert ["r1"] == [s.run for s in log.runs(RunFilter(search="prices.CSV"))]
    assert ["r1"] == [s.run for s in log.runs(RunFilter(search="ada"))]
    assert ["r2"] == [s.run for s in log.runs(RunFilter(search="run R2"))]
    assert ["r1"] == [s.run for s in log.runs(RunFilter(search="csv ADA"))]
    assert [] == log.runs(RunFilter(search="100%_"))
    assert {"queued": 1, "complete": 1} == log.counts()


def test_the_last_lines_come_first_and_older_ones_by_cursor(log):
    create(log)
    log.append("r1", lines(*"abcdefg")).result(10)
    last = log.lines("r1", limit=3)
    assert ["e", "f", "g"] == [line.event.message for line in last]
    assert ["b", "c", "d"] == messages(log, before=last[0].offset, limit=3)
    assert ["f", "g"] == messages(log, after=last[0].offset, limit=3)
    assert ["f"] == messages(log, after=last[0].offset, before=last[2].offset)


def test_lines_of_a_level_are_those_and_the_more_severe(log):
    create(log)
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "ODD"):
        log.append("r1", lines(level, level=level)).result(10)
    assert ["WARNING", "ERROR", "CRITICAL"] == messages(log, level=30)
    assert ["INFO", "WARNING", "ERROR", "CRITICAL", "ODD"] == messages(log, level=20)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ALPHA", ["alpha 100%", 'Alpha "quoted" \\ back']),
        ("100%", ["alpha 100%"]),
        ("_", []),
        ('"quoted" \\', ['Alpha "quoted" \\ back']),
        ("größe\n", ["Größe\nzwei"]),
        ("😀", ["😀"]),
        ("message", []),
        ("log", []),
    ],
)
def test_a_search_looks_for_plain_text_in_messages_alone(log, search, found):
    create(log)
    log.append("r1", lines("alpha 100%", 'Alpha "quoted" \\ back', "Größe\nzwei", "😀")).result(10)
    looked = log.search("r1", search)
    assert (found, None) == ([line.event.message for line in looked.lines], looked.reached)


def test_a_search_gives_the_last_ones_first_and_goes_on_by_cursor(log):
    create(log)
    log.append("r1", lines(*(f"{'even' if n % 2 == 0 else 'odd'} {n}" for n in range(20)))).result(10)
    last = log.search("r1", "EVEN", limit=3).lines
    assert ["even 14", "even 16", "even 18"] == [line.event.message for line in last]
    before = log.search("r1", "even", before=last[0].offset, limit=2).lines
    assert ["even 10", "even 12"] == [line.event.message for line in before]
    after = log.search("r1", "even", after=before[0].offset, limit=2).lines
    assert ["even 12", "even 14"] == [line.event.message for line in after]
    assert [] == log.search("r1", "even", level=30).lines
    assert [] == log.search("nobody", "even").lines


def test_lines_of_another_run_are_not_found(log):
    create(log, "r1")
    create(log, "r2")
    log.append("r2", lines("a")).result(10)
    assert [] == messages(log, "r1")
    assert [] == messages(log, "nobody")


def test_failed_items_are_paged_oldest_first(log):
    create(log)
    failures = [ItemFailed(item=str(n), error=ErrorInfo("E", "m", "traceback")) for n in range(5)]
    log.append("r1", drafts(*failures)).result(10)
    page = log.failures("r1", limit=2)
    assert [("0", "traceback"), ("1", "traceback")] == [(e.event.item, e.event.error.traceback) for e in page]
    assert ["2", "3", "4"] == [e.event.item for e in log.failures("r1", after=page[-1].offset)]


def test_a_log_holds_what_it_was_given(log):
    create(log)
    log.append("r1", lines("a")).result(10)
    assert all(log.holds(run, after) for run in ("r1", None) for after in (0, 1, 2))


def test_a_log_without_trouble_can_be_written(log):
    log.check().result(10)
    assert log.trouble() is None
    assert 0 == log.head()


# -- opening and closing -----------------------------------------------------------------------------------------------


def test_a_log_opened_again_goes_on_where_it_was(open_log):
    log = open_log()
    create(log)
    log.append("r1", lines("a"), first_seq=1).result(10)
    epoch, head = log.epoch, log.head()
    log.close()
    again = open_log()
    assert (epoch, head) == (again.epoch, again.head())
    assert 2 == again.append("r1", lines("b"), first_seq=2).result(10).acknowledged
    assert [1, 2, 3] == [e.seq for e in entries(again)]


def test_two_logs_have_different_epochs(open_log, tmp_path):
    assert open_log(tmp_path / "a").epoch != open_log(tmp_path / "b").epoch


def test_closing_stores_what_waits(open_log):
    log = open_log()
    create(log)
    futures = [log.append("r1", lines(str(n))) for n in range(100)]
    log.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert 100 == len(messages(open_log(), limit=1000))


def test_a_closed_log_refuses_in_its_own_words(log):
    log.close()
    log.close()
    with pytest.raises(LogUnavailable):
        log.append("r1", lines("a")).result(10)
    with pytest.raises(LogUnavailable):
        log.runs()


# -- any interleaving --------------------------------------------------------------------------------------------------

batches = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 4)), max_size=12)


@given(batches)
@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_however_batches_overlap_each_number_is_stored_once_in_order(open_log, tmp_path_factory, sent):
    log = open_log(tmp_path_factory.mktemp("log"))
    create(log)
    stored = 0
    for first, count in sent:
        batch = lines(*(str(n) for n in range(first, first + count)))
        future = log.append("r1", batch, first_seq=first)
        if count and first > stored + 1:
            assert isinstance(future.exception(10), SequenceGap)
        else:
            stored = max(stored, first + count - 1) if count else stored
            assert stored == future.result(10).acknowledged
    assert [str(n) for n in range(1, stored + 1)] == messages(log)
    log.close()
