"""`bundle_of`: an indicator in a notebook's cell, as a widget of `anywidget` with the same script. Needs `anywidget`.

The widget has the indicator's texts as traits and follows them, from whichever thread they change in: it moves while a
cell runs. The saved file keeps a sentence from `Summary` and the time of it.
"""

from __future__ import annotations

import functools
import html
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from dashboards.indicators.bundle import module

if TYPE_CHECKING:
    from dashboards.indicators.base import Indicator

#: The parameters that a script reads or sets, as far as an indicator has them.
TRAITS: Final = ("content", "news", "asked", "label", "page", "height", "width", "sizing_mode")


@functools.cache
def _widget_class(script: str) -> type[Any]:
    """Return the widget of a script. Raises `ImportError` without `anywidget`."""
    import anywidget
    import traitlets

    made = {name: traitlets.Any(allow_none=True).tag(sync=True) for name in TRAITS}
    widget: type[Any] = type(f"{script}Widget", (anywidget.AnyWidget,), {"_esm": module(script), **made})
    return widget


def in_notebook() -> bool:
    """Say whether this code runs in a kernel, whose outputs a notebook shows."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def bundle_of(indicator: Indicator) -> dict[str, Any]:
    """Return the data of an output: a new widget that follows the indicator, and what a saved file keeps.

    Args:
        indicator: The indicator; it ends with its model.

    Returns:
        The output's data by MIME type.

    Raises:
        ImportError: `anywidget` is not installed.
    """
    widget = widget_of(indicator)
    text = static_text(indicator)
    return {
        "text/plain": text,
        "text/html": f"<div>{html.escape(text)}</div>",
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2,
            "version_minor": 0,
            "model_id": widget.model_id,
        },
    }


def widget_of(indicator: Indicator) -> Any:
    """Return a widget that follows an indicator until its model is closed.

    Args:
        indicator: The indicator.

    Returns:
        The widget. A reader's request reaches the indicator when the kernel is free.

    Raises:
        ImportError: `anywidget` is not installed.
    """
    names = [name for name in TRAITS if name in indicator.param]
    first = {name: getattr(indicator, name) for name in names}
    widget = _widget_class(indicator.script)(**{**first, "content": indicator.widget_content(), "asked": ""})

    def follow(*events: Any) -> None:
        with widget.hold_sync():
            for event in events:
                value = indicator.widget_content() if event.name == "content" else event.new
                setattr(widget, event.name, value)

    watcher = indicator.param.watch(follow, [name for name in names if name != "asked"])
    indicator.model.on_close(lambda: indicator.param.unwatch(watcher))
    widget.observe(lambda change: indicator.param.update(asked=change["new"] or ""), "asked")
    return widget


def static_text(indicator: Indicator) -> str:
    """Return what a file keeps of an indicator: its run in a sentence, and as of when.

    Args:
        indicator: The indicator.

    Returns:
        One line of text.
    """
    said = getattr(indicator.model, "summary", None)
    name = said.title if said is not None else getattr(indicator.model, "run_id", "") or indicator.script
    words = [name, said.word, said.headline, said.phase, said.now] if said is not None else [name]
    stamp = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    return f"{' · '.join(word for word in words if word)} (as of {stamp})"
