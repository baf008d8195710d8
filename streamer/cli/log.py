"""`streamer log backup` and `streamer log check`: a copy of the log in use; whether all of it can be read."""

from __future__ import annotations

import argparse
import sys

from streamer.cli.errors import NOT_DONE, UsageError, need
from streamer.cli.output import json_line, say
from streamer.settings import Settings


def log_command(arguments: argparse.Namespace) -> int:
    """Back up the log, or look whether all of it can be read; return the exit code."""
    import sqlite3

    need("streamer log", "server")
    from streamer.server.log.backup import back_up, look_through
    from streamer.server.log.base import LogError

    settings = Settings.from_environment(**({} if arguments.data is None else {"data": arguments.data}))
    log = settings.data / "log.sqlite"
    if (arguments.action == "backup") == (arguments.file is None):
        raise UsageError("expected streamer log backup FILE, or streamer log check")
    try:
        if arguments.action == "backup":
            back_up(log, arguments.file)
            size = arguments.file.stat().st_size
            if arguments.json:
                say(json_line({"file": str(arguments.file), "bytes": size}))
            else:
                say(f"{arguments.file}: {size:,} bytes")
            return 0
        looked = look_through(log, _tell)
    except (OSError, LogError, sqlite3.Error) as error:
        print(f"streamer: {error}", file=sys.stderr)
        return NOT_DONE
    if arguments.json:
        say(json_line({"runs": looked.runs, "entries": looked.entries, "damage": looked.damage}))
    else:
        say(f"{looked.entries:,} entries of {looked.runs:,} runs: {looked.damage or 'all can be read'}")
    return NOT_DONE if looked.damage else 0


def _tell(read: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if read == total else ""
        print(f"\r{read:,} of {total:,} entries", end=end, file=sys.stderr, flush=True)
