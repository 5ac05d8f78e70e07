"""Exact money: one canonical form, whatever the thread's decimal context is."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidEvent
from core.events import OrderIntended
from core.matching import Resting, match_bar, match_tick
from core.money import divide, money, money_once, plain, price, written
from projections.prices import Book
from tests.core.bench import MIN, OPEN, bar, trade

D = Decimal


@pytest.mark.parametrize(
    ("given_value", "digits"),
    [
        ("100.00", "100"),
        ("1E+2", "100"),
        (100, "100"),
        ("0.10", "0.1"),
        ("-0", "0"),
        ("-0.000000001", "0"),
        ("1e-8", "1E-8"),  # below 1e-6 `str` shows an exponent; `plain` does not
        ("0.00001", "0.00001"),
        ("1.000000005", "1"),  # half even: down to the even 0
        ("1.000000015", "1.00000002"),  # half even: up to the even 2
        ("-1.000000015", "-1.00000002"),
        ("123456789012345678901.12345678", "123456789012345678901.12345678"),
    ],
)
def test_money_has_one_form(given_value, digits):
    assert str(money(given_value)) == digits


@given(st.decimals(min_value=-(10**20), max_value=10**20, allow_nan=False, allow_infinity=False))
def test_money_is_canonical_for_every_amount(value):
    amount = money(value)
    sign, digits, exponent = amount.as_tuple()
    assert -8 <= exponent <= 0
    assert exponent == 0 or digits[-1] != 0, "no trailing zeros"
    assert not (sign and not amount), "no negative zero"
    assert money(amount) == amount
    assert money(amount).as_tuple() == amount.as_tuple()
    assert abs(amount - value) <= D("5e-9")
    assert "E" not in plain(amount)
    assert D(plain(amount)).as_tuple() == amount.as_tuple()


@pytest.mark.parametrize(
    "bad", ["NaN", "-NaN", "sNaN", D("NaN"), "Infinity", "-Infinity", "1e31", "lots", ""]
)
def test_what_is_no_finite_amount_is_refused(bad):
    with pytest.raises(InvalidEvent, match="is not an amount: expected a finite number"):
        money(bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1.7976931348623157e308])
def test_prices_that_are_no_numbers_are_refused(bad):
    with pytest.raises(InvalidEvent):
        price(bad)


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, 100.0, 1e15, 1e16, 1e22, 1e-5, 1.5e-7, 4e-9, 0.1 + 0.2, -3.25]
)
def test_a_price_is_money_however_it_is_written(value):
    assert price(value).as_tuple() == money(repr(value)).as_tuple()


@pytest.fixture
def hostile_context():
    """A context that would spoil every operation which relies on the thread's own."""
    hostile = decimal.Context(prec=2, rounding=decimal.ROUND_UP, Emax=4, Emin=-4)
    hostile.traps[decimal.Inexact] = True
    hostile.traps[decimal.Rounded] = True
    with decimal.localcontext(hostile):
        yield
    money.cache_clear()
    price.cache_clear()


def test_money_does_not_depend_on_the_decimal_context(hostile_context):
    money.cache_clear()
    price.cache_clear()
    assert str(money("123456.789012345")) == "123456.78901234"
    assert str(price(144.78172417)) == "144.78172417"
    assert str(divide(D(1), D(3))) == "0.33333333"
    assert str(divide(D(2), D(3))) == "0.66666667"
    assert plain(D("1E+3")) == "1000"


def test_a_float_quantised_with_the_threads_context_is_caught(hostile_context):
    with pytest.raises(decimal.DecimalException):
        D("123456.789012345").quantize(D("1e-8"))  # what `money` must not do


@given(st.floats(min_value=1e-8, max_value=1e9))
def test_a_price_is_the_shortest_decimal_that_reads_back(value):
    assert price(value).as_tuple() == money(repr(value)).as_tuple()
    assert price(-value).as_tuple() == money(repr(-value)).as_tuple()
    cents = round(value, 2)
    assert float(price(cents)) == cents


def resting(side, kind, at):
    limit, stop = (at, None) if kind == "LMT" else (None, at)
    intent = OrderIntended(OPEN, "o", "SIM", "s", "ACME", side, D(1), kind, limit, stop, "DAY", "r")
    return Resting.arrived(intent, OPEN)


CENTS = range(1, 100_001)


def test_a_stop_at_exactly_the_traded_price_triggers_for_every_cent_to_1000():
    missed = []
    book = Book("ACME")
    for cents in CENTS:
        exact, seen = D(cents) / 100, cents / 100
        print_ = trade(OPEN, seen)
        book.on_trade(print_)
        missed += [
            (side, exact)
            for side in ("BUY", "SELL")
            if match_tick(resting(side, "STP", exact), print_, book) != seen
        ]
    assert missed == []


def test_a_limit_at_exactly_the_best_price_fills_for_every_cent_to_1000():
    missed = []
    book = Book("ACME")
    for cents in CENTS:
        exact, seen = D(cents) / 100, cents / 100
        print_ = trade(OPEN, seen)
        book.on_trade(print_)
        # Without quotes the print is the best price on both sides.
        missed += [
            (side, exact)
            for side in ("BUY", "SELL")
            if match_tick(resting(side, "LMT", exact), print_, book) != seen
        ]
    assert missed == []


def test_bars_touching_exactly_trigger_stops_and_never_fill_limits_for_every_cent_to_1000():
    wrong = []
    book = Book("ACME")
    for cents in CENTS:
        exact, seen = D(cents) / 100, cents / 100
        touched = bar(OPEN + MIN, seen, seen, seen, seen)
        for side in ("BUY", "SELL"):
            if match_bar(resting(side, "STP", exact), touched, book) != seen:
                wrong.append(("stop", side, exact))
            if match_bar(resting(side, "LMT", exact), touched, book) is not None:
                wrong.append(("limit", side, exact))
    assert wrong == []


def test_comparing_floats_with_decimals_would_be_wrong_for_half_of_all_cents():
    wrong = sum(not (cents / 100 <= D(cents) / 100) for cents in CENTS)
    assert wrong > 40_000  # which is why the conversions above exist


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_an_amount_is_written_as_it_would_be_kept(value):
    assert written(value) == plain(money(value))
    assert money_once(value) == money(value)
    assert str(money_once(value)) == str(money(value))
