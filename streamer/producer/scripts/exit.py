"""The end of a script: hooks that end its runs when the program or a notebook cell ends, and that send the rest."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time as _time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from streamer.client import identity
from streamer.producer.error_text import leave_out_our_end
from streamer.producer.scripts.notices import printing, say
from streamer.producer.scripts.session import lock, publishers, sessions

#: Seconds that the program waits at its end until its last events are sent. Then the rest stays in the spools.
CLOSE_SECONDS: Final = 5.0

_hooked: list[Callable[..., object]] = []
#: Whether Ctrl-C ends the program.
_interrupted = False


def install_hooks() -> None:
    """Install the hooks once: at exit, for uncaught exceptions, and in IPython after each cell. Any thread may call."""
    with lock:
        if _hooked:
            return
        _hooked.append(sys.excepthook)
        sys.excepthook = _excepthook
        atexit.register(_at_exit)
    shell = identity.ipython()
    if shell is not None:
        with contextlib.suppress(Exception):
            shell.events.register("post_run_cell", _cell_ended)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    global _interrupted  # noqa: PLW0603 - the interpreter's own flag is global as well
    _note(error)
    _interrupted = kind is KeyboardInterrupt
    if isinstance(error, KeyboardInterrupt):
        leave_out_our_end(error)
        trace = error.__traceback__
    # A traceback is written piece by piece; no notice comes between.
    with printing:
        _hooked[0](kind, error, trace)


def _cell_ended(result: Any) -> None:
    error = result.error_in_exec
    if error is not None:
        _note(error)


def _note(error: BaseException) -> None:
    with lock:
        for session in sessions:
            if session.is_loops:
                session.failed(error)


def _at_exit() -> None:
    global _interrupted  # noqa: PLW0603 - the interpreter's own flag is global as well
    try:
        leave()
    except KeyboardInterrupt:
        # Nobody waits any longer. The events that were not sent are in the spools.
        _interrupted = True
    if _interrupted:
        # An import after Ctrl-C, as in `leave`, makes Python forget that Ctrl-C ended it (exit code 130).
        with contextlib.suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102 - a constant; only code that is run as text tells Python


def leave(timeout: float = CLOSE_SECONDS) -> None:
    """End this process's runs and send their last events. Events that could not be sent wait in the spools.

    Args:
        timeout: The longest time to wait for the streamer, in seconds, over all runs.
    """
    deadline = _time.monotonic() + timeout
    with lock:
        mine = [session for session in sessions if session.pid == os.getpid()]
    for session in mine:
        session.settle()
        session.close(session.outcome if not session.loops else session.error or GeneratorExit())
    with lock:
        left, publishers[:] = [publisher for publisher in publishers if publisher.is_ours], []
    for publisher in left:
        sent = publisher.close(max(deadline - _time.monotonic(), 0.0))
        if not sent and publisher.refused is None and publisher.left_behind is None:
            reason = publisher.disk_error or publisher.last_error or "no answer"
            say(f"the end of this run did not reach the streamer ({reason})")
