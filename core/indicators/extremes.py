"""Highest and lowest of a window, by a monotonic deque: O(1) an update, amortised."""

from collections import deque
from math import isfinite

from core.indicators.base import Indicator, State, finite, period


class RollingMax(Indicator):
    """The highest of the last `length` values.

    Kept are only values that can still become the highest: each update removes those that it outdoes.
    """

    _sign = 1.0

    def __init__(self, length: int) -> None:
        self.length = period(length)
        self._kept: deque[tuple[int, float]] = deque()
        super().__init__(self.length)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._kept.clear()

    def update(self, value: float) -> None:
        """Take the next value; raises `InvalidEvent` if it is not finite."""
        if not isfinite(value):
            finite((value,))
        kept, signed = self._kept, self._sign * value
        while kept and kept[-1][1] <= signed:
            kept.pop()
        kept.append((self.count, signed))
        self.count += 1
        if kept[0][0] <= self.count - 1 - self.length:
            kept.popleft()
        if self.count >= self.length:
            self.value = self._sign * kept[0][1]

    def state(self) -> State:
        """Return a snapshot."""
        return {**super().state(), "kept": [list(item) for item in self._kept]}

    def restore(self, state: State) -> "RollingMax":
        """Go on from a snapshot."""
        rest = dict(state)
        self._kept = deque((int(n), float(value)) for n, value in rest.pop("kept", []))
        super().restore(rest)
        return self


class RollingMin(RollingMax):
    """The lowest of the last `length` values."""

    _sign = -1.0
