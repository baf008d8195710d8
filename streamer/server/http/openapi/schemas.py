"""The schemas of the OpenAPI document: those of events and states are generated from their types. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streamer.model.bounds import COUNT_LIMIT, PHASES_LIMIT
from streamer.model.events import OUTCOMES, Event, PhaseSpec
from streamer.model.state import RunState
from streamer.protocol.frames import TIMES
from streamer.server.http.openapi.parts import TEXT, TEXT_OR_NULL, TIME, array, or_null, ref, structure

_DATE_TIME: Final = {"type": "string", "format": "date-time"}
_ENDS: Final = structure(dict.fromkeys(("p10", "p50", "p90"), _DATE_TIME))


def schemas() -> dict[str, Any]:
    """Return all schemas by their names."""
    (event, *_), derived = msgspec.json.schema_components(
        [Event, RunState, PhaseSpec], ref_template="#/components/schemas/{name}"
    )
    for name, fields in TIMES.items():
        for field in fields:
            derived[name]["properties"][field] = {"type": ["string", "null"], "format": "date-time"}
    for schema in derived.values():
        # The docstrings of the types are for programmers, not for readers of the API.
        schema.pop("description", None)
    derived["PhaseSpec"]["properties"] = {
        "name": {"type": "string", "minLength": 1},
        "weight": {"type": "number", "exclusiveMinimum": 0, "default": 1},
    }
    derived["Estimated"]["properties"] |= {"time": _DATE_TIME, "end": or_null(_ENDS)}
    derived["Estimated"]["required"] = sorted(derived["Estimated"]["properties"])
    derived["RunState"]["properties"]["outcome"] = {"enum": [*OUTCOMES, None]}
    derived["RunState"]["required"] = sorted(derived["RunState"]["properties"])
    problem = structure(
        {"field": TEXT, "message": TEXT, "expected": TEXT, "received": TEXT_OR_NULL},
        {"line": {"type": "integer", "minimum": 1, "description": "Of an ingest body."}},
    )
    described = {
        "run": TEXT,
        "status": TEXT,
        "url": TEXT,
        "events": TEXT,
        "page": TEXT_OR_NULL,
    }
    return {
        **derived,
        "Event": event,
        "Error": structure(
            {
                "error": structure(
                    {
                        "code": TEXT,
                        "message": {"type": "string", "minLength": 1},
                        "details": {"anyOf": [{"type": ["object", "null"]}, array(problem, minItems=1)]},
                    }
                )
            }
        ),
        "Pipelines": structure(
            {
                "pipelines": array(
                    structure(
                        {
                            "name": TEXT,
                            "title": TEXT,
                            "doc": TEXT,
                            "phases": array(ref("PhaseSpec")),
                            "schema": {"type": "object"},
                            "timeLimitSeconds": {"type": ["number", "null"], "exclusiveMinimum": 0},
                        }
                    )
                ),
                "problems": array(structure({"reference": TEXT, "message": TEXT})),
            }
        ),
        "NewRun": structure(described),
        "Retry": structure(
            {},
            {
                "items": {"enum": ["failed", "rest", "all"], "default": "failed"},
                "parameters": {
                    "type": "object",
                    "description": "Those that are to differ from the old run's.",
                },
            },
            additionalProperties=False,
        ),
        "NewExternalRunAnswer": structure(
            {**described, "token": {"type": "string", "description": "Of this run's producer; told once."}}
        ),
        "NewExternalRun": structure(
            {"title": {"type": "string", "pattern": r"\S"}},
            {
                "pipeline": TEXT_OR_NULL,
                "owner": TEXT_OR_NULL,
                "host": TEXT_OR_NULL,
                "program": TEXT_OR_NULL,
                "run": {"type": "string", "pattern": "^[a-z0-9]{10}$"},
                "token": {"type": "string", "pattern": "^[A-Za-z0-9_-]{20,200}$"},
                "time": {"type": ["string", "null"], "pattern": TIME},
                "pid": {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1},
                "timeLimitSeconds": {
                    "type": ["number", "null"],
                    "exclusiveMinimum": 0,
                    "exclusiveMaximum": COUNT_LIMIT,
                },
                "parameters": {"type": "object"},
                "phases": array(
                    ref("PhaseSpec"), maxItems=PHASES_LIMIT, description="Each with a name of its own."
                ),
            },
            dependentRequired={"run": ["token"], "token": ["run"]},
            additionalProperties=False,
        ),
        "Stamp": structure(
            {
                "run": TEXT,
                "seq": {"type": "integer", "minimum": 1},
                "time": {"type": "string", "format": "date-time"},
            }
        ),
        "Entry": {"allOf": [ref("Event"), ref("Stamp")]},
        "IngestLine": {
            "allOf": [
                ref("Event"),
                structure(
                    {"seq": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}},
                    {"time": {"type": ["string", "null"], "pattern": TIME}},
                ),
            ]
        },
        "Snapshot": {
            "allOf": [ref("RunState"), structure({"event": {"const": "snapshot"}, "cursor": TEXT})],
        },
        "SnapshotOfAll": structure(
            {"event": {"const": "snapshot"}, "cursor": TEXT, "runs": array(ref("RunState"))}
        ),
        "Reset": structure({"event": {"const": "reset"}, "reason": TEXT}, {"run": TEXT}),
        "Removed": structure(
            {"event": {"const": "removed"}, "run": TEXT, "time": {"type": "string", "pattern": TIME}}
        ),
    }
