"""Attempts in a thread: their results, their failures, and those that are given up."""

import selectors
from threading import Event

import pytest

from adapters.ibkr.link.dialing import Dialer


class Opened:
    def __init__(self):
        self.closed = Event()

    def close(self):
        self.closed.set()


@pytest.fixture
def dialer():
    made = Dialer()
    yield made
    made.close()


def wait(dialer):
    with selectors.DefaultSelector() as selector:
        selector.register(dialer, selectors.EVENT_READ)
        assert selector.select(60)


def test_a_result_wakes_the_selector_and_is_taken_once(dialer):
    opened = Opened()
    dialer.start(lambda: opened)
    wait(dialer)
    assert dialer.busy
    assert dialer.take() is opened
    assert dialer.take() is None
    assert not dialer.busy


def test_a_failure_is_raised_where_the_result_is_taken_and_another_attempt_may_follow(dialer):
    def fail():
        raise ValueError("nobody there")

    dialer.start(fail)
    wait(dialer)
    with pytest.raises(ValueError, match="nobody there"):
        dialer.take()
    dialer.start(Opened)
    wait(dialer)
    assert dialer.take() is not None


def test_while_an_attempt_goes_on_there_is_nothing_to_take(dialer):
    go = Event()
    dialer.start(lambda: (go.wait(60), Opened())[1])
    assert dialer.take() is None
    with pytest.raises(AssertionError, match="one attempt at a time"):
        dialer.start(Opened)
    go.set()
    wait(dialer)
    assert dialer.take() is not None


def test_an_attempt_that_is_given_up_closes_what_it_opens_later():
    dialer = Dialer()
    go, opened = Event(), Opened()
    dialer.start(lambda: (go.wait(60), opened)[1])
    dialer.close()
    go.set()
    assert opened.closed.wait(60)


def test_a_result_that_nobody_took_is_closed_too():
    dialer = Dialer()
    opened = Opened()
    dialer.start(lambda: opened)
    wait(dialer)
    dialer.close()
    assert opened.closed.is_set()
