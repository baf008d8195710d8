"""Runs as they are kept: nothing that matters is lost, and nothing grows without bound."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamer.model.estimates.timeline import Timeline
from streamer.server.estimates.moves import thin
from streamer.server.estimates.past import SAID_KEPT, Past, Said, decode, encode, evenly

TIMES = st.lists(st.floats(0, 1e7), min_size=1, max_size=600).map(sorted)


@given(TIMES, st.integers(30, 300))
def test_thinned_rows_are_some_of_them_in_order_with_both_ends(times: list[float], most: int) -> None:
    rows = [(time, float(number), 1000.0, math.nan) for number, time in enumerate(times)]
    kept = thin(rows, most)
    assert len(kept) <= most
    assert (rows[0][:2], rows[-1][:2]) == (kept[0][:2], kept[-1][:2])
    numbers = [row[1] for row in kept]
    assert numbers == sorted(set(numbers))
    assert len(kept) == len(rows) or len(kept) >= 10


def test_a_standstill_stays_when_rows_are_thinned() -> None:
    times = [*range(1000), *range(5000, 6000)]
    rows = [(float(time), float(number), 2000.0, math.nan) for number, time in enumerate(times)]
    gaps = np.diff([row[0] for row in thin(rows, 100)])
    assert 4001 == gaps.max()


@given(TIMES)
def test_what_was_said_is_kept_evenly(times: list[float]) -> None:
    said = [Said(time, 1.0, 2.0, 3.0, 0.5) for time in times]
    kept = evenly(said)
    assert len(kept) <= SAID_KEPT
    assert (said[0].since, said[-1].since) == (kept[0].since, kept[-1].since)
    assert [one.since for one in kept] == sorted(one.since for one in kept)


def test_a_run_comes_back_as_it_was_kept() -> None:
    timeline = Timeline("r", "Import", {"n": 3}, None, 10.0, 11.0, 20.0, "complete")
    timeline.phase("load", 3.0).declared = True
    timeline.mark(0.0, "load", "started")
    timeline.phases["load"].add((1.0, 5.0, math.nan, 50.0))
    timeline.mark(9.0, "load", "finished")
    past = decode(encode(Past.of(timeline, [Said(1.0, None, None, None, None)], 0.7)))
    back = past.timeline("r")
    np.testing.assert_equal(timeline.phases["load"].reports, back.phases["load"].reports)
    assert (timeline.phases.keys(), timeline.marks, timeline.seconds) == (
        back.phases.keys(),
        back.marks,
        back.seconds,
    )
    assert (0.7, 1) == (past.miss, len(past.said))
