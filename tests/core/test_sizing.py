"""Quantities from targets: what they are, and that they fit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.commissions import commission_model
from core.errors import UsageError
from core.events import OrderIntended
from core.sizing.methods import LEAN, Holding, MarginSizing, fixed_fractional, rebalanced, volatility_target
from core.strategy import Parameters, Strategy, Subscription
from tests.core.bench import OPEN, Bench, S, instrument, trade

pytestmark = pytest.mark.risk

D = Decimal
ACME = instrument()


def holding(price, held=0, definition=ACME):
    return Holding(definition, D(str(price)), D(held))


def test_all_in_leaves_the_buffer_and_the_fee():
    # 0.9975 of 100,000 at 100 are 997 shares; with the fee of 4.985 it is 997 still
    assert LEAN.quantity(D(1), D(100_000), holding(100)) == 997
    # at 99.75 exactly 1,000 would fit without a fee
    assert LEAN.quantity(D(1), D(100_000), holding("99.75")) == 999
    assert MarginSizing(commission="zero").quantity(D(1), D(100_000), holding("99.75")) == 1000


@given(
    share=st.decimals("0.01", "2", places=2),
    equity=st.decimals("100", "1000000", places=2),
    price=st.decimals("0.5", "5000", places=2),
    held=st.integers(-5000, 5000),
)
def test_a_target_fits_with_its_fee_and_one_more_would_not(share, equity, price, held):
    there, sizing = holding(price, held), replace(LEAN, minimum=D(0))
    quantity = sizing.quantity(share, equity, there)

    def fee(n):
        return commission_model("lean").commission(ACME, D(0), D(0), n, price, D(0)) if n else D(0)

    def fitting(fee):
        return share * D("0.9975") * (equity - fee) / price

    assert 0 <= quantity <= max(fitting(fee(abs(quantity - held))), 0) + D("1e-9")
    assert quantity + 1 > fitting(fee(fitting(0) + abs(held)))  # no whole unit too few
    assert sizing.quantity(-share, equity, holding(price, -held)) == -quantity


def test_a_small_change_of_a_target_is_not_made_but_an_exit_always_is():
    # 0.9975 of 100,000 at 100 are 997 shares; a thousandth of equity as margin at 2 : 1 are 2 shares.
    assert [LEAN.quantity(D(1), D(100_000), holding(100, held)) for held in (995, 996, 999, 1000)] == [
        997,
        996,
        999,
        997,
    ]
    assert LEAN.quantity(D(0), D(100_000), holding(100, 1)) == 0
    assert MarginSizing().quantity(D(1), D(100_000), holding(100, 996)) == 997


def test_a_target_of_nothing_is_flat_and_beyond_the_leverage_is_refused():
    assert LEAN.quantity(D(0), D(1000), holding(10, 50)) == 0
    with pytest.raises(UsageError, match=r"a target of 2\.5 of equity needs more than leverage 2"):
        LEAN.quantity(D("2.5"), D(1000), holding(10))
    with pytest.raises(UsageError, match="ACME: cannot size with equity -5 and price 10"):
        LEAN.quantity(D(1), D(-5), holding(10))


def test_weights_reduce_before_they_add():
    names = ("A", "B", "C")
    holdings = {
        name: holding(10, held, instrument(name)) for name, held in zip(names, (0, 500, 400), strict=True)
    }
    weights = {"A": D("0.5"), "B": D("0.1"), "C": D(0)}
    changes = rebalanced(weights, D(10_000), holdings, MarginSizing(commission="zero"))
    assert changes == [("B", D(-401)), ("C", D(-400)), ("A", D(498))]
    with pytest.raises(UsageError, match=r"weights of 3\.5 in all need more than leverage 2"):
        rebalanced({"A": D(2), "B": D("-1.5")}, D(10_000), holdings, LEAN)


def test_fixed_fractional_risks_its_fraction():
    assert fixed_fractional(D(100_000), D("0.01"), D(50), D(48)) == 500
    assert fixed_fractional(D(100_000), D("0.01"), D(48), D(50), D(50)) == 10
    with pytest.raises(UsageError, match="nothing would be at risk"):
        fixed_fractional(D(1), D(1), D(5), D(5))


def test_volatility_target_scales_with_volatility_up_to_the_leverage():
    assert volatility_target(D(100_000), D("0.1"), D("0.2"), D(50)) == 1000
    assert volatility_target(D(100_000), D("0.1"), D("0.05"), D(50)) == 2000
    with pytest.raises(UsageError, match="needs volatility and price above 0"):
        volatility_target(D(1), D("0.1"), D(0), D(5))


class Balancing(Strategy[Parameters]):
    """Goes to half and half at the second trade, and to a tenth of the first at the fourth."""

    def __init__(self):
        super().__init__(Parameters())
        self.seen = 0
        self.placed = []

    def subscriptions(self):
        return [Subscription("ACME"), Subscription("OTHER")]

    def on_trade(self, trade):
        self.seen += 1
        if self.seen == 2:
            self.placed.append(self.target_weights({"ACME": 0.5, "OTHER": 0.5}, reason="half and half"))
        if self.seen == 6:
            self.placed.append(self.target_weights({"OTHER": 0.9, "ACME": 0.1}, reason="lean over"))
            self.placed.append(self.target_pct("ACME", 0, reason="twice in one breath"))


def test_a_strategy_names_weights_and_gets_orders():
    strategy = Balancing()
    events = [trade(OPEN + n * S, 10.0, name=name) for n in range(5) for name in ("ACME", "OTHER")]
    bench = Bench(strategy)
    bench.run(events)
    asked = [(i.instrument, i.side, i.quantity) for i in bench.recorded(OrderIntended)]
    assert asked[:2] == [("ACME", "BUY", 4986), ("OTHER", "BUY", 4986)]
    assert [name for name, *_ in asked[2:4]] == ["ACME", "OTHER"]
    assert asked[2][1] == "SELL"
