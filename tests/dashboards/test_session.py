"""The mirrors of a session: what they take in, what they ask for, and that nothing of them outlives the session."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from dashboards.indicators import RunsView, RunView, StartForm
from dashboards.session import (
    WINDOW_LINES,
    CommandError,
    FailuresPage,
    LogLine,
    LogWindow,
    PipelineSpec,
    RunModel,
    RunsModel,
    StartModel,
    StartRefused,
)
from tests.gallery.commands import LiteralRun, LiteralRuns
from tests.gallery.lists import many_runs, some_runs
from tests.gallery.samples import NOW
from tests.gallery.states import RESULT, lines, running
from tests.support import FakeClock


def line(offset: int, message: str = "hello", level: str = "INFO") -> LogLine:
    return LogLine(offset, float(offset), level, "", "load", None, message)


def offsets(model: RunModel) -> list[int]:
    return [one.offset for one in model.log.lines]


class Recorder:
    """Commands that answer what they are told to, and remember what was asked."""

    def __init__(self, *windows: LogWindow) -> None:
        self.windows = list(windows)
        self.asked: list[Any] = []
        self.error: CommandError | None = None

    async def cancel(self) -> None:
        self.asked.append("cancel")
        if self.error:
            raise self.error

    async def log_window(self, **asked: Any) -> LogWindow:
        self.asked.append(asked)
        if self.error:
            raise self.error
        return self.windows.pop(0)

    async def failures(self, **asked: Any) -> FailuresPage:
        self.asked.append(asked)
        if self.error:
            raise self.error
        return FailuresPage(total=7)


# -- one run -----------------------------------------------------------------------------------------------------------


def test_a_model_can_be_made_of_literals() -> None:
    model = RunModel(state=running(), log=[line(1)], failures=[], now=5.0)
    assert ("7k2m", (line(1),), 5.0) == (model.run_id, model.log.lines, model.now)


def test_what_changes_together_is_told_together() -> None:
    model = RunModel(now=0.0)
    told: list[set[str]] = []
    model.listen(
        lambda *events: told.append({event.name for event in events}), ("state", "log", "connection")
    )
    model.advance(state=running(), lines=[line(1)], connection="away")
    assert [{"state", "log", "connection"}] == told


def test_the_clock_is_the_one_that_was_given() -> None:
    clock = FakeClock(100.0)
    model = RunModel(clock=clock)
    clock.advance(1)
    model.tick()
    assert 101.0 == model.now


def test_lines_that_were_seen_are_not_taken_again() -> None:
    model = RunModel(log=[line(1), line(2)])
    model.advance(lines=[line(2), line(3)])
    assert [1, 2, 3] == offsets(model)


def test_the_window_is_bounded_and_says_that_there_is_more() -> None:
    model = RunModel(log=[line(1)])
    model.advance(lines=[line(i) for i in range(2, WINDOW_LINES + 11)])
    assert (WINDOW_LINES, 11, True) == (len(model.log.lines), model.log.lines[0].offset, model.log.has_older)


def test_only_the_new_lines_are_told() -> None:
    model = RunModel(log=[line(1)])
    model.advance(lines=[line(2)])
    assert ("appended", (line(2),), 1) == model.log_change


def test_lines_that_the_filter_leaves_out_are_not_taken() -> None:
    model = RunModel(level="WARNING", search="Goog")
    model.advance(lines=[line(1, "GOOG"), line(2, "GOOG", "ERROR"), line(3, "IBM", "ERROR")])
    assert [2] == offsets(model)


def test_who_reads_elsewhere_is_not_moved() -> None:
    model = RunModel(log=[line(i) for i in range(WINDOW_LINES)], following=False)
    model.advance(lines=[line(WINDOW_LINES)])
    assert (0, True) == (model.log.lines[0].offset, model.log.has_newer)


def test_a_window_that_does_not_reach_the_end_does_not_get_a_gap() -> None:
    model = RunModel(log=LogWindow((line(1),), has_newer=True))
    model.advance(lines=[line(9)])
    assert [1] == offsets(model)


def test_following_again_fetches_the_end() -> None:
    commands = Recorder(LogWindow((line(8), line(9)), has_older=True))
    model = RunModel(log=LogWindow((line(1),), has_newer=True), following=False, commands=commands)
    asyncio.run(model.follow(True))
    assert ([8, 9], False) == (offsets(model), model.log.has_newer)


def test_the_filter_is_asked_of_the_streamer() -> None:
    commands = Recorder(LogWindow((line(4, "goog", "ERROR"),)))
    model = RunModel(log=[line(1)], commands=commands)
    asyncio.run(model.filter_log(level="ERROR", search="goog"))
    assert ("ERROR", "goog") == (commands.asked[0]["level"], commands.asked[0]["search"])
    assert [4] == offsets(model)


def test_older_lines_join_at_the_front() -> None:
    commands = Recorder(LogWindow((line(1), line(2)), has_older=False))
    model = RunModel(log=LogWindow((line(3),), has_older=True), commands=commands)
    asyncio.run(model.load_older())
    assert ([1, 2, 3], False) == (offsets(model), model.log.has_older)
    assert ("prepended", (line(1), line(2)), 3) == model.log_change


def test_reading_back_lets_go_of_the_newest_lines() -> None:
    commands = Recorder(LogWindow(tuple(line(i) for i in range(100)), has_older=True))
    window = LogWindow(tuple(line(i) for i in range(100, 100 + WINDOW_LINES)), has_older=True)
    model = RunModel(log=window, commands=commands, following=False)
    asyncio.run(model.load_older())
    assert (WINDOW_LINES, 0, True) == (len(model.log.lines), model.log.lines[0].offset, model.log.has_newer)


def test_newer_lines_join_at_the_end() -> None:
    commands = Recorder(LogWindow((line(2), line(3))))
    model = RunModel(log=LogWindow((line(1),), has_newer=True), commands=commands, following=False)
    asyncio.run(model.load_newer())
    assert ([1, 2, 3], False) == (offsets(model), model.log.has_newer)


async def _two_searches(model: RunModel, commands: Any) -> None:
    first = asyncio.ensure_future(model.filter_log(search="a"))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(model.filter_log(search="ab"))
    await asyncio.sleep(0)
    commands.answers[1].set_result(LogWindow((line(2, "ab"),)))
    commands.answers[0].set_result(LogWindow((line(1, "a"),)))
    await asyncio.gather(first, second)


def test_the_answer_to_an_older_question_does_not_replace_the_newer_one() -> None:
    class Late:
        answers: list[asyncio.Future[LogWindow]] = []  # noqa: RUF012 - one test, one list

        async def log_window(self, **asked: Any) -> LogWindow:
            answer: asyncio.Future[LogWindow] = asyncio.get_running_loop().create_future()
            self.answers.append(answer)
            return await answer

    commands: Any = Late()
    model = RunModel(commands=commands)
    asyncio.run(_two_searches(model, commands))
    assert [2] == offsets(model)


def test_a_search_is_cut_to_its_limit() -> None:
    model = RunModel(commands=Recorder(LogWindow()))
    asyncio.run(model.filter_log(search="x" * 10_000))
    assert 200 == len(model.search)


def test_a_log_that_cannot_be_read_says_so_and_keeps_its_lines() -> None:
    commands = Recorder()
    commands.error = CommandError("it is away")
    model = RunModel(log=[line(1)], commands=commands)
    asyncio.run(model.filter_log(search="x"))
    assert ([1], False) == (offsets(model), model.log_busy)
    assert "The log could not be read: it is away" == model.notice


def test_cancel_is_asked_once() -> None:
    commands = Recorder()
    model = RunModel(state=running(), commands=commands)
    asyncio.run(model.cancel())
    asyncio.run(model.cancel())
    assert (["cancel"], True) == (commands.asked, model.cancel_asked)


def test_a_cancel_that_is_refused_can_be_asked_again() -> None:
    commands = Recorder()
    commands.error = CommandError("no token")
    model = RunModel(state=running(), commands=commands)
    asyncio.run(model.cancel())
    assert (False, True, "Cancel did not go through: no token") == (
        model.cancel_asked,
        model.can_cancel,
        model.notice,
    )


def test_without_commands_nothing_is_asked() -> None:
    model = RunModel(state=running(), log=LogWindow((line(1),), has_older=True))
    asyncio.run(model.cancel())
    asyncio.run(model.load_older())
    asyncio.run(model.page_failures("first"))
    assert (False, [1]) == (model.cancel_asked, offsets(model))


def test_failed_items_are_turned_by_their_cursors() -> None:
    commands = Recorder()
    model = RunModel(failures=FailuresPage(total=120, newer="50"), commands=commands)
    asyncio.run(model.page_failures("newer"))
    assert [{"before": None, "after": "50", "limit": 50}] == commands.asked
    assert 7 == model.failures.total


def test_literal_commands_page_as_a_streamer_does() -> None:
    commands = LiteralRun(lines(10), ())
    window = asyncio.run(commands.log_window(level="", search="", before=5, after=None, limit=2))
    assert ([3, 4], True, True, 10) == (
        [one.offset for one in window.lines],
        window.has_older,
        window.has_newer,
        window.total,
    )


# -- the list of runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, 5),
        ({"status": "running"}, 2),
        ({"pipeline": "AuditFolder"}, 1),
        ({"search": "nightly"}, 1),
        ({"search": "IMPORT build-7"}, 2),
        ({"search": "/data/prices.csv"}, 4),
        ({"search": "no such thing"}, 0),
        ({"status": "failures"}, 2),
        ({"owner": "ci"}, 1),
        ({"title": "Train the models"}, 1),
        ({"within": "day"}, 5),
    ],
)
def test_runs_are_filtered(filters: dict[str, str], found: int) -> None:
    assert found == len(RunsModel(rows=some_runs(), now=NOW, **filters).visible)


def test_a_list_of_the_last_day_leaves_out_what_is_older() -> None:
    assert () == RunsModel(rows=some_runs(), now=NOW + 90_000, within="day").visible


def test_older_runs_join_at_the_end_and_none_comes_twice() -> None:
    rows = many_runs()
    model = RunsModel(rows=rows[:50], has_older=True, commands=LiteralRuns(rows))
    asyncio.run(model.load_older())
    assert ([row.run for row in rows], False) == ([row.run for row in model.rows], model.has_older)


def test_the_list_is_filtered_by_outcomes_where_runs_are_over() -> None:
    rows = many_runs()
    for chosen in ("complete", "partial", "failed"):
        model = RunsModel(rows=rows, status=chosen)
        assert {chosen} >= {row.outcome for row in model.visible}
        assert {row.run for row in rows if row.outcome == chosen} == {row.run for row in model.visible}


def test_a_status_is_asked_of_the_streamer() -> None:
    rows = many_runs()
    model = RunsModel(rows=rows[:5], commands=LiteralRuns(rows))
    asyncio.run(model.filter(status="stalled"))
    assert {"stalled"} == {row.status for row in model.rows}


def test_a_search_finds_runs_that_are_not_at_hand() -> None:
    rows = many_runs()
    model = RunsModel(rows=rows[:5], commands=LiteralRuns(rows))
    asyncio.run(model.filter(search=rows[-1].run))
    assert rows[-1].run in [row.run for row in model.visible]


def test_a_list_says_how_many_runs_match_beyond_those_at_hand() -> None:
    rows = many_runs()
    model = RunsModel(now=NOW, commands=LiteralRuns(rows))
    asyncio.run(model.filter(sort="title"))
    assert (50, len(rows)) == (len(model.rows), model.total)
    assert [row.title.lower() for row in model.rows] == sorted(row.title.lower() for row in model.rows)
    asyncio.run(model.load_older())
    assert (len(rows), len(rows)) == (len(model.rows), model.total)


def test_a_status_that_does_not_exist_is_no_filter() -> None:
    model = RunsModel(rows=some_runs())
    asyncio.run(model.filter(status="<script>"))
    assert "" == model.status


# -- the start form ----------------------------------------------------------------------------------------------------

COUNT = PipelineSpec("Count", schema={"properties": {"n": {"type": "integer"}}})


class Starter:
    def __init__(self, answer: str | CommandError) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    async def start(self, pipeline: str, parameters: dict[str, Any], **how: Any) -> str:
        self.asked.append((pipeline, parameters, how))
        if isinstance(self.answer, CommandError):
            raise self.answer
        return self.answer


def test_a_start_gives_the_run() -> None:
    starter = Starter("r1")
    model = StartModel(pipelines=(COUNT,), commands=starter)
    asyncio.run(model.start({"n": 3, "unknown": 1}))
    plain = {"again": "", "time_limit_seconds": None}
    assert ("r1", [("Count", {"n": 3}, plain)]) == (model.run_id, starter.asked)


def test_a_second_click_that_was_on_its_way_starts_no_second_run() -> None:
    starter = Starter("r1")
    model = StartModel(pipelines=(COUNT,), commands=starter)
    for _ in range(2):
        asyncio.run(model.start({"n": 3}))
    assert ("r1", 1) == (model.run_id, len(starter.asked))


def test_a_run_is_done_again_with_other_values_and_another_limit() -> None:
    starter = Starter("r2")
    model = StartModel(pipelines=(COUNT,), commands=starter, again="r1", values={"n": 3})
    asyncio.run(model.start({"n": 4}, time_limit_seconds=60.0))
    assert [("Count", {"n": 4}, {"again": "r1", "time_limit_seconds": 60.0})] == starter.asked


def test_a_refusal_names_its_fields_and_keeps_what_was_typed() -> None:
    model = StartModel(pipelines=(COUNT,), commands=Starter(StartRefused("no", {"n": "too small", "x": "?"})))
    model.update(typed={"n": "0"})
    asyncio.run(model.start({"n": 0}))
    assert ({"n": "too small"}, {"n": "0"}, "no", False) == (
        model.errors,
        model.typed,
        model.notice,
        model.busy,
    )


def test_another_pipeline_begins_an_empty_form() -> None:
    model = StartModel(
        pipelines=(COUNT, PipelineSpec("Other")),
        values={"n": 1},
        errors={"n": "bad"},
        again="r1",
        time_limit=9,
    )
    model.choose("Other")
    assert ("Other", {}, {}) == (model.chosen, model.values, model.errors)
    assert ("", None) == (model.again, model.time_limit)


def test_a_pipeline_that_is_not_on_offer_is_not_chosen() -> None:
    model = StartModel(pipelines=(COUNT,))
    model.choose("Other")
    assert "Count" == model.chosen


def test_a_pipeline_is_read_from_the_api() -> None:
    spec = PipelineSpec.from_json(
        {
            "name": "N",
            "doc": "Text.",
            "phases": [{"name": "a", "weight": 2}],
            "parameters": {"properties": {}},
        }
    )
    assert PipelineSpec("N", "N", "Text.", (("a", 2.0),), {"properties": {}}) == spec


# -- the end -----------------------------------------------------------------------------------------------------------


def _views() -> list[Any]:
    return [
        RunView(RunModel(state=running(), log=lines(), now=0.0)),
        RunsView(RunsModel(rows=some_runs(), now=0.0)),
        StartForm(StartModel(pipelines=(COUNT,), now=0.0)),
    ]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_no_watcher_outlives_its_session(index: int) -> None:
    view = _views()[index]
    view.get_root()
    watched = [name for name, kinds in view.model.param.watchers.items() if kinds.get("value")]
    view.model.close()
    left = [name for name, kinds in view.model.param.watchers.items() if kinds.get("value")]
    assert (True, []) == (bool(watched), left)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_view_is_gone_when_its_session_is_over_though_its_model_is_kept(index: int) -> None:
    view = _views()[index]
    model, gone = view.model, weakref.ref(view)
    view.model.close()
    del view
    gc.collect()
    assert gone() is None
    assert model.closed


def test_a_closed_model_takes_nothing_more() -> None:
    model = RunModel(state=running(), now=1.0)
    model.close()
    model.advance(lines=[line(1)], now=2.0)
    assert (1.0, ()) == (model.now, model.log.lines)


def test_what_ends_with_the_session_ends_once_and_last_begun_first() -> None:
    model = RunModel()
    ended: list[int] = []
    model.on_close(lambda: ended.append(1))
    model.on_close(lambda: ended.append(2))
    model.close()
    model.close()
    assert [2, 1] == ended


def test_what_joins_a_closed_session_ends_at_once() -> None:
    model = RunModel()
    model.close()
    ended: list[int] = []
    model.on_close(lambda: ended.append(1))
    assert [1] == ended


def test_the_literals_are_what_they_say() -> None:
    assert 4 == len(RESULT)
