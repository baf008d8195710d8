"""Parameters as JSON: every kind's schema, what is accepted, what is refused and how it is said."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import param
import pytest

from streamer import Pipeline, phase
from streamer.model.parameters.json_schema import (
    PROBLEMS_LIMIT,
    ParametersRefused,
    build,
    schema_of,
    values_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def with_parameters(**parameters: param.Parameter[Any]) -> type[Pipeline]:
    """Return a pipeline that has these parameters."""
    return type("Example", (Pipeline,), {**parameters, "go": phase(lambda self: None)})


def property_of(parameter: param.Parameter[Any]) -> dict[str, Any]:
    """Return the schema of one parameter without its title."""
    schema = dict(schema_of(with_parameters(value=parameter))["properties"]["value"])
    assert schema.pop("title") == "Value"
    return schema


def value_after(parameter: param.Parameter[Any], value: Any) -> Any:
    return build(with_parameters(value=parameter), {"value": value}).value  # type: ignore[attr-defined]  # made above


def refusal_of(parameter: param.Parameter[Any], value: Any) -> tuple[str, str]:
    """Return the message and what was expected of the one problem there is."""
    with pytest.raises(ParametersRefused) as caught:
        build(with_parameters(value=parameter), {"value": value})
    (problem,) = caught.value.problems
    assert problem.field == "value"
    return problem.message, problem.expected


# -- the schema of a class ---------------------------------------------------------------------------------------------


class Convert(Pipeline):
    """Convert files.

    Of any kind.
    """

    quality = param.Integer(
        80, bounds=(1, 100), doc="Quality,\n        in percent.\n\n        More is better."
    )
    size = param.Integer(1, label="Size in pixels", precedence=2)
    first = param.Boolean(False, precedence=0)
    secret = param.Integer(1, precedence=-1)
    fixed = param.Integer(1, constant=True)
    read_only = param.Integer(1, readonly=True)
    _inner = param.Integer(1)
    callback = param.Callable(print)
    action = param.Action(print)
    hooks = param.HookList([])
    event = param.Event()
    composite = param.Composite(attribs=["size", "first"])
    other = param.ClassSelector(class_=Pipeline, default=None)
    array = param.Array(np.zeros(2))
    raw = param.Bytes(b"")
    anything = param.Parameter(object())

    @phase
    def convert(self) -> None: ...


def test_a_schema_describes_the_class_and_is_closed() -> None:
    schema = schema_of(Convert)
    assert {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Convert",
        "description": "Convert files.\n\nOf any kind.",
        "type": "object",
        "required": [],
        "additionalProperties": False,
    } == {key: value for key, value in schema.items() if key != "properties"}


def test_parameters_are_in_the_order_of_their_precedence_then_of_their_declaration() -> None:
    assert ["first", "quality", "size"] == list(schema_of(Convert)["properties"])


def test_a_subclass_adds_its_parameters_after_those_of_its_base() -> None:
    class More(Convert):
        extra = param.Integer(1)
        quality = param.Integer(90)

    assert ["first", "quality", "extra", "size"] == list(schema_of(More)["properties"])
    assert schema_of(More)["properties"]["quality"]["default"] == 90


def test_a_property_has_its_label_doc_and_default() -> None:
    assert {
        "title": "Quality",
        "description": "Quality, in percent.\n\nMore is better.",
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 80,
    } == schema_of(Convert)["properties"]["quality"]
    assert schema_of(Convert)["properties"]["size"]["title"] == "Size in pixels"


def test_what_is_not_for_users_or_not_for_json_is_not_a_known_name() -> None:
    hidden = [
        "secret",
        "fixed",
        "read_only",
        "_inner",
        "callback",
        "other",
        "array",
        "raw",
        "anything",
        "name",
    ]
    with pytest.raises(ParametersRefused) as caught:
        build(Convert, dict.fromkeys(hidden, 1))
    assert hidden == [problem.field for problem in caught.value.problems]
    assert {"is not a parameter of this pipeline"} == {problem.message for problem in caught.value.problems}
    assert {"one of first, quality, size"} == {problem.expected for problem in caught.value.problems}


# -- every kind --------------------------------------------------------------------------------------------------------

DAY = dt.date(2026, 1, 31)
TIME = dt.datetime(2026, 1, 31, 9, 41, 32)  # noqa: DTZ001 - a time without a zone is the case in question
TIME_UTC = TIME.replace(tzinfo=dt.UTC)
PATH = {"format": "path", "x-path": "any", "x-exists": True}


@pytest.mark.parametrize(
    ("parameter", "schema"),
    [
        (param.Integer(3, step=2), {"type": "integer", "x-step": 2, "default": 3}),
        (param.Integer(None), {"type": ["integer", "null"], "default": None}),
        (
            param.Number(0.5, bounds=(0, 1), inclusive_bounds=(False, True), softbounds=(0.1, 0.9)),
            {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1,
                "x-soft-minimum": 0.1,
                "x-soft-maximum": 0.9,
                "default": 0.5,
            },
        ),
        (param.Number(1, bounds=(0, math.inf)), {"type": "number", "minimum": 0, "default": 1}),
        (param.Number(math.inf), {"type": "number"}),
        (param.Number(np.float64(1.5)), {"type": "number", "default": 1.5}),
        (param.Magnitude(1.0), {"type": "number", "minimum": 0.0, "maximum": 1.0, "default": 1.0}),
        (param.Boolean(True), {"type": "boolean", "default": True}),
        (param.Boolean(None), {"type": ["boolean", "null"], "default": None}),
        (param.String("a", regex="^[a-z]"), {"type": "string", "pattern": "^[a-z]", "default": "a"}),
        (
            param.String("a", regex=r"(?P<x>a)\Z"),
            {"type": "string", "x-pattern": r"(?P<x>a)\Z", "default": "a"},
        ),
        (param.Selector(objects=["a", "b"]), {"type": "string", "enum": ["a", "b"], "default": "a"}),
        (
            param.Selector(objects=["a", 1, True], allow_None=True),
            {"type": ["string", "integer", "boolean", "null"], "enum": ["a", 1, True, None], "default": "a"},
        ),
        (
            param.Selector(objects={"whole": int, "real": float}, default=float),
            {"type": "string", "enum": ["whole", "real"], "default": "real"},
        ),
        (
            param.Selector(objects=[int, float]),
            {"type": "string", "enum": ["int", "float"], "default": "int"},
        ),
        (param.Selector(objects=["a"], check_on_set=False), {"examples": ["a"], "default": "a"}),
        (
            param.ListSelector(["a"], objects=["a", "b"]),
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "default": ["a"]},
        ),
        (param.List([1], bounds=(1, 3)), {"type": "array", "minItems": 1, "maxItems": 3, "default": [1]}),
        (param.List(["a"], item_type=str), {"type": "array", "items": {"type": "string"}, "default": ["a"]}),
        (
            param.List([], item_type=(int, str)),
            {"type": "array", "items": {"type": ["integer", "string"]}, "default": []},
        ),
        (param.Dict({"a": 1}), {"type": "object", "default": {"a": 1}}),
        (param.ClassSelector(class_=(str, int), default=1), {"type": ["string", "integer"], "default": 1}),
        (param.Tuple((1, "a")), {"type": "array", "minItems": 2, "maxItems": 2, "default": [1, "a"]}),
        (
            param.NumericTuple((1, 2.5, 3)),
            {
                "type": "array",
                "minItems": 3,
                "maxItems": 3,
                "items": {"type": "number"},
                "default": [1, 2.5, 3],
            },
        ),
        (
            param.Range((1, 2), bounds=(0, 5), step=1),
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": {"type": "number", "minimum": 0, "maximum": 5},
                "x-step": 1,
                "default": [1, 2],
            },
        ),
        (
            param.Date(TIME, bounds=(TIME, None)),
            {
                "type": "string",
                "format": "date-time",
                "x-minimum": "2026-01-31T09:41:32",
                "default": "2026-01-31T09:41:32",
            },
        ),
        (
            param.Date(np.datetime64("2026-01-31T09:41:32.5")),
            {"type": "string", "format": "date-time", "default": "2026-01-31T09:41:32.500000"},
        ),
        (param.CalendarDate(DAY), {"type": "string", "format": "date", "default": "2026-01-31"}),
        (
            param.DateRange((TIME, TIME)),
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": {"type": "string", "format": "date-time"},
                "default": ["2026-01-31T09:41:32", "2026-01-31T09:41:32"],
            },
        ),
        (
            param.CalendarDateRange((DAY, DAY), bounds=(DAY, None)),
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": {"type": "string", "format": "date", "x-minimum": "2026-01-31"},
                "default": ["2026-01-31", "2026-01-31"],
            },
        ),
        (param.Path(), {"type": ["string", "null"], **PATH, "default": None}),
        (param.Filename(None), {"type": ["string", "null"], **PATH, "x-path": "file", "default": None}),
        (param.Foldername("/"), {"type": "string", **PATH, "x-path": "folder", "default": "/"}),
        (
            param.Path("new.txt", check_exists=False),
            {"type": "string", **PATH, "x-exists": False, "default": "new.txt"},
        ),
        (param.Color("#ff0000"), {"type": "string", "format": "color", "default": "#ff0000"}),
        (param.Parameter(None), {"default": None}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, param.Parameter) else "",
)
def test_each_kind_of_parameter_has_its_schema(
    parameter: param.Parameter[Any], schema: dict[str, Any]
) -> None:
    found = property_of(parameter)
    assert schema == found
    jsonschema.Draft202012Validator.check_schema(found)


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (param.Integer(1), 5.0, 5),
        (param.Integer(None), None, None),
        (param.Number(1.5), 2, 2),
        (param.Selector(objects={"whole": int, "real": float}), "real", float),
        (param.Selector(objects=[1, True, 0, False]), True, True),
        (param.Selector(objects=["a"], check_on_set=False), {"b": [1]}, {"b": [1]}),
        (param.ListSelector([], objects={"one": 1, "two": 2}), ["two", "one"], [2, 1]),
        (param.List([], item_type=float), [1, 2.5], [1.0, 2.5]),
        (param.List([], item_type=int), [1.0], [1]),
        (param.Tuple((1, 2)), ["a", None], ("a", None)),
        (param.Range((1, 2)), [3, 4.5], (3, 4.5)),
        (param.Date(None), "2026-01-31T09:41:32", TIME),
        (param.Date(None), "2026-01-31t09:41:32z", TIME_UTC),
        (param.Date(TIME), "2026-01-31 09:41", TIME.replace(second=0)),
        (param.Date(TIME), "2026-01-31", dt.datetime(2026, 1, 31)),  # noqa: DTZ001 - as above
        (param.Date(TIME_UTC), "2026-01-31", dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        (param.Date(DAY), "2026-02-01", dt.date(2026, 2, 1)),
        (param.CalendarDate(None), "2026-01-31", DAY),
        (param.DateRange((DAY, DAY)), ["2026-01-31", "2026-02-01"], (DAY, dt.date(2026, 2, 1))),
        (param.CalendarDateRange((DAY, DAY)), ["2026-01-31", "2026-01-31"], (DAY, DAY)),
        (param.Color("#fff"), "red", "red"),
        (param.Parameter(None), [{"a": 1.5}], [{"a": 1.5}]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, param.Parameter) else "",
)
def test_json_becomes_the_value_that_python_uses(
    parameter: param.Parameter[Any], value: Any, expected: Any
) -> None:
    found = value_after(parameter, value)
    assert (expected, type(expected)) == (found, type(found))


@pytest.mark.parametrize(
    ("parameter", "value", "message", "expected"),
    [
        (param.Integer(1, bounds=(1, 9)), 0, "must be at least 1, not 0", "a whole number from 1 to 9"),
        (param.Integer(1), True, "must be a whole number, not a boolean", "a whole number"),
        (param.Integer(1), 1.5, "must be a whole number, not a number", "a whole number"),
        (param.Integer(1), "5", "must be a whole number, not text", "a whole number"),
        (param.Integer(1), None, "must be a whole number, not null", "a whole number"),
        (param.Integer(1), 2**63, "must fit in 64 bits", "a whole number"),
        (param.Integer(1), 1e300, "must be a whole number, not a number", "a whole number"),
        (param.Number(1), True, "must be a number, not a boolean", "a number"),
        (param.Number(1), math.nan, "must be a finite number, not nan", "a number"),
        (param.Number(1), math.inf, "must be a finite number, not inf", "a number"),
        (
            param.Number(1, bounds=(0, None), inclusive_bounds=(False, True)),
            0,
            "must be greater than 0, not 0",
            "a number, more than 0",
        ),
        (param.Boolean(True), 1, "must be true or false, not a whole number", "true or false"),
        (param.String("a"), 1, "must be text, not a whole number", "text"),
        (param.String("a", regex="^a"), "b", "'b' does not match regex '^a'", "text that matches ^a"),
        (param.Selector(objects=["a", 1]), "b", "is not one of the choices", "one of 'a', 1"),
        (param.Selector(objects=["a", 1]), True, "is not one of the choices", "one of 'a', 1"),
        (param.Selector(objects={"x": int}), int, "is not one of the choices", "one of 'x'"),
        (param.ListSelector([], objects=["a"]), "a", "must be a list, not text", "a list of one of 'a'"),
        (param.ListSelector([], objects=["a"]), ["b"], "is not one of the choices", "a list of one of 'a'"),
        (
            param.List([], item_type=int),
            [True],
            "must be a whole number, not a boolean",
            "a list, each item a whole number",
        ),
        (
            param.List([1], bounds=(1, 2)),
            [],
            "length must be between 1 and 2 (inclusive), not 0",
            "a list; 1 to 2 of them",
        ),
        (param.Dict({}), [], "must be an object, not a list", "an object"),
        (param.Tuple((1, 2)), [1], "must have 2 values, not 1", "a list of 2 values"),
        (param.NumericTuple((1, 2)), [1, True], "must be a number, not a boolean", "a list of 2 numbers"),
        (
            param.Range((1, 2), bounds=(0, 5)),
            [1, 9],
            "upper bound must be in range [0, 5], not 9",
            "a list of 2 numbers from 0 to 5",
        ),
        (
            param.Date(TIME),
            "2026-01-31T09:41:32Z",
            "must have no offset from UTC",
            "a time such as 2026-01-31T09:41:32",
        ),
        (
            param.Date(TIME_UTC),
            "2026-01-31T09:41:32",
            "must have an offset from UTC, such as Z",
            "a time such as 2026-01-31T09:41:32Z",
        ),
        (
            param.Date(TIME),
            "yesterday",
            "must be a time such as 2026-01-31T09:41:32",
            "a time such as 2026-01-31T09:41:32",
        ),
        (
            param.CalendarDate(DAY),
            "2026-02-30",
            "is not a date: day is out of range for month",
            "a date such as 2026-01-31",
        ),
        (
            param.CalendarDate(DAY, bounds=(DAY, None)),
            "2026-01-30",
            "must be at least 2026-01-31, not 2026-01-30",
            "a date such as 2026-01-31, at least 2026-01-31",
        ),
        (
            param.CalendarDate(DAY),
            "20260131",
            "must be a date such as 2026-01-31",
            "a date such as 2026-01-31",
        ),
        (
            param.CalendarDateRange((DAY, DAY)),
            ["2026-01-31", "2026-01-30"],
            "end date 2026-01-30 is before start date 2026-01-31",
            "a list of 2 dates",
        ),
        (param.Path(), "", "must not be empty", "the path of a file or folder that exists"),
        (
            param.Path(),
            "a\0b",
            "must not contain a NUL character",
            "the path of a file or folder that exists",
        ),
        (param.Filename(None), "/", "File '/' not found", "the path of a file that exists"),
        (
            param.Foldername(None),
            "/no/such",
            "Folder '/no/such' not found",
            "the path of a folder that exists",
        ),
        (
            param.Color("#fff"),
            "reddish",
            "only takes RGB hex codes or named colors, received 'reddish'",
            "a color such as #1e88e5 or a CSS color name",
        ),
        (param.Parameter(None), {1: 2}, "must be text, not a whole number", "any JSON value"),
        (param.Parameter(None), {1, 2}, "must be a JSON value, not set", "any JSON value"),
        (param.Parameter(None), [math.nan], "must be a finite number, not nan", "any JSON value"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, param.Parameter) else "",
)
def test_what_is_refused_is_said_in_words(
    parameter: param.Parameter[Any], value: Any, message: str, expected: str
) -> None:
    assert (message, expected) == refusal_of(parameter, value)


def test_a_value_that_is_nested_too_deep_is_refused() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    assert refusal_of(param.Parameter(None), value)[0] == "must not be nested deeper than 50 levels"


# -- building ----------------------------------------------------------------------------------------------------------


class Job(Pipeline):
    """Some work."""

    n = param.Integer(1, bounds=(1, 10))
    low = param.Number(0.0)
    high = param.Number(1.0)
    kind = param.Selector(objects=["a", "b"], default=None)

    @param.depends("low", "high", watch=True, on_init=True)
    def _check(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")

    @phase
    def work(self) -> None: ...


def problems_of(pipeline: type[Pipeline], values: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(ParametersRefused) as caught:
        build(pipeline, values)
    return [(problem.field, problem.message, problem.received) for problem in caught.value.problems]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert [
        ("n", "must be at most 10, not 11", "11"),
        ("low", "must be a number, not text", "'x'"),
        ("more", "is not a parameter of this pipeline", "[]"),
        ("kind", "is required", "nothing"),
    ] == problems_of(Job, {"n": 11, "low": "x", "more": []})


def test_a_parameter_without_default_is_required() -> None:
    assert schema_of(Job)["required"] == ["kind"]
    assert "default" not in schema_of(Job)["properties"]["kind"]


def test_a_check_across_parameters_is_a_problem_of_them_all() -> None:
    values = {"low": 2, "high": 1, "kind": "a"}
    assert [("", "low must not be above high", "{'low': 2, 'high': 1, 'kind': 'a'}")] == problems_of(
        Job, values
    )


def test_a_constructor_that_raises_whatever_is_a_problem_and_no_crash() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def with_constructor(error: BaseException) -> type[Pipeline]:
        class Wrong(Pipeline):
            def __init__(self, **params: Any) -> None:
                raise error

        return Wrong

    assert problems_of(with_constructor(KeyError("colour")), {}) == [("", "KeyError: 'colour'", "{}")]
    assert problems_of(with_constructor(SystemExit(3)), {}) == [("", "SystemExit: 3", "{}")]
    assert problems_of(with_constructor(Odd()), {}) == [("", "Odd", "{}")]


def test_a_parameter_that_the_constructor_refuses_is_told_by_its_name() -> None:
    class Doubled(Pipeline):
        n = param.Integer(1, bounds=(0, 10))

        def __init__(self, **params: Any) -> None:
            super().__init__(**params)
            self.n = 2 * self.n

    assert problems_of(Doubled, {"n": 6}) == [("n", "must be at most 10, not 12", "6")]


def test_nothing_of_the_class_runs_when_a_parameter_is_refused() -> None:
    class Never(Pipeline):
        n = param.Integer(1)

        def __init__(self, **params: Any) -> None:
            pytest.fail("constructed")

    assert problems_of(Never, {"n": "x"}) == [("n", "must be a whole number, not text", "'x'")]


def test_parameters_that_are_no_object_are_refused() -> None:
    assert problems_of(Job, [1]) == [("", "must be an object, not a list", "[1]")]


def test_what_was_received_is_shown_within_bounds() -> None:
    ((_, message, received),) = problems_of(Job, {"kind": "x" * 1_000_000})
    assert message == "is not one of the choices"
    assert len(received) <= 200


def test_a_lone_surrogate_in_a_value_can_be_written_as_utf8() -> None:
    ((_, _, received),) = problems_of(Job, {"kind": "\ud800"})
    assert received.encode() == rb"'\ud800'"


def test_the_problems_are_bounded() -> None:
    found = problems_of(Job, {f"x{number}": 1 for number in range(10_000)})
    assert len(found) == PROBLEMS_LIMIT + 1  # and one that is required


def test_the_exception_says_it_all() -> None:
    with pytest.raises(ParametersRefused, match=r"^n: must be at least 1, not 0; kind: is required$"):
        build(Job, {"n": 0})


def test_a_value_given_to_an_open_selector_is_not_added_to_the_choices_of_everybody() -> None:
    pipeline = with_parameters(value=param.Selector(objects=["a"], check_on_set=False))
    assert values_of(build(pipeline, {"value": "b"})) == {"value": "b"}
    assert schema_of(pipeline)["properties"]["value"]["examples"] == ["a"]


def test_a_factory_for_the_default_makes_a_parameter_optional_and_is_called_at_construction_only() -> None:
    made = iter(range(10))
    pipeline = with_parameters(value=param.Integer(0, default_factory=lambda: next(made)))
    assert schema_of(pipeline)["required"] == []
    assert "default" not in schema_of(pipeline)["properties"]["value"]
    assert values_of(build(pipeline, {})) == {"value": 0}


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_relative_path_counts_from_the_current_folder_and_stays_when_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").touch()
    monkeypatch.chdir(tmp_path)
    pipeline = build(with_parameters(value=param.Path()), {"value": "a.csv"})
    monkeypatch.chdir("/")
    assert values_of(pipeline) == {"value": str(tmp_path / "a.csv")}


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert value_after(param.Foldername(), "~") == str(tmp_path)


def test_a_path_that_vanished_since_is_still_shown(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    pipeline = build(with_parameters(value=param.Filename()), {"value": str(file)})
    file.unlink()
    assert values_of(pipeline) == {"value": str(file)}


def test_a_default_path_is_shown_whole_and_still_when_it_has_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    monkeypatch.chdir(tmp_path)
    pipeline = with_parameters(value=param.Filename("a.csv"))
    assert values_of(build(pipeline, {})) == values_of(pipeline()) == {"value": str(file)}
    file.unlink()
    assert values_of(build(pipeline, {})) == values_of(pipeline()) == {"value": "a.csv"}


def test_a_path_that_need_not_exist_is_accepted(tmp_path: Path) -> None:
    assert value_after(param.Path(check_exists=False), str(tmp_path / "new")) == str(tmp_path / "new")


def test_the_choices_of_a_file_selector_are_the_files_there_are_now(tmp_path: Path) -> None:
    pipeline = with_parameters(value=param.FileSelector(path=str(tmp_path / "*.csv")))
    assert schema_of(pipeline)["properties"]["value"]["enum"] == []
    file = tmp_path / "a.csv"
    file.touch()
    assert schema_of(pipeline)["properties"]["value"]["enum"] == [str(file)]
    assert values_of(build(pipeline, {"value": str(file)})) == {"value": str(file)}


def test_a_file_that_no_pattern_selects_is_refused(tmp_path: Path) -> None:
    parameter = param.FileSelector(path=str(tmp_path / "*.csv"))
    assert refusal_of(parameter, "/etc/passwd") == (
        "is not one of the choices",
        "nothing: there are no choices",
    )


def test_several_files_are_selected(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file in files:
        file.touch()
    pipeline = with_parameters(value=param.MultiFileSelector([], path=str(tmp_path / "*")))
    names = [str(file) for file in files]
    assert schema_of(pipeline)["properties"]["value"]["items"]["enum"] == names
    assert values_of(build(pipeline, {"value": names})) == {"value": names}


def test_a_list_of_choices_that_is_too_long_is_not_spelled_out_but_checked() -> None:
    choices = [f"choice {number}" for number in range(2000)]
    assert property_of(param.Selector(objects=choices)) == {"type": "string", "default": "choice 0"}
    assert refusal_of(param.Selector(objects=choices), "choice 2000")[0] == "is not one of the choices"


# -- values ------------------------------------------------------------------------------------------------------------


def test_the_values_of_a_pipeline_include_its_defaults() -> None:
    assert values_of(build(Job, {"kind": "b", "n": 2})) == {"n": 2, "low": 0.0, "high": 1.0, "kind": "b"}


@pytest.mark.parametrize(
    "parameter",
    [
        param.Number(math.inf),
        param.Number(True),
        param.Integer(2**70),
        param.Dict({1: 2}),
        param.List([object()]),
        param.Selector(objects=[1], default=None),
    ],
    ids=lambda parameter: type(parameter).__name__,
)
def test_a_default_that_json_cannot_carry_is_left_out_and_used(parameter: param.Parameter[Any]) -> None:
    pipeline = with_parameters(value=parameter, other=param.Integer(1))()
    assert values_of(pipeline) == {"other": 1} | ({"value": None} if parameter.default is None else {})


def test_code_that_constructs_a_pipeline_finds_its_values() -> None:
    assert values_of(Job(n=3, kind="a")) == {"n": 3, "low": 0.0, "high": 1.0, "kind": "a"}


def test_building_again_from_the_values_gives_the_same_whatever_the_constructor_does() -> None:
    class Doubled(Pipeline):
        n = param.Integer(1)
        m = param.Integer(1)

        def __init__(self, **params: Any) -> None:
            super().__init__(**params)
            self.n, self.m = 2 * self.n, 2 * self.m

    first: Any = build(Doubled, {"n": 6})
    second: Any = build(Doubled, values_of(first))
    assert ((12, 2), (12, 2)) == ((first.n, first.m), (second.n, second.m))


def test_what_a_factory_made_is_among_the_values_so_that_building_again_gives_the_same() -> None:
    made = iter(range(10))
    pipeline = with_parameters(value=param.Integer(0, default_factory=lambda: next(made)))
    assert values_of(build(pipeline, values_of(build(pipeline, {})))) == {"value": 0}


def test_a_default_may_be_given_explicitly() -> None:
    defaults = {name: p["default"] for name, p in schema_of(Convert)["properties"].items()}
    assert values_of(build(Convert, defaults)) == values_of(build(Convert, {}))


def test_a_selector_without_choices_may_be_left_out() -> None:
    pipeline = with_parameters(value=param.Selector(objects=[]))
    assert ([], {"title": "Value", "default": None}) == (
        schema_of(pipeline)["required"],
        schema_of(pipeline)["properties"]["value"],
    )
    assert build(pipeline, {}).value is None  # type: ignore[attr-defined]


def test_none_as_a_choice_and_the_default_may_be_left_out() -> None:
    pipeline = with_parameters(value=param.Selector(objects=[None, "new"], default=None))
    schema = schema_of(pipeline)
    assert ([], None) == (schema["required"], schema["properties"]["value"]["default"])
    assert build(pipeline, {}).value is None  # type: ignore[attr-defined]
