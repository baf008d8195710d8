"""The start form: its fields come from a schema, and typed text becomes values."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.form_fields import read_values
from dashboards.indicators import StartForm
from dashboards.session import PipelineSpec, StartModel
from tests.gallery.forms import PIPELINES, STARTS

# -- the start form ----------------------------------------------------------------------------------------------------


def fields(state: str) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in StartForm(STARTS[state]()).present()["fields"]}


def test_a_field_is_made_from_its_schema() -> None:
    made = fields("form")
    assert {
        "source": "path",
        "database": "path",
        "repeat": "integer",
        "since": "date",
        "on_duplicate": "choice",
        "strict": "boolean",
        "time-limit": "number",
    } == {name: field["kind"] for name, field in made.items()}
    assert ("1 to 100", True, "1") == (
        made["repeat"]["hint"],
        made["repeat"]["required"],
        made["repeat"]["value"],
    )
    assert (["skip", "replace", "fail"], "0") == (
        made["on_duplicate"]["choices"],
        made["on_duplicate"]["value"],
    )


def names_field(default: list[str]) -> PipelineSpec:
    schema = {"type": "array", "items": {"type": "string"}, "default": default}
    return PipelineSpec("P", schema={"properties": {"skip": schema}})


def test_a_list_of_names_is_written_one_a_line() -> None:
    start = StartForm(StartModel(pipelines=(names_field(["a", "b"]),), chosen="P"))
    field, _limit = start.present()["fields"]
    assert ("lines", "a\nb", "one a line") == (field["kind"], field["value"], field["hint"])


@pytest.mark.parametrize(
    ("default", "typed", "values"),
    [
        (["a"], " x \n\ny", {"skip": [" x ", "y"]}),
        (["a"], "", {"skip": []}),
        ([], "", {}),
    ],
)
def test_lines_are_read_as_a_list(default: list[str], typed: str, values: dict[str, Any]) -> None:
    assert (values, {}) == read_values(names_field(default).schema, {"skip": typed})


@pytest.mark.parametrize(("field", "notice"), [("skip", ""), ("other", "One of the parameters was refused.")])
def test_what_is_said_at_a_field_is_not_said_again(field: str, notice: str) -> None:
    model = StartModel(pipelines=(names_field([]),), chosen="P", errors={field: "wrong"})
    model.update(notice="One of the parameters was refused.")
    assert notice == StartForm(model).present()["notice"]


def test_what_is_wrong_is_said_at_the_field() -> None:
    assert {"source", "repeat"} == set(StartForm(STARTS["errors"]()).present()["errors"])


@pytest.mark.parametrize(
    ("raw", "values", "wrong"),
    [
        ({"repeat": "7"}, {"repeat": 7}, {}),
        ({"repeat": ""}, {}, {"repeat": "This is required."}),
        ({"repeat": "x"}, {"repeat": "x"}, {"repeat": "Expected a whole number."}),
        ({"repeat": "101"}, {"repeat": "101"}, {"repeat": "At most 100."}),
        ({"repeat": "0"}, {"repeat": "0"}, {"repeat": "At least 1."}),
        ({"repeat": "1", "strict": True}, {"repeat": 1, "strict": True}, {}),
        ({"repeat": "1", "on_duplicate": "2"}, {"repeat": 1, "on_duplicate": "fail"}, {}),
        (
            {"repeat": "1", "on_duplicate": "9"},
            {"repeat": 1, "on_duplicate": "9"},
            {"on_duplicate": "Choose one of those on offer."},
        ),
        ({"repeat": "1", "unknown": "x"}, {"repeat": 1}, {}),
        ({"repeat": {"a": 1}}, {"repeat": {"a": 1}}, {"repeat": "Expected a whole number."}),
    ],
)
def test_what_was_typed_is_read(raw: dict[str, Any], values: dict[str, Any], wrong: dict[str, str]) -> None:
    assert (values, wrong) == read_values(PIPELINES[0].schema, raw)


def test_a_number_need_not_be_whole_and_json_is_read() -> None:
    values, wrong = read_values(PIPELINES[2].schema, {"delay": "0.5", "options": '{"b": [1]}'})
    assert ({"delay": 0.5, "options": {"b": [1]}}, {}) == (values, wrong)


def test_json_that_is_none_is_refused() -> None:
    assert {"options"} == set(read_values(PIPELINES[2].schema, {"options": "{"})[1])


def test_a_choice_may_be_none_at_all() -> None:
    spec = PipelineSpec(
        "P", schema={"properties": {"how": {"enum": ["a", None], "type": ["string", "null"]}}}
    )
    model = StartModel(pipelines=(spec,))
    field, _limit = StartForm(model).present()["fields"]
    assert (["a", "none"], "") == (field["choices"], field["value"])
    assert ({"how": None}, {}) == read_values(spec.schema, {"how": "1"})


def test_a_form_without_a_streamer_says_why_it_cannot_start() -> None:
    assert "There is no streamer here" in StartForm(STARTS["literal"]()).present()["disabled"]
