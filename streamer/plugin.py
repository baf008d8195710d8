"""The HTTP API on Panel's own port: ``panel serve dashboards --plugins streamer.plugin``. Adds routes, nothing else."""

from __future__ import annotations

from streamer.server.app import routes
from streamer.server.embedded import embedded

ROUTES = routes(embedded())
