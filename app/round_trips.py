"""Round trips: from flat to flat again, per strategy and instrument, with what each earned after commissions.

Derived from fills alone, exact. An open position is no trade yet and is left out. A fill that turns a
position around ends one round trip and begins the next; its commission is shared by quantity.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core.money import CONTEXT, ZERO, money
from core.views import Execution


class RoundTrip(msgspec.Struct, frozen=True):
    """One closed trade; `profit` is in the instrument's currency, net of commissions. Times are ns UTC."""

    strategy: str
    instrument: str
    side: str
    opened_ts: int
    closed_ts: int
    profit: Decimal


class _Open(msgspec.Struct):
    side: str
    opened_ts: int
    quantity: Decimal = ZERO
    flow: Decimal = ZERO


def round_trips(fills: Iterable[Execution], multipliers: Mapping[str, Decimal]) -> list[RoundTrip]:
    """Return the closed trades of fills in time order, by the time at which they were closed."""
    open_trades: dict[tuple[str, str], _Open] = {}
    closed: list[RoundTrip] = []
    for fill in fills:
        key = (fill.strategy, fill.instrument)
        left = fill.quantity if fill.side == "BUY" else -fill.quantity
        while left:
            trade = open_trades.setdefault(key, _Open("long" if left > 0 else "short", fill.ts))
            against = trade.quantity * left < 0
            part = max(-trade.quantity, left, key=lambda q: -abs(q)) if against else left
            _take(trade, part, fill, multipliers.get(fill.instrument, Decimal(1)))
            left -= part
            if not trade.quantity:
                closed.append(RoundTrip(*key, trade.side, trade.opened_ts, fill.ts, money(trade.flow)))
                del open_trades[key]
    return closed


def _take(trade: _Open, part: Decimal, fill: Execution, multiplier: Decimal) -> None:
    value = CONTEXT.multiply(CONTEXT.multiply(part, fill.price), multiplier)
    paid = CONTEXT.divide(CONTEXT.multiply(fill.commission or ZERO, abs(part)), fill.quantity)
    trade.quantity = CONTEXT.add(trade.quantity, part)
    trade.flow = CONTEXT.subtract(CONTEXT.subtract(trade.flow, value), paid)


def statistics(trades: Iterable[RoundTrip]) -> dict[str, Any]:
    """Return counts, win rate, average win and loss, and profit factor; `None` where nothing divides."""
    profits = [trade.profit for trade in trades]
    wins = [profit for profit in profits if profit > 0]
    losses = [profit for profit in profits if profit < 0]
    gain, loss = sum(wins, ZERO), sum(losses, ZERO)
    return {
        "trades": len(profits),
        "win_rate": len(wins) / len(profits) if profits else None,
        "average_win": money(gain / len(wins)) if wins else None,
        "average_loss": money(loss / len(losses)) if losses else None,
        "profit_factor": float(gain / -loss) if losses else None,
    }
