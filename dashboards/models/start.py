"""`Start`: the form that starts a pipeline, as reactive parameters. Draws nothing."""

from __future__ import annotations

from typing import Any

from dashboards.data.connect import connect
from dashboards.data.start_link import StartLink
from dashboards.session import StartModel


class Start(StartModel):
    """A streamer's pipelines and the form of one: ``Start()``. ``Start(pipelines=…)`` stays as it is.

    `pipeline` is chosen at first, `again` a run of it whose values fill the form, `owner` who starts; `url` is the
    streamer's, None: as configured. It ends with its session, or by `close()`.
    """

    def __init__(
        self,
        pipeline: str = "",
        url: str | None = None,
        *,
        again: str = "",
        owner: str | None = None,
        **params: Any,
    ) -> None:
        fed = "pipelines" in params or "connection" in params or params.get("commands") is not None
        if not fed:
            params["connection"] = "connecting"
        super().__init__(**params)
        if not fed:
            connect(
                self,
                lambda source, place: StartLink(
                    self, source, place, owner=owner, wanted=pipeline, again=again
                ),
                url,
            )
