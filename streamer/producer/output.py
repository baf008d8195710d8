"""The output of a worker's Python code as log lines: prints, warnings, threads that fail. Runs nothing.

Text that handlers of log records print is left out: the record is a log line already.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any, Final, Self, TextIO

from streamer.model.bounds import MESSAGE_LIMIT
from streamer.model.text.plain import plain_line
from streamer.producer.run import Run

#: Characters that are kept of a line, with room for a note on its length.
_KEPT: Final = MESSAGE_LIMIT - 60
#: Calls between a handler of log records and the stream that it writes to, at most.
_DEPTH: Final = 40


class Output:
    """Reports what Python code prints, what it warns of, and what ends its threads; a context manager.

    Args:
        run: The run that gets the lines.

    """

    def __init__(self, run: Run) -> None:
        self._streams = (Lines(run, "stdout", sys.stdout), Lines(run, "stderr", sys.stderr))
        self._excepthook = threading.excepthook

    def __enter__(self) -> Self:
        """Take the place of `sys.stdout` and `sys.stderr`."""
        sys.stdout, sys.stderr = self._streams
        self._excepthook, threading.excepthook = threading.excepthook, _thread_failed
        logging.captureWarnings(capture=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        sys.stdout, sys.stderr = (stream.below for stream in self._streams)
        threading.excepthook = self._excepthook
        logging.captureWarnings(capture=False)

    def finish(self) -> None:
        """Report the lines that this thread began and did not end with a newline."""
        for stream in self._streams:
            stream.finish()


class _Begun(threading.local):
    """The line that a thread has begun: its text, and the characters beyond it."""

    text = ""
    beyond = 0


class Lines(io.TextIOBase):
    """A text stream whose lines are reported. Any thread may write; each thread's lines stay whole.

    A line that was written over (after a carriage return, as progress bars do) is reported as it was last. Empty lines
    are not reported. A long line is cut, with a note on its true length.

    Args:
        run: The run that gets the lines.
        name: "stdout" or "stderr": the lines' logger.
        below: The stream that forked children and bytes go to.

    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, run: Run, name: str, below: TextIO) -> None:
        super().__init__()
        self.name = name
        self.below = below
        self._run = run
        self._pid = os.getpid()
        self._begun = _Begun()

    @property
    def buffer(self) -> Any:
        """The stream of bytes below; what is written there goes to the output file."""
        return self.below.buffer

    def fileno(self) -> int:
        """Return the descriptor of the stream below, for child processes."""
        return self.below.fileno()

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def reconfigure(self, **_: Any) -> None:
        """Change nothing: what is written is reported as text."""

    def flush(self) -> None:
        """Flush the stream below; a line is reported when it ends."""
        self.below.flush()

    def write(self, text: str) -> int:
        """Report the lines that `text` completes.

        Args:
            text: Any text; its last line may go on with the next call.

        Returns:
            The number of characters, all of them.

        Raises:
            TypeError: If it is not text.

        """
        if not isinstance(text, str):
            raise TypeError(f"expected str, received {type(text).__name__}")
        if os.getpid() != self._pid:
            return self.below.write(text)  # a forked child, which has no run
        record = _record_of(sys._getframe(1))
        if record is not None:
            self._run.handled(record)
            return len(text)
        *lines, rest = text.split("\n")
        for line in lines:
            self._add(line)
            self.finish()
        self._add(rest)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]  # the base class allows bytes
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def finish(self) -> None:
        """Report the line that this thread has begun."""
        begun = self._begun
        line = plain_line(begun.text)
        if begun.beyond:
            line = f"{line} … [cut: {len(line) + begun.beyond:,} characters in all]"
        begun.text, begun.beyond = "", 0
        if line.strip():
            self._run.report_line(line, logger=self.name)

    def _add(self, text: str) -> None:
        """Add to the line that this thread has begun; keep as much of it as a log line takes."""
        begun = self._begun
        if begun.beyond and "\r" not in text:
            begun.beyond += len(text)
            return
        whole = begun.text + text
        if len(whole) > MESSAGE_LIMIT and "\r" in whole:
            # A bar that draws itself again and again on one line.
            ending = "\r" if whole.endswith("\r") else ""
            whole, begun.beyond = whole.rstrip("\r").rpartition("\r")[2] + ending, 0
        if len(whole) > MESSAGE_LIMIT:
            whole, begun.beyond = whole[:_KEPT], begun.beyond + len(whole) - _KEPT
        begun.text = whole


def _record_of(frame: FrameType | None) -> logging.LogRecord | None:
    """Return the log record that a handler is at work on in this thread; None where code itself prints."""
    for _ in range(_DEPTH):
        if frame is None:
            return None
        if frame.f_code is logging.Handler.handle.__code__:
            record = frame.f_locals.get("record")
            return record if isinstance(record, logging.LogRecord) else None
        frame = frame.f_back
    return None


def _thread_failed(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is None or isinstance(what.exc_value, SystemExit | KeyboardInterrupt):
        return
    name = "" if what.thread is None else what.thread.name
    error = (what.exc_type, what.exc_value, what.exc_traceback)
    logging.getLogger("threading").error("thread %s ended with an error", name, exc_info=error)
