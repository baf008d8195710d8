"""Where the streamer is: `find_streamer` looks it up, `read_address` reads what one noted. Makes no connection.

`DataFolderBusy`: it is in another process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from streamer.settings import Settings

#: The file in the data folder in which a streamer notes where it is reached: ``{"url", "pid", "page"}``.
ADDRESS_FILE: Final = "streamer.json"
#: More than any such file has; what is larger is not one.
_LARGEST_FILE: Final = 10_000
_DEFAULT_PORT: Final = 5007


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
    """Return a streamer's URL, without a slash at its end: STREAMER_URL, else what the local one noted, else a default.

    The default is the port of the settings, 5007 unless it was changed, on this machine.
    """
    if settings.url:
        return settings.url.rstrip("/")
    address = read_address(settings.data)
    if address is not None:
        return address.url.rstrip("/")
    return f"http://127.0.0.1:{settings.port or _DEFAULT_PORT}"


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
        known = address.url.rstrip("/") if address is not None else None
        # The folder's address may be left over from a killed streamer, so it is not the last word either.
        last = known if known is not None and last == first else first
        return last

    return where
