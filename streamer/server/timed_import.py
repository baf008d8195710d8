"""`import_in_time`: the import of somebody's module, without input, and with an end to the patience for it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

#: Seconds that the import of one module or file may take; heavy libraries take some ten.
IMPORT_SECONDS = 30.0


class ImportTooLong(Exception):
    """The import of a module or file goes on for longer than the others can wait."""


def import_in_time(work: Callable[[], ModuleType]) -> ModuleType:
    """Return the module that an import returns.

    It runs in a thread of its own, which goes on for as long as it likes: Python cannot end one.

    Args:
        work: Imports the module.

    Raises:
        ImportTooLong: The import has not ended after `IMPORT_SECONDS`.
        BaseException: The import raised it.

    """
    found: list[ModuleType | BaseException] = []

    def call() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised below
            found.append(error)

    before, path = sys.stdin, list(sys.path)
    thread = threading.Thread(target=call, name="streamer-import", daemon=True)
    thread.start()
    thread.join(IMPORT_SECONDS)
    if not found:
        # As it would have left them.
        sys.stdin, sys.path[:] = before, path
        raise ImportTooLong(
            f"its import has not ended after {IMPORT_SECONDS:g} s; it is left out until it changes"
        )
    (result,) = found
    if isinstance(result, BaseException):
        raise result
    return result


@contextmanager
def without_input() -> Iterator[None]:
    """Let standard input be empty: a file that asks a question would wait for the streamer's terminal for ever."""
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        before, sys.stdin = sys.stdin, nothing
        try:
            yield
        finally:
            sys.stdin = before
