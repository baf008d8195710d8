r"""`Screen`: the output of a program on a terminal, as lines of plain text. No I/O, no clock.

A rewritten line counts once, in its last form, whether a carriage return or a cursor movement rewrote it. Colours and
other escape sequences disappear. Other control characters appear as their code, and bytes that are not UTF-8 as
``\xff``.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from streamer.model.bounds import MESSAGE_LIMIT
from streamer.model.text.plain import ESCAPES

#: Characters that are kept of a line, with room for a note on its length. The rest is only counted.
COLUMNS: Final = MESSAGE_LIMIT - 60
#: Rows that may still be rewritten. Rows above them are settled.
ROWS: Final = 100
#: Seconds without a change after which a row above the cursor is settled; the second number is for rewritten rows. Such
#: a row is part of a display, where it may stand still while other rows change.
SETTLE_SECONDS: Final = (0.4, 10.0)
#: The longest escape sequence, in characters.
_SEQUENCE: Final = 4_000

_TOKENS = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b(?P<cursor>[78D])"
    rf"|(?P<escape>{ESCAPES})"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
#: The possible beginning of an escape sequence at the end of a piece of output. The text of a control string, such as a
#: window's title, does not matter.
_UNFINISHED = re.compile(
    r"(?:(?P<string>\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\n\r]*(?P<ending>\x1b?)"
    r"|\x1b(?:\[[0-?]*[ -/]*|[ -/]*)?|\x9b[0-?]*[ -/]*)\Z"
)
_PLAIN = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f]*\Z")


class Line(NamedTuple):
    """A line that no longer changes: its text, when it was written last, and the place that `where` gave for it then.

    `time` is in seconds of the clock of `feed`. `drawn`: it was written after a carriage return, as progress bars are.
    """

    text: str
    time: float
    place: str | None = None
    drawn: bool = False


class _Row:
    __slots__ = ("beyond", "changed", "drawn", "place", "rewritten", "text", "told")

    def __init__(self, now: float) -> None:
        self.text = ""
        self.beyond = 0
        self.changed = now
        self.place: str | None = None
        self.told = ""
        self.drawn = False
        self.rewritten = False

    def write(self, column: int, text: str, now: float) -> None:
        self.changed = now
        self.rewritten = self.rewritten or column < len(self.text)
        room = max(COLUMNS - column, 0)
        self.beyond = max(self.beyond, column + len(text) - COLUMNS)
        before = self.text[:column].ljust(min(column, COLUMNS))
        self.text = before + text[:room] + self.text[column + len(text) :]

    def shown(self) -> str:
        if self.beyond > 0:
            return f"{self.text} … [cut: {len(self.text) + self.beyond:,} characters in all]"
        return self.text.rstrip()

    def line(self) -> Line:
        return Line(self.shown(), self.changed, self.place, self.drawn)


class Screen:
    """Takes the output of a program; `settled` returns the lines that no longer change. One thread at a time.

    Args:
        now: The time, in seconds of the clock of `feed`.
        ended: Called with the text of each line when its newline comes, also of a line that is rewritten later.
        where: Returns the place that a line belongs to which is written now, such as a phase; called after `ended`.

    """

    def __init__(
        self,
        now: float = 0.0,
        *,
        ended: Callable[[str], object] | None = None,
        where: Callable[[], str | None] | None = None,
    ) -> None:
        self._ended = ended
        self._where = where
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._pending = ""
        self._rows: list[_Row] = [_Row(now)]
        self._at = 0
        self._column = 0
        self._kept: tuple[_Row, int] | None = None
        self._returned = False
        self._settled: deque[Line] = deque()

    def feed(self, data: bytes, now: float) -> None:
        """Take output that was written at `now`, in seconds of any clock that never goes back.

        Args:
            data: The bytes, cut anywhere.
            now: Seconds of any clock that never goes back.

        """
        text = self._pending + self._decoder.decode(data)
        self._pending = ""
        if _PLAIN.match(text):
            # Most programs write only lines, and never go back.
            self._lines(text, now)
            return
        unfinished = _UNFINISHED.search(text)
        if unfinished and unfinished["string"]:
            self._pending = unfinished["string"] + unfinished["ending"]
            text = text[: unfinished.start()]
        elif unfinished and len(text) - unfinished.start() < _SEQUENCE:
            self._pending = text[unfinished.start() :]
            text = text[: unfinished.start()]
        for token in _TOKENS.finditer(text):
            self._take(token, now)

    def settled(self, now: float) -> list[Line]:
        """Return the lines that have settled until `now`, each once."""
        gone = 0
        for row in self._rows[: self._at]:
            if now - row.changed < SETTLE_SECONDS[row.rewritten]:
                break
            gone += 1
        self._give(gone)
        lines = list(self._settled)
        self._settled.clear()
        return lines

    def finish(self) -> list[Line]:
        """Return the remaining lines, at the end of the output."""
        tail = self._decoder.decode(b"", final=True)
        if tail:
            self._write(tail, self._rows[self._at].changed)
        self._end_line()
        self._give(len(self._rows))
        lines = list(self._settled)
        self._settled.clear()
        self._rows, self._at, self._column = [_Row(0.0)], 0, 0
        while lines and not lines[-1].text:
            lines.pop()
        return lines

    def _give(self, count: int) -> None:
        self._settled.extend(row.line() for row in self._rows[:count])
        del self._rows[:count]
        self._at -= count

    def _lines(self, text: str, now: float) -> None:
        first, *rest = text.split("\n")
        self._write(first, now)
        for line in rest:
            self._newline(now)
            self._write(line, now)

    def _take(self, token: re.Match[str], now: float) -> None:
        if token["text"]:
            self._write(token["text"], now)
        elif token["cursor"]:
            self._move(token["cursor"], now)
        elif token["final"]:
            self._sequence(token["final"], token["parameters"], now)
        elif token["control"]:
            self._control(token["control"], now)

    def _control(self, character: str, now: float) -> None:
        if character == "\n":
            self._newline(now)
        elif character == "\r":
            self._column = 0
            self._returned = True
        elif character == "\b":
            self._column = max(self._column - 1, 0)
        elif character == "\t":
            self._write(" " * (8 - self._column % 8), now)
        elif character not in "\x00\x07\x0e\x0f\x1b":
            self._write(f"\\x{ord(character):02x}", now)

    def _move(self, letter: str, now: float) -> None:
        """Keep the cursor's place (7), return there (8), or go a row down (D) in the same column."""
        if letter == "7":
            row = self._rows[self._at]
            # The display stands below this row. The row itself goes on as a line.
            row.rewritten = False
            self._kept = row, self._column
        elif letter == "D":
            self._down(now)
        elif self._kept is not None and self._kept[0] in self._rows:
            row, self._column = self._kept
            self._at = self._rows.index(row)
            self._returned = False

    def _sequence(self, final: str, parameters: str, now: float) -> None:
        number = (
            int(parameters) if parameters.isascii() and parameters.isdigit() and len(parameters) < 6 else 0
        )
        if final in "AF":
            self._up(max(number, 1))
        elif final in "BE":
            for _ in range(min(max(number, 1), ROWS)):
                self._down(now)
        elif final == "C":
            self._column = min(self._column + max(number, 1), COLUMNS)
        elif final == "D":
            self._column = max(self._column - max(number, 1), 0)
        elif final == "G":
            self._column = min(max(number - 1, 0), COLUMNS)
        elif final == "K":
            self._erase(number, now)
        elif final == "J" and number in (0, 2, 3):
            self._erase(0 if number == 0 else 2, now)
            del self._rows[self._at + 1 :]
        if final in "EF":
            self._column = 0

    def _erase(self, part: int, now: float) -> None:
        row = self._rows[self._at]
        row.changed = now
        if part == 0:
            row.text, row.beyond = row.text[: self._column], 0
        elif part == 1:
            row.text = " " * self._column + row.text[self._column :]
        else:
            row.text, row.beyond = "", 0

    def _write(self, text: str, now: float) -> None:
        if text:
            row = self._rows[self._at]
            row.write(self._column, text, now)
            if self._returned:
                row.drawn = True
                self._returned = False
            if self._where is not None:
                row.place = self._where()
            self._column += len(text)

    def _newline(self, now: float) -> None:
        self._end_line()
        self._down(now)
        self._column = 0
        self._returned = False

    def _end_line(self) -> None:
        row = self._rows[self._at]
        # The cursor may pass over a row without writing there.
        if self._ended is not None and row.text != row.told:
            row.told = row.text
            self._ended(row.shown())
            if self._where is not None:
                # The line may have begun another place: it is its first line.
                row.place = self._where()

    def _down(self, now: float) -> None:
        self._at += 1
        if self._at == len(self._rows):
            self._rows.append(_Row(now))
        if self._at > ROWS:
            self._give(self._at - ROWS)

    def _up(self, count: int) -> None:
        above = max(self._at - count, 0)
        for row in self._rows[above : self._at + 1]:
            row.rewritten = True
        self._at = above
