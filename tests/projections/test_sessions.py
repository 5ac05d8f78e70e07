"""Instruments by id, sessions by time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UnknownInstrument
from core.events import FeedDefined, SessionScheduled
from projections.sessions import Calendar, Sessions
from tests.projections.build import feed, stock


def session(date, begin, end, exchange="NYSE"):
    return SessionScheduled(begin, exchange, date, "America/New_York", begin, begin + 1, end - 1, end)


def folded(*events):
    sessions = Sessions()
    feed(sessions, *events)
    return sessions


def test_the_latest_definition_of_an_instrument_wins():
    sessions = folded(stock("ACME"), stock("ACME", "EUR"))
    assert sessions.instrument("ACME").currency == "EUR"
    assert [known.instrument for known in sessions.instruments()] == ["ACME"]


def test_definitions_that_were_handed_out_stay_the_latest():
    sessions = folded(stock("ACME"))
    seen = sessions.definitions
    feed(sessions, stock("ACME", "EUR"), stock("ZETA"))
    assert {name: known.currency for name, known in seen.items()} == {"ACME": "EUR", "ZETA": "USD"}
    sessions.restore(folded(stock("QQQ")).state())
    assert (list(seen), sessions.instrument("QQQ")) == (["QQQ"], seen["QQQ"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("ACMEE", "did you mean ACME"),
        ("acme", "did you mean ACME"),
        ("QQQQQ", "which defines ACME, ZETA"),
    ],
)
def test_an_unknown_instrument_is_refused_with_what_comes_near(asked, message):
    with pytest.raises(UnknownInstrument, match=message):
        folded(stock("ZETA"), stock("ACME")).instrument(asked)


def test_an_empty_log_says_that_nothing_was_imported():
    with pytest.raises(UnknownInstrument, match="import data first"):
        Sessions().instrument("ACME")


@pytest.mark.parametrize(
    ("ts", "date"),
    [(9, None), (10, "d1"), (20, "d1"), (25, None), (30, "d2"), (40, "d3"), (50, "d3"), (51, None)],
)
def test_a_moment_belongs_to_the_session_that_holds_it_and_a_shared_end_to_the_next(ts, date):
    sessions = folded(session("d3", 40, 50), session("d1", 10, 20), session("d2", 30, 40))
    found = sessions.session("NYSE", ts)
    assert (found and found.date) == date


def test_a_rescheduled_day_replaces_the_old_hours():
    sessions = folded(session("d1", 10, 40), session("d1", 15, 25))
    assert (sessions.session("NYSE", 12), sessions.session("NYSE", 30)) == (None, None)
    assert sessions.session_on("NYSE", "d1").end == 25
    assert len(sessions.sessions()) == 1


def test_a_day_that_is_scheduled_after_another_was_asked_for_is_found():
    sessions = folded(session("2025-07-01", 0, 100), session("2025-07-03", 200, 300))
    assert sessions.session("NYSE", 150) is None
    feed(sessions, session("2025-07-02", 100, 190), session("2025-07-01", 0, 90))
    found = [sessions.session("NYSE", ts) for ts in (150, 95, 90, 195, 250)]
    assert [day and day.date for day in found] == ["2025-07-02", None, "2025-07-01", None, "2025-07-03"]


def test_an_exchange_without_sessions_has_none():
    sessions = folded(session("d1", 10, 20))
    assert (sessions.session("CME", 15), sessions.session_on("CME", "d1"), sessions.sessions("CME")) == (
        None,
        None,
        [],
    )


def test_feeds_are_known_by_name():
    sessions = folded(FeedDefined(0, "tick", "sample", "tick", False))
    assert (sessions.feed("tick").resolution, sessions.feed("none")) == ("tick", None)
    assert repr(sessions) == "<sessions: 0 instruments, 1 feeds, 0 sessions>"


DAYS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.sampled_from("XXY")), max_size=6)
ASKED = st.lists(st.tuples(st.sampled_from(["X", None]), st.integers(-2, 60)), min_size=1, max_size=20)


def days(found):
    """Sessions by begin, length and exchange; some overlap, some replace another of the same date."""
    return [
        SessionScheduled(0, exchange, f"d{begin // 10}", "UTC", begin, begin, begin + length, begin + length)
        for begin, length, exchange in found
    ]


def anew(sessions, asked):
    """Return what calendars answer that were asked nothing before."""
    return [Calendar(sessions).session(exchange, ts) for exchange, ts in asked]


@given(DAYS, ASKED)
def test_what_was_found_before_changes_no_answer(found, asked):
    calendar = Calendar(days(found))
    assert [calendar.session(exchange, ts) for exchange, ts in asked] == anew(days(found), asked)
    for session in days([(begin + 3, *rest) for begin, *rest in found]):  # what comes later counts at once
        calendar.schedule(session)
        known = calendar.sessions()
        assert [calendar.session(exchange, ts) for exchange, ts in asked] == anew(known, asked)


def test_an_exchange_that_comes_first_is_asked_first_whatever_was_found_on_another():
    first, other = days([(10, 5, "X"), (0, 30, "Y")])
    calendar = Calendar([first, other])
    assert [calendar.session(None, ts) for ts in (5, 12, 20)] == [other, first, other]


def test_a_calendar_that_remembers_too_long_is_caught():
    calendar = Calendar(days([(0, 5, "X"), (10, 5, "X")]))
    assert calendar.session("X", 12) is not None
    calendar._found["X"] = (0, 99, calendar.session("X", 12))
    assert calendar.session("X", 7) is not None  # which is in no session
