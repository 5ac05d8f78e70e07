"""The broker's times on days on which clocks change, and from clocks that are not ours."""

import pytest

from adapters.ibkr.wire.times import parse_time
from core.clock import HOUR_NS, SECOND_NS, iso
from core.events import Filled
from tests.ibkr.books import Books

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("20250309 01:59:59 US/Eastern", "2025-03-09T06:59:59.000Z"),
        ("20250309 03:00:00 US/Eastern", "2025-03-09T07:00:00.000Z"),
        ("20251102 00:59:59 US/Eastern", "2025-11-02T04:59:59.000Z"),
        ("20251102 02:00:00 US/Eastern", "2025-11-02T07:00:00.000Z"),
        ("20250330 03:00:00 Europe/Berlin", "2025-03-30T01:00:00.000Z"),
        ("20251026 03:00:00 MET", "2025-10-26T02:00:00.000Z"),
        # Three weeks in which Frankfurt is five hours ahead of New York, not six.
        ("20250320 09:00:00 Europe/Berlin", "2025-03-20T08:00:00.000Z"),
        ("20250320 04:00:00 US/Eastern", "2025-03-20T08:00:00.000Z"),
    ],
)
def test_a_time_is_read_by_the_clock_of_its_zone_on_that_day(text, utc):
    assert iso(parse_time(text)) == utc


@pytest.mark.parametrize("utc_hour", [5, 6])
def test_an_hour_that_clocks_repeat_is_the_one_that_is_near(utc_hour):
    near = parse_time(f"20251102-{utc_hour:02}:30:05")
    told = parse_time("20251102 01:30:00 US/Eastern", near=near)
    assert told == near - 5 * SECOND_NS


@pytest.mark.parametrize("ahead_ns", [5 * SECOND_NS, HOUR_NS, 400 * 24 * HOUR_NS])
def test_a_fill_that_a_clock_ahead_of_ours_told_is_of_now(ahead_ns):
    books = Books()
    books.send()
    when = iso(books.now + ahead_ns)
    (fill,) = [
        event
        for event in books.hear(books.execution(time=f"{when[:10].replace('-', '')}-{when[11:19]}"))
        if isinstance(event, Filled)
    ]
    assert fill.ts == books.now


@pytest.mark.parametrize(
    ("req_id", "age_s", "kept"), [(5, 3600, True), (None, 50, True), (None, 3600, False)]
)
def test_a_fill_of_before_keeps_its_time_unless_it_should_be_of_now(req_id, age_s, kept):
    books = Books()
    books.send()
    before = (books.now - age_s * SECOND_NS) // SECOND_NS * SECOND_NS
    when = iso(before)
    said = books.execution(time=f"{when[:10].replace('-', '')}-{when[11:19]}", req_id=req_id)
    assert [e.ts for e in books.hear(said) if isinstance(e, Filled)] == [before if kept else books.now]
