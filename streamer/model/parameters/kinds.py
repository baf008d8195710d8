"""How each kind of parameter is carried in JSON: its schema, reading and writing one value. Knows nothing of pipelines.

Parameters that JSON cannot carry (callables, arrays, other Parameterized objects) have no `Kind`.

Why one module: one short function for each class of `param`, in the order of a table.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import param

from streamer.model.bounds import cut
from streamer.model.parameters.values import (
    Refused,
    checked,
    either,
    example_time,
    is_scalar,
    json_type,
    json_types,
    plain,
    read_date,
    read_date_time,
    read_integer,
    read_number,
    read_string,
    read_typed,
    same,
    type_name,
)

#: Longest list of choices that a schema spells out; a longer one is checked all the same.
CHOICES_LIMIT: Final = 1_000


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


def filled_kind_of(parameter: param.Parameter[Any], declared: param.Parameter[Any]) -> Kind | None:
    """Return how a selector is carried that was declared without choices and has got some: as one of these.

    Args:
        parameter: The parameter of a pipeline.
        declared: The same parameter of its class.

    Returns:
        None for every other parameter.

    """
    if not isinstance(parameter, param.Selector) or declared.objects or not parameter.objects:
        return None
    is_list = isinstance(parameter, param.ListSelector)
    return _list_selector(parameter, closed=True) if is_list else _selector(parameter, closed=True)


def _any(p: Any) -> Kind | None:
    try:
        plain(p.default)
    except (TypeError, ValueError):
        return None
    return Kind({}, checked, plain, "any JSON value", nullable=bool(p.allow_None))


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
    return Kind(schema, read_integer if integer else read_number, plain, expected, bool(p.allow_None))


def _string(p: Any) -> Kind:
    schema: dict[str, Any] = {"type": "string"}
    expected = "text"
    if p.regex is not None:
        pattern = p.regex if isinstance(p.regex, str) else p.regex.pattern
        portable = isinstance(p.regex, str) and not _PYTHON_ONLY.search(pattern)
        schema["pattern" if portable else "x-pattern"] = pattern
        expected = f"text that matches {pattern}"
    return Kind(schema, read_string, plain, expected, bool(p.allow_None))


def _color(p: Any) -> Kind:
    schema = {"type": "string", "format": "color"}
    if not p.allow_named:
        schema["pattern"] = "^#?(([0-9a-fA-F]{2}){3}|([0-9a-fA-F]){3})$"
    expected = "a color such as #1e88e5" + (" or a CSS color name" if p.allow_named else "")
    return Kind(schema, read_string, plain, expected, bool(p.allow_None))


def _path(p: Any) -> Kind:
    target = (
        "file" if isinstance(p, param.Filename) else "folder" if isinstance(p, param.Foldername) else "any"
    )

    def read(value: Any) -> Any:
        text = read_string(value)
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
        return read_date_time(value, whole_days, zones)

    schema = {"type": "string", "format": "date-time", **_date_bounds(p)}
    expected = f"a time such as {example_time(zones)}{_bounds_text(schema)}"
    return Kind(schema, read, plain, expected, bool(p.allow_None))


def _calendar_date(p: Any) -> Kind:
    schema = {"type": "string", "format": "date", **_date_bounds(p)}
    return Kind(
        schema, read_date, plain, f"a date such as 2026-01-31{_bounds_text(schema)}", bool(p.allow_None)
    )


def _tuple(p: Any) -> Kind:
    # Tuples and ranges: of anything, of numbers, of dates.
    items: dict[str, Any] = {}
    read_item: Callable[[Any], Any] = checked
    noun = "values"
    if isinstance(p, param.CalendarDateRange):
        items, read_item, noun = {"type": "string", "format": "date", **_date_bounds(p)}, read_date, "dates"
    elif isinstance(p, param.DateRange):
        wanted = [*(p.default or ()), *(p.bounds or ())]
        zones = {v.tzinfo is not None for v in wanted if isinstance(v, dt.datetime)}
        whole_days = any(type(v) is dt.date for v in wanted)
        items = {"type": "string", "format": "date-time", **_date_bounds(p)}
        noun = "times"

        def read_item(value: Any) -> Any:
            return read_date_time(value, whole_days, zones)

    elif isinstance(p, param.NumericTuple):
        items, read_item, noun = {"type": "number"}, read_number, "numbers"
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
    types = json_types(p.item_type)
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
        return [read_typed(v, types) for v in value]

    expected = "a list" + (f", each item {either(types)}" if types else "")
    if high is not None:
        expected += f"; {low or 0} to {high} of them"
    elif low:
        expected += f"; {low} of them or more"
    return Kind(schema, read, plain, expected, bool(p.allow_None))


def _class(p: Any) -> Kind | None:
    # Dict, and ClassSelector of a class that JSON has.
    types = json_types(p.class_) if p.is_instance else None
    if not types:
        return None
    schema = {"type": types[0] if len(types) == 1 else types}
    expected = either(types)
    return Kind(schema, lambda value: read_typed(value, types), plain, expected, bool(p.allow_None))


def _selector(p: Any, *, closed: bool = False) -> Kind:
    choices, open_ = _choices(p)
    open_ = open_ and not closed
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


def _list_selector(p: Any, *, closed: bool = False) -> Kind:
    choices, open_ = _choices(p)
    open_ = open_ and not closed
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
        pairs = [(name if is_scalar(name) else str(name), value) for name, value in p.names.items()]
    elif all(is_scalar(value) for value in objects):
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
    types = list(dict.fromkeys(json_type(value) for value in values))
    if types:
        schema["type"] = types[0] if len(types) == 1 else types
    if len(values) <= CHOICES_LIMIT:
        schema["enum"] = values
    shown = ", ".join(repr(value) for value in values[:20])
    more = f" … ({len(values)} choices)" if len(values) > 20 else ""
    return schema, cut(f"one of {shown}{more}", 400) if values else "nothing: there are no choices"


def _choose(choices: _Choices, open_: bool, value: Any) -> Any:
    for json, python in choices:
        if same(json, value):
            return python
    if open_:
        return checked(value)
    raise Refused("is not one of the choices")


def _chosen(choices: _Choices, value: Any) -> Any:
    for json, python in choices:
        if python is value:
            return json
    for json, python in choices:
        try:
            if same(python, value):
                return json
        except Exception:  # noqa: BLE001, S112 - an object whose comparison fails is another one
            continue
    return plain(value)


# -- reading -------------------------------------------------------------------------------------------------


# -- writing -------------------------------------------------------------------------------------------------


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


def _shown(bound: Any) -> str:
    return str(int(bound) if isinstance(bound, float) and bound.is_integer() else bound)
