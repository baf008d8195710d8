"""Log lines become events, and break neither the reporting nor the logging of the program."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import threading
from collections.abc import Iterator
from logging.handlers import QueueHandler
from pathlib import Path

import pytest

from streamer.model.events import (
    Event,
    Logged,
)
from streamer.producer.run import Run
from tests.producer.recorder import Recorder, Unprintable, fail, messages
from tests.support import wait_until

# -- logging -----------------------------------------------------------------------------------------------------------


def test_log_lines_become_events(run: Run, told: Recorder) -> None:
    with run.phase("load"):
        run.log.warning("%d rows", 3, extra={"item": 42})
    assert told.of(Logged) == [
        Logged(
            type="warning",
            level="WARNING",
            logger="test",
            message="3 rows",
            phase="load",
            item="42",
        )
    ]


def test_a_filter_that_all_handlers_were_given_holds_for_what_is_reported(
    opened: Run, told: Recorder
) -> None:
    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.msg = record.msg.replace("secret", "…")
            return "private" not in record.msg

    for handler in logging.root.handlers:
        handler.addFilter(Filter("quiet"))
    logging.getLogger("some.module").info("the secret")
    logging.getLogger("some.module").info("private")
    opened.close()
    for handler in logging.root.handlers:
        for one in [one for one in handler.filters if isinstance(one, Filter)]:
            handler.removeFilter(one)
    assert ["the …"] == [event.message for event in told.of(Logged)]


def test_what_other_loggers_say_is_reported_while_the_run_is_open(opened: Run, told: Recorder) -> None:
    logging.getLogger("some.module").info("hello")
    logging.getLogger("some.module").debug("too fine")
    opened.close()
    logging.getLogger("some.module").warning("later")
    assert [("some.module", "hello")] == [(e.logger, e.message) for e in told.of(Logged)]


def test_the_root_logger_is_left_as_it_was(told: Recorder) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), [list(h.filters) for h in root.handlers])
    with Run(told):
        assert root.level == logging.INFO
    assert (root.level, list(root.handlers), [list(h.filters) for h in root.handlers]) == before


def test_the_programs_own_handlers_see_what_they_saw_before(opened: Run, told: Recorder) -> None:
    opened.close()
    told.taken.clear()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    chatty = logging.getLogger("chatty")
    logging.getLogger().addHandler(handler)
    chatty.setLevel(logging.DEBUG)
    try:
        with Run(told):
            logging.getLogger("quiet").info("quiet info")
            logging.getLogger("quiet").warning("quiet warning")
            chatty.debug("chatty debug")
    finally:
        logging.getLogger().removeHandler(handler)
        chatty.setLevel(logging.NOTSET)
    assert stream.getvalue().split("\n") == ["quiet warning", "chatty debug", ""]
    assert messages(told) == ["quiet info", "quiet warning", "chatty debug"]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger that keeps its records from the root logger and takes all of them."""
    logger = logging.getLogger("apart")
    logger.propagate, before = False, logger.level
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.propagate = True
    logger.handlers.clear()
    logger.setLevel(before)


def test_a_record_that_any_handler_takes_is_one_line_at_its_level(
    told: Recorder, logger: logging.Logger, tmp_path: Path
) -> None:
    logger.handlers.clear()  # pytest's own
    with Run(told):
        handler = logging.FileHandler(tmp_path / "own.log")
        logger.addHandler(handler)
        logger.getChild("part").debug("to a file only")
        logger.info("said")
    logger.info("later")
    handler.close()
    assert [("DEBUG", "to a file only"), ("INFO", "said")] == [
        (line.level, line.message) for line in told.of(Logged)
    ]
    assert [handler] == logger.handlers


def test_a_fine_record_that_no_handler_takes_is_no_line(told: Recorder, logger: logging.Logger) -> None:
    logger.handlers.clear()  # pytest's own, which takes everything
    severe = logging.StreamHandler(io.StringIO())
    severe.setLevel(logging.ERROR)
    queued: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    for handler in (severe, logging.NullHandler(), QueueHandler(queued)):
        logger.addHandler(handler)
    with Run(told):
        logger.debug("to nobody")
        logger.info("to nobody, but not fine")
    assert ["to nobody, but not fine"] == messages(told)


def test_the_programs_record_factory_is_back_with_the_last_run(told: Recorder) -> None:
    before = logging.getLogRecordFactory()
    one, two = Run(told), Run(told)
    with two:
        with one:
            logging.getLogger("some.module").info("hello")
        assert before is not logging.getLogRecordFactory()
    assert before is logging.getLogRecordFactory()


def test_a_warning_is_still_printed_where_logging_was_never_configured(
    told: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with Run(told) as run:
        logging.getLogger("lib").warning("beware")
        logging.getLogger("lib").info("fine")
        run.log.error("own")
    assert capsys.readouterr().err == "beware\nown\n"


def test_the_handler_comes_back_when_a_configuration_throws_it_out(told: Recorder) -> None:
    root = logging.getLogger()
    with Run(told, sample_seconds=0.01) as run:
        root.removeHandler(run._capture)
        wait_until(lambda: run._capture in root.handlers)


def test_two_open_runs_keep_their_own_lines_apart(told: Recorder) -> None:
    other = Recorder()
    with Run(told) as one, Run(other) as two:
        one.log.info("one")
        two.log.info("two")
        logging.getLogger("lib").info("both")
    assert (["one", "both"], ["two", "both"]) == (messages(told), messages(other))


def test_exceptions_are_appended(opened: Run, told: Recorder) -> None:
    try:
        fail(1)
    except ValueError:
        opened.log.exception("row lost")
    (message,) = messages(told)
    assert message.startswith("row lost\nTraceback")
    assert "ValueError: bad 1" in message


@pytest.mark.parametrize(
    ("number", "level"), [(5, "DEBUG"), (15, "DEBUG"), (25, "INFO"), (35, "WARNING"), (99, "CRITICAL")]
)
def test_levels_are_those_everybody_knows(number: int, level: str, told: Recorder) -> None:
    run = Run(told, level=1)
    run.log.log(number, "x")
    assert [level] == [e.level for e in told.of(Logged)]


def test_arguments_that_do_not_fit_raise_nothing(told: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's own handlers raise where a program's do not.
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    with Run(told):
        logging.getLogger("lib").warning("%d rows", "three")
        logging.getLogger("lib").warning("%s", Unprintable())
    assert len(messages(told)) == 2
    assert "do not fit" in messages(told)[0]


def test_a_text_that_logs_itself_does_not_go_round(told: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loud:
        def __str__(self) -> str:
            logging.getLogger("lib").warning("%s", self)
            return "loud"

    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    with Run(told):
        logging.getLogger("lib").warning("%s", Loud())
    assert messages(told) == ["loud"]


def test_an_emit_that_raises_does_not_reach_who_logs(told: Recorder) -> None:
    def emit(event: Event, time: float) -> None:
        raise RuntimeError

    with contextlib.suppress(RuntimeError), Run(emit) as run:
        run.log.info("x")
        logging.getLogger("lib").info("x")


def test_what_the_reporting_threads_log_is_not_reported(opened: Run, told: Recorder) -> None:
    thread = threading.Thread(
        target=lambda: logging.getLogger("httpx").info("POST"), name="streamer-publisher"
    )
    thread.start()
    thread.join()
    assert messages(told) == []


def test_a_long_message_is_cut(run: Run, told: Recorder) -> None:
    run.log.info("x" * 10_000_000)
    assert len(messages(told)[0]) <= 8_000
