"""Fills in tick mode: what fills, on which event, at which price and for how much."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from adapters.replay.working import Working
from core.events import CommissionReported, Filled, HaltChanged, OrderStatusChanged, Quote
from tests.core.bench import (
    BEGIN,
    CLOSE,
    END,
    FEED,
    MS,
    OPEN,
    Bench,
    FillModel,
    S,
    Script,
    consolidated,
    instrument,
    quote,
    session,
    trade,
)
from tests.replay.placing import DAY, ask, at, run, two_days

D = Decimal


def fills(bench):
    """Return each fill as (seconds after the open, side, quantity, price)."""
    return [((f.ts - OPEN) / S, f.side, str(f.quantity), str(f.price)) for f in bench.recorded(Filled)]


Q = quote(at(0), 9.0, 11.0)  # the market when orders are placed
T = trade(at(0), 10.0)  # … or where nobody quotes

TABLE = [
    # market orders: the opposite best after the next event
    ("BUY", {}, Q, [quote(at(1), 9.5, 10.5)], (1, "10.5")),
    ("SELL", {}, Q, [quote(at(1), 9.5, 10.5)], (1, "9.5")),
    ("BUY", {}, Q, [trade(at(1), 10.0)], (1, "11")),  # a trade is an event; the price is still the ask
    ("SELL", {}, Q, [trade(at(1), 10.0)], (1, "9")),
    ("BUY", {}, T, [trade(at(1), 10.2)], (1, "10.2")),  # without quotes: the trade
    ("SELL", {}, T, [trade(at(1), 10.2)], (1, "10.2")),
    # one-sided quotes
    ("BUY", {}, quote(at(0), 9.0), [quote(at(1), 9.1), quote(at(2), None, 11.0)], (2, "11")),
    ("SELL", {}, quote(at(0), None, 11.0), [trade(at(1), 10), quote(at(2), 9.0)], (2, "9")),
    ("BUY", {}, Q, [quote(at(1), 9.2)], (1, "11")),  # the other side keeps its last value
    # a size of 0 clears a side
    ("BUY", {}, Q, [quote(at(1), sizes=(None, 0)), trade(at(2), 10), quote(at(3), None, 12.0)], (3, "12")),
    ("SELL", {}, Q, [quote(at(1), sizes=(0, None)), trade(at(2), 10), quote(at(3), 8.0)], (3, "8")),
    # suspicious rows are no market
    ("BUY", {}, Q, [quote(at(1), 1.0, 2.0, bad=True), trade(at(2), 1, bad=True), T], (0, "11")),
    ("BUY", {"limit": 5}, Q, [quote(at(1), 1.0, 2.0, bad=True), trade(at(2), 1.0, bad=True)], None),
    ("BUY", {"stop": 12}, Q, [trade(at(1), 99.0, bad=True), trade(at(2), 10)], None),
    # limits that take: the first event they meet, at the opposite best
    ("BUY", {"limit": 11.5}, Q, [trade(at(1), 10.0)], (1, "11")),
    ("SELL", {"limit": 8.5}, Q, [trade(at(1), 10.0)], (1, "9")),
    ("BUY", {"limit": 11}, Q, [trade(at(1), 10.0)], (1, "11")),  # exactly at the ask
    # limits that rested: their own price, even where the market goes through them
    ("BUY", {"limit": 10}, Q, [trade(at(1), 10.5), quote(at(2), 8.0, 9.5)], (2, "10")),
    ("SELL", {"limit": 10}, Q, [trade(at(1), 9.5), quote(at(2), 10.5, 12.0)], (2, "10")),
    ("BUY", {"limit": 10}, Q, [trade(at(1), 10.5), quote(at(2), None, 10.0)], (2, "10")),
    # a trade at the limit is not through it, one beyond is
    ("BUY", {"limit": 10}, Q, [trade(at(1), 10.0)], None),
    ("BUY", {"limit": 10}, Q, [trade(at(1), 9.99)], (1, "10")),
    ("SELL", {"limit": 10}, Q, [trade(at(1), 10.0)], None),
    ("SELL", {"limit": 10}, Q, [trade(at(1), 10.01)], (1, "10")),
    # without quotes a print is the best price on both sides
    ("BUY", {"limit": 10}, trade(at(0), 11.0), [trade(at(1), 10.5), trade(at(2), 10.0)], (2, "10")),
    ("SELL", {"limit": 10}, trade(at(0), 9.0), [trade(at(1), 10.5)], (1, "10.5")),
    # stops trigger on trades at or through their price, then fill as market orders
    ("BUY", {"stop": 10.5}, Q, [quote(at(1), 12, 13), trade(at(2), 10.4), trade(at(3), 10.5)], (3, "13")),
    ("SELL", {"stop": 9.5}, Q, [quote(at(1), 1, 2), trade(at(2), 9.6), trade(at(3), 9.5)], (3, "1")),
    ("BUY", {"stop": 10.5}, T, [trade(at(1), 10.7)], (1, "10.7")),
    ("SELL", {"stop": 9.5}, T, [trade(at(1), 9.2)], (1, "9.2")),
    # a stop that triggered is a market order and waits for the side that is missing
    ("BUY", {"stop": 10.5}, quote(at(0), 9.0), [trade(at(1), 11), quote(at(2), None, 9.5)], (2, "9.5")),
]  # fmt: skip


@pytest.mark.parametrize(("side", "prices", "first", "events", "expected"), TABLE)
def test_the_table_of_tick_fills(side, prices, first, events, expected):
    bench = run(ask(side, **prices), first, *events)
    wanted = [] if expected is None else [(expected[0], side, "10", expected[1])]
    assert fills(bench) == wanted


def test_an_order_never_fills_on_the_event_it_was_placed_on():
    assert fills(run(ask("BUY"), Q)) == []
    assert fills(run(ask("BUY"), Q, trade(at(1), 10, name="OTHER"))) == []


def test_two_events_with_one_time_are_two_events():
    assert fills(run(ask("BUY"), quote(at(0), 9, 11), quote(at(0), 9, 12))) == [(0, "BUY", "10", "12")]


def test_the_best_is_taken_over_the_venues_of_the_feed():
    events = [quote(at(1), 9.0, 10.8, venue="B"), quote(at(2), 8.0, 12.0, venue="V")]
    assert fills(run(ask("BUY"), Q, *events)) == [(1, "BUY", "10", "10.8")]
    cleared = quote(at(1), sizes=(None, 0), venue="V")
    assert fills(run(ask("BUY"), Q, cleared, quote(at(2), None, 12.0, venue="B"))) == [(2, "BUY", "10", "12")]


def test_in_a_consolidated_feed_each_quote_is_the_best():
    definitions = [consolidated(), instrument(), session()]
    bench = run(ask("BUY"), Q, quote(at(1), 9.0, 12.0, venue="B"), definitions=definitions)
    assert fills(bench) == [(1, "BUY", "10", "12")]


def test_nothing_fills_or_triggers_while_the_instrument_is_halted():
    events = [
        Q,
        HaltChanged(at(1), FEED, "ACME", halted=True),
        trade(at(2), 9.5),
        quote(at(3), 9.5, 9.6),
        HaltChanged(at(4), FEED, "ACME", halted=False),
        trade(at(5), 10.0),
    ]
    plan = {1: lambda s: (s.buy("ACME", 10, reason="r"), s.sell("ACME", 1, stop=9.6, reason="r"))}
    assert fills(run(plan, *events)) == [(5, "BUY", "10", "9.6")]


# -- latency -----------------------------------------------------------------------------------

SLOW = FillModel(latency_ms=500)


def test_an_order_arrives_after_its_latency_and_meets_the_next_event():
    events = [Q, quote(OPEN + 400 * MS, 9, 10), quote(OPEN + 600 * MS, 9, 12), trade(at(1), 10)]
    bench = run(ask("BUY"), *events, model=SLOW)
    assert fills(bench) == [(0.6, "BUY", "10", "12")]
    (submitted,) = bench.recorded(OrderStatusChanged)
    assert submitted.ts == OPEN + 500 * MS


def test_an_order_that_arrives_with_an_event_meets_it():
    bench = run(ask("BUY"), Q, quote(OPEN + 500 * MS, 9, 12), model=SLOW)
    assert fills(bench) == [(0.5, "BUY", "10", "12")]


def test_an_order_that_arrives_a_nanosecond_after_an_event_waits_for_the_next():
    events = [Q, quote(OPEN + 500 * MS - 1, 9, 12), quote(at(1), 9, 13)]
    assert fills(run(ask("BUY"), *events, model=SLOW)) == [(1, "BUY", "10", "13")]


def test_without_latency_nothing_is_late_at_equal_times():
    assert fills(run(ask("BUY"), Q, quote(at(0), 9, 12))) == [(0, "BUY", "10", "12")]


# -- partial fills -----------------------------------------------------------------------------

SIZED = FillModel(partial_fills=True)


def test_an_order_takes_the_displayed_size_and_the_rest_waits_for_fresh_size():
    events = [
        Q,
        quote(at(1), 9, 11, sizes=(50, 4)),
        trade(at(2), 11),  # a trade refreshes nothing
        quote(at(3), 9, 11, sizes=(50, 5)),
        quote(at(4), 9, 12, sizes=(50, 100)),
    ]
    assert fills(run(ask("BUY"), *events, model=SIZED)) == [
        (1, "BUY", "4", "11"),
        (3, "BUY", "5", "11"),
        (4, "BUY", "1", "12"),
    ]


def test_two_orders_share_the_displayed_size():
    plan = {1: lambda s: [s.buy("ACME", 10, reason="r") for _ in range(3)]}
    events = [Q, quote(at(1), 9, 11, sizes=(50, 15)), quote(at(2), 9, 11, sizes=(50, 15))]
    assert fills(run(plan, *events, model=SIZED)) == [
        (1, "BUY", "10", "11"),
        (1, "BUY", "5", "11"),
        (2, "BUY", "5", "11"),
        (2, "BUY", "10", "11"),
    ]


def test_a_resting_limit_and_a_market_order_share_it_too():
    plan = {
        1: lambda s: s.buy("ACME", 10, limit=10.5, reason="rests"),
        2: lambda s: s.buy("ACME", 10, reason="takes"),
    }
    events = [Q, trade(at(1), 10.8), quote(at(2), 9, 10.5, sizes=(50, 12))]
    assert fills(run(plan, *events, model=SIZED)) == [(2, "BUY", "10", "10.5"), (2, "BUY", "2", "10.5")]


def test_without_quotes_each_print_offers_its_own_size():
    events = [T, trade(at(1), 10, 4), trade(at(2), 10, 4), trade(at(3), 10, 4)]
    assert [q for _, _, q, _ in fills(run(ask("BUY"), *events, model=SIZED))] == ["4", "4", "2"]


def test_commission_of_a_partial_fill_belongs_to_its_order():
    bench = Bench(Script({1: ask("BUY")}), model=SIZED, commission="ibkr_fixed")
    bench.run([Q, quote(at(1), 9, 11, sizes=(1, 4)), quote(at(2), 9, 11, sizes=(1, 100))])
    assert len(fills(bench)) == 2
    # The minimum of 1.00 applies to the order, not to each of its fills.
    assert bench.world.account.commissions("SIM", "USD") == 1


def charged(plan, *events, **given):
    """Return each commission."""
    reported = run(plan, *events, **given).recorded(CommissionReported)
    return [(str(each.amount), each.currency) for each in reported]


def test_commission_at_the_price_of_another_order_is_the_orders_own():
    plan = {n: ask("BUY", quantity) for n, quantity in enumerate((1000, 1000, 10, 1000), 1)}
    told = charged(plan, *(trade(at(n), 10) for n in range(5)), commission="ibkr_fixed")
    assert told == [("5", "USD"), ("5", "USD"), ("1", "USD"), ("5", "USD")]


def test_commission_of_a_part_is_not_that_of_a_whole_order_of_its_size():
    plan = {1: ask("BUY", 4), 2: ask("BUY", 8)}
    events = [quote(at(n), 90, 110, sizes=(1, 4)) for n in range(4)]
    told = charged(plan, *events, model=SIZED, commission="ibkr_fixed")
    assert told == [("1", "USD"), ("1", "USD"), ("0", "USD")]


def test_commission_follows_a_new_definition():
    changed = replace(instrument(), multiplier=D(5), currency="EUR")
    events = [T, T, trade(at(1), 10), changed, trade(at(2), 10), trade(at(3), 10)]
    told = charged({n: ask("BUY") for n in (1, 2, 4)}, *events, commission="1 %")
    assert told == [("1", "USD"), ("1", "USD"), ("5", "EUR")]


# -- races -------------------------------------------------------------------------------------


def states(bench):
    return [order.state for order in bench.world.orders.orders()]


def test_a_cancel_that_arrives_after_the_fill_changes_nothing():
    plan = {1: ask("BUY"), 2: lambda s: s.cancel("s-1-1", reason="changed my mind")}
    events = [Q, quote(OPEN + 400 * MS, 9, 11), quote(OPEN + 600 * MS, 9, 11), trade(at(3), 11)]
    bench = run(plan, *events, model=SLOW)
    assert fills(bench) == [(0.6, "BUY", "10", "11")]
    late = bench.recorded(OrderStatusChanged)[-1]
    assert (late.status, late.message) == ("Filled", "too late: the order was filled before")
    assert states(bench) == ["Filled"]
    assert bench.world.positions.quantity("ACME") == 10


def others_end_while_a_cancel_is_on_its_way():
    # The first order fills at 600 ms, its cancel comes at 1050 ms; four others fill between the two.
    falling = [quote(OPEN + ms * MS, 8, 10 - ms / 1000) for ms in range(600, 1100, 100)]
    ladder = [ask("BUY", limit=10 - ms / 1000) for ms in range(600, 1100, 100)]
    plan = {
        1: lambda s: [order(s) for order in ladder],
        2: lambda s: s.cancel("s-1-1", reason="changed my mind"),
    }
    bench = run(plan, Q, quote(OPEN + 550 * MS, 8, 11), *falling, trade(at(3), 11), model=SLOW)
    assert len(fills(bench)) == 5
    return bench.recorded(OrderStatusChanged)[-1].message


def test_a_late_cancel_is_told_how_its_order_ended_however_many_ended_since():
    assert others_end_while_a_cancel_is_on_its_way() == "too late: the order was filled before"


def test_a_broker_that_forgets_at_once_how_orders_ended_is_noticed(monkeypatch):
    remove = Working.remove

    def hasty(working, *ended):
        working._done, working._done_before = {}, {}
        remove(working, *ended)

    monkeypatch.setattr(Working, "remove", hasty)
    assert others_end_while_a_cancel_is_on_its_way() != "too late: the order was filled before"


def test_the_broker_forgets_how_orders_ended_once_no_request_can_be_on_its_way():
    plan = {n: ask("BUY") for n in range(1, 60)}
    bench = run(plan, *(quote(at(n), 9, 11) for n in range(60)), model=SLOW)
    assert len(fills(bench)) > 50
    assert bench.broker._working.remembered < 5


def test_a_cancel_that_arrives_first_prevents_the_fill():
    plan = {1: ask("BUY", limit=10), 2: lambda s: s.cancel("s-1-1", reason="changed my mind")}
    events = [Q, trade(at(1), 10.5), quote(at(1) + 500 * MS, 9, 10), trade(at(3), 9)]
    bench = run(plan, *events, model=SLOW)
    assert fills(bench) == []
    assert states(bench) == ["Cancelled"]


def test_a_second_cancel_finds_the_order_cancelled_and_leaves_it_so():
    def twice(s):
        s.cancel("s-1-1", reason="a")
        s.cancel("s-1-1", reason="b")

    for model in (FillModel(), SLOW):
        bench = run({1: ask("BUY", limit=5), 2: twice}, Q, trade(at(1), 10), trade(at(2), 10), model=model)
        assert states(bench) == ["Cancelled"]
        assert bench.recorded(OrderStatusChanged)[-1].message == "too late: the order was cancelled before"


def test_a_modify_that_arrives_after_the_fill_is_rejected_and_the_order_stays_filled():
    plan = {1: ask("BUY"), 2: lambda s: s.modify("s-1-1", quantity=20, reason="more")}
    events = [Q, quote(OPEN + 400 * MS, 9, 11), quote(OPEN + 600 * MS, 9, 11), trade(at(3), 11)]
    bench = run(plan, *events, model=SLOW)
    assert bench.recorded(OrderStatusChanged)[-1].status == "Rejected"
    order = bench.world.orders.get("s-1-1")
    assert (order.state, order.quantity, order.filled, order.exposed) == ("Filled", 10, 10, 0)
    assert len(fills(bench)) == 1


def test_a_modified_limit_meets_the_market_as_if_it_had_just_arrived():
    plan = {1: ask("BUY", limit=8), 2: lambda s: s.modify("s-1-1", limit=12, reason="pay up")}
    bench = run(plan, Q, trade(at(1), 10), trade(at(2), 10))
    assert fills(bench) == [(2, "BUY", "10", "11")]  # it takes, at the ask
    assert bench.world.orders.get("s-1-1").version == 2


def test_a_modify_below_what_has_filled_ends_the_order():
    plan = {1: ask("BUY"), 2: lambda s: s.modify("s-1-1", quantity=3, reason="less")}
    events = [Q, quote(at(1), 9, 11, sizes=(1, 4)), quote(at(2), 9, 11, sizes=(1, 4))]
    bench = run(plan, *events, model=SIZED)
    assert [q for _, _, q, _ in fills(bench)] == ["4"]
    assert bench.world.orders.working() == []


# -- time in force -----------------------------------------------------------------------------


def test_a_day_order_expires_at_the_close_before_anything_at_that_time_may_fill_it():
    bench = run(ask("BUY", limit=10), Q, trade(CLOSE, 9.0), definitions=two_days())
    assert fills(bench) == []
    assert states(bench) == ["Cancelled"]
    (_, expired) = bench.recorded(OrderStatusChanged)
    assert (expired.ts, expired.message) == (CLOSE, "DAY order: the session closed")


def test_a_day_order_still_fills_a_nanosecond_before_the_close():
    assert len(fills(run(ask("BUY", limit=10), Q, trade(CLOSE - 1, 9.0), definitions=two_days()))) == 1


def test_a_day_order_of_one_day_does_not_fill_on_the_next():
    bench = run(ask("BUY", limit=10), Q, trade(OPEN + DAY, 9.0), definitions=two_days())
    assert fills(bench) == []
    assert bench.recorded(OrderStatusChanged)[-1].ts == CLOSE


def test_a_gtc_order_survives_the_close():
    bench = run(ask("BUY", limit=10, tif="GTC"), Q, trade(OPEN + DAY, 9.0), definitions=two_days())
    assert [price for *_, price in fills(bench)] == ["10"]


def test_day_orders_of_each_day_expire_on_their_own_day():
    plan = {n: ask("BUY", limit=5) for n in (1, 2)}
    events = [Q, quote(OPEN + DAY, 9, 11), quote(CLOSE + DAY, 9, 11)]
    bench = run(plan, *events, definitions=two_days())
    ended = [s.ts for s in bench.recorded(OrderStatusChanged) if s.status == "Cancelled"]
    assert ended == [CLOSE, CLOSE + DAY]


def test_a_day_order_belongs_to_the_next_regular_hours():
    early = [quote(BEGIN, 9, 11), trade(CLOSE + S, 4)]
    bench = run(ask("BUY", limit=5), *early, definitions=two_days())
    assert bench.recorded(OrderStatusChanged)[-1].ts == CLOSE
    late = [quote(CLOSE + S, 9, 11), trade(CLOSE + 2 * S, 4.0), trade(OPEN + DAY, 4.0)]
    bench = run(ask("BUY", limit=5), *late, quote(CLOSE + DAY, 9, 11), definitions=two_days())
    assert [f.ts for f in bench.recorded(Filled)] == [OPEN + DAY]
    never = run(ask("BUY", limit=5), *late[:2], quote(CLOSE + DAY, 9, 11), definitions=two_days())
    assert never.recorded(OrderStatusChanged)[-1].ts == CLOSE + DAY


@pytest.mark.parametrize(
    ("terms", "state", "ts"),
    [
        ({"limit": 5}, "Cancelled", CLOSE),
        ({"limit": 5, "outside_rth": True}, "Cancelled", END),
        ({"limit": 5, "tif": "GTC"}, "Submitted", at(2)),
        ({"limit": 5, "tif": "IOC"}, "Cancelled", at(3)),
        ({"at_close": True}, "Filled", CLOSE),
    ],
)
def test_an_order_for_the_day_leaves_the_times_of_those_after_it_alone(terms, state, ts):
    plan = {1: ask("BUY", limit=5), 2: ask("BUY", limit=5), 3: ask("BUY", **terms)}
    events = [*(quote(at(n), 9, 11) for n in range(4)), trade(CLOSE + S, 9), trade(END + S, 9)]
    bench = run(plan, *events, definitions=two_days())
    last = bench.world.orders.get("s-1-3")
    assert (last.state, last.updated_ts) == (state, ts)


def test_a_tick_out_of_its_time_is_judged_by_it():
    plan = {1: ask("BUY", limit=5), 2: ask("BUY")}
    bench = run(plan, Q, Q, quote(BEGIN, 9, 10), quote(at(1), 9, 11), definitions=two_days())
    assert fills(bench) == [(1, "BUY", "10", "11")]


def test_orders_of_another_exchange_do_not_expire_with_this_one():
    definitions = [instrument(), session(), instrument("FAR", exchange="XTKS")]
    plan = {1: lambda s: (s.buy("FAR", 1, limit=1, reason="r"), s.buy("ACME", 1, limit=1, reason="r"))}
    bench = run(plan, Q, trade(CLOSE + S, 10), definitions=definitions)
    assert [order.id for order in bench.world.orders.working()] == ["s-1-1"]


def test_a_quote_without_any_price_changes_nothing():
    nothing = Quote(at(1), FEED, "ACME", None, None, None, None, "V")
    assert fills(run(ask("BUY"), Q, nothing)) == [(1, "BUY", "10", "11")]
