"""The indicators' scripts: one file that Panel serves for all of them, and a module for each, for widgets.

``python -m dashboards.indicators.bundle`` writes ``bundle.js`` from the parts; a test holds that it is what they say.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Final

from streamer.model.palette import CHIPS_DARK, CHIPS_LIGHT, DARK, LIGHT

FOLDER: Final = Path(__file__).parent
BUNDLE: Final = FOLDER / "bundle.js"
_EXPORT: Final = "export default "


def _parts() -> dict[str, str]:
    """Return the drawings' scripts by the name of their component."""
    found = {}
    for path in sorted(FOLDER.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        if path.name in ("base.js", BUNDLE.name):
            continue
        name = text.rpartition(f"{_EXPORT}component(")[2].partition(")")[0]
        found[name] = text
    return found


def _shared() -> str:
    """Return what all scripts share: the palettes, the look and the tools."""
    palettes = {"light": {**LIGHT, **CHIPS_LIGHT}, "dark": {**DARK, **CHIPS_DARK}}
    css = (FOLDER / "look.css").read_text(encoding="utf-8")
    return "\n".join(
        (
            f"const PALETTES = {json.dumps(palettes)}",
            f"const CSS = {json.dumps(css, ensure_ascii=False)}",
            (FOLDER / "base.js").read_text(encoding="utf-8"),
        )
    )


def bundle() -> str:
    """Return the module of all components: its default export has them by name."""
    parts = [
        f"const {name} = (() => {{\n{text.replace(_EXPORT, 'return ')}}})()\n"
        for name, text in _parts().items()
    ]
    head = "// Made by dashboards.indicators.bundle from the scripts beside it."
    return "\n".join([head, _shared(), *parts, f"{_EXPORT}{{{', '.join(_parts())}}}\n"])


@functools.cache
def module(name: str) -> str:
    """Return the module of one component, for a widget.

    Args:
        name: The component's name, such as ``Percent``.

    Returns:
        The script. Its default export has `render`.
    """
    return f"{_shared()}\n{_parts()[name]}"


if __name__ == "__main__":
    BUNDLE.write_text(bundle(), encoding="utf-8")
