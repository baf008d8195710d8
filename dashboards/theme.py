"""The look: colours, light and dark, for Material, and the stylesheets of layouts. No components.

The views take their colours from CSS variables (`--st-…`). A page has them in its head, from the first frame;
elsewhere, as in a notebook, `views/views.js` sets them from the same two palettes. A test holds both together.
"""

from __future__ import annotations

from typing import Any, Final

FONT: Final = 'Roboto, Inter, "DejaVu Sans", sans-serif'

LIGHT: Final = {
    "bg": "#f7f8fa",
    "paper": "#ffffff",
    "ink": "#14181f",
    "soft": "#5b6573",
    "line": "#e3e7ee",
    "accent": "#0b6bcb",
    "accent-soft": "#dcebfb",
    "on-accent": "#ffffff",
    "ok": "#1a7f4b",
    "warn": "#8f5f00",
    "bad": "#c0272d",
    "wait": "#cfd6e0",
}
DARK: Final = {
    "bg": "#0e1116",
    "paper": "#161b22",
    "ink": "#e8ecf2",
    "soft": "#9aa5b4",
    "line": "#262d38",
    "accent": "#4a9cf0",
    "accent-soft": "#12314f",
    "on-accent": "#0b1520",
    "ok": "#3fb27f",
    "warn": "#d9a441",
    "bad": "#f0686d",
    "wait": "#323b48",
}


def _material(palette: dict[str, str]) -> dict[str, Any]:
    return {
        "palette": {
            "primary": {"main": palette["accent"], "contrastText": palette["on-accent"]},
            "success": {"main": palette["ok"]},
            "warning": {"main": palette["warn"]},
            "error": {"main": palette["bad"]},
            "background": {"default": palette["bg"], "paper": palette["paper"]},
            "text": {"primary": palette["ink"], "secondary": palette["soft"]},
            "divider": palette["line"],
        },
        "typography": {"fontFamily": FONT},
        "shape": {"borderRadius": 8},
    }


#: `theme_config` of a Material page.
THEME_CONFIG: Final = {"light": _material(LIGHT), "dark": _material(DARK)}

#: Stylesheets of layouts, which are Panel's own and live outside the views' script.
# Panel holds a layout to the height of what it is in, and the margin below would not be scrolled to.
PAGE_CSS: Final = """
:host { display: block !important; box-sizing: border-box; width: 100% !important; max-width: 1180px;
  max-height: none !important; margin: 0 auto !important; padding: 26px 28px 40px; }
@media (max-width: 640px) { :host { padding: 18px 14px 28px; } }
"""
CARD_CSS: Final = """
:host { display: block !important; box-sizing: border-box; width: 100% !important; margin: 16px 0 0 !important;
  background: var(--st-paper, #fff); border: 1px solid var(--st-line, #e3e7ee); border-radius: 12px; min-width: 0; }
"""
HERO_CSS: Final = """
:host { padding: 24px 26px 22px; margin-top: 22px !important; }
@media (max-width: 640px) { :host { padding: 18px 16px; margin-top: 18px !important; } }
"""
GRID_CSS: Final = """
:host { display: grid !important; grid-template-columns: minmax(0, 1.55fr) minmax(0, 1fr); gap: 16px;
  width: 100% !important; margin: 16px 0 0 !important; }
.scroll-button { display: none !important; }
@media (max-width: 640px) { :host { grid-template-columns: minmax(0, 1fr); } }
"""
STACK_CSS: Final = """
:host { width: 100% !important; margin: 0 !important; min-width: 0; }
"""
