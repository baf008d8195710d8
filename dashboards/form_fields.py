"""The fields of a form, made from the JSON schema of parameters, and the values that they hold. Draws nothing.

`fields_of` shows values as fields, `read_values` reads the fields as values. A field that nobody touched keeps its
exact value: `read_values` compares the field with the one that `fields_of` makes of the same values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from streamer.model import formatting
from streamer.model.parameters.secret import is_hidden

Schema = Mapping[str, Any]

#: The bounds of a form.
FIELDS_SHOWN = 100
CHOICES_SHOWN = 500
VALUE_LIMIT = 20_000


def read_values(
    schema: Schema, raw: Mapping[str, Any], filled: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the fields of a form as values.

    Args:
        schema: The JSON schema of the parameters.
        raw: The fields by name, as a browser sends them: text, True or False of a checkbox, None where the reader
            chose no value.
        filled: The values that the form was filled with; None: the defaults alone.

    Returns:
        The values, and what is wrong by parameter. A parameter whose default was not touched is left out, so that the
        pipeline's own default holds.
    """
    filled = {} if filled is None else filled
    required = set(schema.get("required") or ())
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, one in (schema.get("properties") or {}).items():
        sent = raw.get(name, _MISSING)
        if sent is _MISSING or _is_untouched(sent, one, name, filled):
            if name in filled and is_hidden(filled[name], is_secret=bool(one.get("writeOnly"))):
                errors[name] = "This is a secret, and was not kept: give it again."
            elif name in filled:
                values[name] = filled[name]
            elif name in required and "default" in one and sent is not _MISSING:
                values[name] = one["default"]
            elif name in required:
                errors[name] = "This is required."
            continue
        base = filled.get(name, one.get("default"))
        kind = _field_kind(one, base)
        if sent is None or (sent == "" and kind not in _EMPTY_IS_VALUE):
            # An emptied field has no value: that is None where None is allowed, else the pipeline's default.
            if _allows_none(one):
                values[name] = None
            elif name in required:
                errors[name] = "This is required."
            continue
        try:
            values[name] = _read(sent, one, kind)
        except ValueError as error:
            values[name] = sent if not isinstance(sent, str) else sent[:VALUE_LIMIT]
            errors[name] = str(error)
    return values, errors


_MISSING: Any = object()
#: The fields of which an empty one is a value: an empty text, an empty list.
_EMPTY_IS_VALUE = frozenset({"text", "lines", "any"})


def _is_untouched(sent: Any, schema: Schema, name: str, filled: Mapping[str, Any]) -> bool:
    field = _field(name, schema, required=False, values=filled)
    if sent is None or field["none"]:
        return sent is None and bool(field["none"])
    shown = field["value"]
    if isinstance(sent, str) and isinstance(shown, str):
        return _lines(sent) == _lines(shown)
    return isinstance(sent, bool) and sent is shown


def _lines(text: str) -> str:
    # A browser sends every end of a line as "\n".
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(value: Any, schema: Schema, kind: str) -> Any:
    if kind == "boolean":
        return value is True
    if kind == "choice":
        return _chosen(value, schema)
    # Only a client that is no form sends something else than text.
    value = value if isinstance(value, str) else ""
    if len(value) > VALUE_LIMIT:
        raise ValueError(f"At most {VALUE_LIMIT:,} characters.")
    if kind in ("integer", "number"):
        return _number(value, schema, whole=kind == "integer")
    if kind == "lines":
        return _items(value)
    if kind == "any":
        try:
            return _parsed(value)
        except ValueError:
            return value
    if kind == "json":
        try:
            return _parsed(value)
        except ValueError:
            raise ValueError('Expected JSON, for example ["a", "b"].') from None
    return value


def _items(text: str) -> list[str]:
    return [line for line in _lines(text).split("\n") if line.strip()]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _chosen(value: Any, schema: Schema) -> Any:
    choices = _choices(schema)
    if isinstance(value, str) and value.isdecimal() and int(value) < len(choices):
        return choices[int(value)]
    raise ValueError("Choose one of those on offer.")


def _number(text: str, schema: Schema, *, whole: bool) -> float:
    try:
        number = _whole_or_real(text, whole=whole)
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


def _whole_or_real(text: str, *, whole: bool) -> float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if whole or not math.isfinite(number):
        raise ValueError(text)
    return number


def _kinds(schema: Schema) -> list[str]:
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else list(kind or ())
    for option in schema.get("anyOf") or ():
        kinds += _kinds(option)
    return kinds


def _allows_none(schema: Schema) -> bool:
    kinds = _kinds(schema)
    return "null" in kinds or not kinds or None in (schema.get("enum") or ())


def _choices(schema: Schema) -> list[Any]:
    """Return the values that a field of choices offers."""
    if schema.get("enum"):
        return list(schema["enum"])[:CHOICES_SHOWN]
    # A checkbox has no third state.
    return [None, True, False]


def _field_kind(schema: Schema, value: Any) -> str:
    """Return what shows a parameter: choice, boolean, integer, number, lines, json, any, path, date or text.

    Args:
        schema: The parameter's JSON schema.
        value: The value that the field is filled with. A list of texts that lines cannot hold is shown as JSON.
    """
    if schema.get("enum"):
        return "choice"
    all_kinds = _kinds(schema)
    kinds = [one for one in all_kinds if one != "null"]
    if kinds == ["boolean"] and "null" in all_kinds:
        return "choice"
    if len(kinds) == 1 and kinds[0] in ("boolean", "integer", "number"):
        return kinds[0]
    if kinds and set(kinds) <= {"integer", "number"}:
        return "number"
    if kinds == ["array"] and (schema.get("items") or {}).get("type") == "string":
        return "lines" if _fits_lines(value) else "json"
    form = str(schema.get("format") or "")
    if form == "password":
        return "text"
    if form in ("path", "file-path", "directory-path"):
        return "path"
    if form:
        return "date" if form == "date" else "time"
    if kinds == ["string"]:
        return "text"
    return "json" if kinds and "string" not in kinds else "any"


def _fits_lines(value: Any) -> bool:
    if not isinstance(value, list):
        return True
    return all(isinstance(one, str) for one in value) and _items("\n".join(value)) == value


def fields_of(
    schema: Schema, values: Mapping[str, Any], typed: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return what a form shows of each parameter.

    Args:
        schema: The JSON schema of the parameters.
        values: The values that the form is filled with, where they differ from the defaults.
        typed: Fields as `read_values` takes them, to be shown again; None: nothing was typed.

    Returns:
        One mapping for each field. ``value`` is its text, or True or False of a checkbox; ``nullable`` says whether
        the field offers None beside it, ``none`` whether None is chosen.
    """
    required = set(schema.get("required") or ())
    properties = schema.get("properties") or {}
    fields = [
        _field(name, one, required=name in required, values=values)
        for name, one in list(properties.items())[:FIELDS_SHOWN]
    ]
    for field in fields if typed else ():
        # A secret that was typed stays in its field, and is not sent back.
        sent = typed.get(field["name"], _MISSING) if typed and not field["secret"] else _MISSING
        if sent is None:
            field |= {"none": field["nullable"], "value": ""}
        elif isinstance(sent, bool if field["kind"] == "boolean" else str):
            field |= {"none": False, "value": sent}
    return fields


def _field(name: str, schema: Schema, *, required: bool, values: Mapping[str, Any]) -> dict[str, Any]:
    default = schema.get("default")
    secret = bool(schema.get("writeOnly"))
    # A form filled with the values of a run has an ellipsis for each secret of it.
    value = default if secret else values.get(name, default)
    kind = _field_kind(schema, value)
    is_known = (name in values and not secret) or "default" in schema
    choices = _choices(schema) if kind == "choice" else []
    # The other kinds say None by a choice, as an empty field or as JSON.
    nullable = kind in ("text", "lines", "path", "time", "date", "integer", "number") and _allows_none(schema)
    return {
        "name": name,
        "label": formatting.cut(str(schema.get("title") or _spaced(name)), 100),
        "kind": kind,
        "value": _shown(kind, value, choices) if is_known else (False if kind == "boolean" else ""),
        "nullable": nullable,
        "none": nullable and is_known and value is None,
        "choices": [_choice_text(choice, schema) for choice in choices],
        "required": required or (secret and name in values and is_hidden(values[name], is_secret=True)),
        "secret": secret,
        "help": formatting.cut(str(schema.get("description") or ""), 1_000),
        "hint": _hint(kind, schema),
        "min": schema.get("minimum"),
        "max": schema.get("maximum"),
        "watched": bool(schema.get("x-watched")),
        "default": ""
        if default is None or kind in ("boolean", "choice", "lines", "text", "any")
        else formatting.cut(str(default), 200),
    }


def _shown(kind: str, value: Any, choices: list[Any]) -> Any:
    if kind == "choice":
        return next((str(i) for i, choice in enumerate(choices) if _same(choice, value)), "")
    if kind == "boolean":
        return value is True
    if kind == "lines" and isinstance(value, list):
        return "\n".join(value)
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    if kind == "any":
        return (
            value
            if isinstance(value, str) and not _needs_quotes(value)
            else json.dumps(value, ensure_ascii=False)
        )
    return "" if value is None else str(value)


def _needs_quotes(text: str) -> bool:
    try:
        _parsed(text)
    except ValueError:
        return "\r" in text
    return True


def _same(one: Any, other: Any) -> bool:
    # To Python, True is 1.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _choice_text(choice: Any, schema: Schema) -> str:
    if choice is None:
        return "none"
    if isinstance(choice, bool) and not schema.get("enum"):
        return "yes" if choice else "no"
    return formatting.cut(str(choice), 200)


def _spaced(name: str) -> str:
    return name.replace("_", " ").strip().capitalize() or name


def _hint(kind: str, schema: Schema) -> str:
    """Return what is to be written into a field, where that is not plain."""
    if kind in ("integer", "number"):
        return _bounds(schema)
    if kind == "path":
        noun = {"file": "a file", "folder": "a folder"}.get(str(schema.get("x-path")), "a path")
        return f"{noun} on the streamer's machine"
    return {"lines": "one a line", "json": "as JSON", "any": "text or JSON"}.get(kind, "")


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


def default_values(schema: Schema, *, watched: bool = False) -> dict[str, Any]:
    """Return the defaults that the schema tells.

    Args:
        schema: The JSON schema of the parameters.
        watched: Whether only parameters count that others depend on.
    """
    return {
        name: one.get("default")
        for name, one in (schema.get("properties") or {}).items()
        if (one.get("x-watched") if watched else "default" in one)
    }


def said_value(value: Any) -> str:
    """Return a value as a sentence has it: a text in quotes, the rest as JSON, within bounds."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return f"'{formatting.cut(value, 100)}'"
    return formatting.cut(json.dumps(value, ensure_ascii=False), 100)


def wrong_fields(details: Any) -> Mapping[str, str]:
    """Return what was expected of which parameter, as far as the streamer says."""
    found: dict[str, str] = {}
    for detail in details if isinstance(details, list | tuple) else ():
        if isinstance(detail, Mapping) and isinstance(detail.get("field"), str):
            text = detail.get("message") or detail.get("expected")
            found[detail["field"]] = str(text)[:1000]
    return found
