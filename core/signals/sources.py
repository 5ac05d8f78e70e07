"""Sources that are computed from prices: an indicator's word as a signal from -1 to 1.

    rsi             (50 - RSI) / 20: 1 at 30 (sold too far), -1 at 70
    bollinger       -(price - middle) / (width × deviation): 1 at the lower band, -1 at the upper one
    moving_average  (fast mean - slow mean) / deviation of the slow window: 1 at one deviation
    macd            histogram / deviation of as many prices as the slow average has

each clipped to -1..1. They are a function of the prices they were fed, so a replay makes them again.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from core.errors import UsageError
from core.indicators import Bollinger, Macd, Rsi, Sma, StandardDeviation
from core.signals.composite import Reading


class Source(Protocol):
    """A computed source: fed with prices, it says what it makes of them."""

    def update(self, price: float) -> float | None:
        """Take the next price; return the signal from -1 to 1, `None` while there are too few."""


class RsiSignal:
    """Against the move: buy what was sold too far."""

    def __init__(self, length: int = 14) -> None:
        self._rsi = Rsi(length)

    def update(self, price: float) -> float | None:
        """Take the next price; return the signal from -1 to 1, `None` while there are too few."""
        self._rsi.update(price)
        return clipped((50.0 - self._rsi.value) / 20.0) if self._rsi.ready else None


class BollingerSignal:
    """Against the move: buy at the lower band."""

    def __init__(self, length: int = 20, width: float = 2.0) -> None:
        self._bands = Bollinger(length, width)

    def update(self, price: float) -> float | None:
        """Take the next price; return the signal from -1 to 1, `None` while there are too few."""
        self._bands.update(price)
        return clipped(-self._bands.value) if self._bands.ready else None


class MovingAverageSignal:
    """With the trend: buy where the fast average is above the slow one."""

    def __init__(self, fast: int = 20, slow: int = 50) -> None:
        if fast >= slow:
            raise UsageError(f"moving_average: fast={fast} must be smaller than slow={slow}")
        self._fast, self._slow = Sma(fast), StandardDeviation(slow)

    def update(self, price: float) -> float | None:
        """Take the next price; return the signal from -1 to 1, `None` while there are too few."""
        self._fast.update(price)
        self._slow.update(price)
        return _share(self._fast.value - self._slow.mean, self._slow) if self._slow.ready else None


class MacdSignal:
    """With the turn of the trend: the sign of the histogram."""

    def __init__(self, fast: int = 12, slow: int = 26, smoothing: int = 9) -> None:
        self._macd, self._deviation = Macd(fast, slow, smoothing), StandardDeviation(slow)

    def update(self, price: float) -> float | None:
        """Take the next price; return the signal from -1 to 1, `None` while there are too few."""
        self._macd.update(price)
        self._deviation.update(price)
        return _share(self._macd.value, self._deviation) if self._macd.ready else None


COMPUTED: dict[str, Callable[..., Source]] = {
    "rsi": RsiSignal,
    "bollinger": BollingerSignal,
    "moving_average": MovingAverageSignal,
    "macd": MacdSignal,
}
"""The computed sources by the name that has a weight."""


class ComputedSignals:
    """Computed sources of one instrument, fed together.

    `names` are those of `COMPUTED`; others are passed over, so that the keys of the weights may be given.
    `parameters` has keyword arguments by name. Pass `readings` to `Strategy.composite`.
    """

    def __init__(
        self, names: Iterable[str], parameters: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        given = parameters or {}
        unknown = sorted(set(given) - set(COMPUTED))
        if unknown:
            raise UsageError(f"no computed source {', '.join(unknown)}; known are {', '.join(COMPUTED)}")
        self._sources = [
            (name, COMPUTED[name](**given.get(name, {}))) for name in sorted(names) if name in COMPUTED
        ]
        self.readings: dict[str, Reading | None] = {name: None for name, _ in self._sources}

    def update(self, price: float, ts: int) -> None:
        """Take the next price, of the time `ts` (ns)."""
        for name, source in self._sources:
            value = source.update(price)
            self.readings[name] = None if value is None else Reading(value, 1.0, ts)


def clipped(value: float) -> float:
    """Return `value` within -1..1."""
    return max(-1.0, min(1.0, value))


def _share(distance: float, deviation: StandardDeviation) -> float:
    return clipped(distance / deviation.value) if deviation.value > 0 else 0.0
