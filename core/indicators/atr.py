"""Average true range after Wilder (1978)."""

from core.indicators.base import Indicator, finite, period


class Atr(Indicator):
    """Wilder's average of max(high, last close) - min(low, last close) over `length` bars."""

    fields = ("_last", "_sum")

    def __init__(self, length: int = 14) -> None:
        self.length = period(length)
        super().__init__(self.length + 1)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._last = 0.0
        self._sum = 0.0

    def update(self, high: float, low: float, close: float) -> None:
        """Take the next bar; raises `InvalidEvent` if a price is not finite."""
        finite((high, low, close))
        self.count += 1
        last, self._last = self._last, close
        if self.count == 1:
            return
        span = max(high, last) - min(low, last)
        length = self.length
        if self.count > length + 1:
            self.value = (self.value * (length - 1) + span) / length
            return
        self._sum += span
        if self.count == length + 1:
            self.value = self._sum / length
