"""What a split or a dividend makes of a resting order where prices are raw. Pure rules.

Two practices, by the option `action_orders`:

* `cancel`, that of Interactive Brokers: an order that rests over a split is cancelled, and a dividend
  changes nothing. Source: "Time in Force" in the documentation of its API: GTC orders are cancelled "if a
  corporate action on a security results in a stock split (forward or reverse)", and orders "will not be
  reduced for dividends".
* `adjust`, that of FINRA Rule 5330 ("Adjustment of Orders"): on the ex-date a forward split multiplies what
  is still to fill and divides prices, a reverse split cancels, and a cash dividend of a cent or more lowers
  limits of buys and stops of sells. That rule leaves limits of sells and stops of buys to the exchanges; here
  a split restates them too, as nobody would leave them.

Quantities are rounded down to whole units if they were whole, prices to valid ones away from the market:
down for what the rule speaks of, up for the rest.
"""

from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from core.matching.order import Resting
from core.money import CONTEXT, QUANTUM, divide, money, price
from core.price_steps import PriceSteps

ActionOrders = Literal["cancel", "adjust"]

_CENT = Decimal("0.01")
_LOWERED = {"BUY": ("LMT", "LIT"), "SELL": ("STP", "STP LMT", "TRAIL")}


def restated_quantity(quantity: Decimal, ratio: Decimal) -> Decimal:
    """Return a quantity after a split: `ratio` times as much, rounded down to whole units if it was whole."""
    more = CONTEXT.multiply(quantity, ratio)
    if quantity == quantity.to_integral_value():
        return money(more.to_integral_value(ROUND_FLOOR))
    return money(more.quantize(QUANTUM, ROUND_FLOOR, CONTEXT))


def split_order(order: Resting, ratio: Decimal, steps: PriceSteps) -> None:
    """Restate an order after a forward split of `ratio` new units for one; fills so far stay what they were.

    `allowed` becomes the whole quantity: of a bracket's child `Families` says less.
    """
    rest = CONTEXT.subtract(order.quantity, order.filled)
    order.quantity = order.allowed = CONTEXT.add(order.filled, restated_quantity(rest, ratio))
    _reprice(order, steps, lambda value: CONTEXT.divide(value, ratio))
    if order.trail is not None:
        order.trail = float(divide(price(order.trail), ratio))


def pay_dividend(order: Resting, dividend: Decimal, steps: PriceSteps) -> bool:
    """Lower the limit of a buy or the stop of a sell by a dividend; return whether it is such an order."""
    if dividend < _CENT or order.type not in _LOWERED[order.side]:
        return False
    _reprice(order, steps, lambda value: CONTEXT.subtract(value, dividend))
    return True


def is_priced(order: Resting) -> bool:
    """Return whether all prices of an order are above 0."""
    return all(value is None or value > 0 for value in (order.limit, order.stop))


def _reprice(order: Resting, steps: PriceSteps, change: Callable[[Decimal], Decimal]) -> None:
    """Change an order's prices, rounded away from the market: limits of buys down, their stops up."""
    buys = order.side == "BUY"
    touches = order.intent.type == "LIT"  # triggers on the limit's side
    if order.limit is not None:
        order.limit = _rounded(change(price(order.limit)), steps, down=buys)
    if order.stop is not None:
        order.stop = _rounded(change(price(order.stop)), steps, down=buys == touches)
        order.start = price(order.stop)


def _rounded(value: Decimal, steps: PriceSteps, *, down: bool) -> float:
    return float(steps.down(value) if down else steps.up(value))
