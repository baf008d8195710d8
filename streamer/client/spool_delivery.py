"""`deliver`: sends one spool that a producer left, over HTTP. For streamers elsewhere; the local one takes its own.

Blocks. Of what is sent twice, once by the producer and once from here, the streamer stores one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streamer.model.bounds import cut
from streamer.protocol.spool import Left, SpoolRefused, refuse

if TYPE_CHECKING:
    import httpx

_BATCH_EVENTS: Final = 2_000
_BATCH_BYTES: Final = 2_000_000


class NotDelivered(Exception):
    """The streamer could not be reached, or will not have it; the spool is left. The message says why."""


def deliver(path: Path, local_url: str, token: str, timeout: float) -> str | None:
    """Send a spool and remove it; return the run's address, None when its producer lives and sends it itself.

    `local_url` is where spools go that name no streamer; `token` the operators', for runs that are not known there yet.
    Raises `NotDelivered`, after which the spool is where it was, or put aside if it can never be sent.

    Args:
        path: The spool's file.
        local_url: The streamer of this machine, for a spool that names no other.
        token: The operators' token; empty: none.
        timeout: Seconds that one request may take.

    """
    # Imported here because it takes a tenth of a second, which commands need not spend.
    import httpx

    try:
        left = Left.open(path)
        if left is None:
            return None
    except SpoolRefused as error:
        refuse(path)
        raise NotDelivered(f"put aside: {error}") from error
    base = (left.header.to or local_url).rstrip("/")
    delivered = False
    try:
        with httpx.Client(base_url=base, trust_env=False, timeout=timeout) as client:
            _send(client, left, token)
        delivered = True
    except (httpx.HTTPError, httpx.InvalidURL, SpoolRefused) as error:
        raise NotDelivered(f"{base}: {type(error).__name__}: {error}") from error
    finally:
        left.remove() if delivered else left.close()
    return f"{base}/api/runs/{left.header.run}"


def _send(client: httpx.Client, left: Left, token: str) -> None:
    header, registered = left.header, left.header.registration is None
    while lines := left.lines(max_events=_BATCH_EVENTS, max_bytes=_BATCH_BYTES):
        answer = _post(client, header.run, header.token, lines)
        if answer.status_code == 404 and not registered:
            assert header.registration is not None
            body = header.registration.named(header.run, header.token)
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            made = client.post("/api/runs", content=msgspec.json.encode(body), headers={**headers, **_JSON})
            if made.status_code != 201:
                raise NotDelivered(_said(made))
            registered = True
            answer = _post(client, header.run, header.token, lines)
        if answer.status_code == 409 and _code(answer) == "run_ended":
            return
        if answer.status_code != 200:
            raise NotDelivered(_said(answer))


_JSON: Final = {"Content-Type": "application/json"}


def _post(client: httpx.Client, run: str, token: str, lines: Sequence[bytes]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    return client.post(f"/api/runs/{run}/events", content=b"".join(lines), headers=headers)


def _code(answer: httpx.Response) -> str:
    try:
        error: Any = msgspec.json.decode(answer.content)
        return str(error["error"]["code"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return ""


def _said(answer: httpx.Response) -> str:
    return f"{answer.url}: {answer.status_code} {cut(answer.text, 300)}"
