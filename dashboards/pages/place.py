"""`DocumentPlace`: how the models of a browser's session are changed from outside it. See `dashboards.live.Place`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import panel as pn
from panel.io.state import set_curdoc

_T = TypeVar("_T")


class DocumentPlace:
    """A session of the server, known by its document.

    Changes are made at once, as Panel makes those of a callback: in the server's loop, without the document's lock. Why
    not with it: whoever holds it may be waiting for the streamer, and a turn of the loop for each of them, with its
    bookkeeping, costs as much as the update itself.
    """

    def __init__(self, document: Any) -> None:
        self._document = document

    def deliver(self, action: Callable[[], None]) -> None:
        with set_curdoc(self._document):
            action()

    def run(self, action: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await action()

        with set_curdoc(self._document):
            pn.state.execute(run)

    def ask(self, question: Callable[[], Coroutine[Any, Any, _T]]) -> Awaitable[_T]:
        return question()
