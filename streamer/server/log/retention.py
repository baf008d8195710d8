"""Removal of old entries: `Retention` is the rule, `tend` removes in slices. Runs that are not over stay whole."""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from streamer.protocol.frames import REMOVED, Removed

#: Entries looked at, and at most removed, in one slice: some milliseconds of the writer's time.
_SLICE: Final = 2_000
#: An entry of no run says that a run was removed, for readers that were away. The log keeps so many of them: a reader
#: that missed more begins again.
_WORDS_KEPT: Final = 1_000
_NO_RUN: Final = 0


class Retention(Struct, frozen=True):
    """The bounds for runs that are over; 0 sets no bound.

    The run that ended first is removed `seconds` after its end, when more than `runs` are over, or when all entries
    take more than `bytes`. A run's progress entries are removed `compact_seconds` after its end; its state keeps their
    curves.
    """

    seconds: float = 0.0
    runs: int = 0
    bytes: int = 0
    compact_seconds: float = 0.0


KEEP_ALL: Final = Retention()


class Slice(Struct, frozen=True):
    """The result of a slice: the removed run, if any; `gap`, the last removed offset; whether more is left to do."""

    removed: Removed | None = None
    gap: int = 0
    more: bool = False


def tend(db: sqlite3.Connection, keep: Retention, now: float, head: int) -> Slice:
    """Remove one slice of old entries, within the open transaction.

    Args:
        db: The writer's connection.
        keep: The bounds.
        now: The time, POSIX seconds.
        head: The last offset; a run's removal takes the next one.

    Returns:
        The result of the slice.

    Raises:
        sqlite3.Error: The log cannot be written.
    """
    row = db.execute("SELECT run FROM doomed LIMIT 1").fetchone()
    if row is not None:
        return _remove_entries(db, row[0])
    row = _surplus(db, keep, now)
    if row is not None:
        return _remove_run(db, *row, now, head + 1)
    if keep.compact_seconds > 0:
        row = db.execute(
            "SELECT key, compact FROM runs WHERE ended < ? AND compact IS NOT NULL LIMIT 1",
            (now - keep.compact_seconds,),
        ).fetchone()
        if row is not None:
            return _compact(db, *row)
    return Slice()


def _surplus(db: sqlite3.Connection, keep: Retention, now: float) -> tuple[int, str] | None:
    row: tuple[int, str, float] | None = db.execute(
        "SELECT key, id, ended FROM runs WHERE ended IS NOT NULL ORDER BY ended LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    surplus = keep.seconds > 0 and row[2] < now - keep.seconds
    if not surplus and keep.runs > 0:
        over = db.execute("SELECT count(*) FROM runs WHERE ended IS NOT NULL").fetchone()[0]
        surplus = over > keep.runs
    if not surplus and keep.bytes > 0:
        surplus = db.execute("SELECT sum(bytes) FROM runs").fetchone()[0] > keep.bytes
    return row[:2] if surplus else None


def _remove_run(db: sqlite3.Connection, key: int, run_id: str, now: float, offset: int) -> Slice:
    """Remove the run at once. No reader reaches its entries any more; they follow in slices."""
    gap = db.execute('SELECT max("offset") FROM entries WHERE run = ?', (key,)).fetchone()[0] or 0
    db.execute("DELETE FROM runs WHERE key = ?", (key,))
    db.execute("INSERT INTO doomed VALUES (?)", (key,))
    db.execute(
        "INSERT INTO entries VALUES (?, ?, 0, ?, ?, NULL, ?)",
        (offset, _NO_RUN, now, REMOVED, run_id.encode()),
    )
    row = db.execute(
        'SELECT "offset" FROM entries WHERE run = ? ORDER BY "offset" DESC LIMIT 1 OFFSET ?',
        (_NO_RUN, _WORDS_KEPT),
    ).fetchone()
    if row is not None:
        db.execute('DELETE FROM entries WHERE run = ? AND "offset" <= ?', (_NO_RUN, row[0]))
        gap = max(gap, row[0])
    _move_gap(db, gap)
    return Slice(Removed(offset, run_id, now), gap, more=True)


def _remove_entries(db: sqlite3.Connection, key: int) -> Slice:
    removed = db.execute(
        'DELETE FROM entries WHERE "offset" IN (SELECT "offset" FROM entries WHERE run = ? LIMIT ?)',
        (key, _SLICE),
    ).rowcount
    if removed < _SLICE:
        db.execute("DELETE FROM doomed WHERE run = ?", (key,))
    return Slice(more=True)


def _compact(db: sqlite3.Connection, key: int, after: int) -> Slice:
    rows = db.execute(
        'SELECT "offset", kind, length(body) FROM entries WHERE run = ? AND "offset" > ? ORDER BY "offset" LIMIT ?',
        (key, after, _SLICE),
    ).fetchall()
    progress = [(offset, size) for offset, kind, size in rows if kind == "progress"]
    gap = progress[-1][0] if progress else 0
    db.executemany('DELETE FROM entries WHERE "offset" = ?', [(offset,) for offset, _ in progress])
    db.execute(
        "UPDATE runs SET gap = max(gap, ?), bytes = bytes - ?, compact = ? WHERE key = ?",
        (gap, sum(size for _, size in progress), rows[-1][0] if len(rows) == _SLICE else None, key),
    )
    _move_gap(db, gap)
    return Slice(gap=gap, more=True)


def _move_gap(db: sqlite3.Connection, gap: int) -> None:
    db.execute("UPDATE meta SET value = max(CAST(value AS INTEGER), ?) WHERE key = 'gap'", (gap,))
