"""Bars made from ticks and from smaller bars: on the session, told when over, the same by any road."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.replay.calendar import sessions
from core.clock import MINUTE_NS, NEVER, SECOND_NS
from core.consolidating import Grid, QuoteBars, TradeBars
from core.errors import UsageError
from core.events import Bar, QuoteBar, Trade
from core.resolutions import resolution_of
from projections.sessions import Calendar

HALF_DAY = "2024-11-29"  # the day after Thanksgiving: New York closes at 13:00
SESSIONS = sessions("XNYS", date(2024, 10, 31), date(2024, 12, 2))
CALENDAR = Calendar(SESSIONS)
BY_DATE = {session.date: session for session in SESSIONS}
FEED, NAME = "t/made", "ACME"


def at(ts):
    return CALENDAR.session("XNYS", ts)


def grid(resolution, **options):
    return Grid(resolution_of(resolution), at, **options)


def trade(ts, price=10.0, size=1.0, **more):
    return Trade(ts, "t/tick", NAME, price, size, **more)


def consolidated(maker, events, take, *, ticks):
    """Feed events as a source does: what is over is taken first."""
    bars = []
    for event in events:
        if event.ts >= maker.due + (not ticks):
            bars.append(maker.over())
        take(maker, event)
    if maker.due != NEVER:
        bars.append(maker.over())
    return bars


def from_trades(resolution, trades, **options):
    maker = TradeBars(FEED, NAME, grid(resolution, **options))
    return consolidated(maker, trades, TradeBars.trade, ticks=True)


def from_bars(resolution, bars):
    return consolidated(TradeBars(FEED, NAME, grid(resolution)), bars, TradeBars.bar, ticks=False)


def spans(bars, day):
    opens = BY_DATE[day].open
    return [((bar.start - opens) // MINUTE_NS, (bar.ts - opens) // MINUTE_NS) for bar in bars]


def minutes(day, *numbers):
    return [trade(BY_DATE[day].open + round(number * MINUTE_NS)) for number in numbers]


def test_a_bar_holds_its_trades_and_lies_on_the_session():
    opens = BY_DATE["2024-11-27"].open
    rows = ((61, 10.0), (100, 12.0), (299.9, 9.0), (300, 11.0))
    trades = [trade(opens + round(s * SECOND_NS), p, 2.0) for s, p in rows]
    first, second = from_trades("5m", trades)
    assert first == Bar(opens + 5 * MINUTE_NS, opens, FEED, NAME, 10.0, 12.0, 9.0, 9.0, 6.0)
    assert spans([second], "2024-11-27") == [(5, 10)]


def test_hours_begin_at_the_open_and_the_last_one_ends_at_the_close():
    found = from_trades("1h", minutes("2024-11-27", *range(0, 390, 10)))
    assert spans(found, "2024-11-27") == [(n * 60, min(n * 60 + 60, 390)) for n in range(7)]


def test_a_half_day_ends_its_bars_at_its_close():
    day = BY_DATE[HALF_DAY]
    assert (day.close - day.open) // MINUTE_NS == 210
    assert spans(from_trades("1h", minutes(HALF_DAY, 200, 209.9)), HALF_DAY) == [(180, 210)]
    (whole,) = from_trades("1d", minutes(HALF_DAY, 1, 100, 209))
    assert (whole.start, whole.ts) == (day.open, day.close)


def test_bars_of_several_days_pass_a_half_day_and_a_change_of_clocks():
    days = ["2024-11-01", "2024-11-04", "2024-11-27", HALF_DAY, "2024-12-02"]
    trades = [one for day in days for one in minutes(day, 5, 200)]
    found = from_trades("1d", trades)
    assert [(bar.start, bar.ts) for bar in found] == [(BY_DATE[d].open, BY_DATE[d].close) for d in days]
    # New York went back an hour on 2024-11-03: a day's open moves in UTC, its bars with it.
    assert (BY_DATE["2024-11-04"].open - BY_DATE["2024-11-01"].open) % (24 * 60 * MINUTE_NS) == 60 * MINUTE_NS
    hours = from_trades("1h", [one for day in days[:2] for one in minutes(day, 5)])
    assert [bar.start for bar in hours] == [BY_DATE[day].open for day in days[:2]]


def test_trades_outside_regular_hours_count_only_if_asked_for():
    day = BY_DATE["2024-11-27"]
    times = (day.open - MINUTE_NS, day.open, day.close, day.close + 7 * MINUTE_NS)
    trades = [trade(ts) for ts in times]
    assert spans(from_trades("5m", trades), "2024-11-27") == [(0, 5)]
    extended = from_trades("5m", trades, extended=True)
    assert spans(extended, "2024-11-27") == [(-5, 0), (0, 5), (390, 395), (395, 400)]


def test_before_the_open_bars_are_counted_back_from_it():
    day = BY_DATE["2024-11-27"]
    found = from_trades("1h", [trade(day.begin), trade(day.open - 31 * MINUTE_NS)], extended=True)
    assert [(bar.start, bar.ts) for bar in found] == [
        (day.begin, day.begin + 30 * MINUTE_NS),  # midnight to 00:30: what is left
        (day.open - 60 * MINUTE_NS, day.open),
    ]


def test_without_a_session_bars_lie_on_multiples_of_their_length():
    maker = TradeBars(FEED, NAME, Grid(resolution_of("5m"), lambda ts: None))
    maker.trade(trade(7 * MINUTE_NS))
    assert (maker.due, maker.over().start) == (10 * MINUTE_NS, 5 * MINUTE_NS)


def test_suspicious_trades_do_not_count():
    bad = trade(BY_DATE["2024-11-27"].open + 9 * SECOND_NS, 99.0, suspicious=True)
    (bar,) = from_trades("1m", [*minutes("2024-11-27", 0.1), bad])
    assert (bar.high, bar.volume) == (10.0, 1.0)


ticks = st.lists(
    st.tuples(st.integers(0, 40 * 60 * 1000), st.integers(1, 50), st.integers(0, 9), st.booleans()),
    max_size=80,
)


def in_order(rows, day=HALF_DAY):
    """Rows with ms since 25 minutes before the close: some lie after it."""
    begin = BY_DATE[day].close - 25 * MINUTE_NS
    return [(begin + ms * 1_000_000, *rest) for ms, *rest in sorted(rows)]


@given(ticks)
def test_ticks_to_minutes_to_five_minutes_is_ticks_to_five_minutes(rows):
    trades = [trade(ts, float(price), float(size)) for ts, price, size, _ in in_order(rows)]
    one = from_trades("1m", trades)
    assert from_bars("5m", one) == from_trades("5m", trades)
    assert from_bars("1d", from_bars("5m", one)) == from_trades("1d", trades)
    inside = [t for t in trades if t.ts < BY_DATE[HALF_DAY].close]
    assert sum(bar.volume for bar in one) == sum(t.size for t in inside)
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in one)


def quotes_of(rows):
    """The best bid and ask after each row; a size of 0 takes the side away."""
    best = {True: (None, None), False: (None, None)}
    for ts, price, size, bids in in_order(rows):
        best[bids] = (float(price), float(size)) if size else (None, None)
        yield ts, *best[True], *best[False]


def from_quotes(resolution, rows):
    maker = QuoteBars(FEED, NAME, grid(resolution))
    bars = []
    for row in quotes_of(rows):
        if row[0] >= maker.due:
            bars.append(maker.over())
        maker.quote(*row)
    if maker.due != NEVER:
        bars.append(maker.over())
    return bars


@given(ticks)
def test_quotes_to_minutes_to_five_minutes_is_quotes_to_five_minutes(rows):
    maker = QuoteBars(FEED, NAME, grid("5m"))
    assert consolidated(maker, from_quotes("1m", rows), QuoteBars.bar, ticks=False) == from_quotes("5m", rows)


def test_a_quote_bar_begins_with_what_was_quoted_before():
    opens = BY_DATE[HALF_DAY].open
    maker = QuoteBars(FEED, NAME, grid("1m"))
    maker.quote(opens - 1, 9.0, 5.0, 11.0, 6.0)
    assert maker.due == NEVER  # before the open
    maker.quote(opens + 5, 9.5, 7.0, 11.0, 6.0)
    sides = ((9.0, 9.5, 9.0, 9.5, 7.0), (11.0, 11.0, 11.0, 11.0, 6.0))
    assert maker.over() == QuoteBar(opens + MINUTE_NS, opens, FEED, NAME, *sides[0], *sides[1])
    maker.quote(opens + 2 * MINUTE_NS, None, None, 12.0, 1.0)
    bar = maker.over()
    assert (bar.bid_open, bar.bid_close, bar.ask_open, bar.ask_close) == (9.5, 9.5, 11.0, 12.0)


@pytest.mark.parametrize(
    ("name", "short", "seconds", "feed"),
    [
        ("minute", "1m", 60, "minute"),
        ("1m", "1m", 60, "minute"),
        ("5m", "5m", 300, None),
        ("2h", "2h", 7200, None),
        ("daily", "1d", 86_400, "daily"),
        ("30s", "30s", 30, None),
    ],
)
def test_names_of_resolutions(name, short, seconds, feed):
    found = resolution_of(name)
    assert (found.name, found.length_ns, found.feed) == (short, seconds * SECOND_NS, feed)


@pytest.mark.parametrize("name", ["tick", "0m", "5x", "", "25h", "24h", "2d", "1w", "5 m", "-5m", "1440m"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(UsageError, match="expected tick, second, minute, hour, daily, or a length such as"):
        resolution_of(name)
