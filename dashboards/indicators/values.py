"""`Values`: a run's parameters or its result, as a table where it is one, as indented JSON where it is not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import param

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting

#: The bounds of a page; the API's answer has the rest.
ROWS_SHOWN = 200
COLUMNS_SHOWN = 30
TABLES_SHOWN = 12
TEXT_SHOWN = 60_000
CELL_SHOWN = 2_000
#: Numbers that JSON has not; they are texts, see `streamer.model.text.json_value`.
_NO_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
#: Names of numbers that are read digit by digit: thousands are not separated in them.
_NOT_A_QUANTITY = re.compile(r"year|(^|[_\s-])(id|pid|port|code|zip|version|seed)$", re.IGNORECASE)


class Values(Indicator):
    """A run's parameters, or its result: ``Values(run)``, ``Values(run, of="result")``."""

    of: Any = param.Selector(
        default="parameters", objects=["parameters", "result"], doc="Which values are shown."
    )

    script = "Values"
    watched = ("state",)
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        if state is None:
            return (self.of, None)
        if self.of == "parameters":
            return (self.of, state.parameters)
        return self.of, state.status, state.result, state.error

    def present(self) -> dict[str, Any]:
        return self._parameters() if self.of == "parameters" else self._result()

    def _parameters(self) -> dict[str, Any]:
        state = self.model.state
        if state is None or not state.parameters:
            return _empty("This run has no parameters.")
        return _mapping(state.parameters)

    def _result(self) -> dict[str, Any]:
        state = self.model.state
        if state is None or not state.is_over:
            return _empty("The result appears here when the run is complete.")
        if state.status == "failed":
            error = state.error
            shown = _empty("The run failed: there is no result.")
            if error is not None:
                shown["error"] = {"type": error.type, "message": error.message, "traceback": error.traceback}
            return shown
        if state.status == "cancelled":
            return _empty("The run was cancelled: there is no result.")
        if state.result is None:
            return _empty("The run is complete and returned nothing.")
        return show_value(state.result)


def show_value(value: Any) -> dict[str, Any]:
    """Return how plain JSON data is shown: lists of rows as tables, what is around them as facts, the rest as text."""
    if _is_rows(value):
        return {**_empty(""), "kind": "table", "tables": [_table(value)]}
    if isinstance(value, Mapping) and value:
        rows = [key for key, inner in value.items() if _is_rows(inner)][:TABLES_SHOWN]
        if rows:
            # A summary around one table or a few, as many pipelines return.
            rest = {key: inner for key, inner in value.items() if key not in rows}
            tables = [_table(value[key], title=str(key)) for key in rows]
            facts = _mapping(rest)["rows"]
            around, nested = ([row for row in facts if row[2] is which] for which in (False, True))
            return {**_empty(""), "kind": "table", "tables": tables, "around": around, "rows": nested}
        return _mapping(value)
    if isinstance(value, str | int | float | bool):
        return {**_empty(""), "kind": "text", "text": formatting.cut(_cell(value), TEXT_SHOWN)}
    return {**_empty(""), "kind": "text", "text": _json(value)}


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _empty(note: str) -> dict[str, Any]:
    return {"kind": "empty", "tables": [], "rows": [], "text": "", "note": note, "error": None, "around": []}


def _table(rows: list[Mapping[str, Any]], title: str = "") -> dict[str, Any]:
    names: dict[str, None] = {}
    for row in rows[:ROWS_SHOWN]:
        for name in row:
            names.setdefault(str(name))
    columns = list(names)[:COLUMNS_SHOWN]
    numeric = {name for name in columns if all(_is_number(row.get(name)) for row in rows)}
    cells = [_column([row.get(name) for row in rows[:ROWS_SHOWN]], name, name in numeric) for name in columns]
    return {
        "title": formatting.cut(title, 100),
        "columns": [{"name": formatting.cut(name, 100), "numeric": name in numeric} for name in columns],
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "note": f"The first {ROWS_SHOWN} of {len(rows):,} rows." if len(rows) > ROWS_SHOWN else "",
    }


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in _NO_FINITE
    return isinstance(value, int | float | None) and not isinstance(value, bool)


def _column(values: list[Any], name: str, numeric: bool) -> list[str]:
    """Return the cells of a column; fractions with the same number of digits, so that their points are aligned."""
    cells = [_cell(value, name, of_many=True) for value in values]
    if (
        not numeric
        or not any(isinstance(value, float) for value in values)
        or any("e" in cell for cell in cells)
    ):
        return cells
    digits = max(len(cell.partition(".")[2]) for cell in cells)
    return [
        f"{value:,.{digits}f}" if isinstance(value, int | float) else cell
        for cell, value in zip(cells, values, strict=True)
    ]


def _mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for name, inner in list(value.items())[:ROWS_SHOWN]:
        nested = isinstance(inner, Mapping | list)
        rows.append(
            [formatting.cut(str(name), 200), _json(inner) if nested else _cell(inner, str(name)), nested]
        )
    note = f"The first {ROWS_SHOWN} of {len(value):,}." if len(value) > ROWS_SHOWN else ""
    return {**_empty(note), "kind": "mapping", "rows": rows}


def _cell(value: Any, name: str = "", *, of_many: bool = False) -> str:
    if value is None:
        return formatting.NOT_KNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if _NOT_A_QUANTITY.search(name) else f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.2f}"
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return formatting.cut("\n".join(value), 300 if of_many else CELL_SHOWN)
    if isinstance(value, Mapping | list):
        return formatting.cut(json.dumps(value, ensure_ascii=False), 300 if of_many else CELL_SHOWN)
    return formatting.cut(str(value), CELL_SHOWN)


def _json(value: Any) -> str:
    return formatting.cut(json.dumps(value, indent=2, ensure_ascii=False, default=str), TEXT_SHOWN)
