"""`PagesAddress`: where the pages answer, as the command line of `panel serve` says. Opens no connection.

Why from the command line: a hook of an application is handed its application alone, and Bokeh has no public way from
there to the server that listens.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from streamer.settings import is_loopback

PORT: Final = 5006
#: Addresses that stand for all addresses of a machine.
_ALL: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not listened on


class PagesAddress(NamedTuple):
    """Where the pages answer.

    `host` and `port` are listened on; an empty host is every address. `shown` is the host and port in a browser,
    `origins` those that are allowed by default, `given` those that somebody allowed. `is_told`: somebody said where to
    listen, or which browsers may come.
    """

    host: str
    port: int
    path: str
    is_tls: bool
    shown: str
    origins: tuple[str, ...]
    given: tuple[str, ...] = ()
    is_told: bool = True

    @property
    def url(self) -> str:
        """The address for a browser."""
        return f"{'https' if self.is_tls else 'http'}://{self.shown}{self.path}"


def read_address(host: str, port: str, options: Sequence[str], allowed: Sequence[str] = ()) -> PagesAddress:
    """Return where the pages will answer.

    Args:
        host: The address to listen on; empty: every address.
        port: The port, 1 to 65535, as text.
        options: The options for `panel serve`.
        allowed: Origins that are allowed besides, by the environment.

    Returns:
        The address.

    Raises:
        ValueError: If the port is not one.

    """
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(f"--port: expected a number from 1 to 65535, received {port!r}")
    names = dict.fromkeys((host, "localhost") if host and is_loopback(host) else (host or "localhost",))
    own = [host_port("localhost" if name in _ALL else name, int(port)) for name in names]
    given = (*values(options, "--allow-websocket-origin"), *allowed)
    prefix = "".join(value.strip("/") for value in values(options, "--prefix")[-1:])
    return PagesAddress(
        host,
        int(port),
        path=f"/{prefix}/dashboards" if prefix else "/dashboards",
        is_tls=bool(values(options, "--ssl-certfile")),
        shown=next((origin for origin in given if "*" not in origin), own[0]),
        origins=() if given else tuple(own),
        given=given,
        is_told=bool(given or values(options, "--address")),
    )


def served_address(
    words: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> PagesAddress | None:
    """Return where this process serves its pages; None when it is no `panel serve`, or took any free port.

    Args:
        words: The command line, the program first; None: this process's own.
        environment: The environment, for `BOKEH_ALLOW_WS_ORIGIN`.

    """
    words = sys.argv if words is None else words
    if words[1:2] != ["serve"]:
        return None
    host = "".join(values(words, "--address")[-1:])
    port = (values(words, "--port")[-1:] or [str(PORT)])[0]
    allowed = [one for one in environment.get("BOKEH_ALLOW_WS_ORIGIN", "").split(",") if one]
    try:
        return read_address(host, port, words, allowed)
    except ValueError:
        return None


def values(words: Sequence[str], option: str) -> list[str]:
    """Return the values of an option, in their order.

    Args:
        words: A command line, with ``OPTION VALUE`` or ``OPTION=VALUE``.
        option: The option, with its dashes.

    """
    found = []
    for word, following in pairwise((*words, "")):
        if word == option and following:
            found.append(following)
        elif word.startswith(f"{option}="):
            found.append(word.partition("=")[2])
    return found


def host_port(host: str, port: int) -> str:
    """Return ``HOST:PORT`` as URLs write it.

    Args:
        host: A name or an IP address; IPv6 is put into brackets.
        port: The port.

    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
