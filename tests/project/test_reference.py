"""The examples of the reference against the running streamer: each has the shape of what is really answered."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from streamer.model.estimate import Duration, Estimated
from streamer.protocol.frames import estimate_data
from tests.api_support import Api, Producer, data_of, ndjson, running
from tests.support import ROOT

EXAMPLES = dict(
    re.findall(
        r"<!-- answer: (\w+) -->\n```json\n(.*?)```", (ROOT / "docs" / "reference.md").read_text(), re.DOTALL
    )
)
#: Where the keys are data, not names: what stands under these is not compared.
OPEN = {"schema", "parameters", "counts", "logCounts", "result"}


def shape(value: Any, key: str = "") -> Any:
    """Return the names in a JSON value, nested as they are; of a list those of its first item."""
    if isinstance(value, dict):
        return {} if key in OPEN else {name: shape(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return None


async def produced(api: Api) -> Producer:
    """A run such as the reference shows: counted, with one failed item, complete."""
    producer = await api.register(phases=[{"name": "count"}], pid=4711)
    error = {"type": "ValueError", "message": "no", "traceback": "Traceback"}
    at = [f"2026-11-24T00:43:{second:02}.000Z" for second in range(5)]
    await producer.send(
        {"event": "phase", "phase": "count", "phaseStatus": "started", "time": at[0]},
        {"event": "progress", "done": 1, "total": 20, "time": at[1]},
        {
            "event": "progress",
            "done": 9,
            "total": 20,
            "results": {"success": 8},
            "bars": [{"id": "1"}],
            "time": at[2],
        },
        {"event": "failure", "item": "7", "error": error, "time": at[3]},
        {"event": "log", "message": "20 of 20", "time": at[4]},
    )
    return producer


error = {"type": "ValueError", "message": "no", "traceback": "Traceback"}


async def answers(api: Api) -> dict[str, Any]:
    """Ask for everything that the reference shows."""
    got: dict[str, Any] = {}
    listed = (await api.http.get("/api/pipelines")).json()
    chosen = [one for one in listed["pipelines"] if one["name"] == "Count"]
    got["pipelines"] = {**listed, "pipelines": chosen}
    got["runs"] = (await api.http.get("/api/runs")).json()
    started = await api.http.post("/api/pipelines/Plain/runs")
    got["start"] = started.json()
    await api.handle(got["start"]["run"])
    got["ticket"] = (await api.http.post(f"/api/runs/{got['start']['run']}/ticket")).json()
    got["cancel"] = (await api.http.post(f"/api/runs/{got['start']['run']}/cancel")).json()
    got["error"] = (await api.http.post("/api/pipelines/Count/runs", json={"n": 0})).json()
    registered = await api.http.post("/api/runs", json={"title": "Fit models"})
    got["register"] = registered.json()
    other = Producer(api.http, got["register"]["run"], got["register"]["token"])
    got["ingest"] = (await other.post(ndjson({"event": "log"}))).json()
    producer = await produced(api)
    await producer.complete(result={"n": 20})
    got["log"] = (await api.http.get(f"{producer.path}/log")).json()
    got["failures"] = (await api.http.get(f"{producer.path}/failures")).json()
    got["state"] = await producer.state()
    running = await api.started()
    await running.send(
        {"event": "failure", "item": "7", "phase": "first", "error": error}, {"event": "complete"}
    )
    got["retry"] = (await api.http.post(f"{running.path}/retry")).json()
    said = Estimated(1_700_000_000.0, Duration(1.0, 2.0, 3.0), 0.5, "3 earlier runs", 3, {"count": 0.5})
    got["estimate"] = estimate_data(said)
    async with api.stream(f"{producer.path}/events?from=start") as stream:
        got["complete"] = data_of((await stream.rest())[-1])
    return got


@pytest.fixture
async def answered(tmp_path):
    async with running(tmp_path) as api:
        yield await answers(api)


async def test_every_example_has_the_shape_of_the_answer(answered):
    shown = {name: shape(json.loads(text)) for name, text in EXAMPLES.items()}
    assert {name: shape(value) for name, value in answered.items()} == shown


def test_every_error_code_is_described():
    text = (ROOT / "docs" / "reference.md").read_text()
    source = "".join(path.read_text() for path in (ROOT / "streamer" / "server" / "http").glob("*.py"))
    codes = set(re.findall(r'(?:ApiError\(\s*\d+,\s*|\d+: \()"(\w+)"', source)) | {"failed"}
    assert len(codes) > 15
    assert set() == {code for code in codes if f"`{code}`" not in text}


async def test_the_metrics_described_are_those_that_there_are(tmp_path):
    described = set(re.findall(r"`(streamer_\w+)`", (ROOT / "docs" / "reference.md").read_text()))
    async with running(tmp_path) as api:
        families = re.findall(r"^# TYPE (\w+)", (await api.http.get("/metrics")).text, re.MULTILINE)
    assert described == {name for name in families if not name.endswith("_created")}


def test_the_defaults_of_settings_are_those_that_are_described():
    from dataclasses import MISSING, fields

    from streamer.settings import Settings, environment_name

    rows = dict(
        re.findall(
            r"^\| `(STREAMER_\w+)` \| ([^|]*) \|", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE
        )
    )
    plain = {
        environment_name(spec.name): spec.default for spec in fields(Settings) if spec.default is not MISSING
    }
    expected = {
        name: "none"
        if default in ("", ())
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
        for name, default in plain.items()
    }
    assert expected == {name: rows[name].strip("`") for name in plain}
