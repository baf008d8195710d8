"""A damaged log: `find_damage` recognises it, `salvage` takes its readable part over into a fresh file."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from streamer.model.events import Entry, decode_event
from streamer.model.reducer import apply
from streamer.model.state import RunState, decode_state, encode_state
from streamer.server.log.tables import check_version, connect, prepare

logger = logging.getLogger(__name__)

_MAGIC: Final = b"SQLite format 3\0"
#: A file up to this size, in bytes, is checked as a whole after its writer was killed: a fraction of a second.
_CHECKED_WHOLE: Final = 64_000_000
#: Rows read at a time; where they cannot be read, half of them, down to one.
_ROWS: Final = 1_000


class Salvaged(Struct, frozen=True):
    """How many runs and entries were taken over, and the path of the damaged file."""

    runs: int
    entries: int
    kept: Path


def is_damage(error: BaseException) -> bool:
    """Return whether an error of SQLite shows a damaged file, and not only one that cannot be used now."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def find_damage(path: Path, *, known: bool, clean: bool, suspect: bool) -> str | None:
    """Look for damage. It reads little of the file; after a kill it checks all of a file that is not large.

    Args:
        path: The file.
        known: Whether a log of ours was here.
        clean: Whether it was closed properly.
        suspect: Whether it was found damaged while it was used.

    Returns:
        The damage in words; None when there is none.

    Raises:
        OSError: The file cannot be read.
        sqlite3.Error: SQLite cannot open it, for another reason than damage.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return None
    if not header:
        return None
    if not header.startswith(_MAGIC):
        return "it does not begin as a database does" if known else None
    if len(header) < 100:
        return "its header is cut off"
    missing = _missing_pages(path, header)
    if missing:
        return f"{missing:,} pages are cut off"
    if suspect or (not clean and path.stat().st_size <= _CHECKED_WHOLE):
        return _check(path)
    return None


def _missing_pages(path: Path, header: bytes) -> int:
    """Return how many pages of the header's count are neither in the file nor in its write-ahead log."""
    page_size = struct.unpack(">H", header[16:18])[0]
    page_size = 65536 if page_size == 1 else page_size
    told, there = struct.unpack(">I", header[28:32])[0], path.stat().st_size // max(page_size, 512)
    if told <= there:
        return 0
    return len(set(range(there + 1, told + 1)) - set(_wal_pages(path.with_name(path.name + "-wal"))))


def _wal_pages(path: Path) -> Iterator[int]:
    # https://www.sqlite.org/fileformat2.html#walformat: a header of 32 bytes, then frames: 24 bytes and a page each.
    # A frame of an earlier round has another salt.
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(32)
        if len(header) < 32:
            return
        page_size, salt = struct.unpack(">I", header[8:12])[0], header[16:24]
        while len(frame := file.read(24)) == 24 and frame[8:16] == salt:
            yield struct.unpack(">I", frame[:4])[0]
            file.seek(page_size, 1)


def _check(path: Path) -> str | None:
    try:
        with contextlib.closing(_read_only(path)) as db:
            (answer,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)
    return None if answer == "ok" else str(answer).replace("\n", " ")


def _read_only(path: Path) -> sqlite3.Connection:
    # The last connection that may write moves the write-ahead log into the file. The damaged file must stay as it is.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)


def salvage(path: Path, *, head: int, stamp: str) -> Salvaged:
    """Put a fresh log with the readable part of a damaged one in its place; keep the damaged one under another name.

    A salvage that was stopped half-way can be repeated.

    Args:
        path: The damaged file.
        head: An offset that the log had reached; 0 when it is not known.
        stamp: Part of the damaged file's new name.

    Returns:
        A summary of the salvage.

    Raises:
        sqlite3.Error: SQLite cannot read or write a file.
        OSError: A file cannot be copied or renamed.
        LogVersionError: A newer version wrote the file.
    """
    fresh = path.with_name(f"{path.stem}.salvage{path.suffix}")
    for leftover in _files(fresh):
        leftover.unlink(missing_ok=True)
    target = connect(fresh)
    try:
        prepare(target, fresh)
        target.execute("BEGIN IMMEDIATE")
        with contextlib.closing(_read_only(path)) as source:
            # Without it SQLite refuses a file that is shorter than its header says.
            source.execute("PRAGMA writable_schema = ON")
            with contextlib.suppress(sqlite3.DatabaseError):
                check_version(source, path)
            runs, entries = _take_over(source, target, head)
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        target.close()
    kept = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    try:
        kept.hardlink_to(path)
    except OSError:
        shutil.copy2(path, kept)
    for file, its_name in zip(_files(path)[1:], _files(kept)[1:], strict=True):
        # Before the fresh one is in place: it must not be read together with the damaged one's write-ahead log.
        with contextlib.suppress(FileNotFoundError):
            file.replace(its_name)
    fresh.replace(path)
    return Salvaged(runs, entries, kept)


def _files(path: Path) -> tuple[Path, Path, Path]:
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


class _Found(Struct):
    id: str
    state: RunState
    acknowledged: int = 0
    note: bytes = b"{}"
    words: str = ""
    seq: int = 0
    bytes: int = 0
    gap: int = 0


def _take_over(source: sqlite3.Connection, target: sqlite3.Connection, head: int) -> tuple[int, int]:
    found, doomed = _runs(source), _doomed(source)
    head = max(head, _sequence(source, "entries"))
    number = 0
    last = 0
    for row in _rows(source, 'SELECT "offset", * FROM entries', '"offset"', head):
        offset, _, key, seq, time, kind, level, body = row
        if key in doomed:
            continue
        try:
            event = decode_event(body)
        except (msgspec.DecodeError, TypeError):
            continue
        run = found.setdefault(key, _Found(f"recovered-{key}", RunState(run=f"recovered-{key}")))
        if seq != run.seq + 1:
            run.gap = offset - 1
        run.seq, run.bytes = seq, run.bytes + len(body)
        run.state = apply(run.state, Entry(offset, run.id, seq, time, event))
        target.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", (offset, key, seq, time, kind, level, body)
        )
        number, last = number + 1, offset
    for key, run in sorted(found.items()):
        if run.state.seq > run.seq:
            run.gap = run.state.offset
        over = run.state.is_over
        ended = (run.state.ended or 0.0) if over else None
        target.execute(
            "INSERT INTO runs (key, id, pipeline, status, words, acknowledged, note, state, ended, bytes, gap, lost)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, run.id, run.state.pipeline, run.state.status, run.words or run.id, run.acknowledged, run.note,
             encode_state(run.state), ended, run.bytes, run.gap, not over),
        )  # fmt: skip
        last = max(last, run.state.offset)
    # No offset is used twice. The lost entries may lie anywhere before this one.
    last = max(last, head)
    target.execute("DELETE FROM sqlite_sequence WHERE name = 'entries'")
    target.execute("INSERT INTO sqlite_sequence VALUES ('entries', ?)", (last,))
    target.execute("UPDATE meta SET value = ? WHERE key = 'gap'", (str(last),))
    return len(found), number


def _runs(source: sqlite3.Connection) -> dict[int, _Found]:
    """Read the runs, each as far as possible: the id may be readable in an index alone, the state may be cut off."""
    most = max(_sequence(source, "runs"), _ROWS)
    found: dict[int, _Found] = {}
    for columns, place in (
        ("", "INDEXED BY sqlite_autoindex_runs_1"),
        (", acknowledged, note, words", ""),
        (", state", ""),
    ):
        select = f"SELECT key, id{columns} FROM runs {place}"  # noqa: S608 - constants
        for key, run_id, *more in _rows(source, select, "key", most):
            run = found.setdefault(key, _Found(run_id, RunState(run=run_id)))
            if len(more) == 3:
                run.acknowledged, run.note, run.words = more
            elif more:
                with contextlib.suppress(msgspec.DecodeError, TypeError):
                    run.state = decode_state(more[0])
    return found


def _doomed(source: sqlite3.Connection) -> set[int]:
    """Return the keys of removed runs whose entries are still there; empty when the table cannot be read."""
    with contextlib.suppress(sqlite3.DatabaseError):
        return {key for (key,) in source.execute("SELECT run FROM doomed")}
    return set()


def _sequence(source: sqlite3.Connection, table: str) -> int:
    """Return the last key of a table; 0 when it cannot be read."""
    found = 0
    key = "key" if table == "runs" else '"offset"'
    for statement in (
        f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'",  # noqa: S608 - constants
        f"SELECT max({key}) FROM {table}",  # noqa: S608 - constants
    ):
        with contextlib.suppress(sqlite3.DatabaseError):
            row = source.execute(statement).fetchone()
            found = max(found, (row[0] if row else 0) or 0)
    return found


def _rows(source: sqlite3.Connection, select: str, key: str, last: int) -> Iterator[tuple[Any, ...]]:
    """Give the readable rows with keys up to `last`, in order."""
    statement = f"{select} WHERE {key} BETWEEN ? AND ? ORDER BY {key}"
    ranges = [(first, min(first + _ROWS - 1, last)) for first in range(last // _ROWS * _ROWS + 1, 0, -_ROWS)]
    while ranges:
        first, end = ranges.pop()
        try:
            rows = source.execute(statement, (first, end)).fetchall()
        except sqlite3.DatabaseError:
            if first < end:
                middle = (first + end) // 2
                ranges += [(middle + 1, end), (first, middle)]
            continue
        yield from rows
