"""Requests of the streamer's operators: is it alive, is it ready, its metrics, its description."""

from __future__ import annotations

import asyncio
from pathlib import Path

from streamer.model.events import STATUSES
from streamer.server.http.errors import ApiError
from streamer.server.http.handler import BaseHandler
from streamer.server.http.openapi.document import document
from streamer.server.metrics import CONTENT_TYPE


class LiveHandler(BaseHandler):
    """``GET /api/health/live``: the process answers."""

    public = True
    needs_log = False

    async def get(self) -> None:
        self.answer({"status": "live"})


class ReadyHandler(BaseHandler):
    """``GET /api/health/ready``: the log can be read and written and the streamer takes requests; else 503 and why."""

    public = True

    async def get(self) -> None:
        if self.parts.hub.is_closing:
            raise ApiError(503, "closing", "the streamer is being stopped", retry=True)
        log = self.parts.log
        await self.parts.runs.read(log.counts)
        if log.trouble() is not None:
            # Whether it can be written again, only writing says.
            await asyncio.wrap_future(log.check())
        self.answer({"status": "ready", "epoch": log.epoch, "damage": log.damage()})


class MetricsHandler(BaseHandler):
    """``GET /metrics``: counters for Prometheus."""

    async def get(self) -> None:
        hub = self.parts.hub
        counts, size = await self.parts.runs.read(
            lambda: (self.parts.log.counts(), _size(self.parts.settings.data))
        )
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(
            self.parts.metrics.render(
                subscribers=hub.subscribers,
                log_bytes=size,
                runs={status: counts.get(status, 0) for status in STATUSES},
            )
        )


def _size(data: Path) -> int:
    """Return the bytes of the log's files: what is stored, and what was not yet moved there."""
    return sum(path.stat().st_size for path in data.glob("log.sqlite*"))


class OpenApiHandler(BaseHandler):
    """``GET /api/openapi.json``: the API in OpenAPI 3.2."""

    async def get(self) -> None:
        self.answer(document(epoch=self.parts.log.epoch, guarded=bool(self.parts.settings.token)))
