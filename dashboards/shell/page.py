"""`show`: puts a view into this project's own document: head, bar and look, light or dark from its first frame."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
import panel as pn
from bokeh.embed.bundle import extension_dirs

from dashboards import theme

_HERE = Path(__file__).parent
#: Where the list of runs is, from any page; paths stay as they are, whatever the prefix.
HOME: Final = "?"
#: Panel brings this package, of which pages have the font. Why not import it: that takes a fifth of the time to start.
FONTS: Final = "panel-material-ui"


def show(view: Any, where: Any, *, form: bool = False) -> None:
    """Put a view on the page of the session that is being made.

    Args:
        view: The content of the page, a component of Panel's.
        where: Where its reader is: what `make_where` returns, or an indicator that presents that and keeps it.
        form: The reader may have typed something: the page is not loaded again without asking when its server is back.
    """
    document = pn.state.curdoc
    assert document is not None
    first = where if isinstance(where, dict) else where.present()
    # Nothing here asks what a browser is like.
    pn.config.browser_info = False
    view.servable(title=first["title"], location=False)
    if where is not first:
        where.servable(location=False)
    document.template = _template()
    document.template_variables["page"] = {"where": first, "form": form}


@cache
def serve_fonts() -> str:
    """Have this process serve the fonts, as if their package were imported; return where their stylesheet is."""
    package = importlib.util.find_spec(FONTS.replace("-", "_"))
    assert package is not None
    assert package.origin is not None
    folder = extension_dirs[FONTS] = Path(package.origin).parent / "dist"
    name = f"{FONTS}.bundle.css"
    return f"{FONTS}/{name}?v={int((folder / name).stat().st_mtime)}"


@cache
def _template() -> jinja2.Template:
    """Return the document of all pages, with what is the same in all of them."""
    same = {
        "home": HOME,
        "icon": f"data:image/svg+xml,{quote(_read('icon.svg').strip())}",
        "head_js": _read("head.js"),
        "style": _colours() + _read("head.css"),
        "bar_js": _read("bar.js"),
        "fonts": serve_fonts(),
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    return environment.from_string(_read("page.html"), globals=same)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _colours() -> str:
    light, dark = (
        "".join(f"--st-{name}:{value};" for name, value in palette.items())
        for palette in (theme.LIGHT, theme.DARK)
    )
    return f":root{{color-scheme:light;{light}}}:root[data-theme=dark]{{color-scheme:dark;{dark}}}"
