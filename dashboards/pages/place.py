"""`DocumentPlace`: how the models of a browser's session are changed from outside it. See `dashboards.live.Place`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import panel as pn
from panel.io.state import set_curdoc


class DocumentPlace:
    """A session of the server, known by its document. Changes are made with the document's lock, and sent together."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def deliver(self, action: Callable[[], None]) -> None:
        self._document.add_next_tick_callback(action)

    def run(self, action: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await action()

        with set_curdoc(self._document):
            pn.state.execute(run)
