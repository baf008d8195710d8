"""A run that ended before its last item: its buttons offer the rest, and its page counts it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from dashboards.indicators import RunControls, Status
from dashboards.pages.address import Address
from dashboards.session import PipelineSpec, StartModel
from streamer.model.events import Results, Unreached
from tests.gallery.models import model as live
from tests.gallery.states import running


class Commands:
    """Notes what was asked for."""

    def __init__(self) -> None:
        self.rests: list[bool] = []

    async def retry(self, *, rest: bool = False) -> str:
        self.rests.append(rest)
        return "again"


@pytest.mark.parametrize(
    ("failed", "unreached", "retry", "rest", "said"),
    [
        (
            3,
            Unreached("load", 40, 100),
            "ask",
            "Do 3 failed and 60 unreached items",
            "60 of 100 items in load",
        ),
        (0, Unreached("load", 99, 100), "none", "Do 1 unreached item", "1 of 100 items in load"),
        (0, Unreached("load", 40), "none", "Do the unreached items", "all after the first 40 items in load"),
    ],
)
def test_what_was_never_reached_is_said_and_offered(
    failed: int, unreached: Unreached, retry: str, rest: str, said: str
) -> None:
    model = live(running())
    assert model.state is not None
    state = replace(
        model.state,
        status="cancelled",
        managed=True,
        results=Results(40 - failed, failed),
        unreached=(unreached,),
    )
    model.update(state=state)
    shown = RunControls(model).present()
    assert (retry, rest) == (shown["retry"], shown["rest"])
    if failed:
        assert "60 others were never reached" in shown["why_retry"]
    facts = {fact["name"]: fact["parts"] for fact in Status(model).present()["facts"]}
    assert [said] == facts["Never reached"]


def test_a_run_that_came_to_its_end_offers_no_rest() -> None:
    model = live(running())
    assert model.state is not None
    model.update(state=replace(model.state, status="complete", managed=True))
    assert "" == RunControls(model).present()["rest"]


def test_the_rest_is_asked_for_once() -> None:
    model = live(running())
    commands = model.commands = Commands()  # type: ignore[assignment]  # it needs no more than a retry

    async def twice() -> None:
        await asyncio.gather(model.retry(rest=True), model.retry(rest=True))

    asyncio.run(twice())
    assert ([True], "again") == (commands.rests, model.retry_run)


def test_a_retry_of_a_run_with_secrets_leads_to_the_form_that_asks_for_them() -> None:
    model = live(running())
    assert model.state is not None
    over = replace(model.state, status="failed", managed=True, pipeline="Load")
    for parameters, asks in (
        ({"password": "…"}, f"?start=Load&again={over.run}"),
        ({"url": "db://ada:…@x"}, f"?start=Load&again={over.run}"),
        ({"password": ""}, ""),
    ):
        model.update(state=replace(over, parameters=parameters))
        assert asks == RunControls(model, again_href="?start={}&again={}").present()["asks"]


def test_the_form_does_those_items_again_that_its_address_names() -> None:
    address = Address.parse({"start": [b"Load"], "again": [b"r1"], "items": [b"rest"]})
    assert "rest" == address.items
    assert "" == Address.parse({"items": [b"some"]}).items
    asked: list[dict[str, Any]] = []

    class Starter:
        async def start(self, pipeline: str, parameters: dict[str, Any], **how: Any) -> str:
            asked.append(how)
            return "new"

    spec = PipelineSpec("Load", schema={"properties": {}})
    form = StartModel(pipelines=(spec,), commands=Starter(), again="r1", items="rest")
    asyncio.run(form.start({}))
    assert [{"again": "r1", "items": "rest", "time_limit_seconds": None}] == asked
