"""`Stack`: which collector the bars of this process report to. Sets the environment of child processes."""

from __future__ import annotations

import functools
import os

from streamer.adoption import inside
from streamer.adoption.collector import ADDRESS, Collector


class Stack:
    """The collectors of this process. New bars report to the newest one. Main thread."""

    def __init__(self) -> None:
        self._collectors: list[Collector] = []
        self._before: dict[str, str | None] = {}

    def push(self, collector: Collector) -> None:
        """Let bars that begin from now on, here and in new processes, report to a collector."""
        if not self._collectors:
            self._before = {name: os.environ.get(name) for name in ("PYTHONPATH", ADDRESS)}
        self._collectors.append(collector)
        self._install(collector)

    def remove(self, collector: Collector) -> None:
        """Let bars report to the collector before this one; the last one's removal restores the environment."""
        self._collectors.remove(collector)
        if self._collectors:
            self._install(self._collectors[-1])
            return
        inside.uninstall()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _install(self, collector: Collector) -> None:
        os.environ.update(collector.environment(os.environ))
        # Without log records: the run itself has a handler in this process.
        inside.install(collector.address, logs=False, take=collector.take)


@functools.cache
def stack() -> Stack:
    """Return the stack of this process."""
    return Stack()
