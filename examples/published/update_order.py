"""LEAN's UpdateOrderRegression: each month another type of order, enlarged, moved, at last cancelled."""

from typing import Any

from truetape import Bar, Parameters, Strategy


class UpdateOrderParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"


class UpdateOrder(Strategy[UpdateOrderParameters]):
    """Seven types in turn, sold in one round and bought in the next."""

    month, months, asked = 0, 0, ""

    def on_bar(self, bar: Bar) -> None:
        time, order = self.local_time(bar.instrument), self.order(self.asked)
        if time.month != self.month:
            self.asked = self.place(bar, self.months % 7, 1 if self.months // 7 % 2 else -1)
            self.month, self.months = time.month, self.months + 1
        elif order is not None and order.working:
            share = 0.005 if order.side == "BUY" else -0.005
            if 8 < time.day < 14 and order.version == 1:
                self.modify(order.id, quantity=order.quantity + 10, reason="larger")
            elif 13 < time.day < 20 and order.version == 2:
                limit, stop = bar.close * (1 - share), bar.close * (1 + share)
                self.modify(order.id, limit=order.limit and limit, stop=order.stop and stop, reason="moved")
            elif not 8 < time.day < 20 and order.version == 3:
                self.cancel(order.id, reason="still open")

    def place(self, bar: Bar, kind: int, sign: int) -> str:
        far, near = (bar.high, bar.low) if sign > 0 else (bar.low, bar.high)
        nearer, stop = 1 - sign * 0.025, far * (1 + sign * 0.025) if kind in (2, 3, 6) else None
        limit = near * nearer if kind == 1 else stop * nearer if stop and kind == 3 else None
        terms: dict[str, Any] = {"trail_pct": 0.01} if kind == 6 else {"at_close": kind == 5}
        terms |= {"tif": {4: "OPG", 5: "DAY"}.get(kind, "GTC"), "outside_rth": kind == 0}
        return self.change(bar.instrument, sign * 100, limit=limit, stop=stop, reason="monthly", **terms)
