"""Brackets and one-cancels-all groups at the simulated broker, in both fill modes."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.effects import Effect
from core.events import Filled, OrderAmended, OrderIntended, OrderStatusChanged
from core.matching import Families, FillModel
from tests.conftest import examples
from tests.core.bench import CLOSE, MIN, OPEN, Bench, S, Script, bar, quote, quote_bar, trade
from tests.replay.placing import at, end, run

D = Decimal
SIZED = FillModel(partial_fills=True)


def bracket(side="BUY", quantity=10, **terms):
    terms = {"take_profit": 11, "stop_loss": 9, **terms}
    return lambda s: s.bracket("ACME", side, quantity, reason="in", **terms)


def fills(bench):
    return [(f.order[-1], (f.ts - OPEN) / S, str(f.quantity), str(f.price)) for f in bench.recorded(Filled)]


def states(bench):
    return {order.id[-1]: order.state for order in bench.world.orders.orders()}


def said(bench, order):
    return [(s.status, s.message) for s in bench.recorded(OrderStatusChanged) if s.order.endswith(order)]


Q = quote(at(0), 9.9, 10.1)


def test_exits_wait_for_the_entry_and_one_cancels_the_other():
    events = [trade(at(1), 12.0), quote(at(2), 9.8, 10.0), trade(at(3), 11.5), trade(at(4), 8.0)]
    bench = run({1: bracket(limit=10)}, Q, *events)
    assert fills(bench) == [("1", 2, "10", "10"), ("2", 3, "10", "11")]
    assert states(bench) == {"1": "Filled", "2": "Filled", "3": "Cancelled"}
    assert said(bench, "3") == [
        ("PreSubmitted", "waits until s-1-1 fills"),
        ("Submitted", "s-1-1 filled"),
        ("Cancelled", "one cancels all: s-1-2 filled"),
    ]


def test_exits_grow_with_the_entrys_fills_and_never_exceed_them():
    events = [
        quote(at(1), 9.9, 10.0, sizes=(50, 4)),
        trade(at(2), 8.5),  # the stop works for 4 and takes them at the bid
        quote(at(3), 9.9, 10.0, sizes=(50, 6)),
        quote(at(4), 11.0, 11.2, sizes=(50, 50)),  # the rest goes at the profit
    ]
    bench = run({1: bracket(limit=10)}, Q, *events, model=SIZED)
    assert fills(bench) == [
        ("1", 1, "4", "10"),
        ("3", 2, "4", "9.9"),
        ("1", 3, "6", "10"),
        ("2", 4, "6", "11"),
    ]
    amended = [(a.order[-1], str(a.quantity)) for a in bench.recorded(OrderAmended)]
    assert amended == [("2", "6")]
    assert bench.world.positions.quantity("ACME") == 0
    assert bench.world.orders.working() == []


def test_an_entry_cancelled_unfilled_takes_its_exits_with_it():
    plan = {1: bracket(limit=5, stop_loss=4), 2: lambda s: s.cancel("s-1-1", reason="changed my mind")}
    bench = run(plan, Q, trade(at(1), 10), trade(at(2), 8))
    assert states(bench) == {"1": "Cancelled", "2": "Cancelled", "3": "Cancelled"}
    assert said(bench, "2")[-1] == ("Cancelled", "s-1-1 ended unfilled")


def test_an_entry_that_expires_takes_its_exits_with_it():
    assert set(states(run({1: bracket(limit=5, stop_loss=4)}, Q, trade(CLOSE, 10))).values()) == {"Cancelled"}


def test_an_entry_cancelled_in_part_reduces_its_exits_to_what_it_filled():
    plan = {1: bracket(limit=10), 2: lambda s: s.cancel("s-1-1", reason="enough")}
    events = [quote(at(1), 9.9, 10.0, sizes=(50, 4)), quote(at(2), 9.9, 10.2), trade(at(3), 8.0)]
    bench = run(plan, Q, *events, model=SIZED)
    assert [(a.order[-1], str(a.quantity)) for a in bench.recorded(OrderAmended)] == [("2", "4"), ("3", "4")]
    assert said(bench, "3")[-1] == ("Submitted", "no more than s-1-1 filled: reduced to 4")
    assert fills(bench)[1:] == [("3", 3, "4", "9.9")]
    assert states(bench)["2"] == "Cancelled"


def test_a_smaller_entry_reduces_its_exits_when_it_is_done():
    plan = {1: bracket(limit=10), 2: lambda s: s.modify("s-1-1", quantity=6, reason="less")}
    bench = run(plan, Q, trade(at(1), 10.05), quote(at(2), 9.9, 10.0), trade(at(3), 8.0))
    assert fills(bench) == [("1", 2, "6", "10"), ("3", 3, "6", "9.9")]


def test_an_exit_made_larger_than_the_entry_is_held_to_it():
    plan = {1: bracket(), 3: lambda s: s.modify("s-1-2", quantity=50, reason="greedy")}
    bench = run(plan, Q, trade(at(1), 10), trade(at(2), 10), quote(at(3), 11, 11.2))
    assert fills(bench) == [("1", 1, "10", "10.1"), ("2", 3, "10", "11")]
    assert bench.world.orders.get("s-1-2").quantity == 10


def test_a_trailing_exit_starts_at_its_distance_from_the_market_at_the_entry():
    plan = {1: lambda s: s.bracket("ACME", "BUY", 10, limit=10, trail=0.5, reason="in")}
    events = [trade(at(1), 10.4), quote(at(2), 9.8, 10.0), trade(at(3), 9.91), trade(at(4), 9.9)]
    bench = run(plan, trade(at(0), 10.3), Q, *events)
    assert fills(bench) == [("1", 2, "10", "10"), ("2", 4, "10", "9.8")]


def test_a_group_without_a_parent_is_reduced_in_proportion():
    def pair(s):
        s.buy("ACME", 100, limit=9.5, oca="g", reason="r")
        s.buy("ACME", 50, limit=9.0, oca="g", reason="r")

    events = [trade(at(1), 10), quote(at(2), 9.3, 9.5, sizes=(9, 33)), quote(at(3), 8.8, 9.0, sizes=(9, 99))]
    bench = run({1: pair}, Q, *events, model=SIZED)
    # 33 of 100 are gone: of 50, 33.5 are left, rounded down
    assert [(a.order[-1], str(a.quantity)) for a in bench.recorded(OrderAmended)] == [("2", "33")]
    assert fills(bench)[0] == ("1", 2, "33", "9.5")
    assert said(bench, "2")[1] == ("Submitted", "one cancels all: s-1-1 filled 33: reduced to 33")


def test_after_an_amendment_the_strategys_next_version_is_newer():
    plan = {
        1: bracket(limit=10),
        4: lambda s: s.modify("s-1-2", limit=10.5, reason="sooner"),
    }
    events = [
        quote(at(1), 9.9, 10.0, sizes=(50, 10)),
        trade(at(2), 8.5),
        quote(at(3), 9.5, 10.0, sizes=(3, 10)),
        quote(at(4), 10.5, 10.6, sizes=(50, 50)),
    ]
    first = quote(at(0), 9.9, 10.1, sizes=(3, 3))
    bench = run(plan, first, *events, model=SIZED)
    assert sum(D(q) for order, _, q, _ in fills(bench) if order != "1") == 10
    assert bench.world.positions.quantity("ACME") == 0


def order_of(parent):
    terms = ("SELL", D(1), "LMT", D(9), None, "GTC", "r")
    return OrderIntended(OPEN, "x", "SIM", "s", "ACME", *terms, parent=parent)


def test_a_child_of_an_unknown_or_dead_parent_is_rejected():
    plan = {1: lambda s: s.buy("ACME", 1, limit=5, reason="r"), 2: lambda s: s.cancel("s-1-1", reason="r")}
    bench = run(plan, Q, trade(at(1), 10))
    for parent, why in (("nobody", "is not at the broker"), ("s-1-1", "was cancelled")):
        facts = list(bench.broker.accept([Effect(1, order_of(parent))], at(1)))
        assert [(f.status, f.message) for f in facts[1:]] == [("Rejected", f"the parent {parent} {why}")]


# -- in bars -----------------------------------------------------------------------------------


def in_bars(plan, *events):
    bench = run(plan, *events, bars=["ACME"])
    return [(f.order[-1], (f.ts - OPEN) // MIN, str(f.price)) for f in bench.recorded(Filled)], bench


FLAT = (10, 10, 10, 10)


def test_where_both_exits_lie_within_one_bar_the_stop_is_taken():
    filled, bench = in_bars({1: bracket()}, bar(end(1), *FLAT), bar(end(2), 10, 11.5, 8.5, 10))
    assert filled == [("1", 1, "10"), ("3", 2, "9")]
    assert states(bench)["2"] == "Cancelled"


def test_the_order_in_which_exits_were_placed_does_not_matter():
    def reversed_pair(s):
        s.buy("ACME", 10, reason="in")
        s.sell("ACME", 10, limit=11, oca="x", reason="profit", tif="GTC")
        s.sell("ACME", 10, stop=9, oca="x", reason="loss", tif="GTC")

    filled, _ = in_bars({1: reversed_pair}, bar(end(1), *FLAT), bar(end(2), 10, 11.5, 8.5, 10))
    assert filled == [("1", 1, "10"), ("3", 2, "9")]


def test_exits_are_not_met_by_the_bar_that_filled_the_entry():
    entry = {1: bracket(limit=9.8, take_profit=9.9, stop_loss=9.7)}
    whole = bar(end(2), 10, 10, 9.6, 10)
    filled, _ = in_bars(entry, bar(end(1), *FLAT), whole, bar(end(3), 9.8, 9.95, 9.8, 9.9))
    assert filled == [("1", 2, "9.8"), ("2", 3, "9.9")]


def test_a_market_entry_and_its_exits_arrive_together_in_bars():
    filled, bench = in_bars(
        {1: bracket()}, bar(end(1), *FLAT), quote_bar(end(1), 9.9, 10.1), bar(end(2), 10, 11.2, 10, 11)
    )
    assert filled == [("1", 1, "10.1"), ("2", 2, "11")]
    assert "Rejected" not in states(bench).values()


# -- whatever happens --------------------------------------------------------------------------

PRICE = st.integers(80, 120).map(lambda tick: tick / 10)
SIZE = st.integers(1, 12).map(float)
MOVE = st.tuples(st.sampled_from(["trade", "quote"]), PRICE, SIZE)
ENTRY = st.fixed_dictionaries(
    {"quantity": st.integers(1, 20)},
    optional={"limit": st.sampled_from([9.5, 10.0, 10.5])},
)
CHANGE = st.tuples(
    st.integers(2, 30), st.sampled_from(["cancel", "larger", "smaller"]), st.sampled_from(["1", "2", "3"])
)


class Meddler(Script):
    """Places a bracket, and cancels or changes its orders at given events."""

    def __init__(self, entry, side, changes):
        super().__init__({1: self.enter})
        self.entry, self.side = dict(entry), side
        for n, what, order in changes:
            self.plan[n] = self.change(what, f"s-1-{order}")

    def enter(self, s):
        terms = dict(self.entry)
        sign = 1 if self.side == "BUY" else -1
        s.bracket("ACME", self.side, terms.pop("quantity"), reason="in",
                  take_profit=10 + sign, stop_loss=10 - sign, **terms)  # fmt: skip

    def change(self, what, order):
        if what == "cancel":
            return lambda s: s.cancel(order, reason="meddling")
        quantity = {"larger": 25, "smaller": 3}[what]
        return lambda s: s.modify(order, quantity=quantity, reason="meddling")


def events_of(moves):
    for n, (kind, price, size) in enumerate(moves):
        if kind == "trade":
            yield trade(at(n), price, size)
        else:
            yield quote(at(n), price, price + 0.1, sizes=(size, size))


def check(bench):
    """Assert what must hold of a bracket whatever happened to it."""
    filled = {"1": D(0), "2": D(0), "3": D(0)}
    over: set[str] = set()
    for entry in bench.tape.entries:
        event = entry.event
        if isinstance(event, Filled):
            name = event.order[-1]
            assert name not in over, "no order fills after it ended"
            filled[name] += event.quantity
            assert filled["2"] + filled["3"] <= filled["1"], "the exits never exceed the entry"
        elif isinstance(event, OrderStatusChanged) and event.status in ("Cancelled", "Filled"):
            over.add(event.order[-1])
    for order in bench.world.orders.orders():
        assert order.filled == filled[order.id[-1]] <= max(order.quantity, order.filled)
        assert not (order.working and order.id[-1] in over)
    signs = {o.id[-1]: 1 if o.side == "BUY" else -1 for o in bench.world.orders.orders()}
    held = sum((filled[name] * sign for name, sign in signs.items()), D(0))
    assert bench.world.positions.quantity("ACME") == held, "quantities are conserved"


BRACKETS = given(
    moves=st.lists(MOVE, min_size=2, max_size=40),
    entry=ENTRY,
    side=st.sampled_from(["BUY", "SELL"]),
    changes=st.lists(CHANGE, max_size=4),
    latency=st.sampled_from([0, 700, 2500]),
    sized=st.booleans(),
)


@settings(max_examples=examples(150), deadline=None)
@BRACKETS
def test_exits_never_exceed_the_entry_and_nothing_fills_after_its_end(
    moves, entry, side, changes, latency, sized
):
    bench = Bench(Meddler(entry, side, changes), model=FillModel(latency_ms=latency, partial_fills=sized))
    bench.run(events_of(moves))
    check(bench)


@settings(max_examples=examples(100), deadline=None)
@given(
    closes=st.lists(st.tuples(PRICE, PRICE, PRICE, PRICE), min_size=2, max_size=20),
    entry=ENTRY,
    side=st.sampled_from(["BUY", "SELL"]),
    changes=st.lists(CHANGE, max_size=4),
)
def test_the_same_holds_in_bars(closes, entry, side, changes):
    bench = Bench(Meddler(entry, side, changes), bars=["ACME"])
    bench.run(
        [bar(end(n + 1), o, max(o, h, c), min(o, low, c), c) for n, (o, h, low, c) in enumerate(closes)]
    )
    check(bench)


def test_a_broker_that_forgets_what_siblings_filled_is_noticed(monkeypatch):
    monkeypatch.setattr(Families, "_allowed", lambda self, child, family: min(child.quantity, family.filled))
    monkeypatch.setattr(Families, "_reduced", lambda self, order, quantity: [])
    plan = Meddler({"quantity": 10}, "BUY", [])
    bench = Bench(plan)
    bench.run([Q, trade(at(1), 10), quote(at(2), 11, 11.1), trade(at(3), 8.5), trade(at(4), 8.5)])
    with pytest.raises(AssertionError, match="the exits never exceed the entry"):
        check(bench)


class Grouped(Script):
    """Places orders of several sizes in one group."""

    def __init__(self, quantities):
        super().__init__({1: self.place})
        self.quantities = quantities

    def place(self, s):
        for n, quantity in enumerate(self.quantities):
            s.buy("ACME", quantity, limit=10 + n / 10, oca="g", tif="GTC", reason="one of a group")


@settings(max_examples=examples(150), deadline=None)
@given(
    moves=st.lists(MOVE, min_size=2, max_size=40),
    quantities=st.lists(st.integers(1, 40), min_size=2, max_size=4),
)
def test_a_group_never_fills_more_than_one_of_its_members_would_have(moves, quantities):
    bench = Bench(Grouped(quantities), model=SIZED)
    bench.run(events_of(moves))
    shares = [D(int(order.filled)) / q for order, q in zip(group_of(bench), quantities, strict=True)]
    assert sum(shares) <= 1 + D("1e-20")
    if any(share == 1 for share in shares):
        assert bench.world.orders.working() == []


def group_of(bench):
    return sorted(bench.world.orders.orders(), key=lambda order: int(order.id.rpartition("-")[2]))
