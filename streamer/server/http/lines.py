"""Requests for a run's log lines and failed items, page by page. Streams of them are in `event_streams`."""

from __future__ import annotations

import msgspec

from streamer.model.bounds import NAME_LIMIT
from streamer.model.events import LEVELS
from streamer.protocol.frames import entry_json
from streamer.protocol.paging import FAILURES_PER_PAGE, LINES_PER_PAGE, MOST_PER_PAGE
from streamer.server.http.handler import BaseHandler
from streamer.server.log.base import Found


class LinesHandler(BaseHandler):
    """``GET /api/runs/ID/log``: log lines, paged by cursor, searched over the whole log."""

    async def get(self, run_id: str) -> None:
        levels = {"": 0} | LEVELS | {name.lower(): number for name, number in LEVELS.items()} | {"log": 0}
        level = self.choice("level", levels, "")
        search = self.text("search")[:NAME_LIMIT]
        before, after = self.position("before"), self.position("after")
        limit = self.number("limit", LINES_PER_PAGE, most=MOST_PER_PAGE)
        state = await self.parts.runs.state(run_id)
        log = self.parts.log

        def look() -> Found:
            if search:
                return log.search(run_id, search, level=level, before=before, after=after, limit=limit + 1)
            return Found(log.lines(run_id, level=level, before=before, after=after, limit=limit + 1), None)

        looked = await self.parts.runs.read(look)
        found, reached = looked.lines, looked.reached
        forward = before is None and after is not None
        more = len(found) > limit
        lines = (found[:limit] if forward else found[-limit:]) if more else found
        filtered = bool(level or search)
        older = str(lines[0].offset) if lines and (more or forward) else None
        newer = str(lines[-1].offset) if lines else None if after is None else str(after)
        if reached is not None:
            older, newer = (older, str(reached)) if forward else (str(reached), newer)
        self.answer(
            {
                "lines": [
                    msgspec.json.decode(entry_json(line)) | {"cursor": str(line.offset)} for line in lines
                ],
                # Where to go on: None when there is nothing older; newer lines may come at any time.
                "older": older,
                "newer": newer,
                "total": None if filtered else state.log_lines,
                # A search looks at so many lines a request: it goes on from `older`, or `newer`.
                "partial": reached is not None,
            }
        )


class FailuresHandler(BaseHandler):
    """``GET /api/runs/ID/failures``: failed items with their errors, oldest first, paged."""

    async def get(self, run_id: str) -> None:
        after = self.position("after") or 0
        limit = self.number("limit", FAILURES_PER_PAGE, most=MOST_PER_PAGE)
        state = await self.parts.runs.state(run_id)
        found = await self.parts.runs.read(
            lambda: self.parts.log.failures(run_id, after=after, limit=limit + 1)
        )
        page = found[:limit]
        self.answer(
            {
                "failures": [msgspec.json.decode(entry_json(e)) | {"cursor": str(e.offset)} for e in page],
                "next": str(page[-1].offset) if len(found) > limit else None,
                "total": state.results.failed,
            }
        )
