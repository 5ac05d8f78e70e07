"""CSV and Parquet tables: mapping, clocks, encodings, and a reason for each row that is refused."""

from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from adapters.replay.importing import import_sets
from adapters.replay.tables import files
from adapters.replay.tables.options import TableOptions, parse_mapping
from adapters.replay.tables.table import open_tables, plan_tables
from core.errors import DataMissing, UsageError
from core.events import Bar, FeedDefined, InstrumentDefined, Quote, RowRejected, SessionScheduled, Trade
from eventstore.memory import MemoryLog
from tests.importers.lean_files import events


def import_tables(writer, reader, files, file_format, options):
    """Import as `tape import FILE…` does."""
    return import_sets(writer, reader, [t.import_set() for t in open_tables(files, file_format, options)])


def utc(*wall: int) -> int:
    return int(datetime(*wall, tzinfo=UTC).timestamp()) * 10**9


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def imported(*files: Path, file_format: str = "csv", **options):
    log = MemoryLog()
    result = import_tables(log, log.reader(), files, file_format, TableOptions(**options))
    return result, events(log.reader())


def only(found, kind):
    return [event for event in found if type(event) is kind]


@pytest.mark.shared_data
def test_daily_bars_end_at_the_close_of_their_session(shared_data):
    result, found = imported(shared_data / "backtesting_py/GOOG.csv", instrument="GOOG", exchange="XNYS")
    assert (result.read, result.accepted, result.rejected, result.gaps) == (2148, 2148, 0, [])
    bars = only(found, Bar)
    assert (bars[0].start, bars[0].ts) == (utc(2004, 8, 19, 13, 30), utc(2004, 8, 19, 20))
    assert (bars[0].open, bars[0].high, bars[0].low, bars[0].close, bars[0].volume) == (
        100,
        104.06,
        95.96,
        100.34,
        22351900,
    )
    half_day = next(bar for bar in bars if bar.start == utc(2012, 11, 23, 14, 30))
    assert half_day.ts == utc(2012, 11, 23, 18)
    assert (result.dates[0], result.dates[-1]) == ("2004-08-19", "2013-03-01")


@pytest.mark.shared_data
def test_bars_on_days_without_a_session_are_rejected_with_their_line(shared_data):
    path = shared_data / "backtrader/2006-day-001.txt"
    result, found = imported(path, instrument="SX5E", exchange="XNYS")
    assert (result.read, result.accepted, result.rejected) == (255, 248, 7)
    first = only(found, RowRejected)[0]
    assert (first.file, first.line, first.reason) == (
        "2006-day-001.txt",
        2,
        "2006-01-02 is not a session of XNYS",
    )
    result, _ = imported(path, instrument="SX5E", exchange="XFRA")
    assert (result.accepted, result.rejected) == (255, 0)


def test_a_mapping_and_a_time_zone_give_trades(tmp_path):
    path = write(
        tmp_path / "t.csv",
        "When,P,Q,Where\n2025-07-02 09:30:00.250,10.5,3,A\n2025-07-02 09:30:00.250,10.6,4,B\n",
    )
    result, found = imported(
        path,
        kind="trades",
        mapping=parse_mapping("ts=When, price=P,size=Q,venue=Where"),
        timezone="America/New_York",
        instrument="XYZ",
        exchange="XNYS",
        feed="mine",
    )
    assert [(e.ts, e.feed, e.instrument, e.price, e.size, e.venue) for e in only(found, Trade)] == [
        (utc(2025, 7, 2, 13, 30) + 250_000_000, "mine", "XYZ", 10.5, 3, "A"),
        (utc(2025, 7, 2, 13, 30) + 250_000_000, "mine", "XYZ", 10.6, 4, "B"),
    ]
    assert [(s.exchange, s.date) for s in only(found, SessionScheduled)][:3] == [
        ("XNYS", "2025-07-01"),
        ("XNYS", "2025-07-02"),
        ("XNYS", "2025-07-03"),
    ]
    assert only(found, FeedDefined)[0].consolidated is False
    assert result.dates == ["2025-07-02"]


def test_what_was_understood_is_said_in_words(tmp_path):
    path = write(tmp_path / "q.csv", "Date,Time,Bid Price,Bid_Size,Ask,AskSize\n2025-07-02,09:30,1,2,3,4\n")
    (plan,) = plan_tables([path], "csv", TableOptions(timezone="UTC", instrument="XYZ"))
    assert plan.describe() == (
        "q.csv: csv quotes: ts=Date + Time, bid=Bid Price, bid_size=Bid_Size, ask=Ask, ask_size=AskSize; "
        "instrument XYZ; no exchange; times of UTC"
    )


def test_quotes_with_an_empty_side_update_the_other_alone(tmp_path):
    rows = (
        "1751463000000,10,1,11,2",
        "1751463000001,,,11.5,3",
        "1751463000002,0,0,12,0",
        "1751463000003,13,1,12,1",
    )
    text = "\n".join(("time,bid,bid_size,ask,ask_size", *rows))
    _, found = imported(write(tmp_path / "q.csv", text), instrument="XYZ")
    assert [(e.bid, e.bid_size, e.ask, e.ask_size, e.suspicious) for e in only(found, Quote)] == [
        (10, 1, 11, 2, False),
        (None, None, 11.5, 3, False),
        (None, None, 12, 0, False),
        (13, 1, 12, 1, True),
    ]
    assert only(found, Quote)[0].ts == 1751463000000 * 10**6


@pytest.mark.parametrize(
    "stamp",
    [
        "1751463000",
        "1751463000.000",
        "1751463000000",
        "1751463000000000",
        "1751463000000000000",
        "2025-07-02T13:30:00Z",
        "2025-07-02 09:30:00-04:00",
        "2025-07-02T13:30:00.000000000+00:00",
    ],
)
def test_epochs_and_offsets_need_no_time_zone(tmp_path, stamp):
    _, found = imported(write(tmp_path / "t.csv", f"ts,price\n{stamp},1\n"), instrument="XYZ")
    assert [event.ts for event in only(found, Trade)] == [utc(2025, 7, 2, 13, 30)]


def test_nanoseconds_are_kept(tmp_path):
    text = "ts,price\n1751463000123456789,1\n1751463000123456790,1\n"
    _, found = imported(write(tmp_path / "t.csv", text), instrument="XYZ")
    assert [event.ts % 10**9 for event in only(found, Trade)] == [123456789, 123456790]


def test_an_unusual_form_of_time_is_read_with_its_format(tmp_path):
    path = write(tmp_path / "t.csv", "ts;price\n02.07.2025 13:30:00;1\n")
    _, found = imported(path, instrument="XYZ", timezone="UTC", time_format="%d.%m.%Y %H:%M:%S")
    assert [event.ts for event in only(found, Trade)] == [utc(2025, 7, 2, 13, 30)]


@pytest.mark.parametrize(("label", "first_end"), [("start", 31), ("end", 30)])
def test_a_bar_is_labelled_at_its_start_or_at_its_end(tmp_path, label, first_end):
    rows = "\n".join(f"2025-07-02 13:{minute}:00,1,2,1,2,9" for minute in range(30, 40))
    path = write(tmp_path / "b.csv", "datetime,open,high,low,close,volume\n" + rows)
    _, found = imported(path, instrument="XYZ", timezone="UTC", bar_time=label)
    bars = only(found, Bar)
    assert [bar.ts for bar in bars] == [utc(2025, 7, 2, 13, first_end + i) for i in range(10)]
    assert all(bar.ts - bar.start == 60 * 10**9 for bar in bars)
    assert only(found, FeedDefined)[0].resolution == "minute"


@pytest.mark.parametrize(("encoding", "bom"), [("utf-8", ""), ("utf-8", "\ufeff"), ("gbk", "")])
def test_chinese_headers_are_read_in_utf8_and_gbk(tmp_path, encoding, bom):
    text = bom + "日期,时间,代码,成交价,成交量\n2025-07-02,09:30:00,贵州茅台,10.5,100\n"
    result, found = imported(write(tmp_path / "t.csv", text, encoding), timezone="Asia/Shanghai")
    assert [(e.instrument, e.price, e.size, e.ts) for e in only(found, Trade)] == [
        ("贵州茅台", 10.5, 100, utc(2025, 7, 2, 1, 30))
    ]
    assert result.dates == ["2025-07-02"]


@pytest.mark.parametrize(
    ("encoding", "text", "note"),
    [("utf-8", "été", ""), ("gbk", "中", "; read as GBK"), ("latin-1", "été", "; read as Latin-1")],
)
def test_text_is_read_in_the_encoding_that_fits_all_of_it_and_that_is_said(tmp_path, encoding, text, note):
    rows = f"time,price,size,conditions\n2025-07-02 13:30:00,1,1,{text}\n2025-07-02 13:30:01,1,1,\n"
    path = write(tmp_path / "t.csv", rows, encoding)
    [plan] = plan_tables([path], "csv", TableOptions(instrument="X", timezone="UTC"))
    assert plan.describe().endswith(f"times of UTC{note}")
    _, found = imported(path, instrument="X", timezone="UTC")
    assert [trade.conditions for trade in only(found, Trade)] == [text, ""]


def test_a_field_with_a_line_break_is_rejected_whole_and_never_cut(tmp_path):
    rows = 'time,price,size,conditions\n2025-07-02 13:30:00,1,1,"a\nb"\n2025-07-02 13:30:01,1,2,"c,d"\n'
    result, found = imported(write(tmp_path / "t.csv", rows), instrument="X", timezone="UTC")
    assert [(trade.size, trade.conditions) for trade in only(found, Trade)] == [(2, "c,d")]
    assert [(e.line, e.reason.split(":")[0]) for e in only(found, RowRejected)] == [
        (2, "a quote is not closed on its line"),
        (3, "a quote is not closed on its line"),
    ]
    assert (result.read, result.accepted, result.rejected) == (3, 1, 2)


def test_a_column_of_instruments_is_merged_by_time(tmp_path):
    text = "ts,symbol,price,size\n" + "".join(
        f"{1751463000 + i},{name},{i + 1},{n}\n" for n, name in enumerate(("BBB", "AAA")) for i in range(3)
    )
    result, found = imported(write(tmp_path / "t.csv", text))
    assert [(e.ts // 10**9 - 1751463000, e.instrument) for e in only(found, Trade)] == [
        (0, "AAA"),
        (0, "BBB"),
        (1, "AAA"),
        (1, "BBB"),
        (2, "AAA"),
        (2, "BBB"),
    ]
    assert [event.instrument for event in only(found, InstrumentDefined)] == ["AAA", "BBB"]
    assert (result.accepted, result.rejected) == (6, 0)


_COMMA = "; expected a decimal point (or --decimal ','), and nothing between thousands"
HOSTILE = [
    ("2025-07-02 13:30:01", "expected 3 fields, found 1"),
    ("2025-07-02 13:30:01,x,1", "field price: 'x' is not a number"),
    ("2025-07-02 13:30:01,NaN,1", "field price: 'NaN' is not a finite number"),
    ("2025-07-02 13:30:01,inf,1", "field price: 'inf' is not a finite number"),
    ("2025-07-02 13:30:01,-1,1", "negative price -1"),
    ("2025-07-02 13:30:01,1,-2", "negative size -2"),
    ("2025-07-02 13:29:59,1,1", "time is 1 s before the row above"),
    ("tomorrow,1,1", "field ts: 'tomorrow' is not a time between 1900 and 2100"),
    ("2025-13-45 13:30:01,1,1", "field ts: '2025-13-45 13:30:01' is not a time between 1900 and 2100"),
    ("9999-12-31 13:30:01,1,1", "field ts: '9999-12-31 13:30:01' is not a time between 1900 and 2100"),
    ("0001-01-01 13:30:01,1,1", "field ts: '0001-01-01 13:30:01' is not a time between 1900 and 2100"),
    ("99999999999999999999,1,1", "field ts: '99999999999999999999' is not a time between 1900 and 2100"),
    ("2025-07-05 13:30:01,1,1", "2025-07-05 is not a session of XNYS"),
    ("", "expected 3 fields, found 0"),
    ("2024-07-02 13:30:01,1,1", "time is 364 days, 23:59:59 before the row above"),
    ('2025-07-02 13:30:01,"1,5",1', f"field price: '1,5' is not a number{_COMMA}"),
    ('2025-07-02 13:30:01,"1,000.50",1', f"field price: '1,000.50' is not a number{_COMMA}"),
    ('2025-07-02 13:30:01,"1,1', "a quote is not closed on its line: fields with line breaks are not read"),
]


@pytest.mark.parametrize(("row", "reason"), HOSTILE)
def test_a_bad_row_is_kept_with_line_and_reason(tmp_path, row, reason):
    text = f"time,price,size\n2025-07-02 13:30:00,1,1\n{row}\n2025-07-07 13:30:02,1,2\n\n\n"
    result, found = imported(
        write(tmp_path / "t.csv", text), instrument="XYZ", timezone="UTC", exchange="XNYS"
    )
    assert [(e.line, e.reason, e.row) for e in only(found, RowRejected)] == [(3, reason, row)]
    assert [event.size for event in only(found, Trade)] == [1, 2]
    assert (result.read, result.accepted, result.rejected) == (3, 2, 1)


HOSTILE_BARS = [
    ("14:01,100,90,95,92,5", "high 90 < low 95"),
    ("14:01,120,110,90,100,5", "open 120 outside 90..110"),
    ("14:01,100,110,90,80,5", "close 80 outside 90..110"),
    ("14:01,100,110,90,100,-1", "negative volume -1"),
    ("14:01,100,110,-90,100,1", "negative low -90"),
    ("14:01,0,110,0,100,1", "open is 0"),
    ("14:01,100,110,90,NaN,1", "field close: 'NaN' is not a finite number"),
    ("14:01,100,inf,90,100,1", "field high: 'inf' is not a finite number"),
    ("14:01,100,110,90,100,", "field volume: '' is not a number"),
    ("14:00,100,110,90,100,1", "bar overlaps the one above by 60 s"),
    ("14:00:30,100,110,90,100,1", "bar overlaps the one above by 30 s"),
    ("13:50,100,110,90,100,1", "time is 600 s before the row above"),
    ("14:45,100,110,90,100,1", "time is 2580 s after the row below"),
]


@pytest.mark.parametrize(("row", "reason"), HOSTILE_BARS)
def test_a_bad_bar_is_kept_with_line_and_reason(tmp_path, row, reason):
    rows = ["14:00,100,110,90,100,5", row, *(f"14:{n:02},100,110,90,100,{n + 4}" for n in range(2, 12))]
    text = "time,open,high,low,close,volume\n" + "\n".join(f"2025-07-02 {one}" for one in rows)
    _, found = imported(write(tmp_path / "b.csv", text), instrument="XYZ", timezone="UTC", exchange="NYSE")
    assert [(e.line, e.reason) for e in only(found, RowRejected)] == [(3, reason)]
    assert [event.volume for event in only(found, Bar)] == [5, *range(6, 16)]


@pytest.mark.parametrize(
    ("exchange", "zone"),
    [("NYSE", "America/New_York"), ("CME", "America/Chicago"), ("24/7", "UTC"), (None, "UTC")],
)
def test_an_instrument_keeps_the_clock_of_its_exchange_not_that_of_the_file(tmp_path, exchange, zone):
    path = write(tmp_path / "t.csv", "time,price,size\n2025-07-02 14:00,10,1\n")
    _, found = imported(path, instrument="XYZ", timezone="UTC", exchange=exchange)
    assert [one.timezone for one in only(found, InstrumentDefined)] == [zone]


def minutes(*numbers, extra=""):
    rows = "".join(f"2025-07-02 14:{n:02},100,110,90,100,{n}\n" for n in numbers)
    return "time,open,high,low,close,volume\n" + rows + extra


def test_bars_that_the_log_holds_from_another_file_are_rejected(tmp_path):
    log, options = MemoryLog(), TableOptions(instrument="XYZ", timezone="UTC", exchange="NYSE")

    def put(name, text):
        return import_tables(log, log.reader(), [write(tmp_path / name, text)], "csv", options)

    put("a.csv", minutes(1, 2, 3, 6, 7))
    again = put("b.csv", minutes(2, 3, 4, 5, 6, 8))  # written anew: some of it is there
    assert [(item.line, item.reason) for item in again.rejections] == [
        (line, "bar overlaps one that the log holds from another file") for line in (2, 3, 6)
    ]
    kept = sorted(event.volume for event in only(events(log.reader()), Bar))
    assert kept == [1, 2, 3, 4, 5, 6, 7, 8]
    assert put("b.csv", minutes(2, 3, 4, 5, 6, 8)).duplicates == 6
    assert put("c.csv", minutes(20, 21, 22)).rejected == 0


def test_files_of_one_import_that_overlap_are_rejected_too(tmp_path):
    paths = [write(tmp_path / f"{n}.csv", minutes(*rows)) for n, rows in enumerate([(1, 2, 3), (3, 4, 5)])]
    result, found = imported(*paths, instrument="XYZ", timezone="UTC", exchange="NYSE")
    assert [(item.file, item.line) for item in result.rejections] == [("1.csv", 2)]
    assert len(only(found, Bar)) == 5


def test_another_feed_or_instrument_may_hold_the_same_bars(tmp_path):
    log, path = MemoryLog(), write(tmp_path / "a.csv", minutes(1, 2, 3))
    other = write(tmp_path / "b.csv", minutes(1, 2, 3, 4))
    for file, more in ((path, {}), (other, {"feed": "mine"}), (other, {"instrument": "ABC"})):
        options = TableOptions(**{"instrument": "XYZ", "timezone": "UTC", **more})
        assert import_tables(log, log.reader(), [file], "csv", options).rejected == 0


@pytest.mark.parametrize("size", [40, 97, 1 << 20])
def test_blocks_of_any_size_give_the_same_events(tmp_path, monkeypatch, size):
    rows = [f"{1751463000 + i},{i % 7 + 1},{i % 3}" for i in range(200)]
    rows[50], rows[51] = "1751463000,1,1", "bad"
    path = write(tmp_path / "t.csv", "ts,price,size\n" + "\n".join(rows))
    expected = imported(path, instrument="XYZ")
    monkeypatch.setattr(files, "BLOCK_BYTES", size)
    assert imported(path, instrument="XYZ") == expected
    assert [(r.line, r.reason) for r in expected[0].rejections] == [
        (52, "time is 49 s before the row above"),
        (53, "expected 3 fields, found 1"),
    ]


def test_parquet_gives_what_csv_gives(tmp_path):
    times = [datetime(2025, 7, 2, 13, 30, i, tzinfo=UTC) for i in range(4)]
    table = pa.table(
        {
            "timestamp": pa.array(times, pa.timestamp("us", tz="UTC")),
            "price": pa.array([1.5, None, 2.5, float("inf")]),
            "size": pa.array([1, 2, 3, 4], pa.int32()),
        }
    )
    path = tmp_path / "t.parquet"
    parquet.write_table(table, path)
    result, found = imported(path, file_format="parquet", instrument="XYZ")
    assert [(e.ts, e.price, e.size) for e in only(found, Trade)] == [
        (utc(2025, 7, 2, 13, 30, 0), 1.5, 1),
        (utc(2025, 7, 2, 13, 30, 2), 2.5, 3),
    ]
    assert [(e.line, e.reason) for e in result.rejections] == [
        (2, "field price: '' is not a number"),
        (4, "field price: 'inf' is not a finite number"),
    ]
    assert result.feed == "parquet/tick"


def test_parquet_columns_of_date_and_time_of_day_make_one_time(tmp_path):
    days, clock = [date(2025, 7, 2)] * 2, [time(13, 30, 0, 250_000), time(13, 30, 1)]
    table = pa.table({"date": days, "time": clock, "price": [1.5, 2.5], "size": [1, 2]})
    parquet.write_table(table, tmp_path / "t.parquet")
    _, found = imported(tmp_path / "t.parquet", file_format="parquet", instrument="X", timezone="UTC")
    begin = utc(2025, 7, 2, 13, 30)
    assert [trade.ts for trade in only(found, Trade)] == [begin + 250_000_000, begin + 10**9]


def test_parquet_texts_of_any_make_are_read(tmp_path):
    columns = {"conditions": [["a", "b"], None], "venue": pa.array([b"P", b"\xff"]).dictionary_encode()}
    table = pa.table({"ts": [1751463000, None], "price": [1.5, 2.5], "size": [1, 2], **columns})
    parquet.write_table(table, tmp_path / "t.parquet")
    _, found = imported(tmp_path / "t.parquet", file_format="parquet", instrument="X")
    assert [(trade.conditions, trade.venue) for trade in only(found, Trade)] == [("['a', 'b']", "P")]
    [rejected] = only(found, RowRejected)
    assert rejected.reason == "field ts: '' is not a time between 1900 and 2100"


def test_a_damaged_parquet_file_is_refused_before_a_row_of_it_is_imported(tmp_path):
    path, rows = tmp_path / "t.parquet", 1000
    times = [1751463000 + n for n in range(rows)]
    parquet.write_table(
        pa.table({"ts": times, "price": [1.5] * rows, "size": times}), path, row_group_size=100
    )
    data = bytearray(path.read_bytes())
    place = parquet.ParquetFile(path).metadata.row_group(9).column(2).data_page_offset
    data[place : place + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"not a readable Parquet file"):
        imported(path, file_format="parquet", instrument="X")


def test_parquet_dates_are_daily_bars(tmp_path):
    path = tmp_path / "d.parquet"
    one = pa.array([1.0, 1.0])
    days = pa.array([date(2025, 7, 2), date(2025, 7, 3)])
    parquet.write_table(pa.table({"date": days, "open": one, "high": one, "low": one, "close": one}), path)
    _, found = imported(path, file_format="parquet", instrument="XYZ", exchange="XNYS")
    assert [bar.ts for bar in only(found, Bar)] == [utc(2025, 7, 2, 20), utc(2025, 7, 3, 17)]


def test_the_same_table_again_changes_nothing(tmp_path):
    path = write(tmp_path / "t.csv", "ts,price,size\n1751463000,1,1\nbad,1,1\n1751463000,1,1\n")
    log = MemoryLog()
    for expected in ((3, 2, 0, 1), (3, 0, 3, 0)):
        r = import_tables(log, log.reader(), [path], "csv", TableOptions(instrument="XYZ"))
        assert (r.read, r.accepted, r.duplicates, r.rejected) == expected
    with pytest.raises(UsageError, match="already holds this file"):
        import_tables(log, log.reader(), [path], "csv", TableOptions(instrument="ABC"))


REFUSALS = [
    ("ts,price\n2025-07-02 09:30,1\n", {}, "--timezone America/New_York or --timezone UTC"),
    ("ts,price\n1751463000,1\n", {"instrument": None}, "--map instrument=COLUMN"),
    ("a,b\n1,2\n", {}, "neither trades, quotes nor bars"),
    ("price,size\n1,2\n", {}, "no column for the time; its columns are 'price', 'size'"),
    ("ts,price\n1751463000,1\n", {"mapping": {"prise": "price"}}, "did you mean 'price'"),
    ("ts,price\n1751463000,1\n", {"mapping": {"price": "Preis"}}, "no column 'Preis'"),
    ("ts,price\n1751463000,1\n", {"kind": "quotes"}, "no column for bid, ask of quotes"),
    ("ts,price\nlater,1\n", {}, "give its form with --time-format"),
    ("date,open,high,low,close\n2025-07-02,1,1,1,1\n", {}, "--exchange XNYS"),
    ("date,open,high,low,close\n2025-07-02,1,1,1,1\n", {"exchange": "XNIS"}, "did you mean .*XNYS"),
    ("ts,price\n2025-07-02 09:30,1\n", {"timezone": "New York"}, "not a known time zone"),
    ("", {}, "the file is empty"),
]


@pytest.mark.parametrize(("text", "options", "message"), REFUSALS)
def test_what_cannot_be_known_is_asked_for(tmp_path, text, options, message):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(UsageError, match=message):
        imported(path, **{"instrument": "XYZ", **options})


NO_TEXT = "time,price,size\n2025-07-02 13:30:00,1,1\n2025-07-02 13:30:01,1,2\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        *[(NO_TEXT.encode(e), "UTF-16 or UTF-32") for e in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")],
        (bytes(range(256)) * 8, "no text at all"),
        (b"a\rb\n" + bytes(range(256)) * 8, "no text at all"),
        (NO_TEXT.replace("\n", "\r").encode(), "carriage return alone"),
        (NO_TEXT.replace("price,size", "price,price").encode(), "two columns are named 'price'"),
    ],
    ids=["utf-16", "utf-16-le", "utf-16-be", "utf-32", "binary", "binary below", "returns", "twice"],
)
def test_what_is_no_table_is_refused_and_never_read_as_nothing(tmp_path, data, message):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(UsageError, match=message):
        imported(tmp_path / "t.csv", instrument="X", timezone="UTC")


def test_files_that_are_not_there_or_not_tables_are_named(tmp_path):
    with pytest.raises(DataMissing, match=r"none\.csv: no such file"):
        imported(tmp_path / "none.csv")
    path = write(tmp_path / "t.parquet", "PAR1 no")
    with pytest.raises(UsageError, match=r"t\.parquet: not a readable Parquet file"):
        imported(path, file_format="parquet", instrument="X")
    with pytest.raises(UsageError, match="UTF-16"):
        imported(write(tmp_path / "u.csv", "ts,price\n1,2\n", "utf-16"), instrument="X")


@pytest.mark.parametrize("text", ["ts", "ts=", "=Time", "ts Time"])
def test_a_mapping_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="expected FIELD=COLUMN"):
        parse_mapping(text)


def test_a_file_of_more_than_a_hundred_instruments_is_merged_by_time(tmp_path):
    rows = [f"2024-01-02T15:{i // 60:02}:{i % 60:02}Z,S{i % 150},{10 + i},1" for i in range(300)]
    path = write(tmp_path / "many.csv", "time,symbol,price,size\n" + "\n".join(rows))
    result, found = imported(path)
    assert (result.accepted, len(result.instruments)) == (300, 150)
    assert [event.price for event in only(found, Trade)] == [10.0 + i for i in range(300)]


def test_a_time_far_ahead_at_the_end_of_a_block_costs_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 250)
    rows = [f"2024-01-02T15:00:{i:02}Z,{10 + i},1" for i in range(60)]
    for bad in (9, 19, 29):
        rows[bad] = "2024-01-02T19:00:00Z,1,1"
    result, _ = imported(write(tmp_path / "far.csv", "time,price,size\n" + "\n".join(rows)), instrument="X")
    assert (result.accepted, result.rejected) == (57, 3)
    assert {item.line for item in result.rejections} == {11, 21, 31}
