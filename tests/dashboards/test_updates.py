"""Between browser and view: only changes are sent, a slow browser is told less, and any message does no harm."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from bokeh.document import Document
from msgspec.structs import replace

from dashboards.session import WINDOW_LINES, LogLine, LogWindow, RunModel, RunsModel
from dashboards.views import RunsView, RunView, StartView
from dashboards.views.base import Shown
from dashboards.views.pace import AHEAD
from dashboards.views.progress import ProgressView
from dashboards.views.stats import StatsView
from streamer.model.state import Curve, PhaseState
from tests.dashboards.drawing import PARTS, begun, drawn, further, rows_drawn, view
from tests.gallery.forms import STARTS
from tests.gallery.lists import OVERVIEWS, some_runs
from tests.gallery.samples import NOW
from tests.gallery.states import running

# -- only what changed is sent -----------------------------------------------------------------------------------------


def test_a_typical_update_is_one_small_message(messages: list[Any]) -> None:
    run = drawn("running")
    run.model.advance(state=further(running()))
    (message,) = messages
    assert {
        "phases": {"fill"},
        "progress": {"now", "spoken"},
        "stats": {"cells"},
        "throughput": {"+t", "+rate"},
    } == {part: set(change) for part, change in message["parts"].items()}
    assert {} == message["news"]


def test_an_update_costs_no_change_of_a_document(messages: list[Any]) -> None:
    run, document, changes = drawn("running"), Document(), []
    document.add_root(run.component.get_root(document))
    document.on_change(changes.append)
    run.model.advance(state=further(running()))
    assert ([], 1) == (changes, len(messages))


def test_viewers_of_the_same_run_share_what_they_see(
    messages: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, later = running(), further(running())
    runs = [RunView(model=RunModel(state=state, now=NOW)) for _ in range(3)]
    presented: list[str] = []
    for kind in (ProgressView, StatsView):
        real = kind.present
        monkeypatch.setattr(
            kind, "present", lambda self, real=real: presented.append(self.part) or real(self)
        )
    for run in runs:
        run.component._handle_msg({"type": "hello", "version": 0})
        run.model.advance(state=later)
    assert (["progress", "stats"], 3) == (presented, len(messages))
    assert messages[0] == messages[1] == messages[2]


def test_a_viewer_s_own_choice_is_its_own(messages: list[Any]) -> None:
    one, other = drawn("running"), drawn("running")
    one.model.update(tab="result")
    assert [{"details": {"tab": "result"}}] == [message["parts"] for message in messages]
    assert "log" == other.details.present()["tab"]


def test_nothing_is_sent_when_nothing_changed(messages: list[Any]) -> None:
    drawn("running").model.advance(state=replace(running(), seq=1301, offset=9001))
    assert [] == messages


def test_a_second_going_by_changes_the_ages_only(messages: list[Any]) -> None:
    drawn("running").model.update(now=NOW + 1)
    assert [{"header": {"life"}, "phases": {"labels", "spoken"}, "stats": {"cells"}}] == [
        {part: set(change) for part, change in message["parts"].items()} for message in messages
    ]


def test_log_lines_are_sent_once_and_alone(messages: list[Any]) -> None:
    run = drawn("running")
    line = LogLine(7, NOW, "INFO", "", "load", None, "one more")
    run.model.advance(lines=[line])
    row = [7, NOW, "INFO", "load", "one more"]
    assert [({}, {"log": {"kind": "appended", "lines": [row]}})] == [
        (message["parts"], message["news"]) for message in messages
    ]
    assert row == begun(run)[-1]


def test_messages_are_numbered_without_a_gap(messages: list[Any]) -> None:
    run = drawn("running")
    for second in (1, 2, 3):
        run.model.update(now=NOW + second)
    assert [(0, 1), (1, 2), (2, 3)] == [(message["after"], message["version"]) for message in messages]


def test_a_browser_that_missed_a_message_is_told_all(messages: list[Any]) -> None:
    run = drawn("running")
    run.model.update(now=NOW + 1)
    run.component._handle_msg({"type": "hello", "version": 0})
    whole = messages[-1]
    assert (True, 1, set(PARTS), 6) == (
        whole["whole"],
        whole["version"],
        set(whole["parts"]),
        len(whole["news"]["log"]["lines"]),
    )


def test_until_a_browser_has_drawn_the_page_nothing_is_sent_and_its_document_is_kept_right(
    messages: list[Any],
) -> None:
    run, document = view("running"), Document()
    root = run.component.get_root(document)
    document.add_root(root)
    run.model.update(now=NOW + 1)
    text = json.loads(root.data.text)
    assert ([], 1, "0:29") == (messages, text["version"], text["parts"]["stats"]["cells"][2]["value"])


def test_a_drawing_that_begins_later_begins_with_what_is_so_then() -> None:
    run = drawn("running")
    run.model.update(now=NOW + 1)
    assert 1 == json.loads(run.component.get_root().data.text)["version"]


# -- a browser that does not keep up -----------------------------------------------------------------------------------


class Reader:
    """A page as `views.js` keeps one: what it knows after the messages that it took."""

    def __init__(self, first: str) -> None:
        self.version = -1
        self.parts: dict[str, Any] = {}
        self.lines: list[list[Any]] = []
        self.take(json.loads(first))

    def take(self, message: dict[str, Any]) -> dict[str, Any]:
        """Take a message, and return what the page says then."""
        whole = message.get("whole", False)
        if not whole and message["after"] != self.version:
            return {"type": "hello", "version": self.version}
        self.version = message["version"]
        for part, change in message["parts"].items():
            self.parts[part] = change if whole else merged(self.parts[part], change)
        news = message["news"].get("log")
        if news is not None:
            rows = news["lines"]
            joined = {
                "replaced": rows,
                "appended": [*self.lines, *rows][-WINDOW_LINES:],
                "prepended": [*rows, *self.lines][:WINDOW_LINES],
            }
            self.lines = joined[news["kind"]]
        return {"type": "seen", "version": self.version} if message["ask"] else {}


def merged(state: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    grown = {name[1:]: (*change[name],) for name in change if name.startswith("+")}
    plain = {name: value for name, value in change.items() if not name.startswith("+")}
    return state | plain | {name: [*state[name][:kept], *rest] for name, (kept, rest) in grown.items()}


def some_lines(first: int, many: int) -> list[LogLine]:
    return [
        LogLine(n, NOW, "INFO", "", "load", None, f"line {n} ".ljust(200, "x"))
        for n in range(first, first + many)
    ]


def test_a_browser_that_takes_nothing_is_told_no_more_until_it_does_and_then_all_at_once(
    messages: list[Any],
) -> None:
    run = drawn("running")
    for first in range(1000, 6000, 100):
        run.model.advance(state=replace(running(), seq=first), lines=some_lines(first, 100))
    assert 2 * AHEAD > sum(len(json.dumps(message)) for message in messages)
    told = len(messages)
    run.component._handle_msg({"type": "seen", "version": messages[-1]["version"]})
    assert told + 1 == len(messages)
    news = messages[-1]["news"]["log"]
    assert ("appended", 5500, 5999) == (news["kind"], news["lines"][0][0], news["lines"][-1][0])


@pytest.mark.parametrize("seed", range(5))
def test_however_slow_a_browser_is_it_comes_to_know_what_is_shown(messages: list[Any], seed: int) -> None:
    rng, run = random.Random(seed), drawn("running")
    reader, model = Reader(run.component.board.whole()), run.model
    newest = oldest = 10_000
    for _ in range(80):
        match rng.choice((*["lines"] * 5, "older", "state", "window", "second", "take", "draw")):
            case "lines":
                many = rng.randint(1, 60)
                model.advance(state=further(model.state), lines=some_lines(newest, many))
                newest += many
            case "older":
                many = rng.randint(1, 50)
                oldest -= many
                model._prepend(LogWindow(tuple(some_lines(oldest, many)), has_older=True))
            case "state":
                model.advance(state=replace(model.state, overall_progress=rng.uniform(0, 100)))
            case "window":
                model.show_log(LogWindow(tuple(some_lines(newest, 40))))
                oldest, newest = newest, newest + 40
            case "second":
                model.update(now=model.now + 1)
            case "take" if messages:
                say(run, reader.take(messages.pop(0)))
            case "draw" if rng.random() < 0.2:
                run.component.get_root()
    while messages:
        say(run, reader.take(messages.pop(0)))
    whole = Reader(run.component.board.whole())
    assert (whole.version, whole.parts, whole.lines) == (reader.version, reader.parts, reader.lines)


def say(run: RunView, said: dict[str, Any]) -> None:
    if said:
        run.component._handle_msg(said)


@pytest.mark.parametrize("version", [None, "1", 10**30, -1, True, [1]])
def test_whatever_a_browser_says_to_have_seen_the_page_goes_on(messages: list[Any], version: Any) -> None:
    run = drawn("running")
    run.model.advance(lines=some_lines(1000, 500))
    run.component._handle_msg({"type": "seen", "version": version})
    run.component._handle_msg({"type": "seen", "version": 1})
    run.model.update(now=NOW + 1)
    assert 2 == messages[-1]["version"]


def test_only_the_rows_that_changed_are_sent(messages: list[Any]) -> None:
    rows = some_runs()
    runs = RunsView(RunsModel(rows=rows, now=NOW))
    runs.component._handle_msg({"type": "hello", "version": 0})
    runs.model.update(rows=(replace(rows[0], overall_progress=70.0), *rows[1:]))
    data = messages[-1]["news"]["runs"]
    assert (["70 %"], None) == ([row["progress"] for row in data["rows"]], data["order"])


def test_a_new_run_is_sent_with_the_order(messages: list[Any]) -> None:
    rows = some_runs()
    runs = RunsView(RunsModel(rows=rows, now=NOW))
    runs.component._handle_msg({"type": "hello", "version": 0})
    runs.model.update(rows=(replace(rows[0], run="new"), *rows))
    data = messages[-1]["news"]["runs"]
    assert (["new"], ["new", *(row.run for row in rows)]) == (
        [row["run"] for row in data["rows"]],
        data["order"],
    )


def test_a_curve_that_was_thinned_out_is_sent_anew(messages: list[Any]) -> None:
    run = drawn("running")
    phase = running().phases[1]
    thinned = replace(phase, curve=Curve(2.0, phase.curve.points[::2]))
    run.model.advance(state=replace(running(), phases=(running().phases[0], thinned, running().phases[2])))
    assert len(thinned.curve.points) == len(messages[-1]["parts"]["throughput"]["rate"])


def test_a_phase_that_joins_is_drawn(messages: list[Any]) -> None:
    run = drawn("running")
    run.model.advance(state=replace(running(), phases=(*running().phases, PhaseState("late", 100))))
    change = messages[-1]["parts"]["phases"]
    assert (4, 4) == (len(change["left"]), len(change["labels"]))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], {"+x": [5, [6]]}),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9, 6], {"+x": [4, [9, 6]]}),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"+x": [4, [9]]}),
        ([1, 2, 3, 4, 5], [0, 2, 3, 4, 5, 6], {"x": [0, 2, 3, 4, 5, 6]}),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], {"x": [1, 2, 3, 4]}),
        ([1], [1, 2], {"x": [1, 2]}),
        ([1, 2], [1, 2], None),
    ],
)
def test_of_a_list_that_grew_only_its_end_is_sent(
    before: list[int], after: list[int], change: dict[str, Any] | None
) -> None:
    said = Shown({"x": after, "same": "text"}).since(Shown({"x": before, "same": "text"}))
    assert change == (json.loads(said) if said else None)


# -- what a browser says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        None,
        3,
        [],
        {},
        {"type": 7},
        {"type": "no such"},
        {"type": "level", "level": {}},
        {"type": "page", "towards": 1},
    ],
)
@pytest.mark.parametrize("part", ["header", "details", "log", "failures", "no such", {}, None])
def test_whatever_a_browser_sends_does_no_harm(message: Any, part: Any, at_once: None) -> None:
    run = view("running")
    run.component._handle_msg({**message, "part": part} if isinstance(message, dict) else message)
    assert "log" == run.model.tab


def test_the_reader_of_the_log_asks_the_streamer(at_once: None) -> None:
    run = view("running")
    run.log.receive({"type": "level", "level": "ERROR"})
    assert (["ERROR"], "ERROR") == ([line.level for line in run.model.log.lines], run.model.level)
    run.log.receive({"type": "search", "search": "nothing like it"})
    assert () == run.model.log.lines


def test_a_reader_who_scrolls_up_is_left_in_peace(at_once: None) -> None:
    run = view("many-lines")
    run.log.receive({"type": "follow", "following": False})
    run.log.receive({"type": "older"})
    assert (False, 2301, True) == (
        run.model.following,
        run.model.log.lines[0].offset,
        run.model.log.has_newer,
    )


def test_the_next_failed_items_are_asked_for(at_once: None) -> None:
    run = view("complete-with-failures")
    run.failures.receive({"type": "page", "towards": "newer"})
    state = run.failures.present()
    assert (50, 10, True, False) == (state["first"], len(state["items"]), state["older"], state["newer"])


def test_a_cancel_that_does_not_work_is_said(at_once: None) -> None:
    run = view("running")
    run.header.receive({"type": "cancel"})
    assert ("notice", "ask") == (run.notice.present()["kind"], run.header.present()["cancel"])


def test_a_form_that_is_wrong_is_not_sent(at_once: None) -> None:
    start = StartView(STARTS["form"]())
    start.form.receive({"type": "start", "pipeline": "ImportPrices", "values": {"repeat": "many"}})
    assert {"repeat": "Expected a whole number."} == start.form.present()["errors"]


def test_a_form_that_is_not_the_one_its_reader_turned_to_is_not_sent(at_once: None) -> None:
    start = StartView(STARTS["form"]())
    seen = start.model.chosen
    start.form.receive({"type": "choose", "name": "AuditFolder"})
    start.form.receive({"type": "start", "pipeline": seen, "values": {"repeat": "many"}})
    state = start.form.present()
    assert ("AuditFolder", {}, False) == (state["chosen"], state["errors"], state["busy"])


def test_what_the_streamer_refuses_is_said_at_the_field(at_once: None) -> None:
    start = StartView(STARTS["form"]())
    start.form.receive(
        {"type": "start", "pipeline": "ImportPrices", "values": {"repeat": "2", "source": "/no"}}
    )
    state = start.form.present()
    assert ({"source"}, "/no", False) == (set(state["errors"]), state["fields"][0]["value"], state["busy"])


def test_the_list_is_filtered_as_its_reader_says(at_once: None) -> None:
    runs = RunsView(OVERVIEWS["some"]())
    runs.table.receive({"type": "search", "search": "audit"})
    assert ["Audit folder"] == [row["title"] for row in rows_drawn(runs)]


def test_a_browser_that_has_all_there_is_is_sent_nothing(messages: list[Any]) -> None:
    drawn("running")
    assert [] == messages


def test_the_result_is_one_click_away_where_the_end_is_said() -> None:
    run = view("complete")
    run.model.update(tab="log")
    assert run.progress.present()["result"]
    run.progress.receive({"type": "result"})
    assert ("result", False) == (run.model.tab, view("failed").progress.present()["result"])


def test_a_tab_is_remembered() -> None:
    run = view("running")
    run.details.receive({"type": "tab", "tab": "result"})
    assert "result" == run.model.tab
