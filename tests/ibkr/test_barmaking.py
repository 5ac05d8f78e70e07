"""Bars from live trades: whole ones only, told when they are over."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.data.barmaking import BarMaker, bar_feed
from core.clock import MINUTE_NS, SECOND_NS
from core.events import Bar, SessionScheduled, Trade
from projections.sessions import Calendar
from tests.ibkr.test_marketdata import stock

FEED, NAME = "ib/live/1min", "ACME"
T0 = 1_000_000 * MINUTE_NS


def trade(seconds: float, price: float = 10.0, size: float = 100.0, *, suspicious: bool = False) -> Trade:
    return Trade(T0 + round(seconds * SECOND_NS), "ib/stream", NAME, price, size, suspicious=suspicious)


def made(
    *trades: Trade,
    since: float = 0.0,
    until: float = 3600.0,
    resolution: str = "minute",
    hours: Calendar | None = None,
) -> list[Bar]:
    """Return the bars of trades, looked for before each of them and at the end."""
    maker = BarMaker(resolution, stock(NAME), hours or Calendar(), T0 + round(since * SECOND_NS))
    bars: list[Bar] = []
    for one in trades:
        if (bar := maker.over(one.ts)) is not None:
            bars.append(bar)
        maker.take(one)
    if (bar := maker.over(T0 + round(until * SECOND_NS))) is not None:
        bars.append(bar)
    return bars


def test_a_bar_holds_the_trades_of_its_minute():
    (bar,) = made(trade(0, 10.0), trade(10, 12.0), trade(20, 9.0), trade(59.9, 11.0))
    assert bar == Bar(T0 + MINUTE_NS, T0, FEED, NAME, 10.0, 12.0, 9.0, 11.0, 400.0)


def test_a_trade_on_the_minute_belongs_to_the_next_bar():
    assert [bar.start - T0 for bar in made(trade(30), trade(60))] == [0, MINUTE_NS]


def test_a_bar_is_told_when_it_is_over_and_not_before():
    assert made(trade(30), until=59.999) == []
    assert len(made(trade(30), until=60)) == 1


def test_the_bar_that_was_running_at_the_start_is_not_told():
    assert [bar.start - T0 for bar in made(trade(30), trade(90), since=20)] == [MINUTE_NS]


def test_a_minute_without_a_trade_has_no_bar():
    assert [bar.start - T0 for bar in made(trade(30), trade(200))] == [0, 3 * MINUTE_NS]


def test_suspicious_trades_do_not_count():
    assert made(trade(30, 99.0, suspicious=True)) == []
    (bar,) = made(trade(30), trade(40, 99.0, suspicious=True))
    assert (bar.high, bar.volume) == (10.0, 100.0)


@given(st.lists(st.tuples(st.floats(0, 3000), st.integers(1, 50)), max_size=60))
def test_bars_hold_every_trade_once(given_trades):
    trades = [trade(seconds, float(price)) for seconds, price in sorted(given_trades)]
    bars = made(*trades)
    assert sum(bar.volume for bar in bars) == sum(one.size for one in trades)
    assert [bar.start for bar in bars] == sorted({one.ts // MINUTE_NS * MINUTE_NS for one in trades})
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


def test_bars_lie_on_the_session_and_end_with_it():
    opens, close = T0 + 7 * MINUTE_NS, T0 + 19 * MINUTE_NS
    session = SessionScheduled(T0, "XNYS", "2025-07-02", "UTC", T0, opens, close, T0 + 60 * MINUTE_NS)
    trades = [trade(minute * 60) for minute in (6, 7, 13, 18, 19, 30)]
    found = made(*trades, since=-1, resolution="5m", hours=Calendar([session]))
    spans = [((bar.start - T0) // MINUTE_NS, (bar.ts - T0) // MINUTE_NS) for bar in found]
    assert spans == [(7, 12), (12, 17), (17, 19)]
    assert {bar.feed for bar in found} == {"ib/live/5min"}
    assert (bar_feed("5m", 0).feed, bar_feed("5m", 0).resolution) == ("ib/live/5min", "minute")
