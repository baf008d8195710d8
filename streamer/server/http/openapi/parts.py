"""The pieces of which the OpenAPI document is made: answers, errors, query parameters. Pure."""

from __future__ import annotations

from typing import Any, Final

from streamer.model.bounds import COUNT_LIMIT
from streamer.protocol.frames import FRAME_KINDS
from streamer.protocol.paging import MOST_PER_PAGE

JSON: Final = "application/json"
STREAM: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"
ERRORS: Final = {
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
#: The answers that any request may get.
ANY: Final = ("400", "401", "403", "413", "500", "503")
HEADERS: Final = {
    "401": {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    "503": {
        "Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer"}},
    },
}
#: RFC 3339 from 1970 on. (29 February, which depends on the year, is beyond it; it is taken nevertheless.)
TIME: Final = (
    r"^(19[7-9]\d|[2-9]\d{3})-"
    r"((0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)
TEXT: Final = {"type": "string"}
TEXT_OR_NULL: Final = {"type": ["string", "null"]}
COUNT: Final = {"type": "integer", "minimum": 0}


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema of this document."""
    return {"$ref": f"#/components/schemas/{name}"}


def structure(
    required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return the schema of a JSON object with these required and optional properties."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        **more,
    }


def array(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **more}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that may be null."""
    return {"oneOf": [schema, {"type": "null"}]}


def content(schema: dict[str, Any], kind: str = JSON) -> dict[str, Any]:
    """Return the content of a body: its schema, and its media type.

    Args:
        schema: The body's schema.
        kind: Its media type.

    """
    return {"content": {kind: {"schema": schema}}}


def answer(text: str, schema: dict[str, Any], *, created: bool = False) -> dict[str, Any]:
    """Return an answer with a JSON body; `created` adds the header `Location`.

    Args:
        text: The description.
        schema: The body's schema.
        created: Whether the answer has a `Location`.

    """
    answer = {"description": text, **content(schema)}
    if created:
        answer["headers"] = {"Location": {"required": True, "schema": TEXT}}
    return answer


def errors(*codes: str) -> dict[str, Any]:
    """Return the answers of the errors with these codes, and of those that any request may have."""
    return {
        code: {
            "description": ERRORS[code],
            **content(ref("Error")),
            **({"headers": HEADERS[code]} if code in HEADERS else {}),
        }
        for code in sorted({*ANY, *codes})
    }


def query(name: str, text: str, schema: dict[str, Any] = TEXT, **more: Any) -> dict[str, Any]:
    """Return a query parameter.

    Args:
        name: The parameter's name.
        text: Its description.
        schema: Its schema.
        **more: Further fields of the parameter.

    """
    return {"name": name, "in": "query", "description": text, "schema": schema, **more}


def header(name: str, text: str) -> dict[str, Any]:
    """Return a request header.

    Args:
        name: The header's name.
        text: Its description.

    """
    return {"name": name, "in": "header", "description": text, "schema": TEXT}


PIPELINE_NAME: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}
RUN_ID: Final = {
    "name": "run_id",
    "in": "path",
    "required": True,
    "description": "The run's id.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
FORMAT: Final = query(
    "format", "`data`: nothing but `data:` lines.", {"type": "string", "enum": ["", "sse", "data"]}
)
FROM: Final = query(
    "from",
    "`start`: replay everything instead of beginning with a snapshot.",
    {"type": "string", "enum": ["", "start"]},
)
STREAM_PARAMETERS: Final = [
    query("last_event_id", "The cursor to resume from, for clients that cannot send `Last-Event-ID`."),
    FROM,
    FORMAT,
    header("Last-Event-ID", "The cursor to resume from."),
]
OWNER: Final = header("X-Streamer-Owner", "Who starts it; the streamer's own user by default.")
TIME_LIMIT: Final = query(
    "time_limit_seconds",
    "How long the run may take, in seconds; 0: any time.",
    {"type": "number", "minimum": 0, "maximum": COUNT_LIMIT},
)
LIMIT: Final = query("limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE})


LIFE: Final = {
    "anyOf": [
        structure(
            {
                "silentSeconds": {"type": "number", "minimum": 0},
                "process": {"anyOf": [ref("ProcessInfo"), {"type": "null"}]},
            }
        ),
        {"type": "null"},
    ],
    "description": "Null for a run that is over, or was not begun.",
}


def cursor(name: str, text: str, epoch: str) -> dict[str, Any]:
    """Return a parameter that takes a cursor of the log.

    Args:
        name: The parameter's name.
        text: Its description.
        epoch: Whether the cursor names the log's epoch.

    """
    return query(name, text, {"type": "string", "pattern": f"^(({epoch or '[0-9a-f]+'}-)?[0-9]{{1,18}})?$"})


def stream() -> dict[str, Any]:
    """Return the answer that is an event stream."""
    data = {
        "type": "string",
        "contentMediaType": JSON,
        "contentSchema": {
            "anyOf": [ref(name) for name in ("Entry", "Snapshot", "SnapshotOfAll", "Reset", "Removed")]
        },
    }
    event = structure(
        {"data": data},
        {
            "event": {"enum": [*FRAME_KINDS, "message"]},
            "id": TEXT,
            "retry": {"type": "integer", "minimum": 0},
        },
    )
    return {"description": "The stream.", "content": {STREAM: {"schema": {}, "itemSchema": event}}}


def stored(event: str) -> dict[str, Any]:
    """Return the schema of a stored event of one kind."""
    return {"allOf": [ref(event), ref("Stamp"), structure({"cursor": TEXT})]}
