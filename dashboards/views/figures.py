"""Bokeh figures that many sessions share: each is made once in a process, and drawn in the browser by `views.js`.

A figure in a session's document would be made, checked and sent anew for each viewer, some 35 models of it; as an item
that Bokeh's own `embed_item` draws it is a text that is the same for all. What it shows comes with the view's state.
"""

from __future__ import annotations

from typing import Any

from bokeh.embed import json_item

from dashboards.views.base import encode


def item(figure: Any) -> str:
    """Return a figure as JSON for `Bokeh.embed.embed_item`."""
    made: dict[str, Any] = dict(json_item(figure))
    # Bokeh adds the models of every component that this process has loaded, and a figure has none of them.
    made["doc"] = {name: value for name, value in dict(made["doc"]).items() if name != "defs"}
    return encode(made)
