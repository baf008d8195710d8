"""The streamer inside another Tornado process, such as `panel serve`: one per process, opened on first use."""

from __future__ import annotations

import functools

from streamer.server.app import Streamer
from streamer.settings import Settings


@functools.cache
def embedded() -> Streamer:
    """Return this process' streamer, with settings from the environment; `await` its `ready()` before use.

    Why one per process: the dashboards and the API on Panel's own port must share it.

    Raises:
        SettingError: A setting in the environment is wrong.
    """
    return Streamer(Settings.from_environment())
