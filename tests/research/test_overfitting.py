"""The deflated Sharpe ratio against its authors' example and against a simulation; returns; folds."""

import random
from decimal import Decimal
from math import sqrt
from statistics import fmean, stdev

import pytest

from app.optimize.folds import folds
from app.optimize.measures import edges, interval, returns
from app.optimize.overfitting import deflated, expected_maximum, moments, probabilistic
from app.replay.period import Period
from app.report.metrics import sharpe
from core.errors import UsageError
from core.events import SessionScheduled


@pytest.mark.parametrize(("trials", "benchmark", "expected"), [(100, 0.1132, 0.9004), (46, None, 0.9505)])
def test_the_example_of_the_paper(trials: int, benchmark: float | None, expected: float) -> None:
    """Annual Sharpe 2.5 over 1,250 days, variance 1/2 a year, skewness -3, kurtosis 10."""
    found = expected_maximum(trials, 0.5 / 250)
    if benchmark is not None:
        assert round(found, 4) == benchmark
    assert round(probabilistic(2.5 / sqrt(250), found, 1250, -3, 10), 4) == expected


def test_the_expected_maximum_is_that_of_a_simulation() -> None:
    rng = random.Random(1)
    best = fmean(max(rng.gauss(0, 0.3) for _ in range(50)) for _ in range(4000))
    assert expected_maximum(50, 0.09) == pytest.approx(best, rel=0.02)
    assert expected_maximum(1, 0.09) == 0


def test_luck_is_told_from_skill() -> None:
    rng = random.Random(2)
    lucky = [[rng.gauss(0, 0.01) for _ in range(250)] for _ in range(100)]
    ratios = [sharpe(series, 1) or 0.0 for series in lucky]
    best = max(lucky, key=lambda series: sharpe(series, 1) or 0.0)
    luck = deflated(best, ratios)
    assert luck is not None
    assert luck.probability < 0.95, "the best of a hundred worthless ones"
    assert probabilistic(luck.sharpe, 0, 250, luck.skewness, luck.kurtosis) > 0.95, "which alone looks good"
    skill = [rng.gauss(0.004, 0.01) for _ in range(250)]
    found = deflated(skill, [*ratios, sharpe(skill, 1) or 0.0])
    assert found is not None
    assert found.probability > 0.95


def test_moments_of_known_distributions() -> None:
    assert moments([1.0, -1.0, 1.0, -1.0]) == (0.0, 1.0)
    rng = random.Random(3)
    skewness, kurtosis = moments([rng.gauss(5, 2) for _ in range(50_000)])
    assert skewness == pytest.approx(0, abs=0.05)
    assert kurtosis == pytest.approx(3, abs=0.1)


def test_a_flat_series_has_no_ratio() -> None:
    assert sharpe([0.0, 0.0, 0.0], 1) is None
    assert deflated([0.0, 0.0, 0.0], [0.1]) is None
    assert sharpe([1.0, 2.0, 3.0], 1) == pytest.approx(2 / stdev([1, 2, 3]))


# -- returns -----------------------------------------------------------------------------------

HOUR = 3_600_000_000_000


def session(day: int) -> SessionScheduled:
    start = day * 24 * HOUR
    times = (start, start + 9 * HOUR + HOUR // 2, start + 16 * HOUR, start + 20 * HOUR)
    return SessionScheduled(start, "XNYS", f"2025-07-{day:02}", "America/New_York", *times)


def test_equity_is_taken_at_the_ends_of_intervals() -> None:
    at = edges([session(1)], "hour")
    assert [ts // HOUR for ts in at] == [34, 35, 36, 37, 38, 39, 40]
    assert at[-1] == session(1).close
    assert edges([session(1), session(2)], "day") == [session(1).close, session(2).close]
    marks = [(at[0] - 1, Decimal(110)), (at[2], Decimal(99)), (at[2] + 1, Decimal(100))]
    assert returns(marks, Decimal(100), at[:4]) == pytest.approx([0.1, 0.0, -0.1, 1 / 99])
    assert returns(marks, Decimal(100), at[:1], Decimal(121)) == pytest.approx([0.21])


def test_the_longest_interval_with_enough_returns_is_taken() -> None:
    assert interval([session(day) for day in range(1, 31)]) == "day"
    assert interval([session(day) for day in range(1, 6)]) == "hour"
    assert interval([session(1)]) == "minute"


# -- folds -------------------------------------------------------------------------------------

DATES = [f"2025-07-{day:02}" for day in range(1, 11)]


def test_anchored_folds_choose_in_all_before() -> None:
    found = folds(DATES, 3, rolling=False)
    assert [(str(fold.train), str(fold.test)) for fold in found] == [
        ("2025-07-01..2025-07-03", "2025-07-04..2025-07-06"),
        ("2025-07-01..2025-07-06", "2025-07-07..2025-07-08"),
        ("2025-07-01..2025-07-08", "2025-07-09..2025-07-10"),
    ]


def test_rolling_folds_choose_in_the_part_before() -> None:
    assert [str(fold.train) for fold in folds(DATES, 3, rolling=True)] == [
        "2025-07-01..2025-07-03",
        "2025-07-04..2025-07-06",
        "2025-07-07..2025-07-08",
    ]


@pytest.mark.parametrize("rolling", [True, False])
@pytest.mark.parametrize("count", range(1, 10))
def test_no_fold_is_tried_where_it_was_chosen(count: int, rolling: bool) -> None:
    for fold in folds(DATES, count, rolling=rolling):
        assert fold.test is not None
        assert fold.train.last < fold.test.first


def test_too_few_sessions_are_refused() -> None:
    with pytest.raises(UsageError, match="needs at least 11 sessions; the period has 10"):
        folds(DATES, 10, rolling=False)
    assert folds(DATES, None, rolling=False)[0].train == Period(DATES[0], DATES[-1])
