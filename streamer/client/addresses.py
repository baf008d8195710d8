"""The addresses and header values of a client's requests, checked. Sends nothing."""

from __future__ import annotations

import os
import re
from typing import Any, Final

import httpx

from streamer.protocol.api import NotFound

_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def checked_url(url: str) -> str:
    """Return a streamer's URL without a slash at its end. Raises `ValueError` for another text.

    Args:
        url: The text, as somebody typed it.

    Raises:
        ValueError: If it is no http or https URL.

    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"expected the URL of a streamer, received {str(url)[:200]!r}: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise ValueError(
            f"expected the URL of a streamer, such as http://127.0.0.1:5007, received {url[:200]!r}"
        )
    return url.rstrip("/")


def run_path(run_id: str, part: str = "") -> str:
    """Return the path of a run, or of a part of it. Raises `NotFound` for a text that cannot be an id.

    Args:
        run_id: The run.
        part: "events", "log", …; empty: the run itself.

    Raises:
        NotFound: If the text cannot be an id.

    """
    # It comes from addresses that people type and paste; what cannot be an id needs no asking.
    if not _RUN_ID.fullmatch(run_id):
        raise NotFound(404, "not_found", f"no run {run_id[:100]!r}")
    return f"/api/runs/{run_id}/{part}" if part else f"/api/runs/{run_id}"


def stream_path(run_id: str | None) -> str:
    """Return the path of a run's stream; None: that of all runs."""
    return "/api/events" if run_id is None else run_path(run_id, "events")


def header(name: str, text: str) -> bytes:
    """Return the value of a header. Raises `ValueError` for characters that are not printable.

    Args:
        name: The header's name, for the error.
        text: Its value.

    Raises:
        ValueError: If a character is not printable.

    """
    if not text.isprintable():
        raise ValueError(f"expected {name} of printable characters, received {text[:100]!r}")
    return text.encode()


def plain(value: Any) -> str:
    """Return a path as text, for JSON. Raises `TypeError` for other objects."""
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return path if isinstance(path, str) else os.fsdecode(path)
    raise TypeError(f"expected values as of JSON, paths, dates or times, received {type(value).__name__}")
