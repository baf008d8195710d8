"""`CommandLog`: the output and the log records of a command as log lines of its run. Reads nothing itself."""

from __future__ import annotations

import threading
import time as _time
from collections import deque
from typing import Final

from streamer.adoption.messages import Record
from streamer.producer.run import Run

#: Lines a second that are kept in the long run.
LINES_PER_SECOND: Final = 1_000
#: Lines that may come at once.
LINES_AT_ONCE: Final = 10_000
#: Lines that an error shows when the command failed.
_LAST_LINES: Final = 40
#: Seconds in which the output may repeat a log record.
_RECORD_SECONDS: Final = 5.0


class CommandLog:
    """Turns a command's output into log lines of its run, each once, at a bounded rate.

    The main thread calls all but `record`, which the collector's thread calls. `last` has the newest lines.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._allowance = float(LINES_AT_ONCE)
        self._then = _time.monotonic()
        self._dropped = 0
        self._records: deque[tuple[float, str]] = deque(maxlen=500)
        self._lock = threading.Lock()
        self.last: deque[str] = deque(maxlen=_LAST_LINES)

    def record(self, record: Record) -> None:
        """Report a log record of the command. The line that its handler prints for it is then left out."""
        until = _time.monotonic() + _RECORD_SECONDS
        with self._lock:
            self._records.extend(
                (until, line.strip()) for line in record.message.splitlines()[:100] if line.strip()
            )
        record.report(self._run)

    def line(self, text: str, logger: str, now: float) -> None:
        """Report a line of output."""
        if not text.strip():
            return
        self.last.append(text)
        if self._is_record(text, now):
            return
        self._allowance = min(self._allowance + (now - self._then) * LINES_PER_SECOND, float(LINES_AT_ONCE))
        self._then = now
        if self._allowance < 1:
            self._dropped += 1
            return
        self._allowance -= 1
        self.report_dropped()
        self._run.report_line(text, logger=logger)

    def report_dropped(self) -> None:
        """Report the number of lines that were dropped, if any were."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            message = f"{dropped:,} lines of output were dropped: more than {LINES_PER_SECOND:,} a second"
            self._run.report_line(message, level="WARNING", logger="streamer.exec")

    def _is_record(self, text: str, now: float) -> bool:
        with self._lock:
            while self._records and self._records[0][0] < now:
                self._records.popleft()
            for one in self._records:
                if one[1] in text:
                    self._records.remove(one)
                    return True
        return False
