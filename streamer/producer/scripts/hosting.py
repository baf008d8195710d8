"""The run of a pipeline that this process executes: `streamer.track` and `streamer.adopt` in a phase count for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from streamer.producer.run import Run

_hosts: list[Run] = []


@contextlib.contextmanager
def hosting(run: Run) -> Iterator[None]:
    """Let loops and bars of this process belong to a pipeline's run while the body works.

    Args:
        run: The run.
    """
    _hosts.append(run)
    try:
        yield
    finally:
        _hosts.remove(run)


def host() -> Run | None:
    """Return the run of the pipeline that this process executes; None: it executes none. Any thread may call it."""
    return _hosts[-1] if _hosts and not _hosts[-1].ended else None
