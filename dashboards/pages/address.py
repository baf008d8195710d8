"""`Address`: what a page's query says, both ways. Pure; what it reads comes from anybody and is bounded here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final
from urllib.parse import urlencode

from dashboards.session import FILTERS, SEARCH_LIMIT, TABS, WITHIN
from streamer.model.events import LEVELS
from streamer.protocol.run_filter import NEWEST_FIRST, SORTS

#: The longest value of the others, in characters.
VALUE_LIMIT: Final = 300


@dataclass(frozen=True, slots=True)
class Address:
    """A viewer's choices: a `run`, or the form to `start` a pipeline (None: not that), or else the list of runs.

    `level`, `search` and `tab` belong to a run; `status`, `pipeline`, `title`, `owner`, `within`, `sort` and `search`
    to the list; `again` and `items`
    to the form: the run whose values fill it, and the items that are done again. Empty is each one's default.
    """

    run: str = ""
    start: str | None = None
    again: str = ""
    items: str = ""
    level: str = ""
    search: str = ""
    tab: str = ""
    status: str = ""
    pipeline: str = ""
    title: str = ""
    owner: str = ""
    within: str = ""
    sort: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, Iterable[bytes]]) -> Address:
        """Read a query, decoded as far as Tornado does; what is not known or not allowed is left out."""
        names = {field.name for field in fields(cls)}
        values: dict[str, str] = {}
        for name, given in query.items():
            first = next(iter(given), None)
            if name in names and first is not None:
                text = first.decode("utf-8", "replace").replace("\0", "")
                values[name] = text[: SEARCH_LIMIT if name == "search" else VALUE_LIMIT]
        for name, allowed in (
            ("level", LEVELS),
            ("tab", TABS),
            ("status", FILTERS),
            ("within", WITHIN),
            ("sort", SORTS),
            ("items", ("failed", "rest")),
        ):
            if values.get(name) not in allowed:
                values.pop(name, None)
        return cls(**values)

    def query(self) -> str:
        """Return the query of this address, with its question mark; empty when there is nothing to say."""
        said = {
            name: value
            for name, value in asdict(self).items()
            if (value and (name, value) != ("sort", NEWEST_FIRST)) or (name == "start" and value is not None)
        }
        return f"?{urlencode(said)}" if said else ""
