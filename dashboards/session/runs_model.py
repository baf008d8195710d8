"""`RunsModel`: the reactive mirror of the list of runs, and what its viewer filters by. No network, no drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

#: The filters of the list: statuses, and outcomes instead of those of runs that are over.
FILTERS: Final = tuple(dict.fromkeys((*UNDER_WAY, *OUTCOMES)))


class RunsModel(Session):
    """The reactive mirror of the list of runs, newest first, and what its viewer filters by."""

    rows = param.ClassSelector(class_=tuple, default=(), doc="The runs at hand, newest first.")
    counts = param.Dict(default={}, doc="How many runs there are: running, queued, week.")
    status: Any = param.Selector(
        default="", objects=["", *FILTERS], doc="Show runs of this status or outcome only; empty: any."
    )
    pipeline = param.String(default="", doc="Show this pipeline only; empty: any.")
    search = param.String(default="", doc="Show what contains this text only; empty: any.")
    pipelines = param.ClassSelector(class_=tuple, default=(), doc="The names of the pipelines to filter by.")
    has_older = param.Boolean(default=False, doc="Whether there are runs before the last one at hand.")
    busy = param.Boolean(default=False, doc="Whether runs are on their way.")
    first_pipeline = param.String(default="Count", doc="The pipeline that the empty page suggests.")

    def __init__(self, *, commands: RunsCommands | None = None, **params: Any) -> None:
        super().__init__(commands=commands, **params)
        self._request = 0

    @property
    def visible(self) -> tuple[RunState, ...]:
        """The runs at hand that match what the viewer filters by."""
        return tuple(row for row in self.rows if self.matches(row))

    def matches(self, row: RunState) -> bool:
        """Return whether the viewer's filter lets a run through, as the streamer would."""
        if self.status and self.status != (row.outcome or row.status):
            return False
        if self.pipeline and row.pipeline != self.pipeline:
            return False
        if not self.search:
            return True
        text = " ".join(
            (
                row.title,
                row.pipeline or "",
                row.owner,
                row.host,
                row.program,
                row.run,
                *_texts(row.parameters),
            )
        ).casefold()
        return all(word in text for word in self.search.casefold().split())

    async def filter(
        self, *, status: str | None = None, pipeline: str | None = None, search: str | None = None
    ) -> None:
        """Choose what is shown, and get the newest runs that match from the streamer, which looks into all of them.

        Args:
            status: Only this status; empty: any; None: as it was.
            pipeline: Only this pipeline; empty: any; None: as it was.
            search: Only runs with these words; empty: any; None: as it was.

        """
        changes: dict[str, Any] = {}
        if status is not None:
            changes["status"] = status if status in FILTERS else ""
        if pipeline is not None:
            changes["pipeline"] = pipeline[:300]
        if search is not None:
            changes["search"] = search[:SEARCH_LIMIT]
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
            rows, more = await self.commands.runs(
                status=self.status, pipeline=self.pipeline, search=self.search, before=before, limit=PAGE_RUNS
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
        self.update(rows=(*kept, *fresh), has_older=more, busy=False)


def _texts(value: Any) -> Iterable[str]:
    """Yield the texts in a run's parameters: names and plain values, one level deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            if isinstance(inner, str | int | float | bool):
                yield str(inner)
