"""Splits and dividends where prices are raw, and adjusted: positions, cash, orders, equity, bad prints."""

from decimal import Decimal

import pytest

from adapters.replay.corporate import changes
from app.replay.replaying import again
from core.events import AccountMarked, CashAdjusted, Filled, OrderStatusChanged, PositionAdjusted
from core.views import Position
from tests.logs import events_of
from tests.replay import splits
from tests.replay.splits import NAME, split

D = Decimal
BUYER = """
from truetape import Parameters, Strategy, Subscription

class P(Parameters, frozen=True):
    quantity: int = 10
    limit: float = 0.0

class Buyer(Strategy[P]):
    asked = False
    def subscriptions(self):
        return [Subscription("AAPX")]
    def on_bar(self, bar):
        if not self.asked:
            self.asked = True
            side = self.buy if self.params.quantity > 0 else self.sell
            side("AAPX", abs(self.params.quantity), reason="open")
            if self.params.limit:
                self.buy("AAPX", 1, limit=self.params.limit, tif="GTC", reason="rest")
"""


def replayed(tmp_path, *actions, prices="raw", bad=True, **parameters):
    return splits.replayed(tmp_path, BUYER, parameters, *actions, prices=prices, bad=bad)


def test_a_split_multiplies_the_position_and_divides_its_cost(tmp_path):
    run, _ = replayed(tmp_path, split())
    (opened,) = events_of(run, Filled)
    (adjusted,) = events_of(run, PositionAdjusted)
    assert (adjusted.strategy, adjusted.quantity) == ("Buyer", 70)
    assert adjusted.price == (opened.price / 7).quantize(D("1e-8"))
    assert adjusted.reason == "split, 7 for 1, on 2014-06-09"
    assert "AAPX split, 7 for 1, on 2014-06-09" in run.summary["prices"]


def test_equity_goes_on_over_a_split(tmp_path):
    run, _ = replayed(tmp_path, split())
    equities = [float(mark.equity) for mark in events_of(run, AccountMarked)]
    assert max(equities) - min(equities) < 10  # a walk of cents, times 70
    # Without the split the same data lose six sevenths of the position's value.
    lost, _ = replayed(tmp_path)
    assert min(float(mark.equity) for mark in events_of(lost, AccountMarked)) < 100_000 - 5_000


def test_adjusted_prices_end_where_raw_prices_do(tmp_path):
    raw, _ = replayed(tmp_path, split())
    adjusted, _ = replayed(tmp_path, split(), prices="adjusted", quantity=70)
    assert events_of(adjusted, PositionAdjusted) == []
    ends = [float(run.summary["end_equity"]) for run in (raw, adjusted)]
    assert ends[0] == pytest.approx(ends[1], abs=0.01)


@pytest.mark.parametrize(("prices", "limit"), [("raw", 100.0), ("adjusted", 14.3)])
def test_a_bad_print_before_the_split_fills_what_it_would_have_filled(tmp_path, prices, limit):
    # A seventh of the price printed in the last minutes of 06-06: a resting buy below the market was hit.
    run, _ = replayed(tmp_path, split(), prices=prices, limit=limit)
    rested = [fill for fill in events_of(run, Filled) if fill.order.endswith("-2")]
    assert [(f.price, f.ts < split().ts) for f in rested] == [(D(str(limit)), True)]
    clean, _ = replayed(tmp_path, split(), prices=prices, limit=limit, bad=False)
    assert [fill for fill in events_of(clean, Filled) if fill.order.endswith("-2")] == []


def test_an_order_that_rests_over_a_split_is_cancelled(tmp_path):
    # Left at 100, it would be filled at once at the new prices around 92.
    run, _ = replayed(tmp_path, split(), limit=100.0, bad=False)
    last = [status for status in events_of(run, OrderStatusChanged) if status.order.endswith("-2")][-1]
    assert (last.status, last.message) == ("Cancelled", "split, 7 for 1, on 2014-06-09")
    assert len(events_of(run, Filled)) == 1
    left, _ = replayed(tmp_path, limit=100.0, bad=False)
    assert len(events_of(left, Filled)) == 2


def test_a_short_position_pays_the_dividend(tmp_path):
    run, _ = replayed(tmp_path, split("1", "3.29"), quantity=-10)
    paid = [event for event in events_of(run, CashAdjusted) if "dividend" in event.reason]
    assert [(event.amount, event.reason) for event in paid] == [
        (D("-32.9"), "dividend of 3.29 on -10 AAPX of Buyer, ex 2014-06-09")
    ]
    assert events_of(run, PositionAdjusted) == []
    long, _ = replayed(tmp_path, split("1", "3.29"), quantity=10)
    assert [e.amount for e in events_of(long, CashAdjusted) if "dividend" in e.reason] == [D("32.9")]


@pytest.mark.parametrize(
    ("quantity", "ratio", "whole", "cash"),
    [
        ("15", "0.1", "1", "25"),  # half a share left, at 50
        ("-15", "0.1", "-1", "-25"),
        ("3", "1.5", "4", "25"),
        ("10", "7", "70", None),
        ("0.5", "1.5", "0.75", None),  # fractions that were there before stay
        ("5", "0.1", "0", "25"),
    ],
)
def test_a_fraction_of_a_share_is_paid_in_cash(quantity, ratio, whole, cash):
    held = [("s", Position("A", NAME, D(quantity), D("30"), D(0)))]
    facts = changes(split(ratio), "A", held, 50.0, 1)
    assert [event.quantity for event in facts if isinstance(event, PositionAdjusted)] == [D(whole)]
    paid = [event.amount for event in facts if isinstance(event, CashAdjusted)]
    assert paid == ([] if cash is None else [D(cash)])


def test_a_dividend_is_of_the_shares_before_the_split():
    held = [("s", Position("A", NAME, D(10), D("30"), D(0))), ("", Position("A", NAME, D(0), D(0), D(0)))]
    facts = changes(split("7", "0.5"), "A", held, 50.0, 1)
    assert [event.amount for event in facts if isinstance(event, CashAdjusted)] == [D(5)]


def test_a_run_over_a_split_comes_out_the_same_again(tmp_path):
    run, log = replayed(tmp_path, split("7", "0.5"), limit=100.0)
    second = again(tmp_path / "log", log.reader(), run)
    assert second.run_id == run.id
    assert second.run().summary["run_hash"] == run.summary["run_hash"]


def test_another_ratio_is_another_run(tmp_path):
    one, _ = replayed(tmp_path, split())
    other, _ = replayed(tmp_path, split("2"))
    assert one.id != other.id
