"""Moving average convergence and divergence (Appel)."""

from core.errors import UsageError
from core.indicators.averages import Ema
from core.indicators.base import Indicator, State, period


class Macd(Indicator):
    """`line` = fast EMA - slow EMA, `signal` = EMA of the line, `value` = line - signal (the histogram).

    As in TA-Lib the fast average begins together with the slow one: with the mean of the `fast` values before
    that point.
    """

    fields = ("line", "signal")

    def __init__(self, fast: int = 12, slow: int = 26, smoothing: int = 9) -> None:
        if period(fast) >= period(slow, 2):
            raise UsageError(f"macd: fast={fast} must be smaller than slow={slow}")
        self._skip = slow - fast
        self._fast, self._slow, self._smooth = Ema(fast), Ema(slow), Ema(smoothing)
        super().__init__(slow + smoothing - 1)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        for average in (self._fast, self._slow, self._smooth):
            average.reset()
        self.line = self.signal = 0.0

    def update(self, value: float) -> None:
        """Take the next price; raises `InvalidEvent` if it is not finite."""
        self._slow.update(value)
        self.count += 1
        if self.count > self._skip:
            self._fast.update(value)
        if not self._slow.ready:
            return
        self.line = self._fast.value - self._slow.value
        self._smooth.update(self.line)
        if self.ready:
            self.signal = self._smooth.value
            self.value = self.line - self.signal

    def state(self) -> State:
        """Return a snapshot."""
        parts = (self._fast, self._slow, self._smooth)
        return {**super().state(), "averages": [average.state() for average in parts]}

    def restore(self, state: State) -> "Macd":
        """Go on from a snapshot."""
        rest = dict(state)
        parts = rest.pop("averages", [{}] * 3)
        for average, held in zip((self._fast, self._slow, self._smooth), parts, strict=True):
            average.restore(held)
        return super().restore(rest)
