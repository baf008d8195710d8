"""Numbers, times and descriptions are written for people."""

from __future__ import annotations

import pytest

from streamer.model import formatting


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (formatting.done_of(1_250_000, 4_812_000_000, "bytes"), "0.0 of 4.8 GB"),
        (formatting.done_of(3664, None, "rows"), "3,664 rows"),
        (formatting.amount(999, "B"), "999 B"),
        (formatting.amount(1_500_000, "bytes"), "1.5 MB"),
        (formatting.rate(0.2, "files"), "12 files/min"),
        (formatting.rate(0.001, "files"), "3.6 files/h"),
        (formatting.rate(1.5, ""), "1.5/s"),
        (formatting.rate(None, "rows"), ""),
        (formatting.rate(float("nan"), "rows"), ""),
        (formatting.rate(2_000_000, "bytes"), "2.0 MB/s"),
        (formatting.clock(4329), "1:12:09"),
        (formatting.clock(None), "—"),
        (formatting.clock(187_445), "2 d 4:04:05"),
        (formatting.duration(130), "2 min 10 s"),
        (formatting.took(0.42), "0.4 s"),
        (formatting.took(0.01), "0.1 s"),
        (formatting.took(4.6), "4 s"),
        (formatting.clock(0.42), "0.4 s"),
        (formatting.duration(3600), "1 h"),
        (formatting.ago(0.4), "just now"),
        (formatting.percent(99.99), "99 %"),
        (formatting.count(2.5), "2.5"),
    ],
)
def test_numbers_are_written_for_people(said: str, expected: str) -> None:
    assert expected == said


def test_a_description_s_lines_are_joined_and_its_lists_kept():
    doc = "Load prices.\n\nEvery row is\nchecked.\n\nSteps:\n  - one\n  - two"
    assert "Load prices.\n\nEvery row is checked.\n\nSteps:\n  - one\n  - two" == formatting.paragraphs(doc)
