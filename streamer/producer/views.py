"""Where the package `dashboards` is, whose views draw runs. Imports it by name, and only when asked.

This is the one import that points upward: the streamer must work without the dashboards, and a script in a notebook
shows its run with their view. An installation declares the view as an entry point of the group `streamer.views`. A
checkout that was never installed has no entry points; there the view is imported.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import streamer

#: The group of entry points; its point `notebook` is a function `show(run_id, url)`.
GROUP: Final = "streamer.views"
#: The package of the views stands beside ours, in a checkout and in an installation.
FOLDER: Final = Path(streamer.__file__).resolve().parent.parent / "dashboards"


class ViewsUnavailable(Exception):
    """The views cannot be used. The message says why, and names the file that is in the way."""


def folder() -> Path:
    """Return the folder of the pages.

    Raises:
        ViewsUnavailable: The package is not installed, or a file of the user's hides it.
    """
    found = importlib.util.find_spec("dashboards")
    if found is None or found.origin is None:
        raise ViewsUnavailable(f"the package dashboards is not installed: expected it in {FOLDER}")
    origin = Path(found.origin).resolve()
    if origin.parent != FOLDER:
        hiding = origin.parent if origin.name == "__init__.py" else origin
        raise ViewsUnavailable(
            f"{hiding} hides the package dashboards of panel-streamer: rename it, or work in another folder"
        )
    return FOLDER


def notebook_view() -> Callable[[str, str | None], Any]:
    """Return the function that shows a run in a notebook's cell, given the run's id and the streamer's URL.

    Raises:
        ViewsUnavailable: See `folder`.
    """
    folder()
    show: Callable[[str, str | None], Any]
    for point in importlib.metadata.entry_points(group=GROUP, name="notebook"):
        show = point.load()
        return show
    show = importlib.import_module("dashboards.notebook").show
    return show
