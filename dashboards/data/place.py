"""Where a session's models are changed: `SessionPlace` under a document's lock, `ThreadPlace` where there is none.

Both run a session's coroutines without an event loop: Bokeh 3.10 calls a session's callbacks in worker threads. Such a
coroutine awaits nothing but `ask`, which asks in the connection's loop; each part of it between two questions is a
delivery. `LoopPlace` is an event loop alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any, Final, Generic, Protocol, TypeVar

from panel.io import hold
from panel.io.state import set_curdoc

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class Place(Protocol):
    """Where a session runs: how its models are changed from outside, and how its coroutines are run."""

    def deliver(self, action: Callable[[], None]) -> None:
        """Call `action` soon, where the session's models may be changed."""

    def run(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function soon, in the session."""

    def ask(self, question: Callable[[], Coroutine[Any, Any, _T]]) -> Awaitable[_T]:
        """Return what a coroutine of the connection's loop returns, for a coroutine that `run` runs."""


class LoopPlace:
    """A session that is nothing but its event loop: a notebook's, or a test's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, action: Callable[[], None]) -> None:
        action()

    def run(self, action: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await action()

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ask(self, question: Callable[[], Coroutine[Any, Any, _T]]) -> Awaitable[_T]:
        return question()


class Question(Generic[_T]):
    """A question for the connection's loop: awaited once, by a coroutine that a place runs."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, _T]]) -> None:
        self.ask = ask

    def __await__(self) -> Generator[Question[_T], _T, _T]:
        return (yield self)


class _Stepped:
    """Runs coroutines step by step: a base of the places, which say how a step is delivered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def deliver(self, action: Callable[[], None]) -> None:
        raise NotImplementedError  # each place has its own way

    def ask(self, question: Callable[[], Coroutine[Any, Any, _T]]) -> Awaitable[_T]:
        """Return an awaitable for what the question's coroutine returns."""
        return Question(question)

    def run(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function from here on. To be called where the models may be changed."""

        async def run() -> None:
            await action()

        self._step(run(), lambda coroutine: coroutine.send(None))

    def _step(
        self, coroutine: Coroutine[Any, Any, None], resume: Callable[[Coroutine[Any, Any, None]], Any]
    ) -> None:
        try:
            question = resume(coroutine)
        except StopIteration:
            return
        except Exception:
            logger.exception("something that a viewer asked for failed")
            return
        asked: Future[Any] = asyncio.run_coroutine_threadsafe(question.ask(), self._loop)
        asked.add_done_callback(lambda done: self.deliver(lambda: self._answer(coroutine, done)))

    def _answer(self, coroutine: Coroutine[Any, Any, None], done: Future[Any]) -> None:
        if done.cancelled():
            coroutine.close()
            return
        error = done.exception()
        if error is None:
            self._step(coroutine, lambda it: it.send(done.result()))
        else:
            self._step(coroutine, lambda it: it.throw(error))


class ThreadPlace(_Stepped):
    """No document of its own: changes are made in the connection's thread, one after another.

    Panel passes them on to whatever documents show the model: in a script, a notebook, a page that sessions share.
    """

    is_thread = True

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._lock = threading.RLock()

    def deliver(self, action: Callable[[], None]) -> None:
        with self._lock:
            action()

    def run(self, action: Callable[[], Awaitable[None]]) -> None:
        with self._lock:
            super().run(action)


#: Seconds without a change after which a session is told once that this was all.
BEAT_SECONDS: Final = 1.0


class SessionPlace(_Stepped):
    """A session of a server: changes wait for its document's next tick, all that wait are made together.

    `add_next_tick_callback` is the one public way that works from any thread with Bokeh 3.9 and 3.10 alike.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, document: Any, beat: Callable[[], None] | None = None
    ) -> None:
        super().__init__(loop)
        self._document = document
        self._beat = beat
        self._changed_at = 0.0
        self._beat_due = False
        self._due: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._asked = False
        self._ended = False

    def deliver(self, action: Callable[[], None]) -> None:
        with self._lock:
            if self._ended:
                return
            self._due.append(action)
            if self._asked:
                return
            self._asked = True
        self._document.add_next_tick_callback(self._go)

    def _go(self) -> None:
        with self._lock:
            self._asked = False
        with set_curdoc(self._document), hold(self._document):
            while self._due and not self._ended:
                action = self._due.popleft()
                try:
                    action()
                except Exception:
                    # One part of a page must not end the others' updates.
                    logger.exception("a page could not be brought up to date")
        if self._beat is not None and not self._ended:
            self._changed_at = time.monotonic()
            if not self._beat_due:
                self._beat_due = True
                self._loop.call_soon_threadsafe(self._wait_for_beat)

    def _wait_for_beat(self) -> None:
        """Wait in the loop until nothing changed for a while; then tell the session once."""
        rest = self._changed_at + BEAT_SECONDS - time.monotonic()
        if rest > 0 and not self._ended:
            self._loop.call_later(rest, self._wait_for_beat)
            return
        self._beat_due = False
        if not self._ended:
            self._document.add_next_tick_callback(self._tell_beat)

    def _tell_beat(self) -> None:
        if self._beat is not None and not self._ended:
            with set_curdoc(self._document):
                self._beat()

    def end(self) -> None:
        """Deliver nothing any more: the session is over."""
        with self._lock:
            self._ended = True
            self._due.clear()
