"""The requests about estimates and history in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from streamer.model.events import OUTCOMES
from streamer.server.http.openapi.parts import (
    COUNT,
    LIMIT,
    PIPELINE_NAME,
    RUN_ID,
    TEXT,
    TEXT_OR_NULL,
    answer,
    array,
    content,
    errors,
    or_null,
    query,
    ref,
    structure,
)

_SECONDS: Final = {"type": "number", "minimum": 0}
_QUANTILES: Final = or_null(structure(dict.fromkeys(("p10", "p50", "p90"), _SECONDS)))
_TIME_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}
_EARLIER: Final = structure(
    {
        "run": TEXT,
        "title": TEXT,
        "owner": TEXT,
        "created": _TIME_OR_NULL,
        "started": _TIME_OR_NULL,
        "ended": _TIME_OR_NULL,
        "outcome": {"enum": list(OUTCOMES)},
        "duration": or_null(_SECONDS),
        "phases": array(structure({"name": TEXT, "duration": or_null(_SECONDS)})),
        "parameters": {"type": "object"},
        "failed": COUNT,
        "retryOf": TEXT_OR_NULL,
        "said": array(
            structure(
                {
                    "share": {"type": "number", "minimum": 0, "maximum": 1},
                    "remaining": _QUANTILES,
                    "actual": _SECONDS,
                }
            )
        ),
    }
)


def estimate_paths() -> dict[str, Any]:
    """Return the requests, by path and method."""
    return {
        "/api/pipelines/{name}/estimate": {
            "post": {
                "summary": "How long a run with these parameters takes, from earlier runs of the pipeline.",
                "parameters": [PIPELINE_NAME],
                "requestBody": {
                    "description": "The parameters; those that are missing have their defaults.",
                    **content({"type": "object"}),
                },
                "responses": {
                    "200": answer(
                        "The duration.", structure({"duration": _QUANTILES, "runs": COUNT, "basis": TEXT})
                    ),
                    **errors("404", "415", "422"),
                },
            }
        },
        "/api/runs/{run_id}/estimates": {
            "get": {
                "summary": "The estimates of the remaining time that were said over the run, oldest first.",
                "parameters": [RUN_ID],
                "responses": {
                    "200": answer(
                        "At most 200, evenly over the run.",
                        structure({"run": TEXT, "estimates": array(ref("Estimated"))}),
                    ),
                    **errors("404"),
                },
            }
        },
        "/api/history": {
            "get": {
                "summary": "Runs that are over, newest first.",
                "parameters": [
                    query("pipeline", "Only runs of this pipeline."),
                    query("title", "Only runs with exactly this title."),
                    LIMIT,
                ],
                "responses": {"200": answer("The runs.", structure({"runs": array(_EARLIER)})), **errors()},
            }
        },
    }
