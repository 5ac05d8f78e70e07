"""The tables of a report as rows: what CSV, Excel and HTML have in common. Makes no figure of its own."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from app.report.building import Material
from app.report.days import DayResult, MonthResult, year_changes
from app.report.dealing import Group, OpenRow
from app.report.metrics import underwater
from app.report.shape import Report
from app.values import when
from core.trips import RoundTrip

GROUP_COLUMNS = (
    ("name", "name", "text"),
    ("fills", "fills", "count"),
    ("traded_value", "traded", "money"),
    ("trades", "trades", "count"),
    ("win_rate", "wins", "share"),
    ("profit_factor", "profit factor", "ratio"),
    ("expectancy", "expectancy", "money"),
    ("commissions", "commissions", "money"),
    ("net_profit", "net profit", "money"),
    ("currency", "", "text"),
)
"""Columns of the tables by instrument, strategy and exit reason: field, label, kind."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Table = tuple[list[str], Iterable[Iterable[Any]]]


def monthly_grid(told: Report) -> tuple[list[str], list[list[Any]]]:
    """Return the head and, for each year, the changes of its months and its own (`None`: no such month)."""
    by_month = {result.month: result.change for result in told.monthly}
    years = year_changes(told.monthly, float(told.figures["start_equity"] or 0))
    rows = [
        [year, *(by_month.get(f"{year}-{month:02d}") for month in range(1, 13)), change]
        for year, change in years.items()
    ]
    return ["year", *MONTHS, "year "], rows


def month_text(change: float | None) -> str:
    """Return a month's change for people; nothing if there was no such month."""
    text = "" if change is None else f"{change:.1%}"
    return text if text.strip("-0.%") else text.removeprefix("-")


def tables(material: Material) -> Iterator[tuple[str, Table]]:
    """Yield the tables by name; rows come one by one, amounts exact, times in ns UTC and as ISO text."""
    told = material.report
    yield "figures", (["figure", "value"], told.figures.items())
    yield "assumptions", (["assumption", "value"], told.assumptions.items())
    yield "equity", (["ts", "time", "equity", "drawdown"], _equity(material))
    yield "daily", _structs(DayResult, told.daily)
    yield "monthly", _structs(MonthResult, told.monthly)
    yield "trades", _structs(RoundTrip, material.trips, "opened_ts", "closed_ts")
    yield "fills", (_FILL_HEADS, _fills(material))
    yield "recorded", (["ts", "time", "strategy", "name", "value"], _recorded(material))
    yield "by_instrument", _structs(Group, told.by_instrument)
    yield "by_strategy", _structs(Group, told.by_strategy)
    yield "by_exit_reason", _structs(Group, told.by_exit_reason)
    yield "positions", _structs(OpenRow, told.positions, "opened_ts")
    yield "refused", (["rule", "orders"], told.refused_by_rule.items())


_FILL_HEADS = [
    "ts",
    "time",
    "exec_id",
    "order",
    "strategy",
    "instrument",
    "side",
    "quantity",
    "price",
    "venue",
    "commission",
    "commission_currency",
    "arrival",
    "reason",
]


def _fills(material: Material) -> Iterator[list[Any]]:
    for fill in material.fills():
        yield [fill.ts, when(fill.ts), *(getattr(fill, name) for name in _FILL_HEADS[2:])]


def _recorded(material: Material) -> Iterator[tuple[Any, ...]]:
    for ts, strategy, name, value in material.facts.recorded_values():
        yield ts, when(ts), strategy, name, value


def _equity(material: Material) -> Iterator[tuple[Any, ...]]:
    known = material.equity.known()
    below = underwater(known.values) if len(known.values) else known.values
    for ts, value, fall in zip(known.times.tolist(), known.values.tolist(), below.tolist(), strict=True):
        yield ts, when(ts), value, fall


def _structs(kind: type[msgspec.Struct], rows: Iterable[Any], *times: str) -> Table:
    names = list(kind.__struct_fields__)
    return names, ([_told(row, name, times) for name in names] for row in rows)


def _told(row: Any, name: str, times: tuple[str, ...]) -> Any:
    value = getattr(row, name)
    return when(value) if name in times else value
