"""Pipelines for the tests of the API and of survival: plain ones, and those that misbehave."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import param

from streamer import Pipeline, phase


class Plain(Pipeline):
    """Do nothing, with parameters of several types."""

    n = param.Integer(3, bounds=(1, 1000), doc="How many.")
    delay = param.Number(0.0, bounds=(0, 10), doc="Seconds to wait at each.")
    name_of_it = param.String("", doc="Any text.")
    kind = param.Selector(default="a", objects=["a", "b"], doc="Which.")

    @phase(weight=3)
    def first(self) -> None:
        """Count."""
        for _ in self.track(range(self.n)):
            time.sleep(self.delay)  # the work itself

    @phase(weight=1)
    def second(self) -> dict[str, int]:
        """Return the result."""
        return {"n": self.n}


class Hangs(Pipeline):
    """Write its process id to a file, then hang in code that lets no other thread of it go on."""

    folder = param.String("", doc="Where the file is.")

    @phase
    def hang(self) -> None:
        """Hang."""
        (Path(self.folder) / "pid").write_text(str(os.getpid()))
        ctypes.PyDLL(None).sleep(600)


class Waits(Pipeline):
    """Write its process id to a file, then wait until another file is there; a cancel ends it between two looks."""

    folder = param.String("", doc="Where the files are.")
    n = param.Integer(0, doc="How many log lines to write meanwhile.")

    @phase
    def wait(self) -> str:
        """Wait."""
        folder = Path(self.folder)
        (folder / "pid").write_text(str(os.getpid()))
        for number in range(1, self.n + 1):
            self.log.info("line %d", number)
        for _ in self.track(iter((folder / "go").exists, True)):
            time.sleep(0.01)  # another process is waited for, by a file
        return "went on"


class Steady(Pipeline):
    """Log a numbered line every few milliseconds."""

    n = param.Integer(300, doc="How many lines.")
    pause = param.Number(0.005, doc="Seconds between two lines.")

    @phase
    def speak(self) -> int:
        """Log, and return how many lines that were."""
        for number in self.track(range(1, self.n + 1)):
            self.log.info("line %d", number)
            time.sleep(self.pause)  # the work itself
        return self.n


class Ignores(Pipeline):
    """Ignore a cancel, and even SIGTERM."""

    folder = param.String("", doc="Where the process id is written.")

    @phase
    def ignore(self) -> None:
        """Wait, deaf."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (Path(self.folder) / "pid").write_text(str(os.getpid()))
        while True:
            try:
                time.sleep(0.05)  # work that no signal ends
            except BaseException:  # noqa: BLE001 - that is the point
                continue


class Ends(Pipeline):
    """End as it is told, in the middle of its work."""

    how = param.Selector(default="raise", objects=["raise", "exit0", "exit3", "sysexit", "segfault", "abort"])

    @phase
    def work(self) -> None:
        """End."""
        self.log.info("about to end")
        match self.how:
            case "raise":
                raise ValueError("it went <b>wrong</b>")
            case "exit0":
                os._exit(0)
            case "exit3":
                os._exit(3)
            case "sysexit":
                raise SystemExit(5)
            case "abort":
                os.abort()
            case _:
                ctypes.string_at(0)


class Loud(Pipeline):
    """Log one message of ten million characters, and one that looks like markup."""

    @phase
    def speak(self) -> None:
        """Log."""
        self.log.info("x" * 10_000_000)
        self.log.info("<img src=x onerror=alert(1)>")
