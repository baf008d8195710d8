"""``POST /api/pipelines/NAME/estimate``: how long a run takes that has not started."""

from __future__ import annotations

import time

import pytest

from streamer.model.timestamps import format_time
from tests.api_support import Api, data_of, error_of

ESTIMATE = "/api/pipelines/Plain/estimate"


async def ended(api: Api, number: int, *, seconds: float, end: str = "complete") -> None:
    """Record a run of the pipeline Plain that is over."""
    begin = 1_700_000_000.0 + 3600 * number
    producer = await api.register(pipeline="Plain", parameters={"n": 3}, time=format_time(begin))
    last = {"event": end, "time": format_time(begin + seconds)}
    if end == "failed":
        last |= {"message": "no disk", "error": {"type": "OSError", "message": "no disk", "traceback": ""}}
    await producer.send({"event": "status", "status": "running", "time": format_time(begin)}, last)


async def test_without_earlier_runs_the_duration_is_not_known_yet(api):
    answer = await api.http.post(ESTIMATE, json={})
    assert {"duration": None, "runs": 0, "basis": "not known yet"} == answer.json()


async def test_three_runs_say_how_long_the_fourth_one_takes(api):
    for number in range(3):
        await ended(api, number, seconds=240 + number)
    await ended(api, 3, seconds=1, end="failed")
    usual = (await api.http.post(ESTIMATE, json={"n": 3})).json()
    assert (3, "3 earlier runs") == (usual["runs"], usual["basis"])
    assert 241 == pytest.approx(usual["duration"]["p50"], rel=0.05)
    assert usual["duration"]["p10"] < 240 < 242 < usual["duration"]["p90"]


async def test_the_estimate_of_parameters_that_a_start_refuses_is_refused(api):
    error = error_of(await api.http.post(ESTIMATE, json={"n": 0}), 422, "invalid")
    assert ["n"] == [one["field"] for one in error["details"]]


async def test_the_estimate_of_an_unknown_pipeline_is_not_found(api):
    error_of(await api.http.post("/api/pipelines/Nothing/estimate", json={}), 404, "not_found")


async def test_a_run_under_way_has_an_estimate_in_its_state_its_stream_and_the_list(api: Api) -> None:
    producer = await api.register(pipeline="Import", phases=[{"name": "load"}])
    await producer.send(
        {"event": "phase", "phase": "load", "phaseStatus": "started"},
        {"event": "progress", "phase": "load", "done": 50, "total": 100},
    )
    assert (await producer.state())["estimate"] is None
    async with api.stream(f"{producer.path}/events") as stream:
        await stream.next()
        await api.streamer.estimates.look()
        frame = await stream.next()
    assert (b"estimate", None) == (frame.event.encode(), data_of(frame).get("seq"))
    told = {name: value for name, value in data_of(frame).items() if name not in ("event", "run")}
    assert told == (await producer.state())["estimate"]
    listed = (await api.http.get("/api/runs")).json()["runs"]
    assert [told] == [run["estimate"] for run in listed]
    said = (await api.http.get(f"{producer.path}/estimates")).json()
    assert [told["remaining"]] == [one["remaining"] for one in said["estimates"]]
    await producer.complete()
    assert (await producer.state())["estimate"] is None


async def test_the_history_of_a_pipeline_tells_what_was_and_what_was_said(api: Api) -> None:
    began = time.time() - 1000
    for number in range(2):
        producer = await api.register(
            pipeline="Import", phases=[{"name": "load"}], parameters={"n": number}, time=format_time(began)
        )
        await producer.send(
            {"event": "phase", "phase": "load", "phaseStatus": "started", "time": format_time(began)},
            {"event": "progress", "done": 50, "total": 100, "time": format_time(began + 5)},
            {"event": "complete", "time": format_time(began + 10)},
        )
    found = (await api.http.get("/api/history?pipeline=Import")).json()["runs"]
    assert [({"n": 1}, "complete"), ({"n": 0}, "complete")] == [
        (run["parameters"], run["outcome"]) for run in found
    ]
    assert [{"name": "load", "duration": 10.0}] == found[0]["phases"]
    assert [] == (await api.http.get("/api/history?title=nothing")).json()["runs"]
    assert 1 == len((await api.http.get("/api/history?limit=1")).json()["runs"])
