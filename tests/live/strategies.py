"""Strategies for demos: what they do is in the rules, what matters is that a replay does the same."""

from decimal import Decimal

from truetape import Filled, Order, Parameters, Quote, Strategy, Subscription, TimerFired, Trade


class OneInstrument(Parameters, frozen=True):
    instrument: str = "ZVXA"


class Resting(Strategy[OneInstrument]):
    """Limits and stops on both sides that follow the market, are changed in size, and are withdrawn."""

    trades = 0
    ids: tuple[str, ...] = ()

    def on_trade(self, trade: Trade) -> None:
        self.trades += 1
        name, price = trade.instrument, trade.price
        if self.trades % 40 == 1:
            for order in self.working_orders():
                self.cancel(order.id, reason="again")
            self.ids = (
                self.buy(name, 100, limit=round(price - 0.02, 2), reason="below"),
                self.sell(name, 100, limit=round(price + 0.03, 2), reason="above"),
                self.buy(name, 50, stop=round(price + 0.06, 2), reason="breakout"),
                self.sell(name, 50, stop=round(price - 0.05, 2), reason="breakdown"),
            )
        elif self.trades % 40 == 15:
            for order in self.working_orders():
                if order.type == "LMT":
                    nearer = Decimal("0.01") if order.side == "BUY" else Decimal("-0.01")
                    self.modify(order.id, limit=(order.limit or 0) + nearer, reason="nearer")
                else:
                    self.modify(order.id, quantity=order.quantity + 10, reason="larger")

    def on_order(self, order: Order) -> None:
        if order.state == "Cancelled":
            self.record("cancelled", 1.0)


class Timed(Strategy[OneInstrument]):
    """Trades by the clock alone: a timer that repeats, one at a time of day, one that is moved."""

    started = False

    def on_quote(self, quote: Quote) -> None:
        if not self.started and self.quotes.bid(quote.instrument) is not None:
            self.started = True
            self.set_timer("repeat", after_s=37.5)
            self.set_clock_timer("open", quote.instrument, "09:31")

    def on_timer(self, timer: TimerFired) -> None:
        name = self.params.instrument
        if timer.name == "open":
            self.buy(name, 10, reason="at the time")
            return
        held = self.position(name)
        if held > 0:
            self.sell(name, held, reason="odd")
        else:
            self.buy(name, 20, reason="even")
        self.set_timer("repeat", after_s=37.5)


class Pair(Strategy[Parameters]):
    """Two instruments, one of them the future: each fill in one leads to an order in the other."""

    done = 0

    def subscriptions(self) -> list[Subscription]:
        return [Subscription("ZVXB"), Subscription("ZVF-202509")]

    def on_trade(self, trade: Trade) -> None:
        if trade.instrument == "ZVXB" and not self.working_orders() and self.done < 40:
            self.done += 1
            side = self.buy if self.position("ZVXB") <= 0 else self.sell
            side("ZVXB", 30, limit=trade.price, reason="at the last price")

    def on_fill(self, fill: Filled) -> None:
        if fill.instrument == "ZVXB":
            (self.sell if fill.side == "BUY" else self.buy)("ZVF-202509", 1, reason=f"against {fill.side}")


class Early(Strategy[OneInstrument]):
    """Buys at once, and leaves two orders that rest."""

    done = False

    def on_trade(self, trade: Trade) -> None:
        if not self.done:
            self.done = True
            self.buy(trade.instrument, 100, outside_rth=True, reason="at once")
            self.buy(trade.instrument, 10, limit=round(trade.price * 0.9, 2), reason="rests")
            self.sell(trade.instrument, 10, limit=round(trade.price * 1.1, 2), reason="rests")


class Steady(Strategy[OneInstrument]):
    """Buys and sells in turn, and keeps one order that rests."""

    trades = 0

    def on_trade(self, trade: Trade) -> None:
        self.trades += 1
        working = self.working_orders()
        if not any(order.type == "LMT" for order in working):
            self.buy(trade.instrument, 5, limit=round(trade.price * 0.9, 2), reason="rests")
        if self.trades % 8 == 0 and not any(order.type == "MKT" for order in working):
            held = self.position(trade.instrument)
            if held > 0:
                self.sell(trade.instrument, held, reason="out")
            else:
                self.buy(trade.instrument, 10, reason="in")


class Broken(Strategy[OneInstrument]):
    """Raises at its third trade."""

    trades = 0

    def on_trade(self, trade: Trade) -> None:
        self.trades += 1
        if self.trades == 3:
            raise ValueError("as planned")


class Guarded(Strategy[OneInstrument]):
    """One bracket, whose exits are far away."""

    entered = False

    def on_trade(self, trade: Trade) -> None:
        if not self.entered:
            self.entered = True
            far = {"take_profit": round(trade.price * 1.2, 2), "stop_loss": round(trade.price * 0.8, 2)}
            self.bracket(trade.instrument, "BUY", 100, reason="in", **far)
