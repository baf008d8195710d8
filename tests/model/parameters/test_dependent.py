"""Parameters that depend on others: the schema marks the watched ones, a form is filled in, a run is started."""

from __future__ import annotations

from typing import Any

import param
import pytest

from streamer import Pipeline, phase
from streamer.model.parameters.json_schema import ParametersRefused, build, changed, schema_of, values_of

REGIONS = {"de": ["north", "south"], "fr": ["east"]}
TOWNS = {"north": ["Kiel", "Lübeck"], "south": ["Ulm"], "east": ["Metz"]}


class Trip(Pipeline):
    town = param.Selector(objects=["Kiel", "Lübeck"])
    country = param.Selector(objects=["de", "fr"])
    region = param.Selector(objects=["north", "south"])
    nights = param.Integer(1, bounds=(1, 10))
    password = param.String("", label="Password")

    @param.depends("country", watch=True)
    def _regions(self) -> None:
        self.param["region"].objects = REGIONS[self.country]
        self.region = REGIONS[self.country][0]

    @param.depends("region", watch=True)
    def _towns(self) -> None:
        self.param["town"].objects = TOWNS[self.region]
        self.town = TOWNS[self.region][0]

    @param.depends("nights")
    def unwatched(self) -> None: ...

    @phase
    def go(self) -> None: ...


class Stays(Pipeline):
    """Its watcher changes the bounds, and leaves the value that no longer fits."""

    size = param.Selector(objects=["small", "large"])
    n = param.Integer(5, bounds=(0, 10))

    @param.depends("size", watch=True)
    def _bounds(self) -> None:
        self.param["n"].bounds = (0, 10) if self.size == "small" else (50, 90)

    @phase
    def go(self) -> None: ...


def choices(schema: dict[str, Any], name: str) -> list[Any]:
    return list(schema["properties"][name]["enum"])


def test_the_schema_marks_the_parameters_that_others_depend_on() -> None:
    properties = schema_of(Trip)["properties"]
    assert {"country", "region"} == {name for name, one in properties.items() if one.get("x-watched")}


def test_a_change_reaches_what_depends_on_what_it_changed() -> None:
    values, schema, problems = changed(
        Trip, {"country": "fr", "region": "north", "town": "Kiel"}, ["country"]
    )
    assert ("fr", "east", "Metz", ()) == (values["country"], values["region"], values["town"], problems)
    assert (["east"], ["Metz"]) == (choices(schema, "region"), choices(schema, "town"))


def test_values_that_were_chosen_before_stay_whatever_the_order_of_the_fields() -> None:
    before = {"town": "Lübeck", "country": "de", "region": "north", "nights": 3}
    values, _, problems = changed(Trip, {**before, "nights": 4}, ["nights"])
    assert ({**before, "nights": 4}, ()) == ({name: values[name] for name in before}, problems)


def test_a_change_back_to_the_default_is_a_change() -> None:
    values, schema, _ = changed(Trip, {"country": "de", "region": "north", "town": "Ulm"}, ["region"])
    assert ("Kiel", ["Kiel", "Lübeck"]) == (values["town"], choices(schema, "town"))


def test_a_value_that_does_not_fit_is_told_and_kept() -> None:
    values, _, problems = changed(Trip, {"nights": 99, "country": "fr"}, ["country"])
    assert [("nights", "must be at most 10, not 99", "99")] == [
        (p.field, p.message, p.received) for p in problems
    ]
    assert (99, "east") == (values["nights"], values["region"])


def test_a_value_that_no_longer_fits_the_bounds_is_told() -> None:
    _, schema, problems = changed(Stays, {"size": "large", "n": 5}, ["size"])
    assert (50, 90) == (schema["properties"]["n"]["minimum"], schema["properties"]["n"]["maximum"])
    assert ["n"] == [problem.field for problem in problems]


def test_a_value_fits_the_bounds_that_another_value_brings() -> None:
    values, _, problems = changed(Stays, {"n": 60, "size": "large"}, [])
    assert ({"size": "large", "n": 60}, ()) == (values, problems)


def test_secrets_are_not_in_the_answer_nor_in_its_problems() -> None:
    values, _, problems = changed(Trip, {"password": ["hunter2"], "nights": 2}, ["nights"])
    assert "password" not in values
    assert ["password"] == [problem.field for problem in problems]
    assert "hunter2" not in repr(problems)


CHOSEN = {"country": "fr", "region": "east", "town": "Metz", "nights": 2}


def test_a_start_takes_choices_that_depend_on_another_value() -> None:
    built = build(Trip, CHOSEN)
    assert ("fr", "east", "Metz", 2) == (built.country, built.region, built.town, built.nights)
    whole = values_of(built)
    assert CHOSEN == {name: whole[name] for name in CHOSEN}
    assert "Metz" == build(Trip, whole).town


def test_a_start_refuses_a_choice_of_another_value() -> None:
    with pytest.raises(ParametersRefused) as refused:
        build(Trip, {**CHOSEN, "town": "Kiel", "nights": 0})
    assert ["town", "nights"] == [problem.field for problem in refused.value.problems]


def test_the_class_keeps_its_own_choices() -> None:
    build(Trip, CHOSEN)
    assert ["Kiel", "Lübeck"] == Trip.param["town"].objects


class Filled(Pipeline):
    """Its selector is declared without choices, as people do whose choices come later."""

    region = param.Selector(objects=["north", "south"])
    town = param.Selector(objects=[])

    @param.depends("region", watch=True, on_init=True)
    def _towns(self) -> None:
        self.param["town"].objects = TOWNS[self.region]

    @phase
    def go(self) -> None: ...


def test_a_selector_without_choices_has_those_that_were_filled_in_and_may_stay_without_a_value() -> None:
    values, schema, problems = changed(Filled, {"region": "north", "town": None}, [])
    assert (None, ["Kiel", "Lübeck", None], ()) == (values["town"], choices(schema, "town"), problems)
    assert [] == schema["required"]
    assert "Ulm" == build(Filled, {"region": "south", "town": "Ulm"}).town
