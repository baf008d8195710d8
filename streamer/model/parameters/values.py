"""Values of parameters in JSON: reading them strictly, and Python's values as plain JSON. Knows no parameters."""

from __future__ import annotations

import datetime as dt
import math
import os
import re
from collections.abc import Mapping
from typing import Any, Final

#: Deepest nesting of lists and objects in a value.
DEPTH_LIMIT: Final = 50


class Refused(ValueError):
    """A value that is not of its parameter's kind."""


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and both or neither are booleans."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def read_string(value: Any) -> str:
    """Read a text. Raises `Refused`."""
    if not isinstance(value, str):
        raise Refused(f"must be text, not {type_name(value)}")
    return value


def read_integer(value: Any) -> int:
    """Read a whole number of 64 bits. Raises `Refused`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        # JSON does not tell 5 from 5.0, and JSON Schema takes both for an integer.
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"must be a whole number, not {type_name(value)}")
    if not -(2**63) <= value < 2**63:
        raise Refused("must fit in 64 bits")
    return value


def read_number(value: Any) -> float:
    """Read a finite number. Raises `Refused`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"must be a number, not {type_name(value)}")
    if isinstance(value, int):
        return read_integer(value)
    if not math.isfinite(value):
        raise Refused(f"must be a finite number, not {value}")
    return value


DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def read_date(value: Any) -> dt.date:
    """Read a date such as 2026-01-31. Raises `Refused`."""
    text = read_string(value)
    if not DATE.fullmatch(text):
        raise Refused("must be a date such as 2026-01-31")
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"is not a date: {error}") from None


def read_date_time(value: Any, whole_days: bool, zones: set[bool]) -> dt.date:
    """Read a time, or a date for its midnight.

    Args:
        value: The value as it came with JSON.
        whole_days: Whether a date stays a date.
        zones: Whether the parameter's own times have an offset from UTC. Both or neither of the two: either will do.

    Raises:
        Refused: If the value is no such time.

    """
    text = read_string(value)
    if DATE.fullmatch(text):
        day = read_date(text)
        if whole_days:
            return day
        time = dt.datetime.combine(day, dt.time(), dt.UTC if zones == {True} else None)
    elif DATE_TIME.fullmatch(text):
        try:
            time = dt.datetime.fromisoformat(text.upper())
        except ValueError as error:
            raise Refused(f"is not a time: {error}") from None
    else:
        raise Refused(f"must be a time such as {example_time(zones)}")
    if len(zones) == 1 and (time.tzinfo is not None) not in zones:
        # Python refuses to compare the two: better said here than by a TypeError in the middle of the run.
        raise Refused(
            "must have an offset from UTC, such as Z" if True in zones else "must have no offset from UTC"
        )
    return time


def example_time(zones: set[bool]) -> str:
    """Return an example of a time, for an error."""
    return "2026-01-31T09:41:32Z" if True in zones else "2026-01-31T09:41:32"


JSON_TYPES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def json_types(types: Any) -> list[str] | None:
    """Return the JSON types of a class or a tuple of classes; empty for None; None when one of them has no JSON."""
    if types is None:
        return []
    types = types if isinstance(types, tuple) else (types,)
    if not all(t in JSON_TYPES for t in types):
        return None
    return [JSON_TYPES[t] for t in types]


def read_typed(value: Any, types: list[str]) -> Any:
    """Check `value` against the JSON types (any when there is none)."""
    if not types:
        return checked(value)
    found = json_type(value)
    if found == "integer" and "integer" not in types and "number" in types:
        return float(value)
    if found == "number" and "number" not in types and "integer" in types and value.is_integer():
        return read_integer(value)
    if found not in types:
        raise Refused(f"must be {either(types)}, not {type_name(value)}")
    return checked(value)


def checked(value: Any, depth: int = 0) -> Any:
    """Return a value that came as JSON. Raises `Refused` for what JSON has not, and what is nested too deep.

    Args:
        value: The value.
        depth: How deep it is nested already.

    Raises:
        Refused: If JSON cannot carry the value, or it is nested too deep.

    """
    if depth > DEPTH_LIMIT:
        raise Refused(f"must not be nested deeper than {DEPTH_LIMIT} levels")
    if isinstance(value, list | tuple):
        return [checked(v, depth + 1) for v in value]
    if isinstance(value, Mapping):
        return {read_string(k): checked(v, depth + 1) for k, v in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return read_number(value)
    if value is None or isinstance(value, bool | str):
        return value
    raise Refused(f"must be a JSON value, not {type_name(value)}")


def plain(value: Any, depth: int = 0) -> Any:
    """Return a Python value as JSON data. Raises `TypeError` or `ValueError` for what JSON cannot carry.

    Args:
        value: The value.
        depth: How deep it is nested already.

    Raises:
        TypeError: If JSON cannot carry the value's type.
        ValueError: If JSON cannot carry the value, or it is nested too deep.

    """
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


NAMES: Final = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
}


def is_scalar(value: Any) -> bool:
    """Tell whether a value is a number, a text, a boolean or None."""
    return type(value) in (bool, int, str, type(None)) or (type(value) is float and math.isfinite(value))


def json_type(value: Any) -> str:
    """Return the name of a value's type in JSON."""
    if isinstance(value, tuple):
        return "array"
    for type_, name in JSON_TYPES.items():
        if isinstance(value, type_):
            return name
    return ""


def type_name(value: Any) -> str:
    """Return what a JSON value is, in words."""
    return NAMES.get(json_type(value), type(value).__name__)


def either(types: list[str]) -> str:
    """Return names as an enumeration: ``a number or text``."""
    return " or ".join(NAMES[name] for name in types)
