"""The check of the `Host` header: refuses a page that reached this machine by DNS rebinding. Reads no body.

DNS rebinding: a hostile name is resolved to this machine's address, so that a browser takes our API for its own site.
The `Host` header then still has the hostile name.
"""

from __future__ import annotations

import ipaddress

from tornado.httputil import HTTPServerRequest

from streamer.server.http.errors import ApiError
from streamer.settings import Settings, host_name, is_loopback


def check_host(request: HTTPServerRequest, settings: Settings) -> None:
    """Refuse a request whose `Host` is not ours.

    Without a token only this machine may ask. With a token and an address other than loopback, any name may be used
    unless STREAMER_ALLOWED_HOSTS says which: a page that was rebound does not know the token.

    Args:
        request: The request; its `Host` header and its sender's address are looked at.
        settings: The token, the address that the streamer listens on, and the names that it may have.

    Raises:
        ApiError: With status 403, if the name or the sender's address is not allowed.

    """
    if not settings.token and not _is_local(request.remote_ip or ""):
        raise ApiError(
            403, "forbidden", "without STREAMER_TOKEN only this machine may use the API", {"field": "address"}
        )
    if settings.token and not settings.allowed_hosts and not is_loopback(settings.host):
        return
    name = host_name(request.host)
    allowed = {"localhost", "127.0.0.1", "::1", settings.host.strip("[]"), *settings.allowed_hosts}
    if name not in {host.lower() for host in allowed}:
        raise ApiError(
            403,
            "host_refused",
            f"this API is not addressed as {name[:100]!r}; see STREAMER_ALLOWED_HOSTS",
            {"field": "Host", "received": name[:100]},
        )


def _is_local(address: str) -> bool:
    # An empty address is a Unix socket's.
    try:
        return not address or ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
