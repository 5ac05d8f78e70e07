"""From a forecast of prices to signals: how far the price is to go, against how far it goes anyway.

    value = clip(return over the horizon / (k × volatility over the horizon), -1, 1)
    return over the horizon     = forecast price / price it starts from - 1
    volatility over the horizon = daily volatility × sqrt(days)

The daily volatility is the sample standard deviation of the log returns of daily closes, none of them later
than the forecast. `k` is how many volatilities make a signal of 1.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, log, sqrt

from core.signals.sources import clipped

CLOSES_MIN = 6
CLOSES_MAX = 61
"""Closes that a volatility is taken from: at least five returns, at most the last sixty."""


def value_of(price: float, base: float, days: int, volatility: float, k: float) -> float:
    """Return the signal of a price forecast for `days` sessions ahead of `base`."""
    return clipped((price / base - 1.0) / (k * volatility * sqrt(days)))


def daily_volatility(closes: Sequence[float]) -> float | None:
    """Return the volatility of daily closes in order of time; `None` if there are too few or none moved."""
    last = closes[-CLOSES_MAX:]
    if len(last) < CLOSES_MIN or not all(isfinite(close) and close > 0 for close in last):
        return None
    moves = [log(later / earlier) for earlier, later in pairwise(last)]
    mean = sum(moves) / len(moves)
    found = sqrt(sum((move - mean) ** 2 for move in moves) / (len(moves) - 1))
    return found if found > 0 else None
