"""The API's description in OpenAPI 3.2. Describes; the handlers decide.

The schemas of events and states are those of their types, so that they cannot differ. Why 3.2: it is the first version
that can say what one event of a stream is (`itemSchema`).
"""

from __future__ import annotations

import copy
from typing import Any, Final

import msgspec

from streamer.model.bounds import COUNT_LIMIT, PHASES_LIMIT
from streamer.model.events import (
    EVENT_TYPES,
    LEVELS,
    Event,
    PhaseSpec,
)
from streamer.model.state import RunState
from streamer.protocol.frames import FRAME_KINDS, TIMES
from streamer.protocol.pages import MOST_PER_PAGE

_JSON: Final = "application/json"
_STREAM: Final = "text/event-stream"
_NDJSON: Final = "application/x-ndjson"
_ERRORS: Final = {
    "400": "The request is not of the expected form; `details` names the field and what was expected.",
    "401": "A token is needed.",
    "403": "The token, the `Host` or the `Origin` is not allowed.",
    "404": "There is no such run, pipeline or address.",
    "409": "It does not fit the run's state: it has ended, or a number in `seq` is missing (`details.expected`).",
    "413": "The body is too large.",
    "415": "The body is not declared as JSON.",
    "422": "The values are not what the pipeline or the event takes; `details` names each field.",
    "500": "A mistake of the streamer's; its log has the details.",
    "503": "Not now; `Retry-After` says when to try again.",
}
#: What any request may be answered.
_ANY: Final = ("400", "401", "403", "413", "500", "503")
_HEADERS: Final = {
    "401": {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    "503": {
        "Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer"}},
    },
}
#: RFC 3339 from 1970 on. (29 February, which depends on the year, is beyond it; it is taken nevertheless.)
_TIME: Final = (
    r"^(19[7-9]\d|[2-9]\d{3})-"
    r"((0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)
_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        **more,
    }


def _array(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _content(schema: dict[str, Any], kind: str = _JSON) -> dict[str, Any]:
    return {"content": {kind: {"schema": schema}}}


def _answer(text: str, schema: dict[str, Any], *, created: bool = False) -> dict[str, Any]:
    answer = {"description": text, **_content(schema)}
    if created:
        answer["headers"] = {"Location": {"required": True, "schema": _TEXT}}
    return answer


def _errors(*codes: str) -> dict[str, Any]:
    return {
        code: {
            "description": _ERRORS[code],
            **_content(_ref("Error")),
            **({"headers": _HEADERS[code]} if code in _HEADERS else {}),
        }
        for code in sorted({*_ANY, *codes})
    }


def _query(name: str, text: str, schema: dict[str, Any] = _TEXT, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema, **more}


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "schema": _TEXT}


_RUN_ID: Final = {
    "name": "run_id",
    "in": "path",
    "required": True,
    "description": "The run's id.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
_FORMAT: Final = _query(
    "format", "`data`: nothing but `data:` lines.", {"type": "string", "enum": ["", "sse", "data"]}
)
_FROM: Final = _query(
    "from",
    "`start`: replay everything instead of beginning with a snapshot.",
    {"type": "string", "enum": ["", "start"]},
)
_STREAM_PARAMETERS: Final = [
    _query("last_event_id", "The cursor to resume from, for clients that cannot send `Last-Event-ID`."),
    _FROM,
    _FORMAT,
    _header("Last-Event-ID", "The cursor to resume from."),
]
_OWNER: Final = _header("X-Streamer-Owner", "Who starts it; the streamer's own user by default.")
_TIME_LIMIT: Final = _query(
    "time_limit_seconds",
    "How long the run may take, in seconds; 0: any time.",
    {"type": "number", "minimum": 0, "maximum": COUNT_LIMIT},
)
_LIMIT: Final = _query(
    "limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE}
)


_LIFE: Final = {
    "anyOf": [
        _object(
            {
                "silentSeconds": {"type": "number", "minimum": 0},
                "process": {"anyOf": [_ref("ProcessInfo"), {"type": "null"}]},
            }
        ),
        {"type": "null"},
    ],
    "description": "Null for a run that is over, or was not begun.",
}


def _cursor(name: str, text: str, epoch: str) -> dict[str, Any]:
    return _query(name, text, {"type": "string", "pattern": f"^(({epoch or '[0-9a-f]+'}-)?[0-9]{{1,18}})?$"})


def _stream() -> dict[str, Any]:
    data = {
        "type": "string",
        "contentMediaType": _JSON,
        "contentSchema": {
            "anyOf": [_ref(name) for name in ("Entry", "Snapshot", "SnapshotOfAll", "Reset", "Removed")]
        },
    }
    event = _object(
        {"data": data},
        {
            "event": {"enum": [*FRAME_KINDS, "message"]},
            "id": _TEXT,
            "retry": {"type": "integer", "minimum": 0},
        },
    )
    return {"description": "The stream.", "content": {_STREAM: {"schema": {}, "itemSchema": event}}}


def _paths(epoch: str) -> dict[str, Any]:
    runs_query = [
        _query(
            "status",
            "Only these. `error` means failed.",
            _array(
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
        _query("pipeline", "Only runs of this pipeline."),
        _query(
            "search", "Only runs with this text in title, pipeline, owner, host, program, id or parameters."
        ),
        _query("before", "Only runs older than this one: `next` of the page before."),
        _LIMIT,
    ]
    levels = [spelled for level in LEVELS for spelled in (level, level.lower())]
    return {
        "/api/pipelines": {
            "get": {
                "summary": "The pipelines on offer, with phases and the JSON schema of their parameters.",
                "responses": {"200": _answer("The pipelines.", _ref("Pipelines")), **_errors()},
            }
        },
        "/api/pipelines/{name}/runs": {
            "post": {
                "summary": "Start a run. With `Accept: text/event-stream` the answer is the new run's stream.",
                "parameters": [
                    {
                        "name": "name",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1},
                    },
                    _query(
                        "on_disconnect",
                        "`cancel`: cancel the run when this client leaves.",
                        {"type": "string", "enum": ["", "cancel"]},
                    ),
                    _FORMAT,
                    _TIME_LIMIT,
                    _OWNER,
                ],
                "requestBody": {
                    "description": "The parameters; their schema is with the pipeline.",
                    **_content({"type": "object"}),
                },
                "responses": {
                    "201": _answer("The new run.", _ref("NewRun"), created=True),
                    "200": _stream() | {"headers": {"Location": {"required": True, "schema": _TEXT}}},
                    **_errors("404", "415", "422"),
                },
            }
        },
        "/api/pipelines/{name}/form": {
            "post": {
                "summary": "The form's values and schema after a change, from the pipeline's own watchers.",
                "parameters": [
                    {
                        "name": "name",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1},
                    }
                ],
                "requestBody": {
                    "description": "The values so far, and the names of those that changed last.",
                    **_content(
                        {
                            "type": "object",
                            "properties": {
                                "values": {"type": "object"},
                                "changed": _array({"type": "string"}),
                            },
                            "additionalProperties": False,
                        }
                    ),
                },
                "responses": {
                    "200": _answer(
                        "The form.", _object({"values": {"type": "object"}, "schema": {"type": "object"}})
                    ),
                    **_errors("404", "415", "422"),
                },
            }
        },
        "/api/runs": {
            "get": {
                "summary": "Runs, newest first.",
                "parameters": runs_query,
                "responses": {
                    "200": _answer(
                        "A page.",
                        _object(
                            {
                                "runs": _array(_ref("RunState")),
                                "next": _TEXT_OR_NULL,
                                "counts": {"type": "object", "additionalProperties": _COUNT},
                            }
                        ),
                    ),
                    **_errors("404"),
                },
            },
            "post": {
                "summary": "Register a run that somebody else executes.",
                "parameters": [_OWNER],
                "requestBody": {"required": True, **_content(_ref("NewExternalRun"))},
                "responses": {
                    "201": _answer(
                        "The run, and its ingest token.", _ref("NewExternalRunAnswer"), created=True
                    ),
                    **_errors("415", "422"),
                },
            },
        },
        "/api/runs/{run_id}": {
            "get": {
                "summary": "A run's state, what is known of its life now, and the cursor to resume its stream from.",
                "parameters": [_RUN_ID],
                "responses": {
                    "200": {
                        "description": "The state; with `Accept: text/plain` what there is to say of it in one line.",
                        "content": {
                            **_content(
                                {"allOf": [_ref("RunState"), _object({"life": _LIFE, "cursor": _TEXT})]}
                            )["content"],
                            **_content(_TEXT, "text/plain")["content"],
                        },
                    },
                    **_errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/badge.svg": {
            "get": {
                "summary": "Title and progress as an image, for a README or a wiki.",
                "parameters": [_RUN_ID],
                "responses": {
                    "200": {"description": "The badge.", **_content(_TEXT, "image/svg+xml")},
                    **_errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/line": {
            "get": {
                "summary": "What there is to say of a run in one line of text, for chats and prompts.",
                "parameters": [_RUN_ID],
                "responses": {
                    "200": {"description": "The line.", **_content(_TEXT, "text/plain")},
                    **_errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/events": {
            "get": {
                "summary": "The run's stream.",
                "parameters": [_RUN_ID, *_STREAM_PARAMETERS],
                "responses": {
                    "200": _stream(),
                    "204": {"description": "The run is over and nothing follows."},
                    **_errors("404"),
                },
            },
            "post": {
                "summary": "Ingest: a producer's events, one a line, each with its `seq`.",
                "parameters": [_RUN_ID],
                "security": [{"run": []}, {"runInQuery": []}],
                "requestBody": {
                    "content": {
                        _NDJSON: {"schema": _array(_ref("IngestLine")), "itemSchema": _ref("IngestLine")}
                    }
                },
                "responses": {
                    "200": _answer(
                        "What is stored, and what is asked of the producer.",
                        _object({"acknowledged": _COUNT, "requests": _array(_TEXT)}),
                    ),
                    **_errors("404", "409", "422"),
                },
            },
        },
        "/api/runs/{run_id}/log": {
            "get": {
                "summary": "Log lines, oldest first within a page; without a cursor the last ones.",
                "parameters": [
                    _RUN_ID,
                    _query("level", "The least level.", {"type": "string", "enum": ["", "log", *levels]}),
                    _query("search", "Text that the message contains."),
                    _cursor("before", "Lines before this cursor.", epoch),
                    _cursor("after", "Lines after this cursor.", epoch),
                    _LIMIT,
                ],
                "responses": {
                    "200": _answer(
                        "A page.",
                        _object(
                            {
                                "lines": _array(_stored("Logged")),
                                "older": _TEXT_OR_NULL,
                                "newer": _TEXT_OR_NULL,
                                "total": {"type": ["integer", "null"], "minimum": 0},
                                "partial": {"type": "boolean"},
                            }
                        ),
                    ),
                    **_errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/failures": {
            "get": {
                "summary": "Failed items with their errors, oldest first.",
                "parameters": [_RUN_ID, _cursor("after", "Those after this cursor.", epoch), _LIMIT],
                "responses": {
                    "200": _answer(
                        "A page.",
                        _object(
                            {
                                "failures": _array(_stored("ItemFailed")),
                                "next": _TEXT_OR_NULL,
                                "total": _COUNT,
                            }
                        ),
                    ),
                    **_errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/cancel": {
            "post": {
                "summary": "Ask the run to end.",
                "parameters": [_RUN_ID],
                "requestBody": _content({"type": "object", "properties": {"by": _TEXT}}),
                "responses": {
                    "202": _answer("Asked.", _object({"run": _TEXT, "status": _TEXT})),
                    **_errors("404", "409", "415", "422"),
                },
            }
        },
        "/api/runs/{run_id}/ticket": {
            "post": {
                "summary": "A secret that cancels this run and does nothing else, for a page of another origin.",
                "parameters": [_RUN_ID],
                "responses": {
                    "201": _answer(
                        "The ticket.", _object({"run": _TEXT, "ticket": _TEXT, "page": _TEXT_OR_NULL})
                    ),
                    **_errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/retry": {
            "post": {
                "summary": "Start a run, linked to this one, of its failed items or of everything.",
                "parameters": [_RUN_ID, _TIME_LIMIT, _OWNER],
                "requestBody": _content(_ref("Retry")),
                "responses": {
                    "201": _answer("The new run.", _ref("NewRun"), created=True),
                    **_errors("404", "409", "415", "422"),
                },
            }
        },
        "/api/events": {
            "get": {
                "summary": "The stream of all runs, on one connection.",
                "parameters": _STREAM_PARAMETERS,
                "responses": {"200": _stream(), **_errors()},
            }
        },
        "/api/health/live": {
            "get": {
                "summary": "The process answers.",
                "security": [],
                "responses": {"200": _answer("Live.", _object({"status": {"const": "live"}})), **_errors()},
            }
        },
        "/api/health/ready": {
            "get": {
                "summary": "Requests are taken; if not, `error` says why.",
                "security": [],
                "responses": {
                    "200": _answer("Ready.", _object({"status": {"const": "ready"}, "epoch": _TEXT})),
                    **_errors(),
                },
            }
        },
        "/metrics": {
            "get": {
                "summary": "What is counted, for Prometheus.",
                "responses": {
                    "200": {"description": "Its text format, 0.0.4.", **_content(_TEXT, "text/plain")},
                    **_errors(),
                },
            }
        },
        "/api/openapi.json": {
            "get": {
                "summary": "This document.",
                "responses": {"200": _answer("OpenAPI 3.2.", _object({"openapi": _TEXT})), **_errors()},
            }
        },
    }


def _stored(event: str) -> dict[str, Any]:
    return {"allOf": [_ref(event), _ref("Stamp"), _object({"cursor": _TEXT})]}


def _schemas() -> dict[str, Any]:
    (event, *_), derived = msgspec.json.schema_components(
        [Event, RunState, PhaseSpec], ref_template="#/components/schemas/{name}"
    )
    for name, fields in TIMES.items():
        for field in fields:
            derived[name]["properties"][field] = {"type": ["string", "null"], "format": "date-time"}
    for schema in derived.values():
        # What the types say to those who write code is not for those who read the API.
        schema.pop("description", None)
    derived["PhaseSpec"]["properties"] = {
        "name": {"type": "string", "minLength": 1},
        "weight": {"type": "number", "exclusiveMinimum": 0, "default": 1},
    }
    derived["RunState"]["required"] = sorted(derived["RunState"]["properties"])
    problem = _object(
        {"field": _TEXT, "message": _TEXT, "expected": _TEXT, "received": _TEXT_OR_NULL},
        {"line": {"type": "integer", "minimum": 1, "description": "Of an ingest body."}},
    )
    described = {
        "run": _TEXT,
        "status": _TEXT,
        "url": _TEXT,
        "events": _TEXT,
        "page": _TEXT_OR_NULL,
    }
    return {
        **derived,
        "Event": event,
        "Error": _object(
            {
                "error": _object(
                    {
                        "code": _TEXT,
                        "message": {"type": "string", "minLength": 1},
                        "details": {"anyOf": [{"type": ["object", "null"]}, _array(problem, minItems=1)]},
                    }
                )
            }
        ),
        "Pipelines": _object(
            {
                "pipelines": _array(
                    _object(
                        {
                            "name": _TEXT,
                            "title": _TEXT,
                            "doc": _TEXT,
                            "phases": _array(_ref("PhaseSpec")),
                            "schema": {"type": "object"},
                            "timeLimitSeconds": {"type": ["number", "null"], "exclusiveMinimum": 0},
                        }
                    )
                ),
                "problems": _array(_object({"reference": _TEXT, "message": _TEXT})),
            }
        ),
        "NewRun": _object(described),
        "Retry": _object(
            {},
            {
                "items": {"enum": ["failed", "all"], "default": "failed"},
                "parameters": {
                    "type": "object",
                    "description": "Those that are to differ from the old run's.",
                },
            },
            additionalProperties=False,
        ),
        "NewExternalRunAnswer": _object(
            {**described, "token": {"type": "string", "description": "Of this run's producer; told once."}}
        ),
        "NewExternalRun": _object(
            {"title": {"type": "string", "pattern": r"\S"}},
            {
                "pipeline": _TEXT_OR_NULL,
                "owner": _TEXT_OR_NULL,
                "host": _TEXT_OR_NULL,
                "program": _TEXT_OR_NULL,
                "run": {"type": "string", "pattern": "^[a-z0-9]{10}$"},
                "token": {"type": "string", "pattern": "^[A-Za-z0-9_-]{20,200}$"},
                "time": {"type": ["string", "null"], "pattern": _TIME},
                "pid": {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1},
                "timeLimitSeconds": {
                    "type": ["number", "null"],
                    "exclusiveMinimum": 0,
                    "exclusiveMaximum": COUNT_LIMIT,
                },
                "parameters": {"type": "object"},
                "phases": _array(
                    _ref("PhaseSpec"), maxItems=PHASES_LIMIT, description="Each with a name of its own."
                ),
            },
            dependentRequired={"run": ["token"], "token": ["run"]},
            additionalProperties=False,
        ),
        "Stamp": _object(
            {
                "run": _TEXT,
                "seq": {"type": "integer", "minimum": 1},
                "time": {"type": "string", "format": "date-time"},
            }
        ),
        "Entry": {"allOf": [_ref("Event"), _ref("Stamp")]},
        "IngestLine": {
            "allOf": [
                _ref("Event"),
                _object(
                    {"seq": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}},
                    {"time": {"type": ["string", "null"], "pattern": _TIME}},
                ),
            ]
        },
        "Snapshot": {
            "allOf": [_ref("RunState"), _object({"event": {"const": "snapshot"}, "cursor": _TEXT})],
        },
        "SnapshotOfAll": _object(
            {"event": {"const": "snapshot"}, "cursor": _TEXT, "runs": _array(_ref("RunState"))}
        ),
        "Reset": _object({"event": {"const": "reset"}, "reason": _TEXT}, {"run": _TEXT}),
        "Removed": _object(
            {"event": {"const": "removed"}, "run": _TEXT, "time": {"type": "string", "pattern": _TIME}}
        ),
    }


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
            "paths": _paths(epoch),
            "components": {
                "schemas": _schemas(),
                "securitySchemes": {
                    "operators": bearer,
                    "operatorsInQuery": in_query,
                    "run": bearer,
                    "runInQuery": in_query,
                },
            },
        }
    )
