"""Indicators against TA-Lib, against formulas of pandas, and against a million updates."""

import math
import random
import statistics

import numpy as np
import pandas as pd
import pytest

from core.errors import InvalidEvent, UsageError
from core.indicators import (
    Atr,
    Bollinger,
    Ema,
    Macd,
    RollingMax,
    RollingMin,
    Rsi,
    Sma,
    StandardDeviation,
    Volatility,
)

pytestmark = pytest.mark.signal


def walk(count, seed=7):
    chance = random.Random(seed)
    prices, price = [], 100.0
    for _ in range(count):
        price = max(1.0, price * math.exp(chance.gauss(0, 0.01)))
        prices.append(round(price, 2))
    return prices


PRICES = walk(600)
BARS = [(max(a, b) + 0.3, min(a, b) - 0.2, b) for a, b in zip([PRICES[0], *PRICES[:-1]], PRICES, strict=True)]
SERIES = pd.Series(PRICES)


def follow(indicator, values=PRICES, field="value"):
    """Return the value after each update, NaN until the indicator is ready."""
    found = []
    for value in values:
        indicator.update(*value) if isinstance(value, tuple) else indicator.update(value)
        found.append(getattr(indicator, field) if indicator.ready else math.nan)
    return np.array(found)


def same(ours, theirs, places=9):
    np.testing.assert_allclose(ours, theirs, rtol=10**-places, atol=10**-places)


def test_as_ta_lib_has_them():
    talib = pytest.importorskip(
        "talib", reason="TA-Lib has no wheel here: the formulas of pandas stand alone"
    )
    prices = np.array(PRICES)
    high, low, close = (np.array(column) for column in zip(*BARS, strict=True))
    same(follow(Sma(20)), talib.SMA(prices, 20))
    same(follow(Ema(20)), talib.EMA(prices, 20))
    same(follow(Rsi(14)), talib.RSI(prices, 14))
    # TA-Lib takes the difference of two large sums: its deviations are good to fewer places.
    same(follow(StandardDeviation(20)), talib.STDDEV(prices, 20), 6)
    for field, theirs in zip(("upper", "middle", "lower"), talib.BBANDS(prices, 20, 2.0, 2.0), strict=True):
        same(follow(Bollinger(20), field=field), theirs, 6)
    for field, theirs in zip(("line", "signal", "value"), talib.MACD(prices), strict=True):
        same(follow(Macd(), field=field), theirs)
    same(follow(Atr(14), BARS), talib.ATR(high, low, close, 14))
    same(follow(RollingMax(10)), talib.MAX(prices, 10))
    same(follow(RollingMin(10)), talib.MIN(prices, 10))


def wilder(values, length):
    """Return Wilder's average: a mean first, then exponential with alpha = 1 / length."""
    seeded = values.copy()
    seeded.iloc[: length - 1] = np.nan
    seeded.iloc[length - 1] = values.iloc[:length].mean()
    return seeded.iloc[length - 1 :].ewm(alpha=1 / length, adjust=False).mean().reindex(values.index)


def exponential(values, length):
    return (
        pd.concat([pd.Series([values.iloc[:length].mean()]), values.iloc[length:]])
        .ewm(span=length, adjust=False)
        .mean()
        .set_axis(values.index[length - 1 :])
        .reindex(values.index)
    )


def test_as_the_formulas_of_pandas_have_them():
    change = SERIES.diff().iloc[1:].reset_index(drop=True)
    gain, loss = wilder(change.clip(lower=0), 14), wilder(-change.clip(upper=0), 14)
    same(follow(Rsi(14))[1:], (100 - 100 / (1 + gain / loss)).to_numpy())
    same(follow(Sma(20)), SERIES.rolling(20).mean().to_numpy())
    same(follow(Ema(20)), exponential(SERIES, 20).to_numpy())
    same(follow(StandardDeviation(20)), SERIES.rolling(20).std(ddof=0).to_numpy())
    same(follow(StandardDeviation(20, ddof=1)), SERIES.rolling(20).std().to_numpy())
    returns = np.log(SERIES).diff()
    same(follow(Volatility(20)), returns.rolling(20).std().to_numpy())
    same(follow(RollingMax(7)), SERIES.rolling(7).max().to_numpy())
    same(follow(RollingMin(7)), SERIES.rolling(7).min().to_numpy())
    middle, spread = SERIES.rolling(20).mean(), SERIES.rolling(20).std(ddof=0)
    same(follow(Bollinger(20)), ((SERIES - middle) / (2 * spread)).to_numpy())
    high, low, close = (pd.Series(column) for column in zip(*BARS, strict=True))
    before = close.shift()
    span = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(axis=1)
    same(follow(Atr(14), BARS)[1:], wilder(span.iloc[1:].reset_index(drop=True), 14).to_numpy())


ALL = [
    lambda: Sma(20),
    lambda: Ema(20),
    lambda: Rsi(14),
    lambda: StandardDeviation(20),
    lambda: Bollinger(20),
    lambda: Volatility(20),
    lambda: Macd(5, 12, 4),
    lambda: RollingMax(9),
    lambda: RollingMin(9),
]


@pytest.mark.parametrize("make", [*ALL, lambda: Atr(14)])
def test_it_is_ready_after_its_warm_up_and_not_before(make):
    values = BARS if isinstance(make(), Atr) else PRICES
    found = follow(make(), values)
    assert np.flatnonzero(~np.isnan(found))[0] == make().warm_up - 1
    fresh = make()
    for value in values[: fresh.warm_up - 1]:
        fresh.update(*value) if isinstance(value, tuple) else fresh.update(value)
        assert (fresh.ready, fresh.value) == (False, 0.0)


@pytest.mark.parametrize("make", [*ALL, lambda: Atr(14)])
def test_it_goes_on_from_a_snapshot_and_starts_anew_after_a_reset(make):
    values = BARS if isinstance(make(), Atr) else PRICES
    whole = follow(make(), values)
    first = make()
    follow(first, values[:137])
    state = first.state()
    follow(first, values[137:200])  # the snapshot shares nothing with it
    assert follow(make().restore(state), values[137:]).tolist() == whole[137:].tolist()
    first.reset()
    np.testing.assert_array_equal(follow(first, values), whole)


def test_a_snapshot_of_something_else_is_refused():
    with pytest.raises(UsageError, match="expected a state with"):
        Sma(3).restore(Rsi(3).state())


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_and_changes_nothing(make, value):
    indicator = make()
    follow(indicator, PRICES[:50])
    before = indicator.state()
    with pytest.raises(InvalidEvent):
        indicator.update(value)
    assert indicator.state() == before


@pytest.mark.parametrize("length", [0, -1, 1.5, True, "3"])
def test_a_window_of_no_length_is_refused(length):
    with pytest.raises(UsageError, match="period"):
        Sma(length)


class SlidingSquares:
    """The textbook way, which drifts: sums of values and of squares, only ever added to and taken from."""

    def __init__(self, length):
        self.length, self.ring, self.n, self.sum, self.squares = length, [0.0] * length, 0, 0.0, 0.0

    def update(self, value):
        out, self.ring[self.n % self.length] = self.ring[self.n % self.length], value
        self.n += 1
        self.sum += value - out
        self.squares += value * value - out * out

    @property
    def value(self):
        return math.sqrt(max(0.0, self.squares / self.length - (self.sum / self.length) ** 2))


def hard_prices(count):
    """A million prices whose level jumps to a million and back: what stays in sums of squares shows."""
    chance = random.Random(1)
    return [
        chance.random() + (1e6 if 300_000 <= n < 500_000 else 100.0 if n % 9_973 else 5e7)
        for n in range(count)
    ]


@pytest.mark.slow
def test_a_million_updates_leave_no_drift():
    prices = hard_prices(1_000_000)
    ours, naive, mean = StandardDeviation(50), SlidingSquares(50), Sma(50)
    for price in prices:
        ours.update(price)
        naive.update(price)
        mean.update(price)
    exact = statistics.pstdev(prices[-50:])
    assert ours.value == pytest.approx(exact, rel=1e-9)
    assert mean.value == pytest.approx(statistics.fmean(prices[-50:]), rel=1e-12)
    assert naive.value != pytest.approx(exact, rel=1e-3), "the control must drift, or the test proves nothing"


def test_an_outlier_is_forgotten_when_a_turn_of_the_window_is_complete():
    deviation = StandardDeviation(10)
    for price in [1e12, *PRICES[:40]]:
        deviation.update(price)
    assert deviation.value == pytest.approx(statistics.pstdev(PRICES[30:40]), rel=1e-12)


def test_a_market_that_does_not_move_is_neither_strong_nor_weak():
    flat = [10.0] * 40
    assert follow(Rsi(14), flat)[-1] == 50
    assert follow(Bollinger(20), flat)[-1] == 0
    assert follow(StandardDeviation(20), flat)[-1] == 0
