"""Results that others published, reproduced: orders, fees and end equity to the cent, drawdown as printed."""

import csv
import io
import zipfile
from decimal import Decimal

import pytest

import core.matching.bars as bars
from app.replay.planning import DataOptions
from app.report.building import opened
from core.clock import wall
from core.events import AccountMarked, CommissionReported, OrderStatusChanged
from core.sizing.methods import LEAN
from tests.conftest import PROJECT, SHARED_DATA
from tests.published.conftest import EXAMPLES, cents, events, fills, intents

D = Decimal
WEEK = "2013-10-07..2013-10-11"
TWO_DAYS = "2013-10-07..2013-10-08"
MARCH = "2021-03-01..2021-03-03"
PRICE_CROSS, YEAR = "price_cross.py:PriceCross", "2006-01-02..2006-12-29"
TIMETABLE, BY_HOUR = "timetable.py:Timetable", {"resolution": "hour"}
MINUTE, DAILY, HOUR = "lean/minute", "lean/daily", "lean/hour"

PUBLISHED = {
    # algorithm: strategy, parameters, period, feed, orders, fees, end equity, drawdown in per cent
    "BasicTemplateAlgorithm": (
        "basic_template.py:BasicTemplate", {}, WEEK, MINUTE, 1, "3.44", "101691.92", "2.200"),
    "OrderTicketAssignmentDemo": (
        "order_ticket_assignment.py:OrderTicketAssignment", {}, WEEK, MINUTE, 35, "34.00", "100045.62",
        "0.000"),
    "StopLossOnOrderEvent": (
        "stop_loss_on_order_event.py:StopLossOnOrderEvent", {}, WEEK, MINUTE, 2, "2.00", "99995.41", "0.000"),
    "BasicTemplateDaily": (
        "basic_template.py:BasicTemplate", {"resolution": "daily"}, "2013-10-08..2013-10-17", DAILY,
        1, "3.49", "104486.22", "0.800"),
    # There, the year begins with the bar of the last day before it, which ended at midnight.
    "StopLimitOrder": (
        "stop_limit.py:StopLimit", {}, "2012-12-31..2016-12-31", DAILY, 2, "2.00", "101444.99", "1.500"),
    "MarketOnCloseOrder": (
        "market_on_close.py:MarketOnClose", {}, MARCH, HOUR, 1, "1.00", "99993.90", "0.000"),
    "LimitIfTouched": (
        "limit_if_touched.py:LimitIfTouched", {}, WEEK, MINUTE, 75, "3.00", "99992.29", "0.000"),
    "TrailingStopOrder": (
        "trailing_stop.py:TrailingStop", {}, WEEK, MINUTE, 2, "2.00", "100023.22", "0.000"),
    "BasicTemplateHourly": (
        "basic_template.py:BasicTemplate", {"resolution": "hour"}, WEEK, HOUR, 1, "3.44", "101529.08",
        "2.000"),
    "ExtendedMarketTrading": (
        "extended_market.py:ExtendedMarket", {}, WEEK, MINUTE, 5, "5.00", "100135.59", "0.100"),
    "CustomBuyingPowerModel": (
        "custom_buying_power.py:CustomBuyingPower", {}, "2013-10-01..2013-10-31", HOUR, 1, "30.00",
        "138618.81", "21.600"),
    "UpdateOrder": (
        "update_order.py:UpdateOrder", {}, "2013-01-01..2014-12-31", DAILY, 24, "20.00", "71786.23",
        "30.100"),
    "OneCancelsTheOtherOrder": (
        "one_cancels_other.py:OneCancelsOther", {}, "2019-01-01..2019-01-20", HOUR, 5, "3.00", "100175.21",
        "0.700"),
    "PatternDayTradingMarginCallOutsideMarketHours": (
        "short_overnight.py:ShortOvernight", {}, WEEK, MINUTE, 1, "7.24", "96499.74", "7.100"),
    "BasicTemplateFramework": (
        "framework.py:Framework", {}, WEEK, MINUTE, 3, "10.32", "101655.30", "2.200"),
    "CompositeRiskManagementModelFramework": (
        "framework.py:Framework", {"profit": 0.01}, WEEK, MINUTE, 7, "24.08", "101527.86", None),
    # Two of the schedules of a timetable: market orders with too old a price, and at the close after hours.
    "MarketOrderStaleDataFill": (
        TIMETABLE, {"times": "0+12:00 1+09:30:01 1+12:00 2+09:30:01 2+12:00 3+09:30:01 3+12:00 4+09:30:01 "
        "4+12:00"}, WEEK, MINUTE, 9, "9.00", "100012.81", "0.000"),
    "MarketOnCloseOrderBufferExtendedMarketHours": (
        TIMETABLE, {"times": "0+15:44 0+16:48 1+00:00", "kinds": "MOC", "quantity": 2}, TWO_DAYS, MINUTE, 3,
        "3.00", "99996.08", "0.000"),
    "FillOutsideHoursMinuteResolution": (
        TIMETABLE, {"times": "0+23:00", "kinds": "LATE"}, TWO_DAYS, MINUTE, 1, "1.00", "99997.25", "0.000"),
    "ForwardDataOnlyFillModel": (
        TIMETABLE, {"times": "6+09:30", **BY_HOUR}, "2013-10-01..2013-10-31", HOUR, 1, "1.00", "100005.93",
        "0.000"),
    "MarketOnOpenOrder": (
        TIMETABLE, {"times": "1+00:00", "kinds": "OPG MKT", **BY_HOUR}, MARCH, HOUR, 2, "2.00", "99981.16",
        "0.000"),
    "MarginCallClosedMarket": (
        "day_trading.py:DayTrading", {"called": True}, WEEK, MINUTE, 2, "27.50", "103801.65", "5.500"),
    "ConfidenceWeightedFramework": (
        "framework.py:Framework", {"share": 0.25, "loss": 1.0}, WEEK, MINUTE, 4, "4.00", "100422.57",
        "0.600"),
    "SetHoldings": ("steps.py:Steps", {}, TWO_DAYS, MINUTE, 4, "5.41", "98822.71", None),
    "LeveragePrecedence": (
        "leverage_precedence.py:LeveragePrecedence", {}, WEEK, MINUTE, 2, "65.43", "101576.33",
        "2.200"),
    "BacktestingAsynchronousOrders": (
        "four_orders.py:FourOrders", {}, TWO_DAYS, MINUTE, 4, "3.00", "100168.20", None),
}  # fmt: skip
MORE = {
    "ZeroedBenchmark": (
        "basic_template.py:BasicTemplate", BY_HOUR, TWO_DAYS, HOUR, 1, "3.44", "98666.01", None),
    "ParameterizedAlgorithm": (
        "parameterized.py:Parameterized", {}, WEEK, MINUTE, 1, "3.45", "101742.04", "0.300"),
    "AddRiskManagement": (
        "framework.py:Framework", {"loss": 1.0, "profit": 0.01}, WEEK, MINUTE, 3, "10.33", "101775.37",
        "2.200"),
    "NoMinimumOrderMargin": (
        "constant_share.py:ConstantShare", {}, WEEK, MINUTE, 5, "5.00", "100420.97", "0.600"),
    "MinimumOrderMargin": (
        "constant_share.py:ConstantShare", {"minimum": 0.01}, WEEK, MINUTE, 1, "1.00", "100422.84",
        "0.500"),
    "AccumulativeInsightPortfolio": (
        "framework.py:Framework", {"share": 0.03, "loss": 1.0, "adds": True}, WEEK, MINUTE, 199, "199.00",
        "99827.80", "0.200"),
    "CustomDataBenchmark": (
        "basic_template.py:BasicTemplate", BY_HOUR, "2017-08-18..2017-08-21", HOUR, 1, "2.21", "100281.67",
        "0.600"),
    "NoMarginCallExpected": (
        "day_trading.py:DayTrading", {}, WEEK, MINUTE, 10, "109.26", "106028.40", "9.800"),
    # There the order that comes too late counts for none.
    "MarketOnCloseOrderBuffer": (
        TIMETABLE, {"times": "0+15:44 0+17:00", "kinds": "MOC", "quantity": 2}, TWO_DAYS, MINUTE, 2, "2.00",
        "99994.65", "0.000"),
    "FillOutsideHoursHourResolution": (
        TIMETABLE, {"times": "0+23:00", "kinds": "LATE", **BY_HOUR}, TWO_DAYS, HOUR, 1, "1.00", "99997.22",
        "0.000"),
    "StopMarketOrder": (
        TIMETABLE, {"kinds": "STP", **BY_HOUR}, MARCH, HOUR, 1, "1.00", "99991.05", "0.000"),
}  # fmt: skip
YEARS = {
    # algorithm: strategy, parameters, period, cash, orders, fees, end equity, drawdown in per cent
    "MACDTrend": (
        "macd_trend.py:MacdTrend", {}, "2004-01-01..2014-12-31", 100_000, 84, "468.54", "137751.04",
        "34.900"),
    "ClassicRenkoConsolidator": (
        "renko.py:Renko", {}, "2012-01-01..2013-01-01", 100_000, 29, "129.34", "107838.74", "6.800"),
    "DisplacedMovingAverageRibbon": (
        "ribbon.py:Ribbon", {}, "2009-01-01..2015-01-01", 100_000, 7, "49.40", "253075.04", "12.400"),
    "FreePortfolioValue": (
        "rebalanced.py:Rebalanced", {}, "2007-10-01..2018-02-01", 1_000_000, 4, "45.46", "2254609.41",
        "55.100"),
    "ConvertToFramework": (
        "macd_trend.py:MacdTrend", {"short": True}, "2004-01-01..2015-01-01", 100_000, 85, "797.27",
        "70553.97", "52.900"),
    "WarmupIndicator": (
        "warm_renko.py:WarmRenko", {}, "2013-11-01..2013-12-10", 100_000, 1, "3.23", "101236.75", "1.200"),
}  # fmt: skip
ALL_HOURS = {
    "ExtendedMarketTrading",
    "PatternDayTradingMarginCallOutsideMarketHours",
    "MarketOnCloseOrderBufferExtendedMarketHours",
}

pytestmark = pytest.mark.shared_data


@pytest.mark.parametrize(
    "algorithm", [*PUBLISHED, *(pytest.param(name, marks=pytest.mark.extended) for name in MORE)]
)
def test_a_published_result_comes_out_to_the_cent(algorithm, lean_log, play):
    strategy, parameters, period, feed, orders, fees, equity, drawdown = (PUBLISHED | MORE)[algorithm]
    data = DataOptions(extended_hours=algorithm in ALL_HOURS)
    run = play(lean_log, strategy, period, feed, parameters=parameters, data=data)
    told = run.summary
    assert told["orders"] == orders
    assert cents(told["commissions"]) == D(fees)
    assert cents(told["end_equity"]) == D(equity)
    if drawdown is not None:
        with opened(lean_log, run) as material:
            assert material.report.figures["lean_drawdown"] * 100 == D(drawdown)


@pytest.mark.extended
@pytest.mark.parametrize(
    ("strategy", "parameters", "commission", "orders", "fees", "equity", "drawdown"),
    [
        ("in_and_out.py:InAndOut", {}, "zero", 2, "0.00", "99952.34", None),
        ("basic_template.py:BasicTemplate", {"share": 0.25}, "0.0035 each", 1, "0.60", "100423.24", "0.5"),
    ],
)
def test_other_commissions_come_out_to_the_cent(
    strategy, parameters, commission, orders, fees, equity, drawdown, lean_log, play
):
    """ZeroFeeRegression and BasicTemplateAxos."""
    run = play(lean_log, strategy, WEEK, MINUTE, parameters=parameters, commission=commission)
    told = run.summary
    assert (told["orders"], cents(told["commissions"])) == (orders, D(fees))
    assert cents(told["end_equity"]) == D(equity)
    if drawdown is not None:
        with opened(lean_log, run) as material:
            assert material.report.figures["lean_drawdown"] * 100 == D(drawdown)


@pytest.mark.extended
def test_an_order_withdrawn_as_it_is_given_never_fills(lean_log, play):
    """CompleteOrderTagUpdate, of which the net profit was published."""
    told = play(lean_log, "withdrawn.py:Withdrawn", WEEK, MINUTE).summary
    assert (told["orders"], told["fills"], cents(told["commissions"])) == (2, 1, D("1.00"))
    assert round((D(told["end_equity"]) / 100_000 - 1) * 100, 3) == D("0.251")
    assert round(D(told["max_drawdown"]), 3) * 100 == D("0.300")


@pytest.mark.extended
@pytest.mark.parametrize("algorithm", YEARS)
def test_years_of_days_come_out_to_the_cent(algorithm, lean_years, play):
    strategy, parameters, period, cash, orders, fees, equity, drawdown = YEARS[algorithm]
    told = play(lean_years, strategy, period, DAILY, parameters=parameters, cash=D(cash)).summary
    assert (told["orders"], cents(told["commissions"])) == (orders, D(fees))
    assert cents(told["end_equity"]) == D(equity)
    assert round(D(told["max_drawdown"]), 3) * 100 == D(drawdown)


def test_limits_given_at_night_fill_at_the_first_bar_of_the_morning(lean_log, play):
    """TradeStationBrokerageTradeWithOutsideRegularMarketHoursParameter, without commissions."""
    options = {"data": DataOptions(extended_hours=True), "commission": "zero"}
    run = play(lean_log, "before_the_open.py:BeforeTheOpen", WEEK, MINUTE, **options)
    assert [f"{wall(fill.ts, 'America/New_York'):%H:%M}" for fill in fills(run)] == ["04:01"] * 5
    assert cents(run.summary["end_equity"]) == D("100068.56")
    assert round(D(run.summary["max_drawdown"]), 3) == 0


def test_a_limit_that_is_moved_when_it_is_given_fills_as_published(lean_log, play):
    """There, the period begins with the bar of the day before it, which ended at midnight."""
    told = play(lean_log, "immutable.py:Immutable", "2013-10-07..2013-10-08", DAILY).summary
    assert (told["orders"], told["fills"], cents(told["commissions"])) == (1, 1, D("1.00"))
    assert round((D(told["end_equity"]) / 100_000 - 1) * 100, 3) == D("-0.032")  # the published net profit


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
    assert round(D(told["max_drawdown"]), 3) * 100 == D("0.1")
    assert (told["fills"], cents(told["commissions"])) == (8, D("8.00"))
    assert round((D(told["end_equity"]) / 100_000 - 1) * 100, 3) == D("0.838")  # the published net profit
    # The last market-on-close comes at 15:45, which is too late.
    rejected = [s for s in events(run, OrderStatusChanged) if s.status == "Rejected"]
    assert [s.message[:26] for s in rejected] == ["market on close: too late,"]


def test_times_in_force_end_as_published(lean_log, play):
    run = play(lean_log, "time_in_force.py:TimeInForce", WEEK, MINUTE)
    told = run.summary
    assert (told["orders"], told["fills"], cents(told["commissions"])) == (6, 3, D("3.00"))
    assert round((D(told["end_equity"]) / 100_000 - 1) * 100, 3) == D("0.070")  # the published net profit
    assert round(D(told["max_drawdown"]), 3) * 100 == D("0.100")
    ended = {s.order[-1]: s.message for s in events(run, OrderStatusChanged) if s.status == "Cancelled"}
    assert ended == {"3": "DAY order: the session closed", "5": "GTD order: its time is up"}


def test_the_report_of_a_run_at_adjusted_prices_adds_up(lean_log, play):
    """Marks and arrival prices are adjusted as the fills are: the log holds raw ones, some 15 % higher."""
    run = play(lean_log, "basic_template.py:BasicTemplate", WEEK, MINUTE)
    with opened(lean_log, run) as material:
        (position,) = material.report.positions
        profit = position.open_profit - D(run.summary["commissions"])
        assert D(run.summary["start_equity"]) + profit == D(run.summary["end_equity"])
        assert abs(float(material.report.figures["slippage_bps"])) < 1
        assert max(material.facts.prices("SPY", 50).values) < 150


# algorithm: strategy, parameters, period, the annual return and the turnover that LEAN prints
RATES = {
    "BasicTemplateFramework": ("framework.py:Framework", {}, WEEK, MINUTE, "261.134%", "59.86%"),
    # With all hours its last day ends at 20:00, ours at the close.
    "PatternDayTradingMarginCallOutsideMarketHours": (
        "short_overnight.py:ShortOvernight", {}, WEEK, MINUTE, None, "41.81%"),
    "StopMarketOrder": (TIMETABLE, {"kinds": "STP", **BY_HOUR}, MARCH, HOUR, "-1.217%", "0.13%"),
    # From a Friday to a Monday: its mean is over four days.
    "CustomDataBenchmark": (
        "basic_template.py:BasicTemplate", BY_HOUR, "2017-08-18..2017-08-21", HOUR, None, "24.86%"),
}  # fmt: skip


@pytest.mark.extended
@pytest.mark.parametrize("algorithm", RATES)
def test_the_report_has_the_published_annual_return_and_turnover(algorithm, lean_log, play):
    strategy, parameters, period, feed, annual, turnover = RATES[algorithm]
    data = DataOptions(extended_hours=algorithm in ALL_HOURS)
    run = play(lean_log, strategy, period, feed, parameters=parameters, data=data)
    with opened(lean_log, run) as material:
        figures = material.report.figures
    assert annual is None or f"{figures['annual_return']:.3%}" == annual
    assert f"{figures['turnover']:.2%}" == turnover


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


def test_sma_cross_of_backtesting_py_comes_out_to_the_cent(goog_log, play):
    run = play(goog_log, "sma_cross.py:SmaCross", "2004-08-19..2013-03-01", cash=D(10_000), commission="zero")
    assert cents(run.summary["end_equity"]) == D("51422.99")
    done = fills(run)
    assert len(done) == 2 * 66
    gains = [(out.price - into.price) * (1 if into.side == "BUY" else -1)
             for into, out in zip(done[::2], done[1::2], strict=True)]  # fmt: skip
    assert round(100 * sum(gain > 0 for gain in gains) / len(gains), 2) == 46.97
    # The peak is of closes: marks are made each minute, after the open and after the close.
    assert max(cents(str(mark.equity)) for mark in events(run, AccountMarked)) == D("75787.44")


@pytest.mark.parametrize(
    ("slow", "trades", "paid", "peak", "final"),
    [
        (20, 93, "10563.95", "56309.06", "56263.52"),
        pytest.param(15, 152, "30771.04", "84982.19", "77829.05", marks=pytest.mark.extended),
    ],
)
def test_sma_cross_pays_a_rate_of_the_value_to_the_cent(slow, trades, paid, peak, final, goog_log, play):
    """The two results of backtesting.py's Quick Start guide. It counts what closed trades paid."""
    terms = {"slow": slow, "share": 1.0, "rate": 0.002, "last_day": "never"}
    period = "2004-08-19..2013-03-01"
    options = {"cash": D(10_000), "commission": "0.2 %", "parameters": terms}
    run = play(goog_log, "sma_cross.py:SmaCross", period, **options)
    done = fills(run)
    assert (len(done), cents(run.summary["end_equity"])) == (2 * trades + 1, D(final))
    still_open = done[-1].quantity * done[-1].price * D("0.002")
    assert cents(str(D(run.summary["commissions"]) - still_open)) == D(paid)
    # The peak is of closes; marks are made after the opens, too.
    assert D(peak) in {cents(str(mark.equity)) for mark in events(run, AccountMarked)}


@pytest.mark.extended
def test_a_search_over_the_guides_grid_finds_its_best(goog_log, tape):
    """The same guide searches the 50 pairs of 5 to 25 and 10 to 65 for the highest final equity."""
    done = tape(
        *("--log", goog_log, "optimize", f"{EXAMPLES}/sma_cross.py:SmaCross", "2004-08-19..2013-03-01"),
        *("--range", "fast=5:25:5", "--range", "slow=10:65:5", "--where", "fast < slow"),
        *("--set", "share=1", "--set", "rate=0.002", "--set", "last_day=never"),
        *("--cash", 10_000, "--commission", "0.2 %", "--objective", "return", "--every", "day", "--json"),
    )
    assert (done.json["counts"]["trials"], done.json["counts"]["failed"]) == (50, 0)
    best = done.json["rows"][0]
    assert best["parameters"] == {"fast": 10, "slow": 15}
    assert round(100 * best["score"], 2) == 678.29


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
    over = [e for e in events(run, OrderStatusChanged) if e.status == "Cancelled"]
    assert " ".join(f"{wall(e.ts, 'Europe/Berlin'):%m-%d}" for e in over) == expired


def test_backtraders_commissions_come_out_to_the_cent(index_log, play):
    """Of its post on commissions: half a per cent of the value, and the drawdown that an observer prints."""
    parameters, cash = {"length": 30}, D(100_000)
    run = play(index_log, PRICE_CROSS, YEAR, parameters=parameters, commission="0.5 %", cash=cash)
    paid = [(cents(str(f.price)), f.price * 10 * D("0.005")) for f in fills(run)[:4]]
    assert [price for price, _ in paid] == [D("3754.13"), D("3786.93"), D("3863.57"), D("3839.24")]
    told = [cents(str(c.amount / 10)) for c in events(run, CommissionReported)[:4]]
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


@pytest.mark.parametrize(
    ("terms", "trades", "open_at_end", "paid", "peak", "final"),
    [
        ({}, 4, 0, "156.64", "10940.25", "9939.03"),
        pytest.param(
            {"weekly": 10, "level": 60.0},
            22,
            1,
            "1343.28",
            "22500.98",
            "21903.22",
            marks=pytest.mark.extended,
        ),
    ],
)
def test_two_time_frames_of_backtesting_py_come_out_to_the_cent(
    terms, trades, open_at_end, paid, peak, final, goog_log, play
):
    """The page Multiple Time Frames, and the best of its search there."""
    strategy = PROJECT / "tests/published/time_frames.py"
    options = {"cash": D(10_000), "commission": "0.2 %", "parameters": terms}
    run = play(goog_log, f"{strategy}:TimeFrames", "2004-08-19..2013-03-01", **options)
    done = fills(run)
    assert (len(done), cents(run.summary["end_equity"])) == (2 * trades + open_at_end, D(final))
    still_open = sum(f.quantity * f.price * D("0.002") for f in done[2 * trades :])
    assert cents(str(D(run.summary["commissions"]) - still_open)) == D(paid)
    assert D(peak) in {cents(str(mark.equity)) for mark in events(run, AccountMarked)}


def once(rule):
    """Return the rule for an order that meets each bar once, not before and after the strategy."""
    met = {}

    def matched(order, seen):
        if met.get(order.intent.order) == seen:
            return None
        met[order.intent.order] = seen
        return rule(order, seen)

    return matched


@pytest.mark.parametrize(
    ("broken", "algorithm"),
    [
        ("market orders at the trade close", "BasicTemplateAlgorithm"),
        ("no buffer in the sizing", "BasicTemplateAlgorithm"),
        ("stops at their own price", "StopLossOnOrderEvent"),
        ("trailing stops meet each bar once", "UpdateOrder"),
    ],
)
def test_a_rule_that_is_broken_changes_a_published_result(broken, algorithm, lean_log, play, monkeypatch):
    if broken == "market orders at the trade close":
        monkeypatch.setattr(
            "adapters.replay.broker.close_in_bars", lambda o, q, ts: q.mark(o.intent.instrument)
        )
    elif broken == "no buffer in the sizing":
        monkeypatch.setattr(type(LEAN), "_target", lambda self, share, equity: equity / self.leverage)
    elif broken == "trailing stops meet each bar once":
        monkeypatch.setattr(bars, "_trailing", once(bars._trailing))
    else:
        monkeypatch.setattr(bars, "_stop", lambda order, bar: order.stop if bar.high >= order.stop else None)
    strategy, parameters, period, feed, *_, equity, _ = PUBLISHED[algorithm]
    seed = 1 + len(broken)  # a run of its own: the same one must come out the same
    told = play(lean_log, strategy, period, feed, parameters=parameters, seed=seed).summary
    assert cents(told["end_equity"]) != D(equity)


def test_each_published_strategy_is_a_file_of_at_most_forty_lines():
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}
    assert {name: count for name, count in lines.items() if count > 40} == {}
    assert len(lines) > len({row[0].partition(":")[0] for row in PUBLISHED.values()})
