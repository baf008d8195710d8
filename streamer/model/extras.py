"""The extras of the distribution: the modules each brings, and the sentence that says how to install it."""

from __future__ import annotations

from typing import Final

#: For each extra: how a sentence names it, and the modules that are missing without it.
EXTRAS: Final = {
    "server": ("the server", ("tornado", "prometheus_client", "numpy")),
    "dashboards": (
        "the pages",
        ("panel", "bokeh", "panel_material_ui", "jinja2", "tornado", "prometheus_client"),
    ),
    "notebook": ("the widgets", ("anywidget", "traitlets")),
    "examples": ("the sample data", ("bokeh_sampledata",)),
}


def how_to_install(who: str, extra: str) -> str:
    """Return a sentence that says what is missing and how to install it.

    Args:
        who: The subject of the sentence, such as a command.
        extra: A key of `EXTRAS`.
    """
    name, _ = EXTRAS[extra]
    return f"{who} needs {name}: pip install 'panel-streamer[{extra}]'"
