"""Names, titles, units and lines without colours, control characters and bidi overrides."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamer.model.bounds import cut_name, item_key
from streamer.model.events import (
    Bar,
    ErrorInfo,
    Event,
    ItemFailed,
    Logged,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    RunFailed,
    StatusChanged,
    encode_event,
)
from streamer.model.text.cleaning import cleaned
from streamer.model.text.plain import plain_line, plain_name, plain_text, well_formed


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("\x1b[34m\x1b[1mtrain: \x1b[0mScanning labels", "train: Scanning labels"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[38;5;196", ""),
        ("\x9b31mred", "red"),
        ("a\u202egnp.exe\u2066", "agnp.exe"),
        ("bell\x07 back\x08 null\x00 del\x7f", "bell back null del"),
        ("Größe 📏 שלום \u200f", "Größe 📏 שלום \u200f"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_a_name_is_one_line_of_plain_text(text: str, name: str) -> None:
    assert name == plain_name(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("\x1b[31mred\x1b[0m\ttab\n", "red\ttab\n"),
        ("\x1b]0;no end\nnext", "\nnext"),
        ("\x1bPno end\x1b[1mbold", "bold"),
    ],
)
def test_a_text_keeps_its_lines(text: str, plain: str) -> None:
    assert plain == plain_text(text)


def test_a_line_is_what_a_carriage_return_left_of_it() -> None:
    assert "100%" == plain_line("  0%\r 50%\r\x1b[32m100%\x1b[0m\r")


def test_bytes_that_are_no_text_are_shown_as_bytes() -> None:
    assert r"caf\xe9.txt \ud800" == well_formed("caf\udce9.txt \ud800")


@given(st.text(), st.sampled_from([plain_name, plain_text, plain_line, cut_name]))
@example("\x1b\x1b[[31m", plain_name)
@example("\x1b[\x1b[31m31m", plain_text)
def test_plain_stays_plain(text: str, make: object) -> None:
    assert callable(make)
    once = make(text)
    assert not {"\x1b", "\x00", "\x9b", "\u202e", "\u2066", "\x08"} & set(once)
    assert once == make(once)


DIRTY = "\x1b[31mx\u202ey\x1b[0m\x07"


@pytest.mark.parametrize(
    "event",
    [
        Logged(message=DIRTY, logger=DIRTY, phase=DIRTY, item=DIRTY),
        Progressed(message=DIRTY, unit=DIRTY, phase=DIRTY, bars=(Bar("1", name=DIRTY, unit=DIRTY),)),
        ItemFailed(item=DIRTY, phase=DIRTY, error=ErrorInfo(DIRTY, DIRTY, DIRTY)),
        PhaseChanged(phase=DIRTY, phase_status="started", message=DIRTY),
        StatusChanged(status="queued", title=DIRTY, owner=DIRTY, program=DIRTY, phases=(PhaseSpec(DIRTY),)),
        RunFailed(message=DIRTY, error=ErrorInfo(DIRTY, DIRTY, DIRTY)),
    ],
)
def test_no_text_of_an_event_has_colours_or_controls(event: Event) -> None:
    written = encode_event(cleaned(event)).decode()
    assert "xy" in written
    for dirt in ("\\u001b", "\\u0007", "\u202e", "[31m"):
        assert dirt not in written


def test_a_plain_event_stays_the_same_object() -> None:
    event = ItemFailed(item="a", phase="b", error=ErrorInfo("E", "m", "one\ntwo"))
    assert event is cleaned(event)


def test_an_item_with_colours_is_told_apart_from_one_without() -> None:
    assert cut_name(DIRTY) == cut_name("xy")
    assert item_key(DIRTY) != item_key("xy")
