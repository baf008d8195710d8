"""Log records as lines of a run: the run's own logger, and the root logger's handler. Sends nothing."""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from streamer.model.bounds import MESSAGE_LIMIT, cut, cut_middle
from streamer.model.events import LEVELS
from streamer.model.text.cutting import text_of
from streamer.producer.error_text import describe_error
from streamer.producer.publishing.publisher import THREAD_PREFIX

if TYPE_CHECKING:
    from streamer.producer.run import Run

_MARK: Final = "_streamer_run"


class RunLogger(logging.Logger):
    """The logger of a run: its lines are reported, and go to the program's own handlers as well."""

    def __init__(self, name: str, level: int, run: Run) -> None:
        super().__init__(name, level)
        self.parent = logging.root
        self._run = run
        self.addHandler(_Reporting(run))

    def handle(self, record: logging.LogRecord) -> None:
        # The root logger's handler does not report these lines once more.
        setattr(record, _MARK, True)
        super().handle(record)
        self._run.checkpoint()

    def __reduce__(self) -> tuple[Any, ...]:
        return logging.getLogger, (self.name,)


class _Reporting(logging.Handler):
    """Turns log records into events of a run. Never raises.

    Code logs between other work, when the code here is in no cache: each call counts threefold.
    Hence no lock, which a handler otherwise has (the run has one), and one look whether a record is as nearly all are.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._busy = threading.local()

    def handle(self, record: logging.LogRecord) -> bool:
        """Report a record, unless a filter holds it back that somebody gave to all handlers."""
        if self.filters:
            passed: Any = self.filter(record)
            if not passed:
                return False
            record = passed if isinstance(passed, logging.LogRecord) else record
        message, args = record.msg, record.args
        if (
            type(message) is str
            and (not args or (type(args) is tuple and _SIMPLE.issuperset(map(type, args))))
            and record.levelname in LEVELS
            and not record.exc_info
            and not record.stack_info
            and vars(record).keys() <= _PLAIN
        ):
            try:
                text = message % args if args else message
            except Exception:  # noqa: BLE001, S110 - what does not fit is told below
                pass
            else:
                self._run.report_line(text, level=record.levelname, logger=record.name)
                return True
        self._report_any(record)
        return True

    def _report_any(self, record: logging.LogRecord) -> None:
        # A text that logs while it is formatted must not go round for ever.
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            item = getattr(record, "item", None)
            self._run.report_line(
                _message(record),
                level=_level(record),
                logger=record.name,
                item=None if item is None else text_of(item),
                fields=_fields(record),
            )
        except Exception:  # noqa: BLE001, S110 - what somebody logs must never end what they do
            pass
        finally:
            self._busy.now = False


class Capture(_Reporting):
    """The root logger's handler while a run is open: reports what other loggers say.

    It reports records at `least` or above, and those below that another handler of the program takes. A logger that
    keeps its records from the root logger gets it as a handler of its own, when it makes its first record.

    Args:
        run: The run.
        least: The least level, as a number of `logging`.

    """

    def __init__(self, run: Run, least: int) -> None:
        super().__init__(run)
        self.least = least
        self._joined: weakref.WeakSet[logging.Logger] = weakref.WeakSet()
        self._previous: int | None = None
        self._quiet: _Quiet | None = None
        self._open = True
        self._handled: weakref.WeakSet[logging.LogRecord] = weakref.WeakSet()

    def install(self) -> None:
        """Join the root logger's handlers; again, when a configuration has thrown it out."""
        root = logging.root
        if not self._open or self in root.handlers:
            return
        if self._previous is None:
            self._previous = root.level
            _RecordFactory.of(self)
            if root.level > self.least:
                # The run alone gets the records that the root logger lets through in addition.
                self._quiet = _Quiet(root.level)
                for handler in root.handlers:
                    if not isinstance(handler, Capture):
                        handler.addFilter(self._quiet)
                root.setLevel(self.least)
        root.addHandler(self)

    def join(self, logger: logging.Logger) -> None:
        """Join the handlers of a logger that keeps its records from the root logger. Idempotent."""
        if self._open and self not in logger.handlers:
            self._joined.add(logger)
            logger.addHandler(self)

    def uninstall(self) -> None:
        """Leave the root logger as it was."""
        self._open = False
        root = logging.root
        root.removeHandler(self)
        for logger in self._joined:
            logger.removeHandler(self)
        _RecordFactory.forget(self)
        if self._quiet is not None:
            for handler in root.handlers:
                handler.removeFilter(self._quiet)
            if root.level == self.least and self._previous is not None:
                root.setLevel(self._previous)
            self._quiet = None
        self.close()

    def handled(self, record: logging.LogRecord) -> None:
        """Report a record that another handler takes, once, if it does not reach this one.

        Args:
            record: The record.

        """
        end = _end_of(record.name)
        if (end is None and record.levelno >= self.least) or self in (end or logging.root).handlers:
            return
        if record not in self._handled and not hasattr(record, _MARK):
            self._handled.add(record)
            super().handle(record)

    def handle(self, record: logging.LogRecord) -> bool:
        """Report a record, unless it is the run's own, or of the threads that report."""
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and _has_no_other(record):
            # Without this handler, Python would have printed it.
            last.handle(record)
        if hasattr(record, _MARK) or (record.threadName or "").startswith(THREAD_PREFIX):
            return False
        if record.levelno < self.least and not _is_taken(record):
            return False
        return super().handle(record)


class _RecordFactory:
    """Makes the program's log records as before, and has captures join the loggers that the root logger never hears.

    It is called before a record's handlers are, so that the first record is not missed. One serves all open captures.
    """

    def __init__(self, previous: Callable[..., logging.LogRecord]) -> None:
        self._previous = previous
        self._captures: list[Capture] = []

    def __call__(self, name: str, *arguments: Any, **named: Any) -> logging.LogRecord:
        end = _end_of(name)
        if end is not None:
            for capture in tuple(self._captures):
                capture.join(end)
        return self._previous(name, *arguments, **named)

    @classmethod
    def of(cls, capture: Capture) -> None:
        """Serve a capture."""
        now = logging.getLogRecordFactory()
        factory = now if isinstance(now, cls) else cls(now)
        factory._captures.append(capture)
        logging.setLogRecordFactory(factory)

    @classmethod
    def forget(cls, capture: Capture) -> None:
        """Serve a capture no more; the program's own factory is back with the last one."""
        now = logging.getLogRecordFactory()
        if isinstance(now, cls) and capture in now._captures:
            now._captures.remove(capture)
            if not now._captures:
                logging.setLogRecordFactory(now._previous)


class _Quiet(logging.Filter):
    """Lets pass what would have passed had the root logger's level not been lowered."""

    def __init__(self, root_level: int) -> None:
        super().__init__()
        self._root_level = root_level

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is at its logger's own level, or at what the root's was."""
        logger = logging.root.manager.loggerDict.get(record.name)
        while isinstance(logger, logging.Logger) and logger is not logging.root:
            if logger.level:
                return True  # its own level let it pass
            logger = logger.parent
        return record.levelno >= self._root_level or hasattr(record, _MARK)


def _has_no_other(record: logging.LogRecord) -> bool:
    """Tell whether no handler but those of runs sees a record."""
    return all(isinstance(handler, _Reporting) for handler in _handlers_of(record))


def _is_taken(record: logging.LogRecord) -> bool:
    """Tell whether a handler of the program takes a record. A queue's passes it on; its other end is not known."""
    queues = getattr(sys.modules.get("logging.handlers"), "QueueHandler", logging.NullHandler)
    return any(
        record.levelno >= handler.level
        and not isinstance(handler, (_Reporting, logging.NullHandler, queues))
        and all(quiet.filter(record) for quiet in handler.filters if isinstance(quiet, _Quiet))
        for handler in _handlers_of(record)
    )


def _handlers_of(record: logging.LogRecord) -> Iterator[logging.Handler]:
    """Yield the handlers that a record is given to, whatever their levels are."""
    found = logging.root.manager.loggerDict.get(record.name)
    logger: logging.Logger | None = found if isinstance(found, logging.Logger) else logging.root
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _end_of(name: str) -> logging.Logger | None:
    """Return the logger at which the records of a name end before they reach the root logger; None: they reach it."""
    logger = logging.root.manager.loggerDict.get(name)
    while isinstance(logger, logging.Logger):
        if not logger.propagate and logger is not logging.root:
            return logger
        logger = logger.parent
    return None


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments that do not fit are a mistake worth showing, no reason to end
        message = f"{text_of(record.msg)} (its arguments do not fit: {type(error).__name__})"
    message = cut(message, MESSAGE_LIMIT)
    if record.exc_info and record.exc_info[1] is not None:
        trace = describe_error(record.exc_info[1]).traceback
        message = f"{message}\n{cut_middle(trace, max(MESSAGE_LIMIT - len(message) - 1, 500))}"
    if record.stack_info:
        message = f"{message}\n{record.stack_info}"
    return message


#: The attributes that every record has.
_KNOWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "item", _MARK}
#: The attributes of a record without extra fields.
_PLAIN: Final = _KNOWN - {"item"}
#: Types that are formatted without anybody's code.
_SIMPLE: Final = frozenset((str, int, float, bool, type(None)))


def _fields(record: logging.LogRecord) -> dict[str, Any] | None:
    """Return what was logged as ``extra=``."""
    fields = {name: value for name, value in vars(record).items() if name not in _KNOWN}
    return fields or None


def _level(record: logging.LogRecord) -> str:
    """Return the record's level as one of `LEVELS`: another one counts as the next lower."""
    if record.levelname in LEVELS:
        return record.levelname
    return max((number, name) for name, number in LEVELS.items() if number <= max(record.levelno, 10))[1]
