"""`Damage`: entries and states whose stored bytes cannot be read, and what stands in their place. It mends no file.

A damaged entry keeps its place and its number: a line says that it cannot be read. So no reader is held up, and all can
tell what is missing. A damaged state is made again from the run's entries.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from typing import Final

import msgspec

from streamer.model.events import LEVELS, STREAMER_LOGGER, Entry, Event, Logged, decode_event, encode_event
from streamer.model.reducer import fold
from streamer.model.state import RunState, decode_state
from streamer.protocol.frames import Row

logger = logging.getLogger(__name__)

#: So many damaged places are remembered one by one.
_MOST: Final = 10_000
_LINE: Final = Logged(
    type="error",
    level="ERROR",
    logger=STREAMER_LOGGER,
    message="1 entry that stood here cannot be read: its bytes in the log are damaged",
)
_BODY: Final = encode_event(_LINE)


class Damage:
    """The damage that was met so far. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: set[int | str] = set()

    def __str__(self) -> str:
        """Say how much was met; empty when nothing was."""
        number = len(self._places)
        if not number:
            return ""
        return (
            f"{number:,} {'entry or state' if number == 1 else 'entries or states'} of the log cannot be read"
        )

    def event(self, offset: int, body: bytes) -> Event:
        """Return a stored event; a line in its place where its bytes are damaged.

        Args:
            offset: Its place in the log.
            body: Its bytes.

        """
        try:
            if not body.isascii():
                # Where a field is passed over, its text is not looked at.
                body.decode()
            if b"\n" in body or b"\r" in body:
                raise msgspec.DecodeError("a line end within an entry")  # noqa: TRY301 - as any other damage
            return decode_event(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._met(offset)
            return _LINE

    def row(self, row: Row) -> Row:
        """Return a stored entry that can be sent as it is; a line in its place where its bytes are damaged."""
        offset, run, seq, time, _, _, body = row
        if self.event(offset, body) is not _LINE:
            return row
        return offset, run, seq, time, "log", LEVELS["ERROR"], _BODY

    def state(self, db: sqlite3.Connection, run_id: str, data: bytes) -> RunState:
        """Return a stored state; where its bytes are damaged, the one that the run's entries give.

        Args:
            db: A connection that reads the log.
            run_id: Id of the run.
            data: The state's bytes.

        """
        try:
            return decode_state(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._met(run_id)
        rows = db.execute(
            'SELECT "offset", seq, time, body FROM entries WHERE run = (SELECT key FROM runs WHERE id = ?)'
            ' ORDER BY "offset"',
            (run_id,),
        )
        entries = (
            Entry(offset, run_id, seq, when, self.event(offset, body)) for offset, seq, when, body in rows
        )
        return fold(RunState(run=run_id), entries)

    def _met(self, place: int | str) -> None:
        with self._lock:
            if place in self._places or len(self._places) >= _MOST:
                return
            self._places.add(place)
        what = f"entry {place}" if isinstance(place, int) else f"the state of run {place}"
        logger.warning("%s cannot be read: its bytes in the log are damaged", what)
