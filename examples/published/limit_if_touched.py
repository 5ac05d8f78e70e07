"""LEAN's LimitIfTouchedRegression: one limit-if-touched after the other, made smaller with each minute."""

from decimal import ROUND_HALF_EVEN, Decimal

from truetape import Bar, Parameters, Strategy


class LimitIfTouchedParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    quantity: int = 10
    sell_from: int = 9


class LimitIfTouched(Strategy[LimitIfTouchedParameters]):
    """Buy below the market before day 9 of the month, sell above it afterwards; give up at one share."""

    def on_bar(self, bar: Bar) -> None:
        name, price = bar.instrument, Decimal(repr(bar.close))
        sign = 1 if self.local_time(name).day < self.params.sell_from else -1
        working = self.working_orders(name)
        if not working:
            size = sign * self.params.quantity
            trigger, limit = price - sign * Decimal("0.25"), price - sign
            self.change(name, size, touch=trigger, limit=limit, tif="GTC", reason="waits for it")
            return
        (order,) = working
        if order.quantity == 1 and order.side == "BUY":
            self.cancel(order.id, reason="too small")
        elif order.stop is not None and order.quantity > 1:
            rounded = order.stop.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
            self.modify(order.id, quantity=order.quantity - 1, stop=rounded, reason="a minute is over")
