"""What a program writes on a terminal, as lines of plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.adoption.terminal_text import COLUMNS, Screen


def lines_of(*chunks: bytes) -> list[str]:
    screen = Screen()
    for chunk in chunks:
        screen.feed(chunk, 0.0)
    return screen.finish()


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
    assert ["one"] == screen.settled(1.0)
    assert [] == screen.settled(60.0)
    assert ["two"] == screen.finish()


def test_a_display_of_several_rows_is_settled_when_it_stood_still_for_long() -> None:
    screen, settled = Screen(), []
    for second in range(60):
        screen.feed(
            b"\r\x1b[2A" * bool(second) + b"\x1b[2Ka %d\n\x1b[2Kb %d\n" % (second, second), float(second)
        )
        settled += screen.settled(second + 0.9)
    assert settled == ["a 0", "b 0"]
    assert ["a 59", "b 59"] == screen.settled(80.0)


def test_a_very_long_line_is_cut_and_says_so() -> None:
    (line,) = lines_of(*[b"x" * 1000] * 1000)
    assert len(line) < COLUMNS + 100
    assert line.endswith("[cut: 1,000,000 characters in all]")


@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([b"\x1b[", b"\x1b]", b"\x1b[9A", b"\r", b"\n", b"\x1b[J"])
    )
)
def test_any_bytes_in_any_pieces_become_the_same_printable_lines(chunks: list[bytes]) -> None:
    lines = lines_of(b"".join(chunks))
    assert lines == lines_of(*chunks)
    assert all(line.isprintable() or "\xad" in line or not line.isascii() for line in lines)
