"""`Throughput`: units per second of the phase under way, as a Bokeh figure that is streamed to.

Of a run that is over it shows the longest phase. A widget in a notebook draws the same points as a curve of its own.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import panel as pn
from bokeh.models import BasicTicker, ColumnDataSource, DataRange1d, HoverTool, NumeralTickFormatter
from bokeh.plotting import figure
from panel.custom import Child

from dashboards.indicators.base import Indicator, encode
from dashboards.session import RunModel
from streamer.model import formatting
from streamer.model.palette import LIGHT
from streamer.model.state import PhaseState, RunState

FONT: Final = 'Roboto, Inter, "DejaVu Sans", sans-serif'
#: The height of the plot, in pixels.
PLOT_HEIGHT: Final = 124


class Throughput(Indicator):
    """A run's throughput: ``Throughput(run)``. `source` has the columns ``t`` (seconds) and ``rate`` (per second)."""

    figure = Child(doc="The Bokeh figure. The indicator makes it.")

    script = "Throughput"
    watched = ("state",)
    model_class = RunModel

    def __init__(self, model: Any, **params: Any) -> None:
        self.source = ColumnDataSource({"t": [0.0], "rate": [0.0]})
        self._plotted: tuple[tuple[float, float], ...] = ()
        self._name = f"throughput-{uuid.uuid4().hex}"
        plot = _figure(self.source, self._name)
        super().__init__(model, figure=pn.pane.Bokeh(plot, sizing_mode="stretch_width", margin=0), **params)
        self._plot()

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        return shown_phase(state), _nothing(state), self._name

    def present(self) -> dict[str, Any]:
        return {**said(self.model.state), "figure": self._name}

    def widget_content(self) -> str:
        phase = shown_phase(self.model.state)
        points = [] if phase is None else [list(point) for point in phase.curve.points]
        return encode({**said(self.model.state), "figure": "", "points": points})

    def changed(self, names: set[str]) -> None:
        super().changed(names)
        document = self.source.document
        if document is not None and document.session_context is not None and self.model.place_is_thread:
            document.add_next_tick_callback(self._plot)
        else:
            self._plot()

    def say_again(self) -> None:
        super().say_again()
        self._plotted = ()
        self._plot()

    def _plot(self) -> None:
        """Stream what is new to the figure, or replace the curve where it is another one, or is thinned."""
        phase = shown_phase(self.model.state)
        points = () if phase is None else phase.curve.points
        before, self._plotted = self._plotted, points
        if points is before or not points:
            return
        if before and points[: len(before)] == before:
            new = points[len(before) :]
            self.source.stream({"t": [t for t, _ in new], "rate": [rate for _, rate in new]})
        else:
            self.source.data = {"t": [t for t, _ in points], "rate": [rate for _, rate in points]}


def said(state: RunState | None) -> dict[str, Any]:
    """Return what stands around the curve of a run."""
    phase = shown_phase(state)
    if state is None or phase is None or len(phase.curve.points) < 2:
        empty = {"known": False, "label": "Throughput", "span": "", "spoken": "", "format": _format("")}
        return {**empty, "text": _nothing(state)}
    name = formatting.cut(phase.name, 100) or "the run"
    per = "bytes/s" if formatting.in_bytes(phase.unit) else f"{phase.unit or 'items'}/s"
    seconds = phase.curve.points[-1][0]
    highest = max(rate for _, rate in phase.curve.points)
    return {
        "known": True,
        "label": f"Throughput, {formatting.cut(per, 40)}",
        "span": " · ".join(filter(None, (formatting.cut(phase.name, 40), formatting.took(seconds)))),
        "text": "",
        "spoken": f"Throughput of {name}, at most {formatting.rate(highest, phase.unit)}",
        "format": _format(phase.unit),
    }


def shown_phase(state: RunState | None) -> PhaseState | None:
    """Return the phase whose curve says most: the one under way when it has one, else the longest that has one."""
    if state is None:
        return None
    current = state.find_phase(state.phase)
    if current is not None and len(current.curve.points) > 1 and not state.is_over:
        return current
    # Counts outside of all phases are shown where there is nothing else.
    places = state.phases or ((state.outside,) if state.outside is not None else ())
    known = [phase for phase in places if len(phase.curve.points) > 1]
    if not known:
        return None
    if not state.is_over:
        return known[-1]
    return max(known, key=lambda phase: phase.curve.points[-1][0])


def _nothing(state: RunState | None) -> str:
    if state is None or state.status == "queued":
        return "Nothing to measure yet"
    if not state.is_over:
        return "Not known yet"
    counted = any(phase.done for phase in state.phases) or (state.outside is not None and state.outside.done)
    return "Over before it could be measured" if counted else "Nothing was counted in this run"


def _format(unit: str) -> str:
    return "0.[0] b" if formatting.in_bytes(unit) else "0.[0]a"


def _figure(source: ColumnDataSource, name: str) -> Any:
    plot = figure(
        name=name,
        height=PLOT_HEIGHT,
        sizing_mode="stretch_width",
        x_range=DataRange1d(range_padding=0, min_interval=0.001),
        y_range=DataRange1d(start=0, range_padding=0.12, min_interval=0.001),
        toolbar_location=None,
        tools="",
        min_border=0,
        min_border_top=6,
        min_border_bottom=9,
        outline_line_color=None,
        background_fill_color=None,
        border_fill_color=None,
    )
    plot.xaxis.visible = False
    plot.xgrid.visible = False
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[0]a")
    plot.yaxis.axis_line_color = None
    plot.yaxis.major_tick_line_color = None
    plot.yaxis.major_label_text_color = LIGHT["soft"]
    plot.yaxis.major_label_text_font = FONT
    plot.yaxis.major_label_text_font_size = "12px"
    plot.yaxis.major_label_standoff = 8
    plot.ygrid.grid_line_color = LIGHT["line"]
    plot.varea("t", 0, "rate", source=source, fill_color=LIGHT["accent-soft"], fill_alpha=1, name="area")
    line = plot.line(
        "t", "rate", source=source, line_color=LIGHT["accent"], line_width=2, line_join="round", name="line"
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
