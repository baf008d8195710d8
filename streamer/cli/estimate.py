"""`streamer estimate`: how long a run of a pipeline takes, or, with `--replay`, estimates of recorded runs."""

from __future__ import annotations

import argparse
import json
import sys

from streamer.cli.errors import UsageError, need
from streamer.cli.output import json_line, say
from streamer.cli.parameters import read_parameters
from streamer.cli.remote import ask, client


def estimate_command(arguments: argparse.Namespace) -> int:
    """Print how long a run takes, or the estimates of recorded runs; return the exit code."""
    if (arguments.pipeline is None) == (arguments.replay is None):
        raise UsageError(
            "expected a pipeline, or recorded runs: streamer estimate PIPELINE, or --replay FOLDER"
        )
    return ask(_usual(arguments)) if arguments.replay is None else _replay(arguments)


async def _usual(arguments: argparse.Namespace) -> int:
    import msgspec

    from streamer.terminal.printable import printable

    async with client(arguments) as streamer:
        offers = {offer.name: offer for offer in (await streamer.pipelines()).pipelines}
        if arguments.pipeline not in offers:
            names = ", ".join(offers) or "none"
            raise UsageError(f"no pipeline {arguments.pipeline!r}; on offer: {names}")
        parameters = read_parameters(offers[arguments.pipeline], arguments.param)
        usual = await streamer.estimate(arguments.pipeline, parameters)
    if arguments.json:
        say(json_line(msgspec.to_builtins(usual)))
    else:
        say(printable(usual.words))
    return 0


def _replay(arguments: argparse.Namespace) -> int:
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
