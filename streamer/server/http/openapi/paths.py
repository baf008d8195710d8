"""The requests of the API in the OpenAPI document: what each takes, and what it answers. Pure."""

from __future__ import annotations

from typing import Any

from streamer.model.events import LEVELS
from streamer.server.http.openapi.estimates import estimate_paths
from streamer.server.http.openapi.parts import (
    COUNT,
    FORMAT,
    LIFE,
    LIMIT,
    NDJSON,
    OWNER,
    PIPELINE_NAME,
    RUN_ID,
    STREAM_PARAMETERS,
    TEXT,
    TEXT_OR_NULL,
    TIME_LIMIT,
    answer,
    array,
    content,
    cursor,
    errors,
    query,
    ref,
    stored,
    stream,
    structure,
)
from streamer.server.http.openapi.runs_query import runs_query


def paths(epoch: str) -> dict[str, Any]:
    """Return all requests, by path and method; `epoch` is shown in the examples of cursors."""
    levels = [spelled for level in LEVELS for spelled in (level, level.lower())]
    return {
        "/api/pipelines": {
            "get": {
                "summary": "The pipelines on offer, with phases and the JSON schema of their parameters.",
                "responses": {"200": answer("The pipelines.", ref("Pipelines")), **errors()},
            }
        },
        "/api/pipelines/{name}/runs": {
            "post": {
                "summary": "Start a run. With `Accept: text/event-stream` the answer is the new run's stream.",
                "parameters": [
                    PIPELINE_NAME,
                    query(
                        "on_disconnect",
                        "`cancel`: cancel the run when this client leaves.",
                        {"type": "string", "enum": ["", "cancel"]},
                    ),
                    query(
                        "check",
                        "`true`: check the parameters as a start does, and start nothing.",
                        {"type": "string", "enum": ["", "true"]},
                    ),
                    FORMAT,
                    TIME_LIMIT,
                    OWNER,
                ],
                "requestBody": {
                    "description": "The parameters; their schema is with the pipeline.",
                    **content({"type": "object"}),
                },
                "responses": {
                    "201": answer("The new run.", ref("NewRun"), created=True),
                    "200": {
                        "description": "The stream of the new run; with `check` the parameters as they are shown.",
                        "headers": {"Location": {"description": "Of a new run.", "schema": TEXT}},
                        "content": {
                            **stream()["content"],
                            **content(structure({"parameters": {"type": "object"}}))["content"],
                        },
                    },
                    **errors("404", "415", "422"),
                },
            }
        },
        "/api/pipelines/{name}/form": {
            "post": {
                "summary": "The form's values and schema after a change, from the pipeline's own watchers.",
                "parameters": [PIPELINE_NAME],
                "requestBody": {
                    "description": "The values so far, and the names of those that changed last.",
                    **content(
                        {
                            "type": "object",
                            "properties": {
                                "values": {"type": "object"},
                                "changed": array({"type": "string"}),
                            },
                            "additionalProperties": False,
                        }
                    ),
                },
                "responses": {
                    "200": answer(
                        "The form.",
                        structure(
                            {
                                "values": {"type": "object"},
                                "schema": {"type": "object"},
                                "problems": array({"type": "object"}),
                            }
                        ),
                    ),
                    **errors("404", "415", "422"),
                },
            }
        },
        **estimate_paths(),
        "/api/runs": {
            "get": {
                "summary": "Runs, newest first where no order is asked for.",
                "parameters": runs_query(),
                "responses": {
                    "200": answer(
                        "A page.",
                        structure(
                            {
                                "runs": array(ref("RunState")),
                                "next": TEXT_OR_NULL,
                                "total": COUNT,
                                "counts": {"type": "object", "additionalProperties": COUNT},
                            }
                        ),
                    ),
                    **errors("404"),
                },
            },
            "post": {
                "summary": "Register a run that somebody else executes.",
                "parameters": [OWNER],
                "requestBody": {"required": True, **content(ref("NewExternalRun"))},
                "responses": {
                    "201": answer(
                        "The run, and its ingest token.", ref("NewExternalRunAnswer"), created=True
                    ),
                    **errors("415", "422"),
                },
            },
        },
        "/api/runs/{run_id}": {
            "get": {
                "summary": "A run's state, what is known of its life now, and the cursor to resume its stream from.",
                "parameters": [RUN_ID],
                "responses": {
                    "200": {
                        "description": "The state; with `Accept: text/plain` what there is to say of it in one line.",
                        "content": {
                            **content(
                                {"allOf": [ref("RunState"), structure({"life": LIFE, "cursor": TEXT})]}
                            )["content"],
                            **content(TEXT, "text/plain")["content"],
                        },
                    },
                    **errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/badge.svg": {
            "get": {
                "summary": "Title and progress as an image, for a README or a wiki.",
                "parameters": [RUN_ID],
                "responses": {
                    "200": {"description": "The badge.", **content(TEXT, "image/svg+xml")},
                    **errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/line": {
            "get": {
                "summary": "What there is to say of a run in one line of text, for chats and prompts.",
                "parameters": [RUN_ID],
                "responses": {
                    "200": {"description": "The line.", **content(TEXT, "text/plain")},
                    **errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/events": {
            "get": {
                "summary": "The run's stream.",
                "parameters": [RUN_ID, *STREAM_PARAMETERS],
                "responses": {
                    "200": stream(),
                    "204": {"description": "The run is over and nothing follows."},
                    **errors("404"),
                },
            },
            "post": {
                "summary": "Ingest: a producer's events, one a line, each with its `seq`.",
                "parameters": [RUN_ID],
                "security": [{"run": []}, {"runInQuery": []}],
                "requestBody": {
                    "content": {NDJSON: {"schema": array(ref("IngestLine")), "itemSchema": ref("IngestLine")}}
                },
                "responses": {
                    "200": answer(
                        "What is stored, and what is asked of the producer.",
                        structure({"acknowledged": COUNT, "requests": array(TEXT)}),
                    ),
                    **errors("404", "409", "422"),
                },
            },
        },
        "/api/runs/{run_id}/log": {
            "get": {
                "summary": "Log lines, oldest first within a page; without a cursor the last ones.",
                "parameters": [
                    RUN_ID,
                    query("level", "The least level.", {"type": "string", "enum": ["", "log", *levels]}),
                    query("search", "Text that the message contains."),
                    cursor("before", "Lines before this cursor.", epoch),
                    cursor("after", "Lines after this cursor.", epoch),
                    LIMIT,
                ],
                "responses": {
                    "200": answer(
                        "A page.",
                        structure(
                            {
                                "lines": array(stored("Logged")),
                                "older": TEXT_OR_NULL,
                                "newer": TEXT_OR_NULL,
                                "total": {"type": ["integer", "null"], "minimum": 0},
                                "partial": {"type": "boolean"},
                            }
                        ),
                    ),
                    **errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/failures": {
            "get": {
                "summary": "Failed items with their errors, oldest first.",
                "parameters": [RUN_ID, cursor("after", "Those after this cursor.", epoch), LIMIT],
                "responses": {
                    "200": answer(
                        "A page.",
                        structure(
                            {
                                "failures": array(stored("ItemFailed")),
                                "next": TEXT_OR_NULL,
                                "total": COUNT,
                            }
                        ),
                    ),
                    **errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/cancel": {
            "post": {
                "summary": "Ask the run to end.",
                "parameters": [RUN_ID],
                "requestBody": content({"type": "object", "properties": {"by": TEXT}}),
                "responses": {
                    "202": answer("Asked.", structure({"run": TEXT, "status": TEXT})),
                    **errors("404", "409", "415", "422"),
                },
            }
        },
        "/api/runs/{run_id}/ticket": {
            "post": {
                "summary": "A secret that cancels this run and does nothing else, for a page of another origin.",
                "parameters": [RUN_ID],
                "responses": {
                    "201": answer(
                        "The ticket.", structure({"run": TEXT, "ticket": TEXT, "page": TEXT_OR_NULL})
                    ),
                    **errors("404"),
                },
            }
        },
        "/api/runs/{run_id}/retry": {
            "post": {
                "summary": "Start a run, linked to this one, of its failed items or of everything.",
                "parameters": [RUN_ID, TIME_LIMIT, OWNER],
                "requestBody": content(ref("Retry")),
                "responses": {
                    "201": answer("The new run.", ref("NewRun"), created=True),
                    **errors("404", "409", "415", "422"),
                },
            }
        },
        "/api/events": {
            "get": {
                "summary": "The stream of all runs, on one connection.",
                "parameters": STREAM_PARAMETERS,
                "responses": {"200": stream(), **errors()},
            }
        },
        "/api/health/live": {
            "get": {
                "summary": "The process answers.",
                "security": [],
                "responses": {"200": answer("Live.", structure({"status": {"const": "live"}})), **errors()},
            }
        },
        "/api/health/ready": {
            "get": {
                "summary": "Requests are taken; if not, `error` says why.",
                "security": [],
                "responses": {
                    "200": answer(
                        "Ready.", structure({"status": {"const": "ready"}, "epoch": TEXT, "damage": TEXT})
                    ),
                    **errors(),
                },
            }
        },
        "/metrics": {
            "get": {
                "summary": "What is counted, for Prometheus.",
                "responses": {
                    "200": {"description": "Its text format, 0.0.4.", **content(TEXT, "text/plain")},
                    **errors(),
                },
            }
        },
        "/api/openapi.json": {
            "get": {
                "summary": "This document.",
                "responses": {"200": answer("OpenAPI 3.2.", structure({"openapi": TEXT})), **errors()},
            }
        },
    }
