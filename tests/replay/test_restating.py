"""Orders that rest over a split or a dividend with `action_orders = "adjust"`: restated, as events."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

import adapters.replay.working as working
from app.replay.replaying import again
from core.events import Filled, OrderAmended, OrderIntended, OrderStatusChanged
from core.matching import Families, Resting, pay_dividend, restated_quantity, split_order
from core.order_rules import order_type
from core.price_steps import PriceSteps
from tests.logs import events_of
from tests.replay import splits
from tests.replay.splits import split

D = Decimal
CENTS = PriceSteps([(D(0), D("0.01"))])
ASKER = """
from truetape import Parameters, Strategy, Subscription

class P(Parameters, frozen=True):
    ask: str

class Asker(Strategy[P]):
    asked = False
    def subscriptions(self):
        return [Subscription("AAPX")]
    def on_bar(self, bar):
        if not self.asked:
            self.asked = True
            eval(self.params.ask, {"s": self})
"""


def replayed(tmp_path, ask, *actions, bad=False):
    return splits.replayed(tmp_path, ASKER, {"ask": ask}, *actions, bad=bad, action_orders="adjust")


def resting(side, quantity="10", *, limit=None, stop=None, touch=None, trail=None, filled="0"):
    exact = [None if v is None else D(v) for v in (limit, stop if touch is None else touch, trail)]
    kind = order_type(exact[0], None if touch else exact[1], touch=touch, trails=trail is not None)
    terms = (D(quantity), kind, exact[0], exact[1], "GTC", "", exact[2])
    order = Resting.arrived(OrderIntended(1, "s-1-1", "A", "s", "AAPX", side, *terms), 1)
    order.filled = D(filled)
    return order


@pytest.mark.parametrize(
    ("order", "ratio", "quantity", "prices"),
    [
        (resting("BUY", limit="600"), "7", 70, (85.71, None)),  # down: 85.714…
        (resting("SELL", limit="600"), "7", 70, (85.72, None)),  # up
        (resting("SELL", stop="600"), "7", 70, (None, 85.71)),
        (resting("BUY", stop="600"), "7", 70, (None, 85.72)),
        (resting("SELL", stop="600", limit="590"), "7", 70, (84.29, 85.71)),
        (resting("BUY", touch="600", limit="601"), "7", 70, (85.85, 85.71)),
        (resting("BUY", "3", limit="50"), "1.5", 4, (33.33, None)),  # half a share is left out
        (resting("BUY", "0.5", limit="50"), "1.5", D("0.75"), (33.33, None)),
        (resting("BUY", "100", limit="50", filled="30"), "2", 170, (25.0, None)),  # 70 were left
    ],
)
def test_a_split_multiplies_what_is_left_and_divides_prices(order, ratio, quantity, prices):
    split_order(order, D(ratio), CENTS)
    assert (order.quantity, order.allowed, (order.limit, order.stop)) == (quantity, quantity, prices)


def test_restated_prices_lie_on_the_step_that_holds_where_they_are():
    steps = PriceSteps([(D(0), D("0.05")), (D(100), D("0.1"))])
    below, above = resting("BUY", limit="699"), resting("SELL", limit="701")
    for order in (below, above):
        split_order(order, D(7), steps)
    assert (below.limit, above.limit) == (99.85, 100.2)  # 99.857… and 100.142…


def test_a_trail_is_divided_and_a_share_of_the_price_is_not():
    order = resting("SELL", trail="7", stop="600")
    order.trail_pct = 0.02
    split_order(order, D(7), CENTS)
    assert (order.stop, order.trail, order.trail_pct, order.start) == (85.71, 1.0, 0.02, D("85.71"))


@pytest.mark.parametrize(
    ("order", "amount", "prices"),
    [
        (resting("BUY", limit="35"), "0.205", (34.79, None)),  # down: 34.795
        (resting("SELL", stop="35"), "0.2", (None, 34.8)),
        (resting("SELL", stop="35", limit="34"), "0.2", (33.8, 34.8)),
        (resting("BUY", touch="35", limit="36"), "0.2", (35.8, 34.8)),
        (resting("SELL", limit="35"), "0.2", (35.0, None)),
        (resting("BUY", stop="35"), "0.2", (None, 35.0)),
        (resting("BUY", stop="35", limit="36"), "0.2", (36.0, 35.0)),
        (resting("BUY", limit="35"), "0.009", (35.0, None)),  # less than a cent
        (resting("BUY"), "0.2", (None, None)),
    ],
)
def test_a_dividend_lowers_limits_of_buys_and_stops_of_sells(order, amount, prices):
    before = (order.limit, order.stop)
    assert pay_dividend(order, D(amount), CENTS) == (prices != before)
    assert (order.limit, order.stop) == prices


def test_an_adjusted_order_waits_where_it_would_have_waited(tmp_path):
    # At 100 it would be filled at once at the new prices around 92; a seventh of 644 is not reached.
    run, log = replayed(tmp_path, 's.buy("AAPX", 1, limit=600, tif="GTC", reason="rest")', split())
    (amended,) = events_of(run, OrderAmended)
    assert (amended.version, amended.quantity, amended.limit) == (2, 7, D("85.71"))
    last = events_of(run, OrderStatusChanged)[-1]
    assert (last.status, last.version, last.message) == (
        "Submitted",
        2,
        "split, 7 for 1, on 2014-06-09: 7 to fill",
    )
    assert events_of(run, Filled) == []
    assert "orders adjusted for splits and dividends" in run.summary["fill_model"]
    assert again(tmp_path / "log", log.reader(), run).run_id == run.id


def test_a_reverse_split_cancels_all_the_same(tmp_path):
    run, _ = replayed(tmp_path, 's.buy("AAPX", 1, limit=600, tif="GTC", reason="rest")', split("0.1"))
    last = events_of(run, OrderStatusChanged)[-1]
    assert (last.status, last.message) == ("Cancelled", "split, 0.1 for 1, on 2014-06-09")


def test_a_dividend_that_leaves_nothing_of_a_price_cancels(tmp_path):
    run, _ = replayed(tmp_path, 's.buy("AAPX", 1, limit=3, tif="GTC", reason="rest")', split("1", "3.29"))
    last = events_of(run, OrderStatusChanged)[-1]
    assert last.status == "Cancelled"
    assert last.message == "dividend of 3.29, ex 2014-06-09: nothing would be left of its price"


@pytest.mark.parametrize(("side", "way"), [("BUY", "take_profit"), ("SELL", "stop_loss")])
def test_the_exit_of_a_position_goes_with_its_split(tmp_path, side, way):
    # A print at seven times the price reaches it, after the split only.
    run, _ = replayed(tmp_path, f's.bracket("AAPX", "{side}", 11, {way}=700, reason="in")', split(), bad=True)
    (opened, closed) = events_of(run, Filled)
    assert (opened.quantity, closed.quantity, closed.price) == (11, 77, 100)


def family(filled):
    """A parent of 20 that filled in part, and its stop."""
    families, parent, child = Families(), resting("BUY", "20", limit="700"), resting("SELL", "20", stop="600")
    child.intent = replace(child.intent, order="s-1-2", parent="s-1-1")
    families.join(child, D(0), parent_over=False)
    parent.filled = D(filled)
    families.filled(parent, D(filled))
    return families, parent, child


def test_an_exit_works_for_what_its_entry_holds_after_the_split():
    families, parent, child = family("10")
    for order in (parent, child):
        split_order(order, D(7), CENTS)
    families.split([parent, child], lambda q: restated_quantity(q, D(7)))
    assert (parent.quantity, child.quantity, child.allowed) == (80, 140, 70)  # 10 old ones, 70 new ones
    child.filled = D(20)
    families.filled(child, D(20))
    parent.filled = D(45)
    families.filled(parent, D(35))
    assert (child.allowed, child.remaining) == (105, 85)


def test_a_split_that_forgets_prices_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(working, "split_order", lambda order, ratio, tick: None)
    run, _ = replayed(tmp_path, 's.buy("AAPX", 1, limit=600, tif="GTC", reason="rest")', split())
    assert len(events_of(run, Filled)) == 1
