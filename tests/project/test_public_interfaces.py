"""Frameworks are used through their public interfaces: no private name of Panel, Bokeh or Tornado, no patch of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from panel.custom import AnyWidgetComponent

from dashboards.indicators.base import Indicator
from tests.support import ROOT

#: Reaches of an earlier version, by name.
REACHES = (
    "gc.get_objects",
    "bundle_resources",
    "to_json =",
    "_dispatch_msgs",
    "_send_bokeh_message",
    "_pending_writes",
    "_session_contexts",
    "WSHandler",
    "_http.",
    "_tornado.",
    "_origins(",
)
#: A private name of a framework, of a session, a document, a connection or a handler.
PRIVATE = re.compile(
    r"\b(?:pn|panel|bokeh|tornado|session|session_context|document|doc|curdoc|connection|server|state|handler|request)"
    r"\._(?!_)[a-z]"
)
#: Protected overrides stand in the indicators' one base class; each is looked for before use.
BASE = "dashboards/indicators/base.py"
#: Names that `param` and Panel give every class of their own.
OF_PARAM = {name for name in vars(type("Plain", (AnyWidgetComponent,), {"_esm": ""})) if name.startswith("_")}
READERS = [
    *sorted((ROOT / "dashboards").rglob("*.py")),
    ROOT / "streamer/plugin.py",
    ROOT / "streamer/server/embedded.py",
]


@pytest.mark.parametrize("path", READERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_name_of_a_framework_is_used(path: Path) -> None:
    source = path.read_text()
    assert [] == [reach for reach in REACHES if reach in source]
    own = {"self._connection.", "self._document."}
    found = [
        line.strip()
        for line in source.splitlines()
        if PRIVATE.search(line) and not any(mine in line for mine in own) and "._replace(" not in line
    ]
    assert [] == found


def test_a_private_name_would_be_found() -> None:
    for line in ("pn._param", "document._session", "bokeh._x", "session._document", "server._http"):
        assert PRIVATE.search(line)
    assert not PRIVATE.search("self._state._at")


def test_protected_names_of_panel_are_overridden_in_one_class_and_exist_in_panel() -> None:
    overridden = {
        name
        for name in vars(Indicator)
        if name.startswith("_") and not name.startswith("__") and hasattr(AnyWidgetComponent, name)
    } - OF_PARAM
    assert {
        "_bundle",
        "_get_properties",
        "_linked_properties",
        "_process_importmap",
        "_repr_mimebundle_",
    } == overridden
    for path in READERS:
        if path != ROOT / BASE:
            assert not re.search(
                r"def (?:_get_properties|_linked_properties|_process_importmap)", path.read_text()
            ), path
