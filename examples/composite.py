"""Trade a composite of received and computed signals: buy at the threshold, sell when it turns.

    tape import recommendations.xlsx --as signals --source bma
    tape replay 2025-07-02 --strategy examples/composite.py:CompositeTrader --set instrument=ZVXA

The weights, the half-lives and the threshold are the configuration's ([signals], trading.signal_threshold).
"""

from truetape import ComputedSignals, Parameters, Strategy, Trade


class CompositeParameters(Parameters, frozen=True):
    """`every` is how many trades make one step of the indicators."""

    instrument: str
    quantity: int = 10
    every: int = 50


class CompositeTrader(Strategy[CompositeParameters]):
    """Long while the composite is at or beyond the threshold; flat once it says sell."""

    def on_start(self) -> None:
        self._computed = ComputedSignals(self.signal_rules.weights)
        self._trades = 0

    def on_trade(self, trade: Trade) -> None:
        if trade.suspicious:
            return
        self._trades += 1
        if self._trades % self.params.every:
            return
        self._computed.update(trade.price, trade.ts)
        found = self.composite(trade.instrument, self._computed.readings)
        if self.working_orders(trade.instrument):
            return
        held = self.position(trade.instrument)
        if found.stance == "buy" and not held:
            self.buy(trade.instrument, self.params.quantity, reason=f"composite {found.value:+.3f}")
        elif found.stance == "sell" and held:
            self.sell(trade.instrument, held, reason=f"composite {found.value:+.3f}")
