"""The query of ``GET /api/runs`` in the OpenAPI document: filters, order, page."""

from __future__ import annotations

from typing import Any, Final

from streamer.model.events import OUTCOMES
from streamer.protocol.run_filter import SORTS
from streamer.server.http.openapi.parts import LIMIT, TIME, array, query

_TIME_OR_EMPTY: Final = {"type": "string", "pattern": f"^$|{TIME}"}


def runs_query() -> list[dict[str, Any]]:
    """Return the query's parameters."""
    return [
        query(
            "status",
            "Only these. `error` means failed.",
            array(
                {
                    "enum": [
                        "queued",
                        "running",
                        "stalled",
                        "cancelling",
                        "complete",
                        "failed",
                        "error",
                        "cancelled",
                    ]
                }
            ),
            style="form",
            explode=False,
        ),
        query(
            "outcome",
            "Only runs that ended so. `partial` means complete, but items failed.",
            array({"enum": list(OUTCOMES)}),
            style="form",
            explode=False,
        ),
        query("pipeline", "Only runs of this pipeline."),
        query(
            "search", "Only runs with this text in title, pipeline, owner, host, program, id or parameters."
        ),
        query("title", "Only runs with exactly this title."),
        query("owner", "Only runs of this owner."),
        query("since", "Only runs that were made at this time or later.", _TIME_OR_EMPTY),
        query("until", "Only runs that were made before this time.", _TIME_OR_EMPTY),
        query(
            "failures", "`true`: only runs in which items failed.", {"type": "string", "enum": ["", "true"]}
        ),
        query(
            "sort",
            "The order, ascending, or descending with a minus. `-created` when it is not given.",
            {"type": "string", "enum": list(SORTS)},
        ),
        query("before", "Only runs after this one in that order: `next` of the page before."),
        LIMIT,
    ]
