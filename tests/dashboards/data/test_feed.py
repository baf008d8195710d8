"""`dashboards.data.feed`: one connection for all, nothing missed between a state and the rest, and within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.data.feed import (
    LIVE_RUNS_KEPT,
    LONGEST_POLL_SECONDS,
    POLL_SECONDS,
    REFUSED_SECONDS,
    Feed,
    Update,
)
from dashboards.session import WINDOW_LINES
from streamer.client.client import Forbidden, Message, NotFound, StreamerAway
from streamer.model.events import Completed, Entry, Event, Logged, PhaseChanged, Progressed, StatusChanged
from streamer.model.reducer import fold
from streamer.model.state import RunState
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import Removed, Snapshot, SnapshotOfAll
from tests.support import wait_until_async


class FakeTimers:
    """The time and the timers of a loop, which go on when they are told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._waiting: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.now + delay, callback, (), asyncio.get_running_loop())
        self._count += 1
        self._waiting.append((self.now + delay, self._count, handle))
        return handle

    def advance(self, seconds: float) -> None:
        """Let seconds pass, and call what is due, in its order."""
        end = self.now + seconds
        while due := sorted(one for one in self._waiting if one[0] <= end and not one[2].cancelled()):
            when, _, handle = one = due[0]
            self._waiting.remove(one)
            self.now = max(when, self.now)
            handle._run()
        self.now = max(end, self.now)

    @property
    def waiting(self) -> int:
        return sum(not handle.cancelled() for _, _, handle in self._waiting)


class FakeUpstream:
    """A streamer in memory: what is put into `messages` comes down the one stream; `states` can be read."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self.states: dict[str, RunState | Exception] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.followed = self.open = 0
        self.read: list[str] = []
        self.say: Callable[..., None] = lambda *_: None

    async def follow(self, run_id: str | None = None, *, on_connection: Any = None) -> AsyncIterator[Message]:
        assert run_id is None
        self.followed += 1
        self.open += 1
        self.say = on_connection
        try:
            while True:
                message = await self.messages.get()
                if isinstance(message, Exception):
                    raise message
                yield message
        finally:
            self.open -= 1

    async def run(self, run_id: str) -> Snapshot:
        self.read.append(run_id)
        state = self.states.get(run_id, NotFound(404, "not_found", f"no run {run_id!r}"))
        if run_id in self.gates:
            await self.gates[run_id].wait()
        if isinstance(state, Exception):
            raise state
        return Snapshot(state, Cursor("e", state.offset))

    def send(self, *messages: Message | Exception) -> None:
        for message in messages:
            self.messages.put_nowait(message)


class Rig:
    """A feed with its upstream and its time."""

    def __init__(self, **options: Any) -> None:
        self.upstream, self.timers = FakeUpstream(), FakeTimers()
        self.feed = Feed(self.upstream, timers=self.timers, **options)
        self.told: dict[str, list[Update]] = {}

    def subscribe(self, name: str, run_id: str | None, **options: Any) -> Callable[[], None]:
        self.told[name] = []
        return self.feed.subscribe(run_id, self.told[name].append, **options).end

    async def settle(self) -> None:
        """Return when all tasks wait for something else."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def begin(self, *states: RunState) -> None:
        await self.settle()
        self.upstream.say("live", "")
        self.upstream.send(everything(*states))
        await self.settle()
        self.timers.advance(1)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.feed.close()
    assert made.upstream.open == 0
    assert made.feed.subscribers == 0
    assert made.timers.waiting == 0


def everything(*states: RunState) -> SnapshotOfAll:
    return SnapshotOfAll(states, Cursor("e", max((state.offset for state in states), default=0)))


def story(run_id: str, *events: Event) -> list[Entry]:
    """A run's entries: queued, running, then these."""
    described = StatusChanged(status="queued", title=run_id.title(), phases=(), owner="ops")
    told = [described, StatusChanged(status="running"), *events]
    return [Entry(10 * seq, run_id, seq, 1000.0 + seq, event) for seq, event in enumerate(told, 1)]


def counted(n: int) -> list[Event]:
    return [Progressed(done=i, total=n, unit="rows") for i in range(1, n + 1)]


def said(n: int) -> list[Event]:
    return [Logged(message=f"line {i}") for i in range(1, n + 1)]


def after(entries: list[Entry], n: int) -> RunState:
    return fold(RunState(run=entries[0].run_id), entries[:n])


async def test_a_run_that_was_removed_is_forgotten_and_its_page_says_so(rig: Rig) -> None:
    rig.subscribe("all", None)
    rig.subscribe("page", "a")
    await rig.begin(after(story("a"), 2), after(story("b"), 2))
    rig.upstream.send(Removed(30, "a", 1000.0))
    await rig.settle()
    rig.timers.advance(1)

    assert ["b"] == [state.run for state in rig.feed.states()]
    assert frozenset("a") == rig.told["all"][-1].removed
    assert rig.told["page"][-1].missing


# -- one connection ----------------------------------------------------------------------------------------------------


async def test_a_hundred_subscribers_share_one_connection(rig: Rig) -> None:
    entries = story("a", *counted(3))
    for number in range(50):
        rig.subscribe(f"run {number}", "a")
        rig.subscribe(f"all {number}", None)
    await rig.begin(after(entries, 3))
    rig.upstream.send(*entries[3:])
    await rig.settle()
    rig.timers.advance(1)

    assert rig.upstream.followed == 1
    assert rig.upstream.read == []
    assert {3} == {told[-1].states[-1].done for told in rig.told.values()}


async def test_the_connection_is_kept_for_a_reload_and_ends_after_that(rig: Rig) -> None:
    unsubscribe = rig.subscribe("one", "a")
    await rig.begin(after(story("a"), 2))
    unsubscribe()
    rig.timers.advance(29)
    await rig.settle()
    assert rig.upstream.open == 1

    unsubscribe = rig.subscribe("two", "a")
    rig.timers.advance(60)
    await rig.settle()
    assert (1, 1) == (rig.upstream.open, rig.upstream.followed)

    unsubscribe()
    rig.timers.advance(31)
    await rig.settle()
    assert (0, False, ()) == (rig.upstream.open, rig.feed.is_connected, rig.feed.states())


async def test_it_begins_again_for_who_comes_later(rig: Rig) -> None:
    rig.subscribe("one", "a")()
    rig.timers.advance(31)
    await rig.settle()
    rig.subscribe("two", "a")
    await rig.begin(after(story("a"), 2))

    assert 1 == rig.upstream.open
    assert "running" == rig.told["two"][-1].states[0].status


async def test_ending_a_subscription_twice_ends_it_once(rig: Rig) -> None:
    first, second = rig.subscribe("one", "a"), rig.subscribe("two", "a")
    first()
    first()
    assert 1 == rig.feed.subscribers
    second()
    assert 0 == rig.feed.subscribers


async def test_who_left_is_told_nothing_more(rig: Rig) -> None:
    entries = story("a", *counted(3))
    unsubscribe = rig.subscribe("one", "a")
    await rig.begin(after(entries, 3))
    rig.upstream.send(*entries[3:])
    await rig.settle()
    count = len(rig.told["one"])
    unsubscribe()
    rig.timers.advance(10)
    assert count == len(rig.told["one"])


# -- pace --------------------------------------------------------------------------------------------------------------


async def test_the_first_word_comes_at_once_and_says_how_the_streamer_is_reached(rig: Rig) -> None:
    rig.subscribe("one", "a")
    rig.timers.advance(0)
    assert [Update("connecting", "", renewed=True)] == rig.told["one"]


async def test_a_subscriber_is_called_at_most_ten_times_a_second_and_always_told_the_last(rig: Rig) -> None:
    entries = story("a", *counted(500))
    rig.subscribe("one", "a")
    await rig.begin(after(entries, 2))
    before = len(rig.told["one"])
    for entry in entries[2:]:
        rig.upstream.send(entry)
        await rig.settle()
        rig.timers.advance(0.01)  # a hundred a second, for five seconds
    rig.timers.advance(0.1)

    calls = len(rig.told["one"]) - before
    assert 45 <= calls <= 51
    assert 500 == rig.told["one"][-1].states[0].done


async def test_what_comes_after_a_silence_is_told_at_once(rig: Rig) -> None:
    entries = story("a", *counted(1))
    rig.subscribe("one", "a")
    await rig.begin(after(entries, 2))
    rig.timers.advance(5)
    rig.upstream.send(entries[2])
    await rig.settle()
    rig.timers.advance(0)
    assert 1 == rig.told["one"][-1].states[0].done


async def test_many_subscribers_leave_the_loop_its_turns_and_are_all_told(rig: Rig) -> None:
    told = []

    def slow(_: Update) -> None:
        rig.timers.now += 0.005
        told.append(rig.timers.now)

    unsubscribe = [rig.feed.subscribe("a", slow).end for _ in range(100)]
    rig.timers.advance(0)
    assert len(told) <= 2
    unsubscribe[-1]()
    rig.timers.advance(1)
    assert 99 == len(told)
    assert told[-1] - told[0] > 1.4 * 98 * 0.005


async def test_who_asks_is_called_once_in_its_turn_with_what_came_meanwhile(rig: Rig) -> None:
    entries, told = story("a", *counted(3)), []
    subscription = rig.feed.subscribe("a", told.append)
    await rig.begin(after(entries, 2))
    told.clear()
    subscription.ask()
    subscription.ask()
    rig.upstream.send(entries[2])
    await rig.settle()
    assert [] == told
    rig.timers.advance(1)
    assert [1] == [len(update.states) for update in told]
    subscription.ask()
    rig.timers.advance(1)
    assert [1, 0] == [len(update.states) for update in told]
    subscription.end()
    subscription.ask()
    rig.timers.advance(1)
    assert 2 == len(told)


async def test_each_subscriber_has_its_own_pace(rig: Rig) -> None:
    entries = story("a", *counted(100))
    rig.subscribe("page", "a")
    rig.subscribe("cell", "a", interval_seconds=0.25)
    await rig.begin(after(entries, 2))
    before = {name: len(told) for name, told in rig.told.items()}
    for entry in entries[2:]:
        rig.upstream.send(entry)
        await rig.settle()
        rig.timers.advance(0.01)
    rig.timers.advance(0.25)

    assert 9 <= len(rig.told["page"]) - before["page"] <= 11
    assert 4 <= len(rig.told["cell"]) - before["cell"] <= 5
    assert 100 == rig.told["cell"][-1].states[0].done


async def test_one_that_fails_does_not_keep_the_others_from_being_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(update: Update) -> None:
        raise ValueError("this session is broken")

    rig.feed.subscribe("a", fail)
    rig.subscribe("one", "a")
    await rig.begin(after(story("a"), 2))

    assert "running" == rig.told["one"][-1].states[0].status
    assert "this session is broken" in caplog.text


# -- nothing is missed -------------------------------------------------------------------------------------------------


async def test_entries_that_come_while_a_state_is_read_are_joined_to_it(rig: Rig) -> None:
    entries = story("a", *counted(10))
    gate = rig.upstream.gates["a"] = asyncio.Event()
    rig.upstream.states["a"] = after(entries, 5)
    rig.subscribe("one", "a")
    await rig.begin()
    rig.upstream.send(*entries[3:9])  # two of them are in the state already
    await rig.settle()
    gate.set()
    await rig.settle()
    rig.timers.advance(1)

    assert after(entries, 9) == rig.told["one"][-1].states[0]


@given(data=st.data())
def test_whatever_lies_between_the_state_is_that_of_all_entries(data: st.DataObject) -> None:
    entries = story("a", *counted(12), *said(3), Completed())
    read_at = data.draw(st.integers(2, len(entries)), label="entries in the state that is read")
    begun_at = data.draw(st.integers(1, read_at), label="entries before the stream begins")
    opened_at = data.draw(st.integers(begun_at, len(entries)), label="entries before the answer comes")

    async def run() -> RunState:
        rig = Rig()
        gate = rig.upstream.gates["a"] = asyncio.Event()
        rig.upstream.states["a"] = after(entries, read_at)
        rig.subscribe("one", "a")
        await rig.begin()
        rig.upstream.send(*entries[begun_at:opened_at])
        await rig.settle()
        gate.set()
        await rig.settle()
        rig.upstream.states["a"] = after(entries, len(entries))
        rig.upstream.send(*entries[opened_at:])
        await rig.settle()
        rig.timers.advance(1)
        known = rig.feed.state("a")
        await rig.feed.close()
        assert known is not None
        return known

    assert after(entries, len(entries)) == asyncio.run(run())


async def test_a_run_that_begins_now_needs_no_reading(rig: Rig) -> None:
    rig.subscribe("all", None)
    await rig.begin()
    rig.upstream.send(*story("new", *counted(2)))
    await rig.settle()
    rig.timers.advance(1)

    assert ["new"] == [state.run for state in rig.told["all"][-1].states]
    assert [] == rig.upstream.read


async def test_a_state_with_entries_missing_is_read_again(rig: Rig) -> None:
    entries = story("a", *counted(10))
    rig.subscribe("one", "a")
    await rig.begin(after(entries, 4))
    rig.upstream.states["a"] = after(entries, 9)
    rig.upstream.send(entries[8])
    await rig.settle()
    rig.timers.advance(1)

    assert ["a"] == rig.upstream.read
    assert after(entries, 9) == rig.told["one"][-1].states[0]


async def test_an_old_run_is_read_once_and_followed_no_further(rig: Rig) -> None:
    entries = story("old", Completed())
    rig.upstream.states["old"] = after(entries, 3)
    rig.subscribe("one", "old")
    await rig.begin()

    assert "complete" == rig.told["one"][-1].states[0].status
    rig.timers.advance(600)
    await rig.settle()
    assert ["old"] == rig.upstream.read


async def test_only_who_looks_at_a_run_is_told_of_it(rig: Rig) -> None:
    first, other = story("a", *counted(3)), story("b", *counted(3))
    rig.subscribe("a", "a")
    await rig.begin(after(first, 2), after(other, 2))
    count = len(rig.told["a"])
    rig.upstream.send(*other[2:])
    await rig.settle()
    rig.timers.advance(1)
    assert count == len(rig.told["a"])


# -- lines -------------------------------------------------------------------------------------------------------------


async def test_lines_are_told_once_in_their_order(rig: Rig) -> None:
    entries = story("a", *said(250))
    rig.subscribe("one", "a")
    await rig.begin(after(entries, 2))
    for start in range(2, len(entries), 25):
        rig.upstream.send(*entries[start : start + 25])
        await rig.settle()
        rig.timers.advance(0.04)
    rig.timers.advance(1)

    lines = [line for update in rig.told["one"] for line in update.lines]
    assert [f"line {i}" for i in range(1, 251)] == [line.message for line in lines]
    assert [entry.offset for entry in entries[2:]] == [line.offset for line in lines]
    assert not any(update.skipped for update in rig.told["one"])


async def test_of_more_lines_than_a_window_the_last_ones_are_told_and_that_there_were_more(rig: Rig) -> None:
    entries = story("a", *said(WINDOW_LINES + 100))
    rig.subscribe("one", "a")
    await rig.begin(after(entries, 2))
    rig.upstream.send(*entries[2:])
    await wait_until_async(rig.upstream.messages.empty)
    await rig.settle()
    rig.timers.advance(1)

    update = rig.told["one"][-1]
    assert update.skipped
    assert WINDOW_LINES == len(update.lines)
    assert f"line {WINDOW_LINES + 100}" == update.lines[-1].message
    assert WINDOW_LINES + 100 == update.states[0].log_lines


# -- runs that are missing ---------------------------------------------------------------------------------------------


async def test_a_run_that_is_missing_is_said_to_be_and_asked_for_ever_more_gently(rig: Rig) -> None:
    rig.subscribe("one", "nope")
    await rig.begin()
    assert rig.told["one"][-1].missing

    asked = deque([len(rig.upstream.read)])
    for _ in range(60):
        rig.timers.advance(1)
        await rig.settle()
    asked.append(len(rig.upstream.read))
    assert 60 / LONGEST_POLL_SECONDS <= asked[1] - asked[0] <= 60 / POLL_SECONDS / 2


async def test_a_missing_run_that_appears_in_the_store_is_shown(rig: Rig) -> None:
    rig.subscribe("one", "late")
    await rig.begin()
    rig.upstream.states["late"] = after(story("late", Completed()), 3)
    rig.timers.advance(LONGEST_POLL_SECONDS)
    await rig.settle()
    rig.timers.advance(1)

    assert not rig.told["one"][-1].missing
    assert "complete" == rig.told["one"][-1].states[0].status


async def test_a_missing_run_that_begins_is_shown_at_once(rig: Rig) -> None:
    rig.subscribe("one", "late")
    await rig.begin()
    assert rig.told["one"][-1].missing
    rig.upstream.send(*story("late"))
    await rig.settle()
    rig.timers.advance(0.1)

    assert not rig.told["one"][-1].missing
    assert "running" == rig.told["one"][-1].states[0].status


async def test_nobody_asks_for_a_missing_run_any_more_when_its_page_is_closed(rig: Rig) -> None:
    unsubscribe = rig.subscribe("one", "nope")
    rig.subscribe("other", None)
    await rig.begin()
    asked = len(rig.upstream.read)
    unsubscribe()
    rig.timers.advance(100)
    await rig.settle()
    assert asked == len(rig.upstream.read)


# -- away and back -----------------------------------------------------------------------------------------------------


async def test_that_the_streamer_is_away_is_said_in_the_words_of_the_application() -> None:
    rig = Rig(describe=lambda reason: f"Not there ({reason}).")
    rig.subscribe("one", "a")
    await rig.begin(after(story("a"), 2))
    rig.upstream.say("away", "no connection")
    rig.timers.advance(1)
    assert ("away", "Not there (no connection).") == rig.told["one"][-1][:2]
    rig.upstream.say("live", "")
    rig.timers.advance(1)
    assert ("live", "") == rig.told["one"][-1][:2]
    await rig.feed.close()


async def test_a_run_that_could_not_be_read_is_read_when_the_streamer_is_back(rig: Rig) -> None:
    rig.upstream.states["old"] = StreamerAway("http://127.0.0.1:1", "no connection")
    rig.subscribe("one", "old")
    await rig.begin()
    rig.upstream.say("away", "no connection")
    rig.upstream.states["old"] = after(story("old", Completed()), 3)
    rig.upstream.say("live", "")
    await rig.settle()
    rig.timers.advance(0.1)
    assert "complete" == rig.told["one"][-1].states[0].status


async def test_after_a_reset_what_was_known_is_void_and_told_to_be(rig: Rig) -> None:
    entries, other = story("a", *counted(5)), story("b")
    rig.subscribe("a", "a")
    rig.subscribe("b", "b")
    rig.subscribe("all", None)
    await rig.begin(after(entries, 6), after(other, 2))
    rig.upstream.send(everything(after(entries, 3)))
    await rig.settle()
    rig.timers.advance(1)

    assert after(entries, 3) == rig.told["a"][-1].states[0]
    assert rig.told["a"][-1].renewed
    assert rig.told["all"][-1].renewed
    assert rig.told["b"][-1].missing
    assert ["a"] == [state.run for state in rig.feed.states()]


async def test_a_stream_that_is_refused_is_asked_for_again(rig: Rig) -> None:
    rig.subscribe("one", "a")
    await rig.settle()
    rig.upstream.send(Forbidden(401, "unauthorized", "expected the operators' token"))
    await rig.settle()
    rig.timers.advance(0.1)
    assert ("away", "expected the operators' token") == rig.told["one"][-1][:2]

    rig.timers.advance(REFUSED_SECONDS)
    await rig.begin(after(story("a"), 2))
    assert 2 == rig.upstream.followed
    assert ("live", "") == rig.told["one"][-1][:2]


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_memory_does_not_grow_with_the_runs_that_were() -> None:
    rig = Rig(runs_kept=20)
    rig.subscribe("looked at", "run 0")
    rig.subscribe("all", None)
    await rig.begin()
    for number in range(200):
        rig.upstream.send(*story(f"run {number}", Completed()))
    await wait_until_async(rig.upstream.messages.empty)
    await rig.settle()

    kept = [state.run for state in rig.feed.states()]
    assert 20 == len(kept)
    assert {"run 0", "run 199"} <= set(kept)
    await rig.feed.close()


async def test_runs_under_way_are_kept_up_to_a_bound(rig: Rig) -> None:
    rig.subscribe("all", None)
    await rig.begin(*(after(story(f"run {number}"), 2) for number in range(LIVE_RUNS_KEPT + 10)))
    assert LIVE_RUNS_KEPT == len(rig.feed.states())


async def test_entries_of_many_kinds_fold_as_everywhere_else(rig: Rig) -> None:
    entries = story(
        "a",
        PhaseChanged(phase="load", phase_status="started", weight=3),
        Progressed(phase="load", done=1, total=4),
        PhaseChanged(phase="load", phase_status="finished"),
        Completed(result={"rows": 4}),
    )
    rig.subscribe("all", None)
    await rig.begin()
    rig.upstream.send(*entries)
    await rig.settle()
    assert after(entries, 6) == rig.feed.state("a")
