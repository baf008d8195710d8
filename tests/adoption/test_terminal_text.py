"""What a program writes on a terminal, as lines of plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.adoption.terminal_text import COLUMNS, Line, Screen
from streamer.model.bounds import MESSAGE_LIMIT, cut


def lines_of(*chunks: bytes) -> list[str]:
    screen = Screen()
    for chunk in chunks:
        screen.feed(chunk, 0.0)
    return texts(screen.finish())


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo", ["one", "two"]),
        (b"\none\n\n\ntwo\n\n", ["", "one", "", "", "two"]),
        (b"  0%\r 50%\r100%\n", ["100%"]),
        (b"a longer line\rshort\n", ["shortger line"]),
        (b"a longer line\r\x1b[Kshort\n", ["short"]),
        (b"\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\\n", ["red link"]),
        (b"abc\b\bX\n", ["aXc"]),
        (b"a\tb\n", ["a       b"]),
        (b"caf\xc3\xa9 \xff\xfe\n", ["café \\xff\\xfe"]),
        (b"null \x00 bell \x07 vt \x0b\n", ["null  bell  vt \\x0b"]),
        (b"one\ntwo\x1b[1A\rONE\x1b[1B\n", ["ONE", "two"]),
        (b"left\x1b", ["left"]),
        (
            b"booted\n\x1b]0;a title without an end\nERROR: the disk is full\nbye\n",
            ["booted", "", "ERROR: the disk is full", "bye"],
        ),
        (b"\x1b]0;no end\r 10%\r100%\nnext", ["100%", "next"]),
        (b"\x1bP without an end \x1b[31mred\nnext\n", ["red", "next"]),
        (b"\x1b[12;34\nnext\n", ["", "next"]),
        (b"\x1b[12\xc3\xa9t\xc3\xa9\n", ["\u00e9t\u00e9"]),
        (b"\x1b_cancelled\x18 text\x1b^x\x1ay\n", [" texty"]),
        (b"\x1b]0;" + b"long " * 4000 + b"\x07after\n", ["after"]),
        (b"\x1b", []),
        (b"half a character \xe2\x82", ["half a character \\xe2\\x82"]),
    ],
)
def test_what_is_written_becomes_lines(written: bytes, lines: list[str]) -> None:
    assert lines == lines_of(written)
    assert lines == lines_of(*(written[i : i + 1] for i in range(len(written))))


def test_bars_above_one_another_are_lines_that_are_rewritten() -> None:
    inner = [b"\n\rinner %3d%%\x1b[A" % n for n in range(101)]
    outer = [b"\router  %d of 2" % n for n in (0, 1, 2)]
    assert ["outer  2 of 2", "inner 100%"] == lines_of(outer[0], *inner, outer[1], *inner, outer[2], b"\n")


def test_a_line_is_settled_when_the_cursor_left_it_and_it_was_not_rewritten_for_a_while() -> None:
    screen = Screen()
    screen.feed(b"one\ntwo", 0.0)
    assert [] == screen.settled(0.1)
    assert ["one"] == texts(screen.settled(1.0))
    assert [] == screen.settled(60.0)
    assert ["two"] == texts(screen.finish())


def test_a_display_of_several_rows_is_settled_when_it_stood_still_for_long() -> None:
    screen, settled = Screen(), []
    for second in range(60):
        screen.feed(
            b"\r\x1b[2A" * bool(second) + b"\x1b[2Ka %d\n\x1b[2Kb %d\n" % (second, second), float(second)
        )
        settled += texts(screen.settled(second + 0.9))
    assert settled == ["a 0", "b 0"]
    assert ["a 59", "b 59"] == texts(screen.settled(80.0))


def test_a_very_long_line_is_cut_and_says_so() -> None:
    (line,) = lines_of(*[b"x" * 1000] * 1000)
    assert len(line) < COLUMNS + 100
    assert line.endswith("[cut: 1,000,000 characters in all]")


def test_a_cut_line_fits_into_a_log_line_with_its_note() -> None:
    (line,) = lines_of(b"x" * 9_000)
    assert line == cut(line, MESSAGE_LIMIT)
    assert line.endswith("[cut: 9,000 characters in all]")


def test_a_line_is_told_when_it_ends_and_once_also_where_it_is_rewritten_later() -> None:
    told: list[str] = []
    screen = Screen(ended=told.append)
    screen.feed(b"layer a\nlayer b\n\x1b[2A", 0.0)
    assert ["layer a", "layer b"] == told
    screen.feed(b"\n\x1b[2Klayer b: done\nExtracting", 1.0)
    assert ["layer a", "layer b", "layer b: done"] == told
    screen.finish()
    assert "Extracting" == told[-1]


def test_a_line_has_the_time_and_the_place_of_its_writing() -> None:
    place = ["pull"]
    screen = Screen(
        ended=lambda text: place.append(text) if text == "extract" else None, where=lambda: place[-1]
    )
    screen.feed(b"one\n", 1.0)
    screen.feed(b"extract\ntwo\n", 3.0)
    assert [
        Line("one", 1.0, "pull"),
        Line("extract", 3.0, "extract"),
        Line("two", 3.0, "extract"),
    ] == screen.settled(9.0)


@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([b"\x1b[", b"\x1b]", b"\x1b[9A", b"\r", b"\n", b"\x1b[J"])
    )
)
def test_any_bytes_in_any_pieces_become_the_same_printable_lines(chunks: list[bytes]) -> None:
    lines = lines_of(b"".join(chunks))
    assert lines == lines_of(*chunks)
    assert all(line.isprintable() or "\xad" in line or not line.isascii() for line in lines)


def test_rows_that_are_drawn_below_a_kept_cursor_leave_the_lines_above_as_they_are() -> None:
    screen, settled = Screen(), []
    for second in range(4):
        picture = b"\x1b[J\x1bD\x1bD\x1b[2A\x1b7\x1b[B\rbar\x1b[B\r%d %%\x1b8" % second
        screen.feed(picture + b"\x1b[Jline %d\n" % second, float(second))
        settled += texts(screen.settled(second + 0.5))

    assert ["line 0", "line 1", "line 2", "line 3"] == settled
