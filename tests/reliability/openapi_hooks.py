"""What Schemathesis is told of this API that its document cannot say. Loaded in Schemathesis' own process."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """Write a list as one JSON value a line; what is no list, as it stands."""
    if isinstance(value, bytes):
        return value
    values = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(one) for one in values).encode()


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what is refused with 422 although no JSON Schema can say so.

    Registrations with two phases of one name; and whole numbers that are written with a fraction (``5.0``).
    """
    if _has_whole_fraction(case.body):
        return False
    phases = case.body.get("phases") if isinstance(case.body, dict) else None
    if not isinstance(phases, list):
        return True
    names = [phase.get("name") for phase in phases if isinstance(phase, dict)]
    return not any(name in names[:place] for place, name in enumerate(names))


def _has_whole_fraction(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_whole_fraction, value.values()))
    if isinstance(value, list):
        return any(map(_has_whole_fraction, value))
    return isinstance(value, float) and value.is_integer()
