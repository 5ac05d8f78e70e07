"""What an order that waits for a trigger has seen before a simulated broker begins again."""

from decimal import Decimal

import pytest

from core.events import OrderIntended
from core.matching import FillModel, Recall
from core.matching.recall import WAITING
from tests.core.bench import ACCOUNT, OPEN, Bench, S, Script, quote, trade

WHO = ("s-1-1", ACCOUNT, "s", "ACME")


def waiting(kind, side="SELL", limit=None, stop=None, trail=None, **given):
    prices = [None if p is None else Decimal(str(p)) for p in (limit, stop, trail)]
    terms = (side, Decimal(10), kind, *prices[:2], "GTC", "r", prices[2])
    return OrderIntended(OPEN, *WHO, *terms, **given)


def recalled(intent, *events, since=OPEN):
    """Return an order as it stands after events that passed by."""
    world = Bench(Script()).world
    recall = Recall([(intent, since)], world.sessions, world.quotes.book, FillModel().trigger)
    for event in events:
        recall.meet(event)
    return recall.orders[intent.order]


def prices(*told, begin=1):
    return [trade(OPEN + n * S, price) for n, price in enumerate(told, begin)]


def test_a_trail_stands_where_the_market_took_it():
    assert recalled(waiting("TRAIL", trail=1), *prices(10, 12, 11.5)).stop == 11
    assert recalled(waiting("TRAIL", side="BUY", trail=1), *prices(10, 8, 8.5)).stop == 9


@pytest.mark.parametrize(
    ("kind", "given", "passed", "now"),
    [
        ("STP LMT", {"stop": 9, "limit": 8.5}, (10, 8.9, 10), "LMT"),
        ("STP LMT", {"stop": 9, "limit": 8.5}, (10, 9.1, 10), "STP LMT"),
        ("LIT", {"stop": 11, "limit": 10.5}, (10, 11, 10), "LMT"),
        ("STP", {"stop": 9}, (8,), "MKT"),
        ("TRAIL", {"trail": 1}, (10, 12, 11), "MKT"),
    ],
)
def test_what_was_triggered_once_is_triggered(kind, given, passed, now):
    assert recalled(waiting(kind, **given), *prices(*passed)).type == now


def test_what_came_before_the_order_or_out_of_hours_triggers_nothing():
    stop = waiting("STP LMT", stop=9, limit=8.5)
    assert recalled(stop, *prices(8, 10), since=OPEN + S).type == "STP LMT"
    early = trade(OPEN - S, 8)
    assert recalled(stop, early, since=OPEN - 9 * S).type == "STP LMT"
    assert recalled(waiting("STP LMT", stop=9, limit=8, outside_rth=True), early, since=0).type == "LMT"


def test_a_quote_triggers_nothing_unless_quotes_are_triggers():
    assert recalled(waiting("STP", stop=9), quote(OPEN + S, 7, 8)).type == "STP"


def test_only_types_that_wait_for_a_trigger_are_recalled():
    assert "LMT" not in WAITING
    with pytest.raises(KeyError):
        recalled(waiting("LMT", limit=9))


def test_a_recall_that_lets_everything_pass_unseen_is_caught(monkeypatch):
    monkeypatch.setattr("core.matching.recall.pass_by", lambda *_: None)
    assert recalled(waiting("TRAIL", trail=1), *prices(10, 12, 11.5)).stop != 11
    assert recalled(waiting("STP", stop=9), *prices(8)).type == "STP"
