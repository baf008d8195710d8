"""`streamer send`: delivers the spools that runs left on disk while their streamer was away."""

from __future__ import annotations

import argparse
import sys

from streamer.cli.errors import NOT_DONE
from streamer.cli.output import json_line, say
from streamer.settings import Settings


def send_command(arguments: argparse.Namespace) -> int:
    """Send the spools; return 2 when one of them could not be sent."""
    from streamer.client.discovery import find_streamer
    from streamer.client.spool_delivery import NotDelivered, deliver
    from streamer.protocol.spool import FOLDER, spools
    from streamer.terminal.printable import printable

    settings = Settings.from_environment(**({} if arguments.data is None else {"data": arguments.data}))
    code = 0
    for path in sorted(spools(settings.data / FOLDER)):
        problem, where = "", None
        try:
            where = deliver(path, arguments.url or find_streamer(settings), settings.token, arguments.seconds)
        except NotDelivered as error:
            code, problem = NOT_DONE, printable(str(error))
        if arguments.json:
            say(json_line({"run": path.stem, "url": where, "problem": problem or None}))
        elif problem:
            print(f"streamer: run {path.stem} was not sent: {problem}", file=sys.stderr)
        else:
            say(f"run {path.stem} is at {where}" if where else f"run {path.stem} is sent by its own process")
    return code
