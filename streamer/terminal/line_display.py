"""`LineDisplay`: a run as plain lines, for pipes, files and terminals without cursor movements."""

from __future__ import annotations

from typing import TextIO

from streamer.model.events import Entry, Progressed
from streamer.model.state import RunState
from streamer.model.summary import percent, title
from streamer.terminal.printable import printable
from streamer.terminal.wording import clock_time, closing, entry_lines


class LineDisplay:
    """Writes one line for each change, without colour.

    Progress is a change when the percentage that is shown changes, and while the total is not known; at most once in
    a second.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._percent: int | None = 0
        self._said_at = 0.0
        self._state = "live"
        self._page = ""

    def _line(self, *words: str) -> None:
        self._output.write(" ".join(words).rstrip() + "\n")
        self._output.flush()

    def begin(self, run_id: str, page: str | None) -> None:
        self._page = printable(page or "")
        self._line(f"run {printable(run_id)}", self._page)

    def know(self, state: RunState) -> None:
        self._percent = percent(state)
        self._line(clock_time(state.last_time or 0.0), f"{state.status:10}", printable(title(state)))

    def show(self, entry: Entry, state: RunState) -> None:
        if isinstance(entry.event, Progressed) and not self._is_news(entry, state):
            return
        for word, text in entry_lines(entry, state):
            self._line(clock_time(entry.time), f"{word:10}", text)

    def _is_news(self, entry: Entry, state: RunState) -> bool:
        shown = percent(state)
        if entry.time - self._said_at < 1 or (shown == self._percent and not state.indeterminate):
            return False
        self._percent, self._said_at = shown, entry.time
        return True

    def renew(self, state: RunState) -> None:
        """Do nothing: the next line of progress says it."""

    def connection(self, state: str, detail: str) -> None:
        if state == "away" and self._state != "away":
            self._line("the streamer is away; reconnecting:", printable(detail))
        elif state == "live" and self._state == "away":
            self._line("the streamer is back")
        self._state = self._state if state == "connecting" else state

    def say(self, text: str) -> None:
        self._line(printable(text))

    def pause(self) -> None:
        """Do nothing: nothing moves."""

    def end(self, state: RunState) -> None:
        if state.is_over:
            for line in closing(state):
                self._line(line)
