"""The dashboards' page: ``panel serve dashboards`` runs this once for every session. See `dashboards.pages`."""

from dashboards.pages import build

build()
