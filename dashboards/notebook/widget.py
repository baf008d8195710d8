"""The widget of a cell's output: it shows HTML that Python made, and says what its reader did. Needs `anywidget`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import anywidget
import traitlets


class CellWidget(anywidget.AnyWidget):
    """See `view.js`. Its state can end up in saved files: it holds nothing but what is shown."""

    _esm = (Path(__file__).parent / "view.js").read_text(encoding="utf-8")
    key = traitlets.Unicode().tag(sync=True)
    html = traitlets.Unicode().tag(sync=True)
    live = traitlets.Bool(default_value=True).tag(sync=True)

    @traitlets.default("key")
    def _new_key(self) -> str:
        return uuid.uuid4().hex

    def put(self, html: str, *, live: bool) -> None:
        """Show `html`, in one message; `live`: whether it will change again."""
        with self.hold_sync():
            self.html = html
            self.live = live

    def view_data(self) -> dict[str, Any]:
        """Return the part of an output's data from which a browser makes a view."""
        kind = "application/vnd.jupyter.widget-view+json"
        return {kind: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}
