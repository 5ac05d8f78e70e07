"""Indicators: O(1) an update, pure, one number after the other; no vectors.

    from core.indicators import Rsi

    rsi = Rsi(14)
    for price in prices:
        rsi.update(price)
        if rsi.ready:
            print(rsi.value)

Each has `ready`, `warm_up` (updates until it is), `reset()`, and `state()` with `restore()`: a snapshot as
plain data.
"""

from core.indicators.atr import Atr
from core.indicators.averages import Ema, Sma
from core.indicators.base import Indicator
from core.indicators.extremes import RollingMax, RollingMin
from core.indicators.macd import Macd
from core.indicators.rsi import Rsi
from core.indicators.spread import Bollinger, StandardDeviation, Volatility

__all__ = [
    "Atr",
    "Bollinger",
    "Ema",
    "Indicator",
    "Macd",
    "RollingMax",
    "RollingMin",
    "Rsi",
    "Sma",
    "StandardDeviation",
    "Volatility",
]
