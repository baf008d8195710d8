"""Imports daily share prices: a CSV file becomes a SQLite file and a summary. Draws and forecasts nothing.

Why one module: an example is read from its top to its end.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import math
import os
import sqlite3
import statistics
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby, pairwise
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

import param

from streamer import Pipeline, phase
from streamer.model.extras import how_to_install
from streamer.model.parameters.allowed_paths import is_within
from streamer.settings import Settings

#: Marks a SQLite file as one of ours ("pstr"), so that no other file is ever written to.
APPLICATION_ID: Final = 0x70737472
#: Most rows that are read; all of them are held in memory.
ROWS_LIMIT: Final = 5_000_000
#: Most symbols that the result lists; the table `summary` in the file has all of them.
SYMBOLS_SHOWN: Final = 50
#: Most gaps in the trading days of one symbol that are logged.
GAPS_SHOWN: Final = 20
TRADING_DAYS: Final = 252

NUMBERS: Final = ("open", "high", "low", "close", "volume")
ALIASES: Final = {
    "ticker": "symbol",
    "adj close": "adjusted",
    "adj_close": "adjusted",
    "adjclose": "adjusted",
}

TABLES: Final = """
CREATE TABLE IF NOT EXISTS prices (
    symbol TEXT, date TEXT, open REAL, high REAL, low REAL, close REAL, volume INTEGER, adjusted REAL,
    average_50 REAL, average_200 REAL, volatility_20 REAL,
    PRIMARY KEY (symbol, date)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS summary (
    symbol TEXT PRIMARY KEY, first TEXT, last TEXT, return_percent REAL, volatility_percent REAL,
    worst_day TEXT, worst_day_percent REAL
) WITHOUT ROWID;
"""
#: Existing rows are replaced, so the same import can start again after any interruption.
PUT_PRICE: Final = "INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_SUMMARY: Final = "INSERT OR REPLACE INTO summary VALUES (?, ?, ?, ?, ?, ?, ?)"


class Row(NamedTuple):
    """A line of the source as it was read; `fields` are by column name, as text or as numbers."""

    line: int
    fields: dict[str, Any]


class Price(NamedTuple):
    """One trading day of one symbol. `adjusted` is the close, adjusted for splits and dividends where that is known."""

    symbol: str
    date: str
    open: float
    high: float
    low: float
    close: float
    volume: int
    adjusted: float


class ImportPrices(Pipeline):
    """Load daily share prices into a SQLite file and summarise them.

    Every row is checked, and one that is wrong is listed with the reason while the others are loaded. Each day is
    stored with its moving averages over 50 and 200 days and its volatility over 20. The summary has the return, the
    annual volatility and the worst day of each symbol.
    """

    source = param.Filename(
        None,
        doc="CSV file to load, also compressed with gzip. Its columns are symbol (or the file's name is the symbol), "
        "date, open, high, low, close and volume. By default five well-known shares from 2000 to 2013.",
    )
    database = param.Path(
        None,
        check_exists=False,
        doc="SQLite file to load into, in the streamer's data folder or a folder of STREAMER_FILES. One that exists "
        "must come from this pipeline; its rows are replaced or added to. By default prices.sqlite in the data folder.",
    )
    copies = param.Integer(
        10,
        bounds=(1, 10_000),
        softbounds=(1, 100),
        doc="How many times the prices are loaded, each time under other symbols: AAPL, AAPL (2), AAPL (3) … "
        "The larger, the longer it takes. A row counts once, however many copies of it are loaded.",
    )

    _prices: dict[str, list[Price]]
    _database: Path
    _loaded: list[str]

    # The weights are the shares of the time: nearly all of it goes into transactions.
    @phase(weight=1)
    def validate(self) -> None:
        """Read the source and check every row."""
        self._database = self._open_target()
        rows = read_rows(Path(self.source)) if self.source else sample_rows()
        self.log.info("%s rows read from %s", f"{len(rows):,}", self.source or "bokeh_sampledata")
        last: dict[str, str] = {}
        prices = self.map(lambda row: check(row, last), rows, on_error="collect", unit="rows", label=describe)
        if not prices:
            raise ValueError(f"not one of {len(rows):,} rows is valid: there is nothing to load")
        self._prices = {}
        for price in prices:
            self._prices.setdefault(price.symbol, []).append(price)
        self.log.info("%s rows of %s symbols are valid", f"{len(prices):,}", f"{len(self._prices):,}")

    @phase(weight=96)
    def load(self) -> None:
        """Store the prices, a year of a symbol in each transaction: what is counted is on the disk."""
        self._loaded = []
        total = sum(len(prices) for prices in self._prices.values())
        stored = 0
        with closing(connect(self._database)) as database, self.counter(total, unit="rows") as counter:
            for symbol, prices in self._prices.items():
                for gap in gaps(prices)[:GAPS_SHOWN]:
                    self.log.warning("%s: no trading between %s and %s", symbol, *gap, extra={"item": symbol})
                for copy in range(1, self.copies + 1):
                    name = symbol if copy == 1 else f"{symbol} ({copy})"
                    self.message(f"loading {name}")
                    for year in by_year(name, prices):
                        with database:
                            database.executemany(PUT_PRICE, year)
                        # As many of the source's rows as all rows that are stored make up.
                        counter.advance((stored + len(year)) // self.copies - stored // self.copies)
                        stored += len(year)
                        if copy == 1:
                            first, last = year[0][1], year[-1][1]
                            self.log.info("%s %s … %s loaded, %d rows", symbol, first, last, len(year))
                    self._loaded.append(name)
                if self.copies > 1:
                    self.log.info("%s loaded %s times", symbol, f"{self.copies:,}")

    @phase(weight=3)
    def summarise(self) -> dict[str, Any]:
        """Compute each symbol's return, volatility and worst day from what the file holds."""
        summary: dict[str, dict[str, Any]] = {}
        with closing(connect(self._database)) as database:
            for symbol in self.track(self._loaded, unit="symbols"):
                found = summarise(database, symbol)
                with database:
                    database.execute(PUT_SUMMARY, tuple(found.values()))
                if symbol in self._prices and len(summary) < SYMBOLS_SHOWN:
                    summary[symbol] = found
                    self.log.info("%s: %+.1f %%", symbol, found["return_percent"], extra={"item": symbol})
        return {
            "rows": sum(len(prices) for prices in self._prices.values()),
            "copies": self.copies,
            "database": shown(self._database),
            "summary": list(summary.values()),
        }

    def _open_target(self) -> Path:
        """Return the file to load into, with its tables made. Raises `ValueError` when it is not ours to write to."""
        if self.database is None:
            path = Settings.from_environment().data.absolute() / "prices.sqlite"
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            path = Path(self.database).absolute()
            settings = Settings.from_environment()
            folders = [settings.data, *map(Path, settings.files)]
            if not is_within(path, folders):
                raise ValueError(
                    f"database: {shown(path)} is in no folder that may be written to: "
                    f"{', '.join(map(shown, folders))}. STREAMER_FILES names others"
                )
            if not path.parent.is_dir():
                raise ValueError(f"database: there is no folder {shown(path.parent)}")
        if path.exists() and not is_ours(path):
            raise ValueError(
                f"database: {shown(path)} exists and does not come from this pipeline; name another file"
            )
        with closing(connect(path)) as database:
            database.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {TABLES} COMMIT"
            )
            # Only now: a file in this mode does not hold its mark until the first checkpoint.
            database.execute("PRAGMA journal_mode = WAL")
        return path


# -- reading -----------------------------------------------------------------------------------------------------------


def read_rows(path: Path) -> list[Row]:
    """Read a CSV file, also a gzipped one. Raises `ValueError` when columns are missing or it is no CSV."""
    with open_text(path) as file:
        reader = csv.reader(file)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            names = [ALIASES.get(name, name) for name in header]
            missing = [name for name in ("date", *NUMBERS) if name not in names]
            if missing:
                raise ValueError(
                    f"source: {shown(path)} has no column {', '.join(missing)}; expected the columns symbol, date, "
                    f"{', '.join(NUMBERS)}, found {len(header)} of other names"
                )
            default = {} if "symbol" in names else {"symbol": path.name.partition(".")[0]}
            rows = []
            for values in reader:
                if values:
                    rows.append(Row(reader.line_num, {**default, **dict(zip(names, values, strict=False))}))
                if len(rows) > ROWS_LIMIT:
                    raise ValueError(f"source: {shown(path)} has more than {ROWS_LIMIT:,} rows")
        except (csv.Error, gzip.BadGzipFile, EOFError) as error:
            raise ValueError(f"source: {shown(path)}, line {reader.line_num}: {error}") from error
    return rows


def open_text(path: Path) -> IO[str]:
    """Open a text file, or a gzipped one, as UTF-8; bytes that are not are replaced, and fail where they matter."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if compressed else open
    return cast("IO[str]", opener(path, "rt", encoding="utf-8-sig", errors="replace", newline=""))


def sample_rows() -> list[Row]:
    """Return the prices of the package `bokeh_sampledata`. Raises `ModuleNotFoundError` saying what to install."""
    try:
        from bokeh_sampledata import stocks
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{how_to_install('ImportPrices without a source', 'examples')}; or name a CSV file as source",
            name=error.name,
        ) from error
    rows: list[Row] = []
    for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        columns = getattr(stocks, symbol)
        names = [ALIASES.get(name, name) for name in columns]
        for values in zip(*columns.values(), strict=True):
            # A line's number is that in the package's file, which has a header and the symbols in this order.
            rows.append(Row(len(rows) + 2, {"symbol": symbol, **dict(zip(names, values, strict=True))}))
    return rows


def describe(row: Row) -> str:
    """Name a row in the list of failed items."""
    return f"line {row.line}: {row.fields.get('symbol', '')} {row.fields.get('date', '')}"


# -- checking ----------------------------------------------------------------------------------------------------------


def check(row: Row, last: dict[str, str]) -> Price:
    """Return a row as a price. Raises `ValueError` when it is wrong; `last` has the last date of each symbol."""
    fields = row.fields
    symbol = str(fields.get("symbol", "")).strip()
    if not symbol:
        raise ValueError("symbol: expected a text, received none")
    date = check_date(fields.get("date"))
    opened, high, low, close = (number(fields, name) for name in ("open", "high", "low", "close"))
    volume = number(fields, "volume")
    adjusted = number(fields, "adjusted") if fields.get("adjusted") not in (None, "") else close
    if not volume.is_integer() or volume >= 2**63:
        raise ValueError(f"volume: expected a whole number, received {volume}")
    if volume < 0:
        raise ValueError(f"volume: expected 0 or more, received {volume:,.0f}")
    if high < low:
        raise ValueError(f"high {high} is below low {low}")
    if min(opened, high, low, close, adjusted) <= 0:
        raise ValueError("expected prices above 0")
    if date <= last.get(symbol, ""):
        raise ValueError(f"date: expected one after {last[symbol]}, received {date}")
    last[symbol] = date
    return Price(symbol, date, opened, high, low, close, int(volume), adjusted)


def check_date(value: Any) -> str:
    """Return an ISO date as it is. Raises `ValueError` for anything else."""
    text = str(value).strip()
    try:
        # Python reads other forms as well, but only this one sorts as text.
        if dt.date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError(f"date: expected one such as 2026-01-31, received {text[:60]!r}")


def number(fields: dict[str, Any], name: str) -> float:
    """Return a field as a finite number. Raises `ValueError` naming the field.

    Args:
        fields: The row's fields.
        name: The column.

    Raises:
        ValueError: If the field is no finite number; the message names it.

    """
    value = fields.get(name, "")
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{name}: expected a number, received {str(value)[:60]!r}")
    return found


def gaps(prices: list[Price]) -> list[tuple[str, str]]:
    """Return the pairs of successive trading days that are a week or more apart."""
    return [
        (one.date, other.date)
        for one, other in pairwise(prices)
        if (dt.date.fromisoformat(other.date) - dt.date.fromisoformat(one.date)).days >= 7
    ]


# -- storing -----------------------------------------------------------------------------------------------------------


def connect(path: Path) -> sqlite3.Connection:
    """Open the file; each commit is on the disk when it returns. Waits up to a minute for another run's transaction."""
    database = sqlite3.connect(path, timeout=60)
    database.execute("PRAGMA synchronous = FULL")
    return database


def is_ours(path: Path) -> bool:
    """Say whether a file is empty, or a database that this pipeline has made. Reads its header only."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(100)
    mark = int.from_bytes(header[68:72], "big")
    return not header or (header.startswith(b"SQLite format 3\0") and mark == APPLICATION_ID)


def by_year(symbol: str, prices: list[Price]) -> Iterator[list[tuple[Any, ...]]]:
    """Return the rows of the table `prices`, a list for each year.

    Args:
        symbol: The share.
        prices: Its daily prices.

    """
    for _, rows in groupby(with_indicators(symbol, prices), key=lambda row: row[1][:4]):
        yield list(rows)


def with_indicators(symbol: str, prices: Iterable[Price]) -> Iterator[tuple[Any, ...]]:
    """Add to each day the averages over the last 50 and 200 closes, and the volatility over 20 returns, once known.

    Args:
        symbol: The share.
        prices: Its daily prices, oldest first.

    """
    returns: deque[float] = deque(maxlen=20)
    closes: deque[float] = deque(maxlen=200)
    for price in prices:
        if closes:
            returns.append(math.log(price.adjusted / closes[-1]))
        closes.append(price.adjusted)
        yield (
            symbol,
            *price[1:],
            statistics.fmean(list(closes)[-50:]) if len(closes) >= 50 else None,
            statistics.fmean(closes) if len(closes) == 200 else None,
            annual_percent(returns) if len(returns) == 20 else None,
        )


def summarise(database: sqlite3.Connection, symbol: str) -> dict[str, Any]:
    """Summarise what the file holds of a symbol; percentages, and None where there are too few days.

    Args:
        database: The connection.
        symbol: The share.

    """
    days = database.execute(
        "SELECT date, adjusted FROM prices WHERE symbol = ? ORDER BY date", (symbol,)
    ).fetchall()
    changes = [(close / before - 1, day) for (_, before), (day, close) in pairwise(days)]
    worst, worst_day = min(changes, default=(None, None))
    returns = [math.log1p(change) for change, _ in changes]
    return {
        "symbol": symbol,
        "first": days[0][0],
        "last": days[-1][0],
        "return_percent": round(100 * (days[-1][1] / days[0][1] - 1), 2),
        "volatility_percent": round(annual_percent(returns), 2) if len(returns) > 1 else None,
        "worst_day": worst_day,
        "worst_day_percent": None if worst is None else round(100 * worst, 2),
    }


def annual_percent(returns: Iterable[float]) -> float:
    """Return the volatility of daily logarithmic returns, in percent a year."""
    return 100 * statistics.stdev(returns) * math.sqrt(TRADING_DAYS)


def shown(path: Path) -> str:
    """Return a path as well-formed text, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
