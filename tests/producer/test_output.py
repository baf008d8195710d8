"""The output of a worker's code as log lines."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading

import pytest

from streamer.model.bounds import MESSAGE_LIMIT, cut
from streamer.model.events import Event, Logged
from streamer.producer.output import Lines, Output
from streamer.producer.run import Run


@pytest.fixture
def lines() -> tuple[Lines, list[str], io.StringIO]:
    told: list[str] = []

    def emit(event: Event, time: float) -> None:
        assert isinstance(event, Logged)
        told.append(event.message)

    below = io.StringIO()
    return Lines(Run(emit), "stdout", below), told, below


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["a\n"], ["a"]),
        (["a", "b", "\n"], ["ab"]),
        (["a\nb\nc"], ["a", "b"]),
        (["\n", "  \n", "\n"], []),
        (["10%\r", "20%\r", "done\n"], ["done"]),
        (["\r10%", "\r20%", "\n"], ["20%"]),
        (["a\r\n", "b\r", "\n"], ["a", "b"]),
        (["\x1b[1;31mred\x1b[0m\n"], ["red"]),
        (["\x1b]0;title\x07text\n"], ["text"]),
    ],
)
def test_text_becomes_lines(
    written: list[str], expected: list[str], lines: tuple[Lines, list[str], io.StringIO]
) -> None:
    stream, told, _ = lines
    assert [stream.write(text) for text in written] == [len(text) for text in written]
    assert told == expected


def test_what_has_no_newline_is_told_at_the_end(lines: tuple[Lines, list[str], io.StringIO]) -> None:
    stream, told, _ = lines
    stream.write("a")
    stream.finish()
    stream.finish()
    assert told == ["a"]


def test_a_progress_bar_without_a_newline_is_kept_short(lines: tuple[Lines, list[str], io.StringIO]) -> None:
    stream, told, _ = lines
    for n in range(100_000):
        stream.write(f"\r{n:>10}")
        assert len(stream._begun.text) <= 9_000
    stream.finish()
    assert told == ["     99999"]


def test_an_endless_line_is_one_line_and_its_note_says_its_length(
    lines: tuple[Lines, list[str], io.StringIO],
) -> None:
    stream, told, _ = lines
    for _ in range(100):
        stream.write("x" * 1000)
        assert len(stream._begun.text) <= 9_000
    stream.write("\nnext\n")
    (long, following) = told
    assert "next" == following
    assert long == cut(long, MESSAGE_LIMIT)
    assert long.endswith("[cut: 100,000 characters in all]")


def test_each_threads_lines_stay_whole(lines: tuple[Lines, list[str], io.StringIO]) -> None:
    stream, told, _ = lines
    stream.write("main ")
    thread = threading.Thread(target=lambda: (stream.write("thr"), stream.write("ead\n")))
    thread.start()
    thread.join()
    stream.write("thread\n")
    assert told == ["thread", "main thread"]


def test_a_log_line_on_its_way_to_a_console_is_not_told_twice(
    lines: tuple[Lines, list[str], io.StringIO],
) -> None:
    stream, told, _ = lines
    handler = logging.StreamHandler(stream)
    handler.handle(logging.LogRecord("x", 20, "f", 1, "hello", None, None))
    print("printed", file=stream)
    assert told == ["printed"]


class _Prints(logging.Handler):
    """A handler that is no `StreamHandler`, as those of rich and tqdm are."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stdout.write(f"printed by a handler: {record.getMessage()}\n")


@pytest.mark.parametrize(
    ("level", "propagate"), [(logging.DEBUG, True), (logging.INFO, False), (logging.WARNING, True)]
)
def test_a_record_is_one_line_whatever_handler_prints_it(level: int, propagate: bool) -> None:
    told: list[Event] = []
    logger = logging.getLogger(f"tests.prints.{level}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = propagate
    handlers = [_Prints(), _Prints()]
    for handler in handlers:
        logger.addHandler(handler)
    try:
        run = Run(lambda event, time: told.append(event))
        with run, Output(run):
            logger.log(level, "disk is full")
            sys.stdout.write("own line\n")
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
    found = [(one.level, one.message) for one in told if isinstance(one, Logged)]
    assert [(logging.getLevelName(level), "disk is full"), ("INFO", "own line")] == found


def test_a_forked_child_writes_to_the_file(
    lines: tuple[Lines, list[str], io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, told, below = lines
    monkeypatch.setattr(stream, "_pid", os.getpid() + 1)
    stream.write("child\n")
    assert (below.getvalue(), told) == ("child\n", [])


def test_bytes_are_refused_as_by_any_text_stream(lines: tuple[Lines, list[str], io.StringIO]) -> None:
    with pytest.raises(TypeError, match="str"):
        lines[0].write(b"x")  # type: ignore[arg-type]  # that is what is tested


def test_the_streams_are_given_back() -> None:
    before = (sys.stdout, sys.stderr, threading.excepthook)
    told: list[Event] = []
    with Output(Run(lambda event, time: told.append(event))):
        print("x")  # noqa: T201 - that is what is tested
        sys.stdout.writelines(["y\n", "z\n"])
        sys.stdout.flush()
        assert (sys.stdout.writable(), sys.stdout.isatty(), sys.stdout.encoding) == (True, False, "utf-8")
    assert (sys.stdout, sys.stderr, threading.excepthook) == before
    assert ["x", "y", "z"] == [event.message for event in told if isinstance(event, Logged)]
