"""`RunLink`: keeps a `RunModel` up to date from a feed, and carries out its viewer's commands. Draws nothing."""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal

from dashboards.data.feed import INTERVAL_SECONDS, Update, log_line
from dashboards.data.place import Place
from dashboards.data.streamers import Live, command_error
from dashboards.data.timers import Pauses, Ticker
from dashboards.session import (
    PAGE_FAILURES,
    WINDOW_LINES,
    CommandError,
    FailuresPage,
    LogLine,
    LogWindow,
    RunModel,
)
from streamer.client.client import StreamerError
from streamer.model.events import Entry, FailedItem, ItemFailed
from streamer.model.state import RunState

logger = logging.getLogger(__name__)

#: Seconds between two requests for what changes all the time: failed items at the end, lines that went by too fast.
AGAIN_SECONDS: Final = 1.0


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
        self._pauses = Pauses()
        model.commands = self
        model.place = place
        told = source.feed.subscribe(model.run_id, self._told, interval_seconds=interval_seconds)
        # The clock waits for its turn as all else does, and goes with what is told anyway.
        self._ticker = Ticker(place, lambda: source.call(told.ask))
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

    async def retry(self, *, rest: bool = False) -> str:
        """Start a run of the failed items, and of the rest if asked, and return its id. Raises `CommandError`."""
        client, model = self._source.client, self._model
        try:
            items: Literal["failed", "rest"] = "rest" if rest else "failed"
            created = await self._place.ask(
                lambda: client.retry(model.run_id, items=items, owner=self._by or None)
            )
        except StreamerError as error:
            raise command_error(error) from error
        return created.run

    async def log_window(
        self, *, level: str, search: str, before: int | None, after: int | None, limit: int
    ) -> LogWindow:
        """Do as `RunCommands.log_window`."""
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
        """Do as `RunCommands.failures`. A token of another page leads to the next one."""
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
