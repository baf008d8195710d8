"""The fields of a form that a JSON schema of parameters asks for, and what was typed into them, read. Draws nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamer.model import formatting

Schema = Mapping[str, Any]

#: What a form shows and takes at most.
FIELDS_SHOWN = 100
CHOICES_SHOWN = 500
VALUE_LIMIT = 20_000


def read_values(schema: Schema, raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read what was typed as what the schema asks for: the values, and what is wrong by parameter.

    A field left empty is left out, so that the pipeline's own default holds; a required one is wrong then. A list that
    was filled in and is empty now is an empty list.
    """
    required = set(schema.get("required") or ())
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, one in (schema.get("properties") or {}).items():
        value = raw.get(name)
        if value is None or value == "":
            if name in required and _field_kind(one) != "boolean":
                errors[name] = "This is required."
            elif value == "" and _field_kind(one) == "lines" and one.get("default"):
                values[name] = []
            continue
        try:
            values[name] = _read(value, one)
        except ValueError as error:
            values[name] = value if not isinstance(value, str) else value[:VALUE_LIMIT]
            errors[name] = str(error)
    return values, errors


def _read(value: Any, schema: Schema) -> Any:
    kind = _field_kind(schema)
    if kind == "boolean":
        return value is True
    if kind == "choice":
        return _chosen(value, schema)
    # From a browser: what is not text is none of what a field gives.
    value = value if isinstance(value, str) else ""
    if len(value) > VALUE_LIMIT:
        raise ValueError(f"At most {VALUE_LIMIT:,} characters.")
    if kind in ("integer", "number"):
        return _number(value, schema, whole=kind == "integer")
    if kind == "lines":
        return [line.strip() for line in value.splitlines() if line.strip()]
    if kind == "json":
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('Expected JSON, for example ["a", "b"].') from None
    return value


def _chosen(value: Any, schema: Schema) -> Any:
    choices = list(schema.get("enum") or ())
    if isinstance(value, str) and value.isdecimal() and int(value) < len(choices):
        return choices[int(value)]
    raise ValueError("Choose one of those on offer.")


def _number(text: str, schema: Schema, *, whole: bool) -> float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        raise ValueError("Expected a whole number." if whole else "Expected a number.") from None
    checks = (
        ("minimum", number >= schema.get("minimum", number), "At least {}."),
        ("maximum", number <= schema.get("maximum", number), "At most {}."),
        (
            "exclusiveMinimum",
            "exclusiveMinimum" not in schema or number > schema["exclusiveMinimum"],
            "More than {}.",
        ),
        (
            "exclusiveMaximum",
            "exclusiveMaximum" not in schema or number < schema["exclusiveMaximum"],
            "Less than {}.",
        ),
    )
    for key, holds, text_ in checks:
        if not holds:
            raise ValueError(text_.format(f"{schema[key]:,}"))
    return number


def _kinds(schema: Schema) -> list[str]:
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else list(kind or ())
    for option in schema.get("anyOf") or ():
        kinds += _kinds(option)
    return [one for one in kinds if one != "null"]


def _field_kind(schema: Schema) -> str:
    """Return what a parameter's field is: choice, boolean, integer, number, lines, json, path, date or text."""
    if schema.get("enum"):
        return "choice"
    kinds = _kinds(schema)
    if len(kinds) == 1 and kinds[0] in ("boolean", "integer", "number"):
        return kinds[0]
    if kinds and set(kinds) <= {"integer", "number"}:
        return "number"
    if kinds == ["array"] and (schema.get("items") or {}).get("type") == "string":
        return "lines"
    if any(kind in ("array", "object") for kind in kinds):
        return "json"
    form = str(schema.get("format") or "")
    if form in ("path", "file-path", "directory-path"):
        return "path"
    return "date" if form == "date" else "text"


def fields_of(schema: Schema, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a form shows of each parameter, filled with `values` where they differ from the defaults."""
    required = set(schema.get("required") or ())
    properties = schema.get("properties") or {}
    return [
        _field(name, one, name in required, values) for name, one in list(properties.items())[:FIELDS_SHOWN]
    ]


def _field(name: str, schema: Schema, required: bool, values: Mapping[str, Any]) -> dict[str, Any]:
    kind = _field_kind(schema)
    default = schema.get("default")
    value = values.get(name, default)
    choices = list(schema.get("enum") or ())[:CHOICES_SHOWN]
    if kind == "choice":
        chosen = name in values or "default" in schema
        shown: Any = str(choices.index(value)) if chosen and value in choices else ""
    elif kind == "boolean":
        shown = value is True
    elif kind == "lines" and isinstance(value, list):
        shown = "\n".join(str(one) for one in value)
    elif kind == "json" and value is not None and not isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=False)
    else:
        shown = "" if value is None else str(value)
    return {
        "name": name,
        "label": formatting.cut(str(schema.get("title") or _spaced(name)), 100),
        "kind": kind,
        "value": shown,
        "choices": ["none" if choice is None else formatting.cut(str(choice), 200) for choice in choices],
        "required": required,
        "help": formatting.cut(str(schema.get("description") or ""), 1_000),
        "hint": _hint(kind, schema),
        "min": schema.get("minimum"),
        "max": schema.get("maximum"),
        "default": ""
        if default is None or kind in ("boolean", "choice", "lines")
        else formatting.cut(str(default), 200),
    }


def _spaced(name: str) -> str:
    return name.replace("_", " ").strip().capitalize() or name


def _hint(kind: str, schema: Schema) -> str:
    """Return what is to be written into a field, where that is not plain."""
    if kind in ("integer", "number"):
        return _bounds(schema)
    if kind == "path":
        noun = {"file": "a file", "folder": "a folder"}.get(str(schema.get("x-path")), "a path")
        return f"{noun} on the streamer's machine"
    return {"lines": "one a line", "json": "as JSON"}.get(kind, "")


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    parts = []
    for bound, text in ((low, "at least"), (above, "more than"), (high, "at most"), (below, "less than")):
        if bound is not None:
            parts.append(f"{text} {bound:,}")
    return ", ".join(parts)


def wrong_fields(details: Any) -> Mapping[str, str]:
    """Return what was expected of which parameter, as far as the streamer says."""
    found: dict[str, str] = {}
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and isinstance(detail.get("field"), str):
            text = detail.get("message") or detail.get("expected")
            found[detail["field"]] = str(text)[:1000]
    return found
