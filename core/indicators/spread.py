"""Standard deviation over a window, and what stands on it: Bollinger bands and volatility."""

from math import isfinite, log, sqrt

from core.errors import InvalidEvent
from core.indicators.base import Indicator, State, finite, period


class StandardDeviation(Indicator):
    """Population standard deviation (`ddof=0`) or sample one (`ddof=1`) of the last `length` values.

    Mean and sum of squared deviations slide after Welford (Technometrics 4, 1962). A second pair is built up
    from the start of each turn of the ring and takes over when it is complete: no error outlives a turn.
    """

    fields = ("mean", "_ring", "_slot", "_squares", "_fresh_mean", "_fresh_squares")

    def __init__(self, length: int, ddof: int = 0) -> None:
        self.length = period(length, 2)
        self._divisor = self.length - period(ddof, 0)
        super().__init__(self.length)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.mean = 0.0
        self._ring = [0.0] * self.length
        self._slot = 0
        self._squares = 0.0
        self._fresh_mean = 0.0
        self._fresh_squares = 0.0

    def update(self, value: float) -> None:
        """Take the next value; raises `InvalidEvent` if it is not finite."""
        if not isfinite(value):
            finite((value,))
        slot, length = self._slot, self.length
        self.count += 1
        if self.count > length:
            out = self._ring[slot]
            mean = self.mean + (value - out) / length
            self._squares += (value - out) * (value - mean + out - self.mean)
            self.mean = mean
        self._ring[slot] = value
        slot += 1
        step = value - self._fresh_mean
        self._fresh_mean += step / slot
        self._fresh_squares += step * (value - self._fresh_mean)
        if slot == length:
            self.mean, self._squares = self._fresh_mean, self._fresh_squares
            self._fresh_mean, self._fresh_squares, slot = 0.0, 0.0, 0
        self._slot = slot
        if self.count >= length:
            self.value = sqrt(self._squares / self._divisor) if self._squares > 0 else 0.0


class Bollinger(Indicator):
    """Bands `width` population standard deviations around the mean of the last `length` values.

    `value` is the place in the bands: 0 at the middle, 1 at the upper one, -1 at the lower one, or beyond.
    """

    fields = ("upper", "middle", "lower")

    def __init__(self, length: int = 20, width: float = 2.0) -> None:
        if not (isfinite(width) and width > 0):
            raise InvalidEvent(f"width {width!r}: expected a number of standard deviations above 0")
        self.width = width
        self._deviation = StandardDeviation(length)
        super().__init__(self._deviation.warm_up)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._deviation.reset()
        self.upper = self.middle = self.lower = 0.0

    def update(self, value: float) -> None:
        """Take the next price; raises `InvalidEvent` if it is not finite."""
        deviation = self._deviation
        deviation.update(value)
        self.count += 1
        if self.count < self.warm_up:
            return
        half = self.width * deviation.value
        self.middle = deviation.mean
        self.upper, self.lower = self.middle + half, self.middle - half
        self.value = (value - self.middle) / half if half > 0 else 0.0

    def state(self) -> State:
        """Return a snapshot."""
        return {**super().state(), "deviation": self._deviation.state()}

    def restore(self, state: State) -> "Bollinger":
        """Go on from a snapshot."""
        rest = dict(state)
        self._deviation.restore(rest.pop("deviation", {}))
        return super().restore(rest)


class Volatility(Indicator):
    """Sample standard deviation of the last `length` log returns; of one period, not annualised."""

    fields = ("_last",)

    def __init__(self, length: int = 20) -> None:
        self._deviation = StandardDeviation(length, ddof=1)
        super().__init__(self._deviation.warm_up + 1)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._deviation.reset()
        self._last = 0.0

    def update(self, value: float) -> None:
        """Take the next price; raises `InvalidEvent` if it is not finite and above 0."""
        if not (isfinite(value) and value > 0):
            raise InvalidEvent(f"{value!r} is no price: expected a finite number above 0")
        self.count += 1
        if self.count > 1:
            self._deviation.update(log(value / self._last))
            self.value = self._deviation.value
        self._last = value

    def state(self) -> State:
        """Return a snapshot."""
        return {**super().state(), "deviation": self._deviation.state()}

    def restore(self, state: State) -> "Volatility":
        """Go on from a snapshot."""
        rest = dict(state)
        self._deviation.restore(rest.pop("deviation", {}))
        return super().restore(rest)
