"""`background_loop`: the event loop of this process' own thread, in which feeds and clients run. Knows no session.

A model may be made where no loop runs, where the loop is busy with a cell, or in a worker thread of Bokeh's server. The
connection therefore has a thread of its own, for as long as the process lives.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading


@functools.cache
def _loop(_process: int) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="streamer-feed", daemon=True).start()
    return loop


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, which runs. Any thread; a forked child makes its own."""
    return _loop(os.getpid())
