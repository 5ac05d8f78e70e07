"""What an order may ask: types from prices, defects in words, brackets judged and sent as one."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from core.events import OrderIntended, OrderSendStarted, RiskApproved, RiskRefused
from core.order_rules import bracket_defect
from core.risk import Limits
from tests.core.bench import OPEN, Bench, S, Script, trade

pytestmark = pytest.mark.risk

D = Decimal


def asked(call, limits=None):
    bench = Bench(Script({1: call}), limits=limits or Limits())
    bench.run([trade(OPEN, 10.0)])
    return bench


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({}, "MKT"),
        ({"limit": 9.5}, "LMT"),
        ({"stop": 10.5}, "STP"),
        ({"stop": 10.5, "limit": 10.6}, "STP LMT"),
        ({"trail": 0.5}, "TRAIL"),
        ({"trail_pct": D("0.02"), "stop": 10.2}, "TRAIL"),
        ({"touch": 9.5, "limit": 9.6}, "LIT"),
        ({"at_close": True}, "MOC"),
        ({"tif": "OPG"}, "MKT"),
        ({"tif": "GTD", "good_till": OPEN + S}, "MKT"),
        ({"limit": 10, "tif": "IOC"}, "LMT"),
    ],
)
def test_the_prices_given_make_the_type_and_pass(terms, kind):
    bench = asked(lambda s: s.buy("ACME", 1, reason="r", **terms))
    assert [i.type for i in bench.recorded(OrderIntended)] == [kind]
    assert len(bench.recorded(RiskApproved)) == 1


@pytest.mark.parametrize(
    ("terms", "rule", "says"),
    [
        ({"touch": 9.5}, "price", "LIT: needs a limit price"),
        ({"at_close": True, "limit": 9}, "price", "MOC: takes no limit, but 9 was given"),
        ({"at_close": True, "tif": "GTC"}, "tif", "MOC: is of the day by itself"),
        ({"trail": 1, "trail_pct": 0.1}, "price", "TRAIL: needs either trail or trail_pct"),
        ({"trail": -1}, "price", "a trail of -1 is no price"),
        ({"trail_pct": 5}, "price", "TRAIL: trail_pct is a fraction such as 0.05, not 5"),
        ({"trail": 1, "limit": 9}, "price", "TRAIL: takes no limit"),
        ({"trail": 1, "stop": -9.0}, "price", "a stop price of -9 is no price"),
        ({"stop": 9, "tif": "IOC"}, "tif", "IOC: goes with LMT or MKT orders, not with STP"),
        ({"tif": "GTD"}, "tif", "GTD: needs good_till=, a time in ns UTC"),
        ({"tif": "GTD", "good_till": OPEN}, "tif", "GTD: good_till is in the past"),
        ({"good_till": OPEN + S}, "tif", "good_till: goes with tif GTD, not with DAY"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_words(terms, rule, says):
    bench = asked(lambda s: s.sell("ACME", 1, reason="r", **terms))
    (refused,) = bench.recorded(RiskRefused)
    assert (refused.rule, says in refused.message) == (rule, True), refused.message
    assert bench.recorded(OrderSendStarted) == []


@pytest.mark.parametrize(
    "terms",
    [
        {"instrument": "NONE"},
        {"type": "LMT"},
        {"tif": "GTD"},
        {"limit": D(9)},
        {"stop": D(9)},
        {"trail": D(1)},
        {"trail_pct": D("0.1")},
        {"good_till": OPEN + S},
        {"quantity": D(0)},
        {"quantity": D(10**13)},
    ],
)
def test_a_defect_is_found_in_whatever_follows_an_order_without_one(terms):
    bench = asked(lambda s: s.buy("ACME", 1, reason="r"))
    gate, (plain,) = bench.step.decisions.gate, bench.recorded(OrderIntended)
    assert isinstance(gate.judge(plain), RiskApproved)
    assert isinstance(gate.judge(replace(plain, **terms)), RiskRefused)


def test_a_bracket_is_three_orders_bound_to_its_entry():
    bench = asked(
        lambda s: s.bracket("ACME", "BUY", 5, limit=10, take_profit=11, stop_loss=9, reason="in"),
        Limits(max_position_size=0.05, max_portfolio_risk=0.2),
    )
    entry, profit, loss = bench.recorded(OrderIntended)
    assert (entry.side, entry.type, entry.limit, entry.parent, entry.oca) == ("BUY", "LMT", D(10), "", "")
    assert (profit.side, profit.type, profit.limit, profit.tif) == ("SELL", "LMT", D(11), "GTC")
    assert (loss.side, loss.type, loss.stop, loss.tif) == ("SELL", "STP", D(9), "GTC")
    assert {o.parent for o in (profit, loss)} == {o.oca for o in (profit, loss)} == {entry.order}
    assert [s.order for s in bench.recorded(OrderSendStarted)] == [entry.order, profit.order, loss.order]


def test_a_single_exit_has_no_group_and_may_trail():
    bench = asked(lambda s: s.bracket("ACME", "SELL", 5, trail_pct=0.02, reason="in"))
    _, loss = bench.recorded(OrderIntended)
    assert (loss.side, loss.type, loss.trail_pct, loss.oca) == ("BUY", "TRAIL", D("0.02"), "")


@pytest.mark.parametrize(
    ("side", "terms", "says"),
    [
        ("BUY", {"limit": 10, "take_profit": 9.9}, "take-profit at 9.9 must be above the entry at 10"),
        ("BUY", {"limit": 10, "stop_loss": 10}, "the entry at 10 must be above the stop-loss at 10"),
        ("SELL", {"stop": 10, "take_profit": 10.5}, "take-profit at 10.5 must be below the entry at 10"),
        ("SELL", {"take_profit": 11, "stop_loss": 9}, "take-profit at 11 must be below the last price at 10"),
        ("BUY", {"take_profit": 9, "stop_loss": 8}, "take-profit at 9 must be above the last price at 10"),
        (
            "BUY",
            {"take_profit": 11, "stop_loss": 10},
            "the last price at 10 must be above the stop-loss at 10",
        ),
        ("BUY", {"take_profit": 11, "stop_loss": -9.0}, "a stop price of -9 is no price"),
    ],
)
def test_a_bracket_with_crossed_prices_is_refused_as_a_whole(side, terms, says):
    bench = asked(lambda s: s.bracket("ACME", side, 5, reason="in", **terms))
    refused = bench.recorded(RiskRefused)
    assert len(refused) == len(bench.recorded(OrderIntended))
    assert says in refused[0].message
    assert {r.rule for r in refused[1:]} == {"bracket"}
    assert bench.recorded(OrderSendStarted, RiskApproved) == []


def test_without_a_last_price_only_the_exits_of_a_market_entry_are_compared():
    bench = asked(lambda s: s.bracket("ACME", "SELL", 5, take_profit=8, stop_loss=9, reason="in"))
    entry, *exits = bench.recorded(OrderIntended)
    assert bracket_defect(entry, exits) is None
    assert bracket_defect(entry, exits, D(10)).message.startswith(
        "the last price at 10 must be below the stop"
    )


def test_an_entry_over_a_limit_takes_its_exits_with_it():
    bench = asked(
        lambda s: s.bracket("ACME", "BUY", 5000, take_profit=11, stop_loss=9, reason="in"),
        Limits(max_position_size=0.05),
    )
    assert [r.rule for r in bench.recorded(RiskRefused)] == ["max_position_size", "bracket", "bracket"]


def test_one_cancels_all_groups_are_the_strategys_own():
    bench = asked(lambda s: [s.buy("ACME", 1, limit=9, oca="pair", reason="r") for _ in range(2)])
    first, second = bench.recorded(OrderIntended)
    assert first.oca == second.oca == f"{first.strategy}-1-pair"
