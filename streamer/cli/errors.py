"""The exit codes of the command line, and the error that ends a command with a sentence. Prints nothing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from streamer.model.extras import EXTRAS, how_to_install

FAILED: Final = 1
NOT_DONE: Final = 2
INTERRUPTED: Final = 130


class UsageError(Exception):
    """The command cannot do what was asked. The message says why, and what would work."""


def need(who: str, extra: str) -> None:
    """Check that an extra is installed.

    Args:
        who: The command that needs it.
        extra: A key of `EXTRAS`.

    Raises:
        UsageError: One of its modules is missing. The message has the command that installs it.
    """
    _, modules = EXTRAS[extra]
    if any(find_spec(module) is None for module in modules):
        raise UsageError(how_to_install(who, extra))
