"""`streamer exec`: any command as a run. The work is done in `streamer.adoption.command`."""

from __future__ import annotations

import argparse

from streamer.cli.errors import UsageError


def exec_command(arguments: argparse.Namespace) -> int:
    """Run a command as a run; return the command's exit code."""
    from streamer.adoption.command import execute
    from streamer.adoption.phases import read_phases

    words = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not words:
        raise UsageError("expected a command: streamer exec -- COMMAND …")
    try:
        phases = read_phases(arguments.phases) if arguments.phases else ()
    except ValueError as error:
        raise UsageError(str(error)) from error
    return execute(words, title=arguments.title, phases=phases, url=arguments.url)
