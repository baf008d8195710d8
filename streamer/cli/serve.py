"""`streamer serve`: the streamer alone, without pages."""

from __future__ import annotations

import argparse
import asyncio
import errno
from typing import TYPE_CHECKING, Any

from streamer.cli.errors import UsageError, need
from streamer.cli.output import say
from streamer.settings import Settings

if TYPE_CHECKING:
    from streamer.server.app import Streamer


def serve_command(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    need("streamer serve", "server")
    from streamer.client.discovery import DataFolderBusy
    from streamer.server.app import serve
    from streamer.server.log.base import LogError
    from streamer.server.request_log import configure

    changes: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("host", "port", "data")
        if getattr(arguments, name) is not None
    }
    if arguments.pipelines is not None:
        parts = ",".join(arguments.pipelines).split(",")
        changes["pipelines"] = tuple(part.strip() for part in parts if part.strip())
    settings = Settings.from_environment(**changes)
    configure(settings.log_format, "info" if arguments.verbose else settings.log_level)

    def opened(server: Streamer) -> None:
        say(f"Streamer at {server.url} (data in {settings.data}); Ctrl-C stops it, runs go on")

    try:
        asyncio.run(serve(settings, on_open=opened))
    except (DataFolderBusy, LogError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(_why_not(error, settings)) from error
    return 0


def _why_not(error: OSError, settings: Settings) -> str:
    """Return what could not be done: errors about files have a file's name, those of the address have none."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"cannot use {settings.data}: {error.filename}: {reason}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {settings.host}:{settings.port}: another program does; take another port with --port"
    return f"cannot listen on {settings.host}:{settings.port}: {reason}"
