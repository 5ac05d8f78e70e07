"""A strategy that uses every type of order, every time in force, groups and brackets."""

from core.asking import Bracket
from truetape import Filled, Order, Parameters, Strategy, Subscription, Trade

SECOND = 1_000_000_000


class EveryParameters(Parameters, frozen=True):
    """`every` counts trades between two acts."""

    instrument: str = "ZVXA"
    every: int = 7


class Every(Strategy[EveryParameters]):
    """One act after the other, from the first trade of the day on; exits are moved and cancelled, too."""

    def __init__(self, params: EveryParameters) -> None:
        super().__init__(params)
        self._seen = 0
        self._acts = 0
        self._early = False
        self._bracket = Bracket("")
        self._resting: list[str] = []

    def subscriptions(self) -> list[Subscription]:
        """Hear one instrument."""
        return [Subscription(self.params.instrument)]

    def on_trade(self, trade: Trade) -> None:
        """Do the next act with each n-th trade."""
        if not self._early:
            self._early = True
            self._before_the_open(trade)
        self._seen += 1
        if self._seen % self.params.every == 0:
            first = (self._enter, self._move, self._singles, self._trails)
            acts = (*first, self._at_once, self._group, self._withdraw)
            acts[self._acts % len(acts)](trade.instrument, trade.price)
            self._acts += 1

    def on_fill(self, fill: Filled) -> None:
        """Keep what filled, so that a different fill shows."""
        self.record(f"{fill.side} {fill.instrument}", float(fill.price))

    def on_order(self, order: Order) -> None:
        """Hear of orders."""

    def _before_the_open(self, trade: Trade) -> None:
        name = trade.instrument
        self.buy(name, 10, tif="OPG", reason="at the open")
        self.buy(name, 10, limit=round(trade.price * 1.02, 2), tif="OPG", reason="at the open, at most")
        self.buy(name, 10, limit=round(trade.price * 1.05, 2), outside_rth=True, reason="before the open")
        self.sell(name, 10, at_close=True, reason="at the close")

    def _enter(self, name: str, price: float) -> None:
        side = "BUY" if self._acts % 2 else "SELL"
        sign = 1 if side == "BUY" else -1
        near, far = round(price + sign * 0.05, 2), round(price - sign * 0.05, 2)
        given = {"trail": 0.06} if self._acts % 3 == 0 else {"stop_loss": far}
        self._bracket = self.bracket(name, side, 30, take_profit=near, reason="in", **given)

    def _move(self, name: str, price: float) -> None:
        stop = self.order(self._bracket.stop_loss)
        if stop is not None and stop.working and stop.type == "TRAIL":
            self.modify(stop.id, trail=0.09, reason="wider")
        elif stop is not None and stop.working and stop.stop is not None:
            self.modify(
                stop.id, stop=round(price * (0.995 if stop.side == "SELL" else 1.005), 2), reason="wider"
            )
        far = self.bracket(
            name, "BUY", 20, limit=round(price * 0.9, 2), take_profit=round(price * 1.2, 2),
            stop_loss=round(price * 0.8, 2), tif="GTC", reason="far",
        )  # fmt: skip
        self._resting.append(far.entry)

    def _singles(self, name: str, price: float) -> None:
        above, below = round(price + 0.04, 2), round(price - 0.04, 2)
        self.buy(name, 5, stop=above, limit=round(price + 0.06, 2), reason="stop limit")
        self.buy(name, 5, touch=below, limit=round(price - 0.02, 2), reason="if touched")
        self.sell(name, 5, stop=below, reason="stop")
        self.buy(name, 5, limit=below, tif="GTD", good_till=self.now + 20 * SECOND, reason="for a while")

    def _trails(self, name: str, price: float) -> None:
        self.sell(name, 5, trail=0.05, reason="trail by an amount")
        self.sell(name, 5, trail_pct=0.001, reason="trail by a share")
        self.buy(name, 5, trail=0.05, stop=round(price + 0.04, 2), reason="trail from a price")

    def _at_once(self, name: str, price: float) -> None:
        self.buy(name, 5, limit=round(price - 1, 2), tif="IOC", reason="now or never")
        self.buy(name, 5, limit=round(price + 1, 2), tif="FOK", reason="all or nothing")
        self.sell(name, 5, tif="IOC", reason="now")

    def _group(self, name: str, price: float) -> None:
        pair = f"pair {self._acts}"
        self.buy(name, 5, limit=round(price - 0.03, 2), oca=pair, reason="lower")
        self._resting.append(self.sell(name, 5, limit=round(price + 0.03, 2), oca=pair, reason="higher"))

    def _withdraw(self, name: str, price: float) -> None:
        for order in self._resting:
            known = self.order(order)
            if known is not None and known.working:
                self.cancel(order, reason="enough")
        self._resting.clear()
        profit = self.order(self._bracket.take_profit)
        if profit is not None and profit.working:
            self.cancel(profit.id, reason="let it run")
