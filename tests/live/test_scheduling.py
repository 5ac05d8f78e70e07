"""A session that is left running for weeks: the hours of its exchanges go on, for new contracts too.

Weeks pass as fast as they can be counted: the calendar is the real one, asked for once and cut to what each
order wants; the folds and the rule for silence are those of a live session.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from adapters.ibkr.data.staleness import Staleness
from adapters.replay import calendar
from app.live.scheduling import CalendarProcess, Schedule, ScheduleOrder
from core.clock import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, local
from core.events import Entry, InstrumentDefined
from core.money import ZERO
from projections.sessions import Sessions

FIRST, LAST = date(2025, 10, 20), date(2025, 12, 5)
NEW_YORK, LONDON = "America/New_York", "Europe/London"
WEEKS_NS = (local("2025-10-20", "00:00", "UTC"), local("2025-12-01", "00:00", "UTC"))
STEP_NS = 30 * MINUTE_NS


def share(name, exchange, timezone):
    return InstrumentDefined(0, name, name, "STK", exchange, "USD", 1, ZERO, timezone, con_id=len(name))


SPY, VOD = share("SPY", "XNYS", NEW_YORK), share("VODX", "XLON", LONDON)


@pytest.fixture(scope="module")
def real():
    """Return the sessions of the exchanges in these weeks, by exchange."""
    return {
        exchange: calendar.sessions(exchange, FIRST - timedelta(30), LAST + timedelta(30))
        for exchange in ("XNYS", "XLON")
    }


class AtOnce:
    """An answer that is there when it is asked for; the first `failures` are none."""

    def __init__(self, real, failures=0):
        self.real, self.failures = real, failures
        self.orders = []

    def __call__(self, order):
        self.orders.append(order)
        return self

    def answer(self):
        if self.failures:
            self.failures -= 1
            raise OSError("no calendar today")
        order = self.orders[-1]
        span = (order.first.isoformat(), order.last.isoformat())
        return [
            day
            for one in order.instruments
            for day in self.real[one.exchange]
            if span[0] <= day.date <= span[1]
        ]

    def end(self):
        pass


class Weeks:
    """Folds of a live session whose log knows ten days of New York, and weeks that pass."""

    def __init__(self, real, *, failures=0, schedule=True):
        self.sessions = Sessions()
        self.real, self.seq, self.events = real, 0, []
        self.define(SPY)
        until = (FIRST + timedelta(10)).isoformat()
        for day in real["XNYS"]:
            if day.date <= until:
                self.fold(day)
        self.ask = AtOnce(real, failures)
        self.schedule = Schedule(self.sessions, lambda: [SPY], self.ask) if schedule else lambda _now: ()
        self.staleness = Staleness(self.sessions, 30.0, {})
        self.wrong = []

    def fold(self, event):
        self.seq += 1
        self.sessions.apply(Entry(self.seq, None, self.seq, None, event))

    def define(self, instrument):
        self.fold(instrument)

    def run(self, begin, end, *instruments):
        """Let time pass, in silence; note where silence is missed that is none, or not where it is one."""
        for now in range(begin, end, STEP_NS):
            for _ in range(2):  # one look asks, the next one hears
                for event in self.schedule(now):
                    assert event.ts == now
                    self.events.append(event)
                    self.fold(event)
            for one in instruments:
                opened = [d for d in self.real[one.exchange] if d.open + MINUTE_NS < now < d.close]
                missed = self.staleness.silent_s(one, now - HOUR_NS, now) is not None
                if missed != bool(opened):
                    self.wrong.append((one.instrument, now))
        return self


def test_in_six_weeks_silence_is_missed_exactly_while_the_exchange_is_open(real):
    weeks = Weeks(real).run(*WEEKS_NS, SPY)
    assert weeks.wrong == []
    dates = [event.date for event in weeks.events]
    assert dates == sorted(set(dates))  # each day once
    assert 7 <= len(weeks.ask.orders) <= 20  # not each day: it costs seconds
    held = {day.date: day for day in weeks.sessions.sessions("XNYS")}
    assert all(held[day.date].close == day.close for day in real["XNYS"] if day.date in held)
    assert "2025-11-27" not in held  # Thanksgiving
    half = held["2025-11-28"]
    assert half.close == local("2025-11-28", "13:00", NEW_YORK)


def test_the_hours_follow_the_end_of_summer_time(real):
    weeks = Weeks(real).run(*WEEKS_NS, SPY)
    friday, monday = (
        weeks.sessions.session_on("XNYS", "2025-10-31"),
        weeks.sessions.session_on("XNYS", "2025-11-03"),
    )
    assert (monday.open - friday.open) == 3 * DAY_NS + HOUR_NS
    assert [
        datetime.fromtimestamp(d.open // SECOND_NS, ZoneInfo(NEW_YORK)).hour for d in (friday, monday)
    ] == [9, 9]
    sunday = local("2025-11-02", "12:00", NEW_YORK)
    assert weeks.staleness.silent_s(SPY, sunday - DAY_NS, sunday) is None


def test_a_contract_that_is_new_gets_its_hours_at_the_next_look(real):
    weeks = Weeks(real)
    middle = local("2025-11-12", "10:00", LONDON)
    weeks.run(WEEKS_NS[0], middle, SPY)
    assert weeks.sessions.sessions("XLON") == []
    weeks.define(VOD)
    weeks.run(middle, WEEKS_NS[1], SPY, VOD)
    assert weeks.wrong == []
    assert {event.date for event in weeks.events if event.exchange == "XLON"} >= {"2025-11-12", "2025-11-24"}


def test_calendars_that_cannot_be_read_are_asked_again(real):
    weeks = Weeks(real, failures=3).run(*WEEKS_NS, SPY)
    assert weeks.wrong == []
    assert weeks.ask.failures == 0


def test_hours_that_come_to_an_end_count_as_unknown_and_close_the_gate(real):
    weeks = Weeks(real, schedule=False)
    late = local("2025-11-05", "03:00", NEW_YORK)  # four days and more after the last session of the log
    assert weeks.staleness.silent_s(SPY, late - HOUR_NS, late) == 3600
    weekend = local("2025-11-02", "12:00", NEW_YORK)
    assert weeks.staleness.silent_s(SPY, weekend - HOUR_NS, weekend) is None


def test_a_session_that_never_looks_ahead_is_caught(real):
    weeks = Weeks(real, schedule=False).run(*WEEKS_NS, SPY)
    assert ("SPY", local("2025-10-31", "12:00", NEW_YORK)) in weeks.wrong


def test_a_schedule_that_forgets_new_contracts_is_caught(real):
    weeks = Weeks(real)
    weeks.schedule._order = lambda now, order=weeks.schedule._order: ScheduleOrder(
        [SPY], order(now).first, order(now).last
    )
    weeks.run(WEEKS_NS[0], WEEKS_NS[0] + DAY_NS, SPY)
    weeks.define(VOD)
    weeks.run(WEEKS_NS[0] + DAY_NS, WEEKS_NS[0] + 9 * DAY_NS, SPY, VOD)
    assert "VODX" in {name for name, _ in weeks.wrong}


@pytest.mark.slow
def test_another_process_knows_the_same_hours(real):
    asking = CalendarProcess(ScheduleOrder([SPY], date(2025, 11, 24), date(2025, 12, 1)))
    asking._errand._process.wait(60)
    found = asking.answer()
    assert found == [day for day in real["XNYS"] if "2025-11-24" <= day.date <= "2025-12-01"]


def test_a_process_without_an_answer_is_an_error_and_not_an_end():
    asking = CalendarProcess(ScheduleOrder([SPY], date(2025, 11, 24), date(2025, 12, 1)))
    asking._errand._process.kill()
    asking._errand._process.wait(60)
    with pytest.raises(OSError, match="asking the calendars ended with code -9"):
        asking.answer()
