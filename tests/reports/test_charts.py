"""Thinning keeps what the eye would miss; axes have no nights; degenerate charts are drawn or left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.report.axes import WIDTH, TimeAxis, ValueAxis
from app.report.charts import Dots, Line, chart
from app.report.facts import Series
from app.report.page import share_text
from app.report.thinning import thinned
from core.clock import DAY_NS, local

MINUTE = 60_000_000_000
ZONE = "America/New_York"


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6)), min_size=1, max_size=400), st.integers(1, 20)
)
def test_thinning_keeps_first_last_and_the_extremes_of_every_bucket(points, buckets):
    points.sort()
    places, values = np.array([p for p, _ in points]), np.array([v for _, v in points])
    kept = thinned(places, values, buckets, 100.0)
    assert len(kept) <= max(4 * buckets, 0)
    assert (kept[0], kept[-1]) == (0, len(points) - 1)
    assert np.all(np.diff(kept) > 0)
    number = np.minimum((places / 100.0 * buckets).astype(int), buckets - 1)
    for bucket in set(number.tolist()):
        mine, left = values[number == bucket], values[kept][number[kept] == bucket]
        assert (left.min(), left.max()) == (mine.min(), mine.max())


def session(date):
    return np.arange(local(date, "09:30", ZONE), local(date, "16:00", ZONE) + 1, MINUTE)


def test_a_night_takes_no_room_and_the_order_of_times_is_kept():
    times = np.concatenate([session("2025-07-02"), session("2025-07-03")])
    axis = TimeAxis([times], ZONE)
    places = axis.places(times)
    assert len(axis.segments) == 2
    assert np.all(np.diff(places) > 0)
    assert (places[0], places[-1]) == (0, pytest.approx(WIDTH))
    assert places[391] - places[390] < 0.01 * WIDTH
    assert set(axis.segment_of(times).tolist()) == {1, 2}


def test_weekends_in_daily_data_are_no_gaps():
    days = np.arange(0, 400, 1) * DAY_NS
    trading = days[[d % 7 not in (2, 3) for d in range(400)]]
    assert len(TimeAxis([trading], "UTC").segments) == 1


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (session("2025-07-02"), ["09:30", "10:00"]),
        (np.concatenate([session(f"2025-07-0{n}") for n in (1, 2, 3)]), ["01 Jul", "12:00"]),
        (np.concatenate([session(f"2013-10-{n:02d}") for n in (7, 8, 9, 10, 11)]), ["07 Oct", "08 Oct"]),
        (np.arange(200) * DAY_NS, ["Jan 1970", "Feb 1970"]),
        (np.arange(4000) * DAY_NS, ["1970"]),
    ],
)
def test_labels_fit_the_span(times, expected):
    labels = TimeAxis([times], "UTC" if times[0] == 0 else ZONE).labels()
    assert [label.text for label in labels][: len(expected)] == expected
    assert 2 <= len(labels) <= 9
    assert all(0 <= label.place <= 1 for label in labels)
    assert [label.place for label in labels] == sorted(label.place for label in labels)


@given(st.floats(-1e9, 1e9), st.floats(0, 1e6))
def test_ticks_are_round_and_inside(low, span):
    axis = ValueAxis(low, low + span)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 12
    assert all(axis.low <= tick <= axis.high + 1e-6 * abs(axis.high) for tick in ticks)
    places = axis.places(np.array([low, low + span]))
    assert all(0 <= place <= 1 for place in places)


def test_a_chart_of_one_flat_or_no_value_is_drawn_or_left_out():
    axis = TimeAxis([np.array([5])], "UTC")
    one = Series(np.array([5]), np.array([7.0]))
    none = Series(np.array([], dtype=np.int64), np.array([]))
    drawn = chart("x", axis, [Line(one, "main", area=True)], [Dots(none, "buy", "bought")], form=share_text)
    assert "<svg" in drawn
    assert "nan" not in drawn
    assert chart("x", axis, [Line(none, "main")], form=share_text) == ""
    assert TimeAxis([], "UTC").labels() is not None


def test_a_million_points_make_a_small_chart_with_their_extremes():
    times = np.arange(1_000_000, dtype=np.int64) * 20_000_000
    values = np.random.default_rng(3).normal(size=1_000_000).cumsum()
    values[123_456], values[654_321] = -1e5, 1e5
    drawn = chart("x", TimeAxis([times], "UTC"), [Line(Series(times, values), "main")], form=share_text)
    assert len(drawn) < 30_000
    assert " 5.4" in drawn, "the spike up, 6 % of the range from the top: kept"
    assert " 94.6" in drawn, "the spike down"


def test_months_without_a_sample_keep_their_room_where_the_days_are_known():
    days = np.arange(400, dtype=np.int64) * DAY_NS
    samples = np.concatenate([days[:100], days[300:]])
    uneven = TimeAxis([samples], "UTC").places(days[[0, 200, 399]])
    even = TimeAxis([samples, days], "UTC").places(days[[0, 200, 399]])
    assert even[1] == pytest.approx(500, abs=5)
    assert uneven[2] == even[2] == 1000
