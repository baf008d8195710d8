"""The peer of `viewers.py`: a page of ten indicators and a Tabulator, built and updated as Panel's guides show it."""

from __future__ import annotations

import os
import time

import pandas as pd
import panel as pn

pn.extension("tabulator")

LINES = 20


def rows(first: int, count: int = LINES) -> pd.DataFrame:
    numbers = range(first, first + count)
    return pd.DataFrame(
        {
            "time": [time.strftime("%H:%M:%S")] * count,
            "level": ["INFO"] * count,
            "phase": ["load"] * count,
            "message": [f"row {number} was loaded from the source, 211 rows" for number in numbers],
        }
    )


progress = [pn.indicators.Progress(name=name, value=0, max=100, width=300) for name in ("all", "a", "b", "c")]
numbers = [
    pn.indicators.Number(name=name, value=0, format="{value:,.0f}", font_size="20pt")
    for name in ("percent", "done", "rate", "succeeded", "failed", "elapsed")
]
begins_with = int(os.environ.get("PLAIN_PAGE_ROWS", LINES))
table = pn.widgets.Tabulator(rows(0, begins_with), show_index=False, height=300, disabled=True)
count = 0


def update() -> None:
    global count  # noqa: PLW0603 - a page of Panel is a script
    count += 1
    for place, bar in enumerate(progress):
        bar.value = (count + place) % 101
    for place, number in enumerate(numbers):
        number.value = count * 7 + place
    table.stream(rows(count * LINES), rollover=500, follow=True)


interval = float(os.environ.get("PLAIN_PAGE_SECONDS", "0"))
if interval:
    pn.state.add_periodic_callback(update, period=round(interval * 1000))
pn.Column("# Import prices", *progress, pn.FlexBox(*numbers), table).servable()
