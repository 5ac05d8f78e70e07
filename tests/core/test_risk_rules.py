"""Each rule by its own: what it reads, where it breaks, and that what only reduces always passes."""

from decimal import Decimal

import pytest

from core.events import FxRateReported, HaltChanged, InstrumentDefined, RiskApproved, RiskRefused
from core.risk import Limits
from core.risk.rules import RULES, active
from core.risk.standing import standings
from tests.core.bench import ACCOUNT, CLOSE, FEED, MIN, OPEN, Bench, S, Script, trade

pytestmark = pytest.mark.risk

D = Decimal


def run(plan, events, session=True, **limits):
    bench = Bench(Script(plan), limits=Limits(**limits))
    bench.run(events)
    return bench


def ticks(*prices, step=S, start=OPEN):
    return [trade(start + n * step, price) for n, price in enumerate(prices)]


def buy(quantity, **terms):
    return lambda s: s.buy("ACME", quantity, reason="r", **terms)


def sell(quantity, **terms):
    return lambda s: s.sell("ACME", quantity, reason="r", **terms)


def verdicts(bench):
    found = bench.recorded(RiskApproved, RiskRefused)
    return ["ok" if isinstance(event, RiskApproved) else event.rule for event in found]


def test_every_limit_has_its_rule_and_none_is_on_by_itself():
    assert set(RULES) == set(Limits.__struct_fields__) - {"rules"}  # the user's own are not of this table
    assert active(Limits()) == []
    assert len(active(Limits(max_open_orders=1, restricted=("A",), refuse_halted=True))) == 3


def test_an_approval_names_the_rule_with_least_left_and_its_numbers():
    bench = run({1: buy(400)}, ticks(10, 10), max_position_size=0.05, max_portfolio_risk=0.2)
    (approved,) = bench.recorded(RiskApproved)
    assert (approved.rule, approved.limit, approved.value, approved.headroom) == (
        "max_position_size",
        "5000",
        "4000",
        "1000",
    )


def test_a_refusal_says_by_how_much():
    bench = run({1: buy(501)}, ticks(10, 10), max_position_size=0.05)
    assert bench.recorded(RiskRefused)[0].headroom == "-10"


def test_orders_per_minute_count_in_event_time_and_refused_ones_count():
    plan = {n: buy(1) for n in range(1, 5)} | {5: buy(1)}
    events = [*ticks(10, 10, 10, 10), trade(OPEN + 62 * S, 10), trade(OPEN + 63 * S, 10)]
    bench = run(plan, events, max_orders_per_minute=3)
    assert verdicts(bench) == ["ok", "ok", "ok", "max_orders_per_minute", "ok"]


def test_open_orders_are_counted_with_this_one():
    plan = {1: buy(1, limit=9, tif="GTC"), 2: buy(1, limit=9, tif="GTC"), 3: buy(1, limit=9, tif="GTC")}
    assert verdicts(run(plan, ticks(10, 10, 10, 10), max_open_orders=2)) == ["ok", "ok", "max_open_orders"]


@pytest.mark.parametrize(
    ("ask", "verdict"),
    [
        (buy(1, limit=10.5), "ok"),
        (buy(1, limit=10.51), "price_collar"),
        (buy(1, limit=1), "ok"),
        (sell(1, limit=9.5), "ok"),
        (sell(1, limit=9.49), "price_collar"),
        (sell(1, limit=99), "ok"),
        (buy(1), "ok"),
    ],
)
def test_a_limit_may_lie_so_far_beyond_the_last_price(ask, verdict):
    assert verdicts(run({1: ask}, ticks(10, 10), price_collar=0.05)) == [verdict]


def test_the_same_order_again_is_refused_for_a_while():
    plan = {1: buy(1, limit=9), 2: buy(1, limit=9), 3: buy(2, limit=9), 4: buy(1, limit=9)}
    events = [*ticks(10, 10, 10), trade(OPEN + 8 * S, 10), trade(OPEN + 9 * S, 10)]
    bench = run(plan, events, duplicate_within_s=5)
    assert verdicts(bench) == ["ok", "duplicate", "ok", "ok"]


def test_what_was_refused_may_be_asked_again():
    plan = {1: buy(501), 2: buy(501)}
    bench = run(plan, ticks(10, 10, 10), max_position_size=0.05, duplicate_within_s=5)
    assert verdicts(bench) == ["max_position_size", "max_position_size"]


def test_old_prices_refuse_entries():
    other = [trade(OPEN, 10, name="OTHER"), *ticks(10, start=OPEN + 9 * S), *ticks(10, start=OPEN + 11 * S)]
    plan = {1: lambda s: s.buy("OTHER", 1, reason="r"), 2: lambda s: s.buy("OTHER", 1, reason="r")}
    bench = run(plan, other, max_data_age_s=10)
    assert verdicts(bench) == ["ok", "max_data_age_s"]
    assert (bench.recorded(RiskRefused)[0].value, bench.recorded(RiskRefused)[0].limit) == ("11", "10")


def test_prices_of_exactly_the_greatest_age_are_not_old():
    events = [trade(OPEN, 10, name="OTHER"), trade(OPEN + 10 * S, 10), trade(OPEN + 11 * S, 10)]
    bench = run({1: lambda s: s.buy("OTHER", 1, reason="r")}, events, max_data_age_s=10)
    assert verdicts(bench) == ["ok"]


def test_a_halted_instrument_takes_no_entries():
    events = [*ticks(10), HaltChanged(OPEN + S, FEED, "ACME", True), *ticks(10, 10, start=OPEN + 2 * S)]
    assert verdicts(run({2: buy(1)}, events, refuse_halted=True)) == ["halted"]


def test_the_restricted_list_lets_out_and_not_in():
    bench = run({1: buy(2), 3: sell(2), 4: buy(1)}, ticks(10, 10, 10, 10, 10), price_collar=0.5)
    assert verdicts(bench) == ["ok", "ok", "ok"]

    def restrict(s):
        bench.step.decisions.gate._rules = active(Limits(restricted=("ACME",)))
        s.sell("ACME", 2, reason="out")
        s.buy("ACME", 1, reason="in")

    bench = Bench(Script({1: buy(2), 3: restrict}), limits=Limits(max_open_orders=9))
    bench.run(ticks(10, 10, 10, 10))
    assert verdicts(bench) == ["ok", "ok", "restricted"]


def test_outside_regular_hours_only_orders_that_say_so_pass():
    early = OPEN - 10 * MIN
    plan = {1: buy(1), 2: buy(1, outside_rth=True), 3: buy(1), 4: buy(1)}
    events = [
        *ticks(10, 10, start=early),
        trade(OPEN + S, 10),
        trade(CLOSE + S, 10),
        trade(CLOSE + 2 * S, 10),
    ]
    assert verdicts(run(plan, events, regular_hours_only=True)) == [
        "regular_hours_only",
        "ok",
        "ok",
        "regular_hours_only",
    ]


@pytest.mark.parametrize(("ts", "verdict"), [(OPEN, "ok"), (CLOSE, "regular_hours_only")])
def test_regular_hours_begin_with_the_open_and_end_before_the_close(ts, verdict):
    events = [trade(ts, 10), trade(ts + S, 10)]
    assert verdicts(run({1: buy(1)}, events, regular_hours_only=True)) == [verdict]


def test_drawdown_is_measured_from_the_peak():
    bench = Bench(
        Script({1: buy(1000), 5: buy(1), 6: sell(1)}), limits=Limits(max_drawdown=0.1), sampled=True
    )
    bench.run(ticks(10, 10, 30, 12, 12, 12, 12, step=MIN))
    assert verdicts(bench) == ["ok", "max_drawdown", "ok"]
    (refusal,) = bench.recorded(RiskRefused)
    assert (refusal.limit, refusal.value) == ("0.1", str(D(18000) / D(120000))[:4])


@pytest.mark.parametrize("limit", ["max_daily_loss", "max_drawdown"])
@pytest.mark.parametrize(("price", "verdict"), [(5.01, "ok"), (5, "refused")])
def test_a_loss_of_exactly_the_limit_ends_entries(limit, price, verdict):
    bench = Bench(Script({1: buy(1000), 4: buy(1)}), limits=Limits(**{limit: 0.05}), sampled=True)
    bench.run(ticks(10, 10, price, price, price, step=MIN))
    assert verdicts(bench) == ["ok", "ok" if verdict == "ok" else limit]


def test_leverage_bounds_all_positions_together():
    plan = {1: buy(6000), 3: buy(4001)}
    bench = run(plan, ticks(10, 10, 10, 10), max_leverage=1)
    assert verdicts(bench)[0] == "ok"
    assert verdicts(bench)[1] == "buying_power"


def test_risk_to_stops_counts_what_a_stop_does_not_cover_in_full():
    limits = {"max_risk_to_stops": 0.01}
    assert verdicts(run({1: buy(101)}, ticks(10, 10), **limits)) == ["max_risk_to_stops"]
    bracket = lambda s: s.bracket("ACME", "BUY", 900, stop_loss=9, reason="r")  # noqa: E731
    assert verdicts(run({1: bracket}, ticks(10, 10), **limits)) == ["ok", "ok"]
    wider = lambda s: s.bracket("ACME", "BUY", 900, stop_loss=8, reason="r")  # noqa: E731
    assert verdicts(run({1: wider}, ticks(10, 10), **limits)) == ["max_risk_to_stops", "bracket"]


def test_a_holding_with_a_stop_risks_the_way_to_it():
    plan = {1: buy(900), 3: sell(900, stop=9, tif="GTC")}
    bench = run(plan, ticks(10, 10, 10, 10), max_risk_to_stops=0.5)
    found = standings(ACCOUNT, bench.step.decisions.gate._state, Limits(max_risk_to_stops=0.5), OPEN)
    assert [(f.rule, f.value) for f in found] == [("max_risk_to_stops", D(900))]


def test_currencies_are_converted_and_an_unknown_rate_refuses():
    euro = InstrumentDefined(0, "EURO", "EURO", "STK", "XNYS", "EUR", D(1), D("0.01"), "America/New_York")
    ask = {1: lambda s: s.buy("EURO", 400, reason="r"), 2: lambda s: s.buy("EURO", 60, reason="r")}

    def session(*definitions):
        bench = Bench(Script(ask), limits=Limits(max_position_size=0.05), definitions=[euro, *definitions])
        bench.run([trade(OPEN, 10, name="EURO"), *ticks(10, 10, 10, start=OPEN + S)])
        return bench

    unknown = session()
    assert {r.rule for r in unknown.recorded(RiskRefused)} == {"currency"}
    assert "no rate from EUR to USD is known" in unknown.recorded(RiskRefused)[0].message
    known = session(FxRateReported(0, "EUR", "USD", D("1.2")))
    assert verdicts(known) == ["ok", "max_position_size"]
    assert known.recorded(RiskApproved)[0].value == "4800"


def test_a_one_cancels_all_group_counts_once_with_its_largest():
    def orders(*quantities, oca):
        return lambda s: [s.buy("ACME", q, limit=9, oca=oca, tif="GTC", reason="r") for q in quantities]

    limits = {"max_position_size": 0.05}
    pair = run({1: orders(300, 200, 300, oca="x"), 2: buy(231), 3: buy(229)}, ticks(10, 10, 10, 10), **limits)
    assert verdicts(pair) == ["ok", "ok", "ok", "max_position_size", "max_position_size"]
    fits = run({1: orders(300, 200, oca="x"), 2: buy(200)}, ticks(10, 10, 10), **limits)
    assert verdicts(fits) == ["ok", "ok", "ok"]
    alone = run({1: orders(300, 300, oca="")}, ticks(10, 10), **limits)
    assert verdicts(alone) == ["ok", "max_position_size"]
