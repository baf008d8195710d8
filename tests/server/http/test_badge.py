"""A run in one glance: its badge and its line."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.model.events import Results
from streamer.model.state import PhaseState, RunState
from streamer.server.http.badge import badge_of, line_of
from tests.api_support import running

NOW = 1_700_000_000.0
STATE = RunState(
    run="r1",
    title="Import prices",
    status="running",
    progress=63,
    overall_progress=63.3,
    phase="load",
    phases=(PhaseState("load", status="started", progress=76.1),),
    done=3664,
    total=4812,
    unit="rows",
    rate=128.2,
    results=Results(3661, 3),
    owner="ada",
    host="build-7",
)
MARKUP = "<script>alert(1)</script>\"' & \x1b]0;x\x07\nnext \ud800"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "Import prices: 63 % · load · 3,664 of 4,812 rows · 128 rows/s · 3 failed · ada on build-7"),
        ({"status": "stalled", "rate": None, "results": Results(), "owner": ""},
         "Import prices: 63 % · stalled · load · 3,664 of 4,812 rows · build-7"),
        ({"status": "complete", "results": Results(4812)}, "Import prices: complete · ada on build-7"),
        ({"status": "complete", "results": Results(4812), "program": "prices.ipynb"},
         "Import prices: complete · ada on build-7 · prices.ipynb"),
        ({"status": "failed", "host": ""}, "Import prices: failed at 63 % · 3 of 3,664 failed · ada"),
        ({"status": "complete"}, "Import prices: complete, 3 of 3,664 failed · ada on build-7"),
        ({"status": "queued", "phase": None, "done": None, "total": None, "rate": None, "results": Results()},
         "Import prices: queued · ada on build-7"),
    ],
    ids=["running", "stalled", "complete", "from a notebook", "failed", "partial", "queued"],
)  # fmt: skip
def test_a_run_is_one_line(changes, line):
    assert line == line_of(replace(STATE, **changes), NOW)


def test_a_count_whose_end_is_not_known_is_no_percentage():
    phases = (PhaseState("load", status="started", done=12),)
    state = replace(STATE, phases=phases, done=12, total=None, progress=0, overall_progress=0.0)
    assert line_of(state, NOW).startswith("Import prices: 12 rows · load")


def test_the_page_is_named_where_it_is_known():
    assert line_of(STATE, NOW, "http://x/dashboards?run=r1").endswith(" · http://x/dashboards?run=r1")


def texts_of(badge):
    return ["".join(element.itertext()) for element in ET.fromstring(badge).findall(".//{*}text")]


def test_a_badge_has_title_and_progress_and_a_name_for_those_who_do_not_see_it():
    badge = badge_of(STATE, NOW)
    assert ["Import prices", "63 %"] == texts_of(badge)
    assert "Import prices: 63 %" == ET.fromstring(badge).get("aria-label")


@given(st.text() | st.just(MARKUP))
def test_any_title_is_text_on_one_line_in_well_formed_xml(title):
    state = replace(STATE, title=title, unit=title, phase=title, owner=title)
    assert 2 == len(texts_of(badge_of(state, NOW)))
    assert len(texts_of(badge_of(state, NOW))[0]) <= 40
    line = line_of(state, NOW)
    assert [line] == line.encode().decode().splitlines()
    assert len(line) <= 400


async def test_both_are_served_with_how_long_they_are_good_for(tmp_path):
    async with running(tmp_path) as api:
        producer = await api.register(title=MARKUP[:50].replace("\ud800", ""))
        await producer.send({"event": "progress", "done": 1, "total": 4, "unit": "rows"})
        badge, line = [await api.http.get(f"{producer.path}/{name}") for name in ("badge.svg", "line")]
        assert ("image/svg+xml; charset=utf-8", "private, max-age=5") == (
            badge.headers["Content-Type"],
            badge.headers["Cache-Control"],
        )
        assert "25 %" == texts_of(badge.text)[1]
        assert b"<script" not in badge.content
        assert "text/plain; charset=utf-8" == line.headers["Content-Type"]
        assert line.text.endswith("\n")
        assert "1 of 4 rows" in line.text
        plain = await api.http.get(producer.path, headers={"Accept": "text/plain"})
        assert (line.text, line.headers["Content-Type"], "Accept") == (
            plain.text,
            plain.headers["Content-Type"],
            plain.headers["Vary"],
        )
        for accept in ("application/json, text/plain, */*", "*/*", "text/html"):
            answer = await api.http.get(producer.path, headers={"Accept": accept})
            assert "application/json" == answer.headers["Content-Type"]
            assert producer.run == answer.json()["run"]
        await producer.complete()
        badge = await api.http.get(f"{producer.path}/badge.svg")
        assert ("complete", "private, max-age=300") == (
            texts_of(badge.text)[1],
            badge.headers["Cache-Control"],
        )
        assert 404 == (await api.http.get("/api/runs/none/badge.svg")).status_code
