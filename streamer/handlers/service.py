"""What those who operate the streamer ask: is it alive, is it ready, its metrics, its description."""

from __future__ import annotations

from streamer.handlers.base import ApiError, BaseHandler
from streamer.handlers.openapi import document
from streamer.metrics import CONTENT_TYPE


class LiveHandler(BaseHandler):
    """``GET /api/health/live``: the process answers."""

    public = True

    async def get(self) -> None:
        self.answer({"status": "live"})


class ReadyHandler(BaseHandler):
    """``GET /api/health/ready``: the log can be read and the streamer takes requests; 503 with the reason otherwise."""

    public = True

    async def get(self) -> None:
        if self.parts.hub.is_closing:
            raise ApiError(503, "closing", "the streamer is being stopped", retry=True)
        await self.parts.runs.read(self.parts.log.counts)
        self.answer({"status": "ready", "epoch": self.parts.log.epoch})


class MetricsHandler(BaseHandler):
    """``GET /metrics``: counters for Prometheus."""

    async def get(self) -> None:
        hub = self.parts.hub
        counts = await self.parts.runs.read(self.parts.log.counts)
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(
            self.parts.metrics.render(
                subscribers=hub.followers,
                runs=counts,
            )
        )


class OpenApiHandler(BaseHandler):
    """``GET /api/openapi.json``: the API in OpenAPI 3.2."""

    async def get(self) -> None:
        self.answer(document(epoch=self.parts.log.epoch, guarded=bool(self.parts.settings.token)))
