"""The pipelines that are shipped: what they do on real data, on wrong data, and to files that are not theirs."""

from __future__ import annotations

import contextlib
import csv
import gzip
import math
import os
import sqlite3
import statistics
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.examples import audit_folder, count, import_prices
from streamer.examples.audit_folder import AuditFolder
from streamer.examples.count import Count
from streamer.examples.import_prices import ImportPrices, Row, check, read_rows
from streamer.model.events import Completed, Event, ItemFailed, Logged, PhaseChanged, Progressed, RunFailed
from streamer.model.parameters.json_schema import ParametersRefused, build
from streamer.model.pipeline import Pipeline, phases_of
from streamer.producer.run import Run

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Ran:
    """What a pipeline reported."""

    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def result(self) -> Any:
        (end,) = self.of(Completed)
        return end.result

    @property
    def error(self) -> str:
        (end,) = self.of(RunFailed)
        return f"{end.error.type}: {end.error.message}"

    @property
    def failures(self) -> dict[str, str]:
        return {event.item: event.error.message for event in self.of(ItemFailed)}

    @property
    def lines(self) -> list[str]:
        return [event.message for event in self.of(Logged)]

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.of(Logged) if event.type == "warning"]

    @property
    def phases(self) -> list[tuple[str, str]]:
        return [(event.phase, event.phase_status) for event in self.of(PhaseChanged)]

    def progress_of(self, phase: str) -> Progressed:
        """Return the last progress of a phase."""
        found: Progressed = [event for event in self.of(Progressed) if event.phase == phase][-1]
        return found


def execute(pipeline: Pipeline, **between: Any) -> Ran:
    """Run a pipeline here; what `between` has under a phase's name is called before that phase."""
    ran = Ran()

    def take(event: Event, time: float) -> None:
        ran.events.append(event)
        ran.times.append(time)

    run = Run(take, phases_of(type(pipeline)), sample_seconds=3600)
    pipeline._reporter = run
    result = None
    with contextlib.suppress(Exception), run:
        for spec in phases_of(type(pipeline)):
            between.get(spec.name, lambda: None)()
            with run.phase(spec.name):
                result = getattr(pipeline, spec.name)()
        run.complete(result)
    return ran


# -- Count -------------------------------------------------------------------------------------------------------------


def test_count_counts_and_logs_every_tenth_of_the_way() -> None:
    ran = execute(build(Count, {"n": 200, "delay": 0, "unit": "sheep"}))
    assert ran.result == {"counted": 200, "n": 200}
    assert (200.0, 200.0, "sheep") == tuple(
        getattr(ran.progress_of("count"), n) for n in ("done", "total", "unit")
    )
    assert ["1 of 200 sheep", *(f"{number} of 200 sheep" for number in range(20, 201, 20))] == ran.lines


def test_count_goes_on_after_the_item_that_fails() -> None:
    ran = execute(build(Count, {"n": 5, "delay": 0, "fail_at": 3}))
    assert ran.failures == {"3": "item 3 was asked to fail"}
    assert ran.result == {"counted": 4, "n": 5}


@pytest.mark.parametrize(("values", "item"), [({"fail_at": 3}, 3), ({}, 1)])
def test_count_fails_as_a_whole(values: dict[str, Any], item: int) -> None:
    ran = execute(build(Count, {"n": 5, "delay": 0, "fail": True, **values}))
    assert ran.error == f"ValueError: item {item} was asked to fail"
    assert list(ran.failures) == [str(item)]


def test_count_waits_at_each_item(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(count.time, "sleep", waits.append)
    execute(build(Count, {"n": 3}))
    assert waits == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    "values", [{"n": 0}, {"n": 1_000_001}, {"delay": -1}, {"delay": 61}, {"unit": "x" * 41}]
)
def test_count_has_bounds(values: dict[str, Any]) -> None:
    with pytest.raises(ParametersRefused):
        build(Count, values)


# -- ImportPrices ------------------------------------------------------------------------------------------------------

HEADER = "symbol,date,open,high,low,close,volume"
GOOD = [
    "A,2024-01-02,10,12,9,11,100",
    "B,2024-01-02,20,20,20,20,0",
    "A,2024-01-03,11,13,10,12.5,200",
    "B,2024-01-03,20,21,19,21,5",
]


def write_csv(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pipelines write into the test's own folder."""
    monkeypatch.setenv("STREAMER_FILES", str(tmp_path))


@pytest.mark.parametrize("where", ["elsewhere.sqlite", "link/x.sqlite", "in/../../x.sqlite"])
def test_a_database_outside_of_the_folders_that_are_allowed_is_refused(
    tmp_path: Path, own_data: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    allowed = tmp_path / "allowed"
    (allowed / "in").mkdir(parents=True)
    (allowed / "link").symlink_to(tmp_path)
    monkeypatch.setenv("STREAMER_FILES", str(allowed))
    source = write_csv(tmp_path / "in.csv", *GOOD)
    target = tmp_path / where if where.startswith("else") else allowed / where
    ran = import_of(source, target)
    assert "is in no folder that may be written to" in ran.error
    assert [] == list(tmp_path.glob("*.sqlite"))
    assert "SQLite" not in ran.error
    assert import_of(source, allowed / "in" / "x.sqlite").result["rows"]


def test_a_file_that_holds_no_prices_is_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "passwd"
    secret.write_text("root:x:0:0:root:/root:/bin/bash\n")
    ran = import_of(secret, tmp_path / "out.sqlite")
    assert "root:x" not in repr(ran.events)


def import_of(source: Path, database: Path, **more: Any) -> Ran:
    values = {"source": str(source), "database": str(database), "copies": 1, **more}
    return execute(build(ImportPrices, values))


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.slow
def test_the_sample_prices_are_imported_without_a_failure(own_data: Path) -> None:
    ran = execute(build(ImportPrices, {"copies": 1}))
    database = own_data / "prices.sqlite"
    assert ran.failures == {}
    assert (12154, str(database)) == (ran.result["rows"], ran.result["database"])
    assert ["AAPL", "FB", "GOOG", "IBM", "MSFT"] == [row["symbol"] for row in ran.result["summary"]]
    assert ran.result["summary"][0] == {
        "symbol": "AAPL",
        "first": "2000-03-01",
        "last": "2013-03-01",
        "return_percent": 1240.86,
        "volatility_percent": 48.15,
        "worst_day": "2000-09-29",
        "worst_day_percent": -51.87,
    }
    assert "AAPL 2009-01-02 … 2009-12-31 loaded, 252 rows" in ran.lines
    assert "AAPL: no trading between 2001-09-10 and 2001-09-17" in ran.warnings
    assert query(database, "SELECT count(*), count(DISTINCT symbol) FROM prices") == [(12154, 5)]
    assert (12154.0, 12154.0, "rows") == tuple(
        getattr(ran.progress_of("load"), n) for n in ("done", "total", "unit")
    )


@pytest.mark.slow
@pytest.mark.parametrize(("example", "values"), [(ImportPrices, {"copies": 3}), (AuditFolder, {})])
def test_weights_are_near_the_shares_of_the_time(
    example: type[Pipeline], values: dict[str, Any], own_data: Path
) -> None:
    ran = execute(build(example, values))
    times: dict[str, float] = {}
    for event, time in zip(ran.events, ran.times, strict=True):
        if isinstance(event, PhaseChanged):
            times[event.phase] = time - times.get(event.phase, 0.0)
    weights = {spec.name: spec.weight for spec in phases_of(example)}
    assert 100 == sum(weights.values())
    shares = {name: 100 * seconds / sum(times.values()) for name, seconds in times.items()}
    assert [] == [(name, shares[name]) for name in weights if abs(shares[name] - weights[name]) > 10]


def test_a_csv_file_is_imported_and_summarised(tmp_path: Path) -> None:
    database = tmp_path / "out.sqlite"
    ran = import_of(write_csv(tmp_path / "in.csv", *GOOD), database)
    assert ran.result == {
        "rows": 4,
        "copies": 1,
        "database": str(database),
        "summary": [
            {
                "symbol": "A",
                "first": "2024-01-02",
                "last": "2024-01-03",
                "return_percent": 13.64,
                "volatility_percent": None,
                "worst_day": "2024-01-03",
                "worst_day_percent": 13.64,
            },
            {
                "symbol": "B",
                "first": "2024-01-02",
                "last": "2024-01-03",
                "return_percent": 5.0,
                "volatility_percent": None,
                "worst_day": "2024-01-03",
                "worst_day_percent": 5.0,
            },
        ],
    }
    assert [("A", "2024-01-02", 10.0, 12.0, 9.0, 11.0, 100, 11.0, None, None, None)] == query(
        database, "SELECT * FROM prices LIMIT 1"
    )
    assert [("A", 13.64), ("B", 5.0)] == query(database, "SELECT symbol, return_percent FROM summary")


@pytest.mark.parametrize(
    ("row", "label", "message"),
    [
        ("A,2024-01-05,10,9,12,11,100", "line 6: A 2024-01-05", "high 9.0 is below low 12.0"),
        ("A,2024-01-05,10,12,9,11,-1", "line 6: A 2024-01-05", "volume: expected 0 or more, received -1"),
        (
            "A,2024-01-05,10,12,9,11,1.5",
            "line 6: A 2024-01-05",
            "volume: expected a whole number, received 1.5",
        ),
        (
            "A,2024-01-05,10,12,9,11,1e30",
            "line 6: A 2024-01-05",
            "volume: expected a whole number, received 1e+30",
        ),
        ("A,2024-01-05,ten,12,9,11,1", "line 6: A 2024-01-05", "open: expected a number, received 'ten'"),
        ("A,2024-01-05,10,12,9,nan,1", "line 6: A 2024-01-05", "close: expected a number, received 'nan'"),
        ("A,2024-01-05,10,1e999,9,11,1", "line 6: A 2024-01-05", "high: expected a number, received '1e999'"),
        ("A,2024-01-05,10,12,9", "line 6: A 2024-01-05", "close: expected a number, received ''"),
        ("A,2024-01-05,0,12,0,11,1", "line 6: A 2024-01-05", "expected prices above 0"),
        (
            "A,05/01/2024,10,12,9,11,1",
            "line 6: A 05/01/2024",
            "date: expected one such as 2026-01-31, received '05/01/2024'",
        ),
        (
            "A,2024-02-30,10,12,9,11,1",
            "line 6: A 2024-02-30",
            "date: expected one such as 2026-01-31, received '2024-02-30'",
        ),
        (
            "A,2024-01-03,10,12,9,11,1",
            "line 6: A 2024-01-03",
            "date: expected one after 2024-01-03, received 2024-01-03",
        ),
        (" ,2024-01-05,10,12,9,11,1", "line 6:   2024-01-05", "symbol: expected a text, received none"),
    ],
)
def test_a_row_that_is_wrong_is_told_and_the_others_are_loaded(
    tmp_path: Path, row: str, label: str, message: str
) -> None:
    later = "A,2024-01-08,11,13,10,12.5,200"
    ran = import_of(write_csv(tmp_path / "in.csv", *GOOD, row, later), tmp_path / "out.sqlite")
    assert ran.failures == {label: message}
    assert ran.result["rows"] == 5


def test_what_is_computed_is_what_the_definitions_say(tmp_path: Path) -> None:
    closes = [100 + 10 * math.sin(day) + day / 10 for day in range(210)]
    days = [
        f"{2024 + month // 12}-{month % 12 + 1:02}-{day:02}" for month in range(10) for day in range(1, 22)
    ]
    rows = [f"A,{day},{c},{c},{c},{c},1" for day, c in zip(days, closes, strict=True)]
    database = tmp_path / "out.sqlite"
    ran = import_of(write_csv(tmp_path / "in.csv", *rows), database)
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    worst = min(range(209), key=lambda day: closes[day + 1] / closes[day])
    (summary,) = ran.result["summary"]
    assert summary["return_percent"] == round(100 * (closes[-1] / closes[0] - 1), 2)
    assert summary["volatility_percent"] == round(100 * statistics.stdev(returns) * math.sqrt(252), 2)
    assert summary["worst_day"] == days[worst + 1]
    stored = query(database, "SELECT average_50, average_200, volatility_20 FROM prices ORDER BY date")
    assert [49, 199, 20] == [[row[column] is None for row in stored].count(True) for column in range(3)]
    last = [
        statistics.fmean(closes[-50:]),
        statistics.fmean(closes[-200:]),
        100 * statistics.stdev(returns[-20:]) * math.sqrt(252),
    ]
    assert last == pytest.approx(list(stored[-1]))


def test_splits_are_taken_from_the_adjusted_close_where_there_is_one(tmp_path: Path) -> None:
    header = f"Ticker{HEADER[6:].title()},Adj Close"
    rows = ["A,2024-01-02,100,100,100,100,1,50", "A,2024-01-03,51,51,51,51,1,51"]
    ran = import_of(write_csv(tmp_path / "in.csv", *rows, header=header), tmp_path / "out.sqlite")
    assert ran.result["summary"][0]["return_percent"] == 2.0


def test_copies_are_loaded_under_symbols_of_their_own_and_summarised_in_the_file(tmp_path: Path) -> None:
    database = tmp_path / "out.sqlite"
    ran = import_of(write_csv(tmp_path / "in.csv", *GOOD), database, copies=3)
    assert (4, 3) == (ran.result["rows"], ran.result["copies"])
    # The same rows everywhere, however many copies of them are stored.
    counts = {
        name: (ran.progress_of(name).done, ran.progress_of(name).total) for name in ("validate", "load")
    }
    assert {"validate": (4, 4), "load": (4, 4)} == counts
    assert 4 == ran.progress_of("load").results.success
    assert [(12,)] == query(database, "SELECT count(*) FROM prices")
    assert ["A", "B"] == [row["symbol"] for row in ran.result["summary"]]
    symbols = [(symbol,) for symbol in ("A", "A (2)", "A (3)", "B", "B (2)", "B (3)")]
    assert symbols == query(database, "SELECT DISTINCT symbol FROM prices ORDER BY symbol")
    assert symbols == query(database, "SELECT symbol FROM summary ORDER BY symbol")


def test_importing_again_replaces_and_adds(tmp_path: Path) -> None:
    database = tmp_path / "out.sqlite"
    import_of(write_csv(tmp_path / "in.csv", *GOOD), database)
    import_of(
        write_csv(tmp_path / "in.csv", GOOD[0].replace(",11,100", ",9.5,100"), "C,2024-01-02,1,1,1,1,1"),
        database,
    )
    assert [(9.5,)] == query(database, "SELECT close FROM prices WHERE symbol = 'A' LIMIT 1")
    assert [(5,)] == query(database, "SELECT count(*) FROM prices")


def test_what_was_loaded_before_a_failure_stays_by_whole_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = import_prices.by_year

    def failing(symbol: str, prices: Any) -> Any:
        yield next(real(symbol, prices))
        raise OSError("disk full")

    monkeypatch.setattr(import_prices, "by_year", failing)
    rows = ["A,2023-12-28,1,1,1,1,1", "A,2023-12-29,1,1,1,1,1", "A,2024-01-02,1,1,1,1,1"]
    ran = import_of(write_csv(tmp_path / "in.csv", *rows), tmp_path / "out.sqlite")
    assert ran.error == "OSError: disk full"
    assert [(2,)] == query(tmp_path / "out.sqlite", "SELECT count(*) FROM prices")


def test_weeks_without_trading_are_warned_of(tmp_path: Path) -> None:
    rows = [f"A,2024-{month:02}-01,1,1,1,1,1" for month in range(1, 13)]
    ran = import_of(write_csv(tmp_path / "in.csv", *rows), tmp_path / "out.sqlite")
    assert ran.warnings[0] == "A: no trading between 2024-01-01 and 2024-02-01"
    assert len(ran.warnings) == 11


def foreign_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE prices (mine)")


@pytest.mark.parametrize(
    "make", [foreign_database, lambda path: path.write_text("my notes"), os.mkfifo, os.mkdir]
)
def test_a_file_that_is_not_ours_is_never_written_to(tmp_path: Path, make: Any) -> None:
    database = tmp_path / "precious"
    make(database)
    before = database.read_bytes() if database.is_file() else None
    ran = import_of(write_csv(tmp_path / "in.csv", *GOOD), database)
    assert ran.error == (
        f"ValueError: database: {database} exists and does not come from this pipeline; name another file"
    )
    assert before == (database.read_bytes() if database.is_file() else None)
    assert ["in.csv", "precious"] == sorted(path.name for path in tmp_path.iterdir() if path.name != "data")


def test_an_empty_file_may_be_loaded_into(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    assert import_of(write_csv(tmp_path / "in.csv", *GOOD), tmp_path / "new").result["rows"] == 4


def test_a_database_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    ran = import_of(write_csv(tmp_path / "in.csv", *GOOD), tmp_path / "none" / "new")
    assert ran.error == f"ValueError: database: there is no folder {tmp_path / 'none'}"


def test_missing_columns_are_named_with_what_was_found(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", header="Date;Open;Close")
    assert import_of(source, tmp_path / "out.sqlite").error == (
        f"ValueError: source: {source} has no column date, open, high, low, close, volume; expected the columns "
        "symbol, date, open, high, low, close, volume, found 1 of other names"
    )


@pytest.mark.parametrize("text", ["", HEADER, f"{HEADER}\n\n\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text(text)
    assert import_of(source, tmp_path / "out.sqlite").error.startswith("ValueError: ")


def test_a_compressed_file_with_a_mark_and_no_symbols_is_read(tmp_path: Path) -> None:
    text = "\ufeffDATE, Open ,High,Low,Close,Volume,Note\n2024-01-02,1,1,1,1,1.0,é\n"
    source = tmp_path / "XYZ.csv.gz"
    source.write_bytes(gzip.compress(text.encode()))
    ran = import_of(source, tmp_path / "out.sqlite")
    assert [("XYZ", "2024-01-02")] == [(row["symbol"], row["first"]) for row in ran.result["summary"]]


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"x" * 1000, mtime=0)[:-9], b"\x1f\x8bnonsense", f"{HEADER}\n{'x' * 200_000}".encode()],
    ids=["cut off", "no gzip", "a long line"],
)
def test_a_file_that_is_no_csv_is_refused_with_its_line(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(data)
    ran = import_of(source, tmp_path / "out.sqlite")
    assert ran.error.startswith(f"ValueError: source: {source}")


def test_more_rows_than_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_prices, "ROWS_LIMIT", 3)
    source = write_csv(tmp_path / "in.csv", *GOOD)
    assert (
        import_of(source, tmp_path / "out.sqlite").error
        == f"ValueError: source: {source} has more than 3 rows"
    )


def test_without_the_sample_data_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bokeh_sampledata", None)
    assert execute(build(ImportPrices, {})).error == (
        "ModuleNotFoundError: ImportPrices without a source needs the sample data: "
        "pip install 'panel-streamer[examples]'; or name a CSV file as source"
    )


def test_a_source_that_is_not_there_is_refused_before_the_run() -> None:
    with pytest.raises(ParametersRefused, match=r"^source: File '/no/such.csv' not found$"):
        build(ImportPrices, {"source": "/no/such.csv"})


@pytest.mark.slow
@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: f"{HEADER}\n{text}".encode("utf-8", "ignore"))
)
@settings(max_examples=200)
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):
        for row in read_rows(path):
            with contextlib.suppress(ValueError):
                check(row, {})


@given(
    st.dictionaries(
        st.sampled_from([*HEADER.split(","), "adjusted"]),
        st.text(max_size=12) | st.floats() | st.integers() | st.none(),
    )
)
def test_whatever_a_row_holds_it_is_a_price_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        price = check(Row(1, fields), {})
        assert price.high >= price.low > 0 <= price.volume


def test_a_csv_written_by_python_is_read_as_it_was(tmp_path: Path) -> None:
    with (tmp_path / "in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER.split(","), ['A "new", B', "2024-01-02", "1", "2", "1", "2", "3"]])
    (row,) = read_rows(tmp_path / "in.csv")
    assert check(row, {}).symbol == 'A "new", B'


# -- AuditFolder -------------------------------------------------------------------------------------------------------


def write_files(folder: Path, **files: bytes) -> Path:
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def audit(folder: Path, between: Any = None, **more: Any) -> Ran:
    pipeline = build(AuditFolder, {"folder": str(folder), **more})
    ran = execute(pipeline, **({"hash": between} if between else {}))
    for end in ran.of(Completed):
        msgspec.json.encode(end.result)
    return ran


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an empty folder to audit."""
    path = tmp_path / "audited"
    path.mkdir()
    return path


def test_an_audit_finds_duplicates_the_largest_files_and_the_space_by_type(folder: Path) -> None:
    write_files(
        folder,
        a_dot_txt=b"x" * 3000,
        b__c_dot_txt=b"x" * 3000,
        b__d__e=b"y" * 10,
        f_dot_TXT=b"",
        g_dot_txt=b"",
    )
    result = audit(folder).result
    assert result == {
        "folder": str(folder),
        "files": 5,
        "bytes": 6010,
        "unread_files": 0,
        "wasted_bytes": 3000,
        "duplicates": [{"bytes": 3000, "copies": 2, "wasted_bytes": 3000, "files": ["a.txt", "b/c.txt"]}],
        "largest": [
            {"file": "a.txt", "bytes": 3000},
            {"file": "b/c.txt", "bytes": 3000},
            {"file": "b/d/e", "bytes": 10},
            {"file": "f.TXT", "bytes": 0},
            {"file": "g.txt", "bytes": 0},
        ],
        "types": [
            {"type": ".txt", "files": 4, "bytes": 6000, "saved_percent": 99},
            {"type": "(none)", "files": 1, "bytes": 10, "saved_percent": 0},
        ],
    }


def test_the_scan_does_not_know_how_many_there_are_and_logs_each_part(folder: Path) -> None:
    write_files(folder, a=b"1", b__c=b"22", b__d__e=b"3", f__g=b"4")
    pipeline: Any = build(AuditFolder, {"folder": str(folder)})
    walk = pipeline.walk

    def sampled() -> Any:
        for file in walk():
            pipeline._reporter.sample()
            yield file

    pipeline.walk = sampled
    ran = execute(pipeline)
    scanned = [event for event in ran.of(Progressed) if event.phase == "scan"]
    assert {None} == {event.total for event in scanned[:-1]}
    assert sorted({event.done for event in scanned[:-1]}) == [event.done for event in scanned[:-1]]
    assert (5, 5, "bytes") == (scanned[-1].done, scanned[-1].total, scanned[-1].unit)
    assert ["at the top: 1 file, 1 byte", "b: 2 files, 3 bytes", "f: 1 file, 1 byte"] == ran.lines[1:4]


def test_each_phase_of_an_audit_counts_the_bytes_of_the_files(folder: Path) -> None:
    ran = audit(write_files(folder, a=b"1" * 1000, b=b"2" * 500))
    assert [(1500, 1500, "bytes")] * 3 == [
        (said.done, said.total, said.unit) for said in map(ran.progress_of, ("scan", "hash", "report"))
    ]


@pytest.mark.parametrize("passes", [1, 3])
def test_reading_is_counted_by_bytes(folder: Path, passes: int) -> None:
    ran = audit(write_files(folder, a=b"1" * 1000, b=b"2" * 500), passes=passes)
    hashed = ran.progress_of("hash")
    assert (1500.0 * passes, 1500.0 * passes, "bytes", 2) == (
        hashed.done,
        hashed.total,
        hashed.unit,
        hashed.results.success,
    )


def test_a_file_that_vanishes_meanwhile_is_a_failed_item_and_the_rest_goes_on(folder: Path) -> None:
    write_files(folder, a=b"1", b=b"2")
    ran = audit(folder, (folder / "a").unlink)
    assert list(ran.failures) == ["a"]
    assert "No such file" in ran.failures["a"]
    assert (2, 1) == (ran.result["files"], ran.result["unread_files"])


def test_a_file_that_may_not_be_read_is_a_failed_item(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(folder, a=b"1", b=b"2")
    real = os.open

    def refusing(path: Any, *args: Any) -> int:
        if os.fspath(path).endswith("a"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path, *args)

    monkeypatch.setattr(audit_folder.os, "open", refusing)
    ran = audit(folder)
    assert "Permission denied" in ran.failures["a"]
    assert ran.result["unread_files"] == 1


def test_pipes_and_links_are_neither_opened_nor_followed(folder: Path, tmp_path: Path) -> None:
    write_files(folder, real=b"1", deep__er=b"2")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder)
    (folder / "deep" / "up").symlink_to("..")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "secret").symlink_to("/etc/passwd")
    ran = audit(folder)
    assert ran.result["files"] == 2
    assert "left out: symbolic links and special files (5)" in ran.lines
    assert ran.failures == {}


@pytest.mark.parametrize("replace", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
def test_what_became_a_pipe_or_a_link_meanwhile_is_a_failed_item(folder: Path, replace: Any) -> None:
    path = write_files(folder, a=b"1") / "a"

    def between() -> None:
        path.unlink()
        replace(path)

    assert list(audit(folder, between).failures) == ["a"]


def test_hard_links_waste_nothing(folder: Path) -> None:
    write_files(folder, a=b"1" * 100)
    os.link(folder / "a", folder / "b")
    assert (0, []) == (lambda result: (result["wasted_bytes"], result["duplicates"]))(audit(folder).result)


def test_names_of_any_bytes_are_shown(folder: Path) -> None:
    names = (b"bad\xff\xfe.t\xfft", b"line\nbreak", b"<img src=x>", b"d\xff/x")
    (folder / os.fsdecode(b"d\xff")).mkdir()
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(b"same")
    ran = audit(folder, (folder / os.fsdecode(names[0])).unlink)
    assert list(ran.failures) == [r"bad\xff\xfe.t\xfft"]
    assert {row["file"] for row in ran.result["largest"]} == {
        r"bad\xff\xfe.t\xfft",
        "line\nbreak",
        "<img src=x>",
        r"d\xff/x",
    }
    assert r"d\xff: 1 file, 4 bytes" in ran.lines


def test_content_that_changes_between_two_readings_is_a_failed_item(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(folder, a=b"1", b=b"2")
    real = audit_folder.digest_of

    def writing(root: str, path: str, compressor: Any) -> Any:
        found = real(root, path, compressor)
        if path == "a":
            with (folder / "a").open("ab") as file:
                file.write(b"more")
        return found

    monkeypatch.setattr(audit_folder, "digest_of", writing)
    ran = audit(folder, passes=2)
    assert ran.failures == {"a": "its content was another when it was read again"}


def test_folders_are_skipped_by_name(folder: Path) -> None:
    write_files(folder, a=b"1", node_modules__b=b"2", c__node_modules__d=b"3")
    ran = audit(folder, skip=["node_modules"])
    assert ran.result["files"] == 1
    assert "left out: folders by their name (2)" in ran.lines


def test_the_scan_ends_at_the_number_of_files_that_was_asked_for(folder: Path) -> None:
    write_files(folder, **{f"f{number}": b"1" for number in range(10)})
    ran = audit(folder, max_files=4)
    assert ran.result["files"] == 4
    assert ran.warnings == ["the scan ended at 4 files, as max_files says"]


def test_files_that_are_too_large_are_counted_and_not_read(folder: Path) -> None:
    ran = audit(write_files(folder, a=b"1" * 2000, b=b"2"), max_megabytes=0.001)
    assert (2, 2001, 1) == tuple(ran.result[name] for name in ("files", "bytes", "unread_files"))
    assert ran.warnings == ["left out: files larger than max_megabytes (1)"]


def test_an_empty_folder_has_nothing_to_read(folder: Path) -> None:
    ran = audit(folder)
    assert ("hash", "skipped") in ran.phases
    assert (0, []) == (ran.result["files"], ran.result["types"])


def test_a_folder_that_is_gone_ends_the_run(folder: Path) -> None:
    pipeline = build(AuditFolder, {"folder": str(folder)})
    folder.rmdir()
    assert execute(pipeline).error.startswith("OSError: Folder ")


def test_a_folder_below_that_cannot_be_read_is_told_and_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(folder, a=b"1", b__c=b"2")
    real = os.scandir

    def refusing(path: Any) -> Any:
        if os.fspath(path).endswith("b"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(audit_folder.os, "scandir", refusing)
    ran = audit(folder)
    assert ran.result["files"] == 1
    assert ran.warnings == ["b: Permission denied"]
    assert "left out: folders that cannot be read (1)" in ran.lines


@pytest.mark.parametrize("compression", ["zlib", "bz2", "lzma", "none"])
def test_what_compression_would_save_is_measured(folder: Path, compression: str) -> None:
    write_files(folder, zeros=b"\0" * 100_000)
    (row,) = audit(folder, compression=compression).result["types"]
    assert row.get("saved_percent") == (None if compression == "none" else 100)


def test_by_default_the_standard_library_is_audited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(folder, os_dot_py=b"1", **{"site-packages__x": b"2"})
    monkeypatch.setattr(audit_folder.sysconfig, "get_path", {"stdlib": str(folder)}.__getitem__)
    result = execute(build(AuditFolder, {})).result
    assert (str(folder), 1) == (result["folder"], result["files"])


def test_the_result_is_bounded(folder: Path) -> None:
    write_files(folder, **{f"x{n}_dot_t{n}": str(n // 7).encode() for n in range(200)})
    result = audit(folder).result
    assert [20, 20, 20] == [len(result[name]) for name in ("duplicates", "largest", "types")]
    assert {5} == {len(row["files"]) for row in result["duplicates"]}
