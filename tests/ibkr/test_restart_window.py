"""The daily restart on the clock of its own zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from adapters.ibkr.link.restart_window import MARGIN_NS, RestartWindow, parse
from core.clock import from_datetime

NEW_YORK = "23:40-23:59 America/New_York"


def at(text, zone="America/New_York"):
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("2025-07-02T23:39:59", False),
        ("2025-07-02T23:40:00", True),
        ("2025-07-02T23:58:59", True),
        ("2025-07-02T23:59:00", False),
        ("2025-01-02T23:45:00", True),
        ("2025-07-02T11:45:00", False),
    ],
)
def test_a_window_holds_in_summer_and_winter_and_excludes_its_end(text, inside):
    assert parse(NEW_YORK).contains(at(text)) is inside


def test_it_may_pass_midnight():
    window = parse("23:50-00:20 Europe/Zurich")
    assert window.contains(at("2025-07-02T23:50:00", "Europe/Zurich"))
    assert window.contains(at("2025-07-03T00:19:00", "Europe/Zurich"))
    assert not window.contains(at("2025-07-03T00:20:00", "Europe/Zurich"))


def test_the_margin_widens_it_on_both_sides():
    window = parse(NEW_YORK)
    assert window.contains(at("2025-07-02T23:39:00"), MARGIN_NS)
    assert not window.contains(at("2025-07-02T23:38:59"), MARGIN_NS)
    assert window.contains(at("2025-07-02T23:59:59"), MARGIN_NS)
    assert not window.contains(at("2025-07-03T00:00:00"), MARGIN_NS)


def test_without_a_window_nothing_is_inside():
    assert parse("") == RestartWindow()
    assert not parse("").contains(at("2025-07-02T00:00:00"), MARGIN_NS)


@pytest.mark.parametrize(
    "text",
    ["23:40", "23:40-23:59", "23:40-23:59 Nowhere/Land", "29:00-23:59 UTC", "23:40-23:40 UTC", "1-2 UTC"],
)
def test_what_is_no_window_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"such as 23:40-23:59 America/New_York"):
        parse(text)
