"""Bars of the past by themselves: where they are cut, what they bear as their date, what is in them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from adapters.ibkr.gateway.archive import Archive
from adapters.ibkr.gateway.frames import Frame
from adapters.ibkr.gateway.history import Window, quote_bars, spread_bars, trade_bars
from adapters.ibkr.gateway.pastticks import TicksWanted, past_ticks
from adapters.ibkr.gateway.times import Duration, bar_length, duration
from adapters.ibkr.gateway.wire import BadFrame
from core.clock import HOUR_NS, MINUTE_NS, SECOND_NS
from core.events import Bar, QuoteBar, SessionScheduled, Trade
from projections.sessions import Calendar

NEW_YORK = ZoneInfo("America/New_York")
SIZES = (
    "1 secs, 5 secs, 10 secs, 15 secs, 30 secs, 1 min, 2 mins, 3 mins, 5 mins, 10 mins, 15 mins, 20 mins, "
)
SIZES += "30 mins, 1 hour, 2 hours, 3 hours, 4 hours, 8 hours, 1 day, 1W, 1M"
JULY = ("2025-06-30", "2025-07-01", "2025-07-02", "2025-07-03", "2025-07-07", "2025-07-08")
"""The fourth was a holiday: a Friday."""


def at(date: str, clock: str) -> int:
    return int(datetime.fromisoformat(f"{date} {clock}").replace(tzinfo=NEW_YORK).timestamp()) * SECOND_NS


def session(date: str) -> SessionScheduled:
    begin = at(date, "04:00")
    return SessionScheduled(
        begin,
        "XNYS",
        date,
        "America/New_York",
        begin,
        at(date, "09:30"),
        at(date, "16:00"),
        at(date, "20:00"),
    )


CALENDAR = Calendar(session(date) for date in (*JULY, "2025-01-15"))


def frame(size: str, *, rth: bool = False, date_format: int = 1) -> Frame:
    return Frame(
        bar_length(size), rth, lambda ts: CALENDAR.session("XNYS", ts), "America/New_York", date_format
    )


def window(size: str, first: str, last: str, *, rth: bool = False) -> Window:
    return Window(frame(size, rth=rth), at(first, "00:00"), at(last, "23:59"))


def trade(date: str, clock: str, price: float, size: float = 100.0) -> Trade:
    return Trade(at(date, clock), "f", "X", price, size, "V", "")


def archive(*trades: Trade) -> Archive:
    made = Archive()
    for each in trades:
        made.on_trade(each)
    return made


def test_a_week_is_one_bar_with_the_date_of_its_last_session():
    past = archive(*(trade(date, "10:00", 100.0 + n) for n, date in enumerate(JULY)))
    bars = trade_bars(past, window("1 week", "2025-06-30", "2025-07-08"))
    assert [(b.label, b.open, b.high, b.low, b.close, b.volume, b.count) for b in bars] == [
        ("20250703", 100.0, 103.0, 100.0, 103.0, 400.0, 4),
        ("20250708", 104.0, 105.0, 104.0, 105.0, 200.0, 2),
    ]


def test_a_month_is_one_bar_with_the_date_of_its_last_session():
    past = archive(*(trade(date, "10:00", 100.0 + n) for n, date in enumerate(JULY)))
    bars = trade_bars(past, window("1M", "2025-06-30", "2025-07-08"))
    assert [(b.label, b.open, b.close) for b in bars] == [
        ("20250630", 100.0, 100.0),
        ("20250708", 101.0, 105.0),
    ]


def test_sessions_known_by_their_day_only_count_in_days_and_more_and_never_in_hours():
    past = archive(trade("2025-07-02", "10:00", 110.0))
    day = at("2025-07-01", "09:30"), at("2025-07-01", "16:00")
    past.days.append(Bar(day[1], day[0], "d", "X", 100.0, 120.0, 90.0, 105.0, 5000.0))
    (week,) = trade_bars(past, window("1W", "2025-06-30", "2025-07-03", rth=True))
    assert (week.open, week.high, week.low, week.close, week.volume) == (100.0, 120.0, 90.0, 110.0, 5100.0)
    days = trade_bars(past, window("1 day", "2025-06-30", "2025-07-03"))
    assert [bar.label for bar in days] == ["20250701", "20250702"]
    hours = trade_bars(past, window("1 hour", "2025-06-30", "2025-07-03"))
    assert [bar.label for bar in hours] == ["20250702 10:00:00 America/New_York"]


@pytest.mark.parametrize(
    ("size", "rth", "clock", "begin", "until"),
    [
        ("1 hour", True, "09:45", "09:30", "10:00"),
        ("1 hour", False, "09:45", "09:00", "10:00"),
        ("4 hours", True, "09:45", "09:30", "12:00"),
        ("4 hours", False, "04:10", "04:00", "08:00"),
        ("8 hours", True, "15:59", "09:30", "16:00"),
        ("3 hours", True, "15:30", "15:00", "16:00"),
        ("30 mins", True, "15:45", "15:30", "16:00"),
    ],
)
@pytest.mark.parametrize("date", ["2025-07-02", "2025-01-15"])
def test_hours_are_counted_on_the_clock_of_the_exchange_and_cut_by_its_session(
    date, size, rth, clock, begin, until
):
    span = frame(size, rth=rth).span(at(date, clock))
    assert (span.begin, span.until) == (at(date, begin), at(date, until))


def test_outside_regular_hours_there_is_no_bar_of_them():
    for clock in ("09:29", "16:00", "21:00"):
        assert frame("1 hour", rth=True).span(at("2025-07-02", clock)).period is None
    assert frame("1 day", rth=True).span(at("2025-07-02", "09:29")).until == at("2025-07-02", "09:30")


def test_a_window_begins_with_a_whole_bar_unless_it_holds_none():
    cut = frame("5 mins")
    ten = at("2025-07-02", "10:00")
    assert cut.whole(ten, ten + HOUR_NS) == ten
    assert cut.whole(ten + MINUTE_NS, ten + HOUR_NS) == ten + 5 * MINUTE_NS
    assert cut.whole(ten + MINUTE_NS, ten + 2 * MINUTE_NS) == ten


def test_times_are_told_in_the_form_that_was_asked_for():
    ten = at("2025-07-02", "10:00")
    assert frame("1 hour").span(ten).label == "20250702 10:00:00 America/New_York"
    assert frame("1 hour", date_format=2).span(ten).label == str(ten // SECOND_NS)
    assert frame("1 day", date_format=2).span(ten).label == "20250702"


def test_quotes_of_a_night_weigh_nothing_in_the_spread_of_a_week():
    past = Archive()
    past.on_quote(at("2025-07-01", "15:00"), (10.0, 1.0, 12.0, 1.0))
    past.on_quote(at("2025-07-02", "09:30"), (20.0, 1.0, 22.0, 1.0))
    past.on_quote(at("2025-07-02", "10:30"), (20.0, 1.0, 22.0, 1.0))
    end = Window(frame("1W", rth=True), at("2025-07-01", "00:00"), at("2025-07-02", "10:30"))
    (bar,) = spread_bars(past, end)
    assert (bar.open, bar.close, bar.low, bar.high) == (15.0, 17.0, 10.0, 22.0)


def test_a_recorded_bar_of_quotes_is_a_bar_at_its_start():
    past, ten = Archive(), at("2025-07-02", "10:00")
    sides = (9.0, 9.5, 8.5, 9.2, 1.0, 10.0, 10.5, 9.5, 10.2, 1.0)
    past.on_quote_bar(QuoteBar(ten + MINUTE_NS, ten, "f", "X", *sides))
    (bid,) = quote_bars(past, window("1 min", "2025-07-02", "2025-07-02"), "BID")
    assert bid.label == "20250702 10:00:00 America/New_York"
    assert (bid.open, bid.high, bid.low, bid.close) == (9.0, 9.5, 8.5, 9.2)


@pytest.mark.parametrize("size", SIZES.split(", "))
def test_each_legal_length_of_bars_is_taken(size):
    found = bar_length(size)
    assert (found.unit == "time") == (found.ns > 0)


@pytest.mark.parametrize("size", ["1 sec", "5 min", "1 mins", "7 mins", "1 days", "2 day", "3 weeks", ""])
def test_other_lengths_of_bars_are_refused_with_those_that_are_legal(size):
    with pytest.raises(BadFrame, match=r"invalid\. Legal ones are: 1 secs, 5 secs.*1 day, 1W, 1M"):
        bar_length(size)


@pytest.mark.parametrize(
    ("shown", "since"),
    [("1 W", "2025-03-24"), ("1 M", "2025-02-28"), ("13 M", "2024-02-29"), ("1 Y", "2024-03-31")],
)
def test_weeks_months_and_years_go_back_by_the_calendar(shown, since):
    assert duration(shown).since("2025-03-31") == since


@pytest.mark.parametrize(
    ("shown", "told"),
    [("86401 S", "in days"), ("366 D", "in years"), ("1 H", "expected"), ("0 D", "expected")],
)
def test_durations_that_the_broker_refuses_are_refused(shown, told):
    assert duration("86400 S") == Duration(86_400, "S")
    with pytest.raises(BadFrame, match=told):
        duration(shown)


def ticks(past: Archive, count: int, *, first: bool = False, rth: bool = False) -> list[float]:
    wanted = TicksWanted("TRADES", 0, at("2025-07-31", "00:00"), count, first, rth)
    return [float(row[2]) for row in past_ticks(past, wanted, lambda ts: CALENDAR.session("XNYS", ts))]


def test_past_ticks_are_whole_seconds_of_one_session():
    seconds = ("10:00:00", "10:00:01", "10:00:01", "10:00:01", "10:00:02")
    past = archive(*(trade("2025-07-02", clock, 100.0 + n) for n, clock in enumerate(seconds)))
    past.on_trade(trade("2025-07-03", "04:30:00", 200.0))
    past.on_trade(trade("2025-07-03", "09:30:00", 201.0))
    assert ticks(past, 2, first=True) == [100.0, 101.0, 102.0, 103.0]
    assert ticks(past, 10, first=True) == [100.0, 101.0, 102.0, 103.0, 104.0]
    assert ticks(past, 10) == [200.0, 201.0]
    assert ticks(past, 10, rth=True) == [201.0]


def test_past_quotes_may_leave_out_changes_of_size_and_middles_that_stay():
    past, ten = Archive(), at("2025-07-02", "10:00")
    for second, best in enumerate(((9.0, 1.0, 10.0, 1.0), (9.0, 2.0, 10.0, 1.0), (None, 0.0, 10.0, 1.0))):
        past.on_quote(ten + second * SECOND_NS, best)

    def found(kind, *, ignore_size=False):
        wanted = TicksWanted(kind, 0, ten + HOUR_NS, 10, first=True, ignore_size=ignore_size)
        return [row[2:] for row in past_ticks(past, wanted, lambda ts: CALENDAR.session("XNYS", ts))]

    assert found("BID_ASK") == [[9.0, 10.0, 1.0, 1.0], [9.0, 10.0, 2.0, 1.0], [-1.0, 10.0, 0.0, 1.0]]
    assert found("BID_ASK", ignore_size=True) == [[9.0, 10.0, 1.0, 1.0], [-1.0, 10.0, 0.0, 1.0]]
    assert found("MIDPOINT") == [[9.5, 0]]


def test_the_times_are_those_of_utc_all_the_same():
    assert frame("1 hour").span(at("2025-07-02", "10:30")).begin == (
        int(datetime(2025, 7, 2, 14, tzinfo=UTC).timestamp()) * SECOND_NS
    )
