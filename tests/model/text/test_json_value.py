"""Results and fields as plain JSON: numbers stay numbers, large things are bounded, and nothing is lost silently."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import types
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.model.bounds import FIELDS_LIMIT, RESULT_LIMIT, bounded, bounded_json
from streamer.model.events import Completed, Logged, StatusChanged


def form(value: object) -> Any:
    made = bounded_json(value, RESULT_LIMIT)
    # Strict JSON, and the same when a reader bounds it again.
    assert made == json.loads(json.dumps(made, allow_nan=False)) == bounded_json(made, RESULT_LIMIT)
    return made


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


@dataclasses.dataclass
class Row:
    name: str
    loss: float
    password: str = dataclasses.field(default="hunter2", repr=False)


class NoText:
    def __repr__(self) -> str:
        raise RuntimeError("no text today")


class Odd:
    """Has attributes of an array that raise."""

    dtype = "float"

    @property
    def shape(self) -> tuple[int, ...]:
        raise ValueError("not now")

    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.float32(0.5), 0.5),
        (np.int64(42), 42),
        (np.uint8(7), 7),
        (np.bool_(True), True),
        (np.longdouble(0.5), 0.5),
        (np.str_("text"), "text"),
        (np.array(5), 5),
        (np.float64("nan"), "NaN"),
        ({"rows": np.int64(42), "mean": np.float32(0.5), "ok": np.bool_(False)},) * 1
        + ({"rows": 42, "mean": 0.5, "ok": False},),
        ([np.int8(1), (np.int8(2), {np.int8(3)})], [1, [2, [3]]]),
        ({np.int64(2026): 1}, {"2026": 1}),
        (np.arange(4), [0, 1, 2, 3]),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        (np.array([1.0, math.nan]), [1.0, "NaN"]),
        (np.datetime64("2026-01-31T09:41:32.123456789"), "2026-01-31T09:41:32.123456789"),
        (np.array(["2026-01-31"], dtype="M8[D]"), ["2026-01-31"]),
        (pd.Timestamp("2026-03-29T02:30", tz="UTC"), "2026-03-29T02:30:00Z"),
        (pd.NaT, "NaT"),
        (pd.Index(["a", "b"]), ["a", "b"]),
        (pd.Series([1, 2]).sum(), 3),
    ],
)
def test_what_numpy_and_pandas_return_is_what_it_looks_like(value: object, expected: object) -> None:
    assert expected == form(value)
    assert type(expected) is type(form(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"loss": math.nan, "best": math.inf}, {"loss": "NaN", "best": "Infinity"}),
        (-math.inf, "-Infinity"),
        (decimal.Decimal("12.30"), "12.30"),
        (decimal.Decimal("NaN"), "NaN"),
        (dt.datetime.fromisoformat("2026-03-29T02:30"), "2026-03-29T02:30:00"),
        (dt.datetime(2026, 3, 29, 2, 30, tzinfo=dt.UTC), "2026-03-29T02:30:00Z"),
        (dt.date(2026, 3, 29), "2026-03-29"),
        (dt.timedelta(minutes=5), "PT300S"),
        ({dt.date(2026, 3, 29): 1}, {"2026-03-29": 1}),
        ({"b", "a"}, ["a", "b"]),
        ({1, "a", None}, [None, 1, "a"]),
        (b"\xff\x00ab", r"b'\xff\x00ab'"),
        (memoryview(b"ab"), "b'ab'"),
        (Row("x", 0.5), {"name": "x", "loss": 0.5}),
        (types.SimpleNamespace(a=1), {"a": 1}),
        (collections.deque([1]), [1]),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (array.array("i", [1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        (Color.RED, 1),
        (Color.BLUE, "blue"),
        (pathlib.PureWindowsPath(r"C:\data"), r"C:\data"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({("a", 1): 2}, {"('a', 1)": 2}),
        ({1: "one", "1": "text", None: 0}, {"1": "one", "1 (2)": "text", "null": 0}),
        (2**64, str(2**64)),
        (2**63, 2**63),
        (3 + 1j, "(3+1j)"),
        (ValueError("bad"), "ValueError: bad"),
        ({"name": "bad\udcffname"}, {"name": r"bad\xffname"}),
        (NoText(), "<NoText without a text: RuntimeError>"),
        ([NoText(), 1], ["<NoText without a text: RuntimeError>", 1]),
        (Odd(), "odd"),
    ],
)  # fmt: skip
def test_other_values_are_shown_as_a_person_reads_them(value: object, expected: object) -> None:
    assert expected == form(value)


def test_an_integer_that_python_refuses_to_write_is_hexadecimal_and_cut() -> None:
    assert form(10**5000).startswith("0x")


def test_an_iterator_is_not_read() -> None:
    items = iter([1, 2])
    form({"items": items})
    assert [1, 2] == list(items)


def test_a_large_array_is_abridged_with_a_note() -> None:
    made = form({"weights": np.zeros((1000, 1000))})["weights"]
    assert "ndarray of 1,000 x 1,000 float64: 1,000,000 values, abridged" == made["note"]
    assert "..." in made["repr"]


def test_a_frame_is_a_table_with_a_note() -> None:
    made = form(pd.DataFrame({"name": ["a", "b"], "loss": [0.5, math.nan]}))
    assert "DataFrame: 2 rows, 2 columns" == made["note"]
    assert [{"name": "a", "loss": 0.5}, {"name": "b", "loss": "NaN"}] == made["table"]


def test_a_large_frame_is_its_first_rows_and_columns_with_a_note() -> None:
    made = form({"frame": pd.DataFrame(np.zeros((5000, 50)))})["frame"]
    assert "DataFrame: the first 100 of 5,000 rows, the first 30 of 50 columns" == made["note"]
    assert (100, 30) == (len(made["table"]), len(made["table"][0]))


def test_the_index_of_a_frame_is_a_column_unless_it_only_counts() -> None:
    indexed = pd.DataFrame({"rows": [1]}, index=pd.Index(["north"], name="region"))
    assert [{"region": "north", "rows": 1}] == form(indexed)["table"]
    two = pd.DataFrame({"rows": [1]}, index=pd.MultiIndex.from_tuples([("north", 2026)]))
    assert [{"index 0": "north", "index 1": 2026, "rows": 1}] == form(two)["table"]


def test_columns_of_one_name_are_both_kept() -> None:
    twice = pd.concat([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})], axis=1)
    assert [{"a": 1, "a (2)": 2}] == form(twice)["table"]


def test_a_series_is_a_table_of_its_index_and_values() -> None:
    assert [{"region": "x", "n": 2}] == form(pd.Series([2], index=pd.Index(["x"], name="region"), name="n"))[
        "table"
    ]


def test_more_values_than_could_be_kept_are_not_walked_through() -> None:
    made = form(range(10**12))
    assert "cut: more than 256,000 values" == made["note"]
    assert made["repr"] == "range(0, 1000000000000)"


def test_an_event_of_an_object_that_refuses_to_be_compared_is_kept() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    completed = bounded(Completed(result=frame))
    assert isinstance(completed, Completed)
    assert [{"a": 1}, {"a": 2}] == completed.result["table"]
    logged = bounded(Logged(fields={"batch": np.arange(3), "loss": np.float32(0.5)}))
    assert isinstance(logged, Logged)
    assert {"batch": [0, 1, 2], "loss": 0.5} == logged.fields
    status = bounded(StatusChanged(status="running", parameters={"grid": np.arange(3)}))
    assert isinstance(status, StatusChanged)
    assert {"grid": [0, 1, 2]} == status.parameters


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text()
    | st.binary()
    | st.dates()
    | st.decimals(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_it_is_the_form_is_strict_json_within_its_bound(value: object) -> None:
    made = bounded_json(value, FIELDS_LIMIT)
    # A note and a beginning may take a little more than a very small bound.
    assert len(json.dumps(made, allow_nan=False)) <= 6 * FIELDS_LIMIT
    assert made == bounded_json(made, RESULT_LIMIT)
