"""The requests of operators: health, metrics, the description of the API."""

from __future__ import annotations

import json
import re

from tests.api_support import Api


async def test_health_says_live_and_ready(api):
    assert {"status": "live"} == (await api.http.get("/api/health/live")).json()
    ready = (await api.http.get("/api/health/ready")).json()
    assert {"status": "ready", "epoch": api.streamer.log.epoch, "damage": ""} == ready


async def test_metrics_count_runs_entries_and_requests(api, logged):
    answer = await api.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.text
    assert 'streamer_runs{status="running"} 1.0' in text
    assert "streamer_appended_total 14.0" in text
    assert 'streamer_requests_total{status="201"} 1.0' in text
    assert "streamer_subscribers 0.0" in text


def _paths_of(api: Api) -> set[str]:
    """The routes' patterns, written as OpenAPI writes paths."""
    rules = api.streamer.application().wildcard_router.rules
    patterns = {rule.matcher.regex.pattern.rstrip("$") for rule in rules if hasattr(rule.matcher, "regex")}
    return {re.sub(r"\([^)]*\)", "{}", pattern).replace("\\", "") for pattern in patterns} - {"/api/.*"}


async def test_the_description_has_every_route_and_no_other(api):
    document = (await api.http.get("/api/openapi.json")).json()
    assert "3.2.0" == document["openapi"]
    assert _paths_of(api) == {re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]}


async def test_every_method_that_is_described_is_answered_and_no_other(api, logged):
    document = (await api.http.get("/api/openapi.json")).json()
    for template, operations in document["paths"].items():
        path = template.format(run_id=logged.run, name="Plain")
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"):
            if method.lower() in operations and "text/event-stream" in json.dumps(operations[method.lower()]):
                continue
            answer = await api.http.request(method, path)
            described = method.lower() in operations
            assert described == (answer.status_code != 405), (method, path, answer.status_code)


async def test_every_reference_in_the_description_leads_somewhere(api):
    document = (await api.http.get("/api/openapi.json")).json()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert names
    assert names <= set(document["components"]["schemas"])
