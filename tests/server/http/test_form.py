"""``POST /api/pipelines/NAME/form``: a form after a change, and what a pipeline's code may do instead of answering."""

from __future__ import annotations

import asyncio

import pytest

from streamer.server.http import pipelines
from tests.api_support import PATIENCE, error_of, running

CODE = """
import os, time
import param
from streamer import Pipeline, phase

TOWNS = {"north": ["Kiel", "Lübeck"], "south": ["Ulm"]}


class Trip(Pipeline):
    region = param.Selector(objects=["north", "south"])
    town = param.Selector(objects=["Kiel", "Lübeck"])
    nights = param.Integer(1, bounds=(1, 9))
    how = param.Selector(objects=["well", "slow", "crash", "flood", "surrogate", "raise"])
    note = param.String("")

    @param.depends("region", watch=True)
    def _towns(self):
        print("printed by the pipeline")
        self.param["town"].objects = TOWNS[self.region]
        self.town = TOWNS[self.region][0]

    @param.depends("how", watch=True)
    def _do(self):
        match self.how:
            case "slow":
                while True:
                    time.sleep(60)  # code of a user's that never ends
            case "crash":
                os.kill(os.getpid(), 11)
            case "flood":
                self.note = "x" * 3_000_000
            case "surrogate":
                self.note = "bad \\udcff name"
            case "raise":
                raise LookupError("no hotel")

    @phase
    def go(self): ...
"""
FORM = "/api/pipelines/Trip/form"


@pytest.fixture
async def trips(tmp_path, monkeypatch):
    # A busy machine may need longer than two seconds to start Python.
    monkeypatch.setattr(pipelines, "FORM_SECONDS", PATIENCE)
    path = tmp_path / "trips.py"
    path.write_text(CODE)
    async with running(tmp_path, pipelines=(str(path),)) as api:
        yield api


@pytest.mark.slow
async def test_a_form_has_the_choices_of_the_value_that_changed(trips):
    asked = {"values": {"region": "south", "town": "Kiel", "nights": 3}, "changed": ["region"]}
    answer = await trips.http.post(FORM, json=asked)
    assert 200 == answer.status_code
    form = answer.json()
    assert ("Ulm", ["Ulm"], 3) == (
        form["values"]["town"],
        form["schema"]["properties"]["town"]["enum"],
        form["values"]["nights"],
    )
    assert [] == form["problems"]


@pytest.mark.slow
async def test_a_form_tells_which_values_do_not_fit(trips):
    form = (await trips.http.post(FORM, json={"values": {"nights": 99}, "changed": ["region"]})).json()
    assert [("nights", "must be at most 9, not 99")] == [(p["field"], p["message"]) for p in form["problems"]]


async def test_a_form_of_an_unknown_pipeline_is_not_found(trips):
    error_of(await trips.http.post("/api/pipelines/Nothing/form", json={}), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [({"values": [1]}, "values"), ({"changed": "region"}, "changed"), ({"value": {}}, "value")],
)
async def test_a_body_of_another_form_is_refused(trips, body, field):
    error = error_of(await trips.http.post(FORM, json=body), 422, "invalid")
    assert [field] == [problem["field"] for problem in error["details"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "LookupError: no hotel"),
        ("crash", "signal 11"),
        ("flood", "larger than 2,000,000 bytes"),
        ("surrogate", "the form cannot be sent as JSON: the values of note"),
    ],
)
async def test_code_that_gives_no_form_is_told_as_it_is(trips, how, message):
    answer = await trips.http.post(FORM, json={"values": {"how": how}, "changed": ["how"]})
    assert message in error_of(answer, 422, "invalid")["message"]


@pytest.mark.slow
async def test_code_that_takes_too_long_is_stopped_two_seconds_after_the_request(tmp_path):
    path = tmp_path / "trips.py"
    path.write_text(CODE)
    async with running(tmp_path, pipelines=(str(path),)) as api, asyncio.timeout(PATIENCE):
        answer = await api.http.post(FORM, json={"values": {"how": "slow"}, "changed": ["how"]})
    assert "longer than 2 s" in error_of(answer, 422, "invalid")["message"]


@pytest.mark.slow
async def test_a_form_beyond_those_at_once_is_answered_at_once(tmp_path):
    path = tmp_path / "trips.py"
    path.write_text(CODE)
    slow = {"values": {"how": "slow"}, "changed": ["how"]}
    async with running(tmp_path, pipelines=(str(path),)) as api:
        answers = await asyncio.gather(*(api.http.post(FORM, json=slow) for _ in range(3)))
        assert [422, 422, 503] == sorted(answer.status_code for answer in answers)
        busy = next(answer for answer in answers if answer.status_code == 503)
        assert "2 forms are being computed" in error_of(busy, 503, "too_many_forms")["message"]
        # There is room again.
        assert 422 == (await api.http.post(FORM, json=slow)).status_code


async def test_a_check_refuses_as_a_start_does_and_starts_nothing(api):
    good = await api.http.post("/api/pipelines/Plain/runs?check=true", json={"n": 5})
    assert (200, 5, "a") == (
        good.status_code,
        good.json()["parameters"]["n"],
        good.json()["parameters"]["kind"],
    )
    wrong = await api.http.post("/api/pipelines/Plain/runs?check=true", json={"n": 0, "kind": "z"})
    assert ["n", "kind"] == [p["field"] for p in error_of(wrong, 422, "invalid")["details"]]
    error_of(await api.http.post("/api/pipelines/Plain/runs?check=yes"), 400, "invalid")
    assert [] == (await api.http.get("/api/runs")).json()["runs"]
