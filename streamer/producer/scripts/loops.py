"""`Loop`: one call of `streamer.track`, and the run that it belongs to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

from streamer.model.bounds import (
    cut_name,
)
from streamer.producer.counting import Tally
from streamer.producer.run import Run
from streamer.producer.scripts.exit import install_hooks
from streamer.producer.scripts.hosting import host
from streamer.producer.scripts.session import Session, lock, sessions

T = TypeVar("T")


class Loop:
    """One call of `track`. It joins a run when its first item is asked for. The iterating thread calls it.

    In a pipeline's phase that is the pipeline's run, else the run of a session.

    Args:
        description: The loop's name on the page; empty: the loop has no phase of its own inside a `run`.
        total: How many items there are; None: not known.
        unit: The items' unit.
        url: The streamer's URL; None: any session's.
    """

    def __init__(self, description: str, total: float | None, unit: str, url: str | None) -> None:
        self._description = cut_name(str(description).strip())
        self._unit = unit
        self._url = url
        self._session: Session | None = None
        self._run: Run | None = None
        self._phase: Any = None
        #: For how many samples the loop is known to have been left.
        self.left = 0
        self.tally = Tally(total, self._ended, self._begin)

    def over(self, items: Any) -> Any:
        """Return an iterator over `items` that counts them; an asynchronous one for asynchronous items."""
        if hasattr(items, "__aiter__") and not hasattr(items, "__iter__"):
            return self.tally.over_async(items)
        counted = self.tally.over(items)
        # A signal interrupts the main thread only. In another thread each item checks for a cancel.
        return counted if threading.current_thread() is threading.main_thread() else self._checked(counted)

    def _checked(self, items: Iterator[T]) -> Iterator[T]:
        for item in items:
            if self._run is not None:
                self._run.checkpoint()
            yield item

    def _begin(self) -> None:
        # `Cancelled` is a KeyboardInterrupt and passes. No other error in here may reach the user's loop.
        with contextlib.suppress(Exception):
            self._run = host() if self._url is None else None
            if self._run is not None:
                self._run.begin_loop(self.tally, self._unit, self._description, as_phase=False)
                return
            self._session = _session_for(self, self._description, self._url)
            self._run = self._session.run
            self._phase = self._run.begin_loop(
                self.tally,
                self._unit,
                self._description or (self._session.title if self._session.is_loops else ""),
                as_phase=self._session.is_loops or bool(self._description),
            )

    def _ended(self) -> None:
        if self._session is not None:
            with contextlib.suppress(Exception):
                self._session.loop_ended(self)

    @property
    def is_outer(self) -> bool:
        """Whether the loop is a phase of its own, inside no other loop."""
        return self._phase is not None

    def end(self) -> None:
        """Report the end of the loop to the session's run. Later calls do nothing."""
        phase, self._phase = self._phase, None
        if phase is not None and self._session is not None:
            self._session.run.end_loop(phase, "" if self.tally.complete else "left before its end")


def _session_for(loop: Loop, description: str, url: str | None) -> Session:
    """Return the session that a loop belongs to, and open one when there is none.

    Args:
        loop: The loop, which the session keeps.
        description: The title of a session that is opened.
        url: The streamer's URL; None: the latest session, wherever its streamer is.
    """
    with lock:
        for session in reversed(sessions):
            if url is None or session.url == url:
                if session.is_loops:
                    session.settle()
                if not session.run.ended:
                    session.loops.append(loop)
                    return session
        session = Session(description, (), url, None, program=None, show=True, is_loops=True)
        session.loops.append(loop)
        install_hooks()
        session.open()
        return session


def settle_loops() -> None:
    """End each run of loops whose loops are over, so that the next loop begins a new run."""
    with lock:
        found = [session for session in sessions if session.is_loops]
    for session in found:
        session.settle()
        session.close(session.outcome, only_idle=True)
