"""LEAN's OrderTicketDemo: each type of order once, pairs of them moved towards the market every minute."""

from decimal import Decimal

from truetape import Bar, Order, Parameters, Strategy


class OrderTicketDemoParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class OrderTicketDemo(Strategy[OrderTicketDemoParameters]):
    """Orders by the clock. Pairs begin a cent nearer: there, they move in the minute they are placed."""

    def on_bar(self, bar: Bar) -> None:
        name, now = bar.instrument, f"{self.local_time(bar.instrument):%d %H:%M}"
        price, orders = Decimal(repr(bar.close)), self.working_orders(name)
        for order in orders:
            self.tend(order, alone=[o.tif for o in orders].count("GTC") < 2, last=now.endswith(":59"))
        for sign in (1, -1):
            cent, mille = sign * Decimal("0.01"), sign * price / 1000
            limit = {"07 12:00": price - mille + cent, "08 12:01": price - 2 * cent}.get(now)
            stop = {"07 16:00": price + mille * 5 / 2 - cent, "08 12:01": price + mille - cent}.get(now)
            if limit or stop or now == "07 09:31":
                size = 10 * sign if limit or stop else 10
                self.change(name, size, limit=limit, stop=stop, tif="GTC", reason="by the clock")
        if now == "08 14:00":
            self.buy(name, 50, tif="OPG", reason="on open")
        elif now in ("09 12:00", "11 15:45"):
            self.change(name, 2 * self.position(name) or 100, at_close=True, reason="on close")

    def tend(self, order: Order, *, alone: bool, last: bool) -> None:
        paired, cent = order.tif == "GTC", Decimal("0.01" if order.side == "BUY" else "-0.01")
        more = order.quantity + (0 if paired else 1)
        limit, stop = order.limit and order.limit + cent, order.stop and order.stop - cent
        if paired and alone:
            self.cancel(order.id, reason="the other one filled")
        elif paired or last:
            self.modify(order.id, quantity=more, limit=limit, stop=stop, reason="a minute is over")
