"""Start forms as literals, in every state of the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboards.session import (
    PipelineSpec,
    StartModel,
)
from tests.gallery.commands import LiteralStart
from tests.gallery.samples import LONG, MARKUP, NOW, RTL

PIPELINES = (
    PipelineSpec(
        "ImportPrices",
        "Import prices",
        "Load daily share prices into a database and summarise them.\n\n"
        "Every row is validated first; a bad row becomes a failed item and the rest goes on.",
        (("validate", 10), ("load", 70), ("summarise", 20)),
        {
            "type": "object",
            "properties": {
                "source": {
                    "type": "string",
                    "format": "path",
                    "description": "CSV file to load; empty: the prices that come with the examples.",
                },
                "database": {
                    "type": "string",
                    "format": "path",
                    "default": "prices.sqlite",
                    "description": "SQLite file to write.",
                },
                "repeat": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100,
                    "default": 1,
                    "description": "How many times over the rows are loaded, for a longer run.",
                },
                "since": {"type": "string", "format": "date", "description": "The first day that is loaded."},
                "on_duplicate": {
                    "enum": ["skip", "replace", "fail"],
                    "default": "skip",
                    "title": "When a row is there already",
                    "description": "What to do with a row whose symbol and day are in the database.",
                },
                "strict": {
                    "type": "boolean",
                    "default": False,
                    "description": "Fail the run at the first bad row instead of keeping it aside.",
                },
            },
            "required": ["repeat"],
        },
    ),
    PipelineSpec(
        "AuditFolder",
        "Audit folder",
        "Find duplicates and the largest files of a folder.",
        (("scan", 20), ("hash", 70), ("report", 10)),
        {
            "properties": {"folder": {"type": "string", "format": "path", "description": "Folder to read."}},
            "required": ["folder"],
        },
    ),
    PipelineSpec(
        "Count",
        "Count",
        "Count to n, with a delay.",
        (("count", 1),),
        {
            "properties": {
                "n": {"type": "integer", "minimum": 1, "default": 100, "description": "Count up to this."},
                "delay": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 10,
                    "default": 0.05,
                    "description": "Seconds between one and the next.",
                },
                "options": {"type": "object", "default": {"a": 1}, "description": "Anything else, as JSON."},
            }
        },
    ),
    PipelineSpec("NoParameters", "Rebuild the index", "", (), {}),
    PipelineSpec(
        "Odd",
        LONG[:120],
        MARKUP,
        ((MARKUP, 1), (RTL, 2)),
        {"properties": {MARKUP: {"type": "string", "description": MARKUP, "default": MARKUP}}},
    ),
)


def start_model(**params: Any) -> StartModel:
    """Return a model of a literal form."""
    params.setdefault("pipelines", PIPELINES)
    params.setdefault("commands", LiteralStart())
    return StartModel(now=NOW, clock=lambda: NOW, **params)


STARTS: dict[str, Callable[[], StartModel]] = {
    "form": start_model,
    "errors": lambda: start_model(
        typed={"repeat": "1000", "source": "/nowhere.csv"},
        errors={
            "source": "There is no file at /nowhere.csv.",
            "repeat": "Expected a whole number from 1 to 100, received 1000.",
        },
        notice="Two of the parameters were refused.",
    ),
    "busy": lambda: start_model(busy=True),
    "again": lambda: start_model(
        values={"source": "/data/prices.csv", "repeat": 3}, again="7k2m", time_limit=3600.0
    ),
    "json": lambda: start_model(chosen="Count"),
    "no-parameters": lambda: start_model(chosen="NoParameters"),
    "markup": lambda: start_model(chosen="Odd", errors={MARKUP: MARKUP}, notice=MARKUP),
    "away": lambda: start_model(connection="away"),
    "none": lambda: start_model(pipelines=()),
    "literal": lambda: start_model(commands=None),
}
