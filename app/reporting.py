"""What a run tells: the figures it holds, its refusals by rule, its equity over time, its assumptions.

Makes no numbers of its own but shares and sums of those in the run. Knows nothing of tables or JSON.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.events import AccountMarked, RiskRefused, StrategyFailed
from core.ports import Selection
from eventstore.runs import RunReader

_HOUR_NS = 3_600_000_000_000


class Report(msgspec.Struct, frozen=True):
    """The figures of a run; money as exact decimals, shares as fractions."""

    run: str
    period: str
    strategies: list[dict[str, Any]]
    assumptions: dict[str, Any]
    figures: dict[str, Any]
    refused_by_rule: dict[str, int]
    equity: list[tuple[int, Decimal | None]]
    failed: str | None
    """What a strategy raised and where, if that ended the run."""


def report(run: RunReader) -> Report:
    """Read a run's figures, its refusals by rule and its equity samples."""
    told = run.summary
    entries = [
        entry
        for batch in run.entries(Selection(types=frozenset({RiskRefused, AccountMarked, StrategyFailed})))
        for entry in batch
    ]
    refused: dict[str, int] = {}
    equity: list[tuple[int, Decimal | None]] = []
    failed: str | None = None
    for entry in entries:
        if isinstance(entry.event, RiskRefused):
            refused[entry.event.rule] = refused.get(entry.event.rule, 0) + 1
        elif isinstance(entry.event, AccountMarked):
            equity.append((entry.event.ts, entry.event.equity))
        elif isinstance(entry.event, StrategyFailed):
            failed = _failure(entry.event)
    return Report(
        run=run.id,
        period=str(told["period"]),
        strategies=list(told["strategies"]),
        assumptions=_assumptions(told),
        figures=_figures(told),
        refused_by_rule=dict(sorted(refused.items())),
        equity=equity,
        failed=failed,
    )


def _failure(event: StrategyFailed) -> str:
    return (
        f"strategy {event.strategy} raised in {event.handler} at {event.file}:{event.line} while processing "
        f"{event.input_type} {event.input_seq}: {event.error}"
    )


def _figures(told: dict[str, Any]) -> dict[str, Any]:
    start, end = told["start_equity"], told["end_equity"]
    profit = None if end is None else Decimal(end) - Decimal(start)
    keys: Sequence[str] = ("inputs", "intents", "refused", "orders", "fills", "commissions")
    return {
        "start_equity": start,
        "end_equity": end,
        "net_profit": profit,
        "return": None if profit is None or not Decimal(start) else float(profit / Decimal(start)),
        "max_drawdown": told["max_drawdown"],
        **{key: told.get(key) for key in keys},
        "run_hash": told["run_hash"],
        "decisions_hash": told["decisions_hash"],
    }


def _assumptions(told: dict[str, Any]) -> dict[str, Any]:
    given = told["options"]
    return {
        "fills": told["fill_model"],
        "commission": given["commission"],
        "risk_profile": told["risk_profile"],
        "latency_ms": given["latency_ms"],
        "partial_fills": given["partial_fills"],
        **{name: given[name] for name in ("slippage", "volume_share") if given.get(name)},
        "cash": f"{given['cash']} {given['currency']}",
        "hours": told.get("hours", "all"),
        "prices": told.get("prices", "raw"),
        "fill_forward": _fill_forward(told),
        "feeds": sorted({part["feed"] for part in told["parts"]}),
        "config_hash": told["config_hash"],
        "code_version": told["code_version"],
    }


def _fill_forward(told: dict[str, Any]) -> str:
    if not told["options"].get("data", {}).get("fill_forward", False):
        return "off"
    return f"{told['filled_forward']:,} bars" if told.get("filled_forward") else "none"


def by_hour(equity: Sequence[tuple[int, Decimal | None]]) -> list[tuple[int, Decimal | None, Decimal | None]]:
    """Return the last sample of each hour of event time, with its change since the hour before."""
    last: dict[int, tuple[int, Decimal | None]] = {}
    for ts, value in equity:
        last[ts // _HOUR_NS] = (ts, value)
    rows: list[tuple[int, Decimal | None, Decimal | None]] = []
    before: Decimal | None = None
    for ts, value in last.values():
        rows.append((ts, value, value - before if value is not None and before is not None else None))
        before = value
    return rows
