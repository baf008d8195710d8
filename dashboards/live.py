"""Keeps the models up to date and carries out viewers' commands, with a `Feed` and a `Client`.

Draws nothing, and knows no page: a link is handed the model it keeps. There is one `Live` for each event loop and
streamer; every session has its own links, which end with their model.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from dashboards.feed import INTERVAL_SECONDS, Feed, Update, log_line
from dashboards.fields import wrong_fields
from dashboards.local import local
from dashboards.session import (
    PAGE_FAILURES,
    PAGE_RUNS,
    STATUSES,
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
from streamer.client.client import ApiError, Client, Message, OnConnection, Refused, StreamerError
from streamer.model.events import Entry, FailedItem, ItemFailed
from streamer.model.state import RunState
from streamer.protocol.frames import Snapshot
from streamer.settings import Settings

logger = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Seconds between two requests for what changes all the time: failed items at the end, lines that went by too fast.
AGAIN_SECONDS: Final = 1.0
#: Seconds after the whole second at which the clock moves on where nothing was told since.
TICK_SECONDS: Final = 1.5 * INTERVAL_SECONDS
#: Seconds after which the streamer is asked again for what it could not answer.
RETRY_SECONDS: Final = 3.0
#: Most seconds a page waits before it tries to reach the streamer again.
LONGEST_AWAY_SECONDS: Final = 4.0
#: The most rows that the list of runs holds.
ROWS_KEPT: Final = 1000
_WEEK_SECONDS: Final = 7 * 86_400.0


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


class Live:
    """A streamer as the sessions of one event loop see it: its client, and its feed."""

    def __init__(self, client: Client, feed: Feed) -> None:
        self.client = client
        self.feed = feed
        self.loop = asyncio.get_running_loop()

    def call(self, action: Callable[[], object]) -> None:
        """Call `action` in the loop: now in the loop's own thread, else soon. Any thread.

        A loop that is closed calls nothing: the process ends.
        """
        call_in(self.loop, action)

    async def close(self) -> None:
        """End the feed and the connections."""
        await self.feed.close()
        await self.client.aclose()


def call_in(loop: asyncio.AbstractEventLoop, action: Callable[[], object]) -> None:
    """Call `action` in a loop: now in the loop's own thread, else soon. Any thread.

    Args:
        loop: The event loop. One that is closed calls nothing: its process ends.
        action: The function to call.
    """
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        action()
        return
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(action)


@functools.cache
def _lives() -> WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, Live]]:
    return WeakKeyDictionary()


def live(url: str | None = None) -> Live:
    """Return the running event loop's `Live` of a streamer; None: the one that the settings or the data folder name.

    Raises `RuntimeError` without a running event loop, `SettingError`, and `ValueError` for a URL that is none.
    """
    known = _lives().setdefault(asyncio.get_running_loop(), {})
    if url not in known:
        known[url] = _make(url)
    return known[url]


async def close_all() -> None:
    """Close what `live` made in the running event loop."""
    for one in _lives().pop(asyncio.get_running_loop(), {}).values():
        await one.close()


def _make(url: str | None) -> Live:
    settings = Settings.from_environment()
    client = Client(url, settings=settings, sleep=_sleep)
    return Live(client, Feed(_Upstream(client), describe=functools.partial(_away, client)))


class _Upstream:
    """A client for a feed, which waits for the streamer that is being opened in this very process."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def follow(
        self, run_id: str | None = None, *, on_connection: OnConnection | None = None
    ) -> AsyncIterator[Message]:
        await local().ready()
        async for message in self._client.follow(run_id, on_connection=on_connection):
            yield message

    async def run(self, run_id: str) -> Snapshot:
        await local().ready()
        return await self._client.run(run_id)


async def _sleep(seconds: float) -> None:
    # The pause between attempts doubles; somebody looks at the page and waits, and there is one connection per process.
    await asyncio.sleep(min(seconds, LONGEST_AWAY_SECONDS))


def _away(client: Client, reason: str) -> str:
    if local().problem:
        return f"It could not be opened: {local().problem}. It is tried again every few seconds."
    if client.settings.url:
        advice = "Check that it runs, and that STREAMER_URL is its address."
    else:
        advice = "It is started with “streamer serve”."
    return (
        f"{client.url} does not answer: {reason}. {advice} This page goes on by itself as soon as it is back."
    )


def command_error(error: StreamerError) -> CommandError:
    """Return what a viewer is told of an error."""
    return CommandError(str(error))


# -- one run -----------------------------------------------------------------------------------------------------------


class RunLink:
    """Keeps a `RunModel` up to date until it is closed, and is its commands."""

    def __init__(
        self,
        model: RunModel,
        source: Live,
        place: Place,
        *,
        by: str = "",
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._model = model
        self._source = source
        self._place = place
        self._by = by
        # Lines that came from the feed: those that a window, asked for before they happened, does not have.
        self._recent: deque[LogLine] = deque(maxlen=WINDOW_LINES)
        self._pages = _Pages()
        self._window_known = self._asking_window = self._asking_failures = False
        self._pauses = _Pauses()
        model.commands = self
        model.place = place
        told = source.feed.subscribe(model.run_id, self._told, interval_seconds=interval_seconds)
        # The clock waits for its turn as all else does, and goes with what is told anyway.
        self._ticker = _Ticker(place, lambda: source.call(told.ask))
        model.on_close(self._ticker.close)
        model.on_close(self._pauses.close)
        model.on_close(lambda: source.call(told.end))

    # -- what the feed tells -------------------------------------------------------------------------------------------

    def _told(self, update: Update) -> None:
        self._recent.extend(update.lines)
        self._place.deliver(lambda: self._take(update))

    def _take(self, update: Update) -> None:
        model = self._model
        if model.closed:
            return
        state = update.states[-1] if update.states else model.state
        if update.missing:
            state = None
        known = state is not None
        connection: str = "missing" if update.missing else update.connection
        if connection == "live" and not known:
            connection = "connecting"
        changes: dict[str, Any] = {}
        if connection != model.connection or update.message != model.connection_message:
            changes.update(connection=connection, connection_message=update.message)
        if state is not model.state:
            changes["state"] = state
        if state is not None and model.cancel_asked and (state.is_over or state.status == "cancelling"):
            changes["cancel_asked"] = False
        if update.renewed:
            self._window_known = False
            self._pages = _Pages()
        if not known:
            if changes:
                model.update(**changes)
            return
        now = model.whole_second()
        if now != model.now:
            changes["now"] = now
        self._take_lines(update, changes)
        self._ask_for_the_rest()

    def _take_lines(self, update: Update, changes: dict[str, Any]) -> None:
        model = self._model
        if not self._window_known:
            # The window that is on its way will hold them.
            if changes:
                model.update(**changes)
        elif not update.skipped:
            if changes or update.lines:
                state = changes.pop("state", None)
                model.advance(state=state, lines=update.lines, **changes)
        elif model.following and not model.level and not model.search:
            window = LogWindow(
                update.lines, has_older=True, total=_total(changes.get("state") or model.state)
            )
            model.show_log(window, **changes)
        elif model.following:
            self._window_known = False
            model.update(**changes)
        else:
            model.update(log=model.log._replace(has_newer=True), **changes)

    def _ask_for_the_rest(self) -> None:
        state = self._model.state
        if state is None:
            return
        if not self._window_known and not self._asking_window:
            self._asking_window = True
            self._place.run(self._read_window)
        if self._wants_failures(state) and not self._asking_failures:
            self._asking_failures = True
            self._place.run(self._read_failures)
        self._ticker.set(not state.is_over)

    async def _read_window(self) -> None:
        self._window_known = True
        model = self._model
        if not model.closed:
            if model.following:
                await model.filter_log()
            else:
                model.update(log=model.log._replace(has_newer=True))
            # A window that could not be read is asked for again, as one that is outrun: once a second.
            if model.notice and not model.log.lines and model.state is not None and model.state.log_lines:
                self._window_known = False
        self._later(lambda: setattr(self, "_asking_window", False))

    def _wants_failures(self, state: RunState) -> bool:
        page = self._model.failures
        return page.newer is None and state.results.failed > page.first + len(page.items)

    async def _read_failures(self) -> None:
        model = self._model
        if not model.closed and not model.failures_busy:
            try:
                page = await self.failures(before=self._pages.current, after=None, limit=PAGE_FAILURES)
            except CommandError as error:
                logger.info("failed items of %s could not be read: %s", model.run_id, error)
            else:
                model.update(failures=page)
        self._later(lambda: setattr(self, "_asking_failures", False))

    def _later(self, action: Callable[[], None]) -> None:
        def then() -> None:
            action()
            if not self._model.closed:
                self._place.deliver(self._ask_for_the_rest)

        self._pauses.after(AGAIN_SECONDS, then)

    # -- what the viewer asks for --------------------------------------------------------------------------------------

    async def cancel(self) -> None:
        """Ask the streamer to cancel the run. Raises `CommandError`."""
        client, model = self._source.client, self._model
        try:
            await self._place.ask(lambda: client.cancel(model.run_id, by=self._by))
        except StreamerError as error:
            raise command_error(error) from error

    async def retry(self) -> str:
        """Start a run of exactly the failed items and return its id. Raises `CommandError`."""
        client, model = self._source.client, self._model
        try:
            created = await self._place.ask(lambda: client.retry(model.run_id, owner=self._by or None))
        except StreamerError as error:
            raise command_error(error) from error
        return created.run

    async def log_window(
        self, *, level: str, search: str, before: int | None, after: int | None, limit: int
    ) -> LogWindow:
        """Return lines before or after an offset, or the last ones. Raises `CommandError`."""
        # One more than is wanted tells whether something follows.
        wanted = limit if after is None else limit + 1
        way, place = ("before", before) if after is None else ("after", after)
        cursor = None if place is None else str(place)
        found: tuple[Entry, ...] = ()
        while True:
            try:
                asked: dict[str, Any] = {"limit": wanted - len(found), way: cursor}
                page = await self._place.ask(
                    functools.partial(
                        self._source.client.log,
                        self._model.run_id,
                        level=level or None,
                        search=search or None,
                        **asked,
                    )
                )
            except StreamerError as error:
                raise command_error(error) from error
            found = page.lines + found if after is None else found + page.lines
            if not page.partial or len(found) >= wanted:
                break
            # A search of a long log takes several requests.
            cursor = page.older if after is None else page.newer
        lines = tuple(log_line(entry) for entry in found[:limit])
        has_newer = before is not None or len(found) > limit
        if not has_newer:
            lines += self._after(lines[-1].offset if lines else after or 0)
        has_older = after is not None or page.older is not None
        return LogWindow(lines, has_older=has_older, has_newer=has_newer, total=page.total)

    def _after(self, offset: int) -> tuple[LogLine, ...]:
        """Return what has come since the streamer answered, as far as the viewer's filter lets it through."""
        return tuple(line for line in self._recent if line.offset > offset and self._model.matches(line))

    async def failures(self, *, before: str | None, after: str | None, limit: int) -> FailuresPage:
        """Return a page of failed items: the first, or that of a token of another page. Raises `CommandError`."""
        token = before if before is not None else after
        try:
            page = await self._place.ask(
                lambda: self._source.client.failures(self._model.run_id, after=token or None, limit=limit)
            )
        except StreamerError as error:
            raise command_error(error) from error
        items = tuple(_failed(entry.event) for entry in page.failures if isinstance(entry.event, ItemFailed))
        return self._pages.page(token or "", items, page.next, page.total)


class _Pages:
    """The way through pages that the streamer gives forwards only: which began where.

    A page's token is the cursor after which it begins, empty for the first.
    """

    def __init__(self) -> None:
        self.current = ""
        self._places: dict[str, tuple[str | None, int]] = {"": (None, 0)}

    def page(
        self, token: str, items: tuple[FailedItem, ...], following: str | None, total: int
    ) -> FailuresPage:
        """Return the page that begins at a token, and remember the one after it."""
        older, first = self._places.get(token, (None, 0))
        self.current = token
        if following is not None:
            self._places[following] = token, first + len(items)
        return FailuresPage(items, max(total, first + len(items)), first, older, following)


def _failed(event: ItemFailed) -> FailedItem:
    return FailedItem(event.item, event.phase, event.error)


def _total(state: RunState | None) -> int | None:
    return None if state is None else state.log_lines


# -- the list of runs --------------------------------------------------------------------------------------------------


class RunsLink:
    """Keeps a `RunsModel` up to date until it is closed, and is its commands."""

    def __init__(
        self, model: RunsModel, source: Live, place: Place, *, interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        self._model = model
        self._source = source
        self._place = place
        self._known = self._asking = False
        # The news since each page that is still on its way was asked for: the streamer may have answered before that.
        self._meanwhile: list[_Meanwhile] = []
        self._ticker = _Ticker(place, self._tick)
        self._pauses = _Pauses()
        model.commands = self
        model.place = place
        model.on_close(self._ticker.close)
        model.on_close(self._pauses.close)
        told = source.feed.subscribe(None, self._told, interval_seconds=interval_seconds)
        model.on_close(lambda: source.call(told.end))

    def _told(self, update: Update) -> None:
        self._place.deliver(lambda: self._take(update))

    def _take(self, update: Update) -> None:
        model = self._model
        if model.closed:
            return
        changes: dict[str, Any] = {}
        if update.connection != model.connection or update.message != model.connection_message:
            changes.update(connection=update.connection, connection_message=update.message)
        if update.renewed:
            self._known = False
        for meanwhile in self._meanwhile:
            meanwhile.add(update)
        if self._known and (update.states or update.removed):
            rows = self._joined(model.rows, update.states, has_older=model.has_older)
            rows = tuple(row for row in rows if row.run not in update.removed)
            if rows != model.rows:
                changes["rows"] = rows
        if changes:
            model.update(**changes)
        if update.states or update.removed:
            self._count()
        self._ask_for_the_rest()

    def _joined(
        self, rows: tuple[RunState, ...], states: Iterable[RunState], *, has_older: bool
    ) -> tuple[RunState, ...]:
        """Return rows with states that changed put in their place, and new runs on top."""
        fresh = {state.run: state for state in states}
        rows = tuple(fresh.pop(row.run, row) for row in rows)
        # Rows older than the last one come with the next page.
        oldest = _created(rows[-1]) if rows and has_older else 0.0
        new = [s for s in fresh.values() if _created(s) >= oldest and self._model.matches(s)]
        if new:
            rows = tuple(sorted([*rows, *new], key=_created, reverse=True))
        return rows[:ROWS_KEPT]

    def _count(self) -> None:
        model = self._model
        states = self._source.feed.states()
        counts = {
            "running": sum(s.status in ("running", "stalled", "cancelling") for s in states),
            "queued": sum(s.status == "queued" for s in states),
        }
        since = model.now - _WEEK_SECONDS
        recent = sum(_created(row) >= since for row in model.rows)
        if recent and not (model.status or model.pipeline or model.search):
            is_all = not model.has_older or _created(model.rows[-1]) < since
            if is_all:
                counts["week"] = recent
        if counts != model.counts:
            model.update(counts=counts)

    def _tick(self) -> None:
        self._model.tick()
        self._ask_for_the_rest()

    def _ask_for_the_rest(self) -> None:
        model = self._model
        if not self._known and not self._asking and model.connection == "live":
            self._asking = True
            self._place.run(self._read)
        self._ticker.set(not self._known or any(not row.is_over for row in model.rows))

    async def _read(self) -> None:
        model = self._model
        # `filter` asks again with what is chosen already.
        self._known = True
        await model.filter(status=model.status)
        self._known = not model.notice
        if self._known and not model.closed:
            self._count()
            try:
                offers = await self._place.ask(self._source.client.pipelines)
            except StreamerError as error:
                logger.info("the pipelines could not be read: %s", error)
            else:
                names = tuple(offer.name for offer in offers.pipelines)
                model.update(pipelines=names, first_pipeline=_first(names))
        self._pauses.after(RETRY_SECONDS, self._asked)

    def _asked(self) -> None:
        self._asking = False
        if not self._model.closed:
            self._place.deliver(self._ask_for_the_rest)

    async def runs(
        self, *, status: str, pipeline: str, search: str, before: str | None, limit: int = PAGE_RUNS
    ) -> tuple[tuple[RunState, ...], bool]:
        """Return a page of runs, newest first, and whether there are more. Raises `CommandError`."""
        meanwhile = _Meanwhile()
        self._meanwhile.append(meanwhile)
        try:
            page = await self._place.ask(
                lambda: self._source.client.runs(
                    status=status if status in STATUSES else None,
                    pipeline=pipeline or None,
                    search=search or None,
                    before=before,
                    limit=limit,
                )
            )
        except StreamerError as error:
            raise command_error(error) from error
        finally:
            self._meanwhile.remove(meanwhile)
        has_older = page.next is not None
        rows = tuple(self._newest(state) for state in page.runs if state.run not in meanwhile.removed)
        if before is None:
            rows = self._joined(rows, meanwhile.states.values(), has_older=has_older)
        return rows, has_older

    def _newest(self, state: RunState) -> RunState:
        """Return the feed's state of a run when that has gone on since the streamer answered."""
        known = self._source.feed.state(state.run)
        return known if known is not None and known.seq > state.seq else state


class _Meanwhile:
    """The changes of runs while a page of them was on its way."""

    def __init__(self) -> None:
        self.states: dict[str, RunState] = {}
        self.removed: set[str] = set()

    def add(self, update: Update) -> None:
        self.states |= {state.run: state for state in update.states}
        self.removed |= update.removed
        for run_id in update.removed:
            self.states.pop(run_id, None)


def _created(state: RunState) -> float:
    return state.created or 0.0


def _first(names: tuple[str, ...]) -> str:
    return "Count" if "Count" in names or not names else names[0]


# -- the form ----------------------------------------------------------------------------------------------------------


class StartLink:
    """Keeps a `StartModel` up to date until it is closed, and is its commands. `owner` is who starts.

    `wanted` is the pipeline that is chosen at first; `again` a run of it whose values the form is filled with.
    """

    def __init__(
        self,
        model: StartModel,
        source: Live,
        place: Place,
        *,
        owner: str | None = None,
        wanted: str = "",
        again: str = "",
    ) -> None:
        self._model = model
        self._source = source
        self._place = place
        self._owner = owner
        self._wanted = wanted
        self._again = again
        self._asking = False
        self._pauses = _Pauses()
        # The notice about the pipelines; it goes when it is no longer true.
        self._said = ""
        model.commands = self
        model.place = place
        model.on_close(self._pauses.close)
        self._connection = ""
        told = source.feed.subscribe(None, self._told)
        model.on_close(lambda: source.call(told.end))

    def _told(self, update: Update) -> None:
        # The form does not show runs.
        if update.renewed or update.connection != self._connection:
            self._connection = update.connection
            self._place.deliver(lambda: self._take(update))

    def _take(self, update: Update) -> None:
        model = self._model
        if model.closed:
            return
        if update.connection != model.connection or update.message != model.connection_message:
            model.update(connection=update.connection, connection_message=update.message)
        # After every reset the streamer may be another one, with other pipelines.
        if update.connection == "live" and (update.renewed or not model.pipelines):
            self._ask()

    def _ask(self) -> None:
        if not self._asking and not self._model.closed:
            self._asking = True
            self._place.run(self._read)

    async def _read(self) -> None:
        model = self._model
        try:
            offers = await self._place.ask(self._source.client.pipelines)
        except StreamerError as error:
            self._asking = False
            self._said = f"The pipelines could not be read: {error}"
            model.update(notice=self._said)
            self._pauses.after(RETRY_SECONDS, self._ask)
            return
        self._asking = False
        if model.closed:
            return
        specs = tuple(
            PipelineSpec(
                offer.name,
                offer.title or offer.name,
                offer.doc,
                tuple((phase.name, phase.weight) for phase in offer.phases),
                offer.schema,
                offer.time_limit_seconds,
            )
            for offer in offers.pipelines
        )
        names = [spec.name for spec in specs]
        changes: dict[str, Any] = {"pipelines": specs}
        if model.chosen not in names:
            changes["chosen"] = self._wanted if self._wanted in names else next(iter(names), "")
        problems = [f"{problem.reference}: {problem.message}" for problem in offers.problems]
        said = "Not on offer: " + " · ".join(problems[:5]) if problems else ""
        if said or model.notice == self._said:
            changes["notice"] = said
        self._said = said
        if self._again:
            changes |= await self._values_of(self._again, names)
        if not model.closed:
            model.update(**changes)

    async def _values_of(self, run_id: str, names: list[str]) -> dict[str, Any]:
        """Return what fills the form with the values of a run; where it cannot be, the notice says why."""
        # Once: what the viewer typed since must not be lost when the streamer was away.
        self._again = ""
        try:
            state = (await self._place.ask(lambda: self._source.client.run(run_id))).state
        except StreamerError as error:
            return {"notice": f"The values of run {run_id} could not be read: {error}"}
        if not state.managed or state.pipeline not in names:
            return {"notice": f"The pipeline of run {run_id} is not on offer here."}
        return {
            "chosen": state.pipeline,
            "again": run_id,
            "values": dict(state.parameters),
            "time_limit": state.time_limit_seconds,
        }

    async def start(
        self,
        pipeline: str,
        parameters: dict[str, Any],
        *,
        again: str = "",
        time_limit_seconds: float | None = None,
    ) -> str:
        """Start a run, which repeats the run `again` if any; return its id. Raises `StartRefused` or `CommandError`."""
        client = self._source.client
        how: dict[str, Any] = {"owner": self._owner, "time_limit_seconds": time_limit_seconds}
        try:
            if again:
                created = await self._place.ask(
                    lambda: client.retry(again, items="all", params=parameters, **how)
                )
            else:
                created = await self._place.ask(lambda: client.create(pipeline, parameters, **how))
        except Refused as error:
            raise StartRefused(_sentence(error), wrong_fields(error.details)) from error
        except StreamerError as error:
            raise command_error(error) from error
        return created.run


def _sentence(error: ApiError) -> str:
    fields = wrong_fields(error.details)
    if not fields:
        return error.message
    return (
        "One of the parameters was refused."
        if len(fields) == 1
        else f"{len(fields)} parameters were refused."
    )


# -- time --------------------------------------------------------------------------------------------------------------


class _Pauses:
    """Calls each action once, after its pause, until it is closed. Made in a loop; used in any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handles: dict[object, asyncio.TimerHandle] = {}
        self._closed = False

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` in the loop in so many seconds."""
        call_in(self._loop, lambda: self._after(seconds, action))

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        if self._closed:
            return
        key = object()

        def then() -> None:
            del self._handles[key]
            action()

        self._handles[key] = self._loop.call_later(seconds, then)

    def close(self) -> None:
        """Call none of them any more, and none that are still to come."""
        self._closed = True
        call_in(self._loop, self._clear)

    def _clear(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()


class _Ticker:
    """Calls something in a session once a second while it is set. Made in a loop; used in any thread."""

    def __init__(self, place: Place, action: Callable[[], None]) -> None:
        self._place = place
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._wanted = self._closed = False

    def set(self, wanted: bool) -> None:
        """Go on, or stop."""
        if wanted != self._wanted:
            self._wanted = wanted
            call_in(self._loop, self._heed)

    def _heed(self) -> None:
        if self._wanted and self._handle is None and not self._closed:
            # Soon after the whole second of the wall clock, as far as the loop is on time: all ages move on together,
            # those of runs that have something to tell with that.
            self._handle = self._loop.call_later(1.0 + TICK_SECONDS - time.time() % 1.0, self._tick)
        elif not self._wanted and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        self._handle = None
        self._heed()
        self._place.deliver(self._act)

    def _act(self) -> None:
        if not self._closed:
            self._action()

    def close(self) -> None:
        """Never call it again."""
        self._closed = True
        self._wanted = False
        call_in(self._loop, self._heed)
