"""Fake servers: they answer a model's commands from literals, and refuse a cancel, a retry or a start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards.session import (
    CommandError,
    FailuresPage,
    FormChange,
    LogLine,
    LogWindow,
    RunsModel,
    StartRefused,
)
from streamer.model.estimate import Duration, Usual
from streamer.model.events import (
    LEVELS,
    FailedItem,
)
from streamer.model.state import RunState
from streamer.protocol.run_filter import NEWEST_FIRST, RunFilter
from tests.gallery.samples import NOW


class LiteralRun:
    """What can be asked of a run that is a literal: its lines are filtered and paged, cancelling it is refused."""

    def __init__(self, all_lines: tuple[LogLine, ...], failed: tuple[FailedItem, ...]) -> None:
        self.lines = all_lines
        self.failed = failed

    async def cancel(self) -> None:
        raise CommandError("this run is only shown here, it is a picture")

    async def retry(self, *, rest: bool = False) -> str:
        raise CommandError("this run is only shown here, it is a picture")

    async def log_window(
        self, *, level: str, search: str, before: int | None, after: int | None, limit: int
    ) -> LogWindow:
        found = [
            line
            for line in self.lines
            if LEVELS.get(line.level, 20) >= LEVELS.get(level, 0)
            and search.casefold() in line.message.casefold()
        ]
        part = [
            line
            for line in found
            if (before is None or line.offset < before) and (after is None or line.offset > after)
        ]
        part = part[:limit] if after is not None else part[-limit:]
        if not part:
            return LogWindow(total=len(found))
        return LogWindow(
            tuple(part), part[0].offset > found[0].offset, part[-1].offset < found[-1].offset, len(found)
        )

    async def failures(self, *, before: str | None, after: str | None, limit: int) -> FailuresPage:
        first = int(after) if after is not None else max(int(before or 0) - limit, 0)
        items = self.failed[first : first + limit]
        end = first + len(items)
        older = str(first) if first > 0 else None
        return FailuresPage(
            items, len(self.failed), first, older, str(end) if end < len(self.failed) else None
        )


class LiteralRuns:
    """What can be asked of a literal list of runs."""

    def __init__(self, rows: tuple[RunState, ...]) -> None:
        self.rows = rows

    async def runs(
        self, wanted: RunFilter, *, sort: str, before: str | None, limit: int
    ) -> tuple[tuple[RunState, ...], int, bool]:
        found = [row for row in self.rows if wanted.matches(row)]
        if sort != NEWEST_FIRST:
            found = list(RunsModel(now=NOW, sort=sort).in_order(found))
        first = next((i + 1 for i, r in enumerate(found) if r.run == before), 0)
        return tuple(found[first : first + limit]), len(found), len(found) > first + limit


class LiteralStart:
    """Refuses every start, as a streamer would that found something wrong."""

    async def start(
        self,
        pipeline: str,
        parameters: dict[str, Any],
        *,
        again: str = "",
        time_limit_seconds: float | None = None,
    ) -> str:
        await self.check(pipeline, parameters)
        raise AssertionError("a picture starts nothing")

    async def form(self, pipeline: str, values: dict[str, Any], changed: Sequence[str]) -> FormChange:
        raise CommandError("this is only a picture.")

    async def usual(self, pipeline: str, parameters: dict[str, Any]) -> Usual:
        return Usual(Duration(180.0, 240.0, 360.0), 12, "12 earlier runs")

    async def check(self, pipeline: str, parameters: dict[str, Any]) -> None:
        name = next(iter(parameters), "")
        raise StartRefused(
            "The streamer refused it: this is only a picture.", {name: "Expected something that exists."}
        )
