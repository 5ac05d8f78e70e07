"""A strategy's own prices, rounded to what the exchange takes, as automatic exits are."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core import seat
from core.errors import StrategyRaised
from core.events import OrderIntended, RiskRefused
from core.exits.protection import Protection
from core.exits.rules import ExitRules
from core.price_steps import PriceSteps, steps_of
from tests.core.bench import ACCOUNT, OPEN, Bench, S, Script, instrument, session, trade

pytestmark = pytest.mark.risk

D = Decimal
OPTIONS = "0:0.05,3:0.1"


def ask(call, *, steps="", tick="0.01", exits=None):
    """Return what a strategy gets at a trade of an instrument with these steps, and the bench."""
    told = []
    defined = replace(instrument(), price_steps=steps, tick_size=D(tick))
    bench = Bench(Script({1: lambda s: told.append(call(s))}), definitions=[defined, session()])
    if exits is not None:
        views = (bench.world.orders, bench.world.positions, bench.world.sessions)
        bench.step.protect(Protection(exits, *views, ACCOUNT, 1, None, bench.world.decided))
    bench.run([trade(OPEN + n * S, 2.98) for n in range(3)])
    return told[0], bench


@pytest.mark.parametrize(
    ("price", "nearest", "down", "up"),
    [
        (2.97, "2.95", "2.95", "3"),
        (2.98, "3", "2.95", "3"),
        (3.04, "3", "3", "3.1"),
        (3.05, "3", "3", "3.1"),  # halfway: 30 steps are even
        (3.15, "3.2", "3.1", "3.2"),
        (D("3.1"), "3.1", "3.1", "3.1"),
        (7, "7", "7", "7"),
        (0.01, "0.05", "0.05", "0.05"),  # above 0 there is none lower
        (0, "0", "0", "0"),
        (-0.07, "-0.05", "-0.1", "-0.05"),
        (np.float64(2.97), "2.95", "2.95", "3"),
    ],
)
def test_a_price_becomes_one_that_the_exchange_takes(price, nearest, down, up):
    for to, expected in (("nearest", nearest), ("down", down), ("up", up)):
        found, _ = ask(lambda s, to=to: s.round_to_tick("ACME", price, to=to), steps=OPTIONS)
        assert (str(found), type(found)) == (expected, Decimal)
    assert ask(lambda s: s.round_to_tick("ACME", price), steps=OPTIONS)[0] == D(nearest)


def test_the_tick_size_is_that_of_the_price():
    assert ask(lambda s: [s.tick_size("ACME", p) for p in (2.99, 3, D("3.01"))], steps=OPTIONS)[0] == [
        D("0.05"),
        D("0.1"),
        D("0.1"),
    ]
    assert ask(lambda s: s.tick_size("ACME", 2.99))[0] == D("0.01")


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_what_floats_leave_behind_the_eighth_place_moves_no_price_by_a_tick(ticks, away):
    """0.7 + 0.1 is 0.7999999999999999, which is not a tick below 0.80."""
    steps, wanted = PriceSteps([(D(0), D("0.01"))]), D(ticks + away) / 100
    price = (ticks + 2 * away) * 0.01 - away * 0.01
    found = [rounding(price) for rounding in roundings(steps)]
    assert found == [wanted] * 3


def roundings(steps):
    place = seat.Seat()
    place.bind(Known(steps))
    return [
        lambda price, to=to: place.round_to_tick("ACME", price, to=to) for to in ("nearest", "down", "up")
    ]


class Known:
    """A desk that knows one instrument."""

    def __init__(self, steps):
        self.instruments, self._steps = self, steps

    def instrument(self, name):
        return replace(instrument(), tick_size=self._steps.smallest)


def test_an_automatic_stop_rests_where_the_strategy_would_put_it():
    for steps, away in ((OPTIONS, 0.0266), (OPTIONS, 0.34), ("", 0.0333)):
        rules = ExitRules(stop_loss_pct=away)
        _, bench = ask(lambda s: s.buy("ACME", 10, reason="in"), steps=steps, exits=rules)
        stops = [e.stop for e in bench.recorded(OrderIntended) if e.type == "STP"]
        cost = bench.world.positions.position(ACCOUNT, "ACME").average_cost
        by_hand, _ = ask(lambda s, c=cost, a=away: s.round_to_tick("ACME", float(c) * (1 - a)), steps=steps)
        assert stops == [by_hand]


def test_steps_that_the_broker_tells_later_count_from_then_on():
    told = []
    note = lambda s: told.append(s.round_to_tick("ACME", 3.04))  # noqa: E731
    bench = Bench(Script({1: note, 2: note}), definitions=[instrument(), session()])
    news = replace(instrument(), ts=OPEN + S, price_steps=OPTIONS)
    bench.run([trade(OPEN, 3.0), news, trade(OPEN + 2 * S, 3.0)])
    assert told == [D("3.04"), D("3")]


def test_without_a_definition_a_price_has_eight_places():
    assert ask(lambda s: s.round_to_tick("NOBODY", 1.123456789))[0] == D("1.12345679")


@pytest.mark.parametrize("price", [float("nan"), float("inf"), D("NaN"), D("1e400"), np.float64("nan")])
def test_a_price_that_is_none_is_refused_with_the_order_it_goes_into(price):
    order, bench = ask(lambda s: s.buy("ACME", 1, limit=s.round_to_tick("ACME", price), reason="r"))
    (refused,) = bench.recorded(RiskRefused)
    assert (refused.order, refused.rule) == (order, "price")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.round_to_tick("ACME", "3"), "price='3': expected a number, not str"),
        (lambda s: s.round_to_tick("ACME", True), "price=True: expected a number, not bool"),
        (lambda s: s.round_to_tick("ACME", 3, to="below"), "to='below': expected nearest, down, up"),
        (lambda s: s.tick_size("ACME", float("nan")), "price=nan: expected a finite number"),
    ],
)
def test_a_wrong_type_fails_the_strategy_at_its_own_line(call, says):
    with pytest.raises(StrategyRaised, match=says):
        ask(call)


def test_places_after_the_point_do_not_make_a_price_valid():
    steps = steps_of(replace(instrument(), price_steps=OPTIONS))
    assert not steps.fits(D(str(round(3.04, 2))))
    assert steps.fits(ask(lambda s: s.round_to_tick("ACME", 3.04), steps=OPTIONS)[0])
