"""The log of a run as a table that follows its end. Sends only new lines; the streamer filters and searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from dashboards.session import LogChange, LogLine, RunModel
from dashboards.views.base import Component, View, run_soon, text_of
from streamer import words
from streamer.events import LEVELS

#: Longer messages are cut for display, in characters; the streamer bounds them already.
SHOWN_LIMIT = 8_000


class RunLog(Component):
    """A table of lines within a bound. `lines` is where it starts; later ones arrive as messages."""

    lines = param.List(
        default=[], doc="The lines when the component is drawn: [offset, time, level, phase, message]."
    )

    def keep(self, lines: list[list[Any]]) -> None:
        """Remember what a new drawing of the component starts with, without sending it."""
        with param.parameterized.discard_events(self):
            self.lines = lines


class LogView(View):
    """The log of a run."""

    names = ("state", "log", "log_busy", "level", "search", "following", "connection")
    component_class = RunLog
    component: RunLog
    model: RunModel

    def build(self) -> RunLog:
        component = RunLog(state=self.present(), lines=_rows(self.model.log.lines))
        self.model.listen(self._changed, ("log_change",))
        return component

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
            "total": window.total,
            "over": model.state is not None and model.state.is_over,
            "asks": model.commands is not None,
            "away": model.connection == "away",
        }

    def _changed(self, *_events: Any) -> None:
        change: LogChange | None = self.model.log_change
        if change is None:
            return
        self.component.keep(_rows(self.model.log.lines))
        self._send(change.kind, change.lines, change.after)

    def _send(self, kind: str, lines: tuple[LogLine, ...], after: int | None) -> None:
        self.component._send_msg({"kind": kind, "lines": _rows(lines), "after": after})

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
            case "window":
                # The browser missed a message (they are not kept while a page loads): give it all there is.
                last = model.log.lines[-1].offset if model.log.lines else None
                if message.get("last", -1) != last:
                    self._send("replaced", model.log.lines, None)


def _rows(lines: tuple[LogLine, ...]) -> list[list[Any]]:
    return [[line.offset, line.time, line.level, line.phase or "", _message(line)] for line in lines]


def _message(line: LogLine) -> str:
    message = words.without_terminal_codes(line.message)
    if len(message) > SHOWN_LIMIT:
        message = f"{message[:SHOWN_LIMIT]}…"
    return f"{line.item}: {message}" if line.item and line.item not in message else message
