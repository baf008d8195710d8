"""The palette: the colours of every surface in light and dark, and the tones that give a colour its meaning.

CSS, Bokeh figures, notebook HTML, terminal styles and badges take their colours from here. `contrast` is the WCAG
ratio; a test computes it for each text on each ground.
"""

from __future__ import annotations

from typing import Final, Literal

#: The meaning of a colour: under way, well, look at this, wrong, nothing to tell.
Tone = Literal["accent", "ok", "warn", "bad", "wait"]

#: Colours of pages by name, light and dark. `wait` fills tracks and is no colour of text: see `text_colour`.
LIGHT: Final[dict[str, str]] = {
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
DARK: Final[dict[str, str]] = {
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
#: The name of a tone's colour for text and filled bars.
COLOUR_NAMES: Final[dict[Tone, str]] = {
    "accent": "accent",
    "ok": "ok",
    "warn": "warn",
    "bad": "bad",
    "wait": "soft",
}
#: Text in a tone on a tint of the same tone, as in a chip, needs more contrast than on paper.
CHIPS_LIGHT: Final[dict[str, str]] = {"chip-accent": "#0a5cae", "chip-ok": "#15693e", "chip-bad": "#a91f26"}
CHIPS_DARK: Final[dict[str, str]] = {"chip-accent": "#6fb2f5", "chip-ok": "#55c792", "chip-bad": "#f5868a"}

#: Fills that are seen on white and on black, for saved notebooks, which do not know their ground. No colours of text:
#: no colour has the contrast of text on both grounds.
EITHER_GROUND: Final[dict[Tone, str]] = {
    "accent": "#2f81d6",
    "ok": "#2e9e63",
    "warn": "#b07a10",
    "bad": "#d64550",
    "wait": "#7d8795",
}
#: Styles of Rich by tone, for terminals; a terminal brings its own colours.
TERMINAL: Final[dict[Tone, str]] = {
    "accent": "bold cyan",
    "ok": "bold green",
    "warn": "bold yellow",
    "bad": "bold red",
    "wait": "cyan",
}
#: The ground of a badge's label; the text of a badge, and of chips in notebooks.
BADGE_LABEL: Final = "#3c4350"
ON_TONE: Final = "#ffffff"


def text_colour(tone: Tone, palette: dict[str, str] = LIGHT) -> str:
    """Return the colour of text in a tone.

    Args:
        tone: The meaning.
        palette: `LIGHT` or `DARK`.

    Returns:
        The colour as ``#rrggbb``. White text is legible on those of `LIGHT`.
    """
    return palette[COLOUR_NAMES[tone]]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2.2 defines it.

    Args:
        one: A colour as ``#rrggbb``.
        other: Another one; the order does not matter.

    Returns:
        The ratio from 1 to 21. Text needs 4.5 (level AA), fills and borders need 3.
    """
    first, second = _luminance(one), _luminance(other)
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
