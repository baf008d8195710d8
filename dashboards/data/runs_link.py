"""`RunsLink`: keeps a `RunsModel` up to date from a feed, and carries out its viewer's commands. Draws nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from dashboards.data.feed import INTERVAL_SECONDS, Update
from dashboards.data.place import Place
from dashboards.data.streamers import Live, command_error
from dashboards.data.timers import RETRY_SECONDS, Pauses, Ticker
from dashboards.session import (
    PAGE_RUNS,
    RunsModel,
)
from streamer.client.client import StreamerError
from streamer.model.state import RunState
from streamer.protocol.run_filter import NEWEST_FIRST, RunFilter

logger = logging.getLogger(__name__)

#: The most rows that the list of runs holds.
ROWS_KEPT: Final = 1000
_WEEK_SECONDS: Final = 7 * 86_400.0


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
        self._ticker = Ticker(place, self._tick)
        self._pauses = Pauses()
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
        new = [state for state in fresh.values() if self._model.matches(state)]
        if not new and self._model.sort in (NEWEST_FIRST, "created"):
            return rows[:ROWS_KEPT]
        joined = self._model.in_order((*new, *rows))
        if rows and has_older:
            # Rows after the last one come with the next page.
            end = next(at for at, row in enumerate(joined, 1) if row.run == rows[-1].run)
            later = {state.run for state in new}
            joined = (*joined[:end], *(row for row in joined[end:] if row.run not in later))
        return joined[:ROWS_KEPT]

    def _count(self) -> None:
        model = self._model
        states = self._source.feed.states()
        counts = {
            "running": sum(s.status in ("running", "stalled", "cancelling") for s in states),
            "queued": sum(s.status == "queued" for s in states),
        }
        since = model.now - _WEEK_SECONDS
        recent = sum(_created(row) >= since for row in model.rows)
        if recent and not model.is_filtered and model.sort == NEWEST_FIRST:
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
        self, wanted: RunFilter, *, sort: str, before: str | None, limit: int = PAGE_RUNS
    ) -> tuple[tuple[RunState, ...], int | None, bool]:
        """Do as `RunsCommands.runs`."""
        meanwhile = _Meanwhile()
        self._meanwhile.append(meanwhile)
        try:
            page = await self._place.ask(
                lambda: self._source.client.runs(
                    status=wanted.status or None,
                    outcome=wanted.outcome or None,
                    pipeline=wanted.pipeline,
                    title=wanted.title,
                    owner=wanted.owner,
                    search=wanted.search or None,
                    since=wanted.since,
                    until=wanted.until,
                    failures=wanted.failures,
                    sort=sort,
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
        return rows, page.total, has_older

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
