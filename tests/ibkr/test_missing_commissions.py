"""Executions without a commission are asked for again, twice, and no more."""

from adapters.ibkr.trading.missing_commissions import WAITS_NS, MissingCommissions

FIRST, SECOND = WAITS_NS


def never(_exec_id: str) -> bool:
    return False


def test_a_commission_that_does_not_come_is_asked_for_twice():
    missing = MissingCommissions()
    missing.told("e1", 0)
    asked = [ts for ts in range(0, 3 * SECOND, FIRST // 5) if missing.due(ts, never)]
    assert asked == [FIRST, SECOND]


def test_one_question_covers_all_that_are_late_and_what_came_is_not_asked_for():
    missing = MissingCommissions()
    for number in range(5):
        missing.told(f"e{number}", number)
    assert missing.due(FIRST + 4, never)
    assert not missing.due(FIRST + 5, never)
    assert not missing.due(2 * SECOND, lambda _exec_id: True)
    assert not missing.due(3 * SECOND, never)


def test_only_the_end_of_a_question_of_ours_is_taken_as_such():
    missing = MissingCommissions()
    assert missing.asked(7) == 7
    assert not missing.answered(8)
    assert not missing.answered(None)
    assert missing.answered(7)
    assert not missing.answered(7)
