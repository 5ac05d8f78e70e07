"""Sizes by the configured rules: pure, capped, and recorded as the cause of what follows."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.sizing.rules import METHODS, SizingFacts, SizingRules, sized
from core.views import ClosedTrade

pytestmark = pytest.mark.risk

D = Decimal
FACTS = SizingFacts(D(100_000), D(50))


def test_a_fixed_size_is_what_it_says():
    found = sized(SizingRules(quantity=70), FACTS)
    assert (found.wanted, found.quantity, found.capped_by) == (70, 70, "")


def test_fixed_fractional_loses_the_share_at_the_stop():
    # 1 % of 100,000 is 1,000; a stop of 5 % is 2.50 away: 400 units
    found = sized(SizingRules(method="fixed_fractional", risk_per_trade=0.01, stop_pct=0.05), FACTS)
    assert found.quantity == 400
    assert found.inputs == {"equity": "100000", "unit": "50", "risk_per_trade": "0.01", "stop_pct": "0.05"}


def test_volatility_target_takes_the_measured_volatility_and_a_configured_one_wins():
    rules = SizingRules(method="volatility_target", target_volatility=0.10)
    measured = msgspec.structs.replace(FACTS, volatility=0.40)
    assert sized(rules, measured).quantity == 500
    assert sized(msgspec.structs.replace(rules, volatility=0.20), measured).quantity == 1000


def test_a_cap_is_named_and_what_was_wanted_is_kept():
    found = sized(SizingRules(quantity=500, max_share=0.05), FACTS)
    assert (found.wanted, found.quantity, found.capped_by) == (500, 100, "max_share")


@pytest.mark.parametrize(
    ("rules", "facts", "why"),
    [
        (SizingRules(), SizingFacts(None, D(50)), "equity or price is unknown"),
        (SizingRules(), SizingFacts(D(1000), None), "equity or price is unknown"),
        (SizingRules(), SizingFacts(D(-1), D(50)), "equity or price is unknown"),
        (SizingRules(method="volatility_target"), FACTS, "volatility is unknown"),
        (SizingRules(method="volatility_target"), SizingFacts(D(9), D(5), 0.0), "volatility is unknown"),
    ],
)
def test_what_is_unknown_makes_no_size(rules, facts, why):
    found = sized(rules, facts)
    assert (found.quantity, found.capped_by) == (0, why)


def test_fixed_fractional_goes_by_a_stop_at_a_multiple_of_the_range():
    rules = SizingRules(method="fixed_fractional", risk_per_trade=0.01, stop_atr=2.0)
    known = msgspec.structs.replace(FACTS, price=50.0, atr=2.5)  # two of them are 10 % of the price
    found = sized(rules, known)
    assert found.quantity == 200
    assert (found.inputs["atr"], found.inputs["stop_atr"], found.inputs["stop_pct"]) == ("2.5", "2.0", "0.1")
    unknown = sized(rules, FACTS)  # two times 2 %
    assert (unknown.quantity, unknown.inputs["atr_unknown_pct"]) == (500, "0.02")


def test_fixed_fractional_without_a_stop_is_refused():
    with pytest.raises(UsageError, match="needs the distance of a stop"):
        sized(SizingRules(method="fixed_fractional"), FACTS)


@given(
    method=st.sampled_from(METHODS),
    equity=st.decimals("1", "10000000", places=2),
    unit=st.decimals("0.01", "5000", places=2),
    share=st.floats(0.001, 2.0),
    volatility=st.floats(0.01, 5.0),
)
def test_no_size_is_worth_more_than_the_cap(method, equity, unit, share, volatility):
    rules = SizingRules(method=method, stop_pct=0.02, max_share=share, kelly_least=2)
    trades = [ClosedTrade("A", n, D(result), D(100)) for n, result in enumerate((9, -3, 5, -1))]
    found = sized(rules, SizingFacts(equity, unit, volatility, lambda last: trades[-last:]))
    assert 0 <= found.quantity <= found.wanted
    assert found.quantity * unit <= equity * D(repr(share)) * (1 + D("1e-30"))
    assert found.quantity == found.quantity.to_integral_value()
