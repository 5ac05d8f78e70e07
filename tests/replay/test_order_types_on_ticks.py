"""Order types and times in force in tick mode: when they trigger, where they fill, how they end."""

from decimal import Decimal
from functools import partial

import pytest
from msgspec.structs import replace

from core.events import Entry, Filled, HaltChanged, OrderIntended, OrderStatusChanged, RiskRefused
from core.matching import FillModel, parse_slippage
from tests.core.bench import (
    ACCOUNT,
    BEGIN,
    CLOSE,
    FEED,
    MIN,
    MS,
    OPEN,
    Bench,
    S,
    Script,
    instrument,
    quote,
    session,
    trade,
)
from tests.replay import placing
from tests.replay.placing import DAY, ask, at, last_word, two_days

D = Decimal
run = partial(placing.run, definitions=two_days())


def fills(bench):
    """Return each fill as (seconds after the open, quantity, price)."""
    return [((f.ts - OPEN) / S, str(f.quantity), str(f.price)) for f in bench.recorded(Filled)]


Q = quote(at(0), 9.9, 10.1)

TABLE = [
    # a stop-limit triggers like a stop, and then is a limit order that has just arrived
    ("BUY", {"stop": 10.5, "limit": 10.8}, [trade(at(1), 10.4), quote(at(2), 10.4, 10.6), trade(at(3), 10.5)],
     (3, "10.6")),
    ("SELL", {"stop": 9.5, "limit": 9.2}, [quote(at(2), 9.4, 9.6), trade(at(3), 9.5)], (3, "9.4")),
    # the market is beyond the limit: it rests there
    ("BUY", {"stop": 10.5, "limit": 10.6}, [quote(at(1), 10.6, 10.9), trade(at(2), 10.7), trade(at(3), 10.6)],
     None),
    ("BUY", {"stop": 10.5, "limit": 10.6}, [quote(at(1), 10.6, 10.9), trade(at(2), 10.7), trade(at(3), 10.5)],
     (3, "10.6")),
    # the trade that triggers it is not a trade through its limit
    ("BUY", {"stop": 10.5, "limit": 10.6}, [quote(at(1), 10.6, 10.9), trade(at(2), 10.5)], None),
    # a limit-if-touched waits for its trigger, though the limit would fill before
    ("BUY", {"touch": 9.5, "limit": 10.2}, [trade(at(1), 9.6), quote(at(2), 9.4, 9.6)], None),
    ("BUY", {"touch": 9.5, "limit": 9.6}, [quote(at(1), 9.4, 9.6), trade(at(2), 9.5)], (2, "9.6")),
    ("SELL", {"touch": 10.5, "limit": 10.4}, [quote(at(1), 10.4, 10.6), trade(at(2), 10.5)], (2, "10.4")),
    ("SELL", {"touch": 10.5, "limit": 10.6}, [quote(at(1), 10.4, 10.6), trade(at(2), 10.5),
                                              quote(at(3), 10.6, 10.8)], (3, "10.6")),
    # a trailing stop follows trades at its distance, never back, and sells at the market
    ("SELL", {"trail": 0.5}, [trade(at(1), 10.0), trade(at(2), 11.0), trade(at(3), 10.6), trade(at(4), 10.5)],
     (4, "9.9")),
    ("SELL", {"trail": 0.5}, [trade(at(1), 10.0), trade(at(2), 9.51), trade(at(3), 9.5)], (3, "9.9")),
    ("SELL", {"trail_pct": 0.1}, [trade(at(1), 20.0), trade(at(2), 18.01), trade(at(3), 18.0)], (3, "9.9")),
    ("BUY", {"trail": 0.5}, [trade(at(1), 10.0), trade(at(2), 9.0), trade(at(3), 9.4), trade(at(4), 9.5)],
     (4, "10.1")),
    ("BUY", {"trail": 0.3}, [trade(at(1), 0.1 + 0.2), trade(at(2), 0.6)], (2, "10.1")),
    # … from where it is told to start
    ("SELL", {"trail": 0.5, "stop": 9.8}, [trade(at(1), 9.9), trade(at(2), 9.8)], (2, "9.9")),
    ("SELL", {"trail": 0.5, "stop": 9.0}, [trade(at(1), 9.4), trade(at(2), 9.0)], (2, "9.9")),
    # quotes trigger nothing
    ("SELL", {"trail": 0.5}, [trade(at(1), 10.0), quote(at(2), 1.0, 2.0), trade(at(3), 9.9)], None),
    ("BUY", {"stop": 10.5}, [quote(at(1), 20, 21), trade(at(2), 10)], None),
    # immediate or cancel: its first event, or nothing
    ("BUY", {"tif": "IOC"}, [trade(at(1), 10)], (1, "10.1")),
    ("BUY", {"tif": "IOC", "limit": 10.1}, [trade(at(1), 10)], (1, "10.1")),
    ("BUY", {"tif": "IOC", "limit": 10.0}, [trade(at(1), 10.05), quote(at(2), 9, 9.5)], None),
    ("BUY", {"tif": "FOK", "limit": 10.0}, [trade(at(1), 10.05), quote(at(2), 9, 9.5)], None),
]  # fmt: skip


@pytest.mark.parametrize(("side", "terms", "events", "expected"), TABLE)
def test_the_table_of_order_types_on_ticks(side, terms, events, expected):
    bench = run(ask(side, **terms), Q, *events)
    wanted = [] if expected is None else [(expected[0], "10", expected[1])]
    assert fills(bench) == wanted


def test_what_cannot_fill_at_once_is_cancelled_with_its_reason():
    bench = run(ask("BUY", tif="IOC", limit=10.0), Q, trade(at(1), 10.05))
    assert last_word(bench) == ("Cancelled", "IOC: it could not fill at once")


SIZED = FillModel(partial_fills=True)


def test_immediate_or_cancel_takes_what_is_displayed_and_cancels_the_rest():
    bench = run(ask("BUY", tif="IOC"), Q, quote(at(1), 9, 11, sizes=(5, 4)), quote(at(2), 9, 11), model=SIZED)
    assert fills(bench) == [(1, "4", "11")]
    assert last_word(bench) == ("Cancelled", "IOC: the rest could not fill at once")
    assert bench.world.orders.working() == []


@pytest.mark.parametrize(("size", "filled"), [(9, []), (10, [(1, "10", "11")])])
def test_fill_or_kill_fills_whole_or_not_at_all(size, filled):
    bench = run(
        ask("BUY", tif="FOK"), Q, quote(at(1), 9, 11, sizes=(5, size)), quote(at(2), 9, 11), model=SIZED
    )
    assert fills(bench) == filled
    assert bench.world.orders.working() == []


def test_stops_can_be_triggered_by_quotes_instead():
    quotes = FillModel(trigger="quotes")
    stop = ask("BUY", stop=10.5)
    assert fills(run(stop, Q, trade(at(1), 99), quote(at(2), 10.4, 10.5), model=quotes)) == [
        (2, "10", "10.5")
    ]
    trail = ask("SELL", trail=0.5, stop=9.0)
    events = [quote(at(1), 10.0, 10.2), trade(at(2), 1.0), quote(at(3), 9.5, 9.7)]
    assert fills(run(trail, Q, *events, model=quotes)) == [(3, "10", "9.5")]


def test_good_till_date_ends_before_anything_at_its_time_may_fill_it():
    order = ask("BUY", limit=10, tif="GTD", good_till=at(5))
    assert fills(run(order, Q, trade(at(5) - 1, 9.0))) == [(5 - 1e-9, "10", "10")]
    bench = run(order, Q, trade(at(5), 9.0))
    assert fills(bench) == []
    assert last_word(bench) == ("Cancelled", "GTD order: its time is up")
    assert bench.recorded(OrderStatusChanged)[-1].ts == at(5)


def test_good_till_date_outlives_the_close():
    order = ask("BUY", limit=10, tif="GTD", good_till=OPEN + DAY + 9 * S)
    assert len(fills(run(order, Q, trade(OPEN + DAY + 8 * S, 9.0)))) == 1


def test_a_good_till_time_that_passes_on_the_way_refuses_the_order():
    order = ask("BUY", limit=10, tif="GTD", good_till=at(0) + 400 * MS)
    bench = run(order, Q, trade(at(1), 9.0), model=FillModel(latency_ms=500))
    assert last_word(bench)[0] == "Rejected"
    assert "GTD: 2025-07-02T13:30:00.400Z was past" in last_word(bench)[1]


# -- the open and the close --------------------------------------------------------------------


def test_market_on_open_fills_at_the_first_trade_of_the_next_session():
    order = ask("BUY", tif="OPG")
    events = [trade(at(5), 10), quote(OPEN + DAY - S, 1, 2), trade(OPEN + DAY - S, 1.0)]
    bench = run(
        order, Q, *events, quote(OPEN + DAY, 3, 4), trade(OPEN + DAY + S, 12.0), trade(OPEN + DAY + 2 * S, 9)
    )
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(OPEN + DAY + S, "12")]


def test_market_on_open_given_before_the_open_fills_on_the_same_day():
    bench = run(ask("BUY", tif="OPG"), quote(BEGIN, 9, 11), trade(OPEN - 1, 5.0), trade(OPEN, 12.0))
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(OPEN, "12")]


@pytest.mark.parametrize(("limit", "filled"), [(12, ["12"]), (11.9, [])])
def test_limit_on_open_takes_the_open_or_is_cancelled(limit, filled):
    bench = run(
        ask("BUY", limit=limit, tif="OPG"), quote(BEGIN, 9, 11), trade(OPEN, 12.0), trade(OPEN + S, 5.0)
    )
    assert [str(f.price) for f in bench.recorded(Filled)] == filled
    if not filled:
        assert last_word(bench) == ("Cancelled", "limit on open: the open was at 12")


def test_market_on_close_fills_at_the_last_trade_when_the_session_closes():
    order = ask("SELL", at_close=True)
    events = [trade(at(5), 10), trade(CLOSE - S, 9.7), trade(CLOSE - 1, 1.0, bad=True), trade(CLOSE, 5.0)]
    bench = run(order, Q, *events)
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(CLOSE, "9.7")]


def test_market_on_close_without_a_trade_that_day_takes_the_opposite_quote():
    events = [quote(CLOSE - S, 9.5, 9.8), quote(CLOSE, 1, 2)]
    assert [str(f.price) for f in run(ask("SELL", at_close=True), Q, *events).recorded(Filled)] == ["9.5"]


def test_a_trade_before_the_open_is_no_closing_price():
    events = [trade(OPEN - S, 8.0), Q, quote(CLOSE - S, 9.5, 9.8), quote(CLOSE, 1, 2)]
    assert [str(f.price) for f in run(ask("SELL", at_close=True), *events).recorded(Filled)] == ["9.5"]


def test_market_on_close_without_any_price_is_cancelled():
    gone = quote(at(1), sizes=(0, 0))
    bench = run(ask("SELL", at_close=True), Q, gone, quote(CLOSE + S, 9, 10))
    assert last_word(bench) == ("Cancelled", "market on close: there was no price at the close")
    halted = HaltChanged(at(2), FEED, "ACME", halted=True)
    assert fills(run(ask("SELL", at_close=True), Q, trade(at(1), 10), halted, quote(CLOSE + S, 9, 10))) == []


def test_market_on_close_after_the_close_is_refused():
    bench = run(ask("SELL", at_close=True), quote(CLOSE, 9, 10), trade(CLOSE + S, 10))
    assert last_word(bench) == (
        "Rejected",
        "market on close: the session closed at 2025-07-02T16:00:00.000-04:00",
    )
    assert [o.state for o in bench.world.orders.orders()] == ["Rejected"]


@pytest.mark.parametrize(
    ("exchange", "minutes"), [("XNYS", 10), ("XASE", 10), ("XNAS", 5), ("ARCX", 1), ("BATS", 1)]
)
@pytest.mark.parametrize("late", [False, True])
def test_market_on_close_is_taken_until_the_exchange_takes_no_more(exchange, minutes, late):
    asked = CLOSE - minutes * MIN + (1 if late else 0)
    definitions = [instrument(exchange=exchange), session(exchange=exchange)]
    events = [quote(asked, 9, 10), trade(CLOSE - 1, 9.7), trade(CLOSE, 5.0)]
    bench = run(ask("SELL", at_close=True), *events, definitions=definitions)
    assert [str(f.price) for f in bench.recorded(Filled)] == ([] if late else ["9.7"])
    if late:
        unit = "minute" if minutes == 1 else "minutes"
        expected = f"market on close: too late, the last is taken {minutes} {unit} before 2025-07-02T16:00"
        assert last_word(bench)[1].startswith(expected)


def test_market_on_close_is_taken_to_the_last_where_no_rule_is_known():
    definitions = [instrument(exchange="XTKS"), session(exchange="XTKS")]
    events = [quote(CLOSE - 1, 9, 10), trade(CLOSE, 5.0)]
    bench = run(ask("SELL", at_close=True), *events, definitions=definitions)
    assert [str(f.price) for f in bench.recorded(Filled)] == ["9"]


def test_market_on_close_can_be_cancelled_and_modified_until_the_close():
    plan = {1: ask("SELL", at_close=True), 2: lambda s: s.modify("s-1-1", quantity=4, reason="less")}
    assert [str(f.quantity) for f in run(plan, Q, trade(at(1), 10), trade(CLOSE, 9)).recorded(Filled)] == [
        "4"
    ]
    plan = {1: ask("SELL", at_close=True), 2: lambda s: s.cancel("s-1-1", reason="no")}
    assert run(plan, Q, trade(at(1), 10), trade(CLOSE, 9)).recorded(Filled) == []


# -- regular hours -----------------------------------------------------------------------------

EARLY = [trade(BEGIN + n * MIN, 9.0) for n in range(1, 4)]


@pytest.mark.parametrize(
    "terms", [{}, {"limit": 10}, {"stop": 9.5}, {"touch": 9.5, "limit": 10}, {"trail": 0.5}]
)
def test_outside_regular_hours_nothing_fills_or_triggers_without_leave(terms):
    side = "SELL" if terms.keys() & {"stop", "trail"} else "BUY"
    order, quiet = ask(side, **terms), quote(OPEN, 9.9, 10.0)
    extended = [trade(BEGIN + 4 * MIN, 8.0)]
    assert fills(run(order, quote(BEGIN, 9.9, 10), *EARLY, *extended)) == []
    allowed = ask(side, outside_rth=True, **terms)
    assert len(fills(run(allowed, quote(BEGIN, 9.9, 10), *EARLY, *extended))) == 1
    bench = run(order, quote(BEGIN, 9.9, 10), *EARLY, quiet, trade(OPEN + S, 9.3), trade(OPEN + 2 * S, 8.0))
    assert len(fills(bench)) == 1
    assert fills(bench)[0][0] >= 0


def test_a_gtc_order_rests_through_the_evening_and_fills_on_the_next_day():
    events = [trade(CLOSE + S, 9.0), trade(OPEN + DAY + S, 9.5)]
    bench = run(ask("BUY", limit=10, tif="GTC"), quote(at(0), 10.2, 10.4), *events)
    assert [f.ts for f in bench.recorded(Filled)] == [OPEN + DAY + S]


def test_a_day_order_with_leave_lives_until_the_evening():
    late = [trade(CLOSE + S, 9.0)]
    assert len(fills(run(ask("BUY", limit=10, outside_rth=True), quote(at(0), 10.2, 10.4), *late))) == 1


# -- slippage and volume -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "side", "price"),
    [
        ("1 tick", "BUY", "10.11"),
        ("2 ticks", "SELL", "9.88"),
        ("10 bps", "BUY", "10.1101"),
        ("0.5 spread", "SELL", "9.8"),
    ],
)
def test_a_market_order_fills_worse_by_the_slippage(text, side, price):
    model = FillModel(slippage=parse_slippage(text))
    assert fills(run(ask(side), Q, trade(at(1), 10), model=model)) == [(1, "10", price)]
    assert text.split()[0] in model.name


def test_slippage_in_ticks_goes_by_the_steps_that_it_passes():
    model = FillModel(slippage=parse_slippage("3 ticks"))
    stepped = replace(instrument(), price_steps="0:0.01,10.11:0.05")
    found = run(ask("BUY"), Q, trade(at(1), 10), model=model, definitions=[stepped, session()])
    assert fills(found) == [(1, "10", "10.21")]  # 10.1, 10.11, 10.16, 10.21


def test_a_limit_order_does_not_slip():
    model = FillModel(slippage=parse_slippage("5 ticks"))
    assert fills(run(ask("BUY", limit=10.1), Q, trade(at(1), 10), model=model)) == [(1, "10", "10.1")]


def test_an_order_takes_its_share_of_each_trades_volume():
    model = FillModel(volume_share=0.1)
    events = [trade(at(1), 10, 45), quote(at(2), 9.9, 10.1), trade(at(3), 10, 50), trade(at(4), 10, 1000)]
    assert fills(run(ask("BUY"), Q, *events, model=model)) == [
        (1, "4", "10.1"),
        (3, "5", "10.1"),
        (4, "1", "10.1"),
    ]


def test_two_orders_share_a_trades_volume():
    model = FillModel(volume_share=0.5)
    plan = {1: lambda s: [s.buy("ACME", 4, reason="r") for _ in range(2)]}
    assert [
        q for _, q, _ in fills(run(plan, Q, trade(at(1), 10, 12), trade(at(2), 10, 100), model=model))
    ] == ["4", "2", "2"]


# -- orders that were here before --------------------------------------------------------------


def scanned(bench, event):
    """Return what the broker says of an event, once its prices are folded."""
    bench.world.apply(Entry(1, None, 1, None, event))
    return bench.broker.scan(event)


def test_a_stop_limit_that_rested_takes_the_best_when_it_triggers():
    bench = Bench(Script(), definitions=two_days())
    terms = ("SELL", D(1), "STP LMT", D("9.2"), D("9.5"), "GTC", "r")
    bench.broker.resume([(OrderIntended(OPEN, "s-1-1", ACCOUNT, "s", "ACME", *terms), 1, D(0), False)], OPEN)
    facts = [fact for event in (quote(at(1), 9.4, 9.6), trade(at(2), 9.5)) for fact in scanned(bench, event)]
    assert [str(f.price) for f in facts if isinstance(f, Filled)] == ["9.4"]


# -- what is refused ---------------------------------------------------------------------------


def test_an_expired_instrument_is_refused():
    gone = replace(instrument("ACME", "FUT"), expiry="2025-07-01")
    bench = run(ask("BUY"), Q, trade(at(1), 10), definitions=[gone, session()])
    assert last_word(bench) == ("Rejected", "ACME expired on 2025-07-01")
    assert fills(bench) == []


def test_an_order_after_the_last_day_is_refused_though_one_of_that_day_was_taken():
    last = replace(instrument("ACME", "FUT"), expiry="2025-07-02")
    plan = {1: ask("BUY"), 2: ask("BUY")}
    evening, early = quote(CLOSE + MIN, 9, 10), quote(BEGIN + DAY, 9, 10)
    bench = run(plan, evening, early, definitions=[last, *two_days()[1:]])
    assert last_word(bench) == ("Rejected", "ACME expired on 2025-07-02")


def test_a_modification_of_a_filled_order_is_refused_in_words():
    bench = run(
        {1: ask("BUY"), 3: lambda s: s.modify("s-1-1", quantity=5, reason="r")},
        Q,
        trade(at(1), 10),
        trade(at(2), 10),
    )
    (refused,) = bench.recorded(RiskRefused)
    assert refused.message == "s-1-1 is Filled (10 filled): nothing to modify"


# -- modification at any stage -----------------------------------------------------------------


def test_a_stop_can_be_moved_until_it_triggers():
    plan = {1: ask("SELL", stop=9.5), 2: lambda s: s.modify("s-1-1", stop=9.8, reason="closer")}
    assert fills(run(plan, Q, trade(at(1), 9.9), trade(at(2), 9.8))) == [(2, "10", "9.9")]


def test_a_trailing_distance_can_be_changed():
    plan = {1: ask("SELL", trail=2), 2: lambda s: s.modify("s-1-1", trail=0.2, reason="closer")}
    events = [trade(at(1), 10.0), trade(at(2), 11.0), trade(at(3), 10.8)]
    assert fills(run(plan, Q, *events)) == [(3, "10", "9.9")]


def test_a_trailing_stop_moves_on_from_another_start_that_is_named():
    plan = {1: ask("SELL", trail=2, stop=8), 2: lambda s: s.modify("s-1-1", stop=9.5, reason="closer")}
    events = [trade(at(1), 10.0), trade(at(2), 9.6), trade(at(3), 9.5)]
    assert fills(run(plan, Q, *events)) == [(3, "10", "9.9")]
    unnamed = {1: ask("SELL", trail=2, stop=8), 3: lambda s: s.modify("s-1-1", quantity=5, reason="less")}
    events = [trade(at(1), 12.0), trade(at(2), 11.0), trade(at(3), 10.0)]
    assert fills(run(unnamed, Q, *events)) == [(3, "5", "9.9")]  # it had moved to 10, and stays there


def test_a_stop_limit_that_triggered_stays_triggered_when_its_limit_moves():
    plan = {1: ask("BUY", stop=10.5, limit=10.6), 3: lambda s: s.modify("s-1-1", limit=11, reason="pay up")}
    events = [quote(at(1), 10.7, 10.9), trade(at(2), 10.5), trade(at(3), 10.8)]
    assert fills(run({1: plan[1]}, Q, *events)) == []
    assert fills(run(plan, Q, *events)) == [(3, "10", "10.9")]


# -- changed times -----------------------------------------------------------------------------


def retimed(first, *events, **times):
    """Place a resting order and change its times with the second event."""
    plan = {1: ask("BUY", limit=9, **first), 2: lambda s: s.modify("s-1-1", reason="r", **times)}
    return run(plan, Q, quote(at(1), 9.9, 10.1), *events)


def test_a_day_order_that_becomes_good_till_cancelled_outlives_the_day():
    bench = retimed({}, quote(at(0) + DAY, 8.9, 9), tif="GTC")
    assert fills(bench) == [(DAY // S, "10", "9")]
    assert bench.world.orders.get("s-1-1").tif == "GTC"


def test_an_order_that_gets_an_end_has_it_and_one_that_loses_it_has_none():
    bench = retimed({}, quote(at(9), 9.9, 10.1), tif="GTD", good_till=at(5))
    assert last_word(bench) == ("Cancelled", "GTD order: its time is up")
    bench = retimed({"tif": "GTD", "good_till": at(5)}, quote(at(9), 8.9, 9), tif="GTC")
    assert fills(bench) == [(9, "10", "9")]
    assert bench.world.orders.get("s-1-1").good_till is None


def test_other_hours_let_an_order_fill_in_them():
    late = quote(CLOSE + S, 8.9, 9)
    assert fills(retimed({"tif": "GTC"}, late)) == []
    assert len(fills(retimed({"tif": "GTC"}, late, outside_rth=True))) == 1


@pytest.mark.parametrize(
    ("first", "times", "limit"),
    [
        ({}, {"tif": "IOC"}, "DAY, GTC or GTD"),
        ({}, {"tif": "GTD"}, "a good_till time"),
        ({}, {"good_till": at(5)}, "GTD"),
        ({}, {"tif": "GTD", "good_till": at(0)}, "a time ahead"),
    ],
)
def test_times_that_an_order_at_work_cannot_get_are_refused(first, times, limit):
    [refusal] = retimed(first, **times).recorded(RiskRefused)
    assert (refusal.rule, refusal.limit, refusal.version) == ("tif", limit, 2)
