"""Never more than 40 requests in a second, 45 with cancels; urgent ones first; nothing lost or reordered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.link.pacing import Lane, Pacer
from core.clock import SECOND_NS

MS = 1_000_000


def loaded(*lanes):
    pacer = Pacer()
    for number, lane in enumerate(lanes):
        pacer.offer(lane, (lane, number))
    return pacer


def test_a_burst_of_forty_goes_at_once_and_the_rest_a_second_later():
    pacer = loaded(*[Lane.DATA] * 50)
    assert len(pacer.take(0)) == 40
    assert pacer.next_ns() == SECOND_NS
    assert pacer.take(SECOND_NS - 1) == []
    assert len(pacer.take(SECOND_NS)) == 10
    assert pacer.next_ns() is None


def test_urgent_requests_go_first_and_a_lane_keeps_its_order():
    pacer = loaded(
        Lane.DATA, Lane.MODIFY, Lane.NEW_ORDER, Lane.DATA, Lane.RECOVERY, Lane.CANCEL, Lane.NEW_ORDER
    )
    assert [lane for lane, _ in pacer.take(0)] == sorted(lane for lane in [0, 1, 1, 2, 3, 4, 4])
    pacer = loaded(*[Lane.DATA] * 5)
    assert [number for _, number in pacer.take(0)] == [0, 1, 2, 3, 4]


def test_a_cancel_does_not_wait_behind_a_burst():
    pacer = loaded(*[Lane.DATA] * 100)
    pacer.take(0)
    pacer.offer(Lane.CANCEL, "cancel")
    assert pacer.next_ns() <= MS
    assert pacer.take(MS) == ["cancel"]


def test_cancels_too_have_a_limit():
    pacer = loaded(*[Lane.CANCEL] * 60)
    assert len(pacer.take(0)) == 45
    assert pacer.take(SECOND_NS - 1) == []
    assert len(pacer.take(SECOND_NS)) == 15


def test_what_waits_is_given_back_when_the_connection_is_gone():
    pacer = loaded(*[Lane.DATA] * 41, Lane.MODIFY)
    pacer.take(0)
    assert (pacer.waiting(Lane.DATA), pacer.waiting(Lane.MODIFY)) == (2, 0)
    assert [lane for lane, _ in pacer.drain()] == [Lane.DATA, Lane.DATA]
    assert pacer.next_ns() is None


def busiest(times, window_ns=SECOND_NS):
    """Return the greatest number of times in any window of a second, its end left out."""
    return max(
        (sum(start <= time < start + window_ns for time in times) for start in times),
        default=0,
    )


STEPS = st.lists(
    st.tuples(st.integers(0, 400 * MS), st.lists(st.sampled_from(list(Lane)), max_size=60)), max_size=15
)


@given(STEPS)
def test_no_second_ever_holds_more_than_the_limit(steps):
    pacer, now, left = Pacer(), 0, []
    for wait_ns, lanes in steps:
        now += wait_ns
        for lane in lanes:
            pacer.offer(lane, lane)
        left += [(now, lane) for lane in pacer.take(now)]
    assert busiest([time for time, _ in left]) <= 45
    assert busiest([time for time, lane in left if lane is not Lane.CANCEL]) <= 40


@given(STEPS)
def test_everything_offered_leaves_in_the_end(steps):
    pacer, now, offered, left = Pacer(), 0, 0, 0
    for wait_ns, lanes in steps:
        now += wait_ns
        offered += len(lanes)
        for lane in lanes:
            pacer.offer(lane, lane)
        left += len(pacer.take(now))
    while (due := pacer.next_ns()) is not None:
        assert due > now
        now = due
        left += len(pacer.take(now))
    assert left == offered


def test_a_bucket_that_refills_while_it_empties_would_be_caught():
    left, tokens, last = [], 40.0, 0
    for now in range(0, 2 * SECOND_NS, 5 * MS):
        tokens, last = min(40.0, tokens + (now - last) * 40 / SECOND_NS), now
        while tokens >= 1:
            tokens -= 1
            left.append(now)
    assert busiest(left) > 50


@pytest.mark.parametrize("rates", [(0, 5), (10, 5)])
def test_a_rate_without_sense_is_a_mistake_of_ours(rates):
    with pytest.raises(AssertionError):
        Pacer(*rates)


def test_what_leaves_together_counts_as_many_messages_as_it_is():
    pacer = Pacer(4, 5, size=len)
    for request in ("aaa", "bb", "c"):
        pacer.offer(Lane.NEW_ORDER, request)
    assert pacer.take(0) == ["aaa"]  # three of four: two more would be one too many
    assert pacer.next_ns() == SECOND_NS
    assert pacer.take(SECOND_NS) == ["bb", "c"]


def test_what_is_larger_than_the_pace_leaves_when_nothing_else_did():
    pacer = Pacer(2, 2, size=len)
    pacer.offer(Lane.NEW_ORDER, "a")
    pacer.offer(Lane.NEW_ORDER, "bbb")
    assert pacer.take(0) == ["a"]
    assert pacer.take(SECOND_NS) == ["bbb"]
