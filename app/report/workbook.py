"""The Excel workbook of a run: orders, fills, daily results, months and figures.

Numbers are numbers and times are dates (UTC, Excel has no zones), so that they can be summed and sorted. Text
never becomes a formula, whatever it begins with. Rows are written as they come: memory does not grow.
"""

import io
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from app.report.building import Material
from app.report.facts import ORDER_COLUMNS
from app.report.lines import SECTIONS
from core.clock import SECOND_NS

_ROWS_MAX = 1_048_575
"""What a sheet holds beside its head."""
_TEXT_MAX = 32_767
_EXACT_DIGITS = 15
_SPECIAL = frozenset({"=", "#"})
_TIME = "yyyy-mm-dd hh:mm:ss.000"
_DATE = "yyyy-mm-dd"
_MONEY = "#,##0.00"
_SHARE = "0.000%"
_FILLS = (
    "time",
    "execution",
    "order",
    "strategy",
    "instrument",
    "side",
    "quantity",
    "price",
    "commission",
    "currency",
    "arrival price",
    "venue",
    "reason",
)


def workbook(material: Material) -> bytes:
    """Return the bytes of the workbook."""
    book = Workbook(write_only=True)
    _sheet(book, "Figures", ("figure", "value"), _figures(material), widths=(28, 40))
    _sheet(book, "Daily", ("date", "equity", "profit", "change", "traded", "fills"), _daily(material))
    _sheet(book, "Monthly", ("month", "equity", "profit", "change"), _monthly(material))
    _sheet(book, "Orders", ORDER_COLUMNS, _orders(material), widths=(24, 18))
    _sheet(book, "Fills", _FILLS, _fills(material), widths=(24, 12))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


class _Styled:
    """A value with the form it is to have."""

    __slots__ = ("form", "value")

    def __init__(self, value: Any, form: str) -> None:
        self.value = value
        self.form = form


def _figures(material: Material) -> Iterator[tuple[Any, ...]]:
    told = material.report
    yield "run", told.run
    forms = {"money": _MONEY, "share": _SHARE, "ratio": "0.000", "count": "#,##0"}
    for section in SECTIONS:
        for line in section.lines:
            value = told.figures.get(line.key)
            if line.kind in {"money", "share"} and isinstance(value, str):
                value = Decimal(value)
            if line.kind == "length":
                value = None if value is None else value / 1e9 / 86_400
                yield f"{line.label}, days", value
            else:
                yield line.label, _Styled(value, forms.get(line.kind, "General"))
    for text in told.cautions:
        yield "note", text
    for name, value in told.assumptions.items():
        yield name, ", ".join(value) if isinstance(value, list) else value


def _daily(material: Material) -> Iterator[tuple[Any, ...]]:
    for day in material.report.daily:
        yield (
            date.fromisoformat(day.date),
            _Styled(day.equity, _MONEY),
            _Styled(day.profit, _MONEY),
            _Styled(day.change, _SHARE),
            _Styled(day.traded, _MONEY),
            day.fills,
        )


def _monthly(material: Material) -> Iterator[tuple[Any, ...]]:
    for month in material.report.monthly:
        yield (
            _Styled(date.fromisoformat(f"{month.month}-01"), "yyyy-mm"),
            _Styled(month.equity, _MONEY),
            _Styled(month.profit, _MONEY),
            _Styled(month.change, _SHARE),
        )


def _orders(material: Material) -> Iterator[tuple[Any, ...]]:
    for created, *rest in material.facts.orders():
        yield (moment(created), *rest)


def _fills(material: Material) -> Iterator[tuple[Any, ...]]:
    for fill in material.fills():
        yield (
            moment(fill.ts),
            fill.exec_id,
            fill.order,
            fill.strategy,
            fill.instrument,
            fill.side,
            fill.quantity,
            fill.price,
            fill.commission,
            fill.commission_currency,
            fill.arrival,
            fill.venue,
            fill.reason,
        )


def moment(ts: int) -> datetime:
    """Return a time for Excel: UTC without a zone, to the microsecond below (Excel shows milliseconds)."""
    seconds, nanos = divmod(ts, SECOND_NS)
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=nanos // 1000)


def _sheet(
    book: Workbook,
    title: str,
    heads: Iterable[str],
    rows: Iterable[Iterable[Any]],
    *,
    widths: tuple[int, ...] = (14,),
) -> None:
    names = list(heads)
    part, sheet = 1, _new_sheet(book, title, names, widths)
    for number, row in enumerate(rows, 1):
        if number > part * _ROWS_MAX:
            part += 1
            sheet = _new_sheet(book, f"{title} {part}", names, widths)
        sheet.append([_cell(sheet, value) for value in row])


def _new_sheet(book: Workbook, title: str, names: list[str], widths: tuple[int, ...]) -> Any:
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for number, name in enumerate(names, 1):
        width = widths[number - 1] if number <= len(widths) else max(len(name) + 2, 13)
        sheet.column_dimensions[get_column_letter(number)].width = width
    heads = []
    for name in names:
        head = WriteOnlyCell(sheet, value=name)
        head.font = Font(bold=True)
        heads.append(head)
    sheet.append(heads)
    return sheet


def _cell(sheet: Any, value: Any) -> Any:
    """Return what the sheet takes: a cell of our own only where a plain value would not do."""
    if isinstance(value, str):
        return _text(sheet, value)
    if isinstance(value, _Styled):
        value, form = value.value, value.form
    elif isinstance(value, date):
        form = _TIME if isinstance(value, datetime) else _DATE
    else:
        return _number(value)
    found = WriteOnlyCell(sheet, value=_number(value))
    found.number_format = form
    return found


def _text(sheet: Any, value: str) -> Any:
    shown = ILLEGAL_CHARACTERS_RE.sub("�", value)[:_TEXT_MAX]
    if shown[:1] not in _SPECIAL:
        return shown
    # Set as text afterwards: seeing the value, openpyxl takes "=…" for a formula and "#N/A" for an error.
    text = WriteOnlyCell(sheet, value="")
    text.value = shown
    text.data_type = "s"
    return text


def _number(value: Any) -> Any:
    # Excel keeps 15 digits of a number: an amount with more is written as it is nearest to.
    if isinstance(value, Decimal):
        return (
            int(value)
            if value == value.to_integral_value() and abs(value) < 10**_EXACT_DIGITS
            else float(value)
        )
    return value
