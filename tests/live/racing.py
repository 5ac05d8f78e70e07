"""A strategy whose exits lie so near that they fill while it changes its mind about them."""

from truetape import Filled, Parameters, Strategy, Trade


class RacingParameters(Parameters, frozen=True):
    """`every` counts trades between two entries, `most` the entries; exits of its own, or automatic ones."""

    instrument: str = "ZVXA"
    every: int = 30
    most: int = 3
    own_exits: bool = True


class Racing(Strategy[RacingParameters]):
    """Enter by brackets with exits a cent away; at each fill of an entry move its stop, then drop its target.

    Once flat, or turned around, what is left of its orders is cancelled before the next entry.
    """

    def __init__(self, params: RacingParameters) -> None:
        super().__init__(params)
        self._seen = self._entries = 0
        self._exits = {}

    def on_trade(self, trade: Trade) -> None:
        """Enter now and then."""
        self._seen += 1
        if self._seen % self.params.every != 1 or self._entries >= self.params.most:
            return
        self._entries += 1
        for order in self.working_orders(trade.instrument):
            self.cancel(order.id, reason="again")
        if not self.params.own_exits:
            self.buy(trade.instrument, 2000, reason="in")
            return
        near = {
            "take_profit": round(trade.price + 0.02, 2),
            "stop_loss": round(trade.price - 0.03, 2),
        }
        made = self.bracket(trade.instrument, "BUY", 2000, reason="in", **near)
        self._exits[made.entry] = made

    def on_fill(self, fill: Filled) -> None:
        """Move the stop of an entry that fills, and drop its target."""
        made = self._exits.get(fill.order)
        if made is None:
            return
        stop = self.order(made.stop_loss)
        if stop is not None and stop.working and stop.stop is not None:
            self.modify(stop.id, stop=float(stop.stop) - 0.01, reason="further")
        self.cancel(made.take_profit, reason="let it run")
