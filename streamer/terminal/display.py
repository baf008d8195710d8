"""`Display`, the interface of all displays of a run, and the choice of one. Draws nothing itself."""

from __future__ import annotations

from typing import Any, Protocol, TextIO

from rich.console import Console

from streamer.model.events import Entry
from streamer.model.state import RunState
from streamer.terminal.json_display import JsonDisplay
from streamer.terminal.line_display import LineDisplay
from streamer.terminal.live_display import LiveDisplay


class Display(Protocol):
    """Shows one run. `show` takes each entry with the state after it; all in one thread."""

    def begin(self, run_id: str, page: str | None) -> None:
        """Name the run and the address of its page.

        Args:
            run_id: The run.
            page: The address of its page; None: there is none.

        """

    def know(self, state: RunState) -> None:
        """Take a state that did not come of an entry."""

    def show(self, entry: Entry, state: RunState) -> None:
        """Take an entry and the state after it."""

    def renew(self, state: RunState) -> None:
        """Take a state in which the estimate alone is another one."""

    def connection(self, state: str, detail: str) -> None:
        """Take the state of the connection to the streamer: connecting, live or away.

        Args:
            state: "connecting", "live" or "away".
            detail: Why, in words.

        """

    def say(self, text: str) -> None:
        """Print a message that is not part of the run."""

    def pause(self) -> None:
        """Leave the terminal to somebody else, until something is shown again."""

    def end(self, state: RunState) -> None:
        """Take the last state that is known, and finish."""


def choose_display(output: TextIO, *, as_json: bool, environment: Any = None) -> Display:
    """Return the display that fits the output.

    Args:
        output: Where the run is shown.
        as_json: Lines of JSON are asked for.
        environment: The environment variables that Rich reads; None: those of this process.

    Returns:
        A display that moves for a terminal, else one of plain lines.
    """
    if as_json:
        return JsonDisplay(output)
    console = Console(file=output, highlight=False, markup=False, emoji=False, _environ=environment)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console)
    return LineDisplay(output)
