"""A strategy that loses money in small pieces, for tests of the day's limit."""

from truetape import Parameters, Strategy, Trade


class ChurnParameters(Parameters, frozen=True):
    """With the `out_at`-th trade of a session it sells all; 0 is never."""

    instrument: str = "ZVXA"
    out_at: int = 0


class Churn(Strategy[ChurnParameters]):
    """Hold 100, and buy and sell 100 more for nothing, until somebody stops it; ask with every trade."""

    def __init__(self, params: ChurnParameters) -> None:
        super().__init__(params)
        self._seen = 0

    def on_trade(self, trade: Trade) -> None:
        """Ask for the next order if none works."""
        self._seen += 1
        held = int(self.position(trade.instrument))
        if self.working_orders():
            return
        if held and self._seen == self.params.out_at:
            self.sell(trade.instrument, held, reason="out")
        elif held < 200:
            self.buy(trade.instrument, 100, reason="more")
        else:
            self.sell(trade.instrument, 100, reason="less")
