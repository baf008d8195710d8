"""The API's description in OpenAPI 3.1. Describes; the handlers decide."""

from __future__ import annotations

import copy
from typing import Any, Final

from streamer.events import EVENT_TYPES, LEVELS, TERMINAL

_JSON: Final = "application/json"
_ERROR_CODES: Final = {
    "400": "The request is not of the expected form; `details` names the field and what was expected.",
    "401": "A token is needed.",
    "403": "The token, the `Host` or the `Origin` is not allowed.",
    "404": "There is no such run, pipeline or address.",
    "409": "It does not fit the run's state: it has ended, or a number in `seq` is missing (`details.expected`).",
    "413": "The body is too large.",
    "415": "The body is not declared as JSON.",
    "422": "The values are not what the pipeline or the event takes; `details` names each field.",
    "503": "Not now; `Retry-After` says when to try again.",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(status: str, text: str, schema: dict[str, Any], *errors: str) -> dict[str, Any]:
    answers: dict[str, Any] = {status: {"description": text, "content": {_JSON: {"schema": schema}}}}
    return answers | {code: _error(code) for code in ("400", "401", "403", *errors)}


def _error(code: str) -> dict[str, Any]:
    return {"description": _ERROR_CODES[code], "content": {_JSON: {"schema": _ref("Error")}}}


def _query(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema or {"type": "string"}}


_RUN_ID: Final = {
    "name": "run_id",
    "in": "path",
    "required": True,
    "description": "The run's id.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
_STREAM_QUERY: Final = [
    _query("last_event_id", "The cursor to resume from, for clients that cannot send `Last-Event-ID`."),
    _query(
        "from",
        "`start`: replay everything instead of beginning with a snapshot.",
        type="string",
        enum=["start"],
    ),
    _query("format", "`data`: nothing but `data:` lines.", type="string", enum=["sse", "data"]),
    {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The cursor to resume from.",
    },
]
_PAGE: Final = {"type": "integer", "minimum": 1, "maximum": 1000}
_OBJECT: Final = {"type": "object"}


def _stream(*errors: str) -> dict[str, Any]:
    return {
        "200": {
            "description": "The stream.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    } | {code: _error(code) for code in ("400", "401", "403", *errors)}


def _paths() -> dict[str, Any]:
    return {
        "/api/pipelines": {
            "get": {
                "summary": "The pipelines on offer, with phases and the JSON schema of their parameters.",
                "responses": _answer("200", "The pipelines.", _OBJECT),
            }
        },
        "/api/pipelines/{name}/runs": {
            "post": {
                "summary": "Start a run. With `Accept: text/event-stream` the answer is the new run's stream.",
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
                    _query(
                        "on_disconnect",
                        "`cancel`: cancel the run when this client leaves.",
                        type="string",
                        enum=["cancel"],
                    ),
                    _query("format", "As for streams.", type="string", enum=["sse", "data"]),
                ],
                "requestBody": {"content": {_JSON: {"schema": _OBJECT}}, "description": "The parameters."},
                "responses": _answer("201", "The new run.", _ref("NewRun"), "404", "413", "415", "422", "503")
                | {"200": _stream()["200"]},
            }
        },
        "/api/runs": {
            "get": {
                "summary": "Runs, newest first.",
                "parameters": [
                    _query("status", "Only these, comma separated."),
                    _query("pipeline", "Only runs of this pipeline."),
                    _query("search", "Only runs with this text in title, owner, host, id or parameters."),
                    _query("before", "Only runs older than this one: `next` of the page before."),
                    _query("limit", "At most so many.", **_PAGE),
                ],
                "responses": _answer(
                    "200",
                    "A page.",
                    {
                        "type": "object",
                        "required": ["runs", "next", "counts"],
                        "properties": {
                            "runs": {"type": "array", "items": _ref("RunState")},
                            "next": {"type": ["string", "null"]},
                            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                        },
                    },
                    "404",
                ),
            },
            "post": {
                "summary": "Register a run that somebody else executes.",
                "requestBody": {"required": True, "content": {_JSON: {"schema": _ref("NewExternalRun")}}},
                "responses": _answer(
                    "201", "The run, and its ingest token.", _ref("NewRun"), "413", "415", "422", "503"
                ),
            },
        },
        "/api/runs/{run_id}": {
            "get": {
                "summary": "A run's state, and the cursor to resume its stream from.",
                "parameters": [_RUN_ID],
                "responses": _answer("200", "The state.", _ref("RunState"), "404"),
            }
        },
        "/api/runs/{run_id}/events": {
            "get": {
                "summary": "The run's stream.",
                "parameters": [_RUN_ID, *_STREAM_QUERY],
                "responses": _stream("404", "503")
                | {"204": {"description": "The run is over and nothing follows."}},
            },
            "post": {
                "summary": "Ingest: a producer's events, one a line, each with its `seq`.",
                "parameters": [_RUN_ID],
                "security": [{"run": []}],
                "requestBody": {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
                "responses": _answer(
                    "200",
                    "What is stored, and what is asked of the producer.",
                    {
                        "type": "object",
                        "required": ["acknowledged", "requests"],
                        "properties": {
                            "acknowledged": {"type": "integer"},
                            "requests": {"type": "array", "items": {"type": "string"}},
                        },
                    },
                    "404",
                    "409",
                    "413",
                    "422",
                    "503",
                ),
            },
        },
        "/api/runs/{run_id}/log": {
            "get": {
                "summary": "Log lines, oldest first within a page; without a cursor the last ones.",
                "parameters": [
                    _RUN_ID,
                    _query(
                        "level",
                        "The least level.",
                        type="string",
                        enum=[n for x in LEVELS for n in (x, x.lower())],
                    ),
                    _query("search", "Text that the message contains."),
                    _query("before", "Lines before this cursor."),
                    _query("after", "Lines after this cursor."),
                    _query("limit", "At most so many.", **_PAGE),
                ],
                "responses": _answer("200", "A page.", _OBJECT, "404"),
            }
        },
        "/api/runs/{run_id}/failures": {
            "get": {
                "summary": "Failed items with their errors, oldest first.",
                "parameters": [
                    _RUN_ID,
                    _query("after", "Those after this cursor."),
                    _query("limit", "At most so many.", **_PAGE),
                ],
                "responses": _answer("200", "A page.", _OBJECT, "404"),
            }
        },
        "/api/runs/{run_id}/cancel": {
            "post": {
                "summary": "Ask the run to end.",
                "parameters": [_RUN_ID],
                "requestBody": {"content": {_JSON: {"schema": _OBJECT}}},
                "responses": _answer("202", "Asked.", _OBJECT, "404", "409", "413", "415", "422"),
            }
        },
        "/api/events": {
            "get": {
                "summary": "The stream of all runs, on one connection.",
                "parameters": _STREAM_QUERY,
                "responses": _stream("503"),
            }
        },
        "/api/health/live": {
            "get": {
                "summary": "The process answers.",
                "security": [],
                "responses": _answer("200", "Live.", _OBJECT),
            }
        },
        "/api/health/ready": {
            "get": {
                "summary": "Requests are taken.",
                "security": [],
                "responses": _answer("200", "Ready.", _OBJECT, "503"),
            }
        },
        "/metrics": {
            "get": {
                "summary": "Counters for Prometheus.",
                "responses": {
                    "200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
                }
                | {code: _error(code) for code in ("401", "403", "503")},
            }
        },
        "/api/openapi.json": {
            "get": {"summary": "This document.", "responses": _answer("200", "OpenAPI 3.1.", _OBJECT)}
        },
    }


_SCHEMAS: Final[dict[str, Any]] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "details": {}},
            }
        },
    },
    "NewRun": {
        "type": "object",
        "required": ["run"],
        "properties": {
            "run": {"type": "string"},
            "status": {"type": "string"},
            "url": {"type": "string"},
            "events": {"type": "string"},
            "page": {"type": ["string", "null"]},
            "token": {
                "type": "string",
                "description": "Only of a registered run: the token of its producer.",
            },
        },
    },
    "NewExternalRun": {
        "type": "object",
        "required": ["title"],
        "additionalProperties": False,
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "pipeline": {"type": ["string", "null"]},
            "owner": {"type": ["string", "null"]},
            "host": {"type": ["string", "null"]},
            "parameters": {"type": "object"},
            "phases": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "minLength": 1},
                        "weight": {"type": "number", "exclusiveMinimum": 0},
                    },
                },
            },
        },
    },
    "Bar": {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string"},
            "parent": {"type": ["string", "null"]},
            "phase": {"type": ["string", "null"]},
            "name": {"type": "string"},
            "done": {"type": ["number", "null"]},
            "total": {"type": ["number", "null"]},
            "unit": {"type": "string"},
            "status": {"enum": ["started", "finished", "stopped"]},
        },
    },
    "RunState": {
        "type": "object",
        "required": ["run", "status", "progress"],
        "properties": {
            "run": {"type": "string"},
            "status": {"enum": ["queued", "running", "stalled", "cancelling", *sorted(TERMINAL)]},
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "overallProgress": {"type": "number"},
            "bars": {"type": "array", "items": _ref("Bar")},
            "barsFolded": {"type": "integer", "minimum": 0},
            "cursor": {"type": "string"},
        },
    },
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document, anew for each caller."""
    return copy.deepcopy(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "panel-streamer",
                "version": "1",
                "description": "Live progress of batch work. Streams carry events of the kinds "
                + ", ".join(str(t.__struct_config__.tag) for t in EVENT_TYPES)
                + ", and `snapshot` and `reset`.",
            },
            "security": [{}, {"operators": []}],
            "paths": _paths(),
            "components": {
                "schemas": _SCHEMAS,
                "securitySchemes": {
                    "operators": {"type": "http", "scheme": "bearer"},
                    "run": {"type": "http", "scheme": "bearer"},
                },
            },
        }
    )
