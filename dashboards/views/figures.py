"""Bokeh figures that many sessions share: each is made once in a process, and drawn in the browser by `views.js`.

A figure in a session's document would be made, checked and sent anew for each viewer, some 35 models of it; as an item
that Bokeh's own `embed_item` draws it is a text that is the same for all. What it shows comes with the view's state.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from bokeh.embed import json_item
from bokeh.models import (
    BasicTicker,
    CategoricalColorMapper,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
    NumeralTickFormatter,
    Quad,
    Range1d,
)
from bokeh.plotting import figure

from dashboards import theme
from dashboards.views.base import encode
from streamer.model.palette import COLOUR_NAMES
from streamer.model.summary import PHASE_TONES

#: The kinds of segments, and the names of their colours in the same order. A segment that is not filled has the
#: track's colour.
KINDS: Final = tuple(PHASE_TONES)
COLOURS: Final = tuple(
    "wait" if kind in ("waiting", "skipped") else COLOUR_NAMES[tone] for kind, tone in PHASE_TONES.items()
)
#: The bar's height in pixels, its outline of 1.5 included, which separates the segments.
BAR_HEIGHT = 17
#: The height of the plot of throughput, in pixels.
PLOT_HEIGHT = 124


def item(plot: Any) -> str:
    """Return a figure as JSON for `Bokeh.embed.embed_item`."""
    made: dict[str, Any] = dict(json_item(plot))
    # Bokeh adds the models of every component that this process has loaded, and a figure has none of them.
    made["doc"] = {name: value for name, value in dict(made["doc"]).items() if name != "defs"}
    return encode(made)


#: What every figure here is without.
PLAIN: Final[dict[str, Any]] = {
    "toolbar_location": None,
    "tools": "",
    "min_border": 0,
    "outline_line_color": None,
    "background_fill_color": None,
    "border_fill_color": None,
}


@functools.cache
def phases_figure() -> str:
    """Return the bar without any segments as JSON; it is the same for every run."""
    return item(_phases(ColumnDataSource({"left": [], "right": [], "fill": [], "kind": [], "pattern": []})))


def _phases(source: ColumnDataSource) -> Any:
    plot = figure(
        height=BAR_HEIGHT,
        sizing_mode="stretch_width",
        x_range=Range1d(start=0, end=1),
        y_range=Range1d(start=0, end=1),
        **PLAIN,
    )
    plot.axis.visible = False
    plot.grid.visible = False
    light = theme.LIGHT
    mapper = CategoricalColorMapper(
        name="kinds", factors=list(KINDS), palette=[light[name] for name in COLOURS], nan_color=light["wait"]
    )
    tracks = Quad(
        left="left",
        right="right",
        bottom=0,
        top=1,
        line_color=None,
        fill_color=light["wait"],
        hatch_pattern="pattern",
        hatch_color=light["soft"],
        hatch_alpha=0.22,
        hatch_scale=7,
        hatch_weight=1.2,
    )
    fill_color: Any = {"field": "kind", "transform": mapper}
    fills = Quad(left="left", right="fill", bottom=0, top=1, line_color=None, fill_color=fill_color)
    # The outline is of the paper's colour: it separates the segments by the same three pixels at every width, and
    # rounds their corners, which clipping cannot do inside one canvas.
    frames = Quad(
        left="left",
        right="right",
        bottom=0,
        top=1,
        fill_color=None,
        line_color=light["paper"],
        line_width=3,
    )
    frames.update(border_radius=3)
    for name, glyph in (("track", tracks), ("fill", fills), ("frame", frames)):
        renderer = plot.add_glyph(source, glyph)
        renderer.name = name
        renderer.level = "glyph"
    return plot


@functools.cache
def throughput_figure() -> str:
    """Return the plot without a curve as JSON; it is the same for every run."""
    return item(_throughput(ColumnDataSource({"t": [0.0], "rate": [0.0]})))


def _throughput(source: ColumnDataSource) -> Any:
    light = theme.LIGHT
    plot = figure(
        height=PLOT_HEIGHT,
        sizing_mode="stretch_width",
        x_range=DataRange1d(range_padding=0, min_interval=0.001),
        y_range=DataRange1d(start=0, range_padding=0.12, min_interval=0.001),
        min_border_top=6,
        min_border_bottom=9,
        **PLAIN,
    )
    plot.xaxis.visible = False
    plot.xgrid.visible = False
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[0]a")
    plot.yaxis.axis_line_color = None
    plot.yaxis.major_tick_line_color = None
    plot.yaxis.major_label_text_color = light["soft"]
    plot.yaxis.major_label_text_font = theme.FONT
    plot.yaxis.major_label_text_font_size = "12px"
    plot.yaxis.major_label_standoff = 8
    plot.ygrid.grid_line_color = light["line"]
    plot.varea("t", 0, "rate", source=source, fill_color=light["accent-soft"], fill_alpha=1, name="area")
    line = plot.line(
        "t", "rate", source=source, line_color=light["accent"], line_width=2, line_join="round", name="line"
    )
    plot.add_tools(
        HoverTool(
            renderers=[line],
            mode="vline",
            line_policy="nearest",
            point_policy="snap_to_data",
            tooltips=[("per second", "@rate{0,0.[00]}"), ("after seconds", "@t{0,0.[0]}")],
        )
    )
    return plot
