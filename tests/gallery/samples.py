"""Constants of the gallery: its times, and texts that are long, right to left, or markup."""

from __future__ import annotations

#: 24 November 2026, 09:41:04 UTC: the gallery's time stands still.
STARTED = 1_795_513_264.0

NOW = STARTED + 28

MARKUP = "<img src=x onerror=\"document.title='markup ran'\">"

LONG = (
    "A title of three hundred characters, as somebody will give one sooner or later, "
    "with no thought of those who read it: "
    + ("quarterly reconciliation of prices, volumes and corporate actions; " * 3)
)

RTL = "استيراد الأسعار اليومية 📈 مع ملخص لكل رمز"

TRACEBACK = """Traceback (most recent call last):
  File "/srv/pipelines/prices.py", line 118, in load
    self.map(self.load_row, rows, on_error="collect")
  File "/srv/pipelines/prices.py", line 131, in load_row
    self.table.insert(symbol=row.symbol, day=row.day, **row.prices)
  File "/srv/pipelines/tables.py", line 57, in insert
    raise IntegrityError(f"duplicate key: {symbol}, {day}")
tables.IntegrityError: duplicate key: GOOG, 2010-04-19"""
