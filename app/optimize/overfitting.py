"""How much of the best result is luck: the expected maximum of many Sharpe ratios, and the deflated one.

D. H. Bailey, M. López de Prado, "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
Overfitting, and Non-Normality", Journal of Portfolio Management 40 (5), 2014, 94-107. Sharpe ratios here are
per observation, not a year's. Pure.
"""

from collections.abc import Sequence
from math import e, sqrt
from statistics import NormalDist, fmean, variance
from typing import Any

import msgspec

from app.report.metrics import sharpe

EULER = 0.5772156649015329
"""The Euler-Mascheroni constant."""

_NORMAL = NormalDist()


class Deflated(msgspec.Struct, frozen=True):
    """The deflated Sharpe ratio (`probability`, of a true one above `expected_max`) and its causes."""

    probability: float
    sharpe: float
    expected_max: float
    trials: int
    observations: int
    skewness: float
    kurtosis: float
    variance: float


def expected_maximum(trials: int, spread: float) -> float:
    """Return the Sharpe ratio that the best of `trials` worthless ones is expected to have.

    `spread` is the variance of the ratios. Equation 1 of the paper, with mean 0:
    sqrt(V) · ((1 - γ) Z⁻¹(1 - 1/N) + γ Z⁻¹(1 - 1/(N e))). 0 for a single trial.
    """
    if trials < 2:
        return 0.0
    first = _NORMAL.inv_cdf(1 - 1 / trials)
    second = _NORMAL.inv_cdf(1 - 1 / (trials * e))
    return sqrt(spread) * ((1 - EULER) * first + EULER * second)


def probabilistic(
    sharpe: float, benchmark: float, observations: int, skewness: float, kurtosis: float
) -> float:
    """Return the probability that the true Sharpe ratio is above `benchmark`.

    Equation 2 of the paper: Z((SR - SR0) sqrt(T - 1) / sqrt(1 - γ3 SR + (γ4 - 1)/4 SR²)), where γ4 is 3 for a
    normal distribution. The ratios are per observation.
    """
    spread = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe * sharpe
    if spread <= 0 or observations < 2:
        return float("nan")
    return _NORMAL.cdf((sharpe - benchmark) * sqrt(observations - 1) / sqrt(spread))


def deflated(returns: Sequence[float], ratios: Sequence[float]) -> Deflated | None:
    """Return the deflated Sharpe ratio of the best trial; `ratios` are those of all trials, the best's too.

    All trials count as independent, which is on the safe side: alike ones are fewer in truth. `None` if the
    best has no Sharpe ratio.
    """
    ratio = sharpe(returns, 1)
    if ratio is None or not ratios:
        return None
    spread = variance(ratios) if len(ratios) > 1 else 0.0
    benchmark = expected_maximum(len(ratios), spread)
    skewness, kurtosis = moments(returns)
    probability = probabilistic(ratio, benchmark, len(returns), skewness, kurtosis)
    return Deflated(probability, ratio, benchmark, len(ratios), len(returns), skewness, kurtosis, spread)


def moments(returns: Sequence[float]) -> tuple[float, float]:
    """Return skewness and kurtosis (3 for a normal distribution) of returns, by population moments."""
    mean = fmean(returns)
    second = fmean((value - mean) ** 2 for value in returns)
    third = fmean((value - mean) ** 3 for value in returns)
    fourth = fmean((value - mean) ** 4 for value in returns)
    return third / second**1.5, fourth / second**2


def told(measure: Deflated, periods: float) -> dict[str, Any]:
    """Return the measure for people, with its ratios also for a year of `periods` observations."""
    year = sqrt(periods)
    return {
        **msgspec.to_builtins(measure),
        "sharpe_annual": measure.sharpe * year,
        "expected_max_annual": measure.expected_max * year,
    }
