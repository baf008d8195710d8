"""`FailedItems`: which items failed in which phases of a run, as a retry is given them: in a file, so any number fits.

An item is known by its phase, its name as events have it, the digest that tells cut names apart (`events.item_key`),
and by how often that failed; never by its position, which may be another one in the next run.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import msgspec

from streamer.model.bounds import cut_name, item_key
from streamer.model.events import ItemFailed
from streamer.protocol.private_files import FOLDER_MODE, private_opener

#: How many items that did not come up again are named.
NAMED: Final = 5
_Line = tuple[str, str, str]
_decoder: Final = msgspec.json.Decoder(_Line)


class FailedItems:
    """The items of a run that are to be done again; each is taken once. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, Counter[tuple[str, str]]] = {}
        self._left: dict[str, int] = {}
        self._reached: dict[str, int] = {}

    def add_rest(self, phase: str, reached: int) -> None:
        """Let the items of a phase that were never reached be done, too.

        Args:
            phase: The phase's name.
            reached: How many items of its maps were done, in their order.

        """
        self._reached[cut_name(phase)] = reached

    def has_rest(self, phase: str | None) -> bool:
        """Tell whether items of that phase were never reached."""
        return phase is not None and cut_name(phase) in self._reached

    def passes(self, phase: str) -> bool:
        """Tell whether the next item of a phase was reached before; count it.

        Args:
            phase: The phase's name.

        """
        phase = cut_name(phase)
        with self._lock:
            self._reached[phase] -= 1
            return self._reached[phase] >= 0

    def reached(self, phase: str) -> int:
        """Return how many more items of a phase were reached before."""
        return max(self._reached.get(cut_name(phase), 0), 0)

    def add(self, phase: str, item: str, key: str = "") -> None:
        """Add an item that failed, as its event names it.

        Args:
            phase: The phase's name.
            item: The item's name, cut to `NAME_LIMIT` characters.
            key: The digest of the whole name; empty when the name was not cut.

        """
        self._phases.setdefault(phase, Counter())[item, key] += 1
        self._left[phase] = self._left.get(phase, 0) + 1

    def concerns(self, phase: str | None) -> bool:
        """Tell whether items of that phase failed, whether or not they were taken meanwhile."""
        return phase is not None and (cut_name(phase) in self._phases or self.has_rest(phase))

    def left(self, phase: str | None) -> int:
        """Return how many of a phase's items were not taken yet."""
        return 0 if phase is None else self._left.get(cut_name(phase), 0)

    def take(self, phase: str, label: str) -> bool:
        """Tell whether the item with that whole `label` is one to be done, and take it if so.

        Args:
            phase: The phase's name.
            label: The item's whole name.

        """
        phase = cut_name(phase)
        items = self._phases.get(phase)
        name = cut_name(label), item_key(label)
        with self._lock:
            if not items or not items[name]:
                return False
            items[name] -= 1
            self._left[phase] -= 1
        return True

    def names_left(self, phase: str) -> list[str]:
        """Return the names of the first few items of a phase that were not taken."""
        items = self._phases.get(cut_name(phase), Counter())
        with self._lock:
            return [name for (name, _), count in items.items() if count > 0][:NAMED]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote. Raises `OSError`, or `msgspec.DecodeError` for a file that is none.

        Args:
            path: The file.

        Raises:
            OSError: If the file cannot be read.
            msgspec.DecodeError: If the file is no such list.

        """
        found = cls()
        with path.open("rb") as file:
            for line in file:
                found.add(*_decoder.decode(line))
        return found


def write(path: Path, pages: Iterable[Iterable[ItemFailed]]) -> int:
    """Write failed items, one a line, and return how many; items outside any phase are left out.

    The file is there whole or not at all.

    Args:
        path: The file. Its folder is made.
        pages: The failed items, page by page.

    Raises:
        OSError: If the file cannot be written.

    """
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    encoder = msgspec.json.Encoder()
    count = 0
    fresh = path.with_suffix(".new")
    try:
        with open(fresh, "wb", opener=private_opener) as file:
            for page in pages:
                for failed in page:
                    if failed.phase is not None:
                        line: _Line = (failed.phase, failed.item, failed.key or "")
                        file.write(encoder.encode(line) + b"\n")
                        count += 1
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return count
