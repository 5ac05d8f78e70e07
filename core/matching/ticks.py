"""Tick mode: fills on trades and quotes.

A *market* order fills at the best opposite quote after the next market event of its instrument following
its arrival; at the trade, where there are no quotes. A *limit* fills when the opposite best reaches it, or
a trade prints through it: at the opposite best if that is so on the first event it meets (it takes), at
its own price afterwards (it rested). A *stop* triggers on a trade at or through its price and then is a
market order, a *stop-limit* a limit order that has just arrived. A *trailing stop* follows each trade at
its distance. A *limit-if-touched* triggers on a trade at its trigger or better, and then is a limit order.
"""

from core.events import Event, Trade
from core.matching.model import Trigger
from core.matching.order import Resting
from core.views import BookView

_PLAIN = frozenset({"MKT", "LMT"})


def match_tick(order: Resting, event: Event, book: BookView, trigger: Trigger = "trades") -> float | None:
    """Return the price at which `order` fills on a tick of its instrument, or `None`.

    `book` holds the prices after `event`. A limit is marked as no longer fresh, and an order that triggers
    changes its type.
    """
    trade = event if isinstance(event, Trade) else None
    triggers = order.type not in _PLAIN
    if triggers:
        if not _triggers(order, trade, book, trigger):
            return None
        order.type = "LMT" if order.type in ("STP LMT", "LIT") else "MKT"
    if trade is not None and book.feed is None:  # nobody quotes
        best: float | None = trade.price
    else:
        best = book.ask if order.side == "BUY" else book.bid
    if order.type == "MKT":
        return best
    fresh, order.fresh = order.fresh or triggers, False
    # What triggers an order does not print through its limit as well.
    return _at_limit(order, best, None if triggers else trade, fresh=fresh)


def _at_limit(order: Resting, best: float | None, trade: Trade | None, *, fresh: bool) -> float | None:
    buys, limit = order.side == "BUY", order.limit
    assert limit is not None
    if best is not None and (best <= limit if buys else best >= limit):
        return best if fresh else limit
    if trade is not None and (trade.price < limit if buys else trade.price > limit):
        return limit
    return None


def pass_by(order: Resting, event: Event, book: BookView, trigger: Trigger = "trades") -> None:
    """Let an order that waits for its trigger see a tick: it triggers or follows, and never fills."""
    trade = event if isinstance(event, Trade) else None
    if order.type not in _PLAIN and _triggers(order, trade, book, trigger):
        order.type = "LMT" if order.type in ("STP LMT", "LIT") else "MKT"


def match_open(event: Event) -> float | None:
    """Return the opening price that an event shows: a trade's; `None` for a quote, which opens nothing."""
    return event.price if isinstance(event, Trade) else None


def closing_price(order: Resting, book: BookView, since: int) -> float | None:
    """Return the price of a market-on-close: the last trade since `since`, else the best opposite quote."""
    last = book.last
    if last is not None and last.ts >= since:
        return last.price
    return book.ask if order.side == "BUY" else book.bid


def satisfies(order: Resting, price: float) -> bool:
    """Return whether `price` is as good as the order's limit, if it has one."""
    if order.limit is None:
        return True
    return price <= order.limit if order.side == "BUY" else price >= order.limit


def start_trail(order: Resting, price: float | None) -> None:
    """Put a trailing stop that names no start at its distance from `price`."""
    if order.type == "TRAIL" and order.stop is None and price is not None:
        order.stop = _behind(order, price)


def follow(order: Resting, price: float) -> None:
    """Move a trailing stop up to its distance from `price`; it never moves away from the market."""
    stop = _behind(order, price)
    if order.stop is None or (stop < order.stop if order.side == "BUY" else stop > order.stop):
        order.stop = stop


def _behind(order: Resting, price: float) -> float:
    if order.trail is not None:
        distance = order.trail
    else:
        assert order.trail_pct is not None
        distance = price * order.trail_pct
    # A double's last digits are no price: 8 decimals are what orders have.
    return round(price + distance if order.side == "BUY" else price - distance, 8)


def _triggers(order: Resting, trade: Trade | None, book: BookView, trigger: Trigger) -> bool:
    buys = order.side == "BUY"
    price: float | None
    if trigger == "quotes" and book.feed is not None:
        price = book.ask if buys else book.bid
    else:
        price = None if trade is None else trade.price
    if price is None:
        return False
    if order.type == "TRAIL":
        if order.stop is not None and (price >= order.stop if buys else price <= order.stop):
            return True
        follow(order, price)
        return False
    assert order.stop is not None
    if order.type == "LIT":
        return price <= order.stop if buys else price >= order.stop
    return price >= order.stop if buys else price <= order.stop
