"""The phases of a command, as its command line names them."""

from __future__ import annotations

import pytest

from streamer.adoption.phases import read_phases


def test_phases_are_read_with_weights_and_patterns() -> None:
    phases = read_phases(r"setup, load*2.5=^loading \d+\, please ,save=a=b")
    assert [("setup", 1.0, None), ("load", 2.5, r"^loading \d+, please"), ("save", 1.0, "a=b")] == [
        (one.spec.name, one.spec.weight, one.pattern and one.pattern.pattern) for one in phases
    ]


@pytest.mark.parametrize("text", ["", "a,b", "a*0=x", "a*-1", "a*x=y", "a=(", "a=x,a=y", "=x", "a*inf=x"])
def test_phases_that_are_none_are_refused_with_what_was_received(text: str) -> None:
    with pytest.raises(ValueError, match="phases: expected"):
        read_phases(text)
