"""`CommandLog`: the output and the log records of a command as log lines of its run. Reads nothing itself."""

from __future__ import annotations

import threading
import time as _time
from collections import deque
from typing import Final

from streamer.adoption.messages import Record
from streamer.adoption.terminal_text import Line, Screen
from streamer.producer.run import Run

#: Lines that an error shows when the command failed.
_LAST_LINES: Final = 40
#: Seconds after a record was printed in which the output brings its lines.
_RECORD_SECONDS: Final = 5.0
#: Lines of records that are waited for.
_RECORD_LINES: Final = 20_000


class CommandLog:
    """Turns a command's output and its log records into log lines of its run, each once.

    A handler of the command may print a record. The command's process tells which text the handler wrote; the output's
    lines that are equal to it are left out, each once. The main thread calls `line`, the collector's thread the others.
    `last` has the newest lines.

    Args:
        run: The run.

    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # The lines that are waited for, each with the times until which it may come.
        self._printed: dict[str, deque[float]] = {}
        self._waiting = 0
        self._lock = threading.Lock()
        self.last: deque[str] = deque(maxlen=_LAST_LINES)

    def record(self, record: Record) -> None:
        """Report a log record of the command."""
        record.report(self._run)

    def printed(self, text: str) -> None:
        """Leave out these lines of the output once.

        Args:
            text: The text that the handlers of log records wrote, as they wrote it.

        """
        screen = Screen()
        screen.feed(text.encode("utf-8", "backslashreplace"), 0.0)
        lines = screen.finish()
        if not text.endswith(("\n", "\r")) and lines:
            # A progress bar that was drawn again below the line.
            lines.pop()
        now = _time.monotonic()
        with self._lock:
            if self._waiting >= _RECORD_LINES:
                self._forget(now)
            for line in lines:
                if line.text.strip() and self._waiting < _RECORD_LINES:
                    self._printed.setdefault(line.text, deque()).append(now + _RECORD_SECONDS)
                    self._waiting += 1

    def line(self, line: Line, logger: str, now: float) -> None:
        """Report a line of output.

        Args:
            line: The line.
            logger: "stdout", "stderr" or "output".
            now: Seconds on the clock of the line's time.

        """
        if not line.text.strip():
            return
        self.last.append(line.text)
        if not self._is_record(line, now):
            self._run.report_line(line.text, logger=logger, phase=line.place, age=max(now - line.time, 0.0))

    def _is_record(self, line: Line, now: float) -> bool:
        text = line.text
        if not self._printed:
            return False
        with self._lock:
            if text not in self._printed and line.drawn:
                # The record was printed on the row of a progress bar, behind it.
                text = next((one for one in self._printed if text.endswith(one)), text)
            self._forget_one(text, now)
            untils = self._printed.get(text)
            if not untils:
                return False
            untils.popleft()
            self._waiting -= 1
            self._forget_one(text, now)
            return True

    def _forget(self, now: float) -> None:
        """Forget the lines that did not come in time."""
        for text in tuple(self._printed):
            self._forget_one(text, now)

    def _forget_one(self, text: str, now: float) -> None:
        untils = self._printed.get(text, deque())
        while untils and untils[0] < now:
            untils.popleft()
            self._waiting -= 1
        if not untils:
            self._printed.pop(text, None)
