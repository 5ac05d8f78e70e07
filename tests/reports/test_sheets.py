"""Excel sheets: what is written is what a reader finds, and nothing of it is a formula."""

import io
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import openpyxl
import pytest

from app.report import sheets
from app.report.sheets import Sheets, Styled, moment

TS = 1_751_465_611_737_000_000


def read(book):
    found = openpyxl.load_workbook(io.BytesIO(book.save()))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in found}


def saved(*values):
    book = Sheets()
    book.add("S", [f"c{place}" for place in range(len(values))], [values])
    sheet = openpyxl.load_workbook(io.BytesIO(book.save()))["S"]
    return next(iter(sheet.iter_rows(min_row=2)))


@pytest.mark.parametrize(
    ("value", "read_back"),
    [
        ("plain", "plain"),
        ("=1+1", "=1+1"),
        (' <b>&"x" \n', ' <b>&"x" \n'),
        ("bell\x07", "bell�"),
        ("汉字", "汉字"),
        ("x" * 40_000, "x" * 32_767),
        (12, 12),
        (-0.1, -0.1),
        (Decimal("100.00000000"), 100),
        (Decimal("83.92"), 83.92),
        (Decimal("123456789012345678"), 1.2345678901234568e17),
        (np.float64(0.25), 0.25),
        (True, True),
        (date(2025, 7, 2), datetime(2025, 7, 2)),  # noqa: DTZ001
        (moment(TS), datetime(2025, 7, 2, 14, 13, 31, 737_000)),  # noqa: DTZ001
        (Styled(0.125, "0.000%"), 0.125),
        (None, None),
        ("", None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_a_value_is_read_back_as_it_is(value, read_back):
    first, cell, last = saved("before", value, "behind")
    assert (first.value, last.value) == ("before", "behind")
    assert (cell.value, type(cell.value)) == (read_back, type(read_back))
    assert cell.data_type != "f"


def test_a_form_is_kept_and_heads_are_bold():
    book = Sheets()
    book.add("S", ("a", "b", "c"), [(Styled(0.5, "0.0%"), moment(TS), date(2025, 7, 2))])
    sheet = openpyxl.load_workbook(io.BytesIO(book.save()))["S"]
    assert [cell.number_format for cell in sheet[2]] == ["0.0%", sheets.TIME, sheets.DATE]
    assert all(cell.font.bold for cell in sheet[1])


def test_rows_beyond_a_sheet_go_on_in_the_next(monkeypatch):
    monkeypatch.setattr(sheets, "_ROWS_MAX", 3)
    book = Sheets()
    book.add("A", ("n",), ([number] for number in range(7)))
    book.add("B", ("n",), [])
    expected = {"A": [0, 1, 2], "A 2": [3, 4, 5], "A 3": [6], "B": []}
    assert read(book) == {title: [("n",), *((n,) for n in rows)] for title, rows in expected.items()}
