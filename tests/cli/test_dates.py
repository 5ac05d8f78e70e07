"""Times as people type them: a date alone, and a time without its offset."""

import pytest


@pytest.fixture
def run(tape, morning):
    asked = ["--strategy", "sma_cross", "--set", "instrument=ZVXA"]
    return tape("--log", morning, "replay", "2025-07-02", *asked, "--json").json["run"]


def test_a_date_alone_bounds_whole_days(tape, morning, run):
    events = ["events", "--type", "filled", "--limit", 0, "--run", run, "--json"]
    every = tape("--log", morning, *events).json
    day = ["--from", "2025-07-02", "--to", "2025-07-02"]
    assert tape("--log", morning, *events, *day).json == every != []
    assert tape("--log", morning, *events, "--to", "2025-07-01").json == []
    assert tape("--log", morning, "export", "day", *day, "--run", run, "--type", "filled").code == 0


@pytest.mark.parametrize("at", ["2025-07-02T13:40", "2025-07-02 13:40:00", "2025-07-02"])
def test_a_time_without_an_offset_is_told_on_the_clock_of_the_exchange(tape, morning, run, at):
    said = tape("--log", morning, "state", "--run", run, "--at", at).err
    assert f"{at} has no offset, so it is UTC: " in said
    clock = "T09:40:00-04:00" if ":" in at else "2025-07-01T20:00:00-04:00"
    assert f"{clock} in America/New_York" in said


@pytest.mark.parametrize(
    "at", ["2025-07-02T09:40-04:00", "2025-07-02T13:40:00Z", "2025-07-02T13:40+0000", "9"]
)
def test_a_moment_that_says_what_it_is_needs_no_word(tape, morning, run, at):
    done = tape("--log", morning, "state", "--run", run, "--at", at)
    assert (done.code, "has no offset" in done.err) == (0, False)
