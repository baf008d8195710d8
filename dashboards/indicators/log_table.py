"""`LogTable`: a run's log, which follows its end. Sends only new lines; the streamer filters and searches."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import param

from dashboards.indicators.base import Following, encode, text_of
from dashboards.session import LogLine, RunModel
from streamer.model import formatting
from streamer.model.events import LEVELS

#: Longer messages are cut for display, in characters; the streamer bounds them already.
SHOWN_LIMIT = 8_000


class LogTable(Following):
    """A run's log: ``LogTable(run, height=300)``. It loads older lines when scrolled; one line opens.

    The level, the search and whether it follows are the run's: two tables of one `Run` show the same lines.
    """

    tools = param.Boolean(default=True, doc="Whether level, search and follow stand above the lines.")

    script = "LogTable"
    watched = ("state", "log", "log_change", "log_busy", "level", "search", "following", "connection")
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        return tuple(self.present().values())

    def present(self) -> dict[str, Any]:
        model, window = self.model, self.model.log
        return {
            "tools": self.tools,
            "level": model.level,
            "search": model.search,
            "following": model.following,
            "busy": model.log_busy,
            "older": window.has_older,
            "newer": window.has_newer,
            "any": bool(window.lines),
            "over": model.state is not None and model.state.is_over,
            "asks": model.commands is not None,
            "away": model.connection == "away",
        }

    def whole(self) -> str:
        return _news("replaced", self.model.log.lines)

    def changed(self, names: set[str]) -> None:
        change = self.model.log_change
        if "log_change" in names and change is not None:
            self.tell(_news(change.kind, change.lines))
        super().changed(names)

    def receive(self, message: Mapping[str, Any]) -> None:
        model = self.model
        match message["type"]:
            case "level":
                level = text_of(message, "level")
                model.run(lambda: model.filter_log(level=level if level in LEVELS else ""))
            case "search":
                search = text_of(message, "search")
                model.run(lambda: model.filter_log(search=search))
            case "follow":
                following = message.get("following") is True
                model.run(lambda: model.follow(following))
            case "older":
                model.run(model.load_older)
            case "newer":
                model.run(model.load_newer)
            case _:
                super().receive(message)


#: The same lines go to every session that shows them.
@functools.lru_cache(maxsize=16)
def _news(kind: str, lines: tuple[LogLine, ...]) -> str:
    return encode({"kind": kind, "lines": _rows(lines)})


def _rows(lines: tuple[LogLine, ...]) -> list[list[Any]]:
    return [
        [line.offset, line.time, line.level, line.phase or "", _message(line), *_fields(line)]
        for line in lines
    ]


def _fields(line: LogLine) -> list[str]:
    """Return the fields of a line that has any; most have none, and send nothing for it."""
    return (
        [formatting.cut(formatting.without_terminal_codes(line.fields), SHOWN_LIMIT)] if line.fields else []
    )


def _message(line: LogLine) -> str:
    message = formatting.cut(formatting.without_terminal_codes(line.message), SHOWN_LIMIT)
    return f"{line.item}: {message}" if line.item and line.item not in message else message
