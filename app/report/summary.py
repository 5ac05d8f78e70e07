"""What a run says of itself at once: its head, the figures it holds, its assumptions.

Read from `run.json` alone, so that a replay can end with it: nothing here loads DuckDB or reads samples.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.events import StrategyFailed
from core.money import plain
from core.ports import entries_of
from eventstore.runs.reader import RunReader


class Summary(msgspec.Struct, frozen=True):
    """The head of a run and the figures that it holds; money as exact decimals, shares as fractions."""

    run: str
    period: str
    strategies: list[dict[str, Any]]
    assumptions: dict[str, Any]
    figures: dict[str, Any]
    failed: str | None
    """What a strategy raised and where, if that ended the run."""


def summarise(run: RunReader) -> Summary:
    """Return what a run says of itself."""
    told = run.summary
    return Summary(
        run=run.id,
        period=str(told["period"]),
        strategies=list(told["strategies"]),
        assumptions=_assumptions(told),
        figures=_figures(told),
        failed=_failure(run),
    )


def _failure(run: RunReader) -> str | None:
    for entry in entries_of(run, frozenset({StrategyFailed})):
        event = entry.event
        assert isinstance(event, StrategyFailed)
        return (
            f"strategy {event.strategy} raised in {event.handler} at {event.file}:{event.line} while "
            f"processing {event.input_type} {event.input_seq}: {event.error}"
        )
    return None


def _figures(told: dict[str, Any]) -> dict[str, Any]:
    start, end = told["start_equity"], told["end_equity"]
    profit = None if end is None or start is None else Decimal(end) - Decimal(start)
    keys: Sequence[str] = ("inputs", "intents", "refused", "orders", "fills", "commissions")
    return {
        "start_equity": start,
        "end_equity": end,
        "net_profit": profit,
        "return": float(profit / Decimal(start)) if profit is not None and Decimal(start) else None,
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
        "automatic_exits": told.get("exits", "none"),
        "latency_ms": given["latency_ms"],
        "partial_fills": given["partial_fills"],
        **{name: given[name] for name in ("slippage", "volume_share") if given.get(name)},
        "cash": _cash(given),
        "hours": told.get("hours", "all"),
        "prices": told.get("prices", "raw"),
        "fill_forward": _fill_forward(told),
        "feeds": sorted({part["feed"] for part in told["parts"]}),
        "config_hash": told["config_hash"],
        "code_version": told["code_version"],
    }


def _cash(given: dict[str, Any]) -> str:
    carried = given.get("carried")
    if carried is None:
        return f"{given['cash']} {given['currency']}"
    cash = ", ".join(f"{plain(Decimal(amount))} {currency}" for currency, amount in carried["cash"])
    held = [f"{plain(Decimal(p['quantity']))} {p['instrument']}" for p in carried["positions"]]
    count = len(carried.get("orders", ()))
    orders = [f"{count} open {'order' if count == 1 else 'orders'}"] if count else []
    left = f"; left: {', '.join(carried['left'])}" if carried.get("left") else ""
    return f"{', '.join([cash, *held, *orders])}, carried from {carried['source']}{left}"


def _fill_forward(told: dict[str, Any]) -> str:
    if not told["options"].get("data", {}).get("fill_forward", False):
        return "off"
    return f"{told['filled_forward']:,} bars" if told.get("filled_forward") else "none"
