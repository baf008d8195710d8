"""Serve the dashboards on the loopback address, and print their URL as soon as the page answers.

    python tools/run.py [PORT]

What `make run` does after the installation: `panel serve dashboards` in this very process, so that signals, exit code
and end are the server's own and nothing is left behind. Reads no settings itself.
"""

from __future__ import annotations

import errno
import gc
import http.client
import os
import socket
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "127.0.0.1"
PATH = "/dashboards"
#: Seconds between two looks at the page while the server starts.
LOOK_SECONDS = 0.1
#: Seconds the first page has to answer: it imports and builds everything.
PAGE_SECONDS = 60.0
#: Seconds whoever has the port already has to say whether it is a page like ours.
OTHER_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Serve until a signal ends it; return the exit code."""
    try:
        port = read_port(arguments)
        check_free(port)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("Starting the dashboards", flush=True)
    leave_out()
    threading.Thread(target=announce, args=(port,), name="announce", daemon=True).start()

    from panel.command import main as panel

    os.chdir(ROOT)
    origins = [f"--allow-websocket-origin={host}:{port}" for host in (ADDRESS, "localhost")]
    sys.argv = ["panel", "serve", "dashboards", f"--port={port}", f"--address={ADDRESS}", *origins]
    sys.argv += ["--log-level=warning"]  # what it says at info is said by `announce`, when it is true
    try:
        panel()
    except KeyboardInterrupt:
        return 130
    return 0


def leave_out() -> None:
    """Leave out what takes a fifth of the time to start, and is not needed here."""
    # httpx has a command line, for which it imports as much again as for itself, if it can.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    # What is made while the server starts is there to stay: it is not looked through for garbage again and again.
    gc.disable()


def read_port(arguments: list[str]) -> int:
    """Return the port asked for, 5006 by default. Raises `ValueError` with a sentence."""
    text = arguments[0] if arguments else "5006"
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError(f"PORT: expected a number from 1 to 65535, received {text!r}")
    return int(text)


def check_free(port: int) -> None:
    """Raise `ValueError`, with a sentence, when nobody can listen on that port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ValueError(in_use(port)) from None
            raise ValueError(
                f"Cannot listen on port {port}: {error.strerror}. Take another: make run PORT=8006"
            ) from None


def in_use(port: int) -> str:
    """Say who has the port, as far as that can be told, and what to do."""
    other = port + 1000 if port <= 64535 else port - 1000  # not the next one: the streamer's own may be there
    if status(port, OTHER_SECONDS) == 200:
        return (
            f"The dashboards are running already: http://{ADDRESS}:{port}{PATH} "
            f"(a second server: make run PORT={other})"
        )
    return f"Port {port} is in use by another program. Take another: make run PORT={other}"


def announce(port: int) -> None:
    """Wait until the page answers, and print its URL; runs in a thread, which ends with the process."""
    pause = threading.Event()
    while (seen := status(port, PAGE_SECONDS)) is None:
        pause.wait(LOOK_SECONDS)
    gc.enable()
    if seen != 200:
        print(f"The page answers with {seen}; what went wrong stands above", file=sys.stderr, flush=True)
        return
    print(f"\n  http://{ADDRESS}:{port}{PATH}\n\n  Ctrl+C ends the server.\n", flush=True)


def status(port: int, seconds: float) -> int | None:
    """Return the status with which the page answers; None when nobody does."""
    # Why not urllib: it would ask a proxy, where one is configured, for the loopback address.
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=seconds)
    try:
        connection.request("GET", PATH)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
