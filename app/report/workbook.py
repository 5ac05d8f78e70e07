"""The Excel workbook of a run: orders, fills, daily results, months and figures.

Numbers are numbers and times are dates (UTC, Excel has no zones), so that they can be summed and sorted. Text
never becomes a formula, whatever it begins with. Rows are written as they come: memory does not grow.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from app.report.building import Material
from app.report.facts import ORDER_COLUMNS
from app.report.lines import SECTIONS
from app.report.sheets import Sheets, Styled, moment

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
    book = Sheets()
    book.add("Figures", ("figure", "value"), _figures(material), widths=(28, 40))
    book.add("Daily", ("date", "equity", "profit", "change", "traded", "fills"), _daily(material))
    book.add("Monthly", ("month", "equity", "profit", "change"), _monthly(material))
    book.add("Orders", ORDER_COLUMNS, _orders(material), widths=(24, 18))
    book.add("Fills", _FILLS, _fills(material), widths=(24, 12))
    return book.save()


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
                yield line.label, Styled(value, forms.get(line.kind, "General"))
    for text in told.cautions:
        yield "note", text
    for name, value in told.assumptions.items():
        yield name, ", ".join(value) if isinstance(value, list) else value


def _daily(material: Material) -> Iterator[tuple[Any, ...]]:
    for day in material.report.daily:
        yield (
            date.fromisoformat(day.date),
            Styled(day.equity, _MONEY),
            Styled(day.profit, _MONEY),
            Styled(day.change, _SHARE),
            Styled(day.traded, _MONEY),
            day.fills,
        )


def _monthly(material: Material) -> Iterator[tuple[Any, ...]]:
    for month in material.report.monthly:
        yield (
            Styled(date.fromisoformat(f"{month.month}-01"), "yyyy-mm"),
            Styled(month.equity, _MONEY),
            Styled(month.profit, _MONEY),
            Styled(month.change, _SHARE),
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
