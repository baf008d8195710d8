"""`Runs`: the list of runs as reactive parameters. Draws nothing."""

from __future__ import annotations

from typing import Any

from dashboards.data.connect import UPDATE_SECONDS, connect
from dashboards.data.runs_link import RunsLink
from dashboards.session import RunsModel


class Runs(RunsModel):
    """The runs of a streamer, newest first: ``Runs()``. Given rows stay as they are: ``Runs(rows=…)``.

    `url` is the streamer's; None: as configured. It ends with its session, or by `close()`.
    """

    def __init__(self, url: str | None = None, **params: Any) -> None:
        fed = "rows" in params or "connection" in params or params.get("commands") is not None
        if not fed:
            params["connection"] = "connecting"
        super().__init__(**params)
        if not fed:
            connect(
                self,
                lambda source, place: RunsLink(self, source, place, interval_seconds=UPDATE_SECONDS),
                url,
            )
