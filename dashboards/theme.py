"""The look: colours, light and dark, the font, and a stylesheet. No components.

The views take their colours from CSS variables (`--st-…`). A page has them in its head, from the first frame;
elsewhere, as in a notebook, `views/views.js` sets them from the same two palettes. A test holds both together.
"""

from __future__ import annotations

from typing import Final

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

#: The stylesheet of a layout of Panel's own, outside the views' script.
# Panel holds a layout to the height of what it is in, and the margin below would not be scrolled to.
PAGE_CSS: Final = """
:host { display: block !important; box-sizing: border-box; width: 100% !important; max-width: 1180px;
  max-height: none !important; margin: 0 auto !important; padding: 26px 28px 40px; }
@media (max-width: 640px) { :host { padding: 18px 14px 28px; } }
"""
