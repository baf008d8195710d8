"""`Queries`: reads the log's file: entries, runs, log lines, failed items. It writes nothing.

Every thread has a connection of its own, and each call sees one consistent view of the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec

from streamer.model.events import LEVELS, Entry, Logged
from streamer.model.state import RunState
from streamer.protocol.frames import REMOVED, Removed, Row, framer, removed_frame
from streamer.protocol.paging import FAILURES_PER_PAGE, LINES_PER_PAGE, RUNS_PER_PAGE
from streamer.protocol.run_filter import EVERY_RUN, NEWEST_FIRST, RunFilter, ascii_lower
from streamer.server.log.base import (
    MOVES_PER_PAGE,
    EntriesGone,
    Found,
    LogUnavailable,
    RunRecord,
    Stored,
    UnknownRun,
)
from streamer.server.log.damage import Damage

#: Lines that one search looks at: some tenths of a second. The next search goes on from there.
_LINES_PER_SEARCH: Final = 100_000
_LAST_OFFSET: Final = 2**63 - 1


def _fact(path: str) -> str:
    # A damaged state has no facts, and must not keep the others from being found.
    return f"CASE WHEN json_valid(CAST(state AS TEXT)) THEN json_extract(CAST(state AS TEXT), '$.{path}') END"


#: Which runs ended so. Only the state of a complete run says whether items failed.
_FAILED: Final = _fact("results.failed")
_OUTCOMES: Final = {
    "complete": f"(status = 'complete' AND NOT coalesce({_FAILED}, 0))",
    "partial": f"(status = 'complete' AND coalesce({_FAILED}, 0))",
    "failed": "status = 'failed'",
    "cancelled": "status = 'cancelled'",
}
#: The values by which runs are sorted. The keys of runs grow in the order in which the runs were made.
_SORTS: Final = {
    "created": "key",
    "title": f"coalesce({_fact('title')}, '') COLLATE NOCASE",
    "owner": f"coalesce({_fact('owner')}, '') COLLATE NOCASE",
    "elapsed": f"coalesce(max(coalesce({_fact('ended')}, :now) - {_fact('started')}, 0), -1)",
    "failed": f"coalesce({_FAILED}, 0)",
}


class Queries:
    """See the module and `EventLog`. Any thread may call it.

    `gap` returns the offset of the last entry that was removed or lost, of any run. `suspect(error)` is called for
    SQLite's errors: one of them may show that the file is damaged. `damage` has what stands in the place of what
    cannot be read.
    """

    def __init__(
        self,
        path: Path,
        epoch: str,
        *,
        gap: Callable[[], int],
        suspect: Callable[[sqlite3.Error], None],
        damage: Damage,
    ) -> None:
        self._path = path
        self._epoch = epoch
        self._gap = gap
        self._suspect = suspect
        self._damage = damage
        self._closed = False
        self._gate = threading.Lock()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    def stop(self) -> None:
        """Open no more connections. Reads that have begun end; `close` follows."""
        with self._gate:
            self._closed = True

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection within one consistent view of the file. Raises `LogUnavailable`."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            with self._gate:
                if self._closed:
                    raise LogUnavailable("the log is closed")
                db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5.0)
                db.execute("PRAGMA query_only = ON")
                self._connections.append(db)
            self._local.db = db
        try:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._suspect(error)
            raise LogUnavailable(f"cannot read the log: {error}") from error

    def holds(self, run_id: str | None, after: int) -> bool:
        if after >= self._gap():
            return True
        with self.reading() as db:
            return _holds(db, run_id, after)

    def read(self, after: int, *, limit: int, run_id: str | None = None) -> list[Stored]:
        with self.reading() as db:
            if run_id is None:
                rows = db.execute(
                    "SELECT e.*, r.id FROM entries e LEFT JOIN runs r ON r.key = e.run"
                    ' WHERE e."offset" > ? AND (r.id IS NOT NULL OR e.kind = ?) ORDER BY e."offset" LIMIT ?',
                    (after, REMOVED, limit),
                ).fetchall()
            else:
                rows = db.execute(
                    "SELECT *, ? FROM entries"
                    ' WHERE run = (SELECT key FROM runs WHERE id = ?) AND "offset" > ? ORDER BY "offset" LIMIT ?',
                    (run_id, run_id, after, limit),
                ).fetchall()
            # After the read: the writer moves the gap before it commits a removal, so a row missing here is behind it.
            if after < self._gap() and not _holds(db, run_id, after):
                raise EntriesGone(after)
        found: list[Stored] = []
        for run, group in groupby(rows, itemgetter(-1)):
            of_run: list[Row] = [row[:-1] for row in group]
            if run is None:
                found += [self._removal(row) for row in of_run]
                continue
            of_run = [self._damage.row(row) for row in of_run]
            frames = framer(self._epoch, run)(of_run)
            found += [Stored(row[0], run, row[4], frame) for row, frame in zip(of_run, frames, strict=True)]
        return found

    def _removal(self, row: Row) -> Stored:
        """Return an entry of no run: it says that a run was removed."""
        offset, _, _, when, name, _, body = row
        removed = Removed(offset, body.decode(), when)
        return Stored(offset, removed.run_id, name, removed_frame(removed, self._epoch))

    def run(self, run_id: str) -> RunRecord | None:
        with self.reading() as db:
            row = db.execute("SELECT state, acknowledged, note FROM runs WHERE id = ?", (run_id,)).fetchone()
            return None if row is None else RunRecord(self._damage.state(db, run_id, row[0]), row[1], row[2])

    def runs(
        self,
        wanted: RunFilter = EVERY_RUN,
        *,
        sort: str = NEWEST_FIRST,
        before: str | None = None,
        limit: int = RUNS_PER_PAGE,
    ) -> list[RunState]:
        named, descending = sort.removeprefix("-"), sort.startswith("-")
        column, order, after = _SORTS[named], *(("DESC", "<") if descending else ("ASC", ">"))
        where, values = _conditions(wanted)
        now = time.time()
        with self.reading() as db:
            if before is not None:
                row = db.execute(
                    f"SELECT {column}, key FROM runs WHERE id = :id",  # noqa: S608 - constants
                    {"id": before, "now": now},
                ).fetchone()
                if row is None:
                    raise UnknownRun(before)
                # Runs with equal values come newest first, whatever the order of the values.
                where += f" AND ({column} {after} :value OR ({column} = :value AND key < :key))"
                values |= {"value": row[0], "key": row[1]}
                if named == "created":
                    where += f" AND key {after} :key"
            rows = db.execute(
                f"SELECT id, state FROM runs WHERE {where} ORDER BY {column} {order}, key DESC LIMIT :limit",  # noqa: S608
                {**values, "now": now, "limit": limit},
            ).fetchall()
            return [self._damage.state(db, *row) for row in rows]

    def total(self, wanted: RunFilter = EVERY_RUN) -> int:
        where, values = _conditions(wanted)
        with self.reading() as db:
            row = db.execute(f"SELECT count(*) FROM runs WHERE {where}", values).fetchone()  # noqa: S608 - constants
        return int(row[0])

    def moves(self, run_id: str, *, after: int = 0, limit: int = MOVES_PER_PAGE) -> list[Entry]:
        with self.reading() as db:
            rows = db.execute(
                'SELECT "offset", seq, time, body FROM entries WHERE run = (SELECT key FROM runs WHERE id = ?)'
                ' AND "offset" > ? AND kind <> \'log\' ORDER BY "offset" LIMIT ?',
                (run_id, after, limit),
            ).fetchall()
        return [
            Entry(offset, run_id, seq, when, self._damage.event(offset, body))
            for offset, seq, when, body in rows
        ]

    def counts(self) -> dict[str, int]:
        with self.reading() as db:
            return dict(db.execute("SELECT status, count(*) FROM runs GROUP BY status"))

    def lines(
        self,
        run_id: str,
        *,
        level: int = 0,
        before: int | None = None,
        after: int | None = None,
        limit: int = LINES_PER_PAGE,
    ) -> list[Entry]:
        forward = before is None and after is not None
        where, values, order = _lines_asked(run_id, level, before, after)
        with self.reading() as db:
            rows = db.execute(
                f'SELECT "offset", seq, time, body FROM entries WHERE {where} {order} LIMIT ?',  # noqa: S608 - constants
                (*values, limit),
            ).fetchall()
        found = [
            Entry(offset, run_id, seq, when, self._damage.event(offset, body))
            for offset, seq, when, body in rows
        ]
        return found if forward else found[::-1]

    def search(
        self,
        run_id: str,
        text: str,
        *,
        level: int = 0,
        before: int | None = None,
        after: int | None = None,
        limit: int = LINES_PER_PAGE,
    ) -> Found:
        forward = before is None and after is not None
        where, values, order = _lines_asked(run_id, level, before, after)
        found: list[Entry] = []
        with self.reading() as db:
            # The index alone tells the last of so many lines; no body is read for it.
            row = db.execute(
                f'SELECT "offset" FROM entries WHERE {where} {order} LIMIT 1 OFFSET ?',  # noqa: S608 - constants
                (*values, _LINES_PER_SEARCH - 1),
            ).fetchone()
            reached: int | None = None if row is None else row[0]
            rows = db.execute(
                f'SELECT "offset", seq, time, body FROM entries WHERE {where}'  # noqa: S608 - constants
                # A quick look into the JSON. A hit outside the message is dropped below.
                f' AND "offset" {"<=" if forward else ">="} ? AND instr(lower(CAST(body AS TEXT)), lower(?)) {order}',
                (
                    *values,
                    reached if reached is not None else _LAST_OFFSET if forward else 0,
                    msgspec.json.encode(text)[1:-1].decode(),
                ),
            )
            for offset, seq, when, body in rows:
                event = self._damage.event(offset, body)
                if isinstance(event, Logged) and ascii_lower(text) in ascii_lower(event.message):
                    found.append(Entry(offset, run_id, seq, when, event))
                    if len(found) == limit:
                        reached = None
                        break
        return Found(found if forward else found[::-1], reached)

    def failures(self, run_id: str, *, after: int = 0, limit: int = FAILURES_PER_PAGE) -> list[Entry]:
        with self.reading() as db:
            rows = db.execute(
                'SELECT "offset", seq, time, body FROM entries WHERE run = (SELECT key FROM runs WHERE id = ?)'
                ' AND kind = \'failure\' AND "offset" > ? ORDER BY "offset" LIMIT ?',
                (run_id, after, limit),
            ).fetchall()
        return [
            Entry(offset, run_id, seq, when, self._damage.event(offset, body))
            for offset, seq, when, body in rows
        ]


def _conditions(wanted: RunFilter) -> tuple[str, dict[str, Any]]:
    """Return the condition of a filter in SQL, and its values."""
    where: list[str] = ["1"]
    values: dict[str, Any] = {}

    def add(condition: str, value: Any) -> None:
        name = f"v{len(values)}"
        where.append(condition.format(f":{name}"))
        values[name] = value

    if wanted.status:
        where.append(f"status IN ({', '.join(f':s{number}' for number in range(len(wanted.status)))})")
        values |= {f"s{number}": status for number, status in enumerate(wanted.status)}
    if wanted.outcome:
        where.append(f"({' OR '.join(_OUTCOMES[one] for one in sorted(set(wanted.outcome)))})")
    if wanted.failures:
        where.append(f"{_FAILED} > 0")
    for condition, value in (
        ("pipeline = {}", wanted.pipeline),
        (f"{_fact('title')} = {{}}", wanted.title),
        (f"{_fact('owner')} = {{}}", wanted.owner),
        (f"{_fact('created')} >= {{}}", wanted.since),
        (f"{_fact('created')} < {{}}", wanted.until),
    ):
        if value is not None:
            add(condition, value)
    for word in wanted.search.casefold().split():
        add("instr(words, {})", word)
    return " AND ".join(where), values


def _lines_asked(
    run_id: str, level: int, before: int | None, after: int | None
) -> tuple[str, list[Any], str]:
    """Return the condition, its values, and the order of a query for log lines."""
    where = ["run = (SELECT key FROM runs WHERE id = ?)", "kind = 'log'"]
    values: list[Any] = [run_id]
    for condition, value in (
        ('"offset" < ?', before),
        ('"offset" > ?', after),
        ("level >= ?", level or None),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    if level >= LEVELS["WARNING"]:
        # This condition lets SQLite use the index that holds severe lines alone.
        where.append("level >= 30")
    forward = before is None and after is not None
    return " AND ".join(where), values, f'ORDER BY "offset" {"ASC" if forward else "DESC"}'


def _holds(db: sqlite3.Connection, run_id: str | None, after: int) -> bool:
    if run_id is None:
        row = db.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'gap'").fetchone()
    else:
        row = db.execute("SELECT gap FROM runs WHERE id = ?", (run_id,)).fetchone()
    # Without a row there is no such run, or it was removed with all its entries.
    return row is not None and after >= row[0]
