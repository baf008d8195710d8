"""`Notices`: the lines on standard error that tell the user where a run's page is, or why there is none yet."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Final

from streamer.client.discovery import NOWHERE, nobody_at, read_address
from streamer.model.bounds import cut
from streamer.protocol.registration import Created

#: Held by whoever prints several pieces that belong together, such as a traceback.
printing: Final = threading.RLock()


class Surroundings:
    """How a notice fits into a terminal that another program writes to. The holder of `printing` may change it."""

    def __init__(self) -> None:
        #: Whether the other program's last line has no end yet.
        self.line_open = False
        #: The end of a line. A terminal that hands on single keys needs a carriage return, too.
        self.newline = "\n"


surroundings: Final = Surroundings()


def say(text: str) -> None:
    """Print one line of at most 1,000 characters on standard error, after the word ``streamer:``."""
    if sys.stderr is not None:
        with printing:
            begin = surroundings.newline if surroundings.line_open else ""
            sys.stderr.write(f"{begin}streamer: {cut(text, 1000)}{surroundings.newline}")
            surroundings.line_open = False


class Notices:
    """Prints each notice about one run once. The publisher's thread calls it.

    Args:
        base: The streamer's URL.
        run_id: The run.
        data: The data folder; its streamer may come later, at another address.
        waits: Whether events wait in a spool on this machine while the streamer is away.
    """

    def __init__(self, base: str, run_id: str, data: Path, *, waits: bool) -> None:
        self._base = base
        self._run_id = run_id
        self._data = data
        self._waits = waits
        #: Whether the streamer has the run; None: the streamer was not reached yet.
        self.known: bool | None = None

    def registered(self, answer: Created) -> None:
        """Print the URL of the run's page."""
        self.known = True
        address = read_address(self._data) if self._base == NOWHERE else None
        base = self._base if address is None else address.url.rstrip("/")
        say(answer.page or f"{base}/api/runs/{self._run_id}")

    def away(self, reason: str) -> None:
        """Print that there is no streamer, unless something was printed about this run before."""
        if self.known is None:
            self.known = False
            then = (
                "it waits on this machine, and is sent when there is one"
                if self._waits
                else "it is not shown"
            )
            why = "" if self._base == NOWHERE else f" ({reason})"
            say(f"{nobody_at(self._base, self._data)} for this run: {then}{why}")

    def refused(self, reason: str) -> None:
        """Print that the streamer refuses the run's events."""
        if self.known:
            say(f"the streamer takes no more of this run, which goes on ({reason})")
        else:
            self.known = False
            say(f"this run is not shown, the streamer at {self._base} refuses it ({reason})")
