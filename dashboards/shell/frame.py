"""`PageFrame`: the head of every page, and the window's title and address. Its script is `frame.js`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from streamer import words


class PageFrame(JSComponent):
    """Where the reader is, as links; `state` has `crumbs` [(text, href)], `owner`, `title`, `query` and `go`.

    With `form` the reader may have typed something: the page is not loaded anew without asking when its server is back.
    """

    form = param.Boolean(default=False, constant=True, doc="Whether something may have been typed.")
    state = param.Dict(default={}, doc="What is shown: plain data.")

    _bundle = Path(__file__).parent / "frame.js"

    def __init__(self, *, owner: str, form: bool = False) -> None:
        self._owner = words.cut(owner, 100)
        super().__init__(
            form=form,
            state=self._made([("Runs", "")], "Streamer", "", ""),
            sizing_mode="stretch_width",
            margin=0,
        )

    def _made(self, crumbs: list[tuple[str, str]], title: str, query: str, go: str) -> dict[str, Any]:
        shown = [[words.cut(text, 200), href] for text, href in crumbs]
        return {
            "crumbs": shown,
            "owner": self._owner,
            "title": words.cut(title, 200),
            "query": query,
            "go": go,
        }

    def present(self, crumbs: list[tuple[str, str]], title: str, *, query: str, go: str = "") -> None:
        """Say where the reader is. `query`: the address that shows the same; `go`: where to go instead, empty: stay."""
        state = self._made(crumbs, title, query, go)
        if state != self.state:
            self.state = state
