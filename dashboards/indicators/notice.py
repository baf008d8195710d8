"""`Notice` says what to know first: no such run, a streamer that is away, something that did not work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import param

from dashboards.indicators.base import Indicator
from dashboards.session import Session
from streamer.model import formatting


class Notice(Indicator):
    """The first thing to know of a `Run`, `Runs` or `Start`: ``Notice(run)``. It takes no room without a notice."""

    home_href = param.String(
        default="?", doc="Where the link of a run that does not exist leads; empty: no link."
    )

    script = "Notice"
    watched: Sequence[str] = ("connection", "connection_message", "notice")

    def __init__(self, model: Any, **params: Any) -> None:
        if isinstance(model, Session):
            # A run that is known, and a list that has rows, stay on the page while the streamer is away.
            known = tuple(name for name in ("state", "rows") if name in model.param)
            self.watched = [*type(self).watched, *known]
        super().__init__(model, **params)

    def looks_at(self) -> tuple[Any, ...]:
        model, state = self.model, getattr(self.model, "state", None)
        known = (None if state is None else state.is_over, bool(getattr(model, "rows", ())))
        return model.connection, model.connection_message, model.notice, *known, getattr(model, "run_id", "")

    def present(self) -> dict[str, Any]:
        model = self.model
        if model.connection == "missing" and "state" not in model.param:
            return notice("missing", "Not served", model.connection_message, page=True)
        if "state" in model.param:
            return self._of_run()
        if model.connection == "away":
            text = model.connection_message or "Trying again until it is back."
            listed = " The list shows the last known state." if getattr(model, "rows", ()) else ""
            return notice("away", "The streamer is away", text + listed)
        if model.notice and "rows" in model.param:
            return notice("notice", "That did not work", model.notice)
        return notice("", "", "")

    def _of_run(self) -> dict[str, Any]:
        model, state = self.model, self.model.state
        if model.connection == "missing" and state is None:
            return notice(
                "missing",
                "No such run",
                model.connection_message
                or "The streamer knows no run with this id. The page will show it as soon as there is one.",
                code=model.run_id,
                link=(self.home_href, "All runs") if self.home_href else None,
                page=True,
            )
        if model.connection == "away":
            text = model.connection_message or "Trying again until it is back."
            if state is not None and not state.is_over:
                text += " The page shows the last known state. The run itself goes on."
            return notice("away", "The streamer is away", text, page=state is None)
        if model.connection == "connecting" and state is None:
            return notice("connecting", "Connecting", "Asking the streamer about this run…", page=True)
        if model.notice:
            return notice("notice", "That did not work", model.notice)
        return notice("", "", "")


def notice(
    kind: str,
    title: str,
    text: str,
    *,
    code: str = "",
    link: tuple[str, str] | None = None,
    page: bool = False,
) -> dict[str, Any]:
    """Return what a notice shows; on a `page` there is nothing else.

    Args:
        kind: "away", "missing", "connecting", "notice" or empty.
        title: The heading.
        text: The facts, and the next step.
        code: A run's id or a command, shown as code.
        link: A link's text and address.
        page: Whether nothing else is on the page.

    """
    return {
        "kind": kind,
        "title": title,
        "text": formatting.cut(text, 2_000),
        "code": formatting.cut(code, 200),
        "link": list(link) if link else [],
        "page": page,
    }
