"""A strategy that makes every kind of order message in a few minutes of a day, and ends flat."""

from truetape import Filled, Parameters, Strategy, Trade


class TidesParameters(Parameters, frozen=True):
    """`every` counts trades between two acts."""

    instrument: str = "ZVXA"
    every: int = 8


class Tides(Strategy[TidesParameters]):
    """Buy at the market, rest a limit and move it, cancel it, sell at the market; again and again."""

    def __init__(self, params: TidesParameters) -> None:
        super().__init__(params)
        self._seen = 0
        self._resting = ""

    def on_trade(self, trade: Trade) -> None:
        """Do the next act with each n-th trade."""
        self._seen += 1
        if self._seen % self.params.every:
            return
        act = self._seen // self.params.every % 5
        name = trade.instrument
        if act == 1:
            self.buy(name, 100, reason="in")
        elif act == 2:
            self._resting = self.sell(name, 50, limit=round(trade.price * 1.05, 2), reason="rest")
        elif act == 3 and self._works():
            self.modify(self._resting, limit=round(trade.price * 1.06, 2), reason="move")
        elif act == 4 and self._works():
            self.cancel(self._resting, reason="enough")
        elif act == 0 and self.position(name) > 0:
            self.sell(name, int(self.position(name)), reason="out")

    def on_fill(self, fill: Filled) -> None:
        """Count what came."""
        self.record("filled", float(fill.quantity))

    def _works(self) -> bool:
        order = self.order(self._resting)
        return order is not None and order.working
