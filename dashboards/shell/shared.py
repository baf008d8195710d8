"""What Panel and Bokeh work out anew for every session and is the same for all: done once here. Shows nothing.

Two thirds of what a page costs its server, once its own content is small, is the number of components that Material's
package has: some 110, of which a page has two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import bokeh
import panel as pn
from bokeh.core.serialization import Serialized, Serializer
from bokeh.document import Document
from bokeh.model import DataModel, Model
from panel.io.resources import Resources


@functools.cache
def share_resources() -> None:
    """Have Panel look up which files the loaded components need once, not for each page. Idempotent."""
    look_up: Callable[..., None] = Resources.extra_resources
    found: dict[tuple[object, ...], list[str]] = {}

    @functools.wraps(look_up)
    def extra_resources(self: Any, resources: list[str], resource_type: str) -> None:
        # Each component has a model: their number tells whether there are new ones.
        components = len(Model.model_class_reverse_map)
        extensions = frozenset(pn.state._extensions or ())
        key = (resource_type, self.mode, pn.state.rel_path, components, extensions, *resources)
        if key not in found:
            before = len(resources)
            look_up(self, resources, resource_type)
            found[key] = resources[before:]
        else:
            resources += found[key]

    Resources.extra_resources = extra_resources  # type: ignore[method-assign]


def define_its_own(document: Document) -> None:
    """Have a document define the components that are in it, not all that this process has loaded.

    It does what `Document.to_json` does, but for that.
    """

    def to_json(*, deferred: bool = True) -> Any:
        kinds = {
            kind for model in document.models for kind in type(model).__mro__ if issubclass(kind, DataModel)
        }
        # A definition comes after those that it builds on: the order in which they were loaded.
        loaded = Model.model_class_reverse_map.values()
        definitions = [kind for kind in loaded if kind in kinds and kind is not DataModel]
        serializer = Serializer(deferred=deferred)
        whole: dict[str, Any] = {
            "version": bokeh.__version__,
            "title": document.title,
            "defs": serializer.encode(definitions),
            "config": serializer.encode(document._config),
            "roots": serializer.encode(document.roots),
        }
        if document.callbacks.js_event_callbacks:
            whole["callbacks"] = serializer.encode(document.callbacks.js_event_callbacks)
        document.models.flush_synced()
        return Serialized(whole, buffers=serializer.buffers) if deferred else whole

    document.to_json = to_json  # type: ignore[method-assign]


def watch_busy_no_more(page: Any) -> None:
    """Have a page be told no more when its server is busy; Param would tell every page, closed ones too."""
    for watcher in list(pn.state.param.watchers.get("busy", {}).get("value", ())):
        if getattr(getattr(watcher.fn, "__self__", None), "self", None) is page:
            pn.state.param.unwatch(watcher)
