"""The form is exact: a value shown as a field and read again is the same value, through the JSON that a page sends."""

from __future__ import annotations

import json
from typing import Any

import param
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashboards.form_fields import fields_of, read_values
from streamer import Pipeline, phase
from streamer.model.parameters.json_schema import schema_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
#: The values of each kind of parameter as JSON. The text `None` is never the same as no value.
VALUES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "text": (param.String("draft"), TEXT),
    "text or None": (param.String("draft", allow_None=True), st.none() | TEXT),
    "integer": (param.Integer(5), st.integers(-(2**63), 2**63 - 1)),
    "integer or None": (param.Integer(5, allow_None=True), st.none() | st.integers(-9, 9)),
    "number": (param.Number(0.5), NUMBER),
    "boolean": (param.Boolean(), st.booleans()),
    "boolean or None": (param.Boolean(None, allow_None=True), st.none() | st.booleans()),
    "choice": (param.Selector(objects=[None, "a", 1, 2.5, True]), st.sampled_from([None, "a", 1, 2.5, True])),
    "open choice": (param.Selector(objects=["x"], check_on_set=False), JSON),
    "choices": (
        param.ListSelector([], objects=["a", "b, c", 3]),
        st.lists(st.sampled_from(["a", "b, c", 3])),
    ),
    "texts": (param.List(["one", " two "], item_type=str), st.lists(TEXT, max_size=4)),
    "list": (param.List([]), st.lists(JSON, max_size=3)),
    "mapping": (param.Dict({}), st.dictionaries(TEXT, JSON, max_size=3)),
    "pair": (param.Tuple((1, 2)), st.lists(JSON, min_size=2, max_size=2)),
    "range": (param.Range((0, 1)), st.lists(NUMBER, min_size=2, max_size=2)),
    "date": (param.CalendarDate(), st.none() | st.dates().map(str)),
    "time": (param.Date(), st.none() | st.datetimes().map(lambda time: time.isoformat())),
    "times": (param.DateRange(), st.none() | st.lists(st.dates().map(str), min_size=2, max_size=2)),
    "color": (param.Color("#112233"), st.sampled_from(["#000000", "red"])),
    "path": (param.Path(check_exists=False, allow_None=True), st.none() | TEXT.filter(bool)),
    "anything": (param.Parameter(), JSON),
}


def schema_with(value: Any) -> dict[str, Any]:
    class Made(Pipeline):
        @phase
        def go(self) -> None: ...

    Made.param.add_parameter("value", value)
    return schema_of(Made)


def sent(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields as a page sends them."""
    raw = {field["name"]: None if field["none"] else field["value"] for field in fields}
    return dict(json.loads(json.dumps(raw)))


def strict(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("kind", VALUES)
def test_an_untouched_form_sends_the_values_that_it_was_filled_with(kind: str) -> None:
    schema = schema_with(VALUES[kind][0])

    @given(VALUES[kind][1])
    def check(value: Any) -> None:
        filled = {"value": value}
        values, wrong = read_values(schema, sent(fields_of(schema, filled)), filled)
        assert ({}, strict(filled)) == (wrong, strict(values))

    check()


@pytest.mark.parametrize("kind", VALUES)
def test_an_untouched_form_sends_no_value_where_the_default_holds(kind: str) -> None:
    schema = schema_with(VALUES[kind][0])
    assert ({}, {}) == read_values(schema, sent(fields_of(schema, {})))


@given(TEXT.filter(lambda text: "\r" not in text))
@example("")
@example(", ")
@example("  leading\nlines\n")
def test_a_typed_text_is_taken_as_it_is(text: str) -> None:
    schema = schema_with(param.String("a default of its own"))
    assert ({"value": text}, {}) == read_values(schema, {"value": text})


@given(JSON)
@example(" 5")
@example("null")
@example("NaN")
def test_a_typed_value_of_any_kind_is_the_value_that_was_shown(value: Any) -> None:
    schema = schema_with(param.Parameter("a default of its own"))
    shown = sent(fields_of(schema, {"value": value}))
    assert strict({"value": value}) == strict(read_values(schema, shown, {"value": "another"})[0])


@pytest.mark.parametrize("value", [param.String("x", allow_None=True), param.Integer(5, allow_None=True)])
def test_none_is_chosen_where_it_is_allowed_and_shown_as_chosen(value: Any) -> None:
    schema = schema_with(value)
    (field,) = fields_of(schema, {"value": None})
    assert (True, True) == (field["nullable"], field["none"])
    assert ({"value": None}, {}) == read_values(schema, {"value": None})


def test_none_as_a_choice_and_the_default_is_shown_as_chosen() -> None:
    schema = schema_with(param.Selector(objects=[None, "new", "old"], default=None))
    (field,) = fields_of(schema, {})
    assert ("0", ["none", "new", "old"]) == (field["value"], field["choices"])


def test_a_boolean_that_may_be_none_is_a_choice_of_three() -> None:
    schema = schema_with(param.Boolean(None, allow_None=True))
    (field,) = fields_of(schema, {})
    assert ("choice", "0", ["none", "yes", "no"]) == (field["kind"], field["value"], field["choices"])


def test_a_field_that_was_typed_wrong_is_shown_as_typed() -> None:
    schema = schema_with(param.Integer(5))
    (field,) = fields_of(schema, {}, {"value": "five"})
    assert "five" == field["value"]


# -- secrets -----------------------------------------------------------------------------------------------------------

SECRET = {
    "properties": {"password": {"type": "string", "format": "password", "writeOnly": True, "default": ""}}
}


def test_a_secret_is_never_filled_in_and_never_sent_back() -> None:
    (field,) = fields_of(SECRET, {"password": "…"}, {"password": "hunter2"})
    assert ("", True, True) == (field["value"], field["secret"], field["required"])


def test_a_form_of_an_earlier_run_asks_for_its_secrets_again() -> None:
    values, errors = read_values(SECRET, {"password": ""}, {"password": "…"})
    assert ({}, {"password": "This is a secret, and was not kept: give it again."}) == (values, errors)
    assert ({"password": "new"}, {}) == read_values(SECRET, {"password": "new"}, {"password": "…"})


def test_a_secret_that_was_empty_may_stay_so() -> None:
    assert ({"password": ""}, {}) == read_values(SECRET, {"password": ""}, {"password": ""})
    assert ({}, {}) == read_values(SECRET, {"password": ""})
