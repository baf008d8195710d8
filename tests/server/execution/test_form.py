"""A form after a change: computed by the pipeline's own code, in a process of its own that has little time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streamer.server.execution.form import FormFailed, Forms, FormsBusy

CODE = """
import os
import param
from streamer import Pipeline, phase

TOWNS = {"north": ["Kiel", "Lübeck"], "south": ["Ulm"]}


class Trip(Pipeline):
    region = param.Selector(objects=["north", "south"])
    town = param.Selector(objects=[])
    nights = param.Integer(1)

    @param.depends("region", watch=True)
    def _towns(self):
        print("printed by the pipeline")
        self.param["town"].objects = TOWNS[self.region]
        self.town = TOWNS[self.region][0]

    @param.depends("nights", watch=True)
    def _nights(self):
        while self.nights == 9:
            pass
        if self.nights == 8:
            raise LookupError("no hotel")
        if self.nights == 7:
            os._exit(3)

    @phase
    def go(self): ...
"""


def ask(folder: Path, values: dict[str, Any], changed: list[str], seconds: float = 30.0) -> dict[str, Any]:
    path = folder / "trip.py"
    path.write_text(CODE)

    return asyncio.run(Forms().after(f"{path}:Trip", values, changed, seconds=seconds))


@pytest.mark.slow
def test_the_choices_are_those_of_the_value_that_changed(tmp_path: Path) -> None:
    form = ask(tmp_path, {"region": "south", "town": "Kiel", "nights": 3}, ["region"])
    assert {"region": "south", "town": "Ulm", "nights": 3} == form["values"]
    assert "Ulm" in str(form["schema"]["properties"]["town"])


@pytest.mark.slow
@pytest.mark.parametrize(("nights", "message"), [(8, "LookupError: no hotel"), (7, "exit code 3")])
def test_code_that_fails_is_told(tmp_path: Path, nights: int, message: str) -> None:
    with pytest.raises(FormFailed, match=message):
        ask(tmp_path, {"nights": nights}, ["nights"])


@pytest.mark.slow
def test_code_that_hangs_is_killed(tmp_path: Path) -> None:
    with pytest.raises(FormFailed, match="longer than 2 s"):
        ask(tmp_path, {"nights": 9}, ["nights"], seconds=1.5)


async def test_no_form_is_computed_where_there_is_no_room() -> None:
    with pytest.raises(FormsBusy):
        await Forms(at_once=0).after("trip:Trip", {}, [])
