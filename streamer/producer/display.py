"""`Display`: where a script's own progress is shown, beside the page: a bar on a terminal, a view in a notebook, lines.

Draws from the state of the run as its process knows it, whether a streamer is there or not. Used in the sampler's
thread, which is why nothing here may raise, and why what takes long to import is imported here.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable
from typing import Final, Protocol, TextIO

from streamer.client.identity import in_kernel
from streamer.model.state import RunState
from streamer.terminal.display import LiveDisplay, amount, outcome, percent, printable

#: Seconds between two lines where nothing can move.
LINE_SECONDS: Final = 10.0


class Display(Protocol):
    """Shows one run, again and again, then its end."""

    def draw(self, state: RunState) -> None:
        """Show how it stands."""

    def end(self, state: RunState) -> None:
        """Show how it ended."""


class Lines:
    """A line now and then, for pipes, files and terminals that can do no more; none for what is soon over."""

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
        counts = amount(state.done, state.total, state.unit, state.rate)
        words = (printable(state.title), percent(state), counts, outcome(state) if state.is_over else "")
        self._output.write(f"streamer: {' '.join(word for word in words if word)}\n")
        self._output.flush()


class Bar:
    """Bars at the terminal's lower end, what the program prints above them; the last of them stays."""

    def __init__(self) -> None:
        # Takes a twentieth of a second, which a loop that is soon over need not spend.
        from rich.console import Console

        self._live = LiveDisplay(Console(stderr=True), redirect=True)

    def draw(self, state: RunState) -> None:
        self._live.know(state)

    def end(self, state: RunState) -> None:
        self._live.know(state)
        self._live.pause()


class View:
    """The run's view in a notebook's cell. It follows the streamer by itself."""

    def __init__(self, run_id: str, url: str | None) -> None:
        # Why by name: the streamer knows nothing of the dashboards, and a script without a notebook must not need them.
        # An entry point would be missing in a checkout that was never installed.
        importlib.import_module("dashboards.notebook").show(run_id, url)

    def draw(self, state: RunState) -> None:
        """Do nothing: it follows the streamer."""

    def end(self, state: RunState) -> None:
        """Do nothing: it follows the streamer."""


def display_of(state: RunState, url: str | None, *, is_there: bool | None) -> Display | None:
    """Return the display for where this program runs; None: ask again.

    `is_there`: whether a streamer has the run, without which a view has nothing to show; None: not known yet.
    """
    if not in_kernel():
        return Bar() if sys.stderr is not None and sys.stderr.isatty() else Lines(sys.stderr)
    if is_there is None:
        return None
    found = is_there and importlib.util.find_spec("dashboards") is not None
    return View(state.run, url) if found else Lines(sys.stderr)
