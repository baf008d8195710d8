"""`Below`: rows that stay below everything else on a terminal, whoever writes there. It knows nothing of runs.

The cursor stays where programs write: rows are drawn below the cursor, and nothing above them is ever erased. A line
therefore survives, whether a handler that was made earlier, C code or a child process wrote it. Lines that go past this
program's outputs are not seen: where two come between two drawings, the second keeps the rest of a drawn row behind it.

Why not Rich's Live: its cursor stands behind its rows, and its next drawing erases lines that it does not know.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time as _time
from collections.abc import Callable
from typing import Any, Final, TextIO

#: Control sequences: erase all behind the cursor; one row down, scrolling at the end; keep and restore the cursor.
_ERASE: Final = "\x1b[J"
_INDEX: Final = "\x1bD"
_KEEP, _RESTORE = "\x1b7", "\x1b8"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
#: Seconds between two drawings that lines of this program cause.
_EVERY_SECONDS: Final = 0.05


class Below:
    """Draws rows below the cursor. One thread draws; any thread of the program may write meanwhile.

    While rows are shown, this program's own outputs on the same terminal erase them before each text.

    Args:
        output: The terminal.
        clock: Returns the time, in seconds of any clock that never goes back.
    """

    def __init__(self, output: TextIO, clock: Callable[[], float] = _time.monotonic) -> None:
        self._output = output
        self._write: Callable[[str], object] = output.write
        self._clock = clock
        self._pid = os.getpid()
        self._watched: list[tuple[Any, Any]] = []
        self._picture = ""
        self._shown = False
        self._drawn_at = 0.0
        self._line_open = False
        self._open = False

    def draw(self, rows: list[str]) -> None:
        """Show rows instead of those before. Each is as wide as the terminal at most, and ends its own colours."""
        if not self._open:
            self._open = True
            self._watch()
        down = len(rows)
        picture = "".join(f"\x1b[B\r{row}" for row in rows)
        self._picture = f"{_HIDE}{_ERASE}{_INDEX * down}\x1b[{max(down, 1)}A{_KEEP}{picture}{_RESTORE}{_SHOW}"
        self._show()

    def end(self, rows: list[str]) -> None:
        """Leave rows as lines like any others, and draw no more."""
        for stream, write in self._watched:
            with contextlib.suppress(AttributeError):
                if vars(stream).get("write") is write:
                    del stream.write
        self._watched.clear()
        # Nothing was drawn on a terminal that knows no control sequences.
        erase = _ERASE if self._open else ""
        self._open, self._picture = False, ""
        begin = "\n" if self._line_open else ""
        self._write("".join((erase, begin, *(f"{row}\n" for row in rows))))
        self._output.flush()

    def _show(self) -> None:
        self._write(self._picture)
        self._output.flush()
        self._shown, self._drawn_at = True, self._clock()

    def _watch(self) -> None:
        place = _terminal_of(self._output)
        streams = {id(one): one for one in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)}
        for stream in streams.values():
            if stream is self._output or (place is not None and _terminal_of(stream) == place):
                with contextlib.suppress(Exception):
                    self._watch_one(stream)

    def _watch_one(self, stream: Any) -> None:
        original = stream.write

        def write(text: str, *arguments: Any) -> Any:
            if not self._open or not isinstance(text, str):
                return original(text, *arguments)
            # A forked child does not know what its parent has drawn since.
            elsewhere = os.getpid() != self._pid
            if text and (self._shown or elsewhere):
                self._shown = False
                original(_ERASE)
            written = original(text, *arguments)
            self._line_open = not text.endswith(("\n", "\r")) if text else self._line_open
            if (
                not elsewhere
                and text.endswith("\n")
                and self._picture
                and self._clock() - self._drawn_at >= _EVERY_SECONDS
            ):
                original(self._picture)
                self._shown, self._drawn_at = True, self._clock()
            return written

        stream.write = write
        self._watched.append((stream, write))


def _terminal_of(stream: Any) -> int | None:
    """Return the number of the terminal that a stream writes to; None when it is none."""
    try:
        number: int = stream.fileno()
        return os.fstat(number).st_rdev if os.isatty(number) else None
    except (AttributeError, OSError, ValueError):
        return None
