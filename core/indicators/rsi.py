"""Relative strength index after Wilder (New Concepts in Technical Trading Systems, 1978)."""

from math import isfinite

from core.indicators.base import Indicator, finite, period


class Rsi(Indicator):
    """100 × average gain / (average gain + average loss), from 0 to 100; 50 if nothing moved at all.

    The first averages are means over `length` changes; then average = (average × (length - 1) + change) /
    length.
    """

    fields = ("_last", "_gain", "_loss")

    def __init__(self, length: int = 14) -> None:
        self.length = period(length, 2)
        super().__init__(self.length + 1)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._last = 0.0
        self._gain = 0.0
        self._loss = 0.0

    def update(self, value: float) -> None:
        """Take the next price; raises `InvalidEvent` if it is not finite."""
        if not isfinite(value):
            finite((value,))
        self.count += 1
        change, self._last = value - self._last, value
        if self.count == 1:
            return
        gain, loss = (change, 0.0) if change > 0 else (0.0, -change)
        length = self.length
        if self.count <= length + 1:
            self._gain += gain / length
            self._loss += loss / length
        else:
            self._gain = (self._gain * (length - 1) + gain) / length
            self._loss = (self._loss * (length - 1) + loss) / length
        if self.count > length:
            total = self._gain + self._loss
            self.value = 100.0 * self._gain / total if total > 0 else 50.0
