"""The API's description in OpenAPI 3.2. It describes; the handlers decide.

Why 3.2: it is the first version that can describe one event of a stream (`itemSchema`).
"""

from __future__ import annotations

import copy
from typing import Any

from streamer.model.events import EVENT_TYPES
from streamer.server.http.openapi.paths import paths
from streamer.server.http.openapi.schemas import schemas


def document(*, epoch: str = "", guarded: bool = False) -> dict[str, Any]:
    """Return the OpenAPI document, anew for each caller.

    `epoch`: the log's, which its cursors carry; `guarded`: whether a token is needed.
    """
    tokens: list[dict[str, list[str]]] = [{"operators": []}, {"operatorsInQuery": []}]
    bearer = {"type": "http", "scheme": "bearer"}
    in_query = {"type": "apiKey", "in": "query", "name": "token"}
    return copy.deepcopy(
        {
            "openapi": "3.2.0",
            "info": {
                "title": "panel-streamer",
                "version": "1",
                "description": "Live progress of batch work. Streams carry events of the kinds "
                + ", ".join(str(t.__struct_config__.tag) for t in EVENT_TYPES)
                + ", and `snapshot` and `reset`.",
            },
            "security": tokens if guarded else [{}, *tokens],
            "paths": paths(epoch),
            "components": {
                "schemas": schemas(),
                "securitySchemes": {
                    "operators": bearer,
                    "operatorsInQuery": in_query,
                    "run": bearer,
                    "runInQuery": in_query,
                },
            },
        }
    )
