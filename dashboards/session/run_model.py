"""`RunModel`: the reactive mirror of one run, and what its viewer chose. No network, no drawing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import param

from dashboards.session.base import Session
from dashboards.session.commands import CommandError, RunCommands
from dashboards.session.values import (
    PAGE_FAILURES,
    PAGE_LINES,
    SEARCH_LIMIT,
    TABS,
    WINDOW_LINES,
    FailuresPage,
    LogChange,
    LogLine,
    LogWindow,
)
from streamer.model.events import LEVELS, TERMINAL
from streamer.model.state import RunState
from streamer.model.summary import Summary, summarise


class RunModel(Session):
    """The reactive mirror of one run, and what its viewer chose.

    From literals: ``RunModel(state=RunState(…), log=LogWindow(…), failures=FailuresPage(…), now=…)``. The feeding code
    replaces `state` at most ten times a second and appends log lines with `advance`.
    """

    run_id = param.String(default="", doc="The run's id.")
    state = param.ClassSelector(class_=RunState, default=None, allow_None=True, doc="None until it is known.")
    level = param.String(default="", doc="The least level of the lines shown; empty: all.")
    search = param.String(default="", doc="Text the lines shown contain; empty: all.")
    following = param.Boolean(default=True, doc="Whether the log stays at its end.")
    tab: Any = param.Selector(default="log", objects=list(TABS), doc="The details shown.")
    log = param.ClassSelector(class_=LogWindow, default=LogWindow(), doc="The lines at hand.")
    log_change = param.ClassSelector(
        class_=LogChange, default=None, allow_None=True, doc="What last became of `log`."
    )
    log_busy = param.Boolean(default=False, doc="Whether lines are on their way.")
    failures = param.ClassSelector(
        class_=FailuresPage, default=FailuresPage(), doc="The failed items at hand."
    )
    failures_busy = param.Boolean(default=False, doc="Whether failed items are on their way.")
    cancel_asked = param.Boolean(default=False, doc="Whether this viewer asked to cancel the run.")
    link = param.String(default="", doc="The page's URL for Copy link; empty: the browser's own.")
    retry_busy = param.Boolean(default=False, doc="Whether the failed items are being started again.")
    retry_run = param.String(default="", doc="The run of the failed items that this viewer started.")

    def __init__(self, *, commands: RunCommands | None = None, **params: Any) -> None:
        state = params.get("state")
        if state is not None:
            params.setdefault("run_id", state.run)
        log = params.get("log")
        if log is not None and not isinstance(log, LogWindow):
            params["log"] = LogWindow(lines=tuple(log)[-WINDOW_LINES:], total=len(tuple(log)))
        failures = params.get("failures")
        if failures is not None and not isinstance(failures, FailuresPage):
            params["failures"] = FailuresPage(
                items=tuple(failures)[:PAGE_FAILURES], total=len(tuple(failures))
            )
        super().__init__(commands=commands, **params)
        self._request = 0
        self._summary: tuple[Any, ...] = (None, None, None, None)

    @property
    def summary(self) -> Summary | None:
        """The run in numbers and words, made once for all views; None until the run is known."""
        if self.state is None:
            return None
        state, now, away, summary = self._summary
        if state is not self.state or (now, away) != (self.now, self.away_seconds):
            now, away = self.now, self.away_seconds
            summary = summarise(self.state, now, away_seconds=away)
            self._summary = (self.state, now, away, summary)
        made: Summary = summary
        return made

    # -- what happens to the run ---------------------------------------------------------------------------------------

    def advance(
        self, *, state: RunState | None = None, lines: Iterable[LogLine] = (), **changes: Any
    ) -> None:
        """Take in what is new, joined: the state after it, the log lines that came (any level), other parameters.

        Lines that do not match the viewer's filter are left out. A window that does not reach the end, or that is full
        while its reader is elsewhere, stays as it is and only says that there is more.
        """
        if state is not None:
            changes["state"] = state
        fresh = self._fresh(tuple(lines))
        if fresh:
            changes.update(self._appended(fresh))
        if changes:
            self.update(**changes)

    def _fresh(self, lines: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
        """Return those of the lines, oldest first, that are new and that the filter lets through."""
        window = self.log.lines
        last = window[-1].offset if window else None
        if last is not None and lines and lines[0].offset <= last:
            lines = tuple(line for line in lines if line.offset > last)
        return tuple(line for line in lines if self.matches(line)) if self.level or self.search else lines

    def _appended(self, fresh: tuple[LogLine, ...]) -> dict[str, Any]:
        window = self.log
        total = None if window.total is None else window.total + len(fresh)
        full = not self.following and len(window.lines) + len(fresh) > WINDOW_LINES
        if window.has_newer or full:
            return {"log": window._replace(has_newer=True, total=total)}
        lines = window.lines + fresh
        after = window.lines[-1].offset if window.lines else None
        log = LogWindow(
            lines[-WINDOW_LINES:], window.has_older or len(lines) > WINDOW_LINES, window.has_newer, total
        )
        return {"log": log, "log_change": LogChange("appended", fresh[-WINDOW_LINES:], after)}

    def matches(self, line: LogLine) -> bool:
        """Return whether the viewer's filter lets a line through, as the streamer would."""
        if LEVELS.get(line.level, 20) < LEVELS.get(self.level, 0):
            return False
        return not self.search or self.search.casefold() in line.message.casefold()

    def show_log(self, window: LogWindow, **changes: Any) -> None:
        """Replace the window."""
        window = window._replace(lines=window.lines[-WINDOW_LINES:])
        self.update(log=window, log_change=LogChange("replaced", window.lines), **changes)

    # -- what the viewer asks for --------------------------------------------------------------------------------------

    @property
    def can_cancel(self) -> bool:
        """Whether there is a run to cancel, and nobody asked for it yet."""
        return (
            self.state is not None
            and self.state.status not in TERMINAL
            and self.state.status != "cancelling"
            and not self.cancel_asked
        )

    async def cancel(self) -> None:
        """Ask for the run to be cancelled; `cancel_asked` says so until the run's own status does."""
        if self.commands is None or not self.can_cancel:
            return
        self.update(cancel_asked=True, notice="")
        try:
            await self.commands.cancel()
        except CommandError as error:
            self.update(cancel_asked=False, notice=f"Cancel did not go through: {error}")

    async def retry(self, *, rest: bool = False) -> None:
        """Start a run of exactly the failed items, once; `retry_run` becomes its id.

        Args:
            rest: Whether it does the items that were never reached, too.

        """
        # The second click of a double click comes before the first is answered.
        if self.commands is None or self.retry_busy or self.retry_run:
            return
        self.update(retry_busy=True, notice="")
        try:
            run_id = await self.commands.retry(rest=rest)
        except CommandError as error:
            self.update(retry_busy=False, notice=f"The failed items could not be started again: {error}")
        else:
            self.update(retry_busy=False, retry_run=run_id)

    async def filter_log(self, *, level: str | None = None, search: str | None = None) -> None:
        """Choose what the log shows, and get the last lines that match from the streamer.

        Args:
            level: The least level; empty: all; None: as it was.
            search: A text that the lines contain; empty: any; None: as it was.

        """
        changes: dict[str, Any] = {"following": True}
        if level is not None:
            changes["level"] = level if level in LEVELS else ""
        if search is not None:
            changes["search"] = search[:SEARCH_LIMIT]
        self.update(**changes)
        await self._fetch(None, None)

    async def load_older(self) -> None:
        """Get the lines before the window; it lets go of its newest when it is full."""
        if self.log.lines and self.log.has_older and not self.log_busy:
            await self._fetch(self.log.lines[0].offset, None)

    async def load_newer(self) -> None:
        """Get the lines after the window; it lets go of its oldest when it is full."""
        if self.log.lines and self.log.has_newer and not self.log_busy:
            await self._fetch(None, self.log.lines[-1].offset)

    async def follow(self, following: bool) -> None:
        """Stay at the log's end from now on, or stop staying there."""
        if following == self.following:
            return
        self.update(following=following)
        if following and self.log.has_newer:
            await self._fetch(None, None)

    async def _fetch(self, before: int | None, after: int | None) -> None:
        if self.commands is None:
            return
        self._request += 1
        request = self._request
        self.update(log_busy=True, notice="")
        limit = WINDOW_LINES if before is None and after is None else PAGE_LINES
        try:
            window = await self.commands.log_window(
                level=self.level, search=self.search, before=before, after=after, limit=limit
            )
        except CommandError as error:
            if request == self._request:
                self.update(log_busy=False, notice=f"The log could not be read: {error}")
            return
        # Somebody who types fast has asked again meanwhile: only the last answer counts.
        if request != self._request or self.closed:
            return
        if before is not None:
            self._prepend(window)
        elif after is not None:
            self._extend(window)
        else:
            self.show_log(window, log_busy=False)

    def _prepend(self, older: LogWindow) -> None:
        first = self.log.lines[0].offset if self.log.lines else None
        fresh = tuple(line for line in older.lines if first is None or line.offset < first)
        lines = fresh + self.log.lines
        kept = lines[:WINDOW_LINES]
        log = LogWindow(
            kept, older.has_older, self.log.has_newer or len(lines) > len(kept), older.total or self.log.total
        )
        self.update(log=log, log_change=LogChange("prepended", fresh, first), log_busy=False)

    def _extend(self, newer: LogWindow) -> None:
        last = self.log.lines[-1].offset if self.log.lines else None
        fresh = tuple(line for line in newer.lines if last is None or line.offset > last)
        lines = self.log.lines + fresh
        kept = lines[-WINDOW_LINES:]
        log = LogWindow(
            kept, self.log.has_older or len(lines) > len(kept), newer.has_newer, newer.total or self.log.total
        )
        self.update(log=log, log_change=LogChange("appended", fresh, last), log_busy=False)

    async def page_failures(self, towards: str) -> None:
        """Turn to the page of failed items `towards` "older", "newer" or "first"."""
        if self.commands is None or self.failures_busy:
            return
        before = self.failures.older if towards == "older" else None
        after = self.failures.newer if towards == "newer" else None
        if towards != "first" and before is None and after is None:
            return
        self.update(failures_busy=True, notice="")
        try:
            page = await self.commands.failures(before=before, after=after, limit=PAGE_FAILURES)
        except CommandError as error:
            self.update(failures_busy=False, notice=f"The failed items could not be read: {error}")
            return
        self.update(failures=page, failures_busy=False)
