"""What Panel and Bokeh work out anew for every session and is the same for all: done once here. Shows nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import bokeh
import jinja2
import panel as pn
from bokeh.core.serialization import Serialized, Serializer
from bokeh.document import Document
from bokeh.model import DataModel, Model
from panel.io import server


@functools.cache
def share_resources(template: jinja2.Template) -> None:
    """Have Panel work out which files the pages of a template need once, not for each page. Idempotent."""
    work_out: Callable[..., Any] = server.bundle_resources
    found: dict[tuple[object, ...], tuple[str, str]] = {}

    @functools.wraps(work_out)
    def bundle_resources(roots: Any, resources: Any, **how: Any) -> Any:
        document = pn.state.curdoc
        # What puts a page into one of another site names that site, and is added to: it is each its own.
        if document is None or document.template is not template or resources.absolute:
            return work_out(roots, resources, **how)
        # Each component has a model: their number tells whether there are new ones.
        components = len(Model.model_class_reverse_map)
        key = (resources.mode, resources.root_url, pn.state.rel_path, components, *how.items())
        if key not in found:
            scripts, styles = work_out(roots, resources, **how)
            found[key] = scripts, styles
        return found[key]

    server.bundle_resources = bundle_resources  # type: ignore[assignment]  # it is called as it is above


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
