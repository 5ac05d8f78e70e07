"""What may be put up again: only what certainly never was at the broker, within time and number."""

import pytest

from core.clock import SECOND_NS
from core.events import CancelIntended, OrderResolved, OrderRetried, SendFailed
from core.retry import Retries, RetryRule
from tests.ibkr.books import ACCOUNT, Books

ONCE = RetryRule(attempts=1, within_s=60)


def started(rule=ONCE):
    books = Books()
    books.attempt()
    return books, Retries(rule, books.orders)


def failed(books, written=0, version=1):
    [event] = books.take([SendFailed(books.now, "a-1-1", version, written, "reset")])
    return event


def test_what_did_not_leave_is_due_once_at_the_next_comparison():
    books, retries = started()
    retries.note(failed(books))
    assert retries.due(books.now) == [("a-1-1", 1, "reset")]
    assert retries.due(books.now) == []


@pytest.mark.parametrize(("written", "version"), [(1, 1), (0, 2), (0, 0)])
def test_what_may_have_left_and_what_is_no_order_is_never_due(written, version):
    books, retries = started()
    retries.note(failed(books, written, version))
    assert retries.due(books.now) == []


@pytest.mark.parametrize("outcome", ["live", "ended", "unknown", "presumed_lost"])
def test_only_the_outcome_not_sent_counts(outcome):
    books, retries = started()
    retries.note(failed(books))
    [found] = books.take([OrderResolved(books.now, "a-1-1", outcome, "looked")])
    retries.note(found)
    assert retries.due(books.now) == []


def test_nothing_is_due_after_its_time_or_beyond_the_limit():
    books, retries = started()
    retries.note(failed(books))
    assert retries.due(books.now + 61 * SECOND_NS) == []
    for expected in ([("a-1-1", 1, "reset")], []):
        retries.note(failed(books))
        assert retries.due(books.now) == expected


def test_without_a_rule_nothing_is_tried_again():
    books, retries = started(RetryRule())
    retries.note(failed(books))
    assert retries.due(books.now) == []


def test_what_was_cancelled_meanwhile_is_not_wanted_any_more():
    books, retries = started()
    retries.note(failed(books))
    books.take([CancelIntended(books.now, "a-1-1", ACCOUNT, "a", "ACME", "why")])
    retries.forget("a-1-1")
    assert retries.due(books.now) == []


def test_an_order_that_is_put_up_again_works_and_can_fail_again():
    books, _ = started()
    failed(books)
    assert books.orders.working() == []
    books.take([OrderRetried(books.now, "a-1-1", 1, ACCOUNT, "a", "ACME", "reset")])
    assert [o.exposed for o in books.orders.working()] == [100]
    failed(books)
    assert books.orders.get("a-1-1").state == "SendFailed"
