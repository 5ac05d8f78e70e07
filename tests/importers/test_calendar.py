"""Sessions of exchanges by name: holidays, half-days, changes of clocks, evenings before."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from adapters.replay.calendar import exchange_code, sessions
from core.clock import MINUTE_NS, SECOND_NS
from core.errors import UsageError


def day(exchange, first, last=None):
    return sessions(exchange, date.fromisoformat(first), date.fromisoformat(last or first))


def local(ts, zone):
    return f"{datetime.fromtimestamp(ts // SECOND_NS, ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def hours(session):
    return local(session.open, session.timezone)[11:], local(session.close, session.timezone)[11:]


@pytest.mark.parametrize(
    ("exchange", "on", "expected"),
    [
        ("NYSE", "2024-11-27", ("09:30", "16:00")),
        ("NYSE", "2024-11-29", ("09:30", "13:00")),  # the day after Thanksgiving
        ("NASDAQ", "2024-11-29", ("09:30", "13:00")),
        ("NYSE", "2024-12-24", ("09:30", "13:00")),
        ("LSE", "2024-12-24", ("08:00", "12:30")),
        ("LSE", "2024-11-29", ("08:00", "16:30")),
        ("XETRA", "2024-11-29", ("09:00", "17:30")),
    ],
)
def test_half_days_close_early_where_they_are_kept(exchange, on, expected):
    (session,) = day(exchange, on)
    assert hours(session) == expected
    assert session.exchange == exchange_code(exchange)


@pytest.mark.parametrize(
    ("exchange", "holiday"),
    [
        ("NYSE", "2024-03-29"),  # Good Friday
        ("NASDAQ", "2024-03-29"),
        ("LSE", "2024-03-29"),
        ("NYSE", "2024-11-28"),  # Thanksgiving
        ("NYSE", "2024-12-25"),
        ("LSE", "2024-12-26"),
        ("NYSE", "2024-11-30"),  # a Saturday
    ],
)
def test_holidays_and_weekends_have_no_session(exchange, holiday):
    assert day(exchange, holiday) == []


def test_the_open_keeps_its_local_time_when_clocks_change():
    week = day("NYSE", "2024-03-08", "2024-03-11")  # clocks went forward on the 10th
    assert [hours(session) for session in week] == [("09:30", "16:00")] * 2
    assert week[1].open - week[0].open == (3 * 24 - 1) * 60 * MINUTE_NS
    autumn = day("NYSE", "2024-11-01", "2024-11-04")
    assert autumn[1].open - autumn[0].open == (3 * 24 + 1) * 60 * MINUTE_NS
    # London changes a week before New York: for one week the two are four hours apart.
    openings = [local(day("LSE", on)[0].open, "America/New_York")[11:] for on in ("2024-10-25", "2024-10-28")]
    assert openings == ["03:00", "04:00"]


def test_a_futures_session_begins_on_the_evening_before_its_date():
    (session,) = day("CME", "2024-11-27")
    assert (session.exchange, session.date) == ("CMES", "2024-11-27")
    assert local(session.open, "America/Chicago") == "2024-11-26 17:00"
    assert local(session.close, "America/Chicago") == "2024-11-27 17:00"


def test_the_sessions_of_a_day_hold_its_data_around_the_hours():
    (session,) = day("NYSE", "2024-11-29")
    assert local(session.begin, "America/New_York") == "2024-11-29 00:00"
    assert local(session.end, "America/New_York") == "2024-11-30 00:00"


@pytest.mark.parametrize("name", ["NYSE", "nyse", " XNYS "])
def test_a_name_and_its_code_are_the_same_exchange(name):
    assert exchange_code(name) == "XNYS"
    assert day(name, "2024-11-29") == day("XNYS", "2024-11-29")


def test_an_unknown_name_says_what_comes_near():
    with pytest.raises(UsageError, match="has no trading calendar; did you mean NYSE"):
        day("NYSEE", "2024-11-29")
