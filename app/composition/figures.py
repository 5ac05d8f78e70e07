"""The figures that a session or a replay ends with, from the folds and the counts of its events."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.composition.world import World
from core.money import ZERO, money, plain


def figures(
    world: World, account: str, currency: str, counts: Mapping[str, int], start_equity: Decimal
) -> dict[str, Any]:
    """Return what reports and `--json` show: counts as numbers, money as text."""
    equity = world.account.equity(account, currency)
    return {
        "intents": counts.get("order_intended", 0),
        "refused": counts.get("risk_refused", 0),
        "commissions": plain(world.account.commissions(account, currency)),
        "start_equity": plain(money(start_equity)),
        "end_equity": None if equity is None else plain(money(equity)),
        "max_drawdown": plain(world.risk.drawdown_max(account, currency) or ZERO),
    }
