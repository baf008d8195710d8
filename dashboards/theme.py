"""The look of pages: the palette of all surfaces, the font, and a stylesheet. No components.

The views take their colours from CSS variables (`--st-…`). A page has them in its head, from the first frame;
elsewhere, as in a notebook, `indicators/base.js` sets them from the same palettes. A test holds both together.
"""

from __future__ import annotations

from typing import Final

from streamer.model.palette import CHIPS_DARK, CHIPS_LIGHT, DARK, LIGHT

__all__ = ["CHIPS_DARK", "CHIPS_LIGHT", "DARK", "FONT", "LIGHT", "PAGE_CSS"]

FONT: Final = 'Roboto, Inter, "DejaVu Sans", sans-serif'

#: The stylesheet of a layout of Panel's own, outside the indicators' script.
# Panel holds a layout to the height of what it is in, and the margin below would not be scrolled to.
PAGE_CSS: Final = """
:host { display: block !important; box-sizing: border-box; width: 100% !important; max-width: 1180px;
  max-height: none !important; margin: 0 auto !important; padding: 26px 28px 40px; }
@media (max-width: 640px) { :host { padding: 18px 14px 28px; } }
"""
