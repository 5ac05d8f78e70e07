"""What LEAN's own tests state of its example algorithms, and what of ours is the same strategy.

Data only. A row is an algorithm by LEAN's name; examples/published has the strategies.
"""

WEEK = "2013-10-07..2013-10-11"
TWO_DAYS = "2013-10-07..2013-10-08"
MARCH = "2021-03-01..2021-03-03"
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
