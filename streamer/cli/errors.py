"""The exit codes of the command line, and the error that ends a command with a sentence. Prints nothing."""

from __future__ import annotations

from typing import Final

FAILED: Final = 1
NOT_DONE: Final = 2
INTERRUPTED: Final = 130


class UsageError(Exception):
    """The command cannot do what was asked. The message says why, and what would work."""
