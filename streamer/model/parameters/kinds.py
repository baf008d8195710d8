"""How each kind of parameter is carried in JSON: its schema, reading and writing one value. Knows nothing of pipelines.

What JSON cannot carry (callables, arrays, other Parameterized objects) has no `Kind`.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import param

from streamer.model.bounds import cut

#: Longest list of choices that a schema spells out; a longer one is checked all the same.
CHOICES_LIMIT: Final = 1_000
#: Deepest nesting of lists and objects in a value.
DEPTH_LIMIT: Final = 50


class Refused(ValueError):
    """A value that is not of its parameter's kind."""


@dataclass(frozen=True)
class Kind:
    """How one parameter is carried in JSON.

    `read` turns JSON into a Python value or raises `Refused`; it checks the kind, `param` itself the bounds. `write`
    does the opposite, and raises `TypeError` or `ValueError` for what JSON cannot carry. `expected` says in words what
    is accepted; with `nullable` so is None, which `schema` and `read` leave out.
    """

    schema: dict[str, Any]
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    expected: str
    nullable: bool = False
    #: Whether param's check is to be asked; an open selector's would add the value to the choices of the class.
    checked: bool = True


def kind_of(parameter: param.Parameter[Any]) -> Kind | None:
    """Return how a parameter is carried in JSON; None when it cannot be."""
    if type(parameter) is param.Parameter:
        return _any(parameter)
    for types, make in _MAKERS:
        if isinstance(parameter, types):
            return make(parameter)
    return None


def _any(p: Any) -> Kind | None:
    try:
        plain(p.default)
    except (TypeError, ValueError):
        return None
    return Kind({}, _checked, plain, "any JSON value", nullable=bool(p.allow_None))


def _boolean(p: Any) -> Kind:
    def read(value: Any) -> Any:
        if not isinstance(value, bool):
            raise Refused(f"must be true or false, not {type_name(value)}")
        return value

    return Kind({"type": "boolean"}, read, plain, "true or false", nullable=bool(p.allow_None))


def _number(p: Any) -> Kind:
    integer = isinstance(p, param.Integer)
    schema = {"type": "integer" if integer else "number", **_bounds(p)}
    expected = ("a whole number" if integer else "a number") + _bounds_text(schema)
    if p.step is not None:
        schema["x-step"] = p.step
    return Kind(schema, _read_integer if integer else _read_number, plain, expected, bool(p.allow_None))


def _string(p: Any) -> Kind:
    schema: dict[str, Any] = {"type": "string"}
    expected = "text"
    if p.regex is not None:
        pattern = p.regex if isinstance(p.regex, str) else p.regex.pattern
        portable = isinstance(p.regex, str) and not _PYTHON_ONLY.search(pattern)
        schema["pattern" if portable else "x-pattern"] = pattern
        expected = f"text that matches {pattern}"
    return Kind(schema, _read_string, plain, expected, bool(p.allow_None))


def _color(p: Any) -> Kind:
    schema = {"type": "string", "format": "color"}
    if not p.allow_named:
        schema["pattern"] = "^#?(([0-9a-fA-F]{2}){3}|([0-9a-fA-F]){3})$"
    expected = "a color such as #1e88e5" + (" or a CSS color name" if p.allow_named else "")
    return Kind(schema, _read_string, plain, expected, bool(p.allow_None))


def _path(p: Any) -> Kind:
    target = (
        "file" if isinstance(p, param.Filename) else "folder" if isinstance(p, param.Foldername) else "any"
    )

    def read(value: Any) -> Any:
        text = _read_string(value)
        if not text or "\0" in text:
            raise Refused("must not be empty" if not text else "must not contain a NUL character")
        if p.search_paths:
            return text
        try:
            # Why not leave it to param: it looks for a relative path in what is the current folder at each reading.
            return str(Path(text).expanduser().absolute())
        except RuntimeError as error:
            raise Refused(str(error)) from None

    noun = {"any": "a file or folder", "file": "a file", "folder": "a folder"}[target]
    expected = f"the path of {noun}{' that exists' if p.check_exists else ''}"
    schema = {"type": "string", "format": "path", "x-path": target, "x-exists": bool(p.check_exists)}
    return Kind(schema, read, plain, expected, bool(p.allow_None))


def _date(p: Any) -> Kind:
    wanted = [p.default, *(p.bounds or ())]
    whole_days = any(type(v) is dt.date for v in wanted)
    zones = {v.tzinfo is not None for v in wanted if isinstance(v, dt.datetime)}

    def read(value: Any) -> Any:
        return _read_date_time(value, whole_days, zones)

    schema = {"type": "string", "format": "date-time", **_date_bounds(p)}
    expected = f"a time such as {_example_time(zones)}{_bounds_text(schema)}"
    return Kind(schema, read, plain, expected, bool(p.allow_None))


def _calendar_date(p: Any) -> Kind:
    schema = {"type": "string", "format": "date", **_date_bounds(p)}
    return Kind(
        schema, _read_date, plain, f"a date such as 2026-01-31{_bounds_text(schema)}", bool(p.allow_None)
    )


def _tuple(p: Any) -> Kind:
    # Tuples and ranges: of anything, of numbers, of dates.
    items: dict[str, Any] = {}
    read_item: Callable[[Any], Any] = _checked
    noun = "values"
    if isinstance(p, param.CalendarDateRange):
        items, read_item, noun = {"type": "string", "format": "date", **_date_bounds(p)}, _read_date, "dates"
    elif isinstance(p, param.DateRange):
        wanted = [*(p.default or ()), *(p.bounds or ())]
        zones = {v.tzinfo is not None for v in wanted if isinstance(v, dt.datetime)}
        whole_days = any(type(v) is dt.date for v in wanted)
        items = {"type": "string", "format": "date-time", **_date_bounds(p)}
        noun = "times"

        def read_item(value: Any) -> Any:
            return _read_date_time(value, whole_days, zones)

    elif isinstance(p, param.NumericTuple):
        items, read_item, noun = {"type": "number"}, _read_number, "numbers"
        if isinstance(p, param.Range):
            items.update(_bounds(p))
            noun += _bounds_text(items)
    schema: dict[str, Any] = {"type": "array", "minItems": p.length, "maxItems": p.length}
    if items:
        schema["items"] = items
    if getattr(p, "step", None) is not None and noun.startswith("numbers"):
        schema["x-step"] = p.step

    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise Refused(f"must be a list, not {type_name(value)}")
        if len(value) != p.length:
            raise Refused(f"must have {p.length} values, not {len(value)}")
        return tuple(read_item(v) for v in value)

    return Kind(schema, read, plain, f"a list of {p.length} {noun}", bool(p.allow_None))


def _list(p: Any) -> Kind | None:
    types = _json_types(p.item_type)
    if types is None:
        return None
    schema: dict[str, Any] = {"type": "array"}
    if types:
        schema["items"] = {"type": types[0] if len(types) == 1 else types}
    low, high = p.bounds or (None, None)
    if low:
        schema["minItems"] = low
    if high is not None:
        schema["maxItems"] = high

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise Refused(f"must be a list, not {type_name(value)}")
        return [_read_typed(v, types) for v in value]

    expected = "a list" + (f", each item {_either(types)}" if types else "")
    if high is not None:
        expected += f"; {low or 0} to {high} of them"
    elif low:
        expected += f"; {low} of them or more"
    return Kind(schema, read, plain, expected, bool(p.allow_None))


def _class(p: Any) -> Kind | None:
    # Dict, and ClassSelector of a class that JSON has.
    types = _json_types(p.class_) if p.is_instance else None
    if not types:
        return None
    schema = {"type": types[0] if len(types) == 1 else types}
    expected = _either(types)
    return Kind(schema, lambda value: _read_typed(value, types), plain, expected, bool(p.allow_None))


def _selector(p: Any) -> Kind:
    choices, open_ = _choices(p)
    schema, expected = _choices_schema(choices, open_)
    none_is_choice = any(python is None for _, python in choices)
    # A selector whose choices are filled later has no choice yet: its default is None, and a start may leave it out.
    is_filled_later = open_ and not choices and p.default is None
    nullable = bool(p.allow_None) or none_is_choice or is_filled_later
    return Kind(
        schema,
        lambda value: _choose(choices, open_, value),
        lambda value: None if value is None and not none_is_choice else _chosen(choices, value),
        expected,
        nullable,
        checked=not open_,
    )


def _list_selector(p: Any) -> Kind:
    choices, open_ = _choices(p)
    items, expected = _choices_schema(choices, open_)

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise Refused(f"must be a list, not {type_name(value)}")
        return [_choose(choices, open_, v) for v in value]

    def write(value: Any) -> Any:
        return None if value is None else [_chosen(choices, v) for v in value]

    return Kind(
        {"type": "array", "items": items},
        read,
        write,
        f"a list of {expected}",
        bool(p.allow_None),
        checked=not open_,
    )


def _nothing(_: Any) -> None:
    return None


#: The first that fits counts, so that a subclass stands before its base.
_MAKERS: Final[tuple[tuple[Any, Callable[[Any], Kind | None]], ...]] = (
    ((param.Event, param.HookList), _nothing),
    (param.Boolean, _boolean),
    (param.CalendarDate, _calendar_date),
    (param.Date, _date),
    (param.Number, _number),
    (param.String, _string),
    (param.Color, _color),
    (param.Path, _path),
    (param.ListSelector, _list_selector),
    (param.Selector, _selector),
    (param.Tuple, _tuple),
    (param.List, _list),
    (param.ClassSelector, _class),
)


# -- choices -------------------------------------------------------------------------------------------------

_Choices = list[tuple[Any, Any]]


def _choices(p: Any) -> tuple[_Choices, bool]:
    """Return the choices as (JSON, Python value), and whether other values are accepted as well."""
    files = isinstance(p, param.FileSelector | param.MultiFileSelector)
    if files:
        # The files may have changed since the class was declared.
        p.update()
    objects = list(p.objects)
    if p.names:
        pairs = [(name if _is_scalar(name) else str(name), value) for name, value in p.names.items()]
    elif all(_is_scalar(value) for value in objects):
        pairs = [(value, value) for value in objects]
    else:
        pairs = list(p.get_range().items())
    # Why files are never open: with no match at the declaration, param would take any text for one.
    return pairs, not (p.check_on_set or files)


def _choices_schema(choices: _Choices, open_: bool) -> tuple[dict[str, Any], str]:
    values = [json for json, _ in choices]
    if open_:
        return {"examples": values[:CHOICES_LIMIT]} if values else {}, "any JSON value"
    schema: dict[str, Any] = {}
    types = list(dict.fromkeys(_json_type(value) for value in values))
    if types:
        schema["type"] = types[0] if len(types) == 1 else types
    if len(values) <= CHOICES_LIMIT:
        schema["enum"] = values
    shown = ", ".join(repr(value) for value in values[:20])
    more = f" … ({len(values)} choices)" if len(values) > 20 else ""
    return schema, cut(f"one of {shown}{more}", 400) if values else "nothing: there are no choices"


def _choose(choices: _Choices, open_: bool, value: Any) -> Any:
    for json, python in choices:
        if _same(json, value):
            return python
    if open_:
        return _checked(value)
    raise Refused("is not one of the choices")


def _chosen(choices: _Choices, value: Any) -> Any:
    for json, python in choices:
        if python is value:
            return json
    for json, python in choices:
        try:
            if _same(python, value):
                return json
        except Exception:  # noqa: BLE001, S112 - an object whose comparison fails is another one
            continue
    return plain(value)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


# -- reading -------------------------------------------------------------------------------------------------


def _read_string(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(f"must be text, not {type_name(value)}")
    return value


def _read_integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        # JSON does not tell 5 from 5.0, and JSON Schema takes both for an integer.
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"must be a whole number, not {type_name(value)}")
    if not -(2**63) <= value < 2**63:
        raise Refused("must fit in 64 bits")
    return value


def _read_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"must be a number, not {type_name(value)}")
    if isinstance(value, int):
        return _read_integer(value)
    if not math.isfinite(value):
        raise Refused(f"must be a finite number, not {value}")
    return value


_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def _read_date(value: Any) -> dt.date:
    text = _read_string(value)
    if not _DATE.fullmatch(text):
        raise Refused("must be a date such as 2026-01-31")
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"is not a date: {error}") from None


def _read_date_time(value: Any, whole_days: bool, zones: set[bool]) -> dt.date:
    """Read a time, or a date for its midnight.

    `whole_days`: a date stays one. `zones`: whether the parameter's own times have an offset from UTC; both or none
    of them: either will do.
    """
    text = _read_string(value)
    if _DATE.fullmatch(text):
        day = _read_date(text)
        if whole_days:
            return day
        time = dt.datetime.combine(day, dt.time(), dt.UTC if zones == {True} else None)
    elif _DATE_TIME.fullmatch(text):
        try:
            time = dt.datetime.fromisoformat(text.upper())
        except ValueError as error:
            raise Refused(f"is not a time: {error}") from None
    else:
        raise Refused(f"must be a time such as {_example_time(zones)}")
    if len(zones) == 1 and (time.tzinfo is not None) not in zones:
        # Python refuses to compare the two: better said here than by a TypeError in the middle of the run.
        raise Refused(
            "must have an offset from UTC, such as Z" if True in zones else "must have no offset from UTC"
        )
    return time


def _example_time(zones: set[bool]) -> str:
    return "2026-01-31T09:41:32Z" if True in zones else "2026-01-31T09:41:32"


_JSON_TYPES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def _json_types(types: Any) -> list[str] | None:
    """Return the JSON types of a class or a tuple of classes; empty for None; None when one of them has no JSON."""
    if types is None:
        return []
    types = types if isinstance(types, tuple) else (types,)
    if not all(t in _JSON_TYPES for t in types):
        return None
    return [_JSON_TYPES[t] for t in types]


def _read_typed(value: Any, types: list[str]) -> Any:
    """Check `value` against the JSON types (any when there is none)."""
    if not types:
        return _checked(value)
    found = _json_type(value)
    if found == "integer" and "integer" not in types and "number" in types:
        return float(value)
    if found == "number" and "number" not in types and "integer" in types and value.is_integer():
        return _read_integer(value)
    if found not in types:
        raise Refused(f"must be {_either(types)}, not {type_name(value)}")
    return _checked(value)


def _checked(value: Any, depth: int = 0) -> Any:
    """Return a value that came as JSON. Raises `Refused` for what JSON has not, and what is nested too deep."""
    if depth > DEPTH_LIMIT:
        raise Refused(f"must not be nested deeper than {DEPTH_LIMIT} levels")
    if isinstance(value, list | tuple):
        return [_checked(v, depth + 1) for v in value]
    if isinstance(value, Mapping):
        return {_read_string(k): _checked(v, depth + 1) for k, v in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _read_number(value)
    if value is None or isinstance(value, bool | str):
        return value
    raise Refused(f"must be a JSON value, not {type_name(value)}")


# -- writing -------------------------------------------------------------------------------------------------


def plain(value: Any, depth: int = 0) -> Any:
    """Return a Python value as JSON data. Raises `TypeError` or `ValueError` for what JSON cannot carry."""
    if depth > DEPTH_LIMIT:
        raise ValueError("nested too deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not a finite number")
        return float(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a key is not text")
        return {str(key): plain(v, depth + 1) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, depth + 1) for v in value]
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        # A date of finer resolution comes out as an integer otherwise.
        item = value.astype("datetime64[us]").item() if type(value).__name__ == "datetime64" else value.item()
        return plain(item, depth + 1)
    raise TypeError(f"{type(value).__qualname__} has no JSON form")


def _bounds(p: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for bounds, keys in (
        (p.bounds, (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))),
        (p.softbounds, (("x-soft-minimum",) * 2, ("x-soft-maximum",) * 2)),
    ):
        for bound, (inclusive, exclusive), included in zip(
            bounds or (None, None), keys, p.inclusive_bounds, strict=True
        ):
            if bound is not None and math.isfinite(bound):
                schema[inclusive if included else exclusive] = plain(bound)
    return schema


def _date_bounds(p: Any) -> dict[str, Any]:
    # JSON Schema's `minimum` is for numbers alone.
    return {
        key: plain(bound)
        for key, bound in zip(("x-minimum", "x-maximum"), p.bounds or (None, None), strict=True)
        if bound is not None
    }


def _bounds_text(schema: Mapping[str, Any]) -> str:
    low = schema.get("minimum", schema.get("x-minimum"))
    high = schema.get("maximum", schema.get("x-maximum"))
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_shown(low)} to {_shown(high)}"
    parts = [
        f"{word} {_shown(value)}"
        for word, value in (("at least", low), ("more than", above), ("at most", high), ("less than", below))
        if value is not None
    ]
    return f", {' and '.join(parts)}" if parts else ""


def or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changes in a schema for None to be allowed as well."""
    changes: dict[str, Any] = {}
    types = schema.get("type")
    if types is not None:
        types = [types] if isinstance(types, str) else list(types)
        changes["type"] = [*types, *(["null"] if "null" not in types else [])]
    if "enum" in schema and None not in schema["enum"]:
        changes["enum"] = [*schema["enum"], None]
    return changes


# -- words ---------------------------------------------------------------------------------------------------

#: Constructs of Python's regular expressions that ECMA 262, the dialect of JSON Schema, does not have.
_PYTHON_ONLY = re.compile(r"\(\?(?!:|=|!|<=|<!)|\\[AZ]|[*+?}]\+")
_NAMES: Final = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
}


def _is_scalar(value: Any) -> bool:
    return type(value) in (bool, int, str, type(None)) or (type(value) is float and math.isfinite(value))


def _json_type(value: Any) -> str:
    if isinstance(value, tuple):
        return "array"
    for type_, name in _JSON_TYPES.items():
        if isinstance(value, type_):
            return name
    return ""


def type_name(value: Any) -> str:
    """Return what a JSON value is, in words."""
    return _NAMES.get(_json_type(value), type(value).__name__)


def _either(types: list[str]) -> str:
    return " or ".join(_NAMES[name] for name in types)


def _shown(bound: Any) -> str:
    return str(int(bound) if isinstance(bound, float) and bound.is_integer() else bound)
