"""The broker's limits on requests for history, as times to wait."""

from adapters.ibkr.data.historypace import HistoryPace
from core.clock import SECOND_NS

MINUTE = 60


def run(requests: list[tuple[object, object, str, int]], pace: HistoryPace | None = None) -> list[float]:
    """Send requests as soon as each may leave; return when they left, in seconds."""
    pace, now, left = pace or HistoryPace(), 0, []
    for request in requests:
        now = max(now, pace.free_ns(*request))
        pace.asked(*request, now)
        left.append(now / SECOND_NS)
    return left


def test_an_identical_request_waits_fifteen_seconds():
    assert run([("a", "SPY", "TRADES", MINUTE)] * 2) == [0, 15]


def test_fewer_than_six_for_one_contract_leave_in_any_two_seconds():
    left = run([(number, "SPY", "TRADES", MINUTE) for number in range(20)])
    assert max(sum(t <= one < t + 2 for one in left) for t in left) == 5
    assert left[-1] == 6


def test_another_contract_or_kind_of_data_does_not_wait():
    wanted = [(number, "SPY", "TRADES", MINUTE) for number in range(5)]
    assert run([*wanted, ("x", "IBM", "TRADES", MINUTE), ("y", "SPY", "BID", MINUTE)]) == [0] * 7


def test_sixty_requests_for_small_bars_leave_in_ten_minutes():
    left = run([(number, number, "TRADES", 5) for number in range(125)])
    assert max(sum(t <= one < t + 600 for one in left) for t in left) == 60
    assert left[-1] == 1200


def test_bid_and_ask_together_count_twice():
    left = run([(number, number, "BID_ASK", 30) for number in range(31)])
    assert left[29:] == [0, 600]


def test_bars_of_a_minute_are_not_limited_in_ten_minutes():
    assert run([(number, number, "TRADES", MINUTE) for number in range(200)]) == [0] * 200
