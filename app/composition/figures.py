"""The figures that a session ends with, from the folds and the counts of its events.

They are those of the session, not of the account's whole life: what was paid and lost before it is left out.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.composition.world import World
from core.events import AccountMarked, CashAdjusted, Entry
from core.money import ZERO, money, plain
from projections.risk import Risk


class Began(msgspec.Struct, frozen=True):
    """What an account had when a session began: equity, and what it had paid in commissions by then."""

    equity: Decimal
    commissions: Decimal


def figures(
    world: World,
    account: str,
    currency: str,
    counts: Mapping[str, int],
    began: Began,
    facts: Iterable[Entry],
) -> dict[str, Any]:
    """Return what reports and `--json` show: counts as numbers, money as text.

    `facts` are the session's own entries, samples of equity and movements of cash among them.
    """
    equity = world.account.equity(account, currency)
    told = [
        e for e in facts if isinstance(e.event, AccountMarked | CashAdjusted) and e.event.account == account
    ]
    paid_in = sum((e.event.amount for e in told if isinstance(e.event, CashAdjusted)), ZERO)
    return {
        "intents": counts.get("order_intended", 0),
        "refused": counts.get("risk_refused", 0),
        "commissions": plain(money(world.account.commissions(account, currency) - began.commissions)),
        "start_equity": plain(money(began.equity + paid_in)),
        "end_equity": None if equity is None else plain(money(equity)),
        "max_drawdown": plain(_drawdown(world, account, currency, began.equity, told)),
    }


def _drawdown(world: World, account: str, currency: str, equity: Decimal, told: Iterable[Entry]) -> Decimal:
    """Return the deepest fall within the session: the account's own peak may lie before it."""
    risk = Risk(world.positions, world.account)
    if equity:
        risk.apply(Entry(0, None, 0, None, AccountMarked(0, account, currency, equity, ZERO)))
    for entry in told:
        risk.apply(entry)
    return risk.drawdown_max(account, currency) or ZERO
