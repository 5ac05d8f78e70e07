"""Average true ranges of the instruments of a session, from its market data as they come.

Trades and bars are gathered into bars of one length, on the clock of UTC; each that is complete is a step of
Wilder's average (`core.indicators.Atr`). A bar that was made of trades which came before adds nothing new, so
an instrument may have both. What is known at a moment follows from the events before it alone.
"""

from typing import Final

from core.events import Bar, Trade
from core.indicators import Atr


class _Forming:
    """The bar of one instrument that is being gathered, and the average of those before it."""

    __slots__ = ("atr", "close", "high", "low", "number")

    def __init__(self, length: int) -> None:
        self.atr = Atr(length)
        self.number: int | None = None
        self.high = self.low = self.close = 0.0

    def take(self, number: int, high: float, low: float, close: float) -> None:
        """Take prices of the bar `number`; those of a bar that is complete already come too late."""
        now = self.number
        if now is not None and number < now:
            return
        if number == now:
            self.high, self.low = max(self.high, high), min(self.low, low)
            self.close = close
            return
        if now is not None:
            self.atr.update(self.high, self.low, self.close)
        self.number, self.high, self.low, self.close = number, high, low, close


class TrueRanges:
    """The ranges by instrument, over `length` bars of `bar_ns` each."""

    def __init__(self, length: int, bar_ns: int) -> None:
        self.length: Final = length
        self.bar_ns: Final = bar_ns
        self._forming: dict[str, _Forming] = {}

    def on_trade(self, trade: Trade) -> None:
        """Take a trade; a suspicious print is no price."""
        if not trade.suspicious:
            price = trade.price
            self._of(trade.instrument).take(trade.ts // self.bar_ns, price, price, price)

    def on_bar(self, bar: Bar) -> None:
        """Take a bar, which belongs to where it ends; one that is longer than `bar_ns` says nothing."""
        if bar.ts - bar.start <= self.bar_ns:
            self._of(bar.instrument).take((bar.ts - 1) // self.bar_ns, bar.high, bar.low, bar.close)

    def bars(self, instrument: str) -> int:
        """Return how many bars are complete."""
        known = self._forming.get(instrument)
        return 0 if known is None else known.atr.count

    def atr(self, instrument: str) -> float | None:
        """Return the average over the last complete bars; `None` while there are too few, or if it is 0."""
        known = self._forming.get(instrument)
        return None if known is None or not known.atr.ready else known.atr.value or None

    def _of(self, instrument: str) -> _Forming:
        known = self._forming.get(instrument)
        if known is None:
            known = self._forming[instrument] = _Forming(self.length)
        return known
