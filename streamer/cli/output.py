"""How commands write: lines, JSON lines, tables and complaints. Knows nothing of runs."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from streamer.cli.errors import NOT_DONE


def say(*lines: str) -> None:
    """Print lines to the standard output at once, also into a pipe."""
    print(*lines, sep="\n", flush=True)


def complain(message: str) -> int:
    """Print a message to the standard error; return the exit code that goes with it."""
    from streamer.terminal.printable import printable_lines

    print("streamer:", "\n".join(printable_lines(message)), file=sys.stderr)
    return NOT_DONE


def json_line(value: Any) -> str:
    """Return a value as JSON in one line of ASCII."""
    from streamer.protocol.frames import to_json

    return to_json(value).decode("ascii")


def date(seconds: float | None) -> str:
    """Return a time in the local zone, to the minute.

    Args:
        seconds: Seconds since 1970 (UTC); None gives an empty text.
    """
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their headings.

    Args:
        head: A heading for each column.
        rows: The cells. The second column is shortened on a narrow terminal; a pipe gets all of it.
    """
    from rich.cells import cell_len

    widths = [max(cell_len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    if sys.stdout.isatty():
        wide = shutil.get_terminal_size().columns
        widths[1] = max(10, min(widths[1], wide - sum(widths) + widths[1] - 2 * len(widths)))
    for row in (head, *rows):
        cells = []
        for width, cell in zip(widths, row, strict=True):
            shown = cell if cell_len(cell) <= width else f"{cell[: width - 1]}…"
            cells.append(shown + " " * (width - cell_len(shown)))
        say("  ".join(cells).rstrip())
