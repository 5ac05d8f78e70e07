"""The schedules against the examples that the broker publishes, and orders filled in parts."""

import pytest

from core.commissions import COMMISSION_MODELS, commission_model
from core.errors import UsageError
from tests.projections.build import D, future, option, stock

ZERO = D(0)


def order(name, instrument, *fills):
    """Return the commission of each fill of one order."""
    model, filled, charged, value, paid = commission_model(name), ZERO, ZERO, ZERO, []
    for quantity, price in [(D(quantity), D(price)) for quantity, price in fills]:
        fee = model.commission(instrument, filled, charged, quantity, price, value)
        filled, charged, value = (
            filled + quantity,
            charged + fee,
            value + quantity * price * instrument.multiplier,
        )
        paid.append(fee)
    return paid


@pytest.mark.parametrize(
    ("name", "instrument", "quantity", "price", "expected"),
    [
        # The examples on "Commissions Stocks", United States, Fixed.
        ("ibkr_fixed", stock(), 100, "25", "1"),
        ("ibkr_fixed", stock(), 1000, "25", "5"),
        ("ibkr_fixed", stock(), 1000, "0.25", "2.5"),
        ("ibkr_fixed", stock(), 10, "0.20", "0.02"),
        ("ibkr_tiered", stock(), 1000, "25", "3.5"),
        ("ibkr_tiered", stock(), 50, "25", "0.35"),
        ("ibkr_fixed", future(), 3, "5000", "2.55"),
        ("ibkr_tiered", future(), 3, "5000", "2.55"),
        # The examples on "Commissions Options", United States, up to 10,000 contracts a month.
        ("ibkr_tiered", option(), 1, "2", "1"),
        ("ibkr_tiered", option(), 2, "5", "1.3"),
        ("ibkr_tiered", option(), 3, "0.075", "1.5"),
        ("ibkr_tiered", option(), 5, "0.03", "1.25"),
        # A premium at the edge of a band is of the dearer one.
        ("ibkr_tiered", option(), 10, "0.05", "5"),
        ("ibkr_tiered", option(), 10, "0.1", "6.5"),
        # LEAN's published result for 688 shares of SPY.
        ("lean", stock(), 688, "144.78172417", "3.44"),
        ("lean", stock(), 10, "0.20", "1"),
        ("zero", stock(), 1000, "25", "0"),
        ("0.2 %", stock(), 1000, "25", "50"),
        ("20 bps", stock(currency="EUR"), 1000, "25", "50"),
        ("0.2%", future(), 1, "5000", "500"),  # of 50 times the price
        ("2 each", future(), 3, "5000", "6"),
        (".5 each", stock(currency="EUR"), 3, "25", "1.5"),
    ],
)
def test_an_order_costs_what_the_published_example_says(name, instrument, quantity, price, expected):
    assert order(name, instrument, (quantity, price)) == [D(expected)]


def test_an_order_filled_in_parts_pays_its_minimum_once():
    assert order("ibkr_fixed", stock(), (50, "25"), (50, "25"), (200, "25")) == [D(1), D(0), D("0.5")]


@pytest.mark.parametrize("name", ["ibkr_fixed", "ibkr_tiered", "lean", "0.2 %", "2 each"])
def test_parts_cost_together_what_the_whole_costs(name):
    parts = order(name, stock(), (100, "25"), (333, "25"), (567, "25"))
    assert [sum(parts)] == order(name, stock(), (1000, "25"))


def test_a_part_never_pays_back_what_was_charged():
    # The average premium falls into a cheaper band with the second fill.
    first, second = order("ibkr_fixed", option(), (10, "0.11"), (2, "0.01"))
    assert (first, second) == (D("6.5"), D(0))


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(
        UsageError, match=r"expected one of ibkr_fixed, ibkr_tiered, lean, zero, or a rate.*mean 'ibkr_fixed'"
    ):
        commission_model("ibkr_fix")


@pytest.mark.parametrize(
    "text", ["0.2", "-0.2 %", "0,2 %", "2 each way", "nan %", "1e3 bps", "% 2", "٢ %", ""]
)
def test_what_is_no_rate_is_refused_with_examples(text):
    with pytest.raises(UsageError, match=r"unknown commission model .*such as '0.2 %', '20 bps'"):
        commission_model(text)


@pytest.mark.parametrize("text", ["100 %", "10000 bps", "1000 %"])
def test_a_rate_that_takes_all_of_the_value_is_refused(text):
    with pytest.raises(UsageError, match=f"commission '{text}': a rate of the value must be below 100 %"):
        commission_model(text)


def test_a_rate_of_a_negative_price_is_paid_not_received():
    assert order("1 %", future(), (1, "-37")) == [D("0.01") * 37 * future().multiplier]


def test_an_uncovered_currency_is_refused_not_priced_in_dollars():
    with pytest.raises(UsageError, match=r"does not cover ACME \(STK in EUR\)"):
        order("ibkr_fixed", stock(currency="EUR"), (100, "25"))
    assert order("zero", stock(currency="EUR"), (100, "25")) == [ZERO]


def test_each_model_is_found_under_its_own_name():
    assert [(name, commission_model(name).name) for name in COMMISSION_MODELS] == [
        (n, n) for n in COMMISSION_MODELS
    ]
