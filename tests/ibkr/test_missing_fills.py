"""A status raises a doubt about fills; executions or a look at the book end it."""

from decimal import Decimal

from adapters.ibkr.trading.missing_fills import PATIENCE_NS, MissingFills

FILLED = Decimal(100)


def none(_order: str) -> Decimal:
    return Decimal(0)


def test_an_execution_that_does_not_come_is_asked_for_once():
    missing = MissingFills()
    missing.told("A", FILLED, 0)
    missing.told("A", FILLED, PATIENCE_NS - 1)
    assert missing.due(PATIENCE_NS - 1, none) == []
    assert missing.due(PATIENCE_NS, none) == ["A"]
    missing.told("A", FILLED, PATIENCE_NS + 1)
    assert missing.due(9 * PATIENCE_NS, none) == []


def test_more_than_what_was_looked_for_is_a_new_doubt():
    missing = MissingFills()
    missing.told("A", FILLED, 0)
    missing.due(PATIENCE_NS, none)
    missing.told("A", FILLED * 2, PATIENCE_NS)
    assert missing.due(2 * PATIENCE_NS, none) == ["A"]


def test_executions_that_add_up_end_the_doubt():
    missing = MissingFills()
    missing.told("A", FILLED, 0)
    assert missing.due(PATIENCE_NS, lambda _order: FILLED) == []
    assert missing.due(9 * PATIENCE_NS, none) == []
