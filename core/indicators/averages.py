"""Simple and exponential moving averages."""

from math import isfinite

from core.indicators.base import Indicator, finite, period


class Sma(Indicator):
    """Mean of the last `length` values.

    The sum slides. Beside it a second one is built up from the start of each turn of the ring; when the
    turn is complete it is the sum of the window and takes over, so rounding errors live for a turn at most.
    """

    fields = ("_ring", "_slot", "_sum", "_fresh")

    def __init__(self, length: int) -> None:
        self.length = period(length)
        super().__init__(self.length)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._ring = [0.0] * self.length
        self._slot = 0
        self._sum = 0.0
        self._fresh = 0.0

    def update(self, value: float) -> None:
        """Take the next value; raises `InvalidEvent` if it is not finite."""
        if not isfinite(value):
            finite((value,))
        slot = self._slot
        self._sum += value - self._ring[slot]
        self._fresh += value
        self._ring[slot] = value
        slot += 1
        if slot == self.length:
            self._sum, self._fresh, slot = self._fresh, 0.0, 0
        self._slot = slot
        self.count += 1
        if self.count >= self.length:
            self.value = self._sum / self.length


class Ema(Indicator):
    """Exponential average, alpha = 2 / (length + 1), begun with the mean of the first `length` values.

    That beginning is TA-Lib's default.
    """

    fields = ("_sum",)

    def __init__(self, length: int) -> None:
        self.length = period(length)
        self._alpha = 2.0 / (length + 1)
        super().__init__(self.length)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._sum = 0.0

    def update(self, value: float) -> None:
        """Take the next value; raises `InvalidEvent` if it is not finite."""
        if not isfinite(value):
            finite((value,))
        self.count += 1
        if self.count > self.length:
            self.value += self._alpha * (value - self.value)
            return
        self._sum += value
        if self.count == self.length:
            self.value = self._sum / self.length
