"""What makes an order well formed: which prices, times and companions each type of order takes.

Pure rules for new orders, their later versions and brackets. A defect is a refusal in words, never an
exception: a strategy that asks for something impossible is told so, and its run goes on.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

import msgspec

from core.errors import UsageError
from core.events import ModifyIntended, OrderIntended, OrderType, TimeInForce
from core.money import ZERO, plain
from core.views import Order


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why not: the rule, its limit, the value that would break it, a sentence, what is left of the limit."""

    rule: str
    limit: str
    value: str
    message: str
    headroom: str = ""


EXIT_PREFIX = "exit-"
"""What ids of automatic exits begin with."""
DAY_STOP = "daystop-"
"""What ids of orders begin with that close a strategy's positions at the day's loss limit."""
CLOSING = "close"
"""What ids of orders begin with that close positions after a halt."""
STOPS = frozenset({"STP", "STP LMT", "TRAIL"})
"""The types that end a position when the market goes against it."""


def is_exit(order: str) -> bool:
    """Return whether an order id is that of an automatic exit, which only reduces what its strategy holds."""
    return order.startswith(EXIT_PREFIX)


def strategy_of(order: str) -> str:
    """Return the strategy that an order's id names; empty for what closes positions after a halt."""
    name = order.removeprefix(EXIT_PREFIX).removeprefix(DAY_STOP).rsplit("-", 2)
    return name[0] if len(name) == 3 and name[0] != CLOSING else ""


PRICES: Mapping[OrderType, frozenset[str]] = MappingProxyType(
    {
        "MKT": frozenset(),
        "LMT": frozenset({"limit"}),
        "STP": frozenset({"stop"}),
        "STP LMT": frozenset({"limit", "stop"}),
        "TRAIL": frozenset(),
        "LIT": frozenset({"limit", "stop"}),
        "MOC": frozenset(),
    }
)
"""The prices that each type needs. Others must be absent, but a `TRAIL` may name where its stop starts."""

TIMES: Mapping[TimeInForce, frozenset[OrderType]] = MappingProxyType(
    {
        "IOC": frozenset({"MKT", "LMT"}),
        "FOK": frozenset({"MKT", "LMT"}),
        "OPG": frozenset({"MKT", "LMT"}),
    }
)
"""The types that may have a time in force; any other time in force goes with every type."""


def order_type(
    limit: object, stop: object, *, touch: object = None, trails: bool = False, at_close: bool = False
) -> OrderType:
    """Return the type that the given prices make; raises `UsageError` for `stop` together with `touch`."""
    if touch is not None and stop is not None:
        raise UsageError("an order has a stop or a touch price, not both: both would be its trigger")
    if at_close:
        return "MOC"
    if trails:
        return "TRAIL"
    if touch is not None:
        return "LIT"
    if stop is not None:
        return "STP" if limit is None else "STP LMT"
    return "MKT" if limit is None else "LMT"


def order_defect(intent: OrderIntended) -> Refusal | None:
    """Return what is wrong with a new order by itself, or `None`."""
    return (
        _quantity(intent.quantity)
        or _prices(intent, intent.type)
        or _time(intent.tif, intent.type, intent.good_till, intent.ts)
    )


def version_defect(intent: ModifyIntended, order: Order) -> Refusal | None:
    """Return what is wrong with a new version of an order, or `None`; `order` has it already."""
    found = _quantity(intent.quantity) or _prices(intent, order.type)
    if found is None and (intent.tif is not None or intent.good_till is not None):
        found = _new_time(intent, order)
    return found


LASTING: frozenset[TimeInForce] = frozenset({"DAY", "GTC", "GTD"})
"""The times in force of orders that rest; only between these may a change choose."""


def _new_time(intent: ModifyIntended, order: Order) -> Refusal | None:
    if intent.tif is not None and intent.tif not in LASTING:
        message = f"an order at work cannot become {intent.tif}: only DAY, GTC and GTD can be chosen"
        return Refusal("tif", "DAY, GTC or GTD", intent.tif, message)
    till = order.good_till if intent.good_till is None else intent.good_till
    return _time(order.tif, order.type, till, intent.ts)


def _prices(terms: OrderIntended | ModifyIntended, kind: OrderType) -> Refusal | None:
    needed = PRICES[kind]
    if kind == "TRAIL":
        return _trail(terms)
    for name in ("limit", "stop", "trail", "trail_pct"):
        value: Decimal | None = getattr(terms, name)
        if value is None:
            if name in needed:
                return Refusal("price", f"a {name} price", "none", f"{kind}: needs a {name} price")
        elif name not in needed:
            message = f"{kind}: takes no {name}, but {plain(value)} was given"
            return Refusal("price", f"no {name}", plain(value), message)
        elif not ZERO < value <= PRICE_MAX:
            return _no_price(f"{name} price", value)
    return None


def bracket_defect(
    parent: OrderIntended, children: Sequence[OrderIntended], mark: Decimal | None = None
) -> Refusal | None:
    """Return what is wrong with a bracket, or `None`: a defect of any of its orders is one of the whole.

    The take-profit must lie beyond the entry and the stop-loss before it. `mark` is the last price, which
    stands for that of a market entry; without one only the two exits are compared.
    """
    for intent in (parent, *children):
        found = order_defect(intent)
        if found is not None:
            return found
    sign = 1 if parent.side == "BUY" else -1
    entry = parent.limit if parent.limit is not None else parent.stop
    at = "the entry"
    if parent.type == "MKT":
        entry, at = mark, "the last price"
    profit = next((c.limit for c in children if c.type == "LMT"), None)
    loss = next((c.stop for c in children if c.type != "LMT"), None)
    for low, high, low_name, high_name in (
        (entry, profit, at, "the take-profit"),
        (loss, entry, "the stop-loss", at),
        (loss, profit, "the stop-loss", "the take-profit"),
    ):
        if low is not None and high is not None and (high - low) * sign <= 0:
            side = "above" if sign > 0 else "below"
            message = (
                f"{high_name} at {plain(high)} must be {side} {low_name} at {plain(low)} "
                f"for a bracket that {'buys' if sign > 0 else 'sells'}"
            )
            return Refusal("bracket", f"{side} {plain(low)}", plain(high), message)
    return None


QUANTITY_MAX = Decimal(10**12)
PRICE_MAX = Decimal(10**12)
"""More than these are a mistake in whatever worked them out: no market has them."""


def _quantity(quantity: Decimal) -> Refusal | None:
    if ZERO < quantity <= QUANTITY_MAX:
        return None
    value = plain(quantity)
    if quantity > QUANTITY_MAX:
        message = f"a quantity of {value} is beyond any market: at most {plain(QUANTITY_MAX)}"
        return Refusal("quantity", plain(QUANTITY_MAX), value, message)
    return Refusal("quantity", "above 0", value, f"a quantity of {value} is no order")


def _trail(terms: OrderIntended | ModifyIntended) -> Refusal | None:
    given = [value for value in (terms.trail, terms.trail_pct) if value is not None]
    if len(given) != 1:
        return Refusal("price", "one distance", str(len(given)), "TRAIL: needs either trail or trail_pct")
    if not ZERO < given[0] <= PRICE_MAX:
        return _no_price("trail", given[0])
    if terms.trail_pct is not None and terms.trail_pct >= 1:
        value = plain(terms.trail_pct)
        message = f"TRAIL: trail_pct is a fraction such as 0.05, not {value}"
        return Refusal("price", "a fraction below 1", value, message)
    if terms.limit is not None:
        return Refusal("price", "no limit", plain(terms.limit), "TRAIL: takes no limit")
    if terms.stop is not None and not ZERO < terms.stop <= PRICE_MAX:
        return _no_price("stop price", terms.stop)
    return None


def _time(tif: TimeInForce, kind: OrderType, good_till: int | None, ts: int) -> Refusal | None:
    if kind == "MOC" and tif != "DAY":
        return Refusal("tif", "DAY", tif, f"MOC: is of the day by itself; {tif} was given")
    if tif in TIMES and kind not in TIMES[tif]:
        allowed = " or ".join(sorted(TIMES[tif]))
        return Refusal("tif", allowed, kind, f"{tif}: goes with {allowed} orders, not with {kind}")
    if tif == "GTD" and good_till is None:
        return Refusal("tif", "a good_till time", "none", "GTD: needs good_till=, a time in ns UTC")
    if good_till is None:
        return None
    if tif != "GTD":
        return Refusal("tif", "GTD", tif, f"good_till: goes with tif GTD, not with {tif}")
    if good_till <= ts:
        return Refusal("tif", "a time ahead", str(good_till), "GTD: good_till is in the past")
    return None


def _no_price(name: str, price: Decimal) -> Refusal:
    if price > PRICE_MAX:
        message = f"a {name} of {plain(price)} is beyond any market: at most {plain(PRICE_MAX)}"
        return Refusal("price", plain(PRICE_MAX), plain(price), message)
    return Refusal("price", "above 0", plain(price), f"a {name} of {plain(price)} is no price")
