"""Splits and dividends from LEAN's factor files and from CSV files: each row an event, or rejected."""

from decimal import Decimal

import pytest

from adapters.replay.tables.options import TableOptions
from app.data.importing import ImportRequest, run_import
from core.errors import UsageError
from core.events import CorporateAction
from tests.importers.lean_files import write_zip
from tests.logs import events_of

SPLIT = """20120808,0.9304792,0.142857,621.7
20140507,0.9934214,0.142857,592.33
20140606,0.9988910,0.142857,645.57
20501231,1,1,0
"""


def lean(tmp_path, text):
    root = tmp_path / "data"
    write_zip(root / "equity/usa/minute/aapl/20140609_trade.zip", "34200000,900000,910000,890000,905000,100")
    factors = root / "equity/usa/factor_files/aapl.csv"
    factors.parent.mkdir(parents=True, exist_ok=True)
    factors.write_text(text)
    return ImportRequest(format="lean", root=root, symbol="AAPL", resolution="minute")


def actions(log):
    return events_of(log, CorporateAction)


def test_a_factor_file_gives_factors_and_what_happened_between_them(tmp_path):
    log = tmp_path / "log"
    result = run_import(log, lean(tmp_path, SPLIT)).result
    assert (result.actions, result.read, result.accepted, result.rejected) == (4, 1, 1, 0)
    told = [(a.date, a.ratio, a.dividend, a.reference_price) for a in actions(log)]
    assert told == [
        ("2012-08-09", 1, Decimal("39.39"), 621.7),
        ("2014-05-08", 1, Decimal("3.24"), 592.33),
        ("2014-06-07", 7, Decimal("0.72"), 645.57),
        ("2051-01-01", 1, 0, None),
    ]
    assert (actions(log)[2].price_factor, actions(log)[2].split_factor) == (0.9988910, 0.142857)


def test_importing_again_appends_nothing_and_a_longer_file_all_its_rows(tmp_path):
    log = tmp_path / "log"
    run_import(log, lean(tmp_path, SPLIT))
    assert run_import(log, lean(tmp_path, SPLIT)).result.last_seq == 0
    assert len(actions(log)) == 4
    run_import(log, lean(tmp_path, "20110101,0.9,0.142857,300\n" + SPLIT))
    assert len(actions(log)) == 9


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2014-13-01,1,1,1", "is not a date; expected YYYYMMDD"),
        ("20140607,-1,1,1", "field price factor: '-1' is not a number above 0"),
        ("20140607,1,0,1", "field split factor: '0' is not a number above 0"),
        ("20140607,1,nan,1", "field split factor: 'nan' is not a number above 0"),
        ("20140607,1,1,-3", "field reference price: '-3' is not a number of 0 or more"),
        ("20140607", "expected 4 fields, found 1"),
        ("20140501,1,1,1", "date 2014-05-01 does not follow 2014-06-06 of the row above"),
    ],
)
def test_a_bad_row_of_a_factor_file_is_rejected_with_its_line(tmp_path, row, reason):
    lines = SPLIT.splitlines()
    result = run_import(tmp_path / "log", lean(tmp_path, "\n".join([*lines[:3], row, lines[3]]))).result
    assert (result.actions, result.rejected) == (4, 1)
    (rejected,) = result.rejections
    assert rejected.line == 4
    assert reason in rejected.reason


def table(tmp_path, text):
    path = tmp_path / "actions.csv"
    path.write_text(text)
    return ImportRequest(format="csv", files=(path,), table=TableOptions(kind="actions"))


def test_a_table_of_actions_is_read_and_its_bad_rows_rejected(tmp_path):
    log = tmp_path / "log"
    text = """symbol,date,kind,ratio,amount,reference_price
AAPL,2014-06-09,split,7,,
AAPL,2014-05-08,dividend,,3.29,592.33
AAPL,2014-05-32,dividend,,3.29,592.33
AAPL,2014-08-07,spinoff,1,,
AAPL,2014-08-07,split,0,,
AAPL,2014-08-07,dividend,,NaN,
,2014-08-07,split,2,,
"""
    result = run_import(log, table(tmp_path, text)).result
    assert (result.actions, result.rejected) == (2, 5)
    assert [(a.date, a.ratio, a.dividend) for a in actions(log)] == [
        ("2014-06-09", 7, 0),
        ("2014-05-08", 1, Decimal("3.29")),
    ]
    assert [(r.line, r.reason) for r in result.rejections] == [
        (4, "field date: '2014-05-32' is not a date; expected YYYY-MM-DD"),
        (5, "field kind: 'spinoff'; expected split or dividend"),
        (6, "field ratio: '0' is not a number above 0"),
        (7, "field amount: 'NaN' is not a number above 0"),
        (8, "field symbol: empty"),
    ]


def test_a_table_without_the_columns_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected the columns symbol,date,kind,ratio"):
        run_import(tmp_path / "log", table(tmp_path, "a,b\n1,2\n"))
