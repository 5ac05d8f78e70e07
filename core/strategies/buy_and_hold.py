"""Buy once, at the first price, and hold: the yardstick of every other strategy."""

from typing import Annotated

from msgspec import Meta

from core.events import Bar, Quote, Trade
from core.strategy import Parameters, Strategy


class BuyAndHoldParameters(Parameters, frozen=True):
    """How much of what to hold."""

    instrument: str
    quantity: Annotated[int, Meta(ge=1)] = 100


class BuyAndHold(Strategy[BuyAndHoldParameters]):
    """Buy `quantity` at the first event of the instrument and never sell."""

    def __init__(self, params: BuyAndHoldParameters) -> None:
        super().__init__(params)
        self._bought = False

    def on_trade(self, trade: Trade) -> None:
        """Buy at the first trade."""
        self._enter(trade.suspicious)

    def on_quote(self, quote: Quote) -> None:
        """Buy at the first quote."""
        self._enter(quote.suspicious)

    def on_bar(self, bar: Bar) -> None:
        """Buy at the first bar."""
        self._enter(suspicious=bar.volume < 0)

    def _enter(self, suspicious: bool) -> None:
        if not self._bought and not suspicious:
            self._bought = True
            self.buy(self.params.instrument, self.params.quantity, reason="first price of the period")
