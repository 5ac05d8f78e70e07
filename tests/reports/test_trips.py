"""Round trips: what counts as a trade, and that their profits sum to the money made."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.report.trips import Tally, statistics
from core.trips import Fill, Trips, round_trips


def fill(number, side, quantity, price, commission="1", strategy="s", instrument="ABC"):
    return Fill(
        exec_id=f"F-{number}",
        ts=number,
        order=f"o-{number}",
        venue="",
        reason=f"reason {number}",
        arrival=None,
        strategy=strategy,
        instrument=instrument,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(commission),
        commission_currency="USD",
    )


def test_a_round_trip_ends_when_the_position_is_flat_again():
    fills = [fill(1, "BUY", 60, 10), fill(2, "BUY", 40, 11), fill(3, "SELL", 100, 12)]
    (trade,) = round_trips(fills, {})
    assert (trade.side, trade.opened_ts, trade.closed_ts) == ("long", 1, 3)
    assert (trade.quantity, trade.entry, trade.exit) == (100, Decimal("10.4"), 12)
    assert (trade.commissions, trade.reason) == (3, "reason 3")
    assert trade.profit == Decimal(1200 - 600 - 440 - 3)


def test_a_reversal_ends_one_and_begins_the_next_and_shares_its_commission():
    fills = [fill(1, "BUY", 100, 10), fill(2, "SELL", 300, 12, commission="3"), fill(3, "BUY", 200, 11)]
    first, second = round_trips(fills, {})
    assert (first.side, first.profit) == ("long", Decimal(200 - 1 - 1))
    assert (second.side, second.profit) == ("short", Decimal(200 - 2 - 1))


def test_an_open_position_is_no_trade_yet():
    assert round_trips([fill(1, "BUY", 100, 10), fill(2, "SELL", 99, 12)], {}) == []


def test_strategies_trade_apart_and_multipliers_count():
    fills = [
        fill(1, "BUY", 1, 10, strategy="a"),
        fill(2, "SELL", 1, 12, strategy="b"),
        fill(3, "SELL", 1, 12, strategy="a"),
    ]
    (trade,) = round_trips(fills, {"ABC": Decimal(50)})
    assert (trade.strategy, trade.profit) == ("a", Decimal(98))


def test_statistics_divide_nothing_by_nothing():
    assert statistics([])["trades"] == 0
    assert set(statistics([]).values()) == {0, None}


def test_statistics_of_wins_and_losses():
    fills = [
        fill(1, "BUY", 1, 10, "0"),
        fill(2, "SELL", 1, 14, "0"),
        fill(3, "BUY", 1, 10, "0"),
        fill(4, "SELL", 1, 8, "0"),
    ]
    told = statistics(round_trips(fills, {}))
    assert (told["trades"], told["win_rate"], told["profit_factor"]) == (2, 0.5, 2.0)
    assert (told["average_win"], told["average_loss"]) == (Decimal(4), Decimal(-2))


@given(
    st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 5), st.integers(1, 100)), max_size=12)
)
def test_when_all_is_closed_the_profits_sum_to_the_cash_that_moved(orders):
    fills = [fill(n, side, quantity, price) for n, (side, quantity, price) in enumerate(orders, 1)]
    held = sum(f.quantity if f.side == "BUY" else -f.quantity for f in fills)
    if held:
        fills.append(fill(99, "SELL" if held > 0 else "BUY", abs(held), 50))
    moved = sum(f.quantity * f.price * (-1 if f.side == "BUY" else 1) - f.commission for f in fills)
    assert abs(sum(t.profit for t in round_trips(fills, {})) - moved) < Decimal("1e-6")


def test_what_is_left_open_is_kept_with_its_price_and_what_a_session_began_with_counts():
    trips = Trips({"ABC": Decimal(10)})
    trips.hold("s", "ABC", Decimal(5), Decimal(8), ts=0)
    (trade,) = trips.take(fill(1, "SELL", 7, 9))
    assert (trade.opened_ts, trade.entry, trade.exit) == (0, 8, 9)
    assert trade.profit == Decimal("49.28571429")  # 5 × 1 × 10, less 5/7 of the commission
    rest = trips.open["s", "ABC"]
    assert (rest.side, rest.quantity, rest.entered) == ("short", -2, (2, 18))


@given(st.lists(st.integers(-50, 50).map(Decimal)), st.lists(st.integers(-50, 50).map(Decimal)))
def test_tallies_add_up(one, other):
    whole, part, rest = Tally(), Tally(), Tally()
    for profits, tallies in ((one, (whole, part)), (other, (whole, rest))):
        for profit in profits:
            for tally in tallies:
                tally.add(profit)
    part.include(rest)
    assert part.figures() == whole.figures()
    told = whole.figures()
    if told["trades"]:
        assert abs(told["expectancy"] - sum(one + other) / len(one + other)) < Decimal("1e-7")
