"""The lines of a report: what each figure is called, how it is shown, and under which heading.

One table drives the terminal, CSV, HTML, the comparison and the documentation. Owns no figure.
"""

from decimal import Decimal
from typing import Any

import msgspec

from app.values import cell, when
from core.clock import SECOND_NS

NONE = "–"
_DAY_S = 86_400


class Line(msgspec.Struct, frozen=True):
    """A figure: its key in `--json`, its label, and its kind (`money`, `share`, `ratio`, `count`, …)."""

    key: str
    label: str
    kind: str


class Section(msgspec.Struct, frozen=True):
    """Figures under one heading."""

    title: str
    lines: tuple[Line, ...]


def _section(title: str, *lines: tuple[str, str, str]) -> Section:
    return Section(title, tuple(Line(*line) for line in lines))


SECTIONS = (
    _section(
        "Run",
        ("period", "period", "text"),
        ("sessions", "trading days", "count"),
        ("inputs", "inputs", "count"),
        ("content_hash", "content of the log", "text"),
        ("config_hash", "configuration", "text"),
        ("run_hash", "hash of the run", "text"),
        ("decisions_hash", "hash of the decisions", "text"),
        ("fill_model", "fill model", "text"),
        ("seed", "seed", "count"),
    ),
    _section(
        "Results",
        ("start_equity", "equity at the start", "money"),
        ("end_equity", "equity at the end", "money"),
        ("net_profit", "net profit", "money"),
        ("return", "return", "share"),
        ("annual_return", "annual return (CAGR)", "share"),
        ("volatility", "volatility", "share"),
        ("sharpe", "Sharpe ratio", "ratio"),
        ("sortino", "Sortino ratio", "ratio"),
        ("calmar", "Calmar ratio", "ratio"),
        ("max_drawdown", "maximum drawdown", "share"),
        ("lean_drawdown", "the same, as LEAN has it", "share"),
        ("drawdown_length", "its length", "length"),
        ("drawdown_recovered", "made good", "yes"),
        ("time_in_market", "time in market", "share"),
    ),
    _section(
        "Trades",
        ("trades", "round trips", "count"),
        ("win_rate", "win rate", "share"),
        ("average_win", "average win", "money"),
        ("average_loss", "average loss", "money"),
        ("largest_win", "largest win", "money"),
        ("largest_loss", "largest loss", "money"),
        ("profit_factor", "profit factor", "ratio"),
        ("expectancy", "expectancy", "money"),
    ),
    _section(
        "Costs",
        ("turnover", "turnover a day", "share"),
        ("traded_value", "value traded", "money"),
        ("commissions", "commissions", "money"),
        ("slippage", "slippage against arrival", "money"),
        ("slippage_bps", "the same, basis points", "ratio"),
        ("slippage_measured", "fills it is known of", "share"),
    ),
    _section(
        "Orders",
        ("intents", "intents", "count"),
        ("refused", "refused by risk rules", "count"),
        ("orders", "orders at the broker", "count"),
        ("acknowledged", "acknowledged", "count"),
        ("rejected", "rejected by the broker", "count"),
        ("modifications", "modifications", "count"),
        ("cancelled", "cancelled", "count"),
        ("filled_orders", "filled, at least in part", "count"),
        ("fills", "fills", "count"),
    ),
)
LINES = {line.key: line for section in SECTIONS for line in section.lines}


def shown(key: str, value: Any) -> str:
    """Return a figure for people; what is unknown is a dash."""
    return shown_as(LINES[key].kind, value)


def changed(key: str, change: Any) -> str:
    """Return a difference of two values of a figure for people, with its sign."""
    kind = LINES[key].kind
    if change is None:
        return NONE if kind != "text" else ""
    if kind == "length":
        return f"-{length(-change)}" if change < 0 else length(change)
    text = shown_as(kind, change)
    return text if text.startswith("-") or not text.strip("0.,%") else f"+{text}"


def shown_as(kind: str, value: Any) -> str:
    """Return a value of a kind for people."""
    if value is None:
        return NONE
    match kind:
        case "money":
            return _money(Decimal(str(value)))
        case "share":
            return _without_minus_zero(f"{Decimal(str(value)):,.3%}")
        case "ratio":
            return _without_minus_zero(f"{value:,.2f}")
        case "count":
            return f"{value:,}"
        case "length":
            return length(value)
        case "time":
            return when(value)
        case _:
            return cell(value) or NONE


def _money(value: Decimal) -> str:
    return _without_minus_zero(f"{value:,.2f}")


def _without_minus_zero(text: str) -> str:
    return text if text.strip("-0.,%") else text.removeprefix("-")


def length(ns: int) -> str:
    """Return a length of time in its two largest units."""
    seconds = ns // SECOND_NS
    parts = [
        (seconds // _DAY_S, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    ]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
