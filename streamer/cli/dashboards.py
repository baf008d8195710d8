"""`streamer dashboards`: the pages, served by `panel serve` in this process, and their URL as soon as they answer.

Signals, exit code and end are the server's own, and nothing is left behind. The streamer's settings are read by the
pages themselves.
"""

from __future__ import annotations

import argparse
import errno
import gc
import http.client
import runpy
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from typing import Final

from streamer.cli.errors import UsageError, need
from streamer.cli.output import say
from streamer.client import pages_address
from streamer.client.pages_address import PagesAddress, read_address

HOST: Final = "127.0.0.1"
PORT: Final = pages_address.PORT
#: Seconds between two looks at the page while the server starts.
LOOK_SECONDS: Final = 0.1
#: Seconds the first page has to answer: it imports and builds everything.
PAGE_SECONDS: Final = 60.0
#: Seconds a program that has the port already has to say whether it serves a page like ours.
OTHER_SECONDS: Final = 5.0


def dashboards_command(arguments: argparse.Namespace) -> int:
    """Serve the pages until a signal; return the exit code."""
    from streamer.producer.views import ViewsUnavailable, folder

    need("streamer dashboards", "dashboards")
    address = read_options(arguments.host, arguments.port, arguments.rest)
    try:
        shown = folder()
    except ViewsUnavailable as error:
        raise UsageError(str(error)) from error
    check_free(address)
    say("Starting the dashboards")
    # Objects made while the server starts live as long as it does. Looking through them for garbage takes a tenth of
    # the start; `announce` turns the collector on again.
    gc.disable()
    threading.Thread(target=announce, args=(address,), name="announce", daemon=True).start()
    # `announce` says what Panel says at the level info, when it is true. The last of several options counts.
    options = [f"--address={address.host}", f"--port={address.port}", "--log-level=warning", *arguments.rest]
    origins = [f"--allow-websocket-origin={origin}" for origin in address.origins]
    sys.argv = ["panel", "serve", str(shown), *origins, *options]
    # As `python -m panel` does. Why by name: the streamer knows nothing of Panel, and works without it.
    runpy.run_module("panel", run_name="__main__", alter_sys=True)
    return 0


def read_options(host: str, port: str, rest: Sequence[str]) -> PagesAddress:
    """Return where the pages will answer.

    Args:
        host: The address to listen on.
        port: The port, 1 to 65535, as text.
        rest: The options for `panel serve`.

    Raises:
        UsageError: The port is not one, or browsers could not reach a page on that host.
    """
    try:
        address = read_address(host, port, rest)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not address.given and host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        raise UsageError(
            f"--host {host}: expected also the address in the browser, such as "
            f"--allow-websocket-origin=jobs.example:{port}"
        )
    return address


def check_free(address: PagesAddress) -> None:
    """Raise `UsageError`, with a sentence, when nobody can listen on that address."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(in_use(address)) from None
        raise UsageError(f"cannot listen on {address.host}, port {address.port}: {error.strerror}") from None


def in_use(address: PagesAddress) -> str:
    """Return a sentence that says which program has the port, as far as it tells, and what to do."""
    # Not the next one: the streamer may have it.
    other = address.port + 1000 if address.port <= 64535 else address.port - 1000
    again = f"--port {other} (make run PORT={other})"
    if status(address, OTHER_SECONDS) == 200:
        return f"the dashboards are running already: {address.url}; for a second server: {again}"
    return f"port {address.port} is in use by another program; take another: {again}"


def announce(address: PagesAddress) -> None:
    """Wait until the page answers, and print its URL. Runs in a thread that ends with the process."""
    pause = threading.Event()
    while (seen := status(address, PAGE_SECONDS)) is None:
        pause.wait(LOOK_SECONDS)
    gc.enable()
    # A page behind a login answers with a redirection.
    if seen >= 400:
        print(f"The page answers with {seen}; the error stands above", file=sys.stderr, flush=True)
        return
    say("", f"  {address.url}", "", "  Ctrl+C stops the server.", "")


def status(address: PagesAddress, seconds: float) -> int | None:
    """Return the HTTP status with which the page answers within some seconds; None when nothing answers.

    Args:
        address: The page's URL.
        seconds: Seconds to wait for an answer.

    """
    host = {"": HOST, "0.0.0.0": HOST, "::": "::1"}.get(address.host, address.host)  # noqa: S104 - not listened on
    # Why not urllib: it would ask a proxy, where one is configured, for the loopback address.
    if address.is_tls:
        # The name in the certificate is the one that browsers use. This asks only whether the page is there.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, address.port, timeout=seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, address.port, timeout=seconds)
    try:
        connection.request("GET", address.path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
