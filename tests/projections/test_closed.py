"""The latest closed trades, read backwards: those that reading all fills forwards finds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import CommissionReported, Entry, FillCorrected, Filled, PositionAdjusted
from core.trips import Fill, Trips
from projections import closed
from projections.positions import Positions
from tests.projections.build import ACCOUNT, D, future

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(-3, 3).filter(bool),
        st.integers(90, 110),
        st.sampled_from([None, "0.35", "1"]),
    ),
    max_size=30,
)


def fill(n, strategy, quantity, price):
    side = "BUY" if quantity > 0 else "SELL"
    return Filled(n, f"F-{n:03d}", "o", ACCOUNT, strategy, "IDX-202509", side, D(abs(quantity)), D(price))


def folded(moves, keep):
    positions = Positions(keep)
    events = [future(multiplier="5")]
    for n, (strategy, quantity, price, paid) in enumerate(moves, 1):
        events.append(fill(n, strategy, quantity, price))
        if paid:
            who = (f"F-{n:03d}", "o", ACCOUNT, strategy, "IDX-202509")
            events.append(CommissionReported(n, *who, D(paid), "USD"))
    for seq, event in enumerate(events, 1):
        positions.apply(Entry(seq, None, seq, None, event))
    return positions


def forwards(moves, strategy):
    trips = Trips({"IDX-202509": D(5)})
    found = []
    for n, (who, quantity, price, paid) in enumerate(moves, 1):
        if who == strategy:
            side = "BUY" if quantity > 0 else "SELL"
            what = (D(abs(quantity)), D(price), "", paid and D(paid), None, "", None)
            found += trips.take(Fill(n, f"F-{n:03d}", "o", who, "IDX-202509", side, *what))
    return [(one.closed_ts, one.profit, one.quantity * one.entry * 5) for one in found]


def backwards(moves, keep, last):
    trades = folded(moves, keep).closed_trades(ACCOUNT, "a", last)
    return [(one.closed_ts, one.profit, one.invested) for one in trades]


@given(MOVES, st.sampled_from([None, 1, 3]), st.integers(1, 5))
def test_the_last_trades_are_those_of_all_fills_in_their_order(moves, keep, last):
    assert backwards(moves, keep, last) == forwards(moves, "a")[-last:]


def test_a_window_that_takes_the_first_trade_half_is_caught(monkeypatch):
    moves = [("a", 1, 100, "1"), ("a", -3, 102, "1"), ("a", 4, 99, "1"), ("a", -2, 101, "1")]
    assert backwards(moves, None, 1) == forwards(moves, "a")[-1:]
    whole = closed._window
    monkeypatch.setattr(closed, "_window", lambda *args: whole(*args[:3], args[3] - 2))
    assert backwards(moves, None, 1) != forwards(moves, "a")[-1:]


def test_a_correction_counts_and_an_adjustment_begins_anew():
    positions = folded([("a", 1, 100, None), ("a", -1, 103, None)], None)
    one = fill(2, "a", -1, 103)
    positions.apply(Entry(9, None, 9, None, FillCorrected(2, one.exec_id, 1, *_who(one), D(1), D(104))))
    (trade,) = positions.closed_trades(ACCOUNT, "a", 5)
    assert (trade.profit, trade.result) == (20, Decimal("0.04"))
    adjusted = PositionAdjusted(3, ACCOUNT, "a", "IDX-202509", D(2), D(50), "split")
    positions.apply(Entry(10, None, 10, None, adjusted))
    positions.apply(Entry(11, None, 11, None, fill(4, "a", -2, 51)))
    assert [t.profit for t in positions.closed_trades(ACCOUNT, "a", 5)] == [10]


def _who(one):
    return one.order, one.account, one.strategy, one.instrument, one.side


@pytest.mark.parametrize("who", [("other", "a"), (ACCOUNT, "nobody")])
def test_another_account_or_strategy_has_none(who):
    assert folded([("a", 1, 100, None), ("a", -1, 103, None)], None).closed_trades(*who, 5) == []
