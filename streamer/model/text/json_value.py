"""`json_form`: any Python value as plain JSON data that a person can read. It imports none of the values' libraries.

Numbers of numpy are numbers, arrays are lists, frames are tables. A value that JSON has no form for is its text.
`parameters.values.plain` is its strict sibling: what a parameter is made of again must be the same value.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import math
import os
import sys
import uuid
from collections.abc import Callable, Collection, Iterable, KeysView, Mapping, ValuesView
from collections.abc import Sequence as AbstractSequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Final

import msgspec

from streamer.model.text.cutting import cut, text_of

#: The most values of an array, and rows and columns of a frame, that are kept; a note says how many there are.
ARRAY_VALUES: Final = 1_000
TABLE_ROWS: Final = 100
TABLE_COLUMNS: Final = 30
#: Bound, in characters, of the text of an object that is no JSON.
TEXT_LIMIT: Final = 2_000
#: Integers beyond this are text: readers of JSON take them for a fraction, or refuse them.
_INTEGERS: Final = range(-(2**63), 2**64)
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_BY_MSGSPEC: Final = (dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID)
_LISTS: Final = (list, tuple, collections.deque, range, AbstractSet)
_VIEWS: Final = (KeysView, ValuesView)


class TooLarge(ValueError):
    """A value has more parts than there may be."""


def json_form(value: Any, *, values: int, depth: int) -> Any:
    """Return a value as plain JSON data: None, booleans, numbers, texts, lists and mappings with texts as keys.

    Args:
        value: Any object. Iterators are not read.
        values: The most values that the result may have, in lists, mappings and by themselves.
        depth: How deep it may be nested. A note stands for what is deeper.

    Returns:
        The data, new lists and mappings throughout.

    Raises:
        TooLarge: There are more values.

    """
    return _Former(values, depth).form(value, 0)


def _text(value: object) -> str:
    return cut(text_of(value), TEXT_LIMIT)


class _Former:
    """One value's way to JSON; it counts what it has made."""

    def __init__(self, values: int, depth: int) -> None:
        self._left = values
        self._values = values
        self._depth = depth

    def form(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooLarge(f"more than {self._values:,} values")
        if type(value) in _PLAIN:
            return _scalar(value)
        if depth >= self._depth:
            return f"… [cut: nested deeper than {self._depth} levels]"
        try:
            return self._form(value, depth)
        except (TooLarge, RecursionError):
            raise
        except Exception:  # noqa: BLE001 - an object of any class: its attributes may raise anything
            return _text(value)

    def _form(self, value: Any, depth: int) -> Any:
        if isinstance(value, enum.Enum):
            return self.form(value.value, depth + 1)
        if isinstance(value, str | int | float):
            return _scalar(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return _bytes(value)
        if isinstance(value, Mapping):
            return self._mapping(value.items(), depth)
        if isinstance(value, _VIEWS) or (isinstance(value, _LISTS) and not hasattr(value, "dtype")):
            return [self.form(one, depth + 1) for one in _ordered(value)]
        if value is _of("pandas", "NaT"):
            return "NaT"
        if isinstance(value, _BY_MSGSPEC):
            return _by_msgspec(value)
        fields = _fields(value)
        if fields is not None:
            return self._mapping(fields, depth)
        if hasattr(value, "columns") and hasattr(value, "shape"):
            return self._frame(value, depth)
        if hasattr(value, "dtype"):
            return self._array(value, depth)
        if isinstance(value, os.PathLike):
            return _whole(os.fsdecode(value))
        if isinstance(value, BaseException):
            text = _text(value)
            return f"{type(value).__name__}: {text}" if text else type(value).__name__
        if isinstance(value, AbstractSequence):
            return [self.form(one, depth + 1) for one in value]
        return _text(value)

    def _mapping(self, items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in items:
            made[_unused(_key(key), made)] = self.form(value, depth + 1)
        return made

    # -- arrays and frames ---------------------------------------------------------------------------------------------

    def _array(self, value: Any, depth: int) -> Any:
        """Return the form of a scalar, an array or a series of numpy, pandas, torch and the like."""
        shape = getattr(value, "shape", None)
        shape = (len(value),) if shape is None else tuple(shape)
        if getattr(value.dtype, "kind", "") in ("m", "M") and not shape:
            return str(value)
        if not shape:
            item = value.item()
            # A number of a precision that Python has not is its own item.
            return float(item) if type(item) is type(value) else self.form(item, depth + 1)
        if hasattr(value, "index") and not callable(value.index):
            return self._series(value, depth)
        size = math.prod(shape)
        if size > ARRAY_VALUES:
            dimensions = " x ".join(f"{number:,}" for number in shape)
            return {
                "note": f"{type(value).__name__} of {dimensions} {_text(value.dtype)}: "
                f"{size:,} values, abridged",
                "repr": cut(repr(value), TEXT_LIMIT),
            }
        if getattr(value.dtype, "kind", "") in ("m", "M"):
            value = value.astype(str)
        listed = value.tolist() if hasattr(value, "tolist") else value.to_list()
        return self.form(listed, depth)

    def _series(self, value: Any, depth: int) -> Any:
        name = "value" if value.name is None else str(value.name)
        return self._table(
            value,
            len(value),
            [name],
            lambda rows: [
                {**row, name: one} for row, one in zip(_index_of(rows), rows.tolist(), strict=True)
            ],
            depth,
        )

    def _frame(self, value: Any, depth: int) -> Any:
        number, columns = value.shape
        names: dict[str, None] = {}
        for name in islice(_names(value), TABLE_COLUMNS):
            names[_unused(_key(name), names)] = None

        def rows_of(rows: Any) -> list[dict[str, Any]]:
            if hasattr(rows, "iloc"):
                rows = rows.iloc[:, :TABLE_COLUMNS]
                records = rows.itertuples(index=False, name=None)
                return [
                    {**index, **dict(zip(names, one, strict=True))}
                    for index, one in zip(_index_of(rows), records, strict=True)
                ]
            records = rows.to_pylist() if hasattr(rows, "to_pylist") else rows.to_dicts()
            return [{name: row[name] for name in names} for row in records]

        return self._table(value, number, names, rows_of, depth, columns)

    def _table(
        self,
        value: Any,
        number: int,
        names: Collection[str],
        rows_of: Callable[[Any], list[dict[str, Any]]],
        depth: int,
        columns: int = 1,
    ) -> dict[str, Any]:
        """Return a frame as its first rows, with a note on its size."""
        shown = [
            f"the first {TABLE_ROWS} of {number:,} rows" if number > TABLE_ROWS else _count(number, "row")
        ]
        if columns > len(names):
            shown.append(f"the first {len(names)} of {columns:,} columns")
        else:
            shown.append(_count(columns, "column"))
        head = value.head(TABLE_ROWS) if hasattr(value, "head") else value.slice(0, TABLE_ROWS)
        return {
            "note": f"{type(value).__name__}: {', '.join(shown)}",
            "table": self.form(rows_of(head), depth + 1),
        }


def _names(frame: Any) -> Iterable[Any]:
    # The columns of a table of pyarrow are data; their names stand beside them.
    names: Iterable[Any] = frame.column_names if hasattr(frame, "column_names") else frame.columns
    return names


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _index_of(rows: Any) -> list[dict[str, Any]]:
    """Return the index of a frame's rows as columns; nothing for the plain numbering 0, 1, 2."""
    index = rows.index
    if type(index).__name__ == "RangeIndex" and index.name is None:
        return [{}] * len(rows)
    names = [
        str(name) if name is not None else f"index {n}" if index.nlevels > 1 else "index"
        for n, name in enumerate(index.names)
    ]
    if index.nlevels > 1:
        return [dict(zip(names, one, strict=True)) for one in index.tolist()]
    return [{names[0]: one} for one in index.tolist()]


# -- scalars -----------------------------------------------------------------------------------------------------------


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _whole(str(value))
    if isinstance(value, int):
        number = int(value)
        if number in _INTEGERS:
            return number
        try:
            return str(number)
        except ValueError:
            # Python refuses to write very long ones in decimals.
            return cut(hex(number), TEXT_LIMIT)
    fraction = float(value)
    if math.isfinite(fraction):
        return fraction
    return "NaN" if math.isnan(fraction) else "Infinity" if fraction > 0 else "-Infinity"


def _whole(text: str) -> str:
    return cut(text, len(text))


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that is not taken: neither of two keys, 1 and "1" say, hides the other."""
    if name not in taken:
        return name
    return next(text for n in range(2, len(taken) + 3) if (text := f"{name} ({n})") not in taken)


def _bytes(value: bytes | bytearray | memoryview) -> str:
    data = bytes(value[:TEXT_LIMIT])
    size = value.nbytes if isinstance(value, memoryview) else len(value)
    return f"{data!r} … [cut: {size:,} bytes in all]" if size > len(data) else repr(data)


def _by_msgspec(value: Any) -> Any:
    for kind in _BY_MSGSPEC:
        if type(value) is kind:
            return msgspec.to_builtins(value)
    # A class of pandas, say, with a finer resolution.
    text = str(value.isoformat() if hasattr(value, "isoformat") else value)
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _key(value: Any) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _whole(str(value))
    if isinstance(value, dt.date):
        return str(_by_msgspec(value))
    return _text(value)


# -- classes -----------------------------------------------------------------------------------------------------------


def _fields(value: Any) -> Iterable[tuple[str, Any]] | None:
    """Return the fields of an object that is a record, with their names; None for any other."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value) if field.repr]
    if isinstance(value, msgspec.Struct):
        return [(name, getattr(value, name)) for name in value.__struct_fields__]
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return [(one.name, getattr(value, one.name)) for one in attributes if one.repr]
    if hasattr(kind, "model_fields") and hasattr(kind, "model_dump"):
        dumped: dict[str, Any] = value.model_dump()
        return dumped.items()
    if kind.__name__ == "SimpleNamespace":
        return list(vars(value).items())
    return None


def _ordered(value: Any) -> Iterable[Any]:
    """Return a set in order, where its values have one; anything else as it is."""
    if not isinstance(value, AbstractSet) or isinstance(value, _VIEWS):
        return value
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda one: (type(one).__name__, _text(one)))


def _of(module: str, name: str) -> object:
    """Return an attribute of a module that was imported; a new object if it was not."""
    return getattr(sys.modules.get(module), name, object())
