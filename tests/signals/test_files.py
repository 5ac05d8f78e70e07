"""Files of signals as people make them: headings, dates, scales, symbols, and every kind of bad cell."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pandas as pd
import pytest

from adapters.replay.signals.market import Market
from adapters.replay.signals.reading import read_signals
from adapters.replay.signals.recommendations import SignalOptions
from adapters.replay.signals.values import date_in
from core.clock import DAY_NS, local
from core.errors import DataMissing, UsageError
from core.signals.rules import problem
from tests.signals.workbooks import HEAD, HEADER, NOW, cells, instrument, market, raw, steady, workbook

pytestmark = pytest.mark.signal

NEW_YORK = "America/New_York"
MIDNIGHT = datetime(2025, 7, 1)  # noqa: DTZ001  # as a spreadsheet has it: without a zone
CLOSE = local("2025-07-01", "16:00", NEW_YORK)


def read(path, known=None, **options):
    return read_signals(path, SignalOptions(**options), known or market())


def one(tmp_path, row, head=HEAD, known=None, **options):
    return read(workbook(tmp_path / "x.xlsx", head, row), known, **options)


# -- what is understood ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        ("代码", "权重", "日期"),
        ("股票代码", "推荐权重(%)", "推荐日期"),
        ("Symbol", "Weight", "Date"),
        ("TICKER", "bma_weight", "As Of"),
        ("证券代码", "仓位", "交易日期"),
    ],
)
def test_headings_in_chinese_and_english_are_found(head, tmp_path):
    (signal,) = one(tmp_path, ("ACME", 0.2, date(2025, 7, 1)), head).signals
    assert (signal.instrument, signal.value, signal.as_of, signal.ts) == ("ACME", 1.0, CLOSE, CLOSE)
    assert signal.expires == CLOSE + 5 * DAY_NS
    assert problem(signal) is None


def test_titles_above_the_headings_and_other_sheets_are_passed_over(tmp_path):
    rows = [("每周推荐",), (), ("代码", "名称", "评分", "日期"), ("ACME", "甲", 0.4, "2025/7/1")]
    found = read(workbook(tmp_path / "x.xlsx", *rows))
    assert "header in line 3: symbol=代码, name=名称, score=评分, date=日期" in found.words
    assert [signal.value for signal in found.signals] == [0.4]


def test_a_mapping_wins_and_a_wrong_one_is_refused(tmp_path):
    path = workbook(tmp_path / "x.xlsx", ("code", "mine", "weight", "date"), ("ACME", 0.1, 0.9, "2025-07-01"))
    found = read(path, mapping={"score": "mine"})
    assert [signal.value for signal in found.signals] == [0.1]
    with pytest.raises(UsageError, match="weight, score"):
        read(path, mapping={"weight": "missing"})
    with pytest.raises(UsageError, match="did you mean symbol"):
        read(path, mapping={"symbl": "code"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BMA 2025-07-01", date(2025, 7, 1)),
        ("bma_20250701", date(2025, 7, 1)),
        ("推荐2025年7月1日", date(2025, 7, 1)),
        ("2025.07.01", date(2025, 7, 1)),
        ("BMA", None),
        ("20259999", None),
    ],
)
def test_a_date_in_a_name_is_found(text, expected):
    assert date_in(text) == expected


def test_a_date_may_be_in_the_name_of_the_sheet_or_given(tmp_path):
    rows = [("symbol", "weight"), ("ACME", 1)]
    named = workbook(tmp_path / "x.xlsx", *rows, title="BMA 20250701")
    assert read(named).signals[0].as_of == CLOSE
    bare = workbook(tmp_path / "y.xlsx", *rows)
    assert "no date" in read(bare).rejections[0].reason
    assert read(bare, day="2025-07-01").signals[0].as_of == CLOSE


@pytest.mark.parametrize("day", ["2025-07-01", "2025/7/1", "20250701", 20250701, "2025年7月1日", MIDNIGHT])
def test_dates_are_read_in_all_these_forms(day, tmp_path):
    assert one(tmp_path, ("ACME", 1, day)).signals[0].as_of == CLOSE


def test_known_at_the_open_and_at_a_time_of_day(tmp_path):
    opened = one(tmp_path, ("ACME", 1, "2025-07-01"), known_at="open").signals[0]
    assert opened.ts == local("2025-07-01", "09:30", NEW_YORK)
    timed = one(tmp_path, ("ACME", 1, MIDNIGHT.replace(hour=8, minute=15))).signals[0]
    assert timed.ts == local("2025-07-01", "08:15", NEW_YORK)
    weekend = one(tmp_path, ("ACME", 1, "2025-07-05")).signals[0]
    assert weekend.ts == local("2025-07-06", "00:00", NEW_YORK)


@pytest.mark.parametrize(("day", "after"), [("2025-03-09", "2025-03-10"), ("2024-11-03", "2024-11-04")])
def test_a_day_without_a_session_ends_at_midnight_also_when_clocks_change(tmp_path, day, after):
    assert one(tmp_path, ("ACME", 1, day)).signals[0].ts == local(after, "00:00", NEW_YORK)


def test_a_weekday_without_a_calendar_ends_at_midnight_also_when_clocks_change():
    listed = instrument("BOND", "NOWHERE", "Asia/Jerusalem")  # its clocks change on a Friday
    found = Market([listed], [], {}, NOW).closes_after(date(2025, 3, 26), 3, listed)
    assert found == [local(f"2025-03-{day}", "00:00", "Asia/Jerusalem") for day in (28, 29)] + [
        local("2025-04-01", "00:00", "Asia/Jerusalem")
    ]


@pytest.mark.parametrize(
    ("field", "given", "values"),
    [
        ("weight", [0.3, 0.15, -0.06], [1, 0.5, -0.2]),
        ("weight", [30, 15, 0], [1, 0.5, 0]),
        ("weight", [0, 0, 0], [0, 0, 0]),
        ("score", [0.5, -1, 1], [0.5, -1, 1]),
        ("score", [5, 2.5, 0], [1, 0, -1]),
        ("score", [80, 50, 20], [0.6, 0, -0.6]),
        ("score", [-5, 0, 2.5], [-1, 0, 0.5]),
        ("score", [250, 125, 0], [1, 0, -1]),
    ],
)
def test_weights_and_scores_become_values_by_the_rule(field, given, values, tmp_path):
    rows = [(name, value, "2025-07-01") for name, value in zip(("ACME", "AAPL", "MSFT"), given, strict=True)]
    found = read(workbook(tmp_path / "x.xlsx", ("symbol", field, "date"), *rows))
    assert [signal.value for signal in found.signals] == pytest.approx(values)


def test_a_given_scale_wins_and_what_is_beyond_it_is_rejected(tmp_path):
    rows = [("ACME", 4, "2025-07-01"), ("AAPL", 11, "2025-07-01")]
    found = read(workbook(tmp_path / "x.xlsx", ("symbol", "score", "date"), *rows), scale=(0.0, 10.0))
    assert [signal.value for signal in found.signals] == pytest.approx([-0.2])
    assert "value 1.2" in found.rejections[0].reason


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("ACME", "ACME"),
        ("00700.HK", "700"),
        (700, "700"),
        ("600519.SH", "600519"),
        (600519.0, "600519"),
        ("微软", "MSFT"),
    ],
)
def test_symbols_become_instruments(symbol, name, tmp_path):
    found = one(tmp_path, (symbol, 1, "2025-07-01"), symbols={"微软": "MSFT"})
    assert [signal.instrument for signal in found.signals] == [name]


@pytest.mark.parametrize("symbol", ["600519.SZ", "700.US", "ACMF", "acme", "../etc", "微软"])
def test_a_symbol_that_is_not_in_the_log_is_rejected_with_a_hint(symbol, tmp_path):
    (bad,) = one(tmp_path, (symbol, 1, "2025-07-01")).rejections
    assert bad.reason.startswith("BMA!A2: unknown symbol")
    if symbol in ("ACMF", "acme"):
        assert "did you mean ACME" in bad.reason


@pytest.mark.parametrize(
    ("said", "value", "word"),
    [("BUY ", 1.0, "BUY"), (" sell", -1.0, "SELL"), ("Hold", 0.0, "HOLD"), ("买入", 1.0, "买入")],
)
def test_a_score_may_be_a_word(said, value, word, tmp_path):
    found = one(tmp_path, ("ACME", said, "2025-07-01"), ("Ticker", "Rating", "Date"))
    assert [(s.value, s.detail) for s in found.signals] == [(value, f"score {word} of 2025-07-01")]
    assert "BUY is 1, HOLD 0, SELL -1" in found.words


def test_words_beside_numbers_mean_what_they_say_and_others_are_rejected(tmp_path):
    rows = [("ACME", "Buy", "2025-07-01"), ("AAPL", 30, "2025-07-01"), ("MSFT", "Strong Buy", "2025-07-01")]
    found = read(workbook(tmp_path / "x.xlsx", ("symbol", "Recommendation", "date"), *rows))
    assert [(s.instrument, s.value) for s in found.signals] == [("ACME", 1.0), ("AAPL", -0.4)]
    assert [r.reason for r in found.rejections] == [
        "BMA!B4: 'Strong Buy' is text, expected a number, or BUY, SELL or HOLD"
    ]


def test_a_weight_is_never_a_word(tmp_path):
    found = one(tmp_path, ("ACME", "BUY", "2025-07-01"))
    assert (found.signals, len(found.rejections)) == ([], 1)


def test_a_row_without_an_expiry_holds_as_long_as_in_a_table_without_the_column(tmp_path):
    head = ("symbol", "score", "date", "expires")
    rows = [("ACME", 0.5, "2025-07-01", "2025-07-02"), ("AAPL", 0.5, "2025-07-01", None)]
    found = read(workbook(tmp_path / "x.xlsx", head, *rows))
    assert [s.expires for s in found.signals] == [CLOSE + DAY_NS, CLOSE + 5 * DAY_NS]


def test_a_date_of_long_ago_is_taken_where_the_log_has_a_session_then(tmp_path):
    old = market()
    day = msgspec.structs.replace(old.sessions[0], date="1999-07-01")
    known = Market(old.instruments, [*old.sessions, day], {}, old.now)
    rows = [("ACME", 1, "1999-07-01"), ("AAPL", 1, "1999-07-02")]
    found = read(workbook(tmp_path / "x.xlsx", HEAD, *rows), known)
    assert [s.instrument for s in found.signals] == ["ACME"]
    assert "1999-07-02 is more than 10 years away" in found.rejections[0].reason


# -- what is not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("ACME", "0.5", "2025-07-01"), "BMA!B2: '0.5' is text"),
        (("ACME", "nan", "2025-07-01"), "BMA!B2: 'nan' is text"),
        (("ACME", True, "2025-07-01"), "BMA!B2: True is true or false"),
        (("ACME", None, "2025-07-01"), "BMA!B2: is empty"),
        (("ACME", "#N/A", "2025-07-01"), "BMA!B2: '#N/A' is what an error left"),
        (("ACME", MIDNIGHT, "2025-07-01"), "BMA!B2: datetime"),
        (("ACME", "=1/2", "2025-07-01"), "BMA!B2 is a formula"),
        ((None, 1, "2025-07-01"), "BMA!A2: is empty"),
        ((True, 1, "2025-07-01"), "BMA!A2: True is no symbol"),
        ((1.5, 1, "2025-07-01"), "BMA!A2: 1.5 is no symbol"),
        (("ACME", 1, "yesterday"), "BMA!C2: 'yesterday' is no date"),
        (("ACME", 1, "2025-02-30"), "BMA!C2: '2025-02-30' is no date"),
        (("ACME", 1, None), "BMA!C2: is empty"),
        (("ACME", 1, True), "BMA!C2: True is no date"),
        (("ACME", 1, "2025-07-11"), "BMA!C2: 2025-07-11 is in the future"),
        (("ACME", 1, "1999-07-01"), "BMA!C2: 1999-07-01 is more than 10 years away"),
    ],
)
def test_a_bad_cell_rejects_its_row_with_sheet_cell_and_reason(row, said, tmp_path):
    good = ("AAPL", 1, "2025-07-01")
    found = read(workbook(tmp_path / "x.xlsx", HEAD, row, good))
    assert [signal.instrument for signal in found.signals] == ["AAPL"]
    (bad,) = found.rejections
    assert bad.reason.startswith(said)
    assert (bad.file, bad.line) == ("x.xlsx", 2)


@pytest.mark.parametrize("number", ["1e309", "-1e309", "nan", "INF"])
def test_numbers_that_are_none_are_rejected_or_the_file_is(number, tmp_path):
    path = raw(tmp_path / "x.xlsx", HEADER + cells(2, "ACME", f"<v>{number}</v>", "2025-07-01"))
    try:
        found = read(path)
    except UsageError as error:  # openpyxl itself stumbles over it
        reasons, signals = [str(error)], []
    else:
        reasons, signals = [bad.reason for bad in found.rejections], found.signals
    assert signals == []
    assert "BMA!B2" in reasons[0] or "x.xlsx" in reasons[0]


def test_a_duplicate_is_rejected_and_names_the_first(tmp_path):
    rows = [("ACME", 1, "2025-07-01"), ("ACME", 0.5, "2025-07-01"), ("ACME", 0.5, "2025-07-02")]
    found = read(workbook(tmp_path / "x.xlsx", HEAD, *rows))
    assert [bad.reason for bad in found.rejections] == [
        "BMA!A3: duplicate: line 2 has ACME for the same date already"
    ]
    assert len(found.signals) == 2


def test_merged_cells_are_rejected_by_name(tmp_path):
    from openpyxl import load_workbook  # noqa: PLC0415

    path = workbook(tmp_path / "x.xlsx", HEAD, ("ACME", 1, "2025-07-01"), ("AAPL", 1, "2025-07-01"))
    book = load_workbook(path)
    book.active.merge_cells("B2:B3")
    book.save(path)
    reasons = [bad.reason for bad in read(path).rejections]
    assert reasons == [f"BMA!B{n} is part of the merged cells B2:B3: unmerge them" for n in (2, 3)]


def test_a_hidden_sheet_is_read_only_by_name(tmp_path):
    path = workbook(tmp_path / "x.xlsx", HEAD, ("ACME", 1, "2025-07-01"), hidden=True)
    with pytest.raises(UsageError, match=r"found shown: nothing, and hidden 'BMA'.*--sheet NAME"):
        read(path)
    assert len(read(path, sheet="BMA").signals) == 1
    with pytest.raises(UsageError, match="no sheet 'other'; it has 'BMA', 'shown'"):
        read(path, sheet="other")


def test_an_empty_workbook_and_one_without_headings_say_what_was_found(tmp_path):
    with pytest.raises(UsageError, match="found BMA: nothing"):
        read(workbook(tmp_path / "x.xlsx"))
    with pytest.raises(UsageError, match="found BMA: a, b"):
        read(workbook(tmp_path / "y.xlsx", ("a", "b"), (1, 2)))
    with pytest.raises(DataMissing, match="no such file"):
        read(tmp_path / "none.xlsx")
    with pytest.raises(UsageError, match="read from"):
        read(workbook(tmp_path / "x.xlsx").rename(tmp_path / "x.doc"))


def test_csv_in_gbk_has_numbers_in_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(
        "代码,权重,日期\nACME,0.5,2025-07-01\nAAPL,nan,2025-07-01\nMSFT,1e309,2025-07-01\n".encode("gbk")
    )
    found = read(path)
    assert [signal.instrument for signal in found.signals] == ["ACME"]
    assert [bad.reason for bad in found.rejections] == [
        "line 3, column 2: 'nan' is not finite, expected a number",
        "line 4, column 2: '1e309' is not finite, expected a number",
    ]


# -- forecasts -------------------------------------------------------------------------------------

PATH_HEAD = ("symbol", "date", "d+1", "d+2", "d+3")
PATH_ROW = ("ACME", "2025-07-01", 101.0, 102.0, 97.0)


def forecast(tmp_path, ending, row=PATH_ROW, head=PATH_HEAD):
    path = tmp_path / f"lstm.{ending}"
    if ending == "xlsx":
        return workbook(path, head, row)
    frame = pd.DataFrame([row], columns=head)
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "parquet":
        frame.to_parquet(path)
    else:
        np.savez(path, symbols=np.array([row[0]]), as_of=np.array(row[1]), forecast=np.array([row[2:]]))
    return path


@pytest.mark.parametrize("ending", ["xlsx", "csv", "parquet", "npz"])
def test_a_path_of_days_becomes_a_signal_a_day(ending, tmp_path):
    found = read(forecast(tmp_path, ending), market(**steady()), source="lstm", volatility=0.02, k=1.5)
    assert found.rejections == []
    expected = [0.01 / (1.5 * 0.02), 0.02 / (1.5 * 0.02 * 2**0.5), -0.03 / (1.5 * 0.02 * 3**0.5)]
    assert [signal.value for signal in found.signals] == pytest.approx(expected)
    assert [signal.horizon for signal in found.signals] == [DAY_NS, 2 * DAY_NS, 3 * DAY_NS]
    # 3 July 2025 closes at 13:00, the 4th is a holiday.
    closes = [("2025-07-02", "16:00"), ("2025-07-03", "13:00"), ("2025-07-07", "16:00")]
    assert [signal.expires for signal in found.signals] == [local(*close, NEW_YORK) for close in closes]


def test_the_volatility_is_that_of_the_closes_before_the_forecast(tmp_path):
    closes = steady()
    later = (CLOSE + 2 * DAY_NS, 1.0)  # a crash after the forecast must not be known to it
    found = read(forecast(tmp_path, "csv"), market(ACME=[*closes["ACME"], later]))
    alone = read(forecast(tmp_path, "csv"), market(**closes))
    assert found.items == alone.items
    moves = np.diff(np.log([price for _, price in closes["ACME"]]))
    assert alone.signals[0].value == pytest.approx(0.01 / np.std(moves, ddof=1))


def test_without_enough_closes_a_forecast_is_rejected_with_the_remedy(tmp_path):
    (bad,) = read(forecast(tmp_path, "csv"), market(**steady(count=4))).rejections
    assert "give --volatility" in bad.reason
    (bad,) = read(forecast(tmp_path, "csv"), market(), volatility=0.02).rejections
    assert "no close of ACME" in bad.reason


def test_a_column_base_is_where_the_return_starts(tmp_path):
    head, row = ("symbol", "date", "base", "d+1"), ("ACME", "2025-07-01", 50.0, 50.5)
    found = read(forecast(tmp_path, "csv", row, head), market(), volatility=0.02)
    assert found.signals[0].value == pytest.approx(0.5)


@pytest.mark.parametrize("price", [0.0, -1.0, None, float("nan")])
def test_one_bad_day_rejects_that_day_only(price, tmp_path):
    found = read(
        forecast(tmp_path, "csv", ("ACME", "2025-07-01", 101.0, price, 97.0)),
        market(**steady()),
        volatility=0.02,
    )
    assert [signal.horizon for signal in found.signals] == [DAY_NS, 3 * DAY_NS]
    assert "line 2, column 4" in found.rejections[0].reason


def test_an_npz_with_pickled_objects_or_a_lying_header_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, symbols=np.array(["ACME"], dtype=object), forecast=np.ones((1, 2)), allow_pickle=True)
    with pytest.raises(UsageError, match="expected numbers or text"):
        read(path)
    np.savez(path, symbols=np.array(["ACME"]), forecast=np.ones((2, 2)))
    with pytest.raises(UsageError, match="expected"):
        read(path)
    np.savez(path, symbols=np.array(["ACME"]))
    with pytest.raises(UsageError, match="no array 'forecast'"):
        read(path)
    np.savez(path, symbols=np.array(["ACME"]), forecast=np.ones((1, 2)))
    data = path.read_bytes().replace(b"'shape': (1, 2)", b"'shape': (9, 9)")
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"as large as it says|cannot be read"):
        read(path)


def test_what_is_read_while_trading_is_known_now(tmp_path):
    at = market()
    today = datetime.fromtimestamp(at.now / 1e9, UTC).date()
    (signal,) = one(tmp_path, ("ACME", 1, today), live=True).signals
    assert (signal.ts, signal.as_of) == (at.now, at.now)
    (older,) = one(tmp_path, ("ACME", 1, "2025-07-08"), live=True).signals
    assert (older.ts, older.as_of) == (at.now, local("2025-07-08", "16:00", NEW_YORK))
