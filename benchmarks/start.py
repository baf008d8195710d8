"""How long it takes to start: to import, to serve the API, to serve the first page; each beside its peer, in turns.

    python benchmarks/start.py [--short]

Wall time from the start of a process until it has ended, or until it answers.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EMPTY_PAGE = "import panel as pn\n\npn.Column().servable()\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ended(*command: str) -> Callable[[], float]:
    """Return a function that runs a command of Python to its end and returns the seconds."""

    def measure() -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
        return time.perf_counter() - begin

    return measure


def answers(command: Sequence[str], path: str) -> Callable[[], float]:
    """Return a function that starts a server and returns the seconds until a path is answered with 200.

    ``{port}`` in the command is replaced by a free one.
    """

    def measure() -> float:
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            own = {"STREAMER_DATA": folder, "STREAMER_PORT": str(port if "serve" in command else free_port())}
            begin = time.perf_counter()
            with subprocess.Popen(
                [part.format(port=port) for part in command],
                cwd=ROOT, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ) as server:  # fmt: skip
                while not answered(port, path):
                    time.sleep(0.005)  # asked anew: a finer measure than this is not wanted
                taken = time.perf_counter() - begin
                server.terminate()
        return taken

    return measure


def answered(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="three rounds instead of nine")
    rounds = 3 if parser.parse_args().short else 9
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY_PAGE)
        panel = [sys.executable, "-m", "panel", "serve", str(empty), "--port={port}", "--address=127.0.0.1"]
        pairs = {
            "import streamer / import tornado.web": (
                ended("-c", "import streamer"), ended("-c", "import tornado.web"),
            ),
            "streamer serve to ready / import tornado.web": (
                answers([sys.executable, "-m", "streamer", "serve"], "/api/health/ready"),
                ended("-c", "import tornado.web"),
            ),
            "make run (warm) to first page / panel serve of an empty page": (
                answers(["make", "run", "PORT={port}"], "/dashboards"), answers(panel, "/empty"),
            ),
        }  # fmt: skip
        for name, (ours, theirs) in pairs.items():
            taken: tuple[list[float], list[float]] = ([], [])
            ours(), theirs()  # what is read from the disk for the first time is not counted
            for _ in range(rounds):
                taken[0].append(ours())
                taken[1].append(theirs())
            own, other = (statistics.median(times) for times in taken)
            print(f"{name}: {own:.2f} s / {other:.2f} s, ratio {own / other:.2f}", flush=True)


if __name__ == "__main__":
    main()
