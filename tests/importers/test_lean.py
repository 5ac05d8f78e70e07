"""LEAN's files: exact counts of the real ones, exact events and refusals of small ones."""

import itertools
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.replay import zip_texts
from adapters.replay.lean import parse_days
from core.errors import DataMissing, UsageError
from core.events import (
    Bar,
    FeedDefined,
    InstrumentDefined,
    Quote,
    QuoteBar,
    RowRejected,
    SessionScheduled,
    Trade,
)
from eventstore.memory import MemoryLog
from tests.conftest import examples
from tests.importers.lean_files import events, import_lean, ticks, write_day, write_zip

NEW_YORK = ZoneInfo("America/New_York")


def at(*wall: int) -> int:
    return int(datetime(*wall, tzinfo=NEW_YORK).timestamp()) * 1_000_000_000


def imported(root: Path, symbol: str = "ABC", resolution: str = "tick", days: str | None = "2013-10-07"):
    log = MemoryLog()
    result = import_lean(log, log.reader(), root, symbol, resolution, parse_days(days) if days else None)
    return result, events(log.reader())


@pytest.mark.shared_data
def test_the_ibm_day_has_every_trade_and_quote_of_its_files(shared_data):
    result, found = imported(shared_data / "lean", "IBM")
    assert (result.read, result.accepted, result.rejected, result.duplicates) == (133_360, 133_360, 0, 0)
    counts = Counter(type(event) for event in found)
    assert (counts[Trade], counts[Quote]) == (24_293, 109_067)
    assert (result.instruments, result.dates, result.gaps) == (["IBM"], ["2013-10-07"], [])
    market = [event for event in found if type(event) in (Trade, Quote)]
    assert all(a.ts <= b.ts for a, b in itertools.pairwise(market))
    first = next(event for event in found if type(event) is Trade)
    assert (first.price, first.size, first.venue, first.conditions) == (181.52, 283.0, "P", "20002020")
    # The last quote row has no newline behind it, and is the one suspicious row of the file.
    quotes = [event for event in market if type(event) is Quote]
    assert [quote.suspicious for quote in quotes].index(True) == len(quotes) - 1
    assert all((quote.bid is None) != (quote.ask is None) for quote in quotes)


@pytest.mark.shared_data
def test_a_week_of_spy_minutes_has_390_bars_a_session(shared_data):
    result, found = imported(shared_data / "lean", "SPY", "minute", "2013-10-07..2013-10-11")
    sessions = {event.date: event for event in found if type(event) is SessionScheduled}
    assert sorted(sessions) == result.dates == [f"2013-10-{day:02}" for day in range(7, 12)]
    for kind in (Bar, QuoteBar):
        for session in sessions.values():
            bars = [e for e in found if type(e) is kind and session.open <= e.start < session.close]
            assert len(bars) == 390
            assert (bars[0].ts, bars[-1].ts) == (session.open + 60 * 10**9, session.close)
    assert result.gaps == []


@pytest.mark.shared_data
def test_a_daily_bar_spans_its_session_and_ends_early_on_a_half_day(shared_data):
    _, found = imported(shared_data / "lean", "SPY", "daily", "2013-11-27..2013-11-29")
    bars = [event for event in found if type(event) is Bar]
    assert [bar.ts for bar in bars] == [at(2013, 11, 27, 16), at(2013, 11, 29, 13)]
    assert [bar.start for bar in bars] == [at(2013, 11, 27, 9, 30), at(2013, 11, 29, 9, 30)]


@pytest.mark.shared_data
def test_daily_rows_imported_for_one_range_are_duplicates_in_a_wider_one(shared_data):
    log = MemoryLog()
    for days, expected in (("2013-10-08..2013-10-17", (8, 8, 0)), ("2013-10-01..2013-10-31", (23, 15, 8))):
        result = import_lean(log, log.reader(), shared_data / "lean", "SPY", "daily", parse_days(days))
        assert (result.read, result.accepted, result.duplicates) == expected
    bars = [event.ts for event in events(log.reader()) if type(event) is Bar]
    assert len(set(bars)) == len(bars) == 23


@pytest.mark.shared_data
def test_an_hour_bar_is_as_labelled_and_ends_an_hour_later(shared_data):
    _, found = imported(shared_data / "lean", "SPY", "hour", "2021-03-01")
    bars = [event for event in found if type(event) is Bar]
    assert [bar.start for bar in bars] == [at(2021, 3, 1, hour) for hour in range(9, 16)]
    assert all(bar.ts - bar.start == 3600 * 10**9 for bar in bars)


def test_every_price_in_ten_thousandths_becomes_the_nearest_float(tmp_path):
    prices = [1, 9999, 1815200, 1234567, 99999999]
    rows = "\n".join(f"34200000,{price},1,N,0,0" for price in prices)
    _, found = imported(write_day(tmp_path, rows))
    assert [e.price for e in found if type(e) is Trade] == [0.0001, 0.9999, 181.52, 123.4567, 9999.9999]


def test_trades_and_quotes_merge_by_time_with_trades_first_and_file_order_kept(tmp_path):
    trades = "34200000,100,1,N,0,0\n34200005,101,2,N,0,0\n34200005,101,3,N,0,0"
    quotes = (
        "34199999,90,1,0,0,N,1,0\n34200005,91,2,0,0,N,1,0\n34200005,0,0,92,3,N,1,0\n34200006,93,4,0,0,N,1,0"
    )
    _, found = imported(write_day(tmp_path, trades, quotes))
    order = [
        ("T", e.size) if type(e) is Trade else ("Q", e.bid_size or e.ask_size)
        for e in found
        if type(e) in (Trade, Quote)
    ]
    assert order == [("Q", 1), ("T", 1), ("T", 2), ("T", 3), ("Q", 2), ("Q", 3), ("Q", 4)]


def test_a_link_to_a_file_that_is_gone_is_named_where_its_date_is_asked_for(tmp_path):
    write_day(tmp_path, trades="34200000,1000000,100,P,0,0\n")
    home = tmp_path / "equity/usa/tick/abc"
    (home / "20131008_trade.zip").symlink_to("nowhere.zip")
    result, _ = imported(tmp_path)
    assert (result.read, result.accepted) == (1, 1)
    with pytest.raises(DataMissing, match=r"20131008_trade\.zip: a link to a file that is not there"):
        imported(tmp_path, days="2013-10-08")


def test_times_follow_new_york_across_the_change_of_clocks(tmp_path):
    for day, hour in (("20131101", 13), ("20131104", 14)):
        write_day(tmp_path, "34200000,100,1,N,0,0", day=day)
        _, found = imported(tmp_path, days=f"{day[:4]}-{day[4:6]}-{day[6:]}")
        trade = next(e for e in found if type(e) is Trade)
        assert datetime.fromtimestamp(trade.ts / 1e9, UTC).hour == hour


def test_the_feed_says_that_prices_are_raw_and_quotes_consolidated(tmp_path):
    _, found = imported(write_day(tmp_path, "34200000,100,1,N,0,0"))
    feed = next(e for e in found if type(e) is FeedDefined)
    assert (feed.feed, feed.resolution, feed.consolidated, feed.adjusted) == (
        "lean/tick",
        "tick",
        True,
        False,
    )
    assert "raw" in feed.description
    instrument = next(e for e in found if type(e) is InstrumentDefined)
    assert (instrument.instrument, instrument.kind, instrument.exchange, instrument.timezone) == (
        "ABC",
        "STK",
        "XNYS",
        "America/New_York",
    )


def test_a_gap_in_regular_hours_is_reported_and_one_before_the_open_is_not(tmp_path):
    rows = "\n".join(
        f"{minute * 60000},100,1,N,0,0" for minute in [300, *range(570, 700), *range(720, 960, 10)]
    )
    result, _ = imported(write_day(tmp_path, rows))
    assert [(gap.kind, gap.begin, gap.end) for gap in result.gaps] == [
        ("ticks", at(2013, 10, 7, 11, 39), at(2013, 10, 7, 12, 0))
    ]


def test_missing_bars_and_missing_sessions_are_counted(tmp_path):
    for day, bars in (("20131007", 390), ("20131009", 380)):
        text = "\n".join(f"{34200000 + i * 60000},100,100,100,100,5" for i in range(bars))
        write_zip(tmp_path / f"equity/usa/minute/abc/{day}_trade.zip", text)
    result, _ = imported(tmp_path, resolution="minute", days="2013-10-07..2013-10-09")
    assert [(gap.kind, gap.date, gap.missing) for gap in result.gaps] == [
        ("session", "2013-10-08", 1),
        ("bars", "2013-10-09", 10),
    ]


HOSTILE_TICKS = [
    ("34200001,100,1,N,0", "expected 6 fields, found 5"),
    ("34200001,100,1,N,0,0,9", "expected 6 fields, found 7"),
    ("", "expected 6 fields, found 0"),
    ("34200001,12a,1,N,0,0", "field price: '12a' is not a number"),
    ("34200001,,1,N,0,0", "field price: '' is not a number"),
    ("34200001,1_000,1,N,0,0", "field price: '1_000' is not a number"),
    ("34200001,0x10,1,N,0,0", "field price: '0x10' is not a number"),
    ("34200001,nan,1,N,0,0", "field price: 'nan' is not a finite number"),
    ("34200001,100,-inf,N,0,0", "field size: '-inf' is not a finite number"),
    ("34200001,1e309,1,N,0,0", "field price: '1e309' is not a finite number"),
    ("34200001,100,-5,N,0,0", "negative size -5"),
    ("34200001,-100,5,N,0,0", "negative price -100"),
    ("34200001,0,5,N,0,0", "price is 0"),
    ("86400000,100,5,N,0,0", "time 8.64e+07 ms is outside the day, 0..86399999"),
    ("-1,100,5,N,0,0", "time -1 ms is outside the day, 0..86399999"),
    ("34199999,100,5,N,0,0", "time is 0.001 s before the row above"),
    ("\x00\x01,100,5,N,0,0", "field time: '\\x00\\x01' is not a number"),
]


@pytest.mark.parametrize(("row", "reason"), HOSTILE_TICKS)
def test_a_bad_trade_is_kept_with_line_and_reason_and_the_rest_goes_on(tmp_path, row, reason):
    good = "34200000,100,1,N,0,0"
    after = "34200002,100,2,N,0,0"
    result, found = imported(write_day(tmp_path, f"{good}\n{row}\n{after}\n"))
    rejected = [e for e in found if type(e) is RowRejected]
    assert [(e.file, e.line, e.reason, e.row) for e in rejected] == [
        ("equity/usa/tick/abc/20131007_trade.zip", 2, reason, row)
    ]
    assert [e.size for e in found if type(e) is Trade] == [1, 2]
    assert (result.read, result.accepted, result.rejected) == (3, 2, 1)
    assert result.rejections == rejected


HOSTILE_BARS = [
    ("34260000,100,90,95,92,5", "high 90 < low 95"),
    ("34260000,120,110,90,100,5", "open 120 outside 90..110"),
    ("34260000,100,110,90,80,5", "close 80 outside 90..110"),
    ("34260000,100,110,90,100,-1", "negative volume -1"),
    ("34230000,100,110,90,100,1", "bar overlaps the one above by 30 s"),
    ("34200000,100,110,90,100,1", "bar overlaps the one above by 60 s"),
    ("34100000,100,110,90,100,1", "time is 100 s before the row above"),
]


@pytest.mark.parametrize(("row", "reason"), HOSTILE_BARS)
def test_a_bad_bar_is_kept_with_its_reason(tmp_path, row, reason):
    text = f"34200000,100,110,90,100,5\n{row}\n34320000,100,110,90,100,6"
    write_zip(tmp_path / "equity/usa/minute/abc/20131007_trade.zip", text)
    _, found = imported(tmp_path, resolution="minute")
    assert [(e.line, e.reason) for e in found if type(e) is RowRejected] == [(2, reason)]
    assert [e.volume for e in found if type(e) is Bar] == [5, 6]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("34260000,90,80,85,88,1,100,110,95,100,1", "bid_high 80 < bid_low 85"),
        ("34260000,90,95,85,88,1,100,99,95,98,1", "ask_open 100 outside 95..99"),
        ("34260000,90,95,85,88,-3,100,110,95,100,1", "negative bid_size -3"),
        ("34260000,90,95,85,88,1,100,110,95,nan,1", "field ask_close: 'nan' is not a finite number"),
        ("34260000,0,0,0,0,0,0,0,0,0,0", "neither bid nor ask"),
        ("34200000,90,95,85,88,1,100,110,95,100,1", "bar overlaps the one above by 60 s"),
        ("34100000,90,95,85,88,1,100,110,95,100,1", "time is 100 s before the row above"),
    ],
)
def test_a_bad_quote_bar_is_kept_with_its_reason(tmp_path, row, reason):
    good = "90,95,85,88,1,100,110,95,100"
    text = f"34200000,{good},5\n{row}\n34320000,{good},6"
    write_zip(tmp_path / "equity/usa/minute/abc/20131007_quote.zip", text)
    _, found = imported(tmp_path, resolution="minute")
    assert [(e.line, e.reason) for e in found if type(e) is RowRejected] == [(2, reason)]
    assert [e.ask_size for e in found if type(e) is QuoteBar] == [5, 6]


def test_a_rejected_bar_does_not_shade_the_bar_after_it(tmp_path):
    text = "34200000,100,110,90,100,1\n34230000,100,110,90,100,2\n34260000,100,110,90,100,3"
    write_zip(tmp_path / "equity/usa/minute/abc/20131007_trade.zip", text)
    _, found = imported(tmp_path, resolution="minute")
    assert [e.volume for e in found if type(e) is Bar] == [1, 3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("34200001,0,0,0,0,Q,1,0", "neither bid nor ask"),
        ("34200001,0,7,100,1,Q,1,0", "bid is 0 with size 7"),
        ("34200001,100,1,0,-2,Q,1,0", "negative ask_size -2"),
    ],
)
def test_a_bad_quote_is_kept_with_its_reason(tmp_path, row, reason):
    _, found = imported(write_day(tmp_path, quotes=f"34200000,100,1,0,0,Q,1,0\n{row}"))
    assert [(e.line, e.reason) for e in found if type(e) is RowRejected] == [(2, reason)]


def test_a_file_whose_name_is_no_date_is_named(tmp_path):
    write_day(tmp_path, "34200000,100,1,N,0,0", day="20131007")
    folder = tmp_path / "equity" / "usa" / "tick" / "abc"
    (folder / "²0131004_trade.zip").touch()  # no digit: none of LEAN's
    imported(tmp_path)
    (folder / "20131399_trade.zip").touch()
    with pytest.raises(UsageError, match=r"20131399_….*no date; next: rename it or move it away"):
        imported(tmp_path)


def test_missing_data_names_what_is_near(tmp_path):
    write_day(tmp_path, "34200000,100,1,N,0,0", day="20131004")
    write_day(tmp_path, "34200000,100,1,N,0,0", day="20131011")
    with pytest.raises(DataMissing, match="nearest dates: 2013-10-04, 2013-10-11"):
        imported(tmp_path)
    with pytest.raises(DataMissing, match="nearest symbols: ABC"):
        imported(tmp_path, symbol="ABD")
    (tmp_path / "equity" / "usa" / "daily").mkdir()
    with pytest.raises(DataMissing, match="no data of ABC; next: --resolution tick, where it is"):
        imported(tmp_path, resolution="daily")
    with pytest.raises(DataMissing, match="--root is the folder that holds equity/usa/minute/"):
        imported(tmp_path, resolution="minute")


@pytest.mark.parametrize("symbol", ["", "..", "../x", "a/b", ".x"])
def test_a_symbol_that_is_a_path_is_refused(tmp_path, symbol):
    write_day(tmp_path, "34200000,100,1,N,0,0")
    with pytest.raises(UsageError, match="expected a ticker"):
        imported(tmp_path, symbol=symbol)


odd = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["0", "", " ", "100", "34200000", "1.7976931348623157e308", "2147483647", "\x00", "é", '"', "-0"]
    ),
)


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(odd, min_size=5, max_size=9), max_size=12), st.sampled_from(["trade", "quote"]))
def test_no_row_whatever_stops_an_import(tmp_path, table, kind):
    text = "\n".join(",".join(row) for row in [["34200000", "100", "1", "N", "0", "0"], *table])
    write_zip(tmp_path / f"equity/usa/tick/abc/20131007_{kind}.zip", text)
    write_zip(tmp_path / f"equity/usa/minute/abc/20131007_{kind}.zip", text)
    for resolution in ("tick", "minute"):
        result, found = imported(tmp_path, resolution=resolution)
        assert result.read == result.accepted + result.rejected == len(found) - 5


def test_a_file_that_is_no_zip_is_named(tmp_path):
    write_day(tmp_path, "34200000,100,1,N,0,0")
    path = tmp_path / "equity/usa/tick/abc/20131007_trade.zip"
    whole = path.read_bytes()
    for broken in (b"", b"no zip", whole[:-30], whole[:40] + b"\xff\xff\xff\xff" + whole[44:]):
        path.write_bytes(broken)
        with pytest.raises(UsageError, match=r"20131007_trade\.zip: not a readable zip file"):
            imported(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("b", "2")
    with pytest.raises(UsageError, match="holds 2 files, expected one CSV"):
        imported(tmp_path)


@pytest.mark.parametrize("text", ["2013-10", "2013-10-11..2013-10-07", "yesterday", "2013-13-01"])
def test_a_date_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--date"):
        parse_days(text)


def test_a_zip_is_read_in_pieces_and_gives_the_events_of_the_whole(tmp_path, monkeypatch):
    """Memory does not depend on the size of a zip: no piece is larger than two parts."""
    trades, quotes = ticks(300)
    lines = trades.split("\n")
    lines[40] = "86000000" + lines[40][8:]  # far ahead: it costs itself
    root = write_day(tmp_path, "\n".join(lines), quotes + "\n\n")
    whole = imported(root)[1]
    monkeypatch.setattr(zip_texts, "PART_BYTES", 1_000)
    path = root / "equity/usa/tick/abc/20131007_quote.zip"
    text = zip_texts.survey(path, path.name)
    pieces = list(text.pieces())
    assert len(pieces) > 20
    assert max(len(piece.data) for piece in pieces) <= 2_000
    assert sum(piece.rows for piece in pieces) == text.rows == 1_200
    result, found = imported(root)
    assert found == whole
    assert (result.read, result.rejected) == (1_500, 3)


def test_a_zip_without_lines_is_refused_before_it_fills_the_memory(tmp_path):
    root = write_day(tmp_path, "1" * (zip_texts.PART_BYTES + 1))
    with pytest.raises(UsageError, match="a line of more than 1048576 bytes"):
        imported(root)
