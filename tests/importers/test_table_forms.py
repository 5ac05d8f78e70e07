"""The forms of tables that people have: packed, turned round, with comments, commas, zones, odd clocks."""

import bz2
import gzip
import lzma
import zipfile
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from adapters.replay.importing import import_sets
from adapters.replay.tables import clocks, files
from adapters.replay.tables.options import TableOptions
from adapters.replay.tables.table import open_tables
from core.errors import UsageError
from core.events import Bar, RowRejected, Trade
from eventstore.memory import MemoryLog
from tests.importers.lean_files import events

TIMES = [f"2024-01-03 09:30:{second:02}" for second in range(10)]
ROWS = [f"{time},{100 + row / 4},{row + 1}" for row, time in enumerate(TIMES)]
PLAIN = "Time,Price,Size\n" + "\n".join(ROWS) + "\n"
WANTED = [(100 + row / 4, row + 1.0) for row in range(10)]


def imported(path, log=None, **options):
    log = log or MemoryLog()
    file_format = "parquet" if path.suffix == ".parquet" else "csv"
    given = TableOptions(**{"instrument": "ABC", "timezone": "America/New_York", **options})
    sets = [table.import_set() for table in open_tables([path], file_format, given)]
    result = import_sets(log, log.reader(), sets)
    return result, events(log.reader())


def trades(found):
    return [(event.price, event.size) for event in found if type(event) is Trade]


def utc(*wall) -> int:
    return int(datetime(*wall, tzinfo=UTC).timestamp()) * 10**9


def zipped(data: bytes, path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plain.csv", data)


PACKED = {
    ".gz": lambda data, path: path.write_bytes(gzip.compress(data)),
    ".bz2": lambda data, path: path.write_bytes(bz2.compress(data)),
    ".xz": lambda data, path: path.write_bytes(lzma.compress(data)),
    ".zst": lambda data, path: path.write_bytes(pa.compress(data, codec="zstd", asbytes=True)),
    ".zip": zipped,
}


@pytest.mark.parametrize("ending", PACKED)
def test_a_packed_table_is_the_table_in_it_and_known_when_it_comes_unpacked(tmp_path, ending):
    log, path = MemoryLog(), tmp_path / f"plain.csv{ending}"
    PACKED[ending](PLAIN.encode(), path)
    assert trades(imported(path, log)[1]) == WANTED
    (tmp_path / "plain.csv").write_text(PLAIN)
    again, found = imported(tmp_path / "plain.csv", log)
    assert (again.accepted, again.duplicates, trades(found)) == (0, 10, WANTED)


@pytest.mark.parametrize("ending", PACKED)
def test_a_packed_table_that_is_cut_off_is_refused_before_a_row_of_it_is_imported(tmp_path, ending):
    path = tmp_path / f"plain.csv{ending}"
    PACKED[ending](PLAIN.encode(), path)
    path.write_bytes(path.read_bytes()[:-12])
    log = MemoryLog()
    with pytest.raises(UsageError, match=r"plain\.csv.*(unpacked|read)"):
        imported(path, log)
    assert events(log.reader()) == []


def test_a_zip_of_several_tables_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    with pytest.raises(UsageError, match="holds 2 files, expected one CSV"):
        imported(tmp_path / "two.zip")


HEADS = {
    "blank lines": "\n\n" + PLAIN,
    "a comment": "# exported by somebody\n#\n" + PLAIN,
    "a header that is a comment": "#" + PLAIN,
    "Excel's separator": "sep=;\n" + PLAIN.replace(",", ";"),
    "a byte order mark": "\ufeff" + PLAIN,
    "Windows line ends": PLAIN.replace("\n", "\r\n"),
    "other case": PLAIN.replace("Time,Price,Size", "TIMESTAMP,PRICE,VOLUME"),
}


@pytest.mark.parametrize("head", HEADS)
def test_what_comes_before_the_header_is_passed_over(tmp_path, head):
    path = tmp_path / "head.csv"
    path.write_bytes(HEADS[head].encode())
    result, found = imported(path)
    assert (result.rejected, trades(found)) == (0, WANTED)


def test_rejected_rows_below_a_comment_have_their_own_line(tmp_path):
    path = tmp_path / "line.csv"
    path.write_text("# one\n\n" + PLAIN.replace("100.5,3", "x,3"))
    result, _ = imported(path)
    assert [item.line for item in result.rejections] == [6]


def test_a_table_from_new_to_old_is_turned_round(tmp_path):
    path = tmp_path / "turned.csv"
    rows = [*reversed(ROWS)]
    rows[4] = rows[4].replace("101.25", "bad")
    path.write_text("Time,Price,Size\n" + "\n".join(rows))
    result, found = imported(path)
    assert trades(found) == [want for want in WANTED if want[1] != 6]
    assert [item.line for item in result.rejections] == [6]
    assert "newest row first" in result.format


def test_the_check_of_turned_tables_catches_one_that_is_read_as_it_stands(tmp_path, monkeypatch):
    """The negative control of the test above."""
    monkeypatch.setattr("adapters.replay.tables.plan.runs_backwards", lambda *_: False)
    path = tmp_path / "turned.csv"
    path.write_text("Time,Price,Size\n" + "\n".join(reversed(ROWS)))
    assert imported(path)[0].rejected == 9


def test_a_decimal_comma_is_read_where_it_is_said_and_asked_for_where_not(tmp_path):
    path = tmp_path / "comma.csv"
    text = PLAIN.replace(",", ";").replace(".", ",")
    path.write_text(text)
    log = MemoryLog()
    with pytest.raises(UsageError, match=r"'Price' \('100,0'\); write a decimal point, or add --decimal ','"):
        imported(path, log)
    assert events(log.reader()) == []
    assert trades(imported(path, log, decimal=",")[1]) == WANTED
    path.write_text(text.replace("100,25", "1.000,25"))
    result, _ = imported(path, decimal=",")
    assert [item.line for item in result.rejections] == [3]
    with pytest.raises(UsageError, match="cut at commas already"):
        imported(tmp_path / "plain.csv" if (tmp_path / "plain.csv").write_text(PLAIN) else path, decimal=",")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240103 09:30:00 US/Eastern", utc(2024, 1, 3, 14, 30)),
        ("2024-07-03 09:30:00 America/New_York", utc(2024, 7, 3, 13, 30)),
        ("2024-01-03 09:30:00 UTC", utc(2024, 1, 3, 9, 30)),
        ("03.01.2024 09:30:00", utc(2024, 1, 3, 14, 30)),
        ("1.7042922e+12", utc(2024, 1, 3, 14, 30)),
    ],
)
def test_times_of_named_zones_dotted_dates_and_floating_epochs_are_read(tmp_path, text, expected):
    path = tmp_path / "times.csv"
    path.write_text(f"ts,price,size\n{text},1,1\n{text},2,1\n")
    _, found = imported(path)
    assert [event.ts for event in found if type(event) is Trade] == [expected, expected]


def test_a_zone_that_is_none_is_no_time(tmp_path):
    path = tmp_path / "times.csv"
    path.write_text("ts,price,size\n2024-01-03 09:30:00 Mars/Base,1,1\n")
    with pytest.raises(UsageError, match="no time can be read"):
        imported(path)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("01/03/2024 09:30:00 AM", "'%m/%d/%Y %I:%M:%S %p' or '%d/%m/%Y %I:%M:%S %p'"),
        ("25/03/2024 09:30", "'%d/%m/%Y %H:%M',"),
    ],
)
def test_a_form_of_time_that_may_be_two_is_asked_for_with_those_that_fit(tmp_path, text, forms):
    path = tmp_path / "times.csv"
    path.write_text(f"ts,price,size\n{text},1,1\n")
    with pytest.raises(UsageError) as refused:
        imported(path)
    assert f"--time-format {forms}" in str(refused.value)


def at_walls(tmp_path, day: str, walls: list[str]):
    path = tmp_path / "clocks.csv"
    path.write_text(
        "ts,price,size\n" + "".join(f"{day} {wall},{row + 1},1\n" for row, wall in enumerate(walls))
    )
    return imported(path)


WALLS = ["00:59", "01:10", "01:50", "01:10", "01:50", "02:10"]
HOURS = [(4, 59), (5, 10), (5, 50), (6, 10), (6, 50), (7, 10)]


def test_a_repeated_hour_is_read_twice_where_its_times_run_back(tmp_path):
    result, found = at_walls(tmp_path, "2024-11-03", WALLS)
    assert result.rejected == 0
    times = [event.ts for event in found if type(event) is Trade]
    assert times == [utc(2024, 11, 3, hour, minute) for hour, minute in HOURS]


@pytest.mark.parametrize("size", [20, 40, 60, 80, 100])
def test_a_repeated_hour_is_read_twice_wherever_a_file_is_cut(tmp_path, monkeypatch, size):
    monkeypatch.setattr(files, "BLOCK_BYTES", size)
    walls = ["00:59", "01:10", "01:50", "01:10", "01:20", "01:50", "01:50", "02:10"]
    hours = [*HOURS[:4], (6, 20), (6, 50), *HOURS[4:]]
    result, found = at_walls(tmp_path, "2024-11-03", walls)
    assert result.rejected == 0
    assert [event.ts for event in found if type(event) is Trade] == [utc(2024, 11, 3, *at) for at in hours]


@pytest.mark.parametrize(
    ("walls", "hours"),
    [
        (["00:00", "01:00", "01:00", "02:00"], [4, 5, 6, 7]),
        (["00:00", "01:00", "01:30", "01:00", "01:30", "02:00"], [4, 5, 5.5, 6, 6.5, 7]),
    ],
)
def test_bars_of_a_repeated_hour_are_all_there(tmp_path, walls, hours):
    path = tmp_path / "bars.csv"
    rows = "".join(
        f"2025-11-02 {wall},{row + 1},{row + 1},{row + 1},{row + 1}\n" for row, wall in enumerate(walls)
    )
    path.write_text("ts,open,high,low,close\n" + rows)
    result, found = imported(path)
    assert result.rejected == 0
    starts = [event.start for event in found if type(event) is Bar]
    assert starts == [utc(2025, 11, 2, int(hour), round(hour % 1 * 60)) for hour in hours]


def test_the_check_of_repeated_hours_catches_one_that_is_read_once(tmp_path, monkeypatch):
    """The negative control of the test above."""
    monkeypatch.setattr(clocks, "_second", lambda walls, _last, *, twice: [False] * len(walls))
    assert at_walls(tmp_path, "2024-11-03", WALLS)[0].rejected > 0


def test_a_time_that_clocks_skip_is_rejected_and_the_others_stay(tmp_path):
    result, found = at_walls(tmp_path, "2024-03-10", ["01:59", "02:10", "02:50", "03:10"])
    assert [item.line for item in result.rejections] == [3, 4]
    assert "does not exist: clocks of America/New_York went forward" in result.rejections[0].reason
    assert [event.price for event in found if type(event) is Trade] == [1.0, 4.0]
    assert sum(type(event) is RowRejected for event in found) == 2


def test_the_index_of_a_data_frame_is_its_time_in_parquet_too(tmp_path):
    frame = pd.DataFrame(
        {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5},
        index=pd.date_range("2024-01-03 09:30", periods=5, freq="min"),
    )
    frame.to_parquet(tmp_path / "frame.parquet")
    _, found = imported(tmp_path / "frame.parquet")
    starts = [event.start for event in found if type(event) is Bar]
    assert starts == [utc(2024, 1, 3, 14, 30 + minute) for minute in range(5)]


def test_several_instruments_are_merged_by_time_without_a_last_newline_too(tmp_path):
    path = tmp_path / "several.csv"
    rows = [f"{time},{name},{row + 1},1" for name in "AB" for row, time in enumerate(TIMES[:4])]
    path.write_text("ts,symbol,price,size\n" + "\n".join(rows))
    _, found = imported(path, instrument=None)
    prices = [event.price for event in found if type(event) is Trade]
    assert prices == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
