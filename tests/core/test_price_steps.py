"""Valid prices: rounding to the steps that an instrument's prices go in."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.replay.tables.instruments import InstrumentOptions, check_options, define
from core.errors import InvalidEvent, UsageError
from core.money import QUANTUM
from core.price_steps import PriceSteps, parse_steps, steps_of, steps_text
from eventstore.checks import check
from tests.core.bench import instrument

D = Decimal
OPTIONS = "0:0.05,3:0.1"
HONG_KONG = "0:0.001,0.25:0.005,0.5:0.01,10:0.02,20:0.05,100:0.1,200:0.2,500:0.5,1000:1,2000:2,5000:5"
ODD = "0:0.3,1:0.5,1.2:0.7,7:0.01"
"""Edges that are no multiple of the steps on either side."""

STEPS = st.decimals(D("0.0001"), D(3), places=4)
LADDERS = st.dictionaries(st.decimals(D("0.01"), D(60), places=2), STEPS, max_size=5).flatmap(
    lambda more: STEPS.map(lambda first: [(D(0), first), *sorted(more.items())])
)
PRICES = st.decimals(D(-5), D(100), places=5)


def steps(text):
    return PriceSteps(parse_steps(text))


def is_valid(price, pairs):
    """Say it the long way: a multiple of the step of the last edge that is not above it."""
    return price % [step for edge, step in pairs if edge <= max(price, 0)][-1] == 0


@given(LADDERS, PRICES)
def test_what_is_rounded_is_valid_and_stays_as_it_is(pairs, price):
    ladder = PriceSteps(pairs)
    for found in (ladder.nearest(price), ladder.down(price), ladder.up(price)):
        assert is_valid(found, pairs)
        assert ladder.fits(found)
        assert ladder.nearest(found) == ladder.down(found) == ladder.up(found) == found
    assert ladder.fits(price) == is_valid(price, pairs)


@given(LADDERS, PRICES)
def test_down_and_up_are_the_nearest_on_their_sides_and_nearest_is_one_of_them(pairs, price):
    ladder = PriceSteps(pairs)
    low, high = ladder.down(price), ladder.up(price)
    assert low <= price <= high
    assert ladder.nearest(price) in (low, high)
    assert abs(ladder.nearest(price) - price) == min(price - low, high - price)
    if low < high:  # nothing valid lies between them
        middle = (low + high) / 2
        assert (ladder.down(middle), ladder.up(middle)) == (low, high)


@given(LADDERS, PRICES, PRICES)
def test_a_higher_price_is_never_rounded_lower(pairs, one, other):
    ladder, (low, high) = PriceSteps(pairs), sorted((one, other))
    assert ladder.nearest(low) <= ladder.nearest(high)
    assert ladder.down(low) <= ladder.down(high)
    assert ladder.up(low) <= ladder.up(high)


@given(STEPS, PRICES)
def test_one_step_rounds_half_to_even_as_a_tick_size_always_did(step, price):
    expected = (price / step).quantize(D(1)) * step
    assert PriceSteps([(D(0), step)]).nearest(price) == expected
    # The same step named twice has nothing else to say.
    assert PriceSteps([(D(0), step), (step * 7, step)]).nearest(price) == expected


def nearest_of_the_step_here(self, price):
    """A rounding that looks at the step of the price alone, not of what comes out: broken at the edges."""
    step = self.at(price)
    return (price / step).quantize(D(1)) * step


def test_rounding_that_forgets_the_edges_is_caught(monkeypatch):
    monkeypatch.setattr(PriceSteps, "nearest", nearest_of_the_step_here)
    ladder = steps("0:0.5,1.3:0.4")
    assert not all(ladder.fits(ladder.nearest(D(cents) / 100)) for cents in range(900))


@pytest.mark.parametrize(
    ("text", "price", "down", "nearest", "up"),
    [
        (OPTIONS, "2.98", "2.95", "3", "3"),  # up to the edge, which is valid
        (OPTIONS, "2.97", "2.95", "2.95", "3"),
        (OPTIONS, "3.04", "3", "3", "3.1"),
        (OPTIONS, "3.05", "3", "3", "3.1"),  # half to even
        (OPTIONS, "3.15", "3.1", "3.2", "3.2"),
        (HONG_KONG, "9.995", "9.99", "10", "10"),
        (HONG_KONG, "10.015", "10", "10.02", "10.02"),
        (HONG_KONG, "4999", "4998", "5000", "5000"),
        (ODD, "0.95", "0.9", "1", "1"),
        (ODD, "1.1", "1", "1", "1.4"),  # 1.5 is of the next band, where steps are others
        (ODD, "1.3", "1", "1.4", "1.4"),  # from 1.2 on nothing is valid below 1.4
    ],
)
def test_prices_across_an_edge(text, price, down, nearest, up):
    ladder = steps(text)
    found = ladder.down(D(price)), ladder.nearest(D(price)), ladder.up(D(price))
    assert found == (D(down), D(nearest), D(up))


def test_a_distance_is_of_whole_steps_of_the_price_that_it_is_from():
    ladder = steps(OPTIONS)
    assert [ladder.distance(D("0.33"), D(price)) for price in (2, 5)] == [D("0.35"), D("0.3")]
    assert ladder.distance(D("0.01"), D(5)) == D("0.1")


@pytest.mark.parametrize(
    ("price", "count", "up", "expected"),
    [
        (2.9, 1, True, 2.95),
        (2.9, 4, True, 3.2),  # two of 0.05 and two of 0.10
        (3.2, 4, False, 2.9),
        (3.0, 1, False, 2.95),  # below the edge the smaller step counts
        (3.0, 0.5, True, 3.05),
        (0.05, 2, False, -0.05),
    ],
)
def test_a_price_is_moved_by_the_steps_that_it_passes(price, count, up, expected):
    assert steps(OPTIONS).moved(price, count, up=up) == pytest.approx(expected)


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_valid_price_moved_by_whole_steps_is_valid_and_finds_its_way_back(first, count):
    ladder = steps(HONG_KONG)
    start = ladder.moved(0.0, first, up=True)
    moved = ladder.moved(start, count, up=True)
    assert ladder.fits(D(repr(round(moved, 8))))
    assert round(ladder.moved(moved, count, up=False), 8) == round(start, 8)


def test_an_instrument_without_steps_has_its_tick_size_and_one_without_either_any_price():
    plain = instrument()
    assert steps_of(plain).pairs == [(D(0), D("0.01"))]
    assert steps_of(replace(plain, price_steps=OPTIONS)).pairs == [(D(0), D("0.05")), (D(3), D("0.1"))]
    free = steps_of(replace(plain, tick_size=D(0)))
    assert free.pairs == [(D(0), QUANTUM)]
    assert free.nearest(D("1.23456789")) == D("1.23456789")


def test_the_lowest_price_is_a_valid_one():
    assert [steps(text).lowest for text in (OPTIONS, ODD, "0:5,3:2")] == [D("0.05"), D("0.3"), D(4)]


@given(LADDERS)
def test_steps_read_back_as_they_were_written(pairs):
    text = steps_text(pairs)
    assert steps_text(parse_steps(text)) == text
    assert all(PriceSteps(pairs).at(edge) == PriceSteps(parse_steps(text)).at(edge) for edge, _ in pairs)


def test_steps_in_any_order_and_repeated_are_written_in_one_way():
    assert steps_text([(D(3), D("0.10")), (D("0.0"), D("0.05")), (D(7), D("0.1"))]) == OPTIONS
    assert steps_text([(D("0.01"), D("0.01"))]) == "0:0.01"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected EDGE:STEP"),
        ("0.05", "expected EDGE:STEP"),
        ("0:0", "expected EDGE:STEP"),
        ("0:-1", "expected EDGE:STEP"),
        ("0:0.01,3:", "expected EDGE:STEP"),
        ("0:nan", "expected EDGE:STEP"),
        ("0:1e-9", "expected EDGE:STEP"),
        ("0:0.01;3:0.05", "expected EDGE:STEP"),
        ("1:0.01", "first edge, not 1"),
        ("0:0.01,3:0.05,3:0.1", "edges that ascend"),
    ],
)
def test_text_that_names_no_steps_is_refused_with_the_reason(text, why):
    with pytest.raises(ValueError, match=why):
        parse_steps(text)


def test_a_table_names_its_instruments_steps_or_their_tick_size_not_both():
    given = InstrumentOptions(price_steps="0:0.05, 3:0.10")
    check_options(given)
    found = define(given, "ACME", 0, "XNYS", "America/New_York")
    assert (found.price_steps, found.tick_size) == (OPTIONS, D("0.05"))
    with pytest.raises(UsageError, match="leave one of them out"):
        check_options(InstrumentOptions(price_steps=OPTIONS, tick_size="0.05"))


def test_an_instrument_whose_steps_are_none_never_gets_into_a_log():
    check(replace(instrument(), price_steps=OPTIONS))
    with pytest.raises(InvalidEvent, match=r"ACME.*edges that ascend"):
        check(replace(instrument(), price_steps="0:1,5:2,4:3"))
