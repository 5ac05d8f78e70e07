"""Pings and how old their answers are, on clocks that the tests hold."""

from adapters.ibkr.link.heartbeat import Heartbeat, Pong

MS = 1_000_000
S = 1_000 * MS


def beat():
    heartbeat = Heartbeat(every_s=5, deadline_s=3, fresh_s=2)
    heartbeat.opened()
    return heartbeat


def answer(heartbeat, now, wall=0, server_ms=0, *, whole_seconds=False):
    return heartbeat.answered(now, wall, server_ms, whole_seconds=whole_seconds)


def test_a_new_connection_is_asked_at_once_and_nothing_is_fresh():
    heartbeat = beat()
    assert heartbeat.due(0)
    assert heartbeat.next_ns() == 0
    assert not heartbeat.fresh(0)


def test_the_next_question_follows_after_the_interval_and_never_before_an_answer():
    heartbeat = beat()
    heartbeat.asked(0)
    assert not heartbeat.due(9 * S, wanted=True)
    answer(heartbeat, 1 * S)
    assert not heartbeat.due(5 * S - 1)
    assert heartbeat.due(5 * S)
    assert heartbeat.next_ns() == 5 * S


def test_what_waits_for_an_answer_brings_the_question_forward():
    heartbeat = beat()
    heartbeat.asked(0)
    answer(heartbeat, 1 * MS)
    assert heartbeat.due(3 * S, wanted=True)


def test_an_answer_is_fresh_for_two_seconds():
    heartbeat = beat()
    heartbeat.asked(0)
    assert not heartbeat.fresh(0)
    answer(heartbeat, 1 * S)
    assert heartbeat.fresh(3 * S - 1)
    assert not heartbeat.fresh(3 * S)


def test_silence_is_late_after_the_deadline():
    heartbeat = beat()
    assert not heartbeat.late(99 * S)
    heartbeat.asked(1 * S)
    assert not heartbeat.late(4 * S)
    assert heartbeat.late(4 * S + 1)
    assert heartbeat.next_ns() == 4 * S + 1
    answer(heartbeat, 4 * S + 2)
    assert not heartbeat.late(99 * S)


def test_the_clocks_are_compared_half_way_of_the_round_trip():
    heartbeat = beat()
    heartbeat.asked(10 * S)
    pong = answer(heartbeat, 10 * S + 200 * MS, wall=1_000 * S + 100 * MS, server_ms=1_003_000)
    assert pong == Pong(skew_ms=3_000, round_trip_ms=200)


def test_whole_seconds_are_taken_for_their_middle():
    heartbeat = beat()
    heartbeat.asked(0)
    assert answer(heartbeat, 0, wall=1_000 * S, server_ms=1_000_000, whole_seconds=True).skew_ms == 500


def test_an_answer_that_nobody_asked_for_proves_nothing():
    heartbeat = beat()
    assert answer(heartbeat, 1) is None
    assert not heartbeat.fresh(1)


def test_a_new_connection_begins_without_the_answers_of_the_old_one():
    heartbeat = beat()
    heartbeat.asked(0)
    answer(heartbeat, 1)
    heartbeat.opened()
    assert not heartbeat.fresh(2)
    assert heartbeat.pong is None
