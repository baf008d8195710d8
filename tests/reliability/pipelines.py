"""Pipelines that hang, start children, swallow a cancel or fail at what they are told, for the tests of reliability."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import param

from streamer import Pipeline, phase

#: A child that ignores SIGTERM, in a group or session of its own, and says its process id in a file.
CHILD = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
{"group": os.setpgrp, "session": os.setsid, "same": lambda: None}[sys.argv[2]]()
open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)  # until it is killed, as the test asks for
"""


class Careful(Pipeline):
    """Note in files what of its own code runs when it is cancelled."""

    folder = param.String("", doc="Where the files are.")

    @phase
    def prepare(self) -> None:
        """Do little."""

    @phase
    def work(self) -> None:
        """Work on item after item, slowly."""
        try:
            with self.held():
                self.map(self.one, ["alpha", "beta"], label=lambda item: f"item {item}")
        except KeyboardInterrupt:
            self.note("interrupted")
            raise
        finally:
            self.note("finally")

    def one(self, item: str) -> None:
        """Wait at the second item for ever."""
        if item == "beta":
            self.note("ready")
            time.sleep(600)  # user code that a cancel finds in a blocking call

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold something that must be let go."""
        try:
            yield
        finally:
            self.note("released")

    def note(self, name: str) -> None:
        """Leave a file."""
        (Path(self.folder) / name).touch()


class Hoards(Pipeline):
    """Join a control group, and take more and more memory."""

    group = param.String("", doc="The folder of the control group.")

    @phase
    def hoard(self) -> None:
        """Take it."""
        (Path(self.group) / "cgroup.procs").write_text(str(os.getpid()))
        held = [bytearray(os.urandom(1000)) * 1000]
        while True:
            held.append(bytearray(held[0]))


class Parent(Pipeline):
    """Start children in the same group, in another group and in another session; then wait, deaf or not."""

    folder = param.String("", doc="Where the process ids are written.")
    deaf = param.Boolean(False, doc="Whether it ignores a cancel.")
    deaf_to_sigterm = param.Boolean(False, doc="Whether it ignores SIGTERM as well.")

    @phase
    def work(self) -> None:
        """Start them, and wait."""
        if self.deaf_to_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for how in ("same", "group", "session"):
            file = Path(self.folder) / how
            subprocess.Popen([sys.executable, "-c", CHILD, str(file), how])
            while not file.exists():
                time.sleep(0.01)  # another process is waited for, by a file
        # Whole or not at all, for whoever waits for it.
        (Path(self.folder) / "pid.new").write_text(str(os.getpid()))
        (Path(self.folder) / "pid.new").rename(Path(self.folder) / "pid")
        while True:
            try:
                time.sleep(0.05)  # work that no request ends
            except KeyboardInterrupt:
                if not self.deaf:
                    raise


class Loads(Pipeline):
    """Work on named items, in a given order; the last of each name fail as often as they are told to."""

    names = param.List(default=[], doc="The items of the first phase.")
    failing = param.Dict(default={}, doc="How often which of them fail.")
    others = param.List(default=[], doc="The items of the second phase.")
    others_failing = param.Dict(default={}, doc="How often which of those fail.")

    @phase
    def load(self) -> None:
        """Work on the first ones."""
        self.do(self.names, self.failing)

    @phase
    def check(self) -> None:
        """Work on the second ones."""
        self.do(self.others, self.others_failing)

    def do(self, names: list[str], failing: dict[str, int]) -> None:
        """Let each of `failing` fail so often."""
        left = dict(failing)

        def work(name: str) -> None:
            if left.get(name, 0):
                left[name] -= 1
                raise ValueError("as told")

        self.map(work, names, on_error="collect")


class Slow(Pipeline):
    """Do things of equal length, one after another; by itself it may take three seconds."""

    time_limit_seconds = 3.0
    n = param.Integer(10, doc="How many things.")
    seconds = param.Number(0.1, doc="How long each takes.")

    @phase
    def work(self) -> None:
        """Do them."""
        for _ in self.track(range(self.n)):
            time.sleep(self.seconds)  # the work itself
