"""A strategy that enters by brackets and little else, and ends flat."""

from core.asking import Bracket
from truetape import Parameters, Strategy, Trade


class BracketsParameters(Parameters, frozen=True):
    """`every` counts trades between two acts."""

    instrument: str = "ZVXA"
    every: int = 8


class Brackets(Strategy[BracketsParameters]):
    """Enter at the market with exits far away, move the stop, leave by hand; or rest an entry and drop it."""

    def __init__(self, params: BracketsParameters) -> None:
        super().__init__(params)
        self._seen = 0
        self._last = Bracket("")

    def on_trade(self, trade: Trade) -> None:
        """Do the next act with each n-th trade."""
        self._seen += 1
        if self._seen % self.params.every:
            return
        act = self._seen // self.params.every % 6
        name, price = trade.instrument, trade.price
        if act == 1:
            far = {"take_profit": round(price * 1.1, 2), "stop_loss": round(price * 0.9, 2)}
            self._last = self.bracket(name, "BUY", 5000, reason="in", **far)
        elif act == 2 and self._works(self._last.stop_loss):
            self.modify(self._last.stop_loss, stop=round(price * 0.95, 2), reason="closer")
        elif act == 3:
            self._out(name)
        elif act == 4:
            near = {"take_profit": round(price * 0.95, 2), "trail": 0.5}
            entry = round(price * 0.9, 2)
            self._last = self.bracket(name, "BUY", 50, limit=entry, reason="low", **near)
        elif act == 5 and self._works(self._last.entry):
            self.cancel(self._last.entry, reason="too low")

    def _out(self, name: str) -> None:
        for order in self.working_orders(name):
            if order.parent or order.id == self._last.entry:
                self.cancel(order.id, reason="out")
        if self.position(name) > 0:
            self.sell(name, int(self.position(name)), reason="out")

    def _works(self, order: str) -> bool:
        known = self.order(order)
        return known is not None and known.working
