"""Orders of LEAN's examples one by one: which of them fill, when, at what price, and how the others end."""

import csv
import io
import zipfile
from decimal import Decimal

import pytest

from app.replay.planning import DataOptions
from core.clock import wall
from core.events import OrderStatusChanged
from tests.conftest import SHARED_DATA
from tests.logs import events_of
from tests.published.conftest import cents, drawdown_pct, fills, intents, net_profit_pct
from tests.published.lean import DAILY, MINUTE, WEEK

D = Decimal

pytestmark = pytest.mark.shared_data


def test_limits_given_at_night_fill_at_the_first_bar_of_the_morning(lean_log, play):
    """TradeStationBrokerageTradeWithOutsideRegularMarketHoursParameter, without commissions."""
    options = {"data": DataOptions(extended_hours=True), "commission": "zero"}
    run = play(lean_log, "before_the_open.py:BeforeTheOpen", WEEK, MINUTE, **options)
    assert [f"{wall(fill.ts, 'America/New_York'):%H:%M}" for fill in fills(run)] == ["04:01"] * 5
    assert cents(run.summary["end_equity"]) == D("100068.56")
    assert drawdown_pct(run.summary) == 0


def test_a_limit_that_is_moved_when_it_is_given_fills_as_published(lean_log, play):
    """There, the period begins with the bar of the day before it, which ended at midnight."""
    told = play(lean_log, "immutable.py:Immutable", "2013-10-07..2013-10-08", DAILY).summary
    assert (told["orders"], told["fills"], cents(told["commissions"])) == (1, 1, D("1.00"))
    assert net_profit_pct(told) == D("-0.032")  # the published net profit


def test_basic_template_buys_688_at_the_ask_close(lean_log, play):
    (fill,) = fills(play(lean_log, "basic_template.py:BasicTemplate", WEEK, MINUTE))
    assert (fill.quantity, round(fill.price, 8)) == (688, D("144.78172417"))


def test_orders_at_the_close_wait_for_the_open_and_the_last_never_fills(lean_log, play):
    run = play(lean_log, "order_ticket_assignment.py:OrderTicketAssignment", WEEK, MINUTE)
    asked = {i.order: wall(i.ts, "America/New_York") for i in intents(run)}
    filled = {f.order: wall(f.ts, "America/New_York") for f in fills(run)}
    at_close = [order for order, time in asked.items() if time.hour == 16]
    assert len(at_close) == 5
    assert [f"{filled[order]:%d %H:%M}" for order in at_close[:4]] == [
        "08 09:31",
        "09 09:31",
        "10 09:31",
        "11 09:31",
    ]
    assert at_close[4] not in filled
    assert all(filled[order] == time for order, time in asked.items() if time.hour < 16)


def test_limit_if_touched_fills_the_published_orders(lean_log, play):
    run = play(lean_log, "limit_if_touched.py:LimitIfTouched", WEEK, MINUTE)
    told = [
        (
            f"{wall(f.ts, 'UTC'):%m/%d %H:%M}",
            f.order.rpartition("-")[2],
            f.side,
            f.quantity,
            round(f.price, 4),
        )
        for f in fills(run)
    ]
    assert told == [
        ("10/10 13:31", "72", "SELL", 1, D("144.6434")),
        ("10/10 15:57", "73", "SELL", 1, D("145.6636")),
        ("10/11 15:37", "74", "SELL", 1, D("146.7185")),
    ]


def test_the_order_ticket_demo_fills_eight_of_its_orders(lean_log, play):
    run = play(lean_log, "order_ticket_demo.py:OrderTicketDemo", WEEK, MINUTE)
    told = run.summary
    assert drawdown_pct(told) == D("0.1")
    assert (told["fills"], cents(told["commissions"])) == (8, D("8.00"))
    assert net_profit_pct(told) == D("0.838")  # the published net profit
    # The last market-on-close comes at 15:45, which is too late.
    rejected = [s for s in events_of(run, OrderStatusChanged) if s.status == "Rejected"]
    assert [s.message[:26] for s in rejected] == ["market on close: too late,"]


def test_times_in_force_end_as_published(lean_log, play):
    run = play(lean_log, "time_in_force.py:TimeInForce", WEEK, MINUTE)
    told = run.summary
    assert (told["orders"], told["fills"], cents(told["commissions"])) == (6, 3, D("3.00"))
    assert net_profit_pct(told) == D("0.070")  # the published net profit
    assert drawdown_pct(told) == D("0.100")
    ended = {s.order[-1]: s.message for s in events_of(run, OrderStatusChanged) if s.status == "Cancelled"}
    assert ended == {"3": "DAY order: the session closed", "5": "GTD order: its time is up"}


def second_bars():
    """The raw second bars of the one day there is: (ns since midnight, open, low, close), in dollars."""
    archive = SHARED_DATA / "lean/equity/usa/second/spy/20131007_trade.zip"
    with zipfile.ZipFile(archive) as file:
        text = file.read(file.namelist()[0]).decode()
    for row in csv.reader(io.StringIO(text)):
        start = int(float(row[0]))
        if 34_200_000 <= start < 57_600_000:
            yield start + 1_000, *(float(row[n]) / 10_000 for n in (1, 3, 4))


def test_limit_fill_follows_the_rules_on_its_available_day(lean_log, play):
    """The rules once more, from the raw file: strictly through, at the lower of open and limit."""
    run = play(lean_log, "limit_fill.py:LimitFill", "2013-10-07", "lean/second")
    day, expected = list(second_bars()), []
    for hour in range(10, 17):
        placed = hour * 3_600_000
        limit = [close for end, _, _, close in day if end <= placed][-1]
        met = next(((end, min(o, limit)) for end, o, low, _ in day if end > placed and low < limit), None)
        expected.append((placed, limit, met))
    told = intents(run)
    assert [wall(i.ts, "America/New_York").hour for i in told] == list(range(10, 17))
    factor = float(told[0].limit) / expected[0][1]
    by_order = {f.order: f for f in fills(run)}
    for intent, (_, limit, met) in zip(told, expected, strict=True):
        assert float(intent.limit) == pytest.approx(limit * factor, abs=1e-6)
        fill = by_order.get(intent.order)
        assert (fill is None) == (met is None)
        if fill is not None and met is not None:
            time = wall(fill.ts, "America/New_York")
            assert (time.hour * 3600 + time.minute * 60 + time.second) * 1000 == met[0]
            assert float(fill.price) == pytest.approx(met[1] * factor, abs=1e-6)
    assert run.summary["fills"] == 6  # the one given at the close rests overnight
    assert cents(run.summary["commissions"]) == 6
