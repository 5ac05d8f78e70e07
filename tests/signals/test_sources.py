"""Computed sources: which way they point, when they are ready, and that they repeat."""

import math
import statistics
from itertools import pairwise

import pytest

from core.errors import UsageError
from core.signals.forecast import daily_volatility, value_of
from core.signals.sources import (
    COMPUTED,
    BollingerSignal,
    ComputedSignals,
    MacdSignal,
    MovingAverageSignal,
    RsiSignal,
)
from tests.signals.test_indicators import PRICES

pytestmark = pytest.mark.signal


def last(source, prices):
    return [source.update(price) for price in prices][-1]


FALLING = [100.0 - n for n in range(60)]
RISING = [100.0 + n for n in range(60)]
TURNING = [*FALLING, *(FALLING[-1] + 3 * n for n in range(1, 6))]


@pytest.mark.parametrize(
    ("source", "prices", "sign"),
    [
        (RsiSignal(), FALLING, 1),
        (RsiSignal(), RISING, -1),
        (BollingerSignal(), [*[100.0, 101.0] * 15, 90.0], 1),
        (BollingerSignal(), [*[100.0, 101.0] * 15, 110.0], -1),
        (MovingAverageSignal(), RISING, 1),
        (MovingAverageSignal(), FALLING, -1),
        (MacdSignal(), TURNING, 1),
    ],
)
def test_a_source_points_the_right_way(source, prices, sign):
    assert math.copysign(1, last(source, prices)) == sign


@pytest.mark.parametrize("name", COMPUTED)
def test_a_source_keeps_to_its_range_and_says_nothing_at_first(name):
    source = COMPUTED[name]()
    found = [source.update(price) for price in PRICES]
    assert found[0] is None
    assert all(value is None or -1 <= value <= 1 for value in found)
    assert len({value for value in found if value is not None}) > 100


@pytest.mark.parametrize("name", COMPUTED)
def test_a_market_that_does_not_move_says_nothing_in_either_direction(name):
    assert last(COMPUTED[name](), [10.0] * 80) == 0


def test_readings_carry_the_time_of_the_price_and_none_until_ready():
    signals = ComputedSignals(["rsi", "bma", "moving_average"], {"moving_average": {"fast": 2, "slow": 4}})
    assert signals.readings == {"moving_average": None, "rsi": None}
    for n, price in enumerate(RISING[:5]):
        signals.update(price, n)
    assert signals.readings["rsi"] is None
    reading = signals.readings["moving_average"]
    assert (reading.as_of, reading.confidence) == (4, 1.0)
    window = RISING[1:5]
    expected = (statistics.fmean(window[-2:]) - statistics.fmean(window)) / statistics.pstdev(window)
    assert reading.value == pytest.approx(expected)


def test_parameters_for_a_source_that_does_not_exist_are_refused():
    with pytest.raises(UsageError, match="no computed source rsl"):
        ComputedSignals(["rsi"], {"rsl": {}})
    with pytest.raises(UsageError, match="fast=5"):
        ComputedSignals(["moving_average"], {"moving_average": {"fast": 5, "slow": 5}})


def test_a_forecast_of_one_volatility_is_a_signal_of_one_over_k():
    assert value_of(102.0, 100.0, 1, 0.02, 1.0) == pytest.approx(1)
    assert value_of(102.0, 100.0, 1, 0.02, 2.0) == pytest.approx(0.5)
    assert value_of(102.0, 100.0, 4, 0.02, 1.0) == pytest.approx(0.5)
    assert value_of(50.0, 100.0, 1, 0.02, 1.0) == -1


def test_volatility_needs_enough_closes_that_moved():
    closes = PRICES[:30]
    moves = [math.log(b / a) for a, b in pairwise(closes)]
    assert daily_volatility(closes) == pytest.approx(statistics.stdev(moves))
    assert daily_volatility(closes[:5]) is None
    assert daily_volatility([10.0] * 30) is None
    assert daily_volatility([10.0, 0.0] * 5) is None
