"""The log of a run as a table that follows its end. Sends only new lines; the streamer filters and searches."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from dashboards.session import WINDOW_LINES, LogChange, LogLine, RunModel
from dashboards.views.base import View, encode, run_soon, text_of
from streamer.model import formatting
from streamer.model.events import LEVELS

#: Longer messages are cut for display, in characters; the streamer bounds them already.
SHOWN_LIMIT = 8_000


class LogView(View):
    """The log of a run. Its lines are news: those that came are sent, once."""

    part = "log"
    names = ("state", "log", "log_change", "log_busy", "level", "search", "following", "connection")
    model: RunModel

    def __init__(self, model: RunModel) -> None:
        super().__init__(model)
        self._change: LogChange | None = None

    def begin(self) -> str:
        self._change = None
        return _news("replaced", self.model.log.lines)

    def note(self, changed: set[str]) -> None:
        change: LogChange | None = self.model.log_change
        if change is not None and "log_change" in changed:
            joined = change if self._change is None else _joined(self._change, change)
            self._change = joined or LogChange("replaced", self.model.log.lines)

    def news(self) -> str:
        change, self._change = self._change, None
        return "" if change is None else _news(change.kind, change.lines)

    def looks_at(self) -> tuple[Any, ...]:
        return tuple(self.present().values())

    def present(self) -> dict[str, Any]:
        model, window = self.model, self.model.log
        return {
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

    def receive(self, message: Mapping[str, Any]) -> None:
        model = self.model
        match message["type"]:
            case "level":
                level = text_of(message, "level")
                run_soon(lambda: model.filter_log(level=level if level in LEVELS else ""))
            case "search":
                search = text_of(message, "search")
                run_soon(lambda: model.filter_log(search=search))
            case "follow":
                following = message.get("following") is True
                run_soon(lambda: model.follow(following))
            case "older":
                run_soon(model.load_older)
            case "newer":
                run_soon(model.load_newer)


def _joined(change: LogChange, following: LogChange) -> LogChange | None:
    """Return two changes as one; None: as a whole window only."""
    if following.kind == "replaced":
        return following
    if following.kind != change.kind:
        return None
    if change.kind == "appended":
        return change._replace(lines=(change.lines + following.lines)[-WINDOW_LINES:])
    return change._replace(lines=(following.lines + change.lines)[:WINDOW_LINES])


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
