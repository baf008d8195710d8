"""`Display`: shows a script's own progress beside the page: a bar in a terminal, a view in a notebook, else lines.

A display draws from the run's state in this process, with or without a streamer. The sampler's thread calls it, so
slow imports happen here and not in the user's code.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, Protocol, TextIO

from streamer.client.identity import in_kernel
from streamer.model.state import RunState
from streamer.model.summary import summarise
from streamer.producer.views import ViewsUnavailable, notebook_view
from streamer.terminal.below import Below
from streamer.terminal.live_display import LiveDisplay
from streamer.terminal.printable import printable
from streamer.terminal.wording import counts, standing

#: Seconds between two lines of `Lines`.
LINE_SECONDS: Final = 10.0


class Display(Protocol):
    """Shows one run while it works, then its end."""

    def draw(self, state: RunState) -> None:
        """Show the run as it is now."""

    def end(self, state: RunState) -> None:
        """Show the outcome. Called once."""


class Lines:
    """Writes a line every ten seconds, for pipes and files. A run that is over sooner gets no line."""

    def __init__(self, output: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._said_at = clock()
        self._said = False

    def draw(self, state: RunState) -> None:
        if self._clock() - self._said_at >= LINE_SECONDS:
            self._said_at, self._said = self._clock(), True
            self._line(state)

    def end(self, state: RunState) -> None:
        if self._said:
            self._line(state)

    def _line(self, state: RunState) -> None:
        summary = summarise(state, time.time())
        ended = standing(summary) if summary.outcome is not None else ""
        words = (printable(summary.title), summary.percent_words, counts(summary), ended)
        self._output.write(f"streamer: {' '.join(word for word in words if word)}\n")
        self._output.flush()


class Bar:
    """Draws bars at the terminal's lower end. All other lines stay above it; the last bars stay, too.

    Args:
        output: The terminal.
    """

    def __init__(self, output: TextIO) -> None:
        # This import takes 50 ms. A loop that is over soon never comes here.
        from rich.console import Console

        self._console = Console(file=output)
        self._live = LiveDisplay(self._console)
        self._below = Below(output)

    def draw(self, state: RunState) -> None:
        if not self._console.is_dumb_terminal:
            self._below.draw(self._rows(state)[: max(self._console.height - 2, 1)])

    def end(self, state: RunState) -> None:
        self._below.end(self._rows(state))

    def _rows(self, state: RunState) -> list[str]:
        with self._console.capture() as capture:
            self._console.print(self._live.render(state))
        return capture.get().rstrip("\n").split("\n")


class View:
    """Shows the run's view in a notebook's cell. The view follows the streamer by itself.

    Raises `ViewsUnavailable`.
    """

    def __init__(self, run_id: str, url: str | None) -> None:
        notebook_view()(run_id, url)

    def draw(self, state: RunState) -> None:
        """Do nothing: the view follows the streamer."""

    def end(self, state: RunState) -> None:
        """Do nothing: the view follows the streamer."""


def display_of(state: RunState, url: str | None, *, is_there: bool | None) -> Display | None:
    """Return the display that fits the place where this program runs.

    Args:
        state: The run.
        url: The streamer's URL; None means the configured one.
        is_there: Whether a streamer has the run, which a view in a notebook needs; None: not known yet.

    Returns:
        The display; None where the caller has to ask again later.
    """
    if not in_kernel():
        return Bar(sys.stderr) if sys.stderr is not None and sys.stderr.isatty() else Lines(sys.stderr)
    if is_there is None:
        return None
    if not is_there:
        return Lines(sys.stderr)
    try:
        return View(state.run, url)
    except ViewsUnavailable as error:
        sys.stderr.write(f"streamer: {error}\n")
        return Lines(sys.stderr)
