"""What `panel serve dashboards` calls when its server begins and ends: the embedded streamer, a clean end. No pages.

The loop runs when it begins, and no more when it ends. Both hooks are plain functions: what is asynchronous is given to
the loop at the beginning, and the loop is run once more for it at the end.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
import threading
from typing import Any, Final
from urllib.parse import urlsplit

from bokeh.server.server import BaseServer
from bokeh.server.views.ws import WSHandler
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import HTTPError

from dashboards.data.streamers import close_all
from dashboards.local import is_wanted, local
from dashboards.shell import serve_fonts
from streamer.settings import SettingError, Settings

logger = logging.getLogger(__name__)


def on_server_loaded(server_context: Any) -> None:
    """Open the embedded streamer, unless STREAMER_URL names another."""
    server = find_server()
    heed_allowed_origins()
    _end_on_interrupt()
    # Of several processes any may be asked for them, also one that has shown no page.
    serve_fonts()
    page = ""
    if server is not None:
        stay_local(server)
        page = page_address(server, server_context.application_context.url or "")
    try:
        wanted = is_wanted(Settings.from_environment())
    except SettingError:
        # The same error is said on the page, where somebody sees it.
        wanted = True
    if wanted:
        local().start(page)


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


# -- where the pages are -----------------------------------------------------------------------------------------------


def find_server() -> BaseServer | None:
    """Return the Bokeh server that runs in this loop; None when there is none."""
    # A hook is handed its application only, and nothing leads from there to the server that listens.
    loop = IOLoop.current()
    found = [one for one in gc.get_objects() if issubclass(type(one), BaseServer) and one.io_loop is loop]
    return found[0] if found else None


def stay_local(server: BaseServer) -> None:
    """Listen on loopback alone where nobody said otherwise: without ``--address`` Bokeh listens on every address.

    Browsers elsewhere are refused then anyway, because only localhost is an allowed origin of websockets; but a program
    can send any origin, and could start pipelines here.
    """
    addresses = {sock.getsockname()[0] for sock in _sockets(server)}
    if not addresses or not addresses <= {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        return
    port = server.port
    if _origins(server) != {f"localhost:{port}"} or port is None:
        return
    server._http.stop()
    server._http.add_sockets(bind_sockets(port, "localhost"))
    logger.info(
        "listening on localhost alone; another address is given with --address and --allow-websocket-origin"
    )


def heed_allowed_origins() -> None:
    """Have Bokeh's list of allowed origins hold for every page that was reached by a name. Idempotent.

    Tornado 6.6 no longer asks for it where Origin and Host agree. They do so, too, when a page elsewhere has its name
    resolved to this machine (DNS rebinding): it could start pipelines here. Addresses and localhost are nobody else's.
    """
    WSHandler.prepare = _prepare  # type: ignore[assignment, method-assign]  # it looks at its own kind of handler


_inherited: Final = WSHandler.prepare


async def _prepare(handler: WSHandler) -> None:
    origin = handler.request.headers.get("Origin")
    if origin is not None and _is_named(origin) and not handler.check_origin(origin):
        raise HTTPError(403, "Origin %r not allowed", origin)
    await _inherited(handler)


def _is_named(origin: str) -> bool:
    """Return whether an origin's host is a name, which may be resolved to any machine."""
    try:
        host = urlsplit(origin).hostname or ""
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def page_address(server: BaseServer, path: str) -> str:
    """Return the address of the dashboards under which a browser is let in; empty when the server has no port."""
    sockets = _sockets(server)
    if not sockets:
        return ""
    host, port = sockets[0].getsockname()[:2]
    own = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    origins = _origins(server)
    is_any = any("*" in origin for origin in origins)
    if (is_any and not ipaddress.ip_address(host).is_unspecified) or own in origins:
        shown = own
    else:
        shown = min((origin for origin in origins if "*" not in origin), default=f"localhost:{port}")
    scheme = "https" if server._http.ssl_options is not None else "http"
    return f"{scheme}://{shown}{server.prefix}{path}"


def _sockets(server: BaseServer) -> list[socket.socket]:
    return [s for s in server._http._sockets.values() if s.family in (socket.AF_INET, socket.AF_INET6)]


def _origins(server: BaseServer) -> set[str]:
    return set(server._tornado.websocket_origins)
