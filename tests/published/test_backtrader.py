"""Results of backtrader's tests, pages and posts, reproduced on its days of 2006."""

from decimal import Decimal

import pytest

from core.clock import wall
from core.events import CommissionReported, OrderStatusChanged
from tests.logs import events_of
from tests.published.conftest import cents, fills

PRICE_CROSS, YEAR = "price_cross.py:PriceCross", "2006-01-02..2006-12-29"

D = Decimal

pytestmark = pytest.mark.shared_data


def test_backtraders_strategy_test_comes_out_to_the_cent(index_log, play):
    options = {"cash": D(10_000), "commission": "2 each"}
    run = play(index_log, PRICE_CROSS, YEAR, **options)
    done = fills(run)
    assert D(run.summary["end_equity"]) == D("12795.00")
    prices = [cents(str(fill.price)) for fill in done]
    assert (len(done), prices[:4]) == (23, [D("3643.35"), D("3763.95"), D("3801.03"), D("3811.85")])
    assert prices[-3:] == [D("4047.63"), D("4045.05"), D("4052.55")]


# What its page on order execution prints: each purchase and sale, and of which days the orders expired.
EXECUTION = {
    "Market": ({}, "01-27 3643.35, 03-03 3763.95", "12-12 4052.55", ""),
    "Close": (
        {"kind": "MOC"}, "01-27 3685.48, 03-03 3763.95",
        "11-07 4072.86, 11-27 4045.05, 12-12 4059.74", ""),
    "Limit": (
        {"kind": "LMT"}, "05-18 3605.01, 06-06 3598.58, 06-28 3491.57, 07-14 3545.92", "07-14 3545.92", ""),
    "Limit with validity": (
        {"kind": "LMT", "days": 4}, "09-22 3802.9, 11-03 3979.73", "11-03 3979.73",
        "01-30 03-14 04-03 04-24 05-08 06-05 06-25 07-28 09-16 11-10 12-15"),
    "Stop": (
        {"kind": "STP"}, "01-27 3677.83, 03-03 3763.95, 03-15 3836.44, 03-29 3811.85, 09-29 3913.36",
        "09-29 3913.36, 11-03 3979.73, 11-13 4085.67, 11-27 4045.05, 12-13 4093.42", ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXECUTION)
def test_backtraders_kinds_of_orders_fill_as_it_prints(kind, index_log, play):
    parameters, first, last, expired = EXECUTION[kind]
    run = play(index_log, PRICE_CROSS, YEAR, parameters=parameters, commission="zero")
    told = ", ".join(f"{wall(f.ts, 'Europe/Berlin'):%m-%d} {f.price}" for f in fills(run))
    assert told.startswith(first)
    assert told.endswith(last)
    over = [e for e in events_of(run, OrderStatusChanged) if e.status == "Cancelled"]
    assert " ".join(f"{wall(e.ts, 'Europe/Berlin'):%m-%d}" for e in over) == expired


def test_backtraders_commissions_come_out_to_the_cent(index_log, play):
    """Of its post on commissions: half a per cent of the value, and the drawdown that an observer prints."""
    parameters, cash = {"length": 30}, D(100_000)
    run = play(index_log, PRICE_CROSS, YEAR, parameters=parameters, commission="0.5 %", cash=cash)
    paid = [(cents(str(f.price)), f.price * 10 * D("0.005")) for f in fills(run)[:4]]
    assert [price for price, _ in paid] == [D("3754.13"), D("3786.93"), D("3863.57"), D("3839.24")]
    told = [cents(str(c.amount / 10)) for c in events_of(run, CommissionReported)[:4]]
    assert told == [D("18.77"), D("18.93"), D("19.32"), D("19.20")]  # of the index itself, not of ten
    usual = play(index_log, PRICE_CROSS, YEAR, commission="zero", cash=cash).summary
    assert round(D(usual["max_drawdown"]) * 100, 2) == D("2.62")


# Of its tests/test_strategy_optimized.py, which buys once: how many lengths, from 5 on, end at which value.
OPTIMIZED = [
    (2, "14525.80"), (2, "15408.20"), (10, "14763.90"), (3, "13187.10"), (6, "13684.40"), (4, "13656.10"),
    (13, "12988.10"),
]  # fmt: skip


@pytest.mark.extended
def test_backtraders_forty_lengths_come_out_to_the_cent(index_log, play):
    values = [value for count, value in OPTIMIZED for _ in range(count)]
    assert len(values) == 40
    for length, value in enumerate(values, 5):
        parameters = {"length": length, "exits": False}
        run = play(index_log, PRICE_CROSS, YEAR, parameters=parameters, commission="2 each", cash=D(10_000))
        assert D(run.summary["end_equity"]) == D(value), length
