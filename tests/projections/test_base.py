"""Folding in one place: routing, resuming, stopping."""

from core.events import CashAdjusted, Entry, InstrumentDefined, SessionStarted, TimerFired, Trade
from core.ports import RUN_BASE
from projections.base import fold
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from tests.projections.build import ACCOUNT, D, entries, fill, intent, stock


def trade(price):
    return Trade(1, "f", "ACME", price, 1.0)


def test_each_projection_takes_only_the_types_it_folds():
    quotes, positions = Quotes(), Positions()
    assert InstrumentDefined in positions.folds
    assert CashAdjusted not in positions.folds
    count = fold([quotes, positions], [entries(stock(), trade(10.0), fill("1", "BUY", 5, 10))])
    assert (count, quotes.mark("ACME"), positions.quantity("ACME")) == (3, 10.0, D(5))


def test_a_type_nobody_folds_only_moves_the_place_in_the_log():
    orders = Orders()
    before = orders.digest()
    orders.apply(Entry(7, None, 7, None, TimerFired(1, "sma", "close")))
    assert (orders.applied_seq, orders.digest()) == (7, before)


def test_a_fold_stops_at_the_seq_it_was_given():
    orders = Orders()
    assert fold([orders], [entries(intent("o1"), intent("o2")), entries(intent("o3"), first=3)], upto=2) == 2
    assert ([order.id for order in orders.orders()], orders.applied_seq) == (["o1", "o2"], 2)


def test_projections_of_different_age_each_go_on_from_their_own_place():
    log = entries(trade(10.0), intent("o1"), intent("o2"), trade(11.0))
    quotes, orders = Quotes(), Orders()
    fold([orders], [log[:2]])
    fold([quotes, orders], [log])
    assert ([order.id for order in orders.orders()], quotes.mark("ACME")) == (["o1", "o2"], 11.0)
    assert orders.applied_seq == quotes.applied_seq == 4


def test_ticks_of_the_source_between_events_of_a_run_are_folded():
    orders, quotes = Orders(), Quotes()
    mixed = [
        Entry(RUN_BASE + 1, None, 500, None, intent("o1")),
        Entry(501, None, 501, None, trade(10.0)),
        Entry(RUN_BASE + 2, None, 501, None, intent("o2")),
        Entry(502, None, 502, None, trade(11.0)),
    ]
    fold([orders, quotes], [mixed])
    assert (quotes.mark("ACME"), len(orders.orders())) == (11.0, 2)


def test_a_session_start_is_no_business_of_these_folds():
    assert SessionStarted not in Orders().folds | Positions().folds | Quotes().folds


def test_a_deposit_does_not_reach_positions():
    positions = Positions()
    fold([positions], [entries(CashAdjusted(0, ACCOUNT, "USD", D(1), "x"))])
    assert positions.open_positions() == []
