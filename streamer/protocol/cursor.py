"""`Cursor`: a position in the log, ``EPOCH-OFFSET``. It is the id of a stream's event; a reader resumes after it."""

from __future__ import annotations

from msgspec import Struct


class Cursor(Struct, frozen=True):
    """A position in the log: everything up to and with `offset` is known to the reader."""

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Read ``EPOCH-OFFSET``; None when it has another form (such a cursor belongs to no log)."""
        epoch, dash, offset = text.strip().rpartition("-")
        if not dash or not epoch or not offset.isascii() or not offset.isdigit() or len(offset) > 18:
            return None
        return cls(epoch, int(offset))
