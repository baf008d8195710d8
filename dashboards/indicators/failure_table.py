"""`FailureTable`: the items that failed, each with its error; the traceback is one click away. Paged on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.indicators.base import Indicator, text_of
from dashboards.session import PAGE_FAILURES, FailuresPage, RunModel


class FailureTable(Indicator):
    """A run's failed items: ``FailureTable(run)``."""

    script = "FailureTable"
    watched = ("failures", "failures_busy", "state")
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        state, model = self.model.state, self.model
        known = (None,) if state is None else (state.errors, state.results.failed, state.is_over)
        return (model.failures, model.failures_busy, *known)

    def present(self) -> dict[str, Any]:
        page = self._page()
        return {
            "items": [
                {
                    "item": item.item,
                    "phase": item.phase or "",
                    "type": item.error.type,
                    "message": item.error.message,
                    "traceback": item.error.traceback,
                }
                for item in page.items
            ],
            "total": max(page.total, self.model.state.results.failed if self.model.state else 0),
            "first": page.first,
            "older": page.older is not None,
            "newer": page.newer is not None,
            "busy": self.model.failures_busy,
            "over": self.model.state is not None and self.model.state.is_over,
        }

    def _page(self) -> FailuresPage:
        page: FailuresPage = self.model.failures
        state = self.model.state
        if page.items or state is None:
            return page
        # Until a page was asked for, the first failed items are known from the state, without their tracebacks.
        return FailuresPage(items=state.errors[:PAGE_FAILURES], total=state.results.failed)

    def receive(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "page":
            towards = text_of(message, "towards")
            if towards in ("older", "newer", "first"):
                self.model.run(lambda: self.model.page_failures(towards))
