"""A strategy that changes how long an order is good and in which hours, and its price afterwards."""

from truetape import Parameters, Strategy, Trade


class RetimingParameters(Parameters, frozen=True):
    """`every` counts trades between two acts."""

    instrument: str = "ZVXA"
    every: int = 5


class Retiming(Strategy[RetimingParameters]):
    """Rest a limit, make it good till cancelled and in all hours, move it, give it an end, drop that."""

    def __init__(self, params: RetimingParameters) -> None:
        super().__init__(params)
        self._seen = 0
        self._resting = ""

    def on_trade(self, trade: Trade) -> None:
        """Do the next act with each n-th trade."""
        self._seen += 1
        act, rest = divmod(self._seen, self.params.every)
        if rest:
            return
        if act == 1:
            self._resting = self.buy(trade.instrument, 100, limit=round(trade.price * 0.9, 2), reason="rest")
        elif act == 2:
            self.modify(self._resting, tif="GTC", outside_rth=True, reason="longer")
        elif act == 3:
            self.modify(self._resting, limit=round(trade.price * 0.91, 2), reason="nearer")
        elif act == 4:
            self.modify(self._resting, tif="GTD", good_till=self.now + 3600 * 10**9, reason="an hour")
        elif act == 5:
            self.modify(self._resting, tif="DAY", outside_rth=False, reason="today")
