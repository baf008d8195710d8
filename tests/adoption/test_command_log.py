"""A command's output and its log records as lines of one log, each once."""

from __future__ import annotations

from typing import Any

import pytest

from streamer.adoption.command_log import CommandLog
from streamer.adoption.messages import Record
from streamer.adoption.terminal_text import Line, Screen


class Reports:
    """Stands for a run: keeps the lines that are reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def report_line(self, message: str, **_: Any) -> None:
        self.lines.append(message)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def log(reports: Reports) -> CommandLog:
    made: Any = reports
    return CommandLog(made)


def write(log: CommandLog, output: bytes) -> None:
    screen = Screen()
    screen.feed(output, 0.0)
    for line in screen.finish():
        log.line(line, "stdout", 0.0)


def test_a_printed_record_is_one_line(log: CommandLog, reports: Reports) -> None:
    log.record(Record("WARNING", 30, "app", "disk is full"))
    log.printed("WARNING:app:disk is full\n")
    write(log, b"one\nWARNING:app:disk is full\ntwo\n")
    assert ["disk is full", "one", "two"] == reports.lines


def test_each_repetition_counts(log: CommandLog, reports: Reports) -> None:
    log.printed("same\n")
    write(log, b"same\nsame\nsame\n")
    assert ["same", "same"] == reports.lines


@pytest.mark.parametrize("printed", ["5\n", "ok\n", "12\n", ""])
def test_a_line_that_contains_a_record_is_a_line(log: CommandLog, reports: Reports, printed: str) -> None:
    log.printed(printed)
    write(log, b"total rows: 1075\nregion 12 was skipped\nNOT ok\n")
    assert ["total rows: 1075", "region 12 was skipped", "NOT ok"] == reports.lines


def test_a_record_behind_a_bar_is_no_line_of_its_own(log: CommandLog, reports: Reports) -> None:
    log.printed("WARNING: slow\n")
    write(log, b"\r 50%|#####     | 5/10WARNING: slow\n")
    assert [] == reports.lines


def test_a_bar_that_is_drawn_again_below_a_record_is_not_waited_for(
    log: CommandLog, reports: Reports
) -> None:
    log.printed("\r          \rrecord\n 50%|#####     |")
    write(log, b"record\n 50%|#####     |\n")
    assert [" 50%|#####     |"] == reports.lines


def test_a_coloured_record_of_several_lines_is_found_line_by_line(log: CommandLog, reports: Reports) -> None:
    log.printed("\x1b[31mERROR\x1b[0m failed\n  Traceback\n\n  end   \n")
    write(log, b"\x1b[31mERROR\x1b[0m failed\r\n  Traceback\r\n\r\n  end   \r\nnext\r\n")
    assert ["next"] == reports.lines


def test_a_record_is_not_waited_for_for_ever(log: CommandLog, reports: Reports) -> None:
    log.printed("late\n")
    log.line(Line("late", 0.0), "stdout", float("inf"))
    assert ["late"] == reports.lines


def test_what_is_waited_for_is_bounded(log: CommandLog, reports: Reports) -> None:
    log.printed("".join(f"line {number}\n" for number in range(30_000)))
    for number in range(30_000):
        log.line(Line(f"line {number}", 0.0), "stdout", 0.0)
    assert [f"line {number}" for number in range(20_000, 30_000)] == reports.lines
