"""`RunsModel`: the reactive mirror of the list of runs, and what its viewer filters by. No network, no drawing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import param

from dashboards.session.base import Session
from dashboards.session.commands import CommandError, RunsCommands
from dashboards.session.values import (
    PAGE_RUNS,
    SEARCH_LIMIT,
)
from streamer.model.events import OUTCOMES, UNDER_WAY
from streamer.model.state import RunState
from streamer.protocol.run_filter import EVERY_RUN, NEWEST_FIRST, SORTS, RunFilter, sort_key

#: The filter that lets runs through in which items failed, whether they are over or not.
FAILURES: Final = "failures"
#: The filters of the list: statuses, outcomes instead of those of runs that are over, and "failures".
FILTERS: Final = (*dict.fromkeys((*UNDER_WAY, *OUTCOMES)), FAILURES)
#: How far back a list may be asked to look, in seconds.
WITHIN: Final = {"day": 86_400.0, "week": 7 * 86_400.0, "month": 30 * 86_400.0}
#: The parameters by which a viewer chooses what is shown, and its order.
CHOSEN: Final = ("status", "pipeline", "title", "owner", "within", "search", "sort")
#: The longest name or title to filter by, in characters.
_TEXT_LIMIT: Final = 300
_CHOICES: Final[dict[str, tuple[Iterable[str], str]]] = {
    "status": (FILTERS, ""),
    "within": (tuple(WITHIN), ""),
    "sort": (SORTS, NEWEST_FIRST),
}


class RunsModel(Session):
    """The reactive mirror of the list of runs, newest first, and what its viewer filters by."""

    rows = param.ClassSelector(class_=tuple, default=(), doc="The runs at hand, newest first.")
    counts = param.Dict(default={}, doc="How many runs there are: running, queued, week.")
    status: Any = param.Selector(
        default="",
        objects=["", *FILTERS],
        doc="Show runs of this status or outcome only, or those with failures; empty: any.",
    )
    pipeline = param.String(default="", doc="Show this pipeline only; empty: any.")
    title = param.String(default="", doc="Show runs with this title only; empty: any.")
    owner = param.String(default="", doc="Show runs of this owner only; empty: any.")
    within: Any = param.Selector(
        default="", objects=["", *WITHIN], doc="Show runs of the last day, week or month only; empty: any."
    )
    search = param.String(default="", doc="Show what contains this text only; empty: any.")
    sort: Any = param.Selector(
        default=NEWEST_FIRST, objects=list(SORTS), doc="The order of the runs; with a minus descending."
    )
    beyond = param.Integer(
        default=None,
        bounds=(0, None),
        allow_None=True,
        doc="How many runs match that are not at hand; None: not known.",
    )
    pipelines = param.ClassSelector(class_=tuple, default=(), doc="The names of the pipelines to filter by.")
    has_older = param.Boolean(default=False, doc="Whether there are runs before the last one at hand.")
    busy = param.Boolean(default=False, doc="Whether runs are on their way.")
    first_pipeline = param.String(default="Count", doc="The pipeline that the empty page suggests.")

    def __init__(self, *, commands: RunsCommands | None = None, **params: Any) -> None:
        super().__init__(commands=commands, **params)
        self._request = 0

    @property
    def visible(self) -> tuple[RunState, ...]:
        """The runs at hand that match what the viewer filters by, in the viewer's order."""
        wanted = self.wanted()
        rows = tuple(row for row in self.rows if wanted.matches(row))
        return rows if self.sort == NEWEST_FIRST else self.in_order(rows)

    @property
    def is_filtered(self) -> bool:
        """Whether the viewer's filter may leave runs out."""
        return self.wanted(0.0) != EVERY_RUN

    @property
    def total(self) -> int | None:
        """How many runs match, whether they are at hand or not; None: not known."""
        return None if self.beyond is None else len(self.visible) + self.beyond

    def wanted(self, now: float | None = None) -> RunFilter:
        """Return the viewer's filter.

        Args:
            now: From when "within" counts back, in POSIX seconds; None: from this model's time.

        """
        at = self.now if now is None else now
        return RunFilter(
            status=(self.status,) if self.status in UNDER_WAY else (),
            outcome=(self.status,) if self.status in OUTCOMES else (),
            failures=self.status == FAILURES,
            pipeline=self.pipeline or None,
            title=self.title or None,
            owner=self.owner or None,
            search=self.search,
            since=at - WITHIN[self.within] if self.within else None,
        )

    def matches(self, row: RunState) -> bool:
        """Return whether the viewer's filter lets a run through, as the streamer would."""
        return self.wanted().matches(row)

    def in_order(self, rows: Iterable[RunState]) -> tuple[RunState, ...]:
        """Return runs in the viewer's order; runs with equal keys stay as they were given."""
        named, now = self.sort.removeprefix("-"), self.now
        return tuple(
            sorted(rows, key=lambda row: sort_key(row, named, now), reverse=self.sort.startswith("-"))
        )

    async def filter(self, **chosen: str) -> None:
        """Choose what is shown, and get the first runs that match from the streamer, which looks into all of them.

        Args:
            **chosen: Values for `status`, `pipeline`, `title`, `owner`, `within`, `search` and `sort`; the others stay.
                A value that does not exist is no filter.

        """
        changes: dict[str, Any] = {}
        for name, value in chosen.items():
            allowed, default = _CHOICES.get(name, (None, ""))
            if allowed is not None:
                changes[name] = value if value in allowed else default
            else:
                changes[name] = value[: SEARCH_LIMIT if name == "search" else _TEXT_LIMIT]
        self.update(**changes)
        await self._fetch(None)

    async def load_older(self) -> None:
        """Get the next page of runs."""
        if self.rows and self.has_older and not self.busy:
            await self._fetch(self.rows[-1].run)

    async def _fetch(self, before: str | None) -> None:
        if self.commands is None:
            return
        self._request += 1
        request = self._request
        self.update(busy=True, notice="")
        try:
            rows, total, more = await self.commands.runs(
                self.wanted(), sort=self.sort, before=before, limit=PAGE_RUNS
            )
        except CommandError as error:
            if request == self._request:
                self.update(busy=False, notice=f"The runs could not be read: {error}")
            return
        if request != self._request or self.closed:
            return
        known = {row.run for row in self.rows} if before is not None else set()
        kept = self.rows if before is not None else ()
        fresh = tuple(row for row in rows if row.run not in known)
        rows = (*kept, *fresh)
        at_hand = sum(1 for row in rows if self.matches(row))
        beyond = 0 if not more else None if total is None else max(total - at_hand, 0)
        self.update(rows=rows, has_older=more, beyond=beyond, busy=False)
