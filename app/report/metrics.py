"""Performance figures as pure functions, each with the source of its formula.

Ratios are floats, times ns UTC. What cannot be said is `None`: too few values, nothing to divide by, a
capital that is not positive. Nothing here returns NaN or infinity, and nothing reads a file.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.clock import DAY_NS

TRADING_DAYS = 252
"""Trading days a year, by which daily figures are made annual."""

_YEAR_DAYS = 365.0
_NO_VARIANCE = 1e-12
_LEAST = 1e-8
"""The quantum of money: a capital below it is none."""

Floats = NDArray[np.float64]


class Drawdown(msgspec.Struct, frozen=True):
    """The deepest fall from a peak: its share of the peak, and when it began, was deepest and was made good.

    It begins where the values were at the peak for the last time. `recovered_ts` is `None` if the peak was
    not reached again; then `length_ns` runs to the last value.
    """

    depth: float
    peak_ts: int
    trough_ts: int
    recovered_ts: int | None
    length_ns: int


def simple_returns(values: Sequence[float]) -> list[float] | None:
    """Return each value's change as a share of the one before; `None` where one of those is not positive."""
    pairs = list(pairwise(values))
    if any(before < _LEAST for before, _ in pairs):
        return None
    return _finite_list(after / before - 1 for before, after in pairs)


def annual_return(start: float, end: float, begin_ts: int, end_ts: int) -> float | None:
    """Return the compound annual growth rate, `(end / start) ** (1 / years) - 1`, years of 365 days.

    Source: the definition of CAGR, with LEAN's convention of time (`CompoundingAnnualPerformance`): from
    midnight of the first day to the close of the last.
    """
    years = (end_ts - begin_ts) / DAY_NS / _YEAR_DAYS
    if start < _LEAST or end < 0 or years <= 0:
        return None
    try:
        return _finite((end / start) ** (1 / years) - 1)
    except OverflowError:
        return None


def volatility(returns: Sequence[float]) -> float | None:
    """Return the sample standard deviation of daily returns, times the root of 252.

    Source: Hull, "Options, Futures, and Other Derivatives", estimating volatility from historical data
    (simple instead of logarithmic returns).
    """
    deviation = _deviation(returns)
    return None if deviation is None else deviation * math.sqrt(TRADING_DAYS)


def sharpe(returns: Sequence[float], periods: float = TRADING_DAYS) -> float | None:
    """Return mean over sample standard deviation of returns, times the root of `periods` a year.

    There is no riskless rate. With `periods` 1 it is not annualised.

    Source: Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 1994 (ex post, benchmark 0).
    """
    deviation = _deviation(returns)
    if deviation is None or deviation <= _NO_VARIANCE * max(map(abs, returns)):
        return None
    return _finite(float(np.mean(returns)) / deviation * math.sqrt(periods))


def sortino(returns: Sequence[float], periods: float = TRADING_DAYS) -> float | None:
    """Return mean over downside deviation of returns, times the root of `periods` a year; the target is 0.

    The downside deviation is the root of the mean, over all returns, of the squared losses. Source: Sortino
    and Price, "Performance Measurement in a Downside Risk Framework", Journal of Investing 1994.
    """
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.square(np.minimum(returns, 0.0)))))
    if not downside:
        return None
    return _finite(float(np.mean(returns)) / downside * math.sqrt(periods))


def calmar(annual: float | None, depth: float | None) -> float | None:
    """Return the annual return over the maximum drawdown, over the whole period.

    Source: Young, "Calmar Ratio: A Smoother Tool", Futures 1991 (there over 36 months).
    """
    return _finite(annual / depth) if annual is not None and depth else None


def underwater(values: Floats) -> Floats:
    """Return how far each value is below the highest so far, as a share of it; 0 without a positive peak."""
    peaks = np.maximum.accumulate(values)
    held = peaks >= _LEAST
    return np.where(held, (peaks - values) / np.where(held, peaks, 1.0), 0.0)


def drawdown(times: Sequence[int] | NDArray[np.int64], values: Sequence[float] | Floats) -> Drawdown | None:
    """Return the deepest fall from a peak; `None` if the values never fall.

    Source: Magdon-Ismail and Atiya, "Maximum Drawdown", Risk 2004, as a share of the peak.
    """
    series = np.asarray(values, dtype=np.float64)
    if not len(series):
        return None
    below = underwater(series)
    trough = int(np.argmax(below))
    if not below[trough] > 0:
        return None
    peak = trough - int(np.argmax(series[trough::-1]))
    again = np.flatnonzero(series[trough:] >= series[peak])
    recovered = int(times[trough + int(again[0])]) if len(again) else None
    end = int(times[-1]) if recovered is None else recovered
    return Drawdown(
        float(below[trough]), int(times[peak]), int(times[trough]), recovered, end - int(times[peak])
    )


def rounded_drawdown(depth: float) -> Decimal:
    """Return a drawdown as LEAN states it: rounded to three places as a fraction, so to 0.1 %."""
    return Decimal(repr(depth)).quantize(Decimal("0.001"), ROUND_HALF_EVEN)


def turnover(traded: Sequence[float], equity: Sequence[float], days: int) -> float | None:
    """Return the mean over calendar `days` of the value traded over the equity at the day's end.

    `traded` and `equity` are of trading days. Source: LEAN, portfolio turnover, whose mean has the days
    without trading too, as its published results show. `None` if a day ends without positive equity.
    """
    if not traded or any(value < _LEAST for value in equity):
        return None
    return _finite(float(np.sum(np.asarray(traded) / np.asarray(equity))) / days)


def time_in_market(held: Iterable[tuple[int, int]], hours: Iterable[tuple[int, int]]) -> float | None:
    """Return the share of the trading hours in which something was held.

    Both are intervals in ns UTC, each in order and without overlaps.
    """
    open_hours, intervals = list(hours), list(held)
    whole = sum(end - begin for begin, end in open_hours)
    if whole <= 0:
        return None
    inside, first = 0, 0
    for begin, end in open_hours:
        while first < len(intervals) and intervals[first][1] <= begin:
            first += 1
        for start, stop in intervals[first:]:
            if start >= end:
                break
            inside += min(stop, end) - max(start, begin)
    return inside / whole


def _deviation(returns: Sequence[float]) -> float | None:
    return float(np.std(returns, ddof=1)) if len(returns) > 1 else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite_list(values: Iterable[float]) -> list[float] | None:
    found = list(values)
    return found if all(map(math.isfinite, found)) else None
