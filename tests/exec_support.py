"""What the tests of `streamer exec` share: running a command under it, and what became of the run."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

import httpx
from msgspec import Struct

from tests.support import ROOT, ServerProcess

#: A program of this Python that is written inline.
PYTHON: Final = (sys.executable, "-c")
_numbers = itertools.count(1)


class Executed(Struct):
    """A command that ran under `streamer exec`: what came out of it here, and its run as the streamer has it."""

    code: int
    out: bytes
    err: bytes
    state: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def messages(self) -> list[str]:
        """The messages of its log."""
        return [line["message"] for line in self.lines]

    def bars(self) -> dict[str, tuple[Any, Any, str]]:
        """Return its bars by name: done, total, status. The last one of a name counts."""
        return {bar["name"]: (bar["done"], bar["total"], bar["status"]) for bar in self.state["bars"]}


def environment(server: ServerProcess, **more: str) -> dict[str, str]:
    """Return an environment in which `streamer exec` finds the server."""
    return {**server.environment, "STREAMER_URL": server.url, **more}


def exec_command(*words: str, title: str = "") -> list[str]:
    """Return the command line of `streamer exec`; options before ``--``."""
    named = ["--title", title] if title else []
    return [sys.executable, "-m", "streamer", "exec", *named, *words]


def fresh_title() -> str:
    """Return a title that no other run has."""
    return f"execution {next(_numbers)}."


def find_run(server: ServerProcess, title: str) -> dict[str, Any] | None:
    """Return the run of that title; None while there is none."""
    runs = httpx.get(f"{server.url}/api/runs", params={"search": title}, timeout=60).json()["runs"]
    return runs[0] if runs else None


def executed(
    server: ServerProcess, *words: str, env: Mapping[str, str] | None = None, timeout: float = 120
) -> Executed:
    """Run `streamer exec` with those words to its end."""
    title = fresh_title()
    ended = subprocess.run(
        exec_command(*words, title=title),
        env=environment(server, **(env or {})),
        cwd=ROOT,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )
    state = find_run(server, title)
    assert state is not None, ended.stderr
    lines = httpx.get(f"{server.url}/api/runs/{state['run']}/log", params={"limit": 1000}, timeout=60).json()[
        "lines"
    ]
    return Executed(ended.returncode, ended.stdout, ended.stderr, state, lines)
