"""`Sampler`: the thread that reads a run's counts some ten times a second. Knows nothing of what it reads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final

from streamer.producer.publishing.publisher import THREAD_PREFIX

#: Seconds between two samples: the first early in a run, growing to the second in a long one.
SAMPLE_SECONDS: Final = (0.1, 1.0)
_GROWTH: Final = 600


class Sampler:
    """Calls `tick` from a thread of its own, from `start` to `stop`. Any thread may call those two.

    Args:
        tick: Called once a sample; it must not raise.
        clock: Returns the time, in POSIX seconds.
        seconds: Seconds between two samples; None: a tenth, growing to one second in a run of ten minutes.
        opened: When the run was made, in POSIX seconds.
    """

    def __init__(
        self, tick: Callable[[], object], clock: Callable[[], float], seconds: float | None, opened: float
    ) -> None:
        self._tick = tick
        self._clock = clock
        self._seconds = seconds
        self._opened = opened
        # Held while the thread is to run. Why not an event: waiting for one is a page of Python, ten times a second.
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None

    def interval(self, now: float) -> float:
        """Return the seconds between two samples at the time `now`, in POSIX seconds."""
        if self._seconds is not None:
            return self._seconds
        return min(max((now - self._opened) / _GROWTH, SAMPLE_SECONDS[0]), SAMPLE_SECONDS[1])

    def start(self) -> None:
        """Start the thread."""
        self._running.acquire(blocking=False)
        name = f"{THREAD_PREFIX}sampler"
        self._thread = threading.Thread(target=self._sample_forever, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it, at most five seconds. Later calls do nothing."""
        with contextlib.suppress(RuntimeError):
            self._running.release()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _sample_forever(self) -> None:
        while not self._running.acquire(timeout=self.interval(self._clock())):
            self._tick()
