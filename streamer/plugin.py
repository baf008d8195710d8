"""The HTTP API on Panel's own port: ``panel serve dashboards --plugins streamer.plugin``. Adds routes, nothing else."""

from __future__ import annotations

from streamer.embedded import embedded
from streamer.server import routes

ROUTES = routes(embedded())
