"""Performance figures against pandas and numbers worked out by hand, and their degenerate cases."""

import math
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.report import metrics
from app.report.days import Day, lean_samples
from app.report.facts import Series
from core.clock import DAY_NS, MINUTE_NS, local

RETURNS = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60)
EQUITY = st.lists(st.floats(1, 1e7), min_size=1, max_size=60)


def near(one, other, tolerance=1e-9):
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


@given(EQUITY)
def test_returns_are_those_of_pandas(values):
    expected = pd.Series(values).pct_change().dropna().tolist()
    told = metrics.simple_returns(values)
    assert len(told) == len(expected)
    assert all(near(a, b, 1e-7) for a, b in zip(told, expected, strict=True))


@given(RETURNS)
def test_volatility_and_ratios_are_those_of_pandas(returns):
    series = pd.Series(returns)
    assert near(metrics.volatility(returns), series.std() * 252**0.5)
    sharpe, sortino = metrics.sharpe(returns), metrics.sortino(returns)
    if sharpe is not None:
        assert near(sharpe, series.mean() / series.std() * 252**0.5)
    downside = (series.clip(upper=0) ** 2).mean() ** 0.5
    assert (sortino is None) == (downside == 0)
    if sortino is not None:
        assert near(sortino, series.mean() / downside * 252**0.5)


@given(EQUITY)
def test_the_drawdown_is_that_of_pandas_and_recovers_only_at_its_peak(values):
    series = pd.Series(values)
    deepest = (1 - series / series.cummax()).max()
    times = list(range(len(values)))
    fall = metrics.drawdown(times, values)
    assert (fall is None) == (deepest <= 0)
    if fall is not None:
        assert near(fall.depth, deepest)
        assert 0 < fall.depth < 1
        assert near(1 - values[fall.trough_ts] / values[fall.peak_ts], fall.depth)
        between = values[fall.peak_ts : fall.trough_ts + 1]
        assert max(between) == values[fall.peak_ts]
        end = len(values) - 1 if fall.recovered_ts is None else fall.recovered_ts
        assert fall.length_ns == end - fall.peak_ts
        assert all(v < values[fall.peak_ts] for v in values[fall.trough_ts : end])
        if fall.recovered_ts is not None:
            assert values[end] >= values[fall.peak_ts]


def test_a_drawdown_by_hand():
    fall = metrics.drawdown([10, 20, 30, 40, 50], [100, 120, 90, 119, 120])
    assert (fall.depth, fall.peak_ts, fall.trough_ts, fall.recovered_ts, fall.length_ns) == (
        0.25,
        20,
        30,
        50,
        30,
    )
    assert metrics.drawdown([1, 2], [100, 90]).recovered_ts is None
    assert metrics.drawdown([1, 2, 3, 4], [100, 100, 90, 95]).length_ns == 2  # not since it was first there


def test_values_are_held_where_equal_samples_were_left_out():
    series = Series(np.array([0, 60, 600, 660]), np.array([5.0, 6.0, 4.0, 4.5]))
    held = series.held(interval_ns=60)
    assert held.times.tolist() == [0, 60, 540, 600, 660]
    assert held.values.tolist() == [5.0, 6.0, 6.0, 4.0, 4.5]
    assert series.held(900, 60).times.tolist()[-2:] == [660, 900]
    assert series.held(660, 60).times.tolist()[-1] == 660
    assert Series(np.array([], dtype=np.int64), np.array([])).held(5).times.tolist() == []


def test_the_published_run_has_the_published_annual_return_turnover_and_drawdown():
    """BasicTemplateAlgorithm of LEAN: SPY minute, 2013-10-07..11, 100,000 to 101,691.92, 688 shares."""
    begin = local("2013-10-07", "00:00", "America/New_York")
    end = local("2013-10-11", "16:00", "America/New_York")
    assert f"{101691.92 / 100000 - 1:.3%}" == "1.692%"
    assert f"{metrics.annual_return(100000, 101691.92, begin, end):.3%}" == "271.453%"
    # It traded on the first day only, so the mean over five days is a fifth of that day's share.
    traded, first_day = 688 * 144.78172417, 99_963.0
    told = metrics.turnover([traded, 0, 0, 0, 0], [first_day, 99_000.0, 99_500.0, 101_000.0, 101691.92], 5)
    assert f"{told:.2%}" == "19.93%"
    assert metrics.rounded_drawdown(0.02246) == Decimal("0.022")
    assert metrics.rounded_drawdown(0.0004) == 0


def test_calmar_divides_the_annual_return_by_the_drawdown():
    assert metrics.calmar(0.3, 0.1) == pytest.approx(3)
    assert metrics.calmar(0.3, 0.0) is None
    assert metrics.calmar(None, 0.1) is None
    assert metrics.calmar(0.3, None) is None


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=6),
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=6),
)
def test_time_in_market_counts_each_open_moment_once(held, hours):
    def laid_out(pairs):
        found, at = [], 0
        for gap, size in pairs:
            found.append((at + gap, at + gap + size))
            at += gap + size
        return found

    mine, theirs = laid_out(held), laid_out(hours)
    inside = {t for a, b in mine for t in range(a, b)} & {t for a, b in theirs for t in range(a, b)}
    whole = sum(b - a for a, b in theirs)
    assert near(metrics.time_in_market(mine, theirs), len(inside) / whole)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (metrics.simple_returns([]), []),
        (metrics.simple_returns([5.0]), []),
        (metrics.simple_returns([5.0, 0.0, 3.0]), None),
        (metrics.simple_returns([-5.0, -3.0]), None),
        (metrics.volatility([]), None),
        (metrics.volatility([0.1]), None),
        (metrics.volatility([0.1, 0.1]), 0.0),
        (metrics.sharpe([0.1, 0.1, 0.1]), None),
        (metrics.sharpe([0.0, 0.0]), None),
        (metrics.sharpe([]), None),
        (metrics.sortino([0.1, 0.2]), None),
        (metrics.sortino([-0.1]), None),
        (metrics.drawdown([], []), None),
        (metrics.drawdown([1, 2], [7.0, 7.0]), None),
        (metrics.drawdown([1, 2], [-5.0, -9.0]), None),
        (metrics.annual_return(0, 5, 0, DAY_NS), None),
        (metrics.annual_return(5, -5, 0, DAY_NS), None),
        (metrics.annual_return(5, 0, 0, DAY_NS), -1.0),
        (metrics.annual_return(5, 6, DAY_NS, DAY_NS), None),
        (metrics.annual_return(1, 1e300, 0, 1), None),
        (metrics.turnover([], [], 0), None),
        (metrics.turnover([1.0], [0.0], 1), None),
        (metrics.turnover([1.0], [-5.0], 1), None),
        (metrics.time_in_market([(0, 5)], []), None),
    ],
)
def test_what_cannot_be_said_is_none(told, expected):
    assert told == expected


@given(st.lists(st.floats(-1e9, 1e9), max_size=20), st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_nothing_is_ever_nan_or_infinite(values, start, end):
    returns = metrics.simple_returns(values) or []
    fall = metrics.drawdown(list(range(len(values))), values)
    annual = metrics.annual_return(start, end, 0, 3 * DAY_NS)
    told = [
        annual,
        metrics.volatility(returns),
        metrics.sharpe(returns),
        metrics.sortino(returns),
        metrics.calmar(annual, fall.depth if fall else None),
        metrics.turnover([abs(v) for v in values], values, len(values)),
        *(metrics.underwater(np.array(values)).tolist() if values else []),
    ]
    assert all(value is None or math.isfinite(value) for value in told)


@pytest.mark.parametrize(
    ("all_hours", "minutes"),
    [
        (False, [571, 572, 577, 957, 1440 + 572, 1440 + 577]),
        (True, [571, 242, 1197, 1440 + 242, 1440 + 1197]),
    ],
)
def test_lean_sees_equity_from_the_second_minute_of_a_day_and_every_fifth_from_there(all_hours, minutes):
    midnight = local("2013-10-07", "00:00", "America/New_York")
    hours = [(midnight + n * DAY_NS, midnight + n * DAY_NS + 570 * MINUTE_NS) for n in (0, 1)]
    days = [Day("", begin, opens, begin + 960 * MINUTE_NS, begin + DAY_NS) for begin, opens in hours]
    equity = Series(midnight + np.arange(2 * 1440) * MINUTE_NS, np.arange(2 * 1440.0))
    facts = SimpleNamespace(all_hours=all_hours)
    seen = lean_samples(facts, days, equity, 5.5)
    assert seen[0] == 5.5
    assert set(minutes) <= set(seen)
    assert len(seen) == 2 + 2 * (192 if all_hours else 78)
    assert lean_samples(facts, [], equity, 5.5).tolist() == [5.5]
    assert lean_samples(facts, days, Series(equity.times[:0], equity.values[:0]), 5.5).max() == 5.5
