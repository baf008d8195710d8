"""Where the streamer is: `find_streamer` looks it up, `read_address` reads what one noted. Makes no connection.

`DataFolderBusy`: it is in another process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from streamer.settings import Settings, is_loopback

#: The file in the data folder in which a streamer notes where it is reached: ``{"url", "pid", "page"}``.
ADDRESS_FILE: Final = "streamer.json"
#: More than any such file has; what is larger is not one.
_LARGEST_FILE: Final = 10_000
_DEFAULT_PORT: Final = 5007
#: The URL of no streamer: nothing can listen on port 0.
NOWHERE: Final = "http://127.0.0.1:0"


class Address(msgspec.Struct, frozen=True):
    """The note of a streamer: its API's URL, its process, and the URL of the dashboards (empty: not known)."""

    url: str
    pid: int = 0
    page: str = ""


class DataFolderBusy(RuntimeError):
    """Another streamer uses the data folder; `url` says where it listens, as far as it is known."""

    def __init__(self, data: Path) -> None:
        address = read_address(data)
        self.url = None if address is None else address.url
        where = f" at {self.url}" if self.url else ""
        super().__init__(f"another streamer{where} uses {data}; one at a time can write its log")


def read_address(data: Path) -> Address | None:
    """Return what a streamer noted in its data folder; None when there is nothing that can be used.

    The streamer may have died since without removing it.
    """
    try:
        with (data / ADDRESS_FILE).open("rb") as file:
            address = msgspec.json.decode(file.read(_LARGEST_FILE), type=Address)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return address if address.url.startswith(("http://", "https://")) else None


def find_streamer(settings: Settings) -> str:
    """Return a streamer's URL, without a slash at its end.

    Args:
        settings: The settings.

    Returns:
        STREAMER_URL, else the address that the streamer of the data folder noted, else the port of the settings, 5007
        unless it was changed, on this machine. A data folder of the user's own has no other streamer than its own:
        without one, and without a port of the settings, it is `NOWHERE`.

    """
    if settings.url:
        return settings.url.rstrip("/")
    address = read_address(settings.data)
    if address is not None and _may_live(address):
        return address.url.rstrip("/")
    if settings.is_own_folder and settings.port in (0, _DEFAULT_PORT):
        return NOWHERE
    return f"http://127.0.0.1:{settings.port or _DEFAULT_PORT}"


def _may_live(address: Address) -> bool:
    """Return whether the process that noted an address may be there; another one may have its port since."""
    if not address.pid or not is_loopback(urlsplit(address.url).hostname or ""):
        return True
    try:
        os.kill(address.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def nobody_at(url: str, data: Path) -> str:
    """Return the words for a streamer that does not answer.

    Args:
        url: Its URL, or `NOWHERE`.
        data: The data folder of the settings.

    """
    return (
        f"no streamer uses the data folder {data} (STREAMER_DATA)"
        if url == NOWHERE
        else f"no streamer at {url}"
    )


def whereabouts(data: Path, first: str) -> Callable[[], str]:
    """Return a function that says where the streamer may be: `first` and the data folder's address, by turns.

    Args:
        data: The data folder of the streamer.
        first: The URL to begin with.

    Returns:
        A function that returns the next URL to try at each call.

    """
    first = first.rstrip("/")
    last = ""

    def where() -> str:
        nonlocal last
        address = read_address(data)
        known = address.url.rstrip("/") if address is not None and _may_live(address) else None
        # The folder's address may be left over from a killed streamer, so it is not the last word either.
        last = known if known is not None and last == first else first
        return last

    return where
