"""`Interrupter`: turns a request to cancel into `Cancelled` in the main thread. Knows no run, and reports nothing."""

from __future__ import annotations

import signal
import sys
import threading
import time as _time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from streamer.producer.error_text import leaves

#: A SIGINT this soon after one that was sent is taken for it; a later one is somebody's Ctrl-C.
_ECHO_SECONDS: Final = 1.0


class Cancelled(KeyboardInterrupt):
    """Raised in running code when somebody cancelled the run.

    A `KeyboardInterrupt`, so that code which is careful about Ctrl-C is careful about this, and ``except Exception``
    lets it pass. It comes at most once in each thread; `finally` blocks and context managers run as always.
    """


def ending_of(error: BaseException) -> BaseException:
    """Return the exception that says how code ended: what a group stands for, else the exception itself.

    A library for concurrent tasks raises a Ctrl-C, a cancel or an exit as a group.

    Args:
        error: The exception that the code raised.

    Returns:
        The group's cancel, if there is one; else its interruption or exit, if it holds nothing else; else `error`.

    """
    causes = leaves(error)
    for cause in causes:
        if isinstance(cause, Cancelled):
            return cause
    if all(isinstance(cause, KeyboardInterrupt | SystemExit) for cause in causes):
        # An exit with a code says more than one without.
        return next((cause for cause in causes if getattr(cause, "code", None)), causes[0])
    return error


class Interrupter:
    """Turns a request to cancel into `Cancelled` in the main thread, wherever it is, also in a call that blocks.

    A context manager of the main thread: it takes over SIGINT, which is what code that must end well listens to.
    Ctrl-C means what it meant before. Neither is raised inside the `section`: it waits for its end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._main = threading.main_thread().ident
        self._previous: Any = signal.SIG_DFL
        self._previous_hook: Callable[[Any], object] = sys.unraisablehook
        self._armed = False
        self._asked = False
        self._sent = 0.0
        self._depth = 0
        self._pending = False
        #: A context manager inside of which the main thread is not interrupted; may be nested.
        self.section: Final = _Section(self)
        #: Whether the request has reached the main thread.
        self.told = False
        #: Called there when it has, just before `Cancelled` is raised.
        self.on_told: Callable[[], object] = _nothing

    def __enter__(self) -> Self:
        """Take over SIGINT. Raises `ValueError` outside the main thread."""
        self._previous = signal.signal(signal.SIGINT, self._handle)
        # One whose run is over, and that could not give SIGINT back from where it ended, is passed over.
        while (
            isinstance(before := getattr(self._previous, "__self__", None), Interrupter) and not before._armed
        ):
            self._previous = before._previous
        self._previous_hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._armed = True
        return self

    def __exit__(self, *_: object) -> None:
        """Give SIGINT back."""
        self.disarm()
        if sys.unraisablehook == self._unraisable:
            sys.unraisablehook = self._previous_hook
        # A generator that holds this may be collected by any thread: then the handler stays, and passes signals on.
        here = threading.get_ident() == self._main
        if here and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._previous)

    @property
    def here(self) -> bool:
        """Whether the calling thread is the one that is interrupted."""
        return self._armed and threading.get_ident() == self._main

    def interrupt(self) -> None:
        """Ask the main thread to end what it does; again, when it has not heard yet. Any thread may call it."""
        with self._lock:
            if not self._armed or self.told:
                return
            self._asked = True
            self._sent = _time.monotonic()
            if hasattr(signal, "pthread_kill") and self._main is not None:
                # A real signal, because only that ends a sleep or a read.
                signal.pthread_kill(self._main, signal.SIGINT)
            else:
                import _thread

                _thread.interrupt_main(signal.SIGINT)

    def disarm(self) -> None:
        """Raise `Cancelled` no more; Ctrl-C still means what it meant before."""
        with self._lock:
            self._armed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._depth:
            self._pending = True
        else:
            self._raise(number, frame)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._asked and self._armed and not self.told:
            self.told = True
            self.on_told()
            raise Cancelled("cancelled on request")
        if self._asked and _time.monotonic() - self._sent < _ECHO_SECONDS:
            return  # the same request, sent again before it was heard
        if callable(self._previous):
            self._previous(number, frame)
        elif self._previous != signal.SIG_IGN:
            raise KeyboardInterrupt

    def _unraisable(self, what: Any) -> None:
        if isinstance(what.exc_value, Cancelled):
            # It met a __del__ or a callback, where Python drops exceptions: it is sent again by the run's sampler.
            self.told = False
        else:
            self._previous_hook(what)


def _nothing() -> None:
    pass


class _Section:
    """See `Interrupter.section`. One for all threads; only in the main one it does something."""

    __slots__ = ("_of",)

    def __init__(self, of: Interrupter) -> None:
        self._of = of

    def __enter__(self) -> None:
        of = self._of
        if threading.get_ident() == of._main:
            of._depth += 1

    def __exit__(self, *_: object) -> None:
        of = self._of
        if threading.get_ident() == of._main:
            of._depth -= 1
            if of._pending and not of._depth:
                of._pending = False
                of._raise(signal.SIGINT, None)
