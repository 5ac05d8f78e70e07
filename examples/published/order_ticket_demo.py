"""LEAN's OrderTicketDemo: each type of order once, pairs of them moved towards the market every minute."""

from collections.abc import Iterable
from decimal import Decimal

from truetape import Bar, Order, Parameters, Strategy, Subscription

CENT = Decimal("0.01")


class OrderTicketDemoParameters(Parameters, frozen=True):
    instrument: str = "SPY"


class OrderTicketDemo(Strategy[OrderTicketDemoParameters]):
    """Market, limit, stop, stop-limit, on-open and on-close orders, changed and cancelled on the way."""

    pair: tuple[str, str] | None = None
    at_open = at_close = ""

    def subscriptions(self) -> Iterable[Subscription]:
        return [Subscription(self.params.instrument, resolution="minute")]

    def on_bar(self, bar: Bar) -> None:
        name, price, time = bar.instrument, Decimal(repr(bar.close)), self.local_time(bar.instrument)
        now = f"{time:%d %H:%M}"
        if now == "07 09:31":
            for _ in range(2):
                self.buy(name, 10, tif="GTC", reason="market")
        elif now == "07 12:00":
            self.place_pair(limit=(price * Decimal("0.999"), price * Decimal("1.001")))
        elif now == "07 16:00":
            self.place_pair(stop=(price * Decimal("1.0025"), price * Decimal("0.9975")))
        elif now == "08 12:01":
            stops = (price * Decimal("1.001"), price * Decimal("0.999"))
            self.place_pair(stop=stops, limit=(price - 3 * CENT, price + 3 * CENT))
        self.tend_pair()
        self.trade_open_and_close(name, now)

    def trade_open_and_close(self, name: str, now: str) -> None:
        if now == "08 14:00":
            self.at_open = self.buy(name, 50, tif="OPG", reason="on open")
        elif now == "09 12:00":
            self.at_close = self.buy(name, 2 * self.position(name) or 100, at_close=True, reason="on close")
        elif now == "11 15:45" and self.position(name):
            self.sell(name, self.position(name), at_close=True, reason="the end")
        if now.endswith(":59"):
            for order in filter(None, map(self.order, (self.at_open, self.at_close))):
                if order.working:
                    self.modify(order.id, quantity=order.quantity + 1, reason="one more")

    def place_pair(self, **prices: tuple[Decimal, Decimal]) -> None:
        """Place a pair, a step nearer to the market already: there it is moved in the minute it is placed."""
        name, steps = self.params.instrument, {"limit": CENT, "stop": -CENT}
        bought = {kind: both[0] + steps[kind] for kind, both in prices.items()}
        sold = {kind: both[1] - steps[kind] for kind, both in prices.items()}
        terms = {"tif": "GTC", "reason": "pair"}
        self.pair = (self.buy(name, 10, **bought, **terms), self.sell(name, 10, **sold, **terms))  # type: ignore[arg-type]

    def tend_pair(self) -> None:
        orders = [self.order(order) for order in self.pair or ()]
        both = [order for order in orders if order is not None]
        if len(both) < 2:
            return
        if any(order.state == "Filled" for order in both):
            for order in both:
                if order.working:
                    self.cancel(order.id, reason="the other one filled")
            self.pair = None
            return
        for order, sign in zip(both, (1, -1), strict=True):
            self.modify(order.id, reason="closer", **closer(order, sign * CENT))  # type: ignore[arg-type]


def closer(order: Order, step: Decimal) -> dict[str, Decimal]:
    """Return the order's prices a step nearer to the market: limits by it, stops against it."""
    prices = {}
    if order.limit is not None:
        prices["limit"] = order.limit + step
    if order.stop is not None:
        prices["stop"] = order.stop - step
    return prices
