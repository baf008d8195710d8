"""`streamer serve`: the streamer alone, without pages."""

from __future__ import annotations

import argparse
import asyncio
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
        raise UsageError(
            f"cannot listen on {settings.host}:{settings.port}, or cannot use {settings.data}: "
            f"{error.strerror or error}"
        ) from error
    return 0
