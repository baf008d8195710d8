"""How a session's models are changed: joined, in the next tick; its coroutines go on step by step without a loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bokeh.document import Document

from dashboards.data.place import SessionPlace, ThreadPlace
from dashboards.session import CommandError
from tests.support import wait_until


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop that runs in a thread of its own."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


class Ticks(Document):
    """A document whose next ticks are made by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.due: list[Callable[[], None]] = []

    def add_next_tick_callback(self, callback: Any) -> Any:
        self.due.append(callback)

    def tick(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


async def _double(number: int) -> int:
    return 2 * number


async def _refuse() -> int:
    raise CommandError("no")


def test_changes_of_a_session_wait_for_one_next_tick(loop: asyncio.AbstractEventLoop) -> None:
    document, made = Ticks(), []
    place = SessionPlace(loop, document)
    place.deliver(lambda: made.append(1))
    place.deliver(lambda: made.append(2))
    assert ([], 1) == (made, len(document.due))
    document.tick()
    assert [1, 2] == made


def test_a_change_that_fails_does_not_keep_the_others_back(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    document, made = Ticks(), []
    place = SessionPlace(loop, document)
    place.deliver(lambda: made.append(1 // 0))
    place.deliver(lambda: made.append(2))
    document.tick()
    assert ([2], True) == (made, "could not be brought up to date" in caplog.text)


def test_a_session_that_is_over_is_told_nothing(loop: asyncio.AbstractEventLoop) -> None:
    document, made = Ticks(), []
    place = SessionPlace(loop, document)
    place.deliver(lambda: made.append(1))
    place.end()
    place.deliver(lambda: made.append(2))
    document.tick()
    assert [] == made


def test_a_coroutine_goes_on_in_the_session_with_what_the_loop_answered(
    loop: asyncio.AbstractEventLoop,
) -> None:
    document, made = Ticks(), []
    place = SessionPlace(loop, document)

    async def twice() -> None:
        made.append(await place.ask(lambda: _double(21)))

    place.run(twice)
    wait_until(lambda: document.due)
    assert [] == made
    document.tick()
    assert [42] == made


def test_an_error_of_the_loop_is_raised_in_the_coroutine(loop: asyncio.AbstractEventLoop) -> None:
    place, said = ThreadPlace(loop), []

    async def ask() -> None:
        try:
            await place.ask(_refuse)
        except CommandError as error:
            said.append(str(error))

    place.run(ask)
    wait_until(lambda: said)
    assert ["no"] == said
