"""Time as numbers: exchange clocks through the year, and text that reads back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import from_datetime, iso, local
from core.errors import UsageError

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("day", "clock", "utc"),
    [
        ("2025-03-07", "15:55", "2025-03-07T20:55:00.000Z"),  # the Friday before the clocks go forward
        ("2025-03-10", "15:55", "2025-03-10T19:55:00.000Z"),  # the Monday after
        ("2025-10-31", "15:55", "2025-10-31T19:55:00.000Z"),
        ("2025-11-03", "15:55:30", "2025-11-03T20:55:30.000Z"),
        ("2025-11-28", "12:55", "2025-11-28T17:55:00.000Z"),  # a half-day
        ("2025-03-09", "01:59:59", "2025-03-09T06:59:59.000Z"),
        ("2025-03-09", "02:30", "2025-03-09T07:30:00.000Z"),  # there is none: as if clocks had not moved yet
        ("2025-03-09", "03:00", "2025-03-09T07:00:00.000Z"),
        ("2025-11-02", "01:30", "2025-11-02T05:30:00.000Z"),  # there are two: the first
        ("2025-11-02", "02:00", "2025-11-02T07:00:00.000Z"),
    ],
)
def test_a_clock_time_follows_daylight_saving(day, clock, utc):
    assert iso(local(day, clock, NEW_YORK)) == utc


@pytest.mark.parametrize(
    ("day", "berlin", "new_york"),
    [
        ("2025-03-07", "15:30", "09:30"),  # six hours apart
        ("2025-03-10", "14:30", "09:30"),  # New York is first
        ("2025-03-28", "14:30", "09:30"),
        ("2025-03-31", "15:30", "09:30"),
        ("2025-10-24", "15:30", "09:30"),
        ("2025-10-27", "14:30", "09:30"),  # Berlin is first
        ("2025-11-03", "15:30", "09:30"),
    ],
)
def test_two_exchanges_are_an_hour_closer_while_one_has_changed_its_clocks(day, berlin, new_york):
    assert local(day, berlin, "Europe/Berlin") == local(day, new_york, NEW_YORK)


@pytest.mark.parametrize("clock", ["25:00", "15.55", "9:30", "15:55+02:00", "", "noon"])
def test_a_clock_that_is_none_is_refused_with_an_example(clock):
    with pytest.raises(UsageError, match=r"such as .*15:55"):
        local("2025-07-02", clock, NEW_YORK)


@pytest.mark.parametrize(
    ("ts", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_000, "1970-01-01T00:00:00.000001Z"),
        (1_500_000_000, "1970-01-01T00:00:01.500Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_iso_has_as_many_digits_as_it_needs(ts, text):
    assert iso(ts) == text


def test_iso_in_a_zone_names_its_offset():
    assert iso(local("2025-07-02", "09:30", NEW_YORK), NEW_YORK) == "2025-07-02T09:30:00.000-04:00"


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001
def test_datetimes_are_exact_to_the_microsecond(naive):
    moment = naive.replace(tzinfo=UTC)
    ns = from_datetime(moment)
    assert ns % 1_000 == 0
    assert datetime.fromisoformat(iso(ns)) == moment
