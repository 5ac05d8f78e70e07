"""When the next attempt is due, and after which there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.link.retries import SPREAD, Retries

S = 1_000_000_000


def retries(chance=0.0, interval=5.0, attempts=10):
    return Retries(interval, attempts, cap_s=60, id_in_use_wait_s=5, chance=lambda: chance)


def waits(tried, ending, count, *, excused=False):
    found = []
    for _ in range(count):
        tried.failed(ending, 0, excused=excused)
        found.append(tried.due_ns / S)
    return found


def test_the_wait_doubles_up_to_the_cap():
    assert waits(retries(), "unreachable", 6) == [5, 10, 20, 40, 60, 60]


def test_the_attempts_are_bounded_and_a_success_sets_the_count_back():
    tried = retries(attempts=3)
    waits(tried, "lost", 2)
    assert not tried.exhausted
    tried.succeeded()
    waits(tried, "lost", 2)
    assert not tried.exhausted
    waits(tried, "lost", 1)
    assert tried.exhausted
    assert tried.attempt == 3


def test_excused_attempts_do_not_count_and_do_not_grow_the_wait():
    tried = retries(attempts=2)
    assert waits(tried, "unreachable", 50, excused=True) == [5] * 50
    assert (tried.attempt, tried.exhausted) == (0, False)


def test_a_wedged_gateway_is_left_alone_for_the_whole_cap():
    assert waits(retries(), "wedged", 2) == [60, 60]


def test_a_client_id_in_use_is_given_five_seconds_at_least():
    assert waits(retries(interval=0.5), "id_in_use", 3) == [5, 10, 20]
    assert waits(retries(interval=0.5), "unreachable", 3) == [0.5, 1, 2]


def test_a_lost_link_is_tried_again_after_the_plain_interval():
    tried = retries()
    tried.lost(7 * S)
    assert tried.due_ns == 12 * S
    assert tried.attempt == 0


@given(chance=st.floats(0, 1), count=st.integers(1, 40), ending=st.sampled_from(["lost", "id_in_use"]))
def test_chance_only_lengthens_a_wait_and_by_a_quarter_at_most(chance, count, ending):
    plain, spread = waits(retries(), ending, count), waits(retries(chance), ending, count)
    assert all(a <= b <= a * (1 + SPREAD) + 1e-6 for a, b in zip(plain, spread, strict=True))


def test_the_interval_may_be_longer_than_the_cap():
    tried = Retries(300, 5, cap_s=60, id_in_use_wait_s=5, chance=lambda: 0.0)
    assert waits(tried, "unreachable", 3) == [300, 300, 300]
    assert pytest.approx(300) == tried.due_ns / S
