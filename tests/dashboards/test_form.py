"""A form whose fields depend on one another: what a change sets, keeps and says; mistakes are told in one round."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import param
import pytest

from dashboards.session import CommandError, FormChange, PipelineSpec, StartModel, StartRefused
from streamer import Pipeline, phase
from streamer.model.parameters.json_schema import ParametersRefused, build, changed, schema_of

TOWNS = {"north": ["Kiel", "Lübeck"], "south": ["Ulm"]}


class Trip(Pipeline):
    region = param.Selector(objects=["north", "south"])
    town = param.Selector(objects=["Kiel", "Lübeck"])
    nights = param.Integer(1, bounds=(1, 9))
    note = param.String("")
    password = param.String("")

    @param.depends("region", watch=True)
    def _towns(self) -> None:
        self.param["town"].objects = TOWNS[self.region]
        self.town = TOWNS[self.region][0]

    @phase
    def go(self) -> None: ...


class Commands:
    """A streamer without a network: the pipeline's own code answers."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.fails = ""
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def form(self, pipeline: str, values: dict[str, Any], names: Sequence[str]) -> FormChange:
        await self.may_answer.wait()
        if self.fails:
            raise CommandError(self.fails)
        now, schema, problems = changed(Trip, values, names)
        return FormChange(now, schema, [{"field": p.field, "message": p.message} for p in problems])

    async def check(self, pipeline: str, parameters: dict[str, Any]) -> None:
        try:
            build(Trip, parameters)
        except ParametersRefused as error:
            raise StartRefused("refused", {p.field: p.message for p in error.problems}) from error

    async def start(self, pipeline: str, parameters: dict[str, Any], **how: Any) -> str:
        await self.check(pipeline, parameters)
        self.started.append(parameters)
        return "run1"


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def model(commands: Commands) -> StartModel:
    return StartModel(pipelines=(PipelineSpec("Trip", schema=schema_of(Trip)),), commands=commands)


def raw(model: StartModel, **typed: Any) -> dict[str, Any]:
    """Return the fields as a page sends them after its reader has typed some."""
    return {field["name"]: None if field["none"] else field["value"] for field in model.fields()} | typed


def shown(model: StartModel, name: str) -> Any:
    field = next(field for field in model.fields() if field["name"] == name)
    return field["choices"][int(field["value"])] if field["kind"] == "choice" else field["value"]


async def test_a_change_sets_what_depends_on_it_keeps_what_was_typed_and_is_said_in_words(
    model: StartModel,
) -> None:
    await model.change("region", raw(model, region="1", note="mine", nights="7"))
    assert ("south", "Ulm", "mine", "7") == tuple(
        shown(model, n) for n in ("region", "town", "note", "nights")
    )
    assert {"region": ("Town set to 'Ulm' because Region changed.",)} == model.said


async def test_only_what_a_change_set_replaces_what_was_typed_meanwhile(model: StartModel) -> None:
    await model.change("region", raw(model, region="1"))
    renewed = {field["name"] for field in model.fields() if field["renewed"]}
    assert {"town"} == renewed


async def test_the_values_that_a_change_set_are_started(model: StartModel, commands: Commands) -> None:
    await model.change("region", raw(model, region="1"))
    await model.submit(raw(model), seen=1)
    assert ("run1", [{"region": "south", "town": "Ulm"}]) == (model.run_id, commands.started)


async def test_an_untouched_form_starts_the_defaults(model: StartModel, commands: Commands) -> None:
    await model.ask()
    await model.submit(raw(model))
    assert [{}] == commands.started


async def test_a_form_done_again_has_the_choices_of_its_values(commands: Commands) -> None:
    old = {"region": "south", "town": "Ulm", "nights": 2, "note": " x\n", "password": ""}
    spec = PipelineSpec("Trip", schema=schema_of(Trip))
    model = StartModel(pipelines=(spec,), commands=commands, values=old, again="run0")
    await model.ask()
    assert "Ulm" == shown(model, "town")
    await model.submit(raw(model))
    assert [old] == commands.started


async def test_values_that_no_longer_fit_are_told_at_their_fields(model: StartModel) -> None:
    await model.change("region", raw(model, region="1", nights="9"))
    model.update(values={"nights": 99})
    await model.change("region", raw(model, region="0", nights="99"))
    assert ["nights"] == [*model.errors]


async def test_a_form_that_cannot_be_computed_stays_and_says_why(
    model: StartModel, commands: Commands
) -> None:
    commands.fails = "the form took longer than 2 s and was stopped"
    await model.change("region", raw(model, region="1", note="mine"))
    assert "could not be brought up to date: the form took longer than 2 s" in model.said["region"][0]
    assert "" == model.asking


async def test_a_field_that_cannot_be_read_is_told_before_anything_is_asked(
    model: StartModel, commands: Commands
) -> None:
    commands.fails = "asked"
    await model.change("nights", raw(model, nights="many"))
    assert ({"nights": "Expected a whole number."}, {}) == (model.errors, model.said)


async def test_mistakes_that_the_form_and_the_streamer_find_are_told_in_one_round(model: StartModel) -> None:
    told = []
    model.listen(lambda *_: told.append(dict(model.errors)), ["errors"])
    model.update(changed_schema=changed(Trip, {"region": "south"}, ["region"])[1])
    # "Ulm" is a choice of the form, and none of the region that is sent.
    await model.submit(raw(model, region="0", town="0", nights="many", **{"time-limit": "soon"}))
    assert [{"town", "nights", "time-limit"}] == [set(errors) for errors in told]
    assert (False, "") == (model.busy, model.run_id)


async def test_a_start_waits_for_the_change_before_it_and_for_its_reader_where_fields_changed(
    model: StartModel, commands: Commands
) -> None:
    commands.may_answer.clear()
    change = asyncio.create_task(model.change("region", raw(model, region="1")))
    await asyncio.sleep(0)  # a turn of the loop, in which the task begins
    await model.submit(raw(model, region="1"))
    commands.may_answer.set()
    await change
    assert ([], "") == (commands.started, model.run_id)
    assert "Not started yet" in model.notice


async def test_a_second_change_goes_on_with_what_the_first_one_set(
    model: StartModel, commands: Commands
) -> None:
    commands.may_answer.clear()
    first = asyncio.create_task(model.change("region", raw(model, region="1")))
    await asyncio.sleep(0)  # a turn of the loop, in which the task begins
    await model.change("note", raw(model, region="1", note="later"))
    commands.may_answer.set()
    await first
    assert ("south", "Ulm", "later") == tuple(shown(model, name) for name in ("region", "town", "note"))


async def test_a_secret_that_was_typed_is_not_sent_back(model: StartModel) -> None:
    await model.change("region", raw(model, region="1", password="hunter2"))
    assert "hunter2" not in repr(model.fields())
