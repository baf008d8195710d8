"""The sizes of the API's pages: how many rows one answer holds where the request names no limit."""

from __future__ import annotations

from typing import Final

RUNS_PER_PAGE: Final = 50
LINES_PER_PAGE: Final = 200
FAILURES_PER_PAGE: Final = 100
#: The highest limit that a request may name.
MOST_PER_PAGE: Final = 1_000
