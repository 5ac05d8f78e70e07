"""An order that left and of which nothing is heard is looked for, once."""

from adapters.ibkr.trading.unanswered import PATIENCE_NS, Unanswered


def test_an_order_without_an_answer_is_named_once():
    waits = Unanswered()
    waits.sent("A", 0)
    assert waits.due(PATIENCE_NS - 1, lambda _order: True) == []
    assert waits.due(PATIENCE_NS, lambda _order: True) == ["A"]
    assert waits.due(9 * PATIENCE_NS, lambda _order: True) == []


def test_an_answer_or_an_end_ends_the_wait():
    waits = Unanswered()
    waits.sent("A", 0)
    assert waits.due(1, lambda _order: False) == []
    assert waits.due(PATIENCE_NS, lambda _order: True) == []


def test_nothing_is_awaited_of_a_connection_that_is_gone():
    waits = Unanswered()
    waits.sent("A", 0)
    waits.drop()
    assert waits.due(PATIENCE_NS, lambda _order: True) == []
