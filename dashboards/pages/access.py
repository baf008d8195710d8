"""`refusal`: why a request gets no page: another machine, or a name that nobody allowed. Knows no login.

Both stand in the request itself. The headers that a session has come from its browser, which can send any.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from streamer.client.pages_address import PagesAddress
from streamer.settings import host_name


def refusal(request: Any, served: PagesAddress | None) -> str:
    """Return why a request gets no page, with the option that allows it; empty when it gets one.

    Without an option, only this machine may look: whoever sees a page can start pipelines. A page elsewhere may have
    its name resolved to this machine (DNS rebinding); its browser then takes this server for that page's own. So a name
    has to be allowed. Addresses and localhost belong to nobody else.

    Args:
        request: The request of the session (`session_context.request`); None: the session has none.
        served: Where this process serves its pages; None: somebody's own application decides.

    """
    if request is None or served is None:
        return ""
    remote = str(getattr(request, "remote_ip", "") or "")
    if remote and not served.is_told and not _is_loopback(remote):
        return (
            "These pages are served for their own machine alone. Serve them with “streamer dashboards --host ADDRESS”, "
            "or give “panel serve” the options --address and --allow-websocket-origin."
        )
    name = host_name(str(getattr(request, "host", "") or ""))
    allowed = {host_name(origin.split("//")[-1]) for origin in (*served.given, served.shown, served.host)}
    if _is_own(name) or name in allowed or "*" in "".join(served.given):
        return ""
    return (
        f"The name “{name[:100]}” is not allowed for these pages. If it is this server's name, serve them with "
        f"--allow-websocket-origin={name[:100]}:{served.port}"
    )


def _is_own(name: str) -> bool:
    return name in ("", "localhost") or _address(name) is not None


def _is_loopback(address: str) -> bool:
    found = _address(address)
    return found is not None and found.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
