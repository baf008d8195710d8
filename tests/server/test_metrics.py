"""What `/metrics` says after real traffic, read with Prometheus' own parser."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from tests.api_support import running


async def scraped(api):
    """Return the families of a scrape by name, each with its samples as {name and labels: value}."""
    answer = await api.http.get("/metrics")
    assert 200 == answer.status_code
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def values(families):
    """Return all samples as {"name{label}": value}; labels without their names."""
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }


async def test_after_traffic_everything_is_counted(tmp_path):
    async with running(tmp_path, tail_bytes=10_000) as api:
        producer = await api.register()
        # More than the tail holds, so that a reader from the start needs the log, and one from near the end does not.
        await producer.log(*("x" * 500 for _ in range(100)))
        async with api.stream(f"{producer.path}/events?from=start") as stream:
            await stream.take(102)
            await producer.log("near the head")
            await stream.next()
            assert 1 == values(await scraped(api))["streamer_subscribers"]
        state = await producer.state()
        cursor = f"{api.streamer.log.epoch}-{state['offset'] - 1}"
        async with api.stream(f"{producer.path}/events", headers={"Last-Event-ID": cursor}) as stream:
            await stream.next()
        async with api.stream(f"{producer.path}/events?last_event_id=otherepoch-5") as stream:
            await stream.take(2)
        await producer.complete()
        await api.until(lambda: api.streamer.hub.subscribers == 0)
        got = values(await scraped(api))
    assert 104 == got["streamer_appended_total"]
    assert got["streamer_appended_bytes_total"] > 50_000
    assert 104 == got["streamer_delivered_total"]
    assert got["streamer_delivered_bytes_total"] > 50_000
    assert (3, 1) == (got["streamer_streams_total"], got["streamer_resets_total"])
    assert got["streamer_replays_from_log_total"] >= 1
    assert got["streamer_replays_from_memory_total"] >= 1
    assert (0, 0) == (got["streamer_subscribers"], got["streamer_stalled_readers_closed_total"])
    assert (1, 0) == (got["streamer_runs{complete}"], got["streamer_runs{running}"])
    assert got["streamer_lag_seconds_count"] >= 3
    assert 0 <= got["streamer_lag_seconds{0.5}"] <= got["streamer_lag_seconds{0.99}"]
    assert got["streamer_lag_seconds{0.99}"] <= got["streamer_lag_seconds_sum"]
    assert got["streamer_log_bytes"] > 50_000
    assert (1, 8) == (got["streamer_requests_total{201}"], got["streamer_requests_total{200}"])


async def test_names_and_helps_are_as_prometheus_recommends(tmp_path):
    async with running(tmp_path) as api:
        await api.http.get("/api/runs")
        families = await scraped(api)
        text = (await api.http.get("/metrics")).text
    names = {name for name in families if not name.endswith("_created")}
    assert not [name for name in names if not re.fullmatch(r"streamer_[a-z_]+", name)]
    assert not [name for name in names if not families[name].documentation.endswith(".")]
    assert {"counter", "gauge", "summary"} == {families[name].type for name in names}
    counters = re.findall(r"^# TYPE (\S+) counter", text, re.MULTILINE)
    assert not [name for name in counters if not name.endswith("_total")]


async def test_before_anything_was_streamed_the_lag_is_not_a_number(tmp_path):
    async with running(tmp_path) as api:
        got = values(await scraped(api))
    assert "nan" == str(got["streamer_lag_seconds{0.99}"])
    assert 0 == got["streamer_lag_seconds_count"]
