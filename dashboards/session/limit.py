"""The field of a form for the run's time limit: what it shows, and reading it. It is no parameter of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dashboards.session.values import PipelineSpec
from streamer.model.bounds import COUNT_LIMIT

#: The name of the field: a name that no parameter has.
LIMIT_FIELD: Final = "time-limit"


def limit_field(spec: PipelineSpec, value: float | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field, as `dashboards.form_fields.fields_of` returns those of parameters.

    Args:
        spec: The pipeline.
        value: The limit that the form is filled with, in seconds; None: nothing.
        typed: The fields as they were sent last.
    """
    own = spec.time_limit_seconds
    default = "any time" if own is None else f"{own:g}"
    return {
        "name": LIMIT_FIELD,
        "label": "Time limit in seconds",
        "kind": "number",
        "value": str(typed.get(LIMIT_FIELD, "" if value is None else f"{value:g}")),
        "nullable": False,
        "none": False,
        "choices": [],
        "required": False,
        "secret": False,
        "help": "The run is cancelled when it takes longer; 0 lets it take any time.",
        "hint": "",
        "min": 0,
        "max": None,
        "default": default,
        "watched": False,
    }


def read_limit(value: Any) -> tuple[float | None, str]:
    """Return the limit that was typed (None: nothing), and what is wrong with it.

    Args:
        value: The field as it was sent.
    """
    if not isinstance(value, str) or not value.strip():
        return None, ""
    try:
        limit = float(value[:40])
    except ValueError:
        return None, "Expected a number of seconds."
    return (limit, "") if 0 <= limit <= COUNT_LIMIT else (None, "Expected a number of seconds, 0 or more.")
