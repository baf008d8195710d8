"""The messages that `inside` sends to a `Collector`, as types. They come from other processes and are not trusted."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from streamer.model.events import LEVELS, BarStatus
from streamer.producer.run import Run


class Record(Struct, frozen=True):
    """A log record of some process. `number` is its level as `logging` counts."""

    level: str = "INFO"
    number: int = 20
    logger: str = ""
    message: str = ""

    def report(self, run: Run) -> None:
        """Report the record as a log line of a run. A level of the program's own becomes the next lower known one."""
        known = [name for name, number in LEVELS.items() if number <= max(self.number, LEVELS["DEBUG"])]
        run.report_line(self.message, level=known[-1], logger=self.logger)


class BarMessage(Struct, frozen=True):
    """A bar as its process counts it. `id` and `parent` are names within that process.

    `starts` is how many times it has started over: its count began again at 0. `earlier` is what it counted before.
    """

    id: str
    parent: str | None = None
    name: str = ""
    done: float | int | None = None
    total: float | int | None = None
    unit: str = ""
    status: BarStatus = "started"
    starts: int = 0
    earlier: float | int = 0


class Message(Struct, frozen=True):
    """One line of JSON: the secret first, then bars, log records, or the number of dropped records.

    `printed` is the text that handlers of log records wrote to the process's outputs.
    """

    secret: str = ""
    bars: list[BarMessage] = []
    log: Record | None = None
    dropped: int = 0
    printed: str = ""


_decoder = msgspec.json.Decoder(Message)


def decode(line: bytes) -> Message | None:
    """Return the message in a line of JSON; None when it is not one."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
