"""`HeldDisplay`: a display that can be held while somebody is asked a question. It draws nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamer.model.events import Entry, Progressed
from streamer.model.state import RunState

if TYPE_CHECKING:
    from streamer.terminal.display import Display


class HeldDisplay:
    """Passes everything to another display; while it is held, it keeps it. One thread.

    Args:
        shown: The display.
    """

    def __init__(self, shown: Display) -> None:
        self._shown = shown
        self._kept: list[Callable[[], None]] | None = None
        self._last: Entry | None = None

    def hold(self) -> None:
        """Leave the terminal to a question, until `release`."""
        self._shown.pause()
        if self._kept is None:
            self._kept = []

    def release(self) -> None:
        """Show what came meanwhile."""
        kept, self._kept, self._last = self._kept or [], None, None
        for call in kept:
            call()

    def begin(self, run_id: str, page: str | None) -> None:
        """Do as `Display.begin`."""
        self._do(lambda: self._shown.begin(run_id, page))

    def know(self, state: RunState) -> None:
        """Do as `Display.know`."""
        self._do(lambda: self._shown.know(state))

    def show(self, entry: Entry, state: RunState) -> None:
        """Do as `Display.show`. Of progress that comes while the display is held, the last is kept."""
        joins = self._kept and self._last is not None and isinstance(entry.event, Progressed)
        if joins and self._kept:
            self._kept.pop()
        self._do(lambda: self._shown.show(entry, state))
        if self._kept is not None and isinstance(entry.event, Progressed):
            self._last = entry

    def renew(self, state: RunState) -> None:
        """Do as `Display.renew`; a display that is held gets the next one."""
        if self._kept is None:
            self._shown.renew(state)

    def connection(self, state: str, detail: str) -> None:
        """Do as `Display.connection`."""
        self._do(lambda: self._shown.connection(state, detail))

    def say(self, text: str) -> None:
        """Do as `Display.say`."""
        self._do(lambda: self._shown.say(text))

    def pause(self) -> None:
        """Do as `Display.pause`."""
        self._shown.pause()

    def end(self, state: RunState) -> None:
        """Do as `Display.end`."""
        self._do(lambda: self._shown.end(state))

    def _do(self, call: Callable[[], None]) -> None:
        self._last = None
        if self._kept is None:
            call()
        else:
            self._kept.append(call)
