"""How an account stands against its limits now, without any order: what `state` and `status` show."""

from decimal import Decimal

import msgspec

from core.clock import MINUTE_NS
from core.money import ZERO, money
from core.risk.exposure import UnknownRate, account_risk
from core.risk.limits import Limits
from core.risk.rules import day_loss, fall_from
from core.risk.state import RiskState


class Standing(msgspec.Struct, frozen=True):
    """A rule's limit and present value, in currency, as a count or as a fraction; `None` is unknown."""

    rule: str
    limit: Decimal
    value: Decimal | None
    headroom: Decimal | None


def standings(account: str, state: RiskState, limits: Limits, ts: int) -> list[Standing]:
    """Return the limits that have a present value, in a fixed order; those of single orders have none."""
    equity = state.account.equity(account, state.currency)
    values = _values(account, state)
    gross = None if values is None else sum(values, ZERO)
    found: list[Standing] = []

    def shares(rule: str, cap: float | None, value: Decimal | None) -> None:
        if cap is not None and equity is not None:
            found.append(_standing(rule, equity * Decimal(repr(cap)), value))

    def amounts(rule: str, cap: float | None, value: Decimal | None) -> None:
        if cap is not None:
            found.append(_standing(rule, Decimal(repr(cap)), value))

    largest = None if values is None else max(values, default=ZERO)
    shares("max_position_size", limits.max_position_size, largest)
    shares("max_portfolio_risk", limits.max_portfolio_risk, gross)
    if limits.max_risk_to_stops is not None:
        shares("max_risk_to_stops", limits.max_risk_to_stops, to_stops(account, state))
    shares("buying_power", limits.max_leverage, gross)
    amounts("max_daily_loss", limits.max_daily_loss, _day_loss(account, state, equity))
    amounts("max_drawdown", limits.max_drawdown, _drawdown(account, state, equity))
    amounts("max_orders_per_minute", limits.max_orders_per_minute, _recent(account, state, ts))
    working = Decimal(sum(order.account == account for order in state.orders.working()))
    amounts("max_open_orders", limits.max_open_orders, working)
    return found


def to_stops(account: str, state: RiskState) -> Decimal | None:
    """Return what the open positions lose if every stop is hit; `None` if a price or rate is unknown."""
    if _values(account, state) is None:
        return None
    try:
        return money(account_risk(account, state))
    except UnknownRate:
        return None


def _standing(rule: str, limit: Decimal, value: Decimal | None) -> Standing:
    return Standing(
        rule,
        money(limit),
        None if value is None else money(value),
        None if value is None else money(limit - value),
    )


def _values(account: str, state: RiskState) -> list[Decimal] | None:
    """Return the size of each open position's value; `None` if one of them is unknown."""
    found: list[Decimal] = []
    for position in state.positions.open_positions():
        if position.account == account:
            value = state.account.market_value(position, state.currency)
            if value is None:
                return None
            found.append(value.copy_abs())
    return found


def _day_loss(account: str, state: RiskState, equity: Decimal | None) -> Decimal | None:
    pnl = state.history.day_pnl(account, state.currency)
    if pnl is None or equity is None:
        return None
    return day_loss(pnl, equity)


def _drawdown(account: str, state: RiskState, equity: Decimal | None) -> Decimal | None:
    peak = state.history.peak_equity(account, state.currency)
    if peak is None or equity is None:
        return None
    return fall_from(peak, equity)


def _recent(account: str, state: RiskState, ts: int) -> Decimal:
    return Decimal(sum(i.account == account for i in state.history.recent(ts - MINUTE_NS)))
