"""`streamer estimate`: how long recorded runs were said to take. Asks no streamer."""

from __future__ import annotations

import argparse
import json
import sys

from streamer.cli.errors import UsageError, need


def estimate_command(arguments: argparse.Namespace) -> int:
    """Print the estimates of recorded runs; return the exit code."""
    need("streamer estimate", "server")
    # numpy takes a tenth of a second to import, which other commands need not spend.
    from streamer.server.replay import RecordingError, replay

    try:
        lines = replay(arguments.replay, workers=arguments.workers)
        for line in lines:
            sys.stdout.write(f"{line}\n" if arguments.json else f"{_worded(line)}\n")
    except RecordingError as error:
        raise UsageError(str(error)) from error
    return 0


def _worded(line: str) -> str:
    from streamer.model.formatting import duration

    said = json.loads(line)
    remaining = said["remaining"]
    if remaining is None:
        return f"{said['run']}  not known yet"
    low, middle, high = (duration(remaining[name]) for name in ("p10", "p50", "p90"))
    return f"{said['run']}  {100 * said['fraction']:5.1f} %  {middle} left ({low} to {high}), from {said['basis']}"
