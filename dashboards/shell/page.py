"""`make_page`: Panel's Material page in this project's look, light or dark from its first frame."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import panel as pn
import panel_material_ui as pmui
from bokeh.themes import Theme
from panel.util import edit_readonly
from panel_material_ui.base import BASE_TEMPLATE

from dashboards import theme
from dashboards.shell.shared import define_its_own, share_resources, watch_busy_no_more

if TYPE_CHECKING:
    from dashboards.shell.frame import PageFrame

_HERE = Path(__file__).parent

#: `sx` of the page: a quiet bar over a tinted ground. Colours are the head's variables, which are right before Material
#: has learnt which theme it is; its own would be light for a moment.
PAGE_SX: Final = {
    "& .MuiAppBar-root": {
        "backgroundColor": "var(--st-paper)",
        "color": "var(--st-ink)",
        "boxShadow": "none",
        "backgroundImage": "none",
        "borderBottom": "1px solid var(--st-line)",
    },
    "& .MuiAppBar-root .title": {"color": "var(--st-ink)", "fontSize": "15px", "fontWeight": 600},
    "& .MuiAppBar-root a:focus-visible": {"outline": "2px solid var(--st-accent)", "outlineOffset": "2px"},
    "& .MuiAppBar-root .MuiToolbar-root": {"minHeight": "52px", "px": {"xs": "14px", "sm": "28px"}},
    "& .MuiAppBar-root .MuiLinearProgress-root": {"display": "none"},
    "& .main": {"backgroundColor": "var(--st-bg)", "transition": "none"},
    "& .main .MuiToolbar-root": {"minHeight": "52px", "margin": 0},
}

#: Material paints the figures of a document that has no theme of its own, light at first. What this names it leaves to
#: the views, which paint their own.
FIGURES: Final = Theme(json={"attrs": {"Figure": {}, "Axis": {}, "Grid": {}}})


def make_page(frame: PageFrame, view: Any, *, title: str, site_url: str) -> pmui.Page:
    """Return the page around a view. Its toggle is the frame's: Material's forgets what was chosen."""
    share_resources()
    if pn.state.curdoc is not None:
        pn.state.curdoc.theme = FIGURES
        define_its_own(pn.state.curdoc)
    page = pmui.Page(
        header=[frame],
        main=[view],
        title=title,
        site_url=site_url,
        template=_template(),
        theme_config=theme.THEME_CONFIG,
        theme_toggle=False,
        sx=PAGE_SX,
        busy_indicator=None,
        favicon=_icon(),
        meta_viewport="width=device-width, initial-scale=1",
    )
    return still(page)


def still(page: pmui.Page) -> pmui.Page:
    """Return the page, which no longer tells its browser before and after every callback that the server is busy.

    Nothing shows it here, and ten times a second it would cost more than the update that it surrounds.
    """
    with edit_readonly(page):
        page.busy = False
    watch_busy_no_more(page)
    return page


@cache
def _template() -> Any:
    """Return Material's own document with our head before everything else in it, and our look while it loads."""
    script = (_HERE / "head.js").read_text()
    style = _colours() + (_HERE / "head.css").read_text()
    return BASE_TEMPLATE.environment.from_string(
        '{% extends "base.html" %}'
        f"{{% block preamble %}}{{{{ super() }}}}{_raw('script', script)}{{% endblock %}}"
        "{% block loader_css %}{% endblock %}"
        f"{{% block postamble %}}{{{{ super() }}}}{_raw('style', style)}{{% endblock %}}"
    )


@cache
def _icon() -> str:
    return f"data:image/svg+xml,{quote((_HERE / 'icon.svg').read_text().strip())}"


def _raw(tag: str, text: str) -> str:
    return f"<{tag}>{{% raw %}}{text}{{% endraw %}}</{tag}>"


def _colours() -> str:
    light, dark = (
        "".join(f"--st-{name}:{value};" for name, value in palette.items())
        for palette in (theme.LIGHT, theme.DARK)
    )
    return f":root{{color-scheme:light;{light}}}:root[data-theme=dark]{{color-scheme:dark;{dark}}}"
