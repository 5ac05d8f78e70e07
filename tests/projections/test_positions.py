"""Average cost, reversals, multipliers and corrections, with figures computed by hand."""

from core.events import PositionAdjusted
from core.money import money
from core.views import Position
from projections.positions import Positions
from tests.projections.build import ACCOUNT, D, corrected, feed, fill, future, stock


def folded(*events):
    positions = Positions()
    feed(positions, stock(), future(), *events)
    return positions


def held(positions, strategy=None, instrument="ACME"):
    position = positions.position(ACCOUNT, instrument, strategy)
    return position.quantity, position.average_cost, position.realised


def test_buying_twice_averages_the_cost():
    positions = folded(fill("1", "BUY", 100, 10, ts=1), fill("2", "BUY", 50, 13, ts=2))
    assert held(positions) == (D(150), D(11), D(0))


def test_selling_a_part_realises_against_the_average_and_leaves_it():
    positions = folded(fill("1", "BUY", 100, 10, ts=1), fill("2", "SELL", 40, "12.5", ts=2))
    assert held(positions) == (D(60), D(10), D(100))


def test_a_short_position_gains_when_bought_back_lower():
    positions = folded(fill("1", "SELL", 100, 10, ts=1), fill("2", "BUY", 100, 8, ts=2))
    assert held(positions) == (D(0), D(0), D(200))


def test_a_reversal_closes_the_old_side_and_opens_the_new_one_at_the_fill():
    positions = folded(fill("1", "BUY", 100, 10, ts=1), fill("2", "SELL", 150, 12, ts=2))
    assert held(positions) == (D(-50), D(12), D(200))


def test_a_future_realises_with_its_multiplier():
    where = {"instrument": "IDX-202509"}
    positions = folded(
        fill("1", "BUY", 2, 5000, ts=1, **where), fill("2", "SELL", 1, "5000.25", ts=2, **where)
    )
    assert held(positions, instrument="IDX-202509") == (D(1), D(5000), D("12.5"))
    assert positions.unrealised(ACCOUNT, "IDX-202509", 4999.0) == D(-50)


def test_an_average_that_does_not_divide_is_rounded_once_and_closing_leaves_nothing():
    buys = [fill("1", "BUY", 1, 10, ts=1), fill("2", "BUY", 2, 11, ts=2)]
    positions = folded(*buys)
    assert held(positions) == (D(3), D("10.66666667"), D(0))
    feed(
        positions,
        fill("3", "SELL", 1, 12, ts=3),
        fill("4", "SELL", 1, 12, ts=4),
        fill("5", "SELL", 1, 12, ts=5),
    )
    assert held(positions) == (D(0), D(0), D(4))  # 36 received, 32 paid, to the last digit


def test_a_duplicated_execution_changes_nothing():
    once, twice = (
        folded(fill("1", "BUY", 100, 10)),
        folded(fill("1", "BUY", 100, 10), fill("1", "BUY", 100, 10)),
    )
    assert once.digest() == twice.digest()


def test_a_late_fill_takes_its_place_by_execution_time():
    early, later = fill("1", "BUY", 100, 10, ts=1), fill("2", "SELL", 150, 12, ts=2)
    assert held(folded(later, early)) == held(folded(early, later)) == (D(-50), D(12), D(200))


def test_a_correction_replaces_the_fill_and_refolds_what_came_after():
    positions = folded(
        fill("1", "BUY", 100, 10, ts=1),
        fill("2", "SELL", 100, 12, ts=2),
        corrected("1", 1, "BUY", 100, 11, ts=1),
    )
    assert held(positions) == (D(0), D(0), D(100))


def test_an_older_revision_does_not_replace_a_newer_one():
    newer, older = corrected("1", 2, "BUY", 80, 10), corrected("1", 1, "BUY", 90, 10)
    assert held(folded(newer, older, fill("1", "BUY", 100, 10))) == (D(80), D(10), D(0))


def test_a_correction_to_zero_busts_the_trade():
    assert held(folded(fill("1", "BUY", 100, 10), corrected("1", 1, "BUY", 0, 10))) == (D(0), D(0), D(0))


def test_a_correction_may_move_an_execution_to_another_instrument():
    positions = folded(fill("1", "BUY", 2, 10), corrected("1", 1, "BUY", 2, 5000, instrument="IDX-202509"))
    assert (positions.quantity("ACME"), positions.quantity("IDX-202509")) == (D(0), D(2))


def test_strategies_keep_their_own_cost_while_the_account_pools_it():
    positions = folded(
        fill("1", "BUY", 100, 10, ts=1, strategy="a"), fill("2", "SELL", 60, 12, ts=2, strategy="b")
    )
    assert held(positions, "a") == (D(100), D(10), D(0))
    assert held(positions, "b") == (D(-60), D(12), D(0))
    assert held(positions) == (D(40), D(10), D(120))
    assert positions.strategies(ACCOUNT, "ACME") == ["a", "b"]
    assert (positions.quantity("ACME"), positions.quantity("ACME", "b")) == (D(40), D(-60))


def test_an_adjustment_sets_one_strategy_and_moves_the_account_by_the_difference():
    adjust = PositionAdjusted(3, ACCOUNT, "a", "ACME", D(30), D(11), "found")
    positions = folded(
        fill("1", "BUY", 100, 10, ts=1, strategy="a"), fill("2", "BUY", 10, 12, ts=2, strategy="b"), adjust
    )
    assert held(positions, "a") == (D(30), D(11), D(0))
    assert held(positions) == (D(40), D("11.25"), D(0))


def test_a_fill_that_happened_before_an_adjustment_is_part_of_it_however_late_it_comes():
    adjust = PositionAdjusted(5, ACCOUNT, "sma", "ACME", D(30), D(11), "counted")
    assert held(folded(adjust, fill("1", "BUY", 30, 10, ts=1))) == (D(30), D(11), D(0))


def test_only_open_positions_are_listed_sorted():
    positions = folded(
        fill("1", "BUY", 1, 5000, instrument="IDX-202509"),
        fill("2", "BUY", 5, 10, ts=2),
        fill("3", "SELL", 1, 5000, ts=3, instrument="IDX-202509"),
    )
    assert positions.open_positions() == [Position(ACCOUNT, "ACME", D(5), D(10), D(0))]


def test_an_instrument_never_traded_is_flat():
    assert folded().position(ACCOUNT, "ACME") == Position(ACCOUNT, "ACME", D(0), D(0), D(0))


def test_the_line_says_what_is_held():
    positions = folded(fill("1", "BUY", 5, 10))
    assert repr(positions) == "<positions: 1 open of 1, 1 executions>"
    assert positions.unrealised(ACCOUNT, "ACME", 10.3) == money("1.5")
