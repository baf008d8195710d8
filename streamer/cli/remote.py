"""How commands ask the streamer: a client for `--url`, and errors turned into sentences. Shows nothing."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from streamer.cli.errors import UsageError

if TYPE_CHECKING:
    from streamer.client.client import Client

T = TypeVar("T")


def client(arguments: argparse.Namespace) -> Client:
    """Return a client for the streamer that the arguments name. Raises `UsageError` when the URL is not one."""
    from streamer.client.client import Client

    try:
        return Client(arguments.url)
    except ValueError as error:
        raise UsageError(str(error)) from error


def ask(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that asks the streamer, and return its result.

    Raises:
        UsageError: The streamer refused or did not answer. The message is a sentence for the user.
    """
    return asyncio.run(_asking(work))


async def _asking(work: Coroutine[Any, Any, T]) -> T:
    from streamer.client.client import ApiError, Forbidden, StreamerAway, StreamerError

    try:
        return await work
    except StreamerAway as error:
        raise UsageError(
            f"{error}\nstart one with `streamer serve`, or say where it is with --url"
        ) from error
    except Forbidden as error:
        raise UsageError(f"{error}\nthe token is read from STREAMER_TOKEN") from error
    except ApiError as error:
        raise UsageError(_sentence(error)) from error
    except StreamerError as error:
        raise UsageError(str(error)) from error


def _sentence(error: Any) -> str:
    problems = error.details if isinstance(error.details, list) else []
    lines = []
    for one in problems:
        if isinstance(one, dict):
            field, message = one.get("field") or "parameters", str(one.get("message", ""))
            # Some messages begin with their field.
            lines.append(message if message.startswith(f"{field}:") else f"{field}: {message}")
    return "\n".join(lines) or error.message
