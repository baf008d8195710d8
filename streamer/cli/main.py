"""The command ``streamer``: parses the arguments, calls the command, and turns errors into exit codes.

Exit codes: 0; 1 when a run that was shown failed; 130 when it was cancelled or left by Ctrl-C; 2 when the command could
not do what was asked, with a sentence on the standard error. `exec` exits as its command does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from streamer.cli.completion import ASKED, complete
from streamer.cli.errors import INTERRUPTED, UsageError
from streamer.cli.output import complain
from streamer.cli.parser import build_parser
from streamer.settings import SettingError


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute a command line.

    Args:
        arguments: The words after ``streamer``; None takes those of this process.

    Returns:
        The exit code.
    """
    # Somebody closed an output (`2>&-`): what is printed there goes nowhere.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    for output in (sys.stdout, sys.stderr):
        # A character that the terminal's encoding lacks must not end the command.
        if hasattr(output, "reconfigure"):
            output.reconfigure(errors="backslashreplace")
    parser = build_parser()
    if asked := os.environ.pop(ASKED, ""):
        words = list(sys.argv[1:] if arguments is None else arguments)
        # The shell hands over the program's name, too.
        print("\n".join(complete(parser, words[1:], int(asked) - 1)))
        return 0
    parsed, rest = parser.parse_known_args(arguments)
    if rest and not parsed.takes_rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    parsed.rest = rest
    try:
        if parsed.call is None:
            parser.print_help()
            return 0
        code: int = parsed.call(parsed)
        sys.stdout.flush()
    except (UsageError, SettingError) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone. Python flushes once more at exit, which must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
