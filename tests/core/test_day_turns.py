"""When a day begins: the day's loss over nights, weekends, the end of summer time, and several exchanges."""

from datetime import date, timedelta

import pytest

from adapters.replay import calendar
from core.clock import DAY_NS, HOUR_NS, MINUTE_NS, local
from core.events import AccountMarked, ClockAdvanced, Entry, Filled, RiskRefused, SessionScheduled
from core.risk import Limits
from projections.account import Account
from projections.positions import Positions
from projections.quotes import Quotes
from projections.risk import Risk
from tests.core.bench import ACCOUNT, OPEN, Bench, D, S, Script, instrument, session, trade

pytestmark = pytest.mark.risk

NEW_YORK = "America/New_York"
FIVE = Limits(max_daily_loss=0.05)
LOSES = {
    1: lambda s: s.buy("ACME", 5000, reason="in"),
    6: lambda s: s.sell("ACME", 5000, reason="out"),
    9: lambda s: s.buy("ACME", 10, reason="the same day"),
    14: lambda s: s.buy("ACME", 10, reason="the next day"),
}


def prices(day, *given):
    return [trade(OPEN + day * DAY_NS + n * 30 * S, price) for n, price in enumerate(given)]


def two_days(second=1):
    """Lose a tenth on the first day, end it flat, and ask for more on it and on the next one."""
    days = [instrument(), session(), session(f"2025-07-{2 + second:02}", second * DAY_NS)]
    bench = Bench(Script(LOSES), limits=FIVE, sampled=True, definitions=days)
    bench.run(prices(0, 10, 10, 10, *[8] * 7) + prices(second, *[8] * 10))
    return bench


@pytest.mark.parametrize("second", [1, 6])
def test_a_day_that_ended_flat_beyond_its_limit_does_not_bar_the_next_one(second):
    bench = two_days(second)
    assert [refused.order for refused in bench.recorded(RiskRefused)] == ["s-1-3"]
    assert [fill.order for fill in bench.recorded(Filled)] == ["s-1-1", "s-1-2", "s-1-4"]
    assert bench.world.risk.day_pnl(ACCOUNT, "USD") == 0


def test_a_day_that_only_a_changed_equity_begins_is_caught(monkeypatch):
    monkeypatch.setattr(Risk, "_turn", lambda _self, _ts: None)
    assert [refused.order for refused in two_days().recorded(RiskRefused)] == ["s-1-3", "s-1-4"]


class Watched:
    """The day's result of an account that loses one with each mark."""

    def __init__(self, *exchanges, first=date(2025, 10, 24), last=date(2025, 11, 7), risk=Risk):
        positions = Positions()
        self.risk = risk(positions, Account(Quotes(), positions))
        self.seq, self.equity = 0, D(1000)
        for exchange in exchanges:
            for day in calendar.sessions(exchange, first - timedelta(7), last + timedelta(7)):
                self.fold(day)

    def fold(self, event):
        self.seq += 1
        self.risk.apply(Entry(self.seq, None, self.seq, None, event))

    def mark(self, ts):
        self.fold(AccountMarked(ts, ACCOUNT, "USD", self.equity, self.equity))
        self.equity -= 1

    def day(self):
        return self.risk.track(ACCOUNT, "USD").date, self.risk.day_pnl(ACCOUNT, "USD")


def turns(*exchanges, begin, end):
    """Return when the day turned, as local time in New York, marking every half an hour."""
    watched, found, before = Watched(*exchanges), [], None
    for ts in range(local(*begin, NEW_YORK), local(*end, NEW_YORK), HOUR_NS // 2):
        watched.mark(ts)
        now = watched.day()[0]
        if before is not None and now != before:
            found.append((now, ts))
        before = now
    return found


def test_over_a_weekend_and_the_end_of_summer_time_each_session_is_one_day():
    found = turns("XNYS", begin=("2025-10-30", "12:00"), end=("2025-11-05", "12:00"))
    expected = ["2025-10-31", "2025-11-03", "2025-11-04", "2025-11-05"]
    assert found == [(day, local(day, "00:00", NEW_YORK)) for day in expected]


def test_friday_s_loss_counts_until_the_end_of_the_weekend_and_no_longer():
    watched = Watched("XNYS")
    for clock in ("10:00", "11:00", "15:59"):
        watched.mark(local("2025-10-31", clock, NEW_YORK))
    for moment in (("2025-11-01", "12:00"), ("2025-11-02", "01:30"), ("2025-11-02", "23:59")):
        watched.fold(ClockAdvanced(local(*moment, NEW_YORK)))
        assert watched.day() == ("2025-10-31", -2)
    watched.fold(ClockAdvanced(local("2025-11-03", "00:00", NEW_YORK)))
    assert watched.day() == ("2025-11-03", 0)


@pytest.mark.parametrize("other", ["XHKG", "XTKS", "XASX", "24/7", "XLON"])
def test_midnight_somewhere_else_does_not_begin_a_day_while_new_york_trades(other):
    for day in ("2025-10-30", "2025-11-04"):  # before and after the clocks change
        found = turns("XNYS", other, begin=(day, "09:30"), end=(day, "16:00"))
        assert found == []


@pytest.mark.parametrize("others", [("XHKG",), ("CMES",), ("24/7",), ("CMES", "XHKG", "XLON", "24/7")])
def test_with_several_exchanges_a_week_still_has_five_days_of_new_york(others):
    found = turns("XNYS", *others, begin=("2025-10-31", "12:00"), end=("2025-11-07", "17:00"))
    dates = [day for day, _ in found if date.fromisoformat(day).weekday() < 5]
    assert dates == ["2025-11-03", "2025-11-04", "2025-11-05", "2025-11-06", "2025-11-07"]
    opens = [local(day, "09:30", NEW_YORK) for day in dates]
    assert all(at <= opens[dates.index(day)] for day, at in found if day in dates)


def test_the_first_exchange_by_name_deciding_is_caught(monkeypatch):
    """As it was: the day was over when it was midnight in Hong Kong."""
    monkeypatch.setattr(
        calendar_of(), "date", lambda self, exchange, ts: getattr(self.session(exchange, ts), "date", None)
    )
    assert turns("XNYS", "XHKG", begin=("2025-11-04", "09:30"), end=("2025-11-04", "16:00")) != []


def calendar_of():
    from projections.sessions import Calendar  # noqa: PLC0415

    return Calendar


def test_an_intent_begins_the_day_before_it_is_judged_and_only_once_a_minute_is_looked():
    looked = []

    class Counting(Risk):
        def _turn(self, ts):
            looked.append(ts)
            super()._turn(ts)

    watched = Watched("XNYS", risk=Counting)
    begin = local("2025-10-31", "10:00", NEW_YORK)
    for n in range(120):
        watched.fold(ClockAdvanced(begin + n * S))
    assert looked == [begin, begin + MINUTE_NS]


def test_a_calendar_that_is_not_known_yet_is_one_day():
    watched = Watched()
    watched.mark(local("2025-10-30", "10:00", NEW_YORK))
    watched.mark(local("2025-10-31", "10:00", NEW_YORK))
    assert watched.day() == (None, -1)
    watched.fold(SessionScheduled(0, "X", "2025-11-01", "UTC", 0, 0, 1, 1))
    assert watched.day() == (None, -1)
