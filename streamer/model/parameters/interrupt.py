"""`is_interrupt`: tells a Ctrl-C from what the user's code raises by itself. It catches nothing."""

from __future__ import annotations

import threading


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception may be a signal's, which must go on to the outermost line.

    Code of a user may raise anything while it is imported or built: `SystemExit`, `KeyboardInterrupt`,
    `asyncio.CancelledError`, a test framework's `Skipped`. Python raises a signal's `KeyboardInterrupt` in the main
    thread only, so in every other thread it is the user's own.

    Args:
        error: The exception that was caught.

    Returns:
        True for a `KeyboardInterrupt` in the main thread.

    """
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
