"""The values that sessions' models hold: log lines and windows, failed items, pipelines; and how many are held.

They are plain and immutable. They know neither the streamer nor Panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from streamer.model.events import FailedItem
from streamer.protocol.paging import LINES_PER_PAGE, RUNS_PER_PAGE

#: How many log lines a window holds, at most; what is farther back is asked for.
WINDOW_LINES: Final = 500
#: How many lines are asked for at a time when the reader scrolls beyond the window.
PAGE_LINES: Final = LINES_PER_PAGE
#: How many failed items, and how many runs, make a page.
PAGE_FAILURES: Final = 50
PAGE_RUNS: Final = RUNS_PER_PAGE
#: The longest search text that is taken from a viewer.
SEARCH_LIMIT: Final = 200

TABS: Final = ("log", "failures", "parameters", "result")


class LogLine(NamedTuple):
    """A line of the log: `offset` is its cursor, `time` POSIX seconds; `fields` what was logged beside it, as text."""

    offset: int
    time: float
    level: str
    logger: str
    phase: str | None
    item: str | None
    message: str
    fields: str = ""


class LogWindow(NamedTuple):
    """Consecutive lines that match the viewer's filter, oldest first, and whether there are more on either side.

    `total` counts all lines that match, None when that is not known.
    """

    lines: tuple[LogLine, ...] = ()
    has_older: bool = False
    has_newer: bool = False
    total: int | None = None


class LogChange(NamedTuple):
    """The change of the window: `lines` replaced it, or joined it at its end or its beginning.

    `after` is the offset of the line the new ones follow (of the line they precede for "prepended"), None for an empty
    window.
    """

    kind: str
    lines: tuple[LogLine, ...]
    after: int | None = None


class FailuresPage(NamedTuple):
    """Consecutive failed items with their tracebacks, oldest first; `first` is the first one's index among all `total`.

    `older` and `newer` are the cursors to ask for the pages before and after, None where there is none.
    """

    items: tuple[FailedItem, ...] = ()
    total: int = 0
    first: int = 0
    older: str | None = None
    newer: str | None = None


class FormChange(NamedTuple):
    """A form after a change: its values and schema as JSON, and the API's problems of values that do not fit."""

    values: Mapping[str, Any]
    schema: Mapping[str, Any]
    problems: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A pipeline on offer: `schema` is the JSON schema of its parameters, `phases` are (name, weight).

    `time_limit_seconds` is how long its runs may take, None for any time.
    """

    name: str
    title: str = ""
    doc: str = ""
    phases: tuple[tuple[str, float], ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    time_limit_seconds: float | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PipelineSpec:
        """Read one item of `GET /api/pipelines`."""
        schema = data.get("parameters", data.get("schema")) or {}
        return cls(
            name=str(data["name"]),
            title=str(data.get("title") or data["name"]),
            doc=str(data.get("doc") or ""),
            phases=tuple((str(p["name"]), float(p.get("weight", 1))) for p in data.get("phases") or ()),
            schema=schema,
            time_limit_seconds=data.get("timeLimitSeconds"),
        )
