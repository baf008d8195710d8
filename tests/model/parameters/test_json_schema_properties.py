"""Parameters as JSON for generated values: accepted or refused as the schema says, and the same after a round trip."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import jsonschema
import param
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer import Pipeline, phase
from streamer.model.parameters.json_schema import (
    ParametersRefused,
    build,
    schema_of,
    values_of,
)

DAY = dt.date(2026, 1, 31)
TIME = dt.datetime(2026, 1, 31, 9, 41, 32)  # noqa: DTZ001 - the values are times without a zone


class Everything(Pipeline):
    """One parameter of each kind."""

    integer = param.Integer(5, bounds=(-10, 10))
    maybe = param.Integer(None, bounds=(0, None))
    number = param.Number(0.5, bounds=(0, 1), inclusive_bounds=(False, True))
    magnitude = param.Magnitude()
    boolean = param.Boolean()
    text = param.String("")
    code = param.String("ab", regex="^[a-z]{2,5}$")
    choice = param.Selector(objects=["a", 1, 2.5, True, None])
    named = param.Selector(objects={"whole": int, "real": float})
    open = param.Selector(objects=["x"], check_on_set=False)
    several = param.ListSelector([], objects=["a", "b", 3])
    items = param.List([], bounds=(0, 5))
    reals = param.List([], item_type=float)
    table = param.Dict({})
    pair = param.Tuple((1, 2))
    point = param.NumericTuple((1, 2, 3))
    span = param.Range((0, 1), bounds=(0, 10))
    time = param.Date(TIME)
    day = param.CalendarDate(DAY)
    anything = param.Parameter(None)

    @phase
    def go(self) -> None: ...


SCHEMA = schema_of(Everything)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a schema of ours accepts."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    by_kind = {
        "any": JSON,
        "null": st.none(),
        "boolean": st.booleans(),
        "integer": st.integers(low if low is not None else -(2**63), high if high is not None else 2**63 - 1),
        "number": st.floats(
            low, high, exclude_min="exclusiveMinimum" in schema, allow_nan=False, allow_infinity=False
        ),
        "string": st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else st.text(),
        "object": st.dictionaries(st.text(), JSON, max_size=3),
        "array": st.lists(
            of_schema(schema["items"]) if "items" in schema else JSON,
            min_size=schema.get("minItems", 0),
            max_size=schema.get("maxItems", 4),
        ),
    }
    if "format" in schema:
        by_kind["string"] = (
            st.dates().map(str) if schema["format"] == "date" else st.datetimes().map(dt.datetime.isoformat)
        )
    return st.one_of([by_kind[kind] for kind in kinds])


@pytest.mark.slow
@given(st.fixed_dictionaries({}, optional={name: of_schema(p) for name, p in SCHEMA["properties"].items()}))
@settings(max_examples=200)
def test_what_the_schema_accepts_is_accepted_and_comes_back_the_same(values: dict[str, Any]) -> None:
    jsonschema.validate(values, SCHEMA)
    found = values_of(build(Everything, values))
    assert values == {name: found[name] for name in values}


@pytest.mark.slow
@given(st.fixed_dictionaries({}, optional={name: of_schema(p) for name, p in SCHEMA["properties"].items()}))
@settings(max_examples=100)
def test_values_survive_json_and_building_again(values: dict[str, Any]) -> None:
    found = values_of(build(Everything, values))
    jsonschema.validate(found, SCHEMA)
    assert found == values_of(build(Everything, json.loads(json.dumps(found))))


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(list(SCHEMA["properties"])), JSON))
@settings(max_examples=300)
def test_any_json_is_accepted_or_refused_as_the_schema_says_and_nothing_else_happens(
    values: dict[str, Any],
) -> None:
    refused = set()
    try:
        build(Everything, values)
    except ParametersRefused as error:
        refused = {problem.field for problem in error.problems}
    wrong = {str(error.path[0]) for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(values)}
    # The schema does not say that a text is a date: its formats are for people and forms.
    assert wrong - {"time", "day"} <= refused
    # Nor does it say that whole numbers have 64 bits; to JSON Schema, 1e19 is a whole number.
    beyond = {name for name, value in values.items() if isinstance(value, float) and abs(value) >= 2**63}
    assert refused <= wrong | beyond | {"time", "day"}
