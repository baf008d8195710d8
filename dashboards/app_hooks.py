"""The hooks of `panel serve dashboards`: they open the embedded streamer with the server, and close it. No pages.

The loop runs when the server begins, and no more when it ends. Both hooks are plain functions: Bokeh awaits none.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

from tornado.ioloop import IOLoop

from dashboards.data.streamers import close_all
from dashboards.local import is_wanted, local
from dashboards.shell import serve_fonts
from streamer.client.pages_address import served_address
from streamer.settings import SettingError, Settings


def on_server_loaded(_server_context: Any) -> None:
    """Open the embedded streamer, unless STREAMER_URL names another."""
    _end_on_interrupt()
    # Not later: while Bokeh runs a page's code, the command line is the page's own.
    address = local().served = served_address()
    # Of several processes any may be asked for them, also one that has shown no page.
    serve_fonts()
    try:
        wanted = is_wanted(Settings.from_environment())
    except SettingError:
        # The same error is said on the page, where somebody sees it.
        wanted = True
    if wanted:
        local().start("" if address is None else address.url)


def on_server_unloaded(_server_context: Any) -> None:
    """Close connections, streams and log; the loop has stopped by now and is run for that alone."""
    loop = IOLoop.current().asyncio_loop  # type: ignore[attr-defined]  # it is an AsyncIOLoop since Tornado 5
    if loop.is_closed():
        return
    if loop.is_running():
        # Somebody stops the server, not the process, from inside the loop.
        close_all_soon = loop.create_task(_close())
        _closing.add(close_all_soon)
        close_all_soon.add_done_callback(_closing.discard)
        return
    loop.remove_signal_handler(signal.SIGINT)
    loop.run_until_complete(_close())


_closing: set[asyncio.Task[None]] = set()


async def _close() -> None:
    await close_all()
    await local().close()


def _end_on_interrupt() -> None:
    """End the loop on Ctrl+C as on SIGTERM: an exception in the middle of anything would leave things half done."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        loop = IOLoop.current()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, loop.stop)
